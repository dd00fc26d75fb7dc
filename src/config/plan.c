/* plan.c - what a configuration comes to: each route, who may call it, under which limits. */
#include "config/config.h"

#include "config/plan_guard.h"
#include "config/schema.h"
#include "config/schema_parts.h"
#include "parse/units.h"

const char *config_jws_name(unsigned algorithm)
{
	for (const struct schema_name *n = schema_jws_names; n->name; n++)
		if (n->value == algorithm)
			return n->name;
	return NULL;
}

static const char *per_name(enum config_limit_per per)
{
	switch (per) {
	case CONFIG_LIMIT_PER_ADDRESS: return "address";
	case CONFIG_LIMIT_PER_USER: return "user";
	case CONFIG_LIMIT_PER_CLIENT: return "client";
	case CONFIG_LIMIT_PER_KEY: return "key";
	case CONFIG_LIMIT_PER_ROUTE: return "route";
	case CONFIG_LIMIT_PER_SERVICE: return "service";
	}
	return "";
}

static const char *auth_name(enum config_auth auth)
{
	switch (auth) {
	case CONFIG_AUTH_REQUIRED: return "required";
	case CONFIG_AUTH_OPTIONAL: return "optional";
	case CONFIG_AUTH_NONE: return "none";
	case CONFIG_AUTH_SESSION: return "session";
	}
	return "";
}

static const char *condition_verb(enum config_condition_kind kind)
{
	switch (kind) {
	case CONFIG_CONDITION_EQUALS: return "equals";
	case CONFIG_CONDITION_IN: return "in";
	case CONFIG_CONDITION_MATCHES: return "matches";
	case CONFIG_CONDITION_EXISTS: return "exists";
	}
	return "";
}

static void join(struct buf *out, const struct config_strings *texts, const char *between)
{
	for (size_t i = 0; i < texts->count; i++) {
		if (i > 0)
			buf_append_cstr(out, between);
		buf_append(out, texts->at[i]);
	}
}

/* ---- text ------------------------------------------------------------------------------------ */

static void text_listen(const struct config_listen *listen, struct buf *out)
{
	const struct config_listen_tls *tls = listen->tls;

	buf_printf(out, "  %.*s  ", SPAN_ARG(listen->address.text));
	if (!tls) {
		buf_append_cstr(out, listen->h2c ? "plain text, HTTP/1.1 and h2c"
						 : "plain text, HTTP/1.1");
	} else {
		buf_append_cstr(out, tls->min_version == CONFIG_TLS_1_3 ? "TLS 1.3"
									: "TLS 1.2 and 1.3");
		buf_append_cstr(out, listen->http2 ? ", HTTP/1.1 and HTTP/2" : ", HTTP/1.1");
		if (tls->client_auth != CONFIG_CLIENT_AUTH_NONE)
			buf_printf(out, ", client certificates %s",
				   tls->client_auth == CONFIG_CLIENT_AUTH_REQUIRED ? "required"
				   : tls->client_auth == CONFIG_CLIENT_AUTH_ANY
					   ? "optional, of any authority"
					   : "optional");
	}
	buf_append_byte(out, '\n');
}

static void text_who(const struct config_route *route, struct buf *out)
{
	if (route->auth == CONFIG_AUTH_NONE) {
		buf_append_cstr(out, "everybody");
		return;
	}
	if (route->auth == CONFIG_AUTH_OPTIONAL) {
		buf_append_cstr(out, "everybody; credentials are checked when there are any");
		return;
	}
	buf_append_cstr(out,
			route->auth == CONFIG_AUTH_SESSION ? "logged in" : "authenticated");
	if (route->scopes.count > 0) {
		buf_append_cstr(out, "; scopes ");
		join(out, &route->scopes, " and ");
	}
	if (route->roles.count > 0) {
		buf_append_cstr(out, "; role ");
		join(out, &route->roles, " or ");
	}
	if (route->permissions.count > 0) {
		buf_append_cstr(out, "; permissions ");
		join(out, &route->permissions, " and ");
	}
	for (size_t i = 0; i < route->claims.count; i++) {
		const struct config_condition *c = &route->claims.at[i];

		buf_append_cstr(out, "; claim ");
		join(out, &c->claim, ".");
		buf_printf(out, " %s", condition_verb(c->kind));
		if (c->kind == CONFIG_CONDITION_EXISTS)
			continue;
		buf_append_byte(out, ' ');
		buf_append(out, c->pattern);
		join(out, &c->values, ", ");
	}
}

static void text_limits(const struct config_route *route, struct buf *out)
{
	for (size_t i = 0; i < route->limits.count; i++) {
		const struct config_limit *limit = &route->limits.at[i];

		if (i > 0)
			buf_append_cstr(out, "; ");
		units_append_rate(out, limit->rate.count, limit->rate.per_ms);
		buf_printf(out, " per %s, burst %u", per_name(limit->per), limit->burst);
	}
	if (route->limits.count > 0)
		buf_append_cstr(out, "; ");
	if (route->body_bytes == 0) {
		buf_append_cstr(out, "body without limit");
		return;
	}
	buf_append_cstr(out, "body up to ");
	units_append_size(out, route->body_bytes);
}

static void text_route(const struct config_route *route, struct buf *out)
{
	buf_append_cstr(out, "  ");
	if (route->methods.count > 0)
		join(out, &route->methods, ",");
	else
		buf_append_cstr(out, "any method");
	buf_append_byte(out, ' ');
	join(out, &route->hosts, ",");
	buf_append(out, route->path);
	if (route->service)
		buf_printf(out, " -> %.*s\n", SPAN_ARG(route->service->name));
	else if (!route->respond)
		buf_printf(out, " -> built-in %.*s\n", SPAN_ARG(route->service_name));
	else
		buf_printf(out, " -> answers %u\n", route->respond->status);
	if (!span_eq(route->operation, route->path))
		buf_printf(out, "      operation: %.*s\n", SPAN_ARG(route->operation));
	buf_append_cstr(out, "      who: ");
	text_who(route, out);
	if (route->challenge != CONFIG_CHALLENGE_OFF)
		buf_append_cstr(out, route->challenge == CONFIG_CHALLENGE_ALWAYS
					     ? "; browsers are checked first"
					     : "; browsers are checked first in overload");
	buf_append_cstr(out, "\n      limits: ");
	text_limits(route, out);
	buf_append_byte(out, '\n');
}

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

static void text_service(const struct config_service *service, struct buf *out)
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
	if (service->retry.attempts > 0)
		buf_printf(out, "; retries: %u within %u%%", service->retry.attempts,
			   service->retry.budget_percent);
	buf_append_byte(out, '\n');
	plan_guards(service, out);
	if (service->contract)
		text_contract(service->contract, out);
}

static void text_networks(const char *verb, const struct cidr *networks, size_t count,
			  struct buf *out)
{
	char text[ADDRESS_TEXT_SIZE];

	for (size_t i = 0; i < count; i++) {
		buf_printf(out, i == 0 ? "  %s: " : ", ", verb);
		buf_append_bytes(out, text, cidr_format(&networks[i], text));
	}
	if (count > 0)
		buf_append_byte(out, '\n');
}

static void text_ips(const struct config_ips *ips, struct buf *out)
{
	if (!ips || ips->mode == CONFIG_IPS_OFF)
		return;
	buf_append_cstr(out, ips->mode == CONFIG_IPS_BLOCK
				     ? "bans\n"
				     : "bans (observed only: nobody is refused)\n");
	for (unsigned i = 0; i < CONFIG_IPS_KINDS; i++) {
		const struct config_ips_rule *rule = &ips->rules[i];

		if (rule->threshold == 0)
			continue;
		buf_printf(out, "  %s: %u within ",
			   config_ips_kind_name((enum config_ips_kind)i), rule->threshold);
		units_append_duration(out, rule->window_ms);
		buf_append_cstr(out, " ban for ");
		units_append_duration(out, rule->ban_ms);
		buf_append_cstr(out, ", at most ");
		units_append_duration(out, rule->ban_max_ms);
		if (i == CONFIG_IPS_NETWORK)
			buf_printf(out, " (bans in one /%u of IPv4, /%u of IPv6)",
				   ips->ipv4_prefix, ips->ipv6_prefix);
		else if (i == CONFIG_IPS_FINGERPRINT)
			buf_append_cstr(out, " (bans of one fingerprint)");
		buf_append_byte(out, '\n');
	}
	text_networks("never", ips->allow.at, ips->allow.count, out);
	text_networks("always", ips->deny.at, ips->deny.count, out);
}

void config_plan_text(const struct config *cfg, struct buf *out)
{
	buf_append_cstr(out, "listen\n");
	for (size_t i = 0; i < cfg->listen.count; i++)
		text_listen(&cfg->listen.at[i], out);
	if (cfg->admin.enabled)
		buf_printf(out, "admin\n  %.*s\n", SPAN_ARG(cfg->admin.address.text));
	plan_logins(cfg, out);
	buf_append_cstr(out, "services\n");
	for (size_t i = 0; i < cfg->services.count; i++)
		text_service(&cfg->services.at[i], out);
	buf_append_cstr(out, "routes (all else is refused)\n");
	for (size_t i = 0; i < cfg->routes.count; i++)
		text_route(&cfg->routes.at[i], out);
	plan_sensitive(cfg, out);
	plan_procedures(cfg, out);
	text_ips(cfg->ips, out);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_member(struct buf *out, const char *name, struct span value)
{
	buf_printf(out, "\"%s\":\"", name);
	buf_append_json(out, value);
	buf_append_cstr(out, "\",");
}

static void json_strings(struct buf *out, const char *name, const struct config_strings *texts)
{
	buf_printf(out, "\"%s\":[", name);
	for (size_t i = 0; i < texts->count; i++) {
		buf_append_cstr(out, i > 0 ? ",\"" : "\"");
		buf_append_json(out, texts->at[i]);
		buf_append_byte(out, '"');
	}
	buf_append_cstr(out, "],");
}

static void json_claims(const struct config_route *route, struct buf *out)
{
	buf_append_cstr(out, "\"claims\":[");
	for (size_t i = 0; i < route->claims.count; i++) {
		const struct config_condition *c = &route->claims.at[i];

		buf_append_cstr(out, i > 0 ? ",{" : "{");
		json_strings(out, "claim", &c->claim);
		json_strings(out, "values", &c->values);
		if (c->kind == CONFIG_CONDITION_MATCHES)
			json_member(out, "pattern", c->pattern);
		buf_printf(out, "\"kind\":\"%s\"}", condition_verb(c->kind));
	}
	buf_append_cstr(out, "],");
}

static void json_limits(const struct config_route *route, struct buf *out)
{
	buf_append_cstr(out, "\"limits\":[");
	for (size_t i = 0; i < route->limits.count; i++) {
		const struct config_limit *limit = &route->limits.at[i];

		buf_printf(out, "%s{\"per\":\"%s\",\"rate\":\"", i > 0 ? "," : "",
			   per_name(limit->per));
		units_append_rate(out, limit->rate.count, limit->rate.per_ms);
		buf_printf(out, "\",\"burst\":%u}", limit->burst);
	}
	buf_append_cstr(out, "],");
}

static void json_route(const struct config_route *route, struct buf *out)
{
	buf_append_byte(out, '{');
	json_strings(out, "hosts", &route->hosts);
	json_member(out, "path", route->path);
	json_strings(out, "methods", &route->methods);
	if (route->service)
		json_member(out, "service", route->service->name);
	else if (!route->respond)
		json_member(out, "service", route->service_name);
	else
		buf_printf(out, "\"status\":%u,", route->respond->status);
	json_member(out, "operation", route->operation);
	json_member(out, "auth", span_cstr(auth_name(route->auth)));
	json_strings(out, "scopes", &route->scopes);
	json_strings(out, "roles", &route->roles);
	json_strings(out, "permissions", &route->permissions);
	json_claims(route, out);
	json_limits(route, out);
	buf_append_cstr(out, "\"body_bytes\":");
	buf_append_u64(out, route->body_bytes);
	buf_printf(out, ",\"line\":%u,", route->where.line);
	json_member(out, "file", span_cstr(route->where.file));
	out->len -= buf_failed(out) ? 0 : 1;
	buf_append_byte(out, '}');
}

void config_plan_json(const struct config *cfg, struct buf *out)
{
	buf_append_cstr(out, "{\"listen\":[");
	for (size_t i = 0; i < cfg->listen.count; i++) {
		buf_append_cstr(out, i > 0 ? ",{" : "{");
		json_member(out, "address", cfg->listen.at[i].address.text);
		buf_printf(out, "\"tls\":%s}", cfg->listen.at[i].tls ? "true" : "false");
	}
	buf_append_cstr(out, "],\"routes\":[");
	for (size_t i = 0; i < cfg->routes.count; i++) {
		if (i > 0)
			buf_append_byte(out, ',');
		json_route(&cfg->routes.at[i], out);
	}
	buf_append_cstr(out, "]}\n");
}
