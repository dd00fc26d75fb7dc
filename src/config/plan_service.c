/* plan_service.c - where services are, how they are spoken to, and what they promise. */
#include "config/config.h"

#include "config/plan_parts.h"
#include "parse/units.h"

static void text_discover(const struct config_discover *discover, struct buf *out)
{
	const struct config_kubernetes *kubernetes = discover->kubernetes;

	if (discover->srv.len)
		buf_printf(out, "endpoints from SRV records of %.*s", SPAN_ARG(discover->srv));
	else if (discover->dns.len)
		buf_printf(out, "endpoints from the addresses of %.*s",
			   SPAN_ARG(discover->dns));
	else
		buf_printf(out, "endpoints from EndpointSlices of %.*s/%.*s at %.*s",
			   SPAN_ARG(kubernetes->namespace_name), SPAN_ARG(kubernetes->service),
			   SPAN_ARG(kubernetes->server));
	if (discover->scheme != CONFIG_SCHEME_HTTP)
		buf_append_cstr(out, discover->scheme == CONFIG_SCHEME_HTTPS ? " (https)"
									     : " (h2c)");
}

static void text_contract(const struct config_contract *contract, struct buf *out)
{
	static const char *const checks[] = {[CONFIG_CHECK_OFF] = "off",
					     [CONFIG_CHECK_OBSERVE] = "observe",
					     [CONFIG_CHECK_ENFORCE] = "enforce"};
	static const char *const unknown[] = {[CONFIG_UNKNOWN_ALLOW] = "allow",
					      [CONFIG_UNKNOWN_STRIP] = "strip",
					      [CONFIG_UNKNOWN_REFUSE] = "refuse"};

	buf_printf(out, "      contract %.*s: requests %s, responses %s; unknown: query %s, ",
		   SPAN_ARG(contract->file), checks[contract->mode],
		   checks[contract->responses], unknown[contract->unknown_query]);
	buf_printf(out, "properties %s, of responses %s%s\n",
		   unknown[contract->unknown_properties],
		   unknown[contract->unknown_response_properties],
		   contract->security ? "" : "; its security does not count");
}

static const char *protocol_name(enum config_protocol protocol)
{
	switch (protocol) {
	case CONFIG_PROTOCOL_AUTO: break;
	case CONFIG_PROTOCOL_HTTP1: return "HTTP/1.1";
	case CONFIG_PROTOCOL_H2: return "HTTP/2";
	case CONFIG_PROTOCOL_H2C: return "HTTP/2 in plain text";
	}
	return NULL;
}

static void part_balance(struct plan_line *line, const struct config_service *service)
{
	static const char *const by[] = {[CONFIG_HASH_BY_ADDRESS] = "address",
					 [CONFIG_HASH_BY_HEADER] = "header",
					 [CONFIG_HASH_BY_COOKIE] = "cookie",
					 [CONFIG_HASH_BY_PATH] = "path",
					 [CONFIG_HASH_BY_USER] = "user"};

	if (service->balance == CONFIG_BALANCE_LEAST_REQUESTS) {
		plan_part(line, "the endpoint with the least requests");
	} else if (service->balance == CONFIG_BALANCE_CONSISTENT_HASH) {
		plan_part(line, "the endpoint by ");
		buf_printf(line->out, "%s%s%.*s", by[service->hash_by],
			   service->hash_name.len ? " " : "", SPAN_ARG(service->hash_name));
	}
}

static bool has_scheme(const struct config_service *service, enum config_scheme scheme)
{
	if (service->discover && service->discover->scheme == scheme)
		return true;
	for (size_t i = 0; i < service->endpoints.count; i++)
		if (service->endpoints.at[i].scheme == scheme)
			return true;
	return false;
}

static void part_tls(struct plan_line *line, const struct config_upstream_tls *tls)
{
	if (!tls->verify)
		plan_part(line, "its certificate is NOT verified");
	else if (tls->ca.len)
		plan_part(line, "authorities in ");
	if (tls->verify)
		buf_append(line->out, tls->ca);
	if (tls->server_name.len) {
		plan_part(line, "as ");
		buf_append(line->out, tls->server_name);
	}
	if (tls->certificate.len) {
		plan_part(line, "our certificate ");
		buf_append(line->out, tls->certificate);
	}
	if (tls->min_version == CONFIG_TLS_1_3)
		plan_part(line, "TLS 1.3");
}

static void part_ping(struct plan_line *line, const struct config_pool *pool)
{
	if (!pool->ping_interval_ms) {
		plan_part(line, "no HTTP/2 PING");
		return;
	}
	plan_part(line, "HTTP/2 PING after ");
	units_append_duration(line->out, pool->ping_interval_ms);
	plan_duration(line->out, " of silence, closed ", pool->ping_timeout_ms);
	buf_append_cstr(line->out, " later");
}

/* How it is spoken to, where that is not the usual way. */
static void text_manner(const struct config_service *service, struct buf *out)
{
	struct plan_line line = {.out = out, .indent = "    "};
	bool tls = has_scheme(service, CONFIG_SCHEME_HTTPS);

	if (protocol_name(service->protocol))
		plan_part(&line, protocol_name(service->protocol));
	if (tls)
		part_tls(&line, &service->tls);
	part_balance(&line, service);
	if (service->host.len) {
		plan_part(&line, "Host: ");
		buf_append(out, service->host);
	}
	if (service->identity.as != CONFIG_PASS_IDENTITY_NONE)
		plan_part(&line, service->identity.as == CONFIG_PASS_IDENTITY_JWT
					 ? "is told who asks by a signed token"
					 : "is told who asks by header fields");
	if (service->deadline_field.len) {
		plan_part(&line, "is told the time that is left in ");
		buf_append(out, service->deadline_field);
	}
	if (service->protocol != CONFIG_PROTOCOL_HTTP1 &&
	    (tls || has_scheme(service, CONFIG_SCHEME_H2C) ||
	     service->protocol == CONFIG_PROTOCOL_H2C))
		part_ping(&line, &service->pool);
	plan_end(&line);
}

void plan_service(const struct config_service *service, struct buf *out)
{
	buf_printf(out, "  %.*s: ", SPAN_ARG(service->name));
	if (service->discover)
		text_discover(service->discover, out);
	for (size_t i = 0; i < service->endpoints.count; i++) {
		const struct config_endpoint *endpoint = &service->endpoints.at[i];

		buf_printf(out, "%s%.*s", i > 0 ? ", " : "", SPAN_ARG(endpoint->url));
		if (endpoint->weight != 1)
			buf_printf(out, " (weight %u)", endpoint->weight);
	}
	buf_append_cstr(out, "; timeouts: connect ");
	units_append_duration(out, service->timeout.connect_ms);
	buf_append_cstr(out, ", request ");
	units_append_duration(out, service->timeout.request_ms);
	plan_duration(out, ", idle ", service->timeout.idle_ms);
	if (service->timeout.total_ms)
		plan_duration(out, ", total ", service->timeout.total_ms);
	if (service->retry.attempts > 0)
		buf_printf(out, "; retries: %u within %u%%", service->retry.attempts,
			   service->retry.budget_percent);
	buf_append_byte(out, '\n');
	text_manner(service, out);
	plan_guards(service, out);
	if (service->contract)
		text_contract(service->contract, out);
}
