/* Users in the admin API. */
#include "identity/admin_call.h"

static enum store_result get_user(struct admin_call *c, struct idp_user *user)
{
	enum store_result result = user_get(c->x->idp, c->name, c->x->arena, user, &c->err);

	return result == STORE_ABSENT
		       ? user_find(c->x->idp, c->name, c->x->arena, user, &c->err)
		       : result;
}

static void show_user(struct admin_call *c, unsigned status, struct span id, struct span once)
{
	struct idp_user user;
	enum store_result result = user_get(c->x->idp, id, c->x->arena, &user, &c->err);
	struct json_writer *w;

	if (result != STORE_OK) {
		admin_refuse(c, result);
		return;
	}
	w = admin_begin(c);
	if (once.len) {
		json_begin_object(w);
		json_key(w, SPAN("user"));
	}
	user_write(w, &user, false);
	if (once.len) {
		json_member_string(w, SPAN("one_time_password"), once);
		json_end_object(w);
	}
	admin_answer(c, status, user.version);
}

/* With `secrets`, as an export has it: for whoever may write, and audited. True: go on. */
static bool may_export(struct admin_call *c, bool *secrets)
{
	*secrets = span_eq(form_get(&c->query, SPAN("secrets")), SPAN("1"));
	if (!*secrets)
		return true;
	if (!(c->x->may_write & 1U << IDP_ADMIN_USERS)) {
		admin_problem(c->x, 403, "forbidden", "Forbidden",
			      "Secrets are for whoever has identity:write:users.");
		return false;
	}
	admin_audit(c, "user.exported", NULL, SPAN_NONE);
	return true;
}

static void list_users(struct admin_call *c)
{
	uint64_t limit = ADMIN_LIST_DEFAULT;
	bool secrets;
	struct idp_user *users;
	struct json_writer *w;
	size_t count;
	bool more;

	if (form_get(&c->query, SPAN("limit")).ptr &&
	    (!span_to_u64(form_get(&c->query, SPAN("limit")), &limit) || limit < 1 ||
	     limit > STORE_PAGE_MAX)) {
		admin_problem(c->x, 400, "malformed", "Bad Request", "'limit' is 1 to 1000.");
		return;
	}
	if (!may_export(c, &secrets))
		return;
	if (user_list(c->x->idp, form_get(&c->query, SPAN("after")), (size_t)limit, c->x->arena,
		      &users, &count, &more, &c->err) != STORE_OK) {
		admin_refuse(c, STORE_FAILED);
		return;
	}
	w = admin_begin(c);
	json_begin_object(w);
	json_key(w, SPAN("users"));
	json_begin_array(w);
	for (size_t i = 0; i < count; i++)
		user_write(w, &users[i], secrets);
	json_end_array(w);
	if (more)
		json_member_string(w, SPAN("next"), users[count - 1].id);
	json_end_object(w);
	admin_answer(c, 200, 0);
}

static void create_user(struct admin_call *c)
{
	struct idp_user user = {.version = 0};
	enum store_result result;
	struct span once;

	if (!admin_need_body(c))
		return;
	if (user_patch(c->body, &user, c->x->arena, &c->err) < 0 || !user.name.len) {
		if (!user.name.len)
			(void)err_set(&c->err, ERR_INVALID, "'name' is missing, or no name");
		admin_refuse(c, STORE_FAILED);
		return;
	}
	result = user_reset_password(c->x->idp, c->x->config, &user, c->x->arena, &once,
				     &c->err);
	if (result != STORE_OK) {
		admin_refuse(c, result);
		return;
	}
	admin_audit(c, "user.created", "user", user.id);
	show_user(c, 201, user.id, once);
}

/* What "user import" does: {"users": [...]}, up to the first that is wrong. */
static void import_users(struct admin_call *c)
{
	const struct json *list;
	int64_t counts[2] = {0, 0}; /* made, changed */
	enum store_result result = STORE_OK;
	bool made;

	if (!admin_need_body(c))
		return;
	list = json_get(c->body, SPAN("users"));
	if (!list || list->type != JSON_ARRAY) {
		(void)err_set(&c->err, ERR_INVALID, "'users' is no list");
		admin_refuse(c, STORE_FAILED);
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
		admin_audit(c, "user.imported", NULL, SPAN_NONE);
	if (result != STORE_OK) {
		admin_refuse(c, result);
		return;
	}
	admin_begin(c);
	json_begin_object(&c->w);
	json_member_int(&c->w, SPAN("created"), counts[0]);
	json_member_int(&c->w, SPAN("changed"), counts[1]);
	json_end_object(&c->w);
	admin_answer(c, 200, 0);
}

static void change_user(struct admin_call *c)
{
	struct idp_user user;
	enum store_result result = get_user(c, &user);

	if (result != STORE_OK) {
		admin_refuse(c, result);
		return;
	}
	if (!admin_need_body(c) || !admin_matches(c, user.version))
		return;
	result = STORE_FAILED;
	if (user_patch(c->body, &user, c->x->arena, &c->err) == 0)
		result = user_put(c->x->idp, &user, c->x->arena, &c->err);
	/* What the user may do has changed: it must not wait for the end of sessions. */
	if (result == STORE_OK)
		result = session_end_all(c->x->idp, user.id, SPAN_NONE, c->x->arena, &c->err);
	if (result != STORE_OK) {
		admin_refuse(c, result);
		return;
	}
	admin_audit(c, "user.changed", "user", user.id);
	show_user(c, 200, user.id, SPAN_NONE);
}

static void remove_user(struct admin_call *c)
{
	struct idp_user user;
	enum store_result result = get_user(c, &user);

	if (result == STORE_OK && !admin_matches(c, user.version))
		return;
	if (result == STORE_OK)
		result = user_remove(c->x->idp, &user, c->x->arena, &c->err);
	if (result != STORE_OK) {
		admin_refuse(c, result);
		return;
	}
	admin_audit(c, "user.removed", "user", user.id);
	admin_done(c);
}

static enum store_result clear_factors(struct admin_call *c, struct idp_user *user)
{
	user->totp = SPAN("");
	user->recovery.count = 0;
	user->passkey_count = 0;
	user->channels.count = 0;
	return user_put(c->x->idp, user, c->x->arena, &c->err);
}

static void act_on_user(struct admin_call *c)
{
	struct span once = SPAN_NONE;
	struct idp_user user;
	enum store_result result = get_user(c, &user);
	const char *event = NULL;

	if (result != STORE_OK) {
		admin_refuse(c, result);
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
		admin_refuse(c, result);
		return;
	}
	admin_audit(c, event, "user", user.id);
	show_user(c, 200, user.id, once);
}

void admin_users(struct admin_call *c)
{
	struct idp_user user;
	enum store_result result;

	if (c->action.len) {
		if (c->x->method == HTTP_METHOD_POST)
			act_on_user(c);
		else
			admin_not_allowed(c, "POST");
	} else if (!c->name.len) {
		if (c->x->method == HTTP_METHOD_POST)
			create_user(c);
		else if (c->x->method == HTTP_METHOD_GET)
			list_users(c);
		else
			admin_not_allowed(c, "GET, POST");
	} else if (c->x->method == HTTP_METHOD_POST && span_eq(c->name, SPAN("import"))) {
		import_users(c);
	} else if (c->x->method == HTTP_METHOD_GET) {
		result = get_user(c, &user);
		if (result == STORE_OK)
			show_user(c, 200, user.id, SPAN_NONE);
		else
			admin_refuse(c, result);
	} else if (c->x->method == HTTP_METHOD_PATCH) {
		change_user(c);
	} else if (c->x->method == HTTP_METHOD_DELETE) {
		remove_user(c);
	} else {
		admin_not_allowed(c, "GET, PATCH, DELETE");
	}
}
