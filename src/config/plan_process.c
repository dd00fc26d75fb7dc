/* plan_process.c - the process itself, its limits, and whom it tells. */
#include "config/config.h"

#include "config/plan_parts.h"
#include "parse/units.h"
#include "parse/uri.h"

static void text_workers(const struct config *cfg, struct buf *out)
{
	if (cfg->workers)
		buf_printf(out, "  %u workers", cfg->workers);
	else
		buf_append_cstr(out, "  a worker for each core");
	for (size_t i = 0; i < cfg->worker_cpus.count; i++)
		buf_printf(out, "%s%u", i ? ", " : " on cores ", cfg->worker_cpus.at[i]);
	if (cfg->user.len)
		buf_printf(out, "; user %.*s", SPAN_ARG(cfg->user));
	if (cfg->group.len)
		buf_printf(out, "; group %.*s", SPAN_ARG(cfg->group));
	buf_append_cstr(out, cfg->sandbox ? "; confined\n" : "; NOT confined\n");
}

static void text_logs(const struct config_log *log, struct buf *out)
{
	static const char *const levels[] = {[LOG_DEBUG] = "debug",
					     [LOG_INFO] = "info",
					     [LOG_WARN] = "warn",
					     [LOG_ERROR] = "error"};
	static const char *const access[] = {[CONFIG_ACCESS_LOG_OFF] = "not told",
					     [CONFIG_ACCESS_LOG_STDOUT] = "to stdout",
					     [CONFIG_ACCESS_LOG_STDERR] = "to stderr",
					     [CONFIG_ACCESS_LOG_FILE] = "to "};

	if (log->level == LOG_OFF)
		buf_append_cstr(out, "  logs: no events");
	else
		buf_printf(out, "  logs: events from '%s' on", levels[log->level]);
	buf_printf(out, ", requests %s%.*s", access[log->access], SPAN_ARG(log->access_path));
	if (log->audit_path.len)
		buf_printf(out, ", audit to %.*s", SPAN_ARG(log->audit_path));
	buf_append_byte(out, '\n');
}

/* Of a URL its scheme alone: all else may be secret. */
static struct span scheme_of(const struct secret *url)
{
	struct span text = secret_span(url);

	return span_cut(&text, ':');
}

static void text_store(const struct config_store *store, struct buf *out)
{
	if (store->url.len == 0)
		return;
	buf_printf(out, "  store: %.*s", SPAN_ARG(scheme_of(&store->url)));
	if (store->shared.len)
		buf_printf(out, ", shared by %.*s", SPAN_ARG(scheme_of(&store->shared)));
	buf_append_byte(out, '\n');
}

static void text_overload(const struct config_overload *overload, struct buf *out)
{
	const struct {
		const char *what;
		uint32_t percent;
	} actions[] = {
		{"who sends most waits", overload->fair_share_percent},
		{"no keep-alive", overload->no_keep_alive_percent},
		{"short timeouts", overload->short_timeouts_percent},
		{"low priority is shed", overload->shed_low_percent},
		{"normal priority too", overload->shed_normal_percent},
		{"connections are refused", overload->refuse_percent},
	};
	const char *before = "  overload: ";

	for (size_t i = 0; i < COUNT_OF(actions); i++) {
		if (!actions[i].percent)
			continue;
		buf_printf(out, "%s%s at %u%%", before, actions[i].what, actions[i].percent);
		before = ", ";
	}
	if (before[0] == ',')
		buf_append_byte(out, '\n');
}

void plan_process(const struct config *cfg, struct buf *out)
{
	buf_append_cstr(out, "process\n");
	text_workers(cfg, out);
	text_logs(&cfg->log, out);
	text_store(&cfg->store, out);
	if (cfg->overload)
		text_overload(cfg->overload, out);
}

/* ---- clients --------------------------------------------------------------------------------- */

static void text_messages(const struct config_limits *limits, struct buf *out)
{
	plan_size(out, "  heads: a line of ", limits->request_line_bytes);
	buf_printf(out, ", %u fields", limits->header_count);
	plan_size(out, " of ", limits->header_bytes);
	plan_duration(out, ", within ", limits->headers_timeout_ms);
	buf_append_cstr(out, "\n  bodies: ");
	if (limits->body_rate_bytes) {
		plan_size(out, "at least ", limits->body_rate_bytes);
		plan_duration(out, "/s after ", limits->body_grace_ms);
	} else {
		buf_append_cstr(out, "however slow");
	}
	if (limits->response_rate_bytes)
		plan_size(out, "; answers are taken at ", limits->response_rate_bytes);
	buf_printf(out, "%s", limits->response_rate_bytes ? "/s" : "; answers however slowly");
	plan_size(out, "; to be checked, up to ", limits->body_buffer_bytes);
	plan_size(out, " each, ", limits->body_buffers_bytes);
	buf_append_cstr(out, " together\n");
}

static void text_connections(const struct config_limits *limits, struct buf *out)
{
	buf_printf(out, "  connections: %u", limits->connections);
	if (limits->connections_per_address)
		buf_printf(out, ", %u of an address", limits->connections_per_address);
	if (limits->requests_per_connection)
		buf_printf(out, "; %u requests each", limits->requests_per_connection);
	plan_duration(out, "; idle for ", limits->keep_alive_timeout_ms);
	plan_duration(out, "; drained within ", limits->drain_timeout_ms);
	buf_append_byte(out, '\n');
}

static bool speaks_http2(const struct config *cfg)
{
	for (size_t i = 0; i < cfg->listen.count; i++) {
		const struct config_listen *listen = &cfg->listen.at[i];

		if (listen->tls ? listen->http2 : listen->h2c)
			return true;
	}
	return false;
}

static void text_http2(const struct config_http2_limits *limits, struct buf *out)
{
	buf_printf(out, "  HTTP/2: %u streams, %u resets", limits->streams, limits->resets);
	plan_duration(out, " within ", limits->resets_interval_ms);
	plan_size(out, "; heads of ", limits->header_list_bytes);
	buf_printf(out, " and %u continuations", limits->continuations);
	plan_size(out, "; windows of ", limits->window_bytes);
	plan_size(out, " and ", limits->connection_window_bytes);
	if (limits->ping_interval_ms) {
		plan_duration(out, "; PING after ", limits->ping_interval_ms);
		plan_duration(out, " of silence, closed ", limits->ping_timeout_ms);
		buf_append_cstr(out, " later\n");
	} else {
		buf_append_cstr(out, "; no PING\n");
	}
}

static void text_addresses(const struct config *cfg, struct buf *out)
{
	const struct config_forwarded_headers *fields = &cfg->forwarded;
	char text[ADDRESS_TEXT_SIZE];

	buf_append_cstr(out, "  address: that of the connection");
	for (size_t i = 0; i < cfg->trusted_proxies.count; i++) {
		buf_append_cstr(out, i ? ", " : ", or what is said by ");
		buf_append_bytes(out, text, cidr_format(&cfg->trusted_proxies.at[i], text));
	}
	if (cfg->trusted_proxies.count)
		buf_append_cstr(out, fields->client_headers != CONFIG_FORWARDED_DROP
					     ? " in fields or PROXY protocol"
					     : " in PROXY protocol");
	buf_printf(out, "\n  fields that services get: %s%s%.*s",
		   fields->send & CONFIG_FORWARDED_SEND_X ? "X-Forwarded-*, " : "",
		   fields->send & CONFIG_FORWARDED_SEND_RFC7239 ? "Forwarded, " : "",
		   SPAN_ARG(fields->request_id_header));
	if (fields->via.len)
		buf_printf(out, ", Via: %.*s", SPAN_ARG(fields->via));
	buf_append_byte(out, '\n');
}

static void text_answers(const struct config_security_headers *headers, struct buf *out)
{
	struct plan_line line = {.out = out, .indent = "  answers: "};

	for (size_t i = 0; headers->enabled && i < headers->fields.count; i++) {
		if (i == 0)
			plan_part(&line, "with ");
		buf_printf(out, "%s%.*s", i ? ", " : "", SPAN_ARG(headers->fields.at[i].name));
	}
	if (headers->enabled && headers->hsts.len)
		plan_part(&line, "on TLS strict-transport-security");
	if (headers->remove_server)
		plan_part(&line, "without server");
	plan_end(&line);
}

void plan_clients(const struct config *cfg, struct buf *out)
{
	buf_append_cstr(out, "clients\n");
	text_messages(&cfg->limits, out);
	text_connections(&cfg->limits, out);
	if (speaks_http2(cfg))
		text_http2(&cfg->limits.http2, out);
	text_addresses(cfg, out);
	text_answers(&cfg->headers, out);
}

/* ---- who is told ----------------------------------------------------------------------------- */

void plan_notices(const struct config *cfg, struct buf *out)
{
	for (size_t i = 0; i < cfg->webhooks.count; i++) {
		const struct config_webhook *hook = &cfg->webhooks.at[i];

		buf_printf(out, "%s  %.*s: %.*s%s%s\n", i ? "" : "webhooks\n",
			   SPAN_ARG(hook->name), SPAN_ARG(uri_origin(hook->url)),
			   hook->events & CONFIG_WEBHOOK_APPROVALS ? "; approvals" : "",
			   hook->events & CONFIG_WEBHOOK_PROCEDURES ? "; procedures" : "");
	}
	if (cfg->mail)
		buf_printf(out, "mail\n  %.*s from %.*s%s\n", SPAN_ARG(cfg->mail->url),
			   SPAN_ARG(cfg->mail->from),
			   cfg->mail->tls == CONFIG_MAIL_TLS_REQUIRED ? ""
			   : cfg->mail->tls == CONFIG_MAIL_TLS_OFF    ? "; without TLS"
								      : "; TLS if it has it");
}

/* ---- packages -------------------------------------------------------------------------------- */

void plan_registry(const struct config *cfg, struct buf *out)
{
	const struct config_registry *registry = cfg->registry;

	if (!registry)
		return;
	buf_printf(out, "registry\n  what passes: %s",
		   registry->mode == CONFIG_REGISTRY_APPROVED
			   ? "what is approved, and not refused by the policy"
			   : "what is not refused by the policy");
	if (registry->policy.len)
		buf_printf(out, " %.*s", SPAN_ARG(registry->policy));
	buf_printf(out, "\n  advisories: %.*s\n", SPAN_ARG(registry->database));
	for (size_t i = 0; i < registry->upstreams.count; i++) {
		const struct config_upstream *upstream = &registry->upstreams.at[i];

		buf_printf(out, "  %.*s%s%.*s: %.*s\n", SPAN_ARG(registry->mount),
			   registry->mount.ptr ? "/" : "", SPAN_ARG(upstream->name),
			   SPAN_ARG(uri_origin(upstream->url)));
	}
	for (size_t i = 0; i < registry->internal.count; i++)
		buf_printf(out, "%s%.*s%s", i ? ", " : "  never from an upstream: ",
			   SPAN_ARG(registry->internal.at[i]),
			   i + 1 == registry->internal.count ? "\n" : "");
}
