#include "config/schema_parts.h"

/* ---- endpoints ------------------------------------------------------------------------------- */

static bool fill_endpoint(struct reader *reader, struct span url,
			  struct config_endpoint *endpoint)
{
	struct config_address *address = &endpoint->address;
	struct span host, authority;

	if (!value_endpoint(url, &endpoint->scheme, &host, &address->port, &authority))
		return false;
	endpoint->url = arena_dup(&reader->priv->arena, url);
	address->host = reader_lower(reader, host);
	address->text = arena_printf(&reader->priv->arena,
				     memchr(host.ptr, ':', host.len) ? "[%.*s]:%u" : "%.*s:%u",
				     SPAN_ARG(address->host), address->port);
	endpoint->authority = reader_lower(reader, authority);
	if (!endpoint->url.ptr || !address->text.ptr)
		reader->out_of_memory = true;
	return true;
}

void schema_endpoint_fill(struct reader *reader, struct span url,
			  struct config_endpoint *endpoint)
{
	(void)fill_endpoint(reader, url, endpoint);
}

static bool read_endpoint_url(struct reader *reader, const struct tree_node *node, void *object)
{
	return fill_endpoint(reader, node->text, object);
}

static void print_endpoint_url(const void *object, struct buf *out)
{
	const struct config_endpoint *endpoint = object;

	buf_append_byte(out, '"');
	buf_append_json(out, endpoint->url);
	buf_append_byte(out, '"');
}

static const struct schema_custom endpoint_url = {
	.what = "an endpoint such as http://10.0.0.1:8080, https://orders or "
		"h2c://orders:50051",
	.read = read_endpoint_url,
	.print = print_endpoint_url,
	.json_schema = "\"type\":\"string\",\"pattern\":\"^(http|https|h2c)://[^/]+/?$|"
		       "\\\\$\\\\{\"",
};

static const struct schema_key endpoint_keys[] = {
	{.name = "url",
	 .type = SCHEMA_CUSTOM,
	 .flags = SCHEMA_REQUIRED,
	 .custom = &endpoint_url,
	 .text = "http://, https:// or h2c:// and host[:port]."},
	{KEY("weight", COUNT, config_endpoint, weight), .initial = "1", .min = 1, .max = 1000,
	 .text = "Its share of the requests."},
	{.name = NULL},
};

static const struct schema_object endpoint = {
	.name = "endpoint",
	.size = sizeof(struct config_endpoint),
	.keys = endpoint_keys,
	.shorthand = "url",
	.has_where = true,
};

/* ---- balance, timeouts, retries, pools ------------------------------------------------------- */

static const struct schema_name balance_names[] = {
	{"round_robin", CONFIG_BALANCE_ROUND_ROBIN},
	{"least_requests", CONFIG_BALANCE_LEAST_REQUESTS},
	{"consistent_hash", CONFIG_BALANCE_CONSISTENT_HASH},
	{NULL, 0},
};

static const struct schema_name hash_names[] = {
	{"address", CONFIG_HASH_BY_ADDRESS}, {"header", CONFIG_HASH_BY_HEADER},
	{"cookie", CONFIG_HASH_BY_COOKIE},   {"path", CONFIG_HASH_BY_PATH},
	{"user", CONFIG_HASH_BY_USER},	     {NULL, 0},
};

static const struct schema_key balance_keys[] = {
	{KEY("policy", ENUM, config_service, balance), .initial = "round_robin",
	 .names = balance_names, .text = "How an endpoint is chosen."},
	{KEY("by", ENUM, config_service, hash_by), .initial = "address", .names = hash_names,
	 .text = "What consistent_hash hashes."},
	{KEY("name", TEXT, config_service, hash_name), .format = &format_any,
	 .text = "Of the header field or cookie."},
	{KEY("slow_start", DURATION, config_service, slow_start_ms), .initial = "0",
	 .text = "An endpoint that has come back gets its share by degrees; not with "
		 "consistent_hash."},
	{KEY("panic", PERCENT, config_service, panic_percent), .initial = "50%",
	 .text = "When fewer endpoints than this are well, all are used; 0%: only those."},
	{.name = NULL},
};

static void balance_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	struct config_service *service = object;
	bool named = service->hash_by == CONFIG_HASH_BY_HEADER ||
		     service->hash_by == CONFIG_HASH_BY_COOKIE;

	if (tree_get(node, "by") && service->balance != CONFIG_BALANCE_CONSISTENT_HASH)
		reader_error(reader, node->where, "'by' is for policy consistent_hash");
	if (named != (tree_get(node, "name") != NULL))
		reader_error(reader, node->where,
			     named ? "'name' is missing" : "'name' is for by header or cookie");
	if (service->hash_by == CONFIG_HASH_BY_HEADER && service->hash_name.ptr)
		service->hash_name = reader_lower(reader, service->hash_name);
}

static const struct schema_object balance = {
	.name = "balance",
	.size = sizeof(struct config_service),
	.keys = balance_keys,
	.shorthand = "policy",
	.finish = balance_finish,
};

static const struct schema_key timeout_keys[] = {
	{KEY("connect", DURATION, config_timeout, connect_ms), .initial = "1s", .min = 1,
	 .text = "For a connection: name, TCP and TLS."},
	{KEY("dns", DURATION, config_timeout, dns_ms), .initial = "0",
	 .text = "Of that, for the name; 0 sets no limit of its own."},
	{KEY("tls", DURATION, config_timeout, tls_ms), .initial = "0",
	 .text = "Of that, for the TLS handshake; 0 sets no limit of its own."},
	{KEY("request", DURATION, config_timeout, request_ms), .initial = "30s", .min = 1,
	 .text = "From the end of the request to the first byte of the response."},
	{KEY("idle", DURATION, config_timeout, idle_ms), .initial = "60s",
	 .text = "Between bytes of a body; 0 waits for ever."},
	{KEY("total", DURATION, config_timeout, total_ms), .initial = "0",
	 .text = "For the whole exchange; 0 sets no limit."},
	{.name = NULL},
};

static const struct schema_object timeout = {
	.name = "timeout",
	.size = sizeof(struct config_timeout),
	.keys = timeout_keys,
};

const struct schema_name schema_retry_names[] = {
	{"connect", CONFIG_RETRY_ON_CONNECT}, {"reset", CONFIG_RETRY_ON_RESET},
	{"timeout", CONFIG_RETRY_ON_TIMEOUT}, {"502", CONFIG_RETRY_ON_502},
	{"503", CONFIG_RETRY_ON_503},	      {"504", CONFIG_RETRY_ON_504},
	{"5xx", CONFIG_RETRY_ON_5XX},	      {NULL, 0},
};

static const struct schema_key retry_keys[] = {
	{KEY("attempts", COUNT, config_retry, attempts), .initial = "1", .max = 10,
	 .text = "After the first one, for idempotent methods; 0 switches retries off."},
	{KEY("budget", PERCENT, config_retry, budget_percent), .initial = "20%",
	 .text = "Retries as a part of all requests."},
	{KEY("budget_min", COUNT, config_retry, budget_min), .initial = "3", .max = 1000,
	 .text = "Retries a second that are allowed in any case."},
	{KEY("on", FLAGS, config_retry, on), .initial = "connect reset",
	 .names = schema_retry_names, .text = "What is retried."},
	{KEY("backoff", DURATION, config_retry, backoff_ms), .initial = "25ms",
	 .text = "Before the first retry; then twice as long each, with jitter."},
	{KEY("max_backoff", DURATION, config_retry, max_backoff_ms), .initial = "250ms",
	 .text = "The longest wait."},
	{KEY("hedge", DURATION, config_retry, hedge_ms), .initial = "0",
	 .text = "Without an answer after so long another endpoint is asked too, and the first "
		 "answer counts; idempotent methods, within the budget; 0: never."},
	{KEY("hedge_percentile", COUNT, config_retry, hedge_percentile), .initial = "0",
	 .max = 99,
	 .text = "And not before this percentile of the measured latencies; 0: not measured."},
	{.name = NULL},
};

static void retry_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_retry *retry = object;

	if (retry->attempts == 0)
		return;
	if (retry->budget_percent == 0 && retry->budget_min == 0)
		reader_error(reader, node->where,
			     "retries without a budget: set 'budget' or 'attempts: 0'");
	if (retry->on == 0)
		reader_error(reader, node->where, "'on' is empty: nothing would be retried");
}

static const struct schema_object retry = {
	.name = "retry",
	.size = sizeof(struct config_retry),
	.keys = retry_keys,
	.shorthand = "attempts",
	.finish = retry_finish,
};

static const struct schema_key pool_keys[] = {
	{KEY("size", COUNT, config_pool, size), .initial = "1024", .min = 1, .max = 65535,
	 .text = "Connections to an endpoint, for each worker."},
	{KEY("idle", DURATION, config_pool, idle_timeout_ms), .initial = "30s", .min = 1,
	 .text = "How long an idle connection is kept."},
	{KEY("requests_per_connection", COUNT, config_pool, requests_per_connection),
	 .initial = "0", .text = "Then it is closed; 0 sets no limit."},
	{KEY("ping_interval", DURATION, config_pool, ping_interval_ms), .initial = "6m",
	 .text = "HTTP/2: a service that has been silent for so long while requests wait for "
		 "it "
		 "is asked for a sign of life (PING); 0: never. Servers of gRPC allow one in "
		 "5m."},
	{KEY("ping_timeout", DURATION, config_pool, ping_timeout_ms), .initial = "20s",
	 .min = 1, .text = "How long for; then the connection is closed."},
	{.name = NULL},
};

const struct schema_object schema_pool = {
	.name = "pool",
	.size = sizeof(struct config_pool),
	.keys = pool_keys,
	.shorthand = "size",
};

static const struct schema_key upstream_tls_keys[] = {
	{KEY("ca", FILE, config_upstream_tls, ca),
	 .text = "PEM file: authorities of the service; without, the system's."},
	{KEY("certificate", FILE, config_upstream_tls, certificate),
	 .text = "PEM file: our client certificate, then its chain."},
	{KEY("key", FILE, config_upstream_tls, key), .text = "PEM file: its private key."},
	{KEY("server_name", TEXT, config_upstream_tls, server_name), .format = &format_host,
	 .text = "Name to ask for (SNI) and to verify; without, the endpoint's."},
	{KEY("verify", BOOL, config_upstream_tls, verify), .initial = "true",
	 .text = "Verify the service's certificate."},
	{KEY("alpn", TEXTS, config_upstream_tls, alpn), .format = &format_any,
	 .text = "Protocols to offer; without, by `protocol`."},
	{KEY("min_version", ENUM, config_upstream_tls, min_version), .initial = "1.2",
	 .names = schema_tls_versions, .text = "Lowest version of TLS."},
	{.name = NULL},
};

static void upstream_tls_finish(struct reader *reader, const struct tree_node *node,
				void *object)
{
	const struct config_upstream_tls *tls = object;
	bool certificate = tree_get(node, "certificate");

	if (certificate != (tree_get(node, "key") != NULL))
		reader_error(reader, node->where,
			     certificate ? "'certificate' is given without its 'key'"
					 : "'key' is given without its 'certificate'");
	if (!tls->verify)
		reader_warn(reader, node->where,
			    "the service's certificate is not verified: anybody on the way can "
			    "read and change what is sent");
}

static const struct schema_object upstream_tls = {
	.name = "service_tls",
	.size = sizeof(struct config_upstream_tls),
	.keys = upstream_tls_keys,
	.finish = upstream_tls_finish,
};

/* ---- identity -------------------------------------------------------------------------------- */

static const struct schema_key pass_headers_keys[] = {
	{KEY("subject", TEXT, config_pass_headers, subject), .initial = "x-auth-subject",
	 .format = &format_field_name_or_none, .text = "Field with the user."},
	{KEY("client", TEXT, config_pass_headers, client), .initial = "x-auth-client",
	 .format = &format_field_name_or_none, .text = "Field with the client."},
	{KEY("roles", TEXT, config_pass_headers, roles), .initial = "x-auth-roles",
	 .format = &format_field_name_or_none,
	 .text = "Field with the roles, with commas between."},
	{KEY("scopes", TEXT, config_pass_headers, scopes), .initial = "x-auth-scopes",
	 .format = &format_field_name_or_none,
	 .text = "Field with the scopes, with spaces between."},
	{.name = NULL},
};

static const struct schema_object pass_headers = {
	.name = "identity_headers",
	.size = sizeof(struct config_pass_headers),
	.keys = pass_headers_keys,
};

static const struct schema_key pass_jwt_keys[] = {
	{KEY("header", TEXT, config_pass_jwt, header), .initial = "authorization",
	 .format = &format_field_name, .text = "Field that carries the token."},
	{KEY("key", FILE, config_pass_jwt, key), .text = "PEM file: the private key."},
	{KEY("key_id", TEXT, config_pass_jwt, key_id), .format = &format_any,
	 .text = "The token's `kid`; without, the key's thumbprint."},
	{KEY("algorithm", ENUM, config_pass_jwt, algorithm), .names = schema_jws_names,
	 .text = "Without, what the key is for."},
	{KEY("issuer", TEXT, config_pass_jwt, issuer), .initial = "sallyport",
	 .format = &format_any, .text = "The token's `iss`."},
	{KEY("audience", TEXT, config_pass_jwt, audience), .format = &format_any,
	 .text = "The token's `aud`; without, the service's name."},
	{KEY("ttl", DURATION, config_pass_jwt, ttl_ms), .initial = "60s", .min = 1000,
	 .max = 3600000, .text = "How long a token is good."},
	{.name = NULL},
};

static const struct schema_object pass_jwt = {
	.name = "identity_jwt",
	.size = sizeof(struct config_pass_jwt),
	.keys = pass_jwt_keys,
};

static const struct schema_name pass_names[] = {
	{"none", CONFIG_PASS_IDENTITY_NONE},
	{"headers", CONFIG_PASS_IDENTITY_HEADERS},
	{"jwt", CONFIG_PASS_IDENTITY_JWT},
	{NULL, 0},
};

static const struct schema_key service_identity_keys[] = {
	{KEY("as", ENUM, config_service_identity, as), .initial = "none", .names = pass_names,
	 .text = "How the service learns who asks."},
	{KEY("headers", OBJECT, config_service_identity, headers), .object = &pass_headers,
	 .text = "Names of the fields for as: headers."},
	{KEY("jwt", OBJECT, config_service_identity, jwt), .object = &pass_jwt,
	 .text = "The token for as: jwt."},
	{KEY("forward_authorization", BOOL, config_service_identity, forward_authorization),
	 .text = "Leave the client's own credentials in the request; without, only for as: "
		 "none."},
	{.name = NULL},
};

static void service_identity_finish(struct reader *reader, const struct tree_node *node,
				    void *object)
{
	struct config_service_identity *identity = object;

	if (!tree_get(node, "forward_authorization"))
		identity->forward_authorization = identity->as == CONFIG_PASS_IDENTITY_NONE;
	if (identity->as != CONFIG_PASS_IDENTITY_JWT)
		return;
	if (identity->jwt.key.len == 0)
		reader_error(reader, node->where, "identity as jwt needs 'jwt' with a 'key'");
	if (identity->forward_authorization &&
	    span_eq(identity->jwt.header, SPAN("authorization")))
		reader_error(reader, node->where,
			     "the token and the client's own credentials would share the field "
			     "authorization: set 'header' or 'forward_authorization: false'");
}

static const struct schema_object service_identity = {
	.name = "service_identity",
	.size = sizeof(struct config_service_identity),
	.keys = service_identity_keys,
	.shorthand = "as",
	.has_where = true,
	.finish = service_identity_finish,
};

/* ---- fixed answers --------------------------------------------------------------------------- */

static const struct schema_key answer_keys[] = {
	{KEY("status", COUNT, config_answer, status), .initial = "200", .min = 200, .max = 599,
	 .text = "Status code."},
	{KEY("body", TEXT, config_answer, body), .format = &format_content,
	 .text = "The body itself; or"},
	{KEY("file", FILE, config_answer, file), .text = "the file that holds it."},
	{KEY("content_type", TEXT, config_answer, content_type), .format = &format_field_value,
	 .text = "Content-Type; without, by the file's name."},
	{KEY("headers", PAIRS, config_answer, headers), .text = "Further header fields."},
	{.name = NULL},
};

/* What a file's name, or the first byte of a body, says of the content. */
static struct span content_type_of(const struct config_answer *answer)
{
	static const struct {
		struct span suffix, type;
	} types[] = {
		{SPAN_INIT(".json"), SPAN_INIT("application/json")},
		{SPAN_INIT(".html"), SPAN_INIT("text/html; charset=utf-8")},
		{SPAN_INIT(".xml"), SPAN_INIT("application/xml")},
		{SPAN_INIT(".svg"), SPAN_INIT("image/svg+xml")},
		{SPAN_INIT(".png"), SPAN_INIT("image/png")},
	};

	for (size_t i = 0; i < COUNT_OF(types); i++)
		if (span_ends_with(answer->file, types[i].suffix))
			return types[i].type;
	if (answer->body.len > 0 && (answer->body.ptr[0] == '{' || answer->body.ptr[0] == '['))
		return types[0].type;
	return SPAN("text/plain; charset=utf-8");
}

void schema_answer_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	static const char *const contents[] = {"body", "file", NULL};
	struct config_answer *answer = object;
	unsigned given = schema_given(node, contents);

	if (given > 1)
		reader_error(reader, node->where, "give either 'body' or 'file', not both");
	if (given > 0 && (answer->status == 204 || answer->status == 304))
		reader_error(reader, node->where, "status %u has no body", answer->status);
	if (answer->content_type.len == 0 && given > 0)
		answer->content_type = content_type_of(answer);
}

const struct schema_object schema_answer = {
	.name = "answer",
	.size = sizeof(struct config_answer),
	.keys = answer_keys,
	.shorthand = "status",
	.has_where = true,
	.finish = schema_answer_finish,
};

/* ---- services -------------------------------------------------------------------------------- */

static const struct schema_name protocol_names[] = {
	{"auto", CONFIG_PROTOCOL_AUTO},
	{"http1", CONFIG_PROTOCOL_HTTP1},
	{"h2", CONFIG_PROTOCOL_H2},
	{"h2c", CONFIG_PROTOCOL_H2C},
	{NULL, 0},
};

static const struct schema_name check_names[] = {
	{"off", CONFIG_CHECK_OFF},
	{"observe", CONFIG_CHECK_OBSERVE},
	{"enforce", CONFIG_CHECK_ENFORCE},
	{NULL, 0},
};

static const struct schema_name unknown_names[] = {
	{"allow", CONFIG_UNKNOWN_ALLOW},
	{"strip", CONFIG_UNKNOWN_STRIP},
	{"refuse", CONFIG_UNKNOWN_REFUSE},
	{NULL, 0},
};

static const struct schema_name large_names[] = {
	{"refuse", CONFIG_LARGE_REFUSE},
	{"stream", CONFIG_LARGE_STREAM},
	{NULL, 0},
};

static const struct schema_key contract_keys[] = {
	{KEY("file", FILE, config_contract, file), .flags = SCHEMA_REQUIRED,
	 .text = "OpenAPI document, 3.0 to 3.2, YAML or JSON."},
	{KEY("mode", ENUM, config_contract, mode), .initial = "enforce", .names = check_names,
	 .text = "Requests that break it: refused, or only told."},
	{KEY("responses", ENUM, config_contract, responses), .initial = "off",
	 .names = check_names, .text = "Responses that break it: 502, or only told."},
	{KEY("unknown_query", ENUM, config_contract, unknown_query), .initial = "refuse",
	 .names = unknown_names, .text = "Query parameters that it does not name."},
	{KEY("unknown_properties", ENUM, config_contract, unknown_properties),
	 .initial = "allow", .names = unknown_names,
	 .text = "Properties and form fields of requests that it does not name."},
	{KEY("unknown_response_properties", ENUM, config_contract, unknown_response_properties),
	 .initial = "allow", .names = unknown_names,
	 .text = "Properties of responses that it does not name."},
	{KEY("large", ENUM, config_contract, large), .initial = "refuse", .names = large_names,
	 .text = "Bodies over limits.body_buffer: 413, or checked while they pass."},
	{KEY("base_path", TEXT, config_contract, base_path), .format = &format_any,
	 .text = "Before its paths, in place of that of its servers; / is none."},
	{KEY("formats", BOOL, config_contract, formats), .initial = "on",
	 .text = "Check formats such as date-time and uuid."},
	{KEY("security", BOOL, config_contract, security), .initial = "on",
	 .text = "Demand the scopes of its security requirements."},
	{KEY("memory", SIZE, config_contract, memory_bytes), .initial = "256M", .min = 1 << 20,
	 .max = UINT64_C(16) << 30,
	 .text = "For its compiled schemas, at most; for documents twice as much."},
	{KEY("pattern_time", DURATION, config_contract, pattern_time_ms), .initial = "100ms",
	 .min = 1, .max = 60000,
	 .text = "Processor time that patterns may take for the long values of a request or "
		 "response; then the value breaks the contract."},
	{.name = NULL},
};

static const struct schema_object contract = {
	.name = "contract",
	.size = sizeof(struct config_contract),
	.keys = contract_keys,
	.shorthand = "file",
	.has_where = true,
};

static const struct schema_key service_keys[] = {
	{KEY("endpoints", LIST, config_service, endpoints), .flags = SCHEMA_ONE_OR_LIST,
	 .object = &endpoint, .text = "Where it is; or"},
	{KEY("endpoints_file", OUTPUT, config_service, endpoints_file),
	 .text = "a file that holds the list, in YAML or JSON. When it changes, the "
		 "configuration is loaded again; or"},
	{KEY("discover", OPTIONAL, config_service, discover), .object = &schema_discover,
	 .text = "who is asked for it, again and again."},
	{KEY("protocol", ENUM, config_service, protocol), .initial = "auto",
	 .names = protocol_names, .text = "auto: HTTP/1.1, by ALPN on https, HTTP/2 on h2c."},
	{GROUP("balance", &balance), .text = "How requests are spread."},
	{KEY("timeout", OBJECT, config_service, timeout), .object = &timeout,
	 .text = "How long is waited."},
	{KEY("retry", OBJECT, config_service, retry), .object = &retry,
	 .text = "What is tried again."},
	{KEY("pool", OBJECT, config_service, pool), .object = &schema_pool,
	 .text = "Connections that are kept."},
	{KEY("tls", OBJECT, config_service, tls), .object = &upstream_tls,
	 .text = "For https endpoints."},
	{KEY("identity", OBJECT, config_service, identity), .object = &service_identity,
	 .text = "Passing on who asks."},
	{KEY("host", TEXT, config_service, host), .format = &format_authority,
	 .text = "Host that is sent; without, the client's."},
	{KEY("contract", OPTIONAL, config_service, contract), .object = &contract,
	 .text = "OpenAPI document: its operations are the whitelist."},
	{KEY("waf", ENUM, config_service, waf), .initial = "inherit",
	 .names = schema_waf_override_names, .text = "The firewall's mode here."},
	{KEY("deadline_field", TEXT, config_service, deadline_field),
	 .format = &format_field_name,
	 .text = "Header field with the milliseconds that a request has left, from clients and "
		 "to the service; gRPC has grpc-timeout without it."},
	{KEY("bulkhead", OPTIONAL, config_service, bulkhead), .object = &schema_bulkhead,
	 .text = "How much at once."},
	{KEY("breaker", OPTIONAL, config_service, breaker), .object = &schema_breaker,
	 .text = "Leaving a failing service alone."},
	{KEY("health", OPTIONAL, config_service, health), .object = &schema_health,
	 .text = "Looking whether endpoints are well."},
	{KEY("outlier", OPTIONAL, config_service, outlier), .object = &schema_outlier,
	 .text = "Taking out endpoints that fail real requests."},
	{KEY("fallback", OPTIONAL, config_service, fallback), .object = &schema_fallback,
	 .text = "The answer while the service cannot give one."},
	{.name = NULL},
};

static void check_scheme(struct reader *reader, const struct config_service *service,
			 struct config_where where, enum config_scheme scheme)
{
	if (service->protocol == CONFIG_PROTOCOL_H2 && scheme != CONFIG_SCHEME_HTTPS)
		reader_error(reader, where, "protocol h2 needs https:// endpoints");
	if (service->protocol == CONFIG_PROTOCOL_H2C && scheme == CONFIG_SCHEME_HTTPS)
		reader_error(reader, where, "protocol h2c is for plain-text endpoints");
	if (service->protocol == CONFIG_PROTOCOL_HTTP1 && scheme == CONFIG_SCHEME_H2C)
		reader_error(reader, where, "an h2c:// endpoint speaks no HTTP/1.1");
}

static void service_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	struct config_service *service = object;

	if (service->discover && tree_get(node, "endpoints"))
		reader_error(reader, service->discover->where,
			     "give either 'endpoints' or 'discover'");
	else if (!service->discover && !tree_get(node, "endpoints") &&
		 !tree_get(node, "endpoints_file"))
		reader_error(reader, node->where, "'endpoints' is missing");
	else if (service->endpoints.count == 0 && tree_get(node, "endpoints"))
		reader_error(reader, node->where, "'endpoints' is empty");
	for (size_t i = 0; i < service->endpoints.count; i++)
		check_scheme(reader, service, service->endpoints.at[i].where,
			     service->endpoints.at[i].scheme);
	if (service->discover)
		check_scheme(reader, service, service->discover->where,
			     service->discover->scheme);
	if (service->identity.jwt.audience.len == 0)
		service->identity.jwt.audience = service->name;
}

const struct schema_object schema_service = {
	.name = "service",
	.size = sizeof(struct config_service),
	.keys = service_keys,
	.has_where = true,
	.name_offset = offsetof(struct config_service, name),
	.finish = service_finish,
};
