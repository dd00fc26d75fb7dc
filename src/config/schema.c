#include "config/schema.h"

#include "config/schema_parts.h"

/* ---- limits ---------------------------------------------------------------------------------- */

static const struct schema_key http2_keys[] = {
	{KEY("streams", COUNT, config_http2_limits, streams), .initial = "128", .min = 1,
	 .max = 65535, .text = "Concurrent streams of a connection."},
	{KEY("resets", COUNT, config_http2_limits, resets), .initial = "100", .min = 1,
	 .max = 1000000, .text = "Streams that a client may reset in `resets_interval`."},
	{KEY("resets_interval", DURATION, config_http2_limits, resets_interval_ms),
	 .initial = "10s", .min = 1000, .text = "See `resets`."},
	{KEY("continuations", COUNT, config_http2_limits, continuations), .initial = "8",
	 .max = 1000, .text = "CONTINUATION frames of one header block."},
	{KEY("header_list", SIZE, config_http2_limits, header_list_bytes), .initial = "32k",
	 .min = 1024, .max = 16777216, .text = "All fields of a request, decoded."},
	{KEY("window", SIZE, config_http2_limits, window_bytes), .initial = "256k",
	 .min = 65535, .max = 2147483647, .text = "Flow-control window of a stream."},
	{KEY("connection_window", SIZE, config_http2_limits, connection_window_bytes),
	 .initial = "1M", .min = 65535, .max = 2147483647,
	 .text = "Flow-control window of a connection."},
	{KEY("ping_interval", DURATION, config_http2_limits, ping_interval_ms), .initial = "1m",
	 .min = 0,
	 .text = "A client that has been silent for so long is asked for a sign of life "
		 "(PING); "
		 "0: never."},
	{KEY("ping_timeout", DURATION, config_http2_limits, ping_timeout_ms), .initial = "20s",
	 .min = 1, .text = "How long for; then its connection is closed."},
	{.name = NULL},
};

static const struct schema_object http2 = {
	.name = "http2_limits",
	.size = sizeof(struct config_http2_limits),
	.keys = http2_keys,
};

static const struct schema_name compressed_names[] = {
	{"decode", CONFIG_COMPRESSED_DECODE},
	{"refuse", CONFIG_COMPRESSED_REFUSE},
	{NULL, 0},
};

static const struct schema_key limits_keys[] = {
	{KEY("request_line", SIZE, config_limits, request_line_bytes), .initial = "8k",
	 .min = 256, .max = 65536, .text = "Request line."},
	{KEY("header_count", COUNT, config_limits, header_count), .initial = "100", .min = 4,
	 .max = 1000, .text = "Header fields."},
	{KEY("headers", SIZE, config_limits, header_bytes), .initial = "32k", .min = 1024,
	 .max = 1048576,
	 .text = "Header fields of a request over HTTP/1, with their line ends and the empty "
		 "line."},
	{KEY("body", SIZE, config_limits, body_bytes), .initial = "10M",
	 .text = "Request body; 0 sets no limit."},
	{KEY("headers_timeout", DURATION, config_limits, headers_timeout_ms), .initial = "10s",
	 .min = 1, .text = "From the first byte to the end of the head."},
	{KEY("body_rate", SIZE, config_limits, body_rate_bytes), .initial = "512",
	 .text = "Bytes a second that a body must make; 0 sets no minimum."},
	{KEY("body_grace", DURATION, config_limits, body_grace_ms), .initial = "10s",
	 .text = "Before `body_rate` holds."},
	{KEY("response_rate", SIZE, config_limits, response_rate_bytes), .initial = "512",
	 .text = "Bytes a second that a client must take, after `body_grace` without any "
		 "progress; 0 sets no minimum."},
	{KEY("keep_alive", DURATION, config_limits, keep_alive_timeout_ms), .initial = "60s",
	 .min = 1, .text = "Idle time between requests."},
	{KEY("requests_per_connection", COUNT, config_limits, requests_per_connection),
	 .initial = "10000", .text = "Then it is closed; 0 sets no limit."},
	{KEY("connections", COUNT, config_limits, connections), .initial = "16384", .min = 1,
	 .text = "Connections of clients, all together."},
	{KEY("connections_per_address", COUNT, config_limits, connections_per_address),
	 .initial = "256", .text = "Of one address; 0 sets no limit."},
	{KEY("drain", DURATION, config_limits, drain_timeout_ms), .initial = "30s",
	 .text = "What is still open so long after a reload, upgrade or stop is cut off."},
	{KEY("body_buffer", SIZE, config_limits, body_buffer_bytes), .initial = "1M",
	 .min = 16384, .max = 1073741824,
	 .text = "Of a body that is held back until it has been checked."},
	{KEY("body_buffers", SIZE, config_limits, body_buffers_bytes), .initial = "256M",
	 .min = 1048576, .text = "Of all such bodies together; beyond it the answer is 503."},
	{KEY("compressed", ENUM, config_limits, compressed), .initial = "decode",
	 .names = compressed_names,
	 .text = "Bodies in gzip or deflate that are to be checked: decoded, up to "
		 "body_buffer, "
		 "and passed on so; or 415."},
	{KEY("exchange_memory", SIZE, config_limits, exchange_memory_bytes), .initial = "1M",
	 .min = 65536, .text = "Memory of one request and its response."},
	{KEY("http2", OBJECT, config_limits, http2), .object = &http2,
	 .text = "Limits of HTTP/2."},
	{.name = NULL},
};

static void limits_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_limits *limits = object;

	if (limits->request_line_bytes + limits->header_bytes > limits->exchange_memory_bytes)
		reader_error(reader, node->where,
			     "exchange_memory must hold request_line and headers");
}

static const struct schema_object limits = {
	.name = "limits",
	.size = sizeof(struct config_limits),
	.keys = limits_keys,
	.finish = limits_finish,
};

/* ---- forwarded, admin, log ------------------------------------------------------------------- */

static const struct schema_name forwarded_names[] = {
	{"drop", CONFIG_FORWARDED_DROP},
	{"trusted", CONFIG_FORWARDED_TRUSTED},
	{"x-forwarded", CONFIG_FORWARDED_X},
	{"forwarded", CONFIG_FORWARDED_RFC7239},
	{NULL, 0},
};

static const struct schema_name send_names[] = {
	{"x-forwarded", CONFIG_FORWARDED_SEND_X},
	{"forwarded", CONFIG_FORWARDED_SEND_RFC7239},
	{NULL, 0},
};

static const struct schema_key forwarded_keys[] = {
	{KEY("client_headers", ENUM, config_forwarded_headers, client_headers),
	 .initial = "drop", .names = forwarded_names,
	 .text = "Forwarded fields of a request: none, or those of `trusted_proxies`; of these "
		 "only "
		 "the kind that they write, or both, which must then agree."},
	{KEY("send", FLAGS, config_forwarded_headers, send), .initial = "x-forwarded",
	 .names = send_names, .text = "Fields that services get."},
	{KEY("request_id_header", TEXT, config_forwarded_headers, request_id_header),
	 .initial = "x-request-id", .format = &format_field_name,
	 .text = "Field with the id of a request."},
	{KEY("request_id_accept", BOOL, config_forwarded_headers, request_id_accept),
	 .initial = "false", .text = "Keep the id that `trusted_proxies` send."},
	{KEY("via", TEXT, config_forwarded_headers, via), .initial = "sallyport",
	 .format = &format_field_name_or_none, .text = "Our name in Via; \"\" sends none."},
	{.name = NULL},
};

static const struct schema_object forwarded = {
	.name = "forwarded",
	.size = sizeof(struct config_forwarded_headers),
	.keys = forwarded_keys,
};

static const struct schema_key admin_keys[] = {
	{KEY("enabled", BOOL, config_admin, enabled), .initial = "true",
	 .text = "Listen for metrics, health and administration."},
	{KEY("address", ADDRESS, config_admin, address), .initial = "127.0.0.1:9901",
	 .text = "Where; it asks nobody who they are."},
	{KEY("actions", BOOL, config_admin, actions), .initial = "false",
	 .text = "Let it change things too, such as the state of a breaker."},
	{.name = NULL},
};

bool config_address_is_local(const struct config_address *address)
{
	struct address ip;

	if (address->unix_path.len > 0 || span_eq(address->host, SPAN("localhost")))
		return true;
	return address_parse(address->host, &ip) && address_is_loopback(&ip);
}

static void admin_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_admin *admin = object;

	if (admin->enabled && !config_address_is_local(&admin->address))
		reader_warn(reader, node->where,
			    "the admin listener can be reached from other machines, and asks "
			    "nobody who they are");
}

static const struct schema_object admin = {
	.name = "admin",
	.size = sizeof(struct config_admin),
	.keys = admin_keys,
	.shorthand = "enabled",
	.has_where = true,
	.finish = admin_finish,
};

static const struct schema_name level_names[] = {
	{"debug", LOG_DEBUG}, {"info", LOG_INFO}, {"warn", LOG_WARN},
	{"error", LOG_ERROR}, {"off", LOG_OFF},	  {NULL, 0},
};

static const struct schema_name log_format_names[] = {
	{"json", LOG_FORMAT_JSON},
	{"text", LOG_FORMAT_TEXT},
	{NULL, 0},
};

static bool read_access(struct reader *reader, const struct tree_node *node, void *object)
{
	struct config_log *log = object;

	if (span_eq(node->text, SPAN("off"))) {
		log->access = CONFIG_ACCESS_LOG_OFF;
	} else if (span_eq(node->text, SPAN("stdout"))) {
		log->access = CONFIG_ACCESS_LOG_STDOUT;
	} else if (span_eq(node->text, SPAN("stderr"))) {
		log->access = CONFIG_ACCESS_LOG_STDERR;
	} else if (format_any.valid(node->text)) {
		log->access = CONFIG_ACCESS_LOG_FILE;
		log->access_path = reader_resolve(reader, node, node->text);
	} else {
		return false;
	}
	return true;
}

static void print_access(const void *object, struct buf *out)
{
	const struct config_log *log = object;

	buf_append_byte(out, '"');
	switch (log->access) {
	case CONFIG_ACCESS_LOG_OFF: buf_append_cstr(out, "off"); break;
	case CONFIG_ACCESS_LOG_STDOUT: buf_append_cstr(out, "stdout"); break;
	case CONFIG_ACCESS_LOG_STDERR: buf_append_cstr(out, "stderr"); break;
	case CONFIG_ACCESS_LOG_FILE: buf_append_json(out, log->access_path); break;
	}
	buf_append_byte(out, '"');
}

static const struct schema_custom access_log = {
	.what = "off, stdout, stderr or a file",
	.read = read_access,
	.print = print_access,
	.json_schema = "\"type\":\"string\"",
};

static const struct schema_key audit_keys[] = {
	{KEY("path", OUTPUT, config_log, audit_path), .text = "File of the audit log."},
	{.name = NULL},
};

static const struct schema_object audit = {
	.name = "audit",
	.size = sizeof(struct config_log),
	.keys = audit_keys,
	.shorthand = "path",
};

static const struct schema_key log_keys[] = {
	{KEY("level", ENUM, config_log, level), .initial = "info", .names = level_names,
	 .text = "What is worth a line."},
	{KEY("format", ENUM, config_log, format), .initial = "json", .names = log_format_names,
	 .text = "Of the log of events."},
	{.name = "access",
	 .type = SCHEMA_CUSTOM,
	 .initial = "stdout",
	 .custom = &access_log,
	 .text = "A line for each request: off, stdout, stderr or a file."},
	{GROUP("audit", &audit), .text = "The log that shows when it was changed."},
	{.name = NULL},
};

static const struct schema_object log_schema = {
	.name = "log",
	.size = sizeof(struct config_log),
	.keys = log_keys,
};

/* ---- response headers ------------------------------------------------------------------------ */

static const struct config_pair security_fields[] = {
	{SPAN_INIT("x-content-type-options"), SPAN_INIT("nosniff")},
	{SPAN_INIT("x-frame-options"), SPAN_INIT("DENY")},
	{SPAN_INIT("referrer-policy"), SPAN_INIT("no-referrer")},
	{SPAN_INIT("content-security-policy"), SPAN_INIT("frame-ancestors 'none'")},
	{SPAN_INIT("cross-origin-opener-policy"), SPAN_INIT("same-origin")},
};

static const struct schema_key headers_keys[] = {
	{KEY("enabled", BOOL, config_security_headers, enabled), .initial = "true",
	 .text = "Add security headers to responses that lack them."},
	{KEY("set", PAIRS, config_security_headers, fields),
	 .text = "Values other than the defaults, or further fields; \"\" leaves one out."},
	{KEY("hsts", TEXT, config_security_headers, hsts), .initial = "max-age=31536000",
	 .format = &format_field_value,
	 .text = "Strict-Transport-Security on TLS; \"\" sends none."},
	{KEY("remove_server", BOOL, config_security_headers, remove_server), .initial = "true",
	 .text = "Take out Server, X-Powered-By and the like."},
	{.name = NULL},
};

static bool has_field(const struct config_security_headers *headers, struct span name)
{
	for (size_t i = 0; i < headers->fields.count; i++)
		if (span_eq(headers->fields.at[i].name, name))
			return true;
	return false;
}

/* The defaults that the file does not override, then the file's that are not empty. */
static void headers_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	struct config_security_headers *headers = object;
	struct config_pair *fields = reader_array(
		reader, struct config_pair, headers->fields.count + COUNT_OF(security_fields));
	size_t count = 0;

	(void)node;
	if (!fields)
		return;
	for (size_t i = 0; i < COUNT_OF(security_fields); i++)
		if (headers->enabled && !has_field(headers, security_fields[i].name))
			fields[count++] = security_fields[i];
	for (size_t i = 0; i < headers->fields.count; i++)
		if (headers->fields.at[i].value.len > 0)
			fields[count++] = headers->fields.at[i];
	headers->fields.at = fields;
	headers->fields.count = count;
}

static const struct schema_object headers_schema = {
	.name = "headers",
	.size = sizeof(struct config_security_headers),
	.keys = headers_keys,
	.shorthand = "enabled",
	.finish = headers_finish,
};

/* ---- storage, later phases ------------------------------------------------------------------- */

static const struct schema_key store_keys[] = {
	{KEY("url", SECRET, config_store, url),
	 .text = "sqlite:file or postgres://...; where what must last is kept."},
	{KEY("shared", SECRET, config_store, shared),
	 .text = "redis://...; what replicas share."},
	{.name = NULL},
};

/* "sqlite:" and a path relative to the configuration becomes one relative to where we run. */
static void resolve_sqlite(struct reader *reader, const struct tree_node *node,
			   struct secret *url)
{
	struct span path = span_slice(secret_span(url), 7, url->len);
	struct span resolved = reader_resolve(reader, node, path);
	struct span whole = arena_printf(reader->trees, "sqlite:%.*s", SPAN_ARG(resolved));

	if (!resolved.ptr || !whole.ptr || secret_set(url, whole) != 0)
		reader->out_of_memory = true;
}

static void store_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	struct config_store *store = object;
	struct span url = secret_span(&store->url), shared = secret_span(&store->shared);

	if (url.len > 7 && span_starts_with(url, SPAN("sqlite:")))
		resolve_sqlite(reader, node, &store->url);
	else if (url.len > 0 && !span_starts_with(url, SPAN("postgres://")) &&
		 !span_starts_with(url, SPAN("postgresql://")))
		reader_error(reader, node->where,
			     "expected sqlite:file or postgres://... as the store");
	if (shared.len > 0 && !span_starts_with(shared, SPAN("redis://")) &&
	    !span_starts_with(shared, SPAN("rediss://")))
		reader_error(reader, node->where,
			     "expected redis://... or rediss://... as the shared store");
}

static const struct schema_object store = {
	.name = "store",
	.size = sizeof(struct config_store),
	.keys = store_keys,
	.shorthand = "url",
	.has_where = true,
	.finish = store_finish,
};

static const struct schema_key sensitive_keys[] = {
	{KEY("operation", TEXT, config_sensitive, operation), .flags = SCHEMA_REQUIRED,
	 .format = &format_any, .text = "Operation that waits for approval."},
	{KEY("approvals", COUNT, config_sensitive, approvals), .initial = "1", .min = 1,
	 .max = 16, .text = "How many are needed."},
	{KEY("by", TEXT, config_sensitive, by), .format = &format_name,
	 .text = "Role of those who approve; without, 'acr' or 'max_age' is what it takes."},
	{KEY("acr", TEXTS, config_sensitive, acr), .format = &format_scope,
	 .text = "The login must be of one of these classes (acr; the built-in server has pwd, "
		 "mfa, phr); else 401 asks for it (RFC 9470)."},
	{KEY("max_age", DURATION, config_sensitive, max_age_ms), .initial = "0",
	 .max = 31536000000,
	 .text = "The login must not be older; else 401 asks for a new one."},
	{KEY("pending", COUNT, config_sensitive, pending), .initial = "20", .max = 1000,
	 .text = "Requests of one requester that may wait for approval at once; 0: any "
		 "number."},
	{KEY("expires", DURATION, config_sensitive, expires_ms), .initial = "10m", .min = 1000,
	 .text = "How long a request waits."},
	{KEY("hold", DURATION, config_sensitive, hold_ms), .initial = "0s", .max = 600000,
	 .text = "How long the client is kept waiting for a decision before it gets 202."},
	{.name = NULL},
};

static void sensitive_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_sensitive *s = object;

	if (!s->by.len && !s->acr.count && !s->max_age_ms)
		reader_error(reader, node->where,
			     "give 'by' (approvals), 'acr' or 'max_age' (step-up), or both");
	if (!s->by.len && tree_get(node, "approvals"))
		reader_error(reader, node->where, "'approvals' needs 'by'");
	if (s->max_age_ms && s->max_age_ms < 1000)
		reader_error(reader, node->where, "'max_age' is less than a second");
}

static const struct schema_object sensitive = {
	.name = "sensitive",
	.size = sizeof(struct config_sensitive),
	.keys = sensitive_keys,
	.has_where = true,
	.finish = sensitive_finish,
};

/* ---- the whole ------------------------------------------------------------------------------- */

static const struct schema_key config_keys[] = {
	{KEY("include", TEXTS, config, include), .format = &format_any,
	 .text = "Files with more of these keys, folders of such files, or patterns such as "
		 "patches/*.yaml; lists and services of all are put together."},
	{KEY("listen", LIST, config, listen), .flags = SCHEMA_REQUIRED | SCHEMA_ONE_OR_LIST,
	 .object = &schema_listen, .text = "Where clients connect."},
	{KEY("workers", COUNT, config, workers), .initial = "0", .max = 1024,
	 .text = "Threads that serve; 0 is one for each core."},
	{KEY("worker_cpus", COUNTS, config, worker_cpus), .max = 4095,
	 .text = "Cores to pin the workers to, in turn."},
	{KEY("user", TEXT, config, user), .format = &format_name,
	 .text = "User to become after binding."},
	{KEY("group", TEXT, config, group), .format = &format_name,
	 .text = "Group to become; without, the user's."},
	{KEY("sandbox", BOOL, config, sandbox), .initial = "on",
	 .text = "Give up what is not needed (seccomp, Landlock, core dumps)."},
	{KEY("limits", OBJECT, config, limits), .object = &limits,
	 .text = "What a client may ask of us."},
	{KEY("trusted_proxies", NETWORKS, config, trusted_proxies),
	 .text = "Networks of proxies in front of us."},
	{KEY("forwarded", OBJECT, config, forwarded), .object = &forwarded,
	 .text = "Fields that tell where a request comes from."},
	{KEY("admin", OBJECT, config, admin), .object = &admin,
	 .text = "Metrics, health, administration."},
	{KEY("log", OBJECT, config, log), .object = &log_schema, .text = "Logs."},
	{KEY("identity", OBJECT, config, identity), .object = &schema_identity,
	 .text = "Who is who."},
	{KEY("services", MAP, config, services), .object = &schema_service,
	 .text = "What stands behind, by name."},
	{KEY("routes", LIST, config, routes), .object = &schema_route,
	 .text = "What is let in; all else is refused."},
	{KEY("headers", OBJECT, config, headers), .object = &headers_schema,
	 .text = "Security headers of responses."},
	{KEY("store", OBJECT, config, store), .object = &store, .text = "Storage."},
	{KEY("sensitive", LIST, config, sensitive), .object = &sensitive,
	 .text = "Operations that need approval."},
	{KEY("overload", OPTIONAL, config, overload), .object = &schema_overload,
	 .text = "What is done when memory, descriptors, time or connections run out."},
	{KEY("waf", OPTIONAL, config, waf), .object = &schema_waf,
	 .text = "The web application firewall."},
	{KEY("patches", MAP, config, patches), .object = &schema_patch,
	 .text = "Virtual patches: known vulnerabilities that requests are kept from, by "
		 "name."},
	{KEY("ips", OPTIONAL, config, ips), .object = &schema_ips,
	 .text = "Clients that keep attacking are banned."},
	{KEY("webhooks", MAP, config, webhooks), .object = &schema_webhook,
	 .text = "Where other systems are told of events, by name."},
	{KEY("challenge", OBJECT, config, challenge), .object = &schema_challenge,
	 .text = "What browsers do first, on routes that ask for it."},
	{KEY("procedures", MAP, config, procedures), .object = &schema_procedure,
	 .text = "What is done about services that are not well, by name."},
	{KEY("mail", OPTIONAL, config, mail), .object = &schema_mail,
	 .text = "How mail is sent."},
	{KEY("registry", OPTIONAL, config, registry), .object = &schema_registry,
	 .text = "The firewall before package registries; a route with service: registry leads "
		 "to it."},
	{.name = NULL},
};

const struct schema_object schema_config = {
	.name = "sallyport",
	.size = sizeof(struct config),
	.keys = config_keys,
};
