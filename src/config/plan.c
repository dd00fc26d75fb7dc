/* plan.c - what a configuration comes to: each route, who may call it, under which limits. */
#include "config/config.h"

#include "config/plan_parts.h"
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

const char *config_limit_per_name(enum config_limit_per per)
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

/* ---- text ------------------------------------------------------------------------------------ */

void plan_join(struct buf *out, const struct config_strings *texts, const char *between)
{
	for (size_t i = 0; i < texts->count; i++) {
		if (i > 0)
			buf_append_cstr(out, between);
		buf_append(out, texts->at[i]);
	}
}

void plan_part(struct plan_line *line, const char *word)
{
	buf_append_cstr(line->out, line->begun ? "; " : line->indent);
	buf_append_cstr(line->out, word);
	line->begun = true;
}

void plan_end(struct plan_line *line)
{
	if (line->begun)
		buf_append_byte(line->out, '\n');
	line->begun = false;
}

void plan_duration(struct buf *out, const char *word, uint64_t ms)
{
	buf_append_cstr(out, word);
	units_append_duration(out, ms);
}

void plan_size(struct buf *out, const char *word, uint64_t bytes)
{
	buf_append_cstr(out, word);
	units_append_size(out, bytes);
	if (bytes % 1024)
		buf_append_byte(out, 'B');
}

const char *plan_waf_mode(enum config_waf_mode mode)
{
	for (const struct schema_name *n = schema_waf_override_names; n->name; n++)
		if (n->value == mode)
			return n->name;
	return "";
}

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
		if (tls->certificates.count > 1)
			buf_printf(out, ", %zu certificates", tls->certificates.count);
		if (tls->client_auth != CONFIG_CLIENT_AUTH_NONE)
			buf_printf(out, ", client certificates %s",
				   tls->client_auth == CONFIG_CLIENT_AUTH_REQUIRED ? "required"
				   : tls->client_auth == CONFIG_CLIENT_AUTH_ANY
					   ? "optional, of any authority"
					   : "optional");
	}
	if (listen->proxy_protocol != CONFIG_PROXY_PROTOCOL_OFF)
		buf_append_cstr(out, listen->proxy_protocol == CONFIG_PROXY_PROTOCOL_REQUIRE
					     ? ", PROXY protocol required"
					     : ", PROXY protocol accepted");
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
		plan_join(out, &route->scopes, " and ");
	}
	if (route->roles.count > 0) {
		buf_append_cstr(out, "; role ");
		plan_join(out, &route->roles, " or ");
	}
	if (route->permissions.count > 0) {
		buf_append_cstr(out, "; permissions ");
		plan_join(out, &route->permissions, " and ");
	}
	for (size_t i = 0; i < route->claims.count; i++) {
		const struct config_condition *c = &route->claims.at[i];

		buf_append_cstr(out, "; claim ");
		plan_join(out, &c->claim, ".");
		buf_printf(out, " %s", condition_verb(c->kind));
		if (c->kind == CONFIG_CONDITION_EXISTS)
			continue;
		buf_append_byte(out, ' ');
		buf_append(out, c->pattern);
		plan_join(out, &c->values, ", ");
	}
}

static void text_limits(const struct config_route *route, struct buf *out)
{
	for (size_t i = 0; i < route->limits.count; i++) {
		const struct config_limit *limit = &route->limits.at[i];

		if (i > 0)
			buf_append_cstr(out, "; ");
		units_append_rate(out, limit->rate.count, limit->rate.per_ms);
		buf_printf(out, " per %s, burst %u", config_limit_per_name(limit->per),
			   limit->burst);
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

static void part_headers(struct plan_line *line, const char *word,
			 const struct config_header_edit *edit)
{
	for (size_t i = 0; i < edit->set.count; i++) {
		if (i == 0)
			plan_part(line, word);
		buf_printf(line->out, "%s%.*s", i ? ", " : " set ",
			   SPAN_ARG(edit->set.at[i].name));
	}
	if (edit->remove.count == 0)
		return;
	plan_part(line, word);
	buf_append_cstr(line->out, " without ");
	plan_join(line->out, &edit->remove, ", ");
}

static void part_timeouts(struct plan_line *line, const struct config_route *route)
{
	static const char *const names[] = {"connect ", "request ", "idle ", "total "};
	const struct config_timeout *a = &route->timeout, *b = &route->service->timeout;
	const uint64_t own[] = {a->connect_ms, a->request_ms, a->idle_ms, a->total_ms};
	const uint64_t base[] = {b->connect_ms, b->request_ms, b->idle_ms, b->total_ms};
	const char *before = NULL;

	for (size_t i = 0; i < COUNT_OF(own); i++) {
		if (own[i] == base[i])
			continue;
		if (before)
			buf_append_cstr(line->out, before);
		else
			plan_part(line, "timeouts: ");
		plan_duration(line->out, names[i], own[i]);
		before = ", ";
	}
}

/* What is not as it is on most routes. */
static void text_particulars(const struct config_route *route, bool waf, struct buf *out)
{
	struct plan_line line = {.out = out, .indent = "      also: "};

	if (route->strip_prefix.len || route->add_prefix.len) {
		plan_part(&line, "path: ");
		buf_printf(out, "'%.*s' at its front becomes '%.*s'",
			   SPAN_ARG(route->strip_prefix), SPAN_ARG(route->add_prefix));
	}
	if (route->service)
		part_timeouts(&line, route);
	if (route->priority != CONFIG_PRIORITY_NORMAL)
		plan_part(&line,
			  route->priority == CONFIG_PRIORITY_CORE ? "shed last" : "shed first");
	if (route->bulkhead) {
		plan_part(&line, "at once ");
		buf_append_u64(out, route->bulkhead->concurrent);
	}
	if (route->websocket)
		plan_part(&line, "WebSocket");
	if (route->cors) {
		plan_part(&line, "pages of ");
		plan_join(out, &route->cors->origins, ", ");
	}
	if (waf) {
		plan_part(&line, "firewall: ");
		buf_append_cstr(out, plan_waf_mode(route->waf));
	}
	part_headers(&line, "request", &route->request_headers);
	part_headers(&line, "response", &route->response_headers);
	plan_end(&line);
}

static void text_route(const struct config *cfg, const struct config_route *route,
		       struct buf *out)
{
	buf_append_cstr(out, "  ");
	if (route->methods.count > 0)
		plan_join(out, &route->methods, ",");
	else
		buf_append_cstr(out, "any method");
	buf_append_byte(out, ' ');
	plan_join(out, &route->hosts, ",");
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
	text_particulars(route, cfg->waf && route->waf != cfg->waf->mode, out);
}

void config_plan_text(const struct config *cfg, struct buf *out)
{
	buf_append_cstr(out, "listen\n");
	for (size_t i = 0; i < cfg->listen.count; i++)
		text_listen(&cfg->listen.at[i], out);
	if (cfg->admin.enabled)
		buf_printf(out, "admin\n  %.*s%s\n", SPAN_ARG(cfg->admin.address.text),
			   cfg->admin.actions ? ", may change things" : "");
	plan_process(cfg, out);
	plan_clients(cfg, out);
	plan_identity(cfg, out);
	plan_logins(cfg, out);
	buf_append_cstr(out, "services\n");
	for (size_t i = 0; i < cfg->services.count; i++)
		plan_service(&cfg->services.at[i], out);
	buf_append_cstr(out, "routes (all else is refused)\n");
	for (size_t i = 0; i < cfg->routes.count; i++)
		text_route(cfg, &cfg->routes.at[i], out);
	plan_sensitive(cfg, out);
	plan_procedures(cfg, out);
	plan_waf(cfg, out);
	plan_ips(cfg, out);
	plan_notices(cfg, out);
	plan_registry(cfg, out);
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
			   config_limit_per_name(limit->per));
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
