/*
 * The admin API: what the commands do, as JSON over HTTP, for whoever has the permission. Changes
 * are audited with who made them. An ETag is the version of what was read; If-Match keeps two
 * administrators from overwriting each other (RFC 9110 section 13.1.1).
 */
#include "base/clock.h"
#include "identity/password.h"
#include "identity/web.h"

#define LIMIT_DEFAULT 100

static const char *const area_names[] = {
	[IDP_ADMIN_USERS] = "users",	   [IDP_ADMIN_ROLES] = "roles",
	[IDP_ADMIN_GROUPS] = "groups",	   [IDP_ADMIN_CLIENTS] = "clients",
	[IDP_ADMIN_SESSIONS] = "sessions", [IDP_ADMIN_KEYS] = "keys",
};

const char *idp_admin_area_name(enum idp_admin_area area)
{
	return area_names[area];
}

struct call {
	struct idp_exchange *x;
	struct span name; /* after the area; empty: all */
	struct span action; /* after the name; empty: none */
	const struct json *body; /* NULL: none */
	struct form query;
	struct err err;
	struct json_writer w;
	struct buf out;
};

/* ---- answers ---- */

static void problem(struct idp_exchange *x, unsigned status, const char *type,
		    const char *title, const char *detail)
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

/* Why it was not done. */
static void refuse(struct call *c, enum store_result result)
{
	switch (result) {
	case STORE_OK:
	case STORE_ABSENT:
		problem(c->x, 404, "not-found", "Not Found", "There is no such thing.");
		return;
	case STORE_CONFLICT:
		problem(c->x, 409, "conflict", "Conflict",
			"It is there already, or somebody else has changed it.");
		return;
	case STORE_FAILED: break;
	}
	if (c->err.code == ERR_INVALID)
		problem(c->x, 422, "invalid", "Unprocessable Content", c->err.message);
	else
		web_unavailable(c->x, &c->err);
}

static void not_allowed(struct call *c, const char *allow)
{
	web_field(c->x, SPAN("allow"), span_cstr(allow));
	problem(c->x, 405, "method-not-allowed", "Method Not Allowed", NULL);
}

static struct json_writer *begin(struct call *c)
{
	buf_init(&c->out, (size_t)8 * 1024 * 1024);
	json_writer_init(&c->w, &c->out);
	return &c->w;
}

static void answer(struct call *c, unsigned status, uint64_t version)
{
	if (version)
		web_field(c->x, SPAN("etag"),
			  arena_printf(c->x->arena, "\"%llu\"", (unsigned long long)version));
	web_json(c->x, status, &c->out);
}

static void done(struct call *c)
{
	begin(c);
	json_begin_object(&c->w);
	json_end_object(&c->w);
	answer(c, 200, 0);
}

/* False: If-Match names another version, and the request was answered. */
static bool matches(struct call *c, uint64_t version)
{
	struct span wanted = c->x->if_match;
	struct span have = arena_printf(c->x->arena, "\"%llu\"", (unsigned long long)version);

	if (!wanted.len || span_eq(wanted, SPAN("*")) || span_eq(wanted, have))
		return true;
	problem(c->x, 412, "changed", "Precondition Failed",
		"It was changed since it was read.");
	return false;
}

static bool need_body(struct call *c)
{
	if (c->body)
		return true;
	problem(c->x, 400, "malformed", "Bad Request",
		"Send a JSON object as application/json.");
	return false;
}

static void audit(struct call *c, const char *event, const char *what, struct span which)
{
	idp_audit(c->x->idp, event, what, which, "by", c->x->actor);
}

/* ---- users ---- */

static enum store_result get_user(struct call *c, struct idp_user *user)
{
	enum store_result result = user_get(c->x->idp, c->name, c->x->arena, user, &c->err);

	return result == STORE_ABSENT
		       ? user_find(c->x->idp, c->name, c->x->arena, user, &c->err)
		       : result;
}

static void show_user(struct call *c, unsigned status, struct span id, struct span once)
{
	struct idp_user user;
	enum store_result result = user_get(c->x->idp, id, c->x->arena, &user, &c->err);
	struct json_writer *w;

	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	w = begin(c);
	if (once.len) {
		json_begin_object(w);
		json_key(w, SPAN("user"));
	}
	user_write(w, &user, false);
	if (once.len) {
		json_member_string(w, SPAN("one_time_password"), once);
		json_end_object(w);
	}
	answer(c, status, user.version);
}

/* With `secrets`, as an export has it: for whoever may write, and audited. True: go on. */
static bool may_export(struct call *c, bool *secrets)
{
	*secrets = span_eq(form_get(&c->query, SPAN("secrets")), SPAN("1"));
	if (!*secrets)
		return true;
	if (!(c->x->may_write & 1U << IDP_ADMIN_USERS)) {
		problem(c->x, 403, "forbidden", "Forbidden",
			"Secrets are for whoever has identity:write:users.");
		return false;
	}
	audit(c, "user.exported", NULL, SPAN_NONE);
	return true;
}

static void list_users(struct call *c)
{
	uint64_t limit = LIMIT_DEFAULT;
	bool secrets;
	struct idp_user *users;
	struct json_writer *w;
	size_t count;
	bool more;

	if (form_get(&c->query, SPAN("limit")).ptr &&
	    (!span_to_u64(form_get(&c->query, SPAN("limit")), &limit) || limit < 1 ||
	     limit > STORE_PAGE_MAX)) {
		problem(c->x, 400, "malformed", "Bad Request", "'limit' is 1 to 1000.");
		return;
	}
	if (!may_export(c, &secrets))
		return;
	if (user_list(c->x->idp, form_get(&c->query, SPAN("after")), (size_t)limit, c->x->arena,
		      &users, &count, &more, &c->err) != STORE_OK) {
		refuse(c, STORE_FAILED);
		return;
	}
	w = begin(c);
	json_begin_object(w);
	json_key(w, SPAN("users"));
	json_begin_array(w);
	for (size_t i = 0; i < count; i++)
		user_write(w, &users[i], secrets);
	json_end_array(w);
	if (more)
		json_member_string(w, SPAN("next"), users[count - 1].id);
	json_end_object(w);
	answer(c, 200, 0);
}

static void create_user(struct call *c)
{
	struct idp_user user = {.version = 0};
	enum store_result result;
	struct span once;

	if (!need_body(c))
		return;
	if (user_patch(c->body, &user, c->x->arena, &c->err) < 0 || !user.name.len) {
		if (!user.name.len)
			(void)err_set(&c->err, ERR_INVALID, "'name' is missing, or no name");
		refuse(c, STORE_FAILED);
		return;
	}
	result = user_reset_password(c->x->idp, c->x->config, &user, c->x->arena, &once,
				     &c->err);
	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	audit(c, "user.created", "user", user.id);
	show_user(c, 201, user.id, once);
}

/* What "user import" does: {"users": [...]}, up to the first that is wrong. */
static void import_users(struct call *c)
{
	const struct json *list;
	int64_t counts[2] = {0, 0}; /* made, changed */
	enum store_result result = STORE_OK;
	bool made;

	if (!need_body(c))
		return;
	list = json_get(c->body, SPAN("users"));
	if (!list || list->type != JSON_ARRAY) {
		(void)err_set(&c->err, ERR_INVALID, "'users' is no list");
		refuse(c, STORE_FAILED);
		return;
	}
	for (size_t i = 0; i < list->array.count && result == STORE_OK; i++) {
		result = user_import(c->x->idp, &list->array.items[i], c->x->arena, &made,
				     &c->err);
		if (result == STORE_OK)
			counts[made ? 0 : 1]++;
		else if (result == STORE_FAILED)
			(void)err_wrap(&c->err, "user %zu", i + 1);
	}
	/* Those before the wrong one have been taken. */
	if (counts[0] || counts[1])
		audit(c, "user.imported", NULL, SPAN_NONE);
	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	begin(c);
	json_begin_object(&c->w);
	json_member_int(&c->w, SPAN("created"), counts[0]);
	json_member_int(&c->w, SPAN("changed"), counts[1]);
	json_end_object(&c->w);
	answer(c, 200, 0);
}

static void change_user(struct call *c)
{
	struct idp_user user;
	enum store_result result = get_user(c, &user);

	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	if (!need_body(c) || !matches(c, user.version))
		return;
	result = STORE_FAILED;
	if (user_patch(c->body, &user, c->x->arena, &c->err) == 0)
		result = user_put(c->x->idp, &user, c->x->arena, &c->err);
	/* What the user may do has changed: it must not wait for the end of sessions. */
	if (result == STORE_OK)
		result = session_end_all(c->x->idp, user.id, SPAN_NONE, c->x->arena, &c->err);
	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	audit(c, "user.changed", "user", user.id);
	show_user(c, 200, user.id, SPAN_NONE);
}

static void remove_user(struct call *c)
{
	struct idp_user user;
	enum store_result result = get_user(c, &user);

	if (result == STORE_OK && !matches(c, user.version))
		return;
	if (result == STORE_OK)
		result = user_remove(c->x->idp, &user, c->x->arena, &c->err);
	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	audit(c, "user.removed", "user", user.id);
	done(c);
}

static enum store_result clear_factors(struct call *c, struct idp_user *user)
{
	user->totp = SPAN("");
	user->recovery.count = 0;
	user->passkey_count = 0;
	user->channels.count = 0;
	return user_put(c->x->idp, user, c->x->arena, &c->err);
}

static void act_on_user(struct call *c)
{
	struct span once = SPAN_NONE;
	struct idp_user user;
	enum store_result result = get_user(c, &user);
	const char *event = NULL;

	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	if (span_eq(c->action, SPAN("password"))) {
		event = "user.password_reset";
		result = user_reset_password(c->x->idp, c->x->config, &user, c->x->arena, &once,
					     &c->err);
	} else if (span_eq(c->action, SPAN("unlock"))) {
		event = "user.unlocked";
		result = user_unlock(c->x->idp, &user, c->x->arena, &c->err);
	} else if (span_eq(c->action, SPAN("remove-factors"))) {
		event = "user.factors_removed";
		result = clear_factors(c, &user);
	} else {
		result = STORE_ABSENT;
	}
	if (result == STORE_OK && !span_eq(c->action, SPAN("unlock")))
		result = session_end_all(c->x->idp, user.id, SPAN_NONE, c->x->arena, &c->err);
	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	audit(c, event, "user", user.id);
	show_user(c, 200, user.id, once);
}

static void users(struct call *c)
{
	struct idp_user user;
	enum store_result result;

	if (c->action.len) {
		if (c->x->method == HTTP_METHOD_POST)
			act_on_user(c);
		else
			not_allowed(c, "POST");
	} else if (!c->name.len) {
		if (c->x->method == HTTP_METHOD_POST)
			create_user(c);
		else if (c->x->method == HTTP_METHOD_GET)
			list_users(c);
		else
			not_allowed(c, "GET, POST");
	} else if (c->x->method == HTTP_METHOD_POST && span_eq(c->name, SPAN("import"))) {
		import_users(c);
	} else if (c->x->method == HTTP_METHOD_GET) {
		result = get_user(c, &user);
		if (result == STORE_OK)
			show_user(c, 200, user.id, SPAN_NONE);
		else
			refuse(c, result);
	} else if (c->x->method == HTTP_METHOD_PATCH) {
		change_user(c);
	} else if (c->x->method == HTTP_METHOD_DELETE) {
		remove_user(c);
	} else {
		not_allowed(c, "GET, PATCH, DELETE");
	}
}

/* ---- roles and groups ---- */

static bool is_name(struct span name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] <= ' ' || name.ptr[i] >= 0x7f)
			return false;
	return name.len > 0 && name.len <= 128;
}

static void list_roles(struct call *c)
{
	struct idp_role *all;
	struct json_writer *w;
	size_t count;

	if (role_list(c->x->idp, c->x->arena, &all, &count, &c->err) != STORE_OK) {
		refuse(c, STORE_FAILED);
		return;
	}
	w = begin(c);
	json_begin_object(w);
	json_key(w, SPAN("roles"));
	json_begin_array(w);
	for (size_t i = 0; i < count; i++)
		role_write(w, &all[i]);
	json_end_array(w);
	json_end_object(w);
	answer(c, 200, 0);
}

static void show_role(struct call *c)
{
	struct idp_role role;
	enum store_result result = role_get(c->x->idp, c->name, c->x->arena, &role, &c->err);

	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	role_write(begin(c), &role);
	answer(c, 200, role.version);
}

static void put_role(struct call *c)
{
	struct idp_role role = {.name = c->name};
	enum store_result result = role_get(c->x->idp, c->name, c->x->arena, &role, &c->err);

	if (result == STORE_FAILED) {
		refuse(c, result);
		return;
	}
	if (!need_body(c) || !matches(c, role.version))
		return;
	if (json_texts(c->body, "permissions", c->x->arena, &role.permissions) < 0 ||
	    json_texts(c->body, "includes", c->x->arena, &role.includes) < 0)
		result = idp_no_memory(&c->err);
	else
		result = role_put(c->x->idp, &role, c->x->arena, &c->err);
	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	audit(c, "role.changed", "role", role.name);
	show_role(c);
}

static void roles(struct call *c)
{
	enum store_result result;
	struct idp_role role;

	if (!c->name.len && c->x->method == HTTP_METHOD_GET) {
		list_roles(c);
	} else if (!is_name(c->name)) {
		not_allowed(c, "GET");
	} else if (c->x->method == HTTP_METHOD_GET) {
		show_role(c);
	} else if (c->x->method == HTTP_METHOD_PUT) {
		put_role(c);
	} else if (c->x->method == HTTP_METHOD_DELETE) {
		result = role_get(c->x->idp, c->name, c->x->arena, &role, &c->err);
		if (result == STORE_OK && !matches(c, role.version))
			return;
		if (result == STORE_OK)
			result = role_remove(c->x->idp, c->name, &c->err);
		if (result != STORE_OK) {
			refuse(c, result);
			return;
		}
		audit(c, "role.removed", "role", c->name);
		done(c);
	} else {
		not_allowed(c, "GET, PUT, DELETE");
	}
}

static void list_groups(struct call *c)
{
	struct idp_group *all;
	struct json_writer *w;
	size_t count;

	if (group_list(c->x->idp, c->x->arena, &all, &count, &c->err) != STORE_OK) {
		refuse(c, STORE_FAILED);
		return;
	}
	w = begin(c);
	json_begin_object(w);
	json_key(w, SPAN("groups"));
	json_begin_array(w);
	for (size_t i = 0; i < count; i++)
		group_write(w, all[i].name, &all[i].roles);
	json_end_array(w);
	json_end_object(w);
	answer(c, 200, 0);
}

static void show_group(struct call *c)
{
	struct idp_group group;
	enum store_result result = group_find(c->x->idp, c->name, c->x->arena, &group, &c->err);

	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	group_write(begin(c), group.name, &group.roles);
	answer(c, 200, group.version);
}

static void change_group(struct call *c)
{
	struct idp_group group = {.name = c->name};
	enum store_result result = group_find(c->x->idp, c->name, c->x->arena, &group, &c->err);
	bool remove = c->x->method == HTTP_METHOD_DELETE;

	if (result == STORE_FAILED || (remove && result != STORE_OK)) {
		refuse(c, result);
		return;
	}
	if ((!remove && !need_body(c)) || !matches(c, group.version))
		return;
	if (remove)
		result = group_remove(c->x->idp, c->name, &c->err);
	else if (json_texts(c->body, "roles", c->x->arena, &group.roles) < 0)
		result = idp_no_memory(&c->err);
	else
		result = group_store(c->x->idp, &group, &c->err);
	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	audit(c, remove ? "group.removed" : "group.changed", "group", c->name);
	if (remove)
		done(c);
	else
		show_group(c);
}

static void groups(struct call *c)
{
	if (!c->name.len && c->x->method == HTTP_METHOD_GET)
		list_groups(c);
	else if (!is_name(c->name))
		not_allowed(c, "GET");
	else if (c->x->method == HTTP_METHOD_GET)
		show_group(c);
	else if (c->x->method == HTTP_METHOD_PUT || c->x->method == HTTP_METHOD_DELETE)
		change_group(c);
	else
		not_allowed(c, "GET, PUT, DELETE");
}

/* ---- clients ---- */

static void show_client(struct call *c, unsigned status, struct span id, struct span secret)
{
	struct idp_client client;
	enum store_result result = client_get(c->x->idp, id, c->x->arena, &client, &c->err);
	struct json_writer *w;

	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	w = begin(c);
	if (secret.len) {
		json_begin_object(w);
		json_key(w, SPAN("client"));
	}
	client_write(w, &client, false);
	if (secret.len) {
		json_member_string(w, SPAN("client_secret"), secret);
		json_end_object(w);
	}
	answer(c, status, client.version);
}

static void list_clients(struct call *c)
{
	struct idp_client *all;
	struct json_writer *w;
	size_t count;
	bool more;

	if (client_list(c->x->idp, form_get(&c->query, SPAN("after")), LIMIT_DEFAULT,
			c->x->arena, &all, &count, &more, &c->err) != STORE_OK) {
		refuse(c, STORE_FAILED);
		return;
	}
	w = begin(c);
	json_begin_object(w);
	json_key(w, SPAN("clients"));
	json_begin_array(w);
	for (size_t i = 0; i < count; i++)
		client_write(w, &all[i], false);
	json_end_array(w);
	if (more)
		json_member_string(w, SPAN("next"), all[count - 1].id);
	json_end_object(w);
	answer(c, 200, 0);
}

/* POST makes one, with a secret unless it shows itself otherwise; PUT replaces what is changeable. */
static void put_client(struct call *c)
{
	bool create = c->x->method == HTTP_METHOD_POST;
	struct idp_client client = {.created_unix_s = clock_unix_s()};
	struct span secret = SPAN_NONE;
	enum store_result result = STORE_OK;

	if (!need_body(c))
		return;
	if (!create)
		result = client_get(c->x->idp, c->name, c->x->arena, &client, &c->err);
	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	if (!create && !matches(c, client.version))
		return;
	if (create)
		client.id = json_text(c->body, "client_id");
	if (client_read(c->body, &client, c->x->arena) < 0) {
		web_unavailable(c->x, NULL);
		return;
	}
	if (create && !client.auth_method.len &&
	    client_new_secret(&client, c->x->arena, &secret) < 0) {
		web_unavailable(c->x, NULL);
		return;
	}
	if (span_eq(client.auth_method, SPAN("none")))
		client.auth_method = SPAN("");
	result = client_put(c->x->idp, &client, &c->err);
	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	audit(c, create ? "client.created" : "client.changed", "client", client.id);
	show_client(c, create ? 201 : 200, client.id, secret);
}

static void act_on_client(struct call *c)
{
	struct idp_client client;
	struct span secret = SPAN_NONE;
	enum store_result result =
		client_get(c->x->idp, c->name, c->x->arena, &client, &c->err);

	if (result == STORE_OK && !matches(c, client.version))
		return;
	if (result == STORE_OK && c->x->method == HTTP_METHOD_DELETE)
		result = client_remove(c->x->idp, c->name, &c->err);
	else if (result == STORE_OK && client_new_secret(&client, c->x->arena, &secret) < 0)
		result = idp_no_memory(&c->err);
	else if (result == STORE_OK)
		result = client_put(c->x->idp, &client, &c->err);
	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	audit(c, secret.len ? "client.new_secret" : "client.removed", "client", c->name);
	if (secret.len)
		show_client(c, 200, c->name, secret);
	else
		done(c);
}

static void clients(struct call *c)
{
	enum http_method method = c->x->method;

	if (span_eq(c->action, SPAN("secret")) && method == HTTP_METHOD_POST)
		act_on_client(c);
	else if (c->action.len)
		refuse(c, STORE_ABSENT);
	else if (!c->name.len && method == HTTP_METHOD_GET)
		list_clients(c);
	else if (!c->name.len && method == HTTP_METHOD_POST)
		put_client(c);
	else if (!c->name.len)
		not_allowed(c, "GET, POST");
	else if (method == HTTP_METHOD_GET)
		show_client(c, 200, c->name, SPAN_NONE);
	else if (method == HTTP_METHOD_PUT)
		put_client(c);
	else if (method == HTTP_METHOD_DELETE)
		act_on_client(c);
	else
		not_allowed(c, "GET, PUT, DELETE");
}

/* ---- sessions and keys ---- */

static void list_sessions(struct call *c)
{
	struct span user = form_get(&c->query, SPAN("user"));
	struct idp_session *all;
	struct json_writer *w;
	size_t count;

	if (session_list(c->x->idp, user.ptr ? user : SPAN(""), c->x->arena, &all, &count,
			 &c->err) != STORE_OK) {
		refuse(c, STORE_FAILED);
		return;
	}
	w = begin(c);
	json_begin_object(w);
	json_key(w, SPAN("sessions"));
	json_begin_array(w);
	for (size_t i = 0; i < count; i++) {
		json_begin_object(w);
		json_member_string(w, SPAN("id"), all[i].id);
		json_member_string(w, SPAN("user"), all[i].user);
		json_member_string(w, SPAN("address"), all[i].address);
		json_member_string(w, SPAN("agent"), all[i].agent);
		json_put_texts(w, "amr", &all[i].methods);
		json_member_int(w, SPAN("created"), all[i].created_unix_s);
		json_member_int(w, SPAN("seen"), all[i].seen_unix_s);
		json_member_int(w, SPAN("expires"), all[i].expires_unix_s);
		json_end_object(w);
	}
	json_end_array(w);
	json_end_object(w);
	answer(c, 200, 0);
}

static void sessions(struct call *c)
{
	struct span user = form_get(&c->query, SPAN("user"));
	enum store_result result;

	if (c->x->method == HTTP_METHOD_GET && !c->name.len) {
		list_sessions(c);
		return;
	}
	if (c->x->method != HTTP_METHOD_DELETE || (!c->name.len && !user.len)) {
		not_allowed(c, c->name.len ? "DELETE" : "GET");
		return;
	}
	result = c->name.len
			 ? session_end(c->x->idp, c->name, &c->err)
			 : session_end_all(c->x->idp, user, SPAN_NONE, c->x->arena, &c->err);
	if (result != STORE_OK) {
		refuse(c, result);
		return;
	}
	audit(c, "session.ended", c->name.len ? "session" : "user",
	      c->name.len ? c->name : user);
	done(c);
}

static void keys(struct call *c)
{
	struct span rest;
	struct buf lines;

	if (span_eq(c->name, SPAN("rotate")) && c->x->method == HTTP_METHOD_POST) {
		if (signing_rotate(c->x->idp, c->x->config, &c->err) != STORE_OK) {
			refuse(c, STORE_FAILED);
			return;
		}
		audit(c, "key.rotated", NULL, SPAN_NONE);
	} else if (c->name.len || c->x->method != HTTP_METHOD_GET) {
		not_allowed(c, c->name.len ? "POST" : "GET");
		return;
	}
	buf_init(&lines, 65536);
	if (signing_list(c->x->idp, &lines, &c->err) != STORE_OK) {
		buf_release(&lines);
		refuse(c, STORE_FAILED);
		return;
	}
	begin(c);
	buf_append_cstr(&c->out, "{\"keys\":[");
	rest = span_trim(buf_span(&lines));
	while (rest.ptr && rest.len) {
		buf_append(&c->out, span_cut(&rest, '\n'));
		if (rest.ptr)
			buf_append_byte(&c->out, ',');
	}
	buf_append_cstr(&c->out, "]}");
	buf_release(&lines);
	answer(c, 200, 0);
}

/* ---- the whole ---- */

static void (*const serve[])(struct call *c) = {
	[IDP_ADMIN_USERS] = users,	 [IDP_ADMIN_ROLES] = roles,
	[IDP_ADMIN_GROUPS] = groups,	 [IDP_ADMIN_CLIENTS] = clients,
	[IDP_ADMIN_SESSIONS] = sessions, [IDP_ADMIN_KEYS] = keys,
};

/* A page of another site cannot send this type without asking first. */
static bool read_body(struct call *c)
{
	struct span type = c->x->content_type;

	if (!c->x->body.len)
		return true;
	if (!span_eq_nocase(span_trim(span_cut(&type, ';')), SPAN("application/json")) &&
	    !span_eq_nocase(span_trim(c->x->content_type),
			    SPAN("application/merge-patch+json"))) {
		problem(c->x, 415, "not-json", "Unsupported Media Type",
			"Send application/json.");
		return false;
	}
	c->body = json_parse(c->x->arena, c->x->body, NULL, &c->err);
	if (c->body && c->body->type == JSON_OBJECT)
		return true;
	problem(c->x, 400, "malformed", "Bad Request",
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
		problem(x, 403, "forbidden", "Forbidden",
			"The permission identity:read or identity:write of this area is "
			"missing.");
	else
		problem(x, 401, "unauthenticated", "Unauthorized", NULL);
	return false;
}

void admin_api(struct idp_exchange *x)
{
	struct span rest = span_slice(x->path, SPAN(IDP_ADMIN_PATH).len, x->path.len);
	struct call c = {.x = x, .err = {.code = ERR_NONE}};
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
		problem(x, 404, "not-found", "Not Found", "There is no such area.");
	else
		problem(x, 401, "unauthenticated", "Unauthorized", NULL);
}
