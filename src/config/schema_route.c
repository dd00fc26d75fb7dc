#include "config/schema_parts.h"

static const struct schema_name auth_names[] = {
	{"required", CONFIG_AUTH_REQUIRED},
	{"optional", CONFIG_AUTH_OPTIONAL},
	{"none", CONFIG_AUTH_NONE},
	{"session", CONFIG_AUTH_SESSION},
	{NULL, 0},
};

/* ---- conditions, limits ---------------------------------------------------------------------- */

static const struct schema_key condition_keys[] = {
	{KEY("claim", CLAIM, config_condition, claim), .flags = SCHEMA_REQUIRED,
	 .text = "A name, a path with dots, or a list of names."},
	{KEY("equals", TEXTS, config_condition, values), .format = &format_any,
	 .text = "The claim is this, or is a list with it; or"},
	{KEY("in", TEXTS, config_condition, values), .flags = SCHEMA_HIDDEN,
	 .format = &format_any, .text = "one of these; or"},
	{KEY("matches", TEXT, config_condition, pattern), .format = &format_any,
	 .text = "the whole of it matches this regular expression; or"},
	{KEY("exists", BOOL, config_condition, exists), .initial = "false",
	 .text = "it only has to be there."},
	{.name = NULL},
};

static void condition_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	static const char *const kinds[] = {"equals", "in", "matches", "exists", NULL};
	struct config_condition *condition = object;

	if (condition->claim.count == 0)
		reader_error(reader, node->where, "'claim' is empty");
	if (schema_given(node, kinds) != 1) {
		reader_error(reader, node->where,
			     "give one of 'equals', 'in', 'matches' and 'exists'");
		return;
	}
	if (tree_get(node, "equals")) {
		condition->kind = CONFIG_CONDITION_EQUALS;
		if (condition->values.count != 1)
			reader_error(reader, node->where, "'equals' takes one value; see 'in'");
	} else if (tree_get(node, "in")) {
		condition->kind = CONFIG_CONDITION_IN;
		if (condition->values.count == 0)
			reader_error(reader, node->where, "'in' is empty");
	} else if (tree_get(node, "matches")) {
		condition->kind = CONFIG_CONDITION_MATCHES;
	} else {
		condition->kind = CONFIG_CONDITION_EXISTS;
		if (!condition->exists)
			reader_error(reader, node->where, "'exists' can only be true");
	}
}

static const struct schema_object condition = {
	.name = "claim_condition",
	.size = sizeof(struct config_condition),
	.keys = condition_keys,
	.has_where = true,
	.finish = condition_finish,
};

static const struct schema_name per_names[] = {
	{"address", CONFIG_LIMIT_PER_ADDRESS},
	{"user", CONFIG_LIMIT_PER_USER},
	{"client", CONFIG_LIMIT_PER_CLIENT},
	{"key", CONFIG_LIMIT_PER_KEY},
	{"route", CONFIG_LIMIT_PER_ROUTE},
	{"service", CONFIG_LIMIT_PER_SERVICE},
	{NULL, 0},
};

static const struct schema_key limit_keys[] = {
	{KEY("per", ENUM, config_limit, per), .flags = SCHEMA_REQUIRED, .names = per_names,
	 .text = "Who or what has the limit."},
	{KEY("rate", RATE, config_limit, rate), .flags = SCHEMA_REQUIRED,
	 .text = "Requests in a time."},
	{KEY("burst", COUNT, config_limit, burst), .min = 1, .max = 1000000000,
	 .text = "Requests at once; without, as many as the rate counts."},
	{.name = NULL},
};

static void limit_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	struct config_limit *limit = object;

	(void)reader;
	if (!tree_get(node, "burst"))
		limit->burst = limit->rate.count < UINT32_MAX ? (uint32_t)limit->rate.count
							      : UINT32_MAX;
}

static const struct schema_object limit = {
	.name = "limit",
	.size = sizeof(struct config_limit),
	.keys = limit_keys,
	.has_where = true,
	.finish = limit_finish,
};

/* ---- headers, CORS --------------------------------------------------------------------------- */

static const struct schema_key edit_keys[] = {
	{KEY("set", PAIRS, config_header_edit, set), .text = "Fields that get these values."},
	{KEY("remove", TEXTS, config_header_edit, remove), .format = &format_field_name,
	 .text = "Fields that are taken out."},
	{.name = NULL},
};

static void edit_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_header_edit *edit = object;

	for (size_t i = 0; i < edit->remove.count; i++)
		if (value_is_framing_field(edit->remove.at[i]))
			reader_error(reader, node->where, "field '%s' cannot be removed",
				     edit->remove.at[i].ptr);
}

static const struct schema_object edit = {
	.name = "header_edit",
	.size = sizeof(struct config_header_edit),
	.keys = edit_keys,
	.finish = edit_finish,
};

static const struct schema_key cors_keys[] = {
	{KEY("origins", TEXTS, config_cors, origins), .flags = SCHEMA_REQUIRED,
	 .format = &format_origin, .text = "Origins whose pages may ask, or \"*\"."},
	{KEY("methods", TEXTS, config_cors, methods), .initial = "GET HEAD POST",
	 .format = &format_method, .text = "Methods that they may use."},
	{KEY("headers", TEXTS, config_cors, headers), .format = &format_field_name,
	 .text = "Request fields that they may set."},
	{KEY("expose", TEXTS, config_cors, expose), .format = &format_field_name,
	 .text = "Response fields that they may read."},
	{KEY("credentials", BOOL, config_cors, credentials), .initial = "false",
	 .text = "Whether browsers send cookies."},
	{KEY("max_age", DURATION, config_cors, max_age_ms), .initial = "10m", .max = 86400000,
	 .text = "How long browsers remember the answer."},
	{.name = NULL},
};

static void cors_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_cors *cors = object;

	if (cors->origins.count == 0)
		reader_error(reader, node->where, "'origins' is empty");
	for (size_t i = 0; cors->credentials && i < cors->origins.count; i++)
		if (span_eq(cors->origins.at[i], SPAN("*")))
			reader_error(reader, node->where,
				     "credentials cannot go with origin \"*\"");
}

static const struct schema_object cors = {
	.name = "cors",
	.size = sizeof(struct config_cors),
	.keys = cors_keys,
	.finish = cors_finish,
};

/* ---- routes ---------------------------------------------------------------------------------- */

/* As a service's timeouts, but what is absent is inherited. */
static const struct schema_key timeout_keys[] = {
	{KEY("connect", DURATION, config_timeout, connect_ms), .flags = SCHEMA_INHERIT,
	 .min = 1, .text = "For a connection: name, TCP and TLS."},
	{KEY("dns", DURATION, config_timeout, dns_ms), .flags = SCHEMA_INHERIT,
	 .text = "Of that, for the name; 0 sets no limit of its own."},
	{KEY("tls", DURATION, config_timeout, tls_ms), .flags = SCHEMA_INHERIT,
	 .text = "Of that, for the TLS handshake; 0 sets no limit of its own."},
	{KEY("request", DURATION, config_timeout, request_ms), .flags = SCHEMA_INHERIT,
	 .min = 1, .text = "From the end of the request to the first byte of the response."},
	{KEY("idle", DURATION, config_timeout, idle_ms), .flags = SCHEMA_INHERIT,
	 .text = "Between bytes of a body; 0 waits for ever."},
	{KEY("total", DURATION, config_timeout, total_ms), .flags = SCHEMA_INHERIT,
	 .text = "For the whole exchange; 0 sets no limit."},
	{.name = NULL},
};

static const struct schema_object timeout = {
	.name = "route_timeout",
	.size = sizeof(struct config_timeout),
	.keys = timeout_keys,
};

static const struct schema_name priority_names[] = {
	{"core", CONFIG_PRIORITY_CORE},
	{"normal", CONFIG_PRIORITY_NORMAL},
	{"low", CONFIG_PRIORITY_LOW},
	{NULL, 0},
};

static const struct schema_key route_keys[] = {
	{KEY("host", TEXTS, config_route, hosts), .format = &format_host,
	 .text = "Host names it is for; *.example.com takes those below; without, any."},
	{KEY("path", TEXT, config_route, path), .flags = SCHEMA_REQUIRED,
	 .format = &format_path,
	 .text = "Path: {name} is one segment, ** at the end is all below."},
	{KEY("methods", TEXTS, config_route, methods), .format = &format_method,
	 .text = "Methods it is for; without, any but TRACE."},
	{KEY("service", TEXT, config_route, service_name), .format = &format_name,
	 .text = "Service that answers; or"},
	{KEY("respond", OPTIONAL, config_route, respond), .object = &schema_answer,
	 .text = "a fixed answer."},
	{KEY("operation", TEXT, config_route, operation), .format = &format_any,
	 .text = "Its name in logs, metrics and approvals; without, the path."},
	{KEY("auth", ENUM, config_route, auth), .initial = "required", .names = auth_names,
	 .text = "Whether who asks must be known."},
	{KEY("scopes", TEXTS, config_route, scopes), .format = &format_scope,
	 .text = "Scopes that are all needed."},
	{KEY("roles", TEXTS, config_route, roles), .format = &format_name,
	 .text = "Roles of which one is needed."},
	{KEY("permissions", TEXTS, config_route, permissions), .format = &format_scope,
	 .text = "Permissions that are all needed."},
	{KEY("claims", LIST, config_route, claims), .flags = SCHEMA_ONE_OR_LIST,
	 .object = &condition, .text = "Conditions on the token that all must hold."},
	{KEY("limit", LIST, config_route, limits), .flags = SCHEMA_ONE_OR_LIST,
	 .object = &limit, .text = "Limits that all hold."},
	{KEY("strip_prefix", TEXT, config_route, strip_prefix), .format = &format_prefix,
	 .text = "Taken off the front of the path before it is forwarded."},
	{KEY("add_prefix", TEXT, config_route, add_prefix), .format = &format_prefix,
	 .text = "Then put before it."},
	{KEY("timeout", OBJECT, config_route, timeout), .object = &timeout,
	 .text = "Where it differs from the service's."},
	{KEY("request_headers", OBJECT, config_route, request_headers), .object = &edit,
	 .text = "Changes to what the service gets."},
	{KEY("response_headers", OBJECT, config_route, response_headers), .object = &edit,
	 .text = "Changes to what the client gets."},
	{KEY("body", SIZE, config_route, body_bytes), .flags = SCHEMA_INHERIT,
	 .text = "Largest request body; 0 sets no limit; without, `limits.body`."},
	{KEY("priority", ENUM, config_route, priority), .initial = "normal",
	 .names = priority_names, .text = "Under load, core is served first and shed last."},
	{KEY("bulkhead", OPTIONAL, config_route, bulkhead), .object = &schema_bulkhead,
	 .text = "How much of this operation at once, within the service's bulkhead."},
	{KEY("pool", OPTIONAL, config_route, pool), .object = &schema_pool,
	 .text = "Connections to the service for this operation alone; without, the "
		 "service's."},
	{KEY("challenge", ENUM, config_route, challenge), .initial = "off",
	 .names = schema_challenge_when_names,
	 .text = "Whether browsers are checked first: always, or in overload."},
	{KEY("waf", ENUM, config_route, waf), .initial = "inherit",
	 .names = schema_waf_override_names, .text = "The firewall's mode here."},
	{KEY("websocket", BOOL, config_route, websocket), .initial = "false",
	 .text = "Let it become a WebSocket."},
	{KEY("cors", OPTIONAL, config_route, cors), .object = &cors,
	 .text = "Pages of other origins."},
	{.name = NULL},
};

/* Is `prefix` the whole of the path, or does the path go on with a '/' after it? */
static bool is_prefix_of(struct span prefix, struct span path)
{
	return span_starts_with(path, prefix) &&
	       (path.len == prefix.len || path.ptr[prefix.len] == '/');
}

static void route_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	static const char *const answers[] = {"service", "respond", NULL};
	static const char *const forwarded[] = {
		"strip_prefix", "add_prefix", "timeout", "request_headers",
		"websocket",	"bulkhead",   NULL};
	static const char *const needs[] = {"scopes", "roles", "permissions", "claims", NULL};
	struct config_route *route = object;

	if (schema_given(node, answers) != 1)
		reader_error(reader, node->where, "give either 'service' or 'respond'");
	if (route->respond && schema_given(node, forwarded) > 0)
		reader_error(reader, node->where,
			     "a fixed answer has no prefix, timeout, request_headers, "
			     "websocket and bulkhead");
	if (route->auth != CONFIG_AUTH_REQUIRED && route->auth != CONFIG_AUTH_SESSION &&
	    schema_given(node, needs) > 0)
		reader_error(reader, node->where,
			     "scopes, roles, permissions and claims need 'auth: required'");
	if (route->strip_prefix.len > 0 && !is_prefix_of(route->strip_prefix, route->path))
		reader_error(reader, node->where, "the path does not start with strip_prefix");
	if (route->operation.len == 0)
		route->operation = route->path;
}

const struct schema_object schema_route = {
	.name = "route",
	.size = sizeof(struct config_route),
	.keys = route_keys,
	.has_where = true,
	.finish = route_finish,
};
