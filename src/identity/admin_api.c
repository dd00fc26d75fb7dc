/*
 * The admin API: what the commands do, as JSON over HTTP, for whoever has the permission. Changes
 * are audited with who made them. An ETag is the version of what was read; If-Match keeps two
 * administrators from overwriting each other (RFC 9110 section 13.1.1).
 */
#include "identity/admin_call.h"

static const char *const area_names[] = {
	[IDP_ADMIN_USERS] = "users",	   [IDP_ADMIN_ROLES] = "roles",
	[IDP_ADMIN_GROUPS] = "groups",	   [IDP_ADMIN_CLIENTS] = "clients",
	[IDP_ADMIN_SESSIONS] = "sessions", [IDP_ADMIN_KEYS] = "keys",
};

const char *idp_admin_area_name(enum idp_admin_area area)
{
	return area_names[area];
}

/* ---- answers ---- */

void admin_problem(struct idp_exchange *x, unsigned status, const char *type, const char *title,
		   const char *detail)
{
	struct json_writer w;
	struct buf body;

	buf_init(&body, 4096);
	json_writer_init(&w, &body);
	json_begin_object(&w);
	json_member_string(&w, SPAN("type"),
			   arena_printf(x->arena, "urn:sallyport:problem:%s", type));
	json_member_string(&w, SPAN("title"), span_cstr(title));
	json_member_int(&w, SPAN("status"), status);
	if (detail)
		json_member_string(&w, SPAN("detail"), span_cstr(detail));
	json_end_object(&w);
	x->reason = type;
	web_field(x, SPAN("content-type"), SPAN("application/problem+json"));
	web_field(x, SPAN("cache-control"), SPAN("no-store"));
	web_content(x, status, &body);
}

void admin_refuse(struct admin_call *c, enum store_result result)
{
	switch (result) {
	case STORE_OK:
	case STORE_ABSENT:
		admin_problem(c->x, 404, "not-found", "Not Found", "There is no such thing.");
		return;
	case STORE_CONFLICT:
		admin_problem(c->x, 409, "conflict", "Conflict",
			      "It is there already, or somebody else has changed it.");
		return;
	case STORE_FAILED: break;
	}
	if (c->err.code == ERR_INVALID)
		admin_problem(c->x, 422, "invalid", "Unprocessable Content", c->err.message);
	else
		web_unavailable(c->x, &c->err);
}

void admin_not_allowed(struct admin_call *c, const char *allow)
{
	web_field(c->x, SPAN("allow"), span_cstr(allow));
	admin_problem(c->x, 405, "method-not-allowed", "Method Not Allowed", NULL);
}

struct json_writer *admin_begin(struct admin_call *c)
{
	buf_init(&c->out, (size_t)8 * 1024 * 1024);
	json_writer_init(&c->w, &c->out);
	return &c->w;
}

void admin_answer(struct admin_call *c, unsigned status, uint64_t version)
{
	if (version)
		web_field(c->x, SPAN("etag"),
			  arena_printf(c->x->arena, "\"%llu\"", (unsigned long long)version));
	web_json(c->x, status, &c->out);
}

void admin_done(struct admin_call *c)
{
	admin_begin(c);
	json_begin_object(&c->w);
	json_end_object(&c->w);
	admin_answer(c, 200, 0);
}

bool admin_matches(struct admin_call *c, uint64_t version)
{
	struct span wanted = c->x->if_match;
	struct span have = arena_printf(c->x->arena, "\"%llu\"", (unsigned long long)version);

	if (!wanted.len || span_eq(wanted, SPAN("*")) || span_eq(wanted, have))
		return true;
	admin_problem(c->x, 412, "changed", "Precondition Failed",
		      "It was changed since it was read.");
	return false;
}

bool admin_need_body(struct admin_call *c)
{
	if (c->body)
		return true;
	admin_problem(c->x, 400, "malformed", "Bad Request",
		      "Send a JSON object as application/json.");
	return false;
}

void admin_audit(struct admin_call *c, const char *event, const char *what, struct span which)
{
	idp_audit(c->x->idp, event, what, which, "by", c->x->actor);
}

/* ---- the whole ---- */

static void (*const serve[])(struct admin_call *c) = {
	[IDP_ADMIN_USERS] = admin_users,       [IDP_ADMIN_ROLES] = admin_roles,
	[IDP_ADMIN_GROUPS] = admin_groups,     [IDP_ADMIN_CLIENTS] = admin_clients,
	[IDP_ADMIN_SESSIONS] = admin_sessions, [IDP_ADMIN_KEYS] = admin_keys,
};

/* A page of another site cannot send this type without asking first. */
static bool read_body(struct admin_call *c)
{
	struct span type = c->x->content_type;

	if (!c->x->body.len)
		return true;
	if (!span_eq_nocase(span_trim(span_cut(&type, ';')), SPAN("application/json")) &&
	    !span_eq_nocase(span_trim(c->x->content_type),
			    SPAN("application/merge-patch+json"))) {
		admin_problem(c->x, 415, "not-json", "Unsupported Media Type",
			      "Send application/json.");
		return false;
	}
	c->body = json_parse(c->x->arena, c->x->body, NULL, &c->err);
	if (c->body && c->body->type == JSON_OBJECT)
		return true;
	admin_problem(c->x, 400, "malformed", "Bad Request",
		      c->body ? "The body is no JSON object." : c->err.message);
	return false;
}

static bool may(struct idp_exchange *x, enum idp_admin_area area)
{
	unsigned bit = 1U << area;
	bool read = x->method == HTTP_METHOD_GET || x->method == HTTP_METHOD_HEAD;

	if (read ? (x->may_read | x->may_write) & bit : x->may_write & bit)
		return true;
	if (x->actor.len)
		admin_problem(x, 403, "forbidden", "Forbidden",
			      "The permission identity:read or identity:write of this area is "
			      "missing.");
	else
		admin_problem(x, 401, "unauthenticated", "Unauthorized", NULL);
	return false;
}

void admin_api(struct idp_exchange *x)
{
	struct span rest = span_slice(x->path, SPAN(IDP_ADMIN_PATH).len, x->path.len);
	struct admin_call c = {.x = x, .err = {.code = ERR_NONE}};
	struct span area = span_cut(&rest, '/');

	c.name = rest.ptr ? span_cut(&rest, '/') : SPAN("");
	c.action = rest.ptr ? rest : SPAN("");
	for (unsigned i = 0; i < IDP_ADMIN_AREAS; i++) {
		if (!span_eq(area, span_cstr(area_names[i])))
			continue;
		if (!may(x, (enum idp_admin_area)i) || !read_body(&c) ||
		    !web_query(x, &c.query))
			return;
		if (x->method == HTTP_METHOD_HEAD)
			x->method = HTTP_METHOD_GET;
		serve[i](&c);
		return;
	}
	/* Who may nothing here learns nothing of what there is. */
	if (x->actor.len)
		admin_problem(x, 404, "not-found", "Not Found", "There is no such area.");
	else
		admin_problem(x, 401, "unauthenticated", "Unauthorized", NULL);
}
