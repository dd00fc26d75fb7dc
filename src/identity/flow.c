#include "identity/flow.h"

#include "base/clock.h"

#define FLOW_S ((int64_t)600)
#define DEVICE_S ((int64_t)180 * 24 * 3600)

/* ---- between the steps ---- */

static enum store_result put(struct idp_exchange *x, const struct flow *flow, struct err *err)
{
	struct store_change change = {.kind = SPAN("login"),
				      .expires_unix_ms = clock_unix_ms() + FLOW_S * 1000};
	struct span cookie = idp_new_secret(x->arena);
	char digest[DIGEST_HEX_SIZE];
	enum store_result result;
	struct json_writer w;
	struct buf value;

	if (!cookie.ptr)
		return idp_no_memory(err);
	digest_hex(digest, cookie);
	buf_init(&value, 32768);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	json_member_string(&w, SPAN("user"), flow->user.id);
	json_member_string(&w, SPAN("return"), flow->back);
	json_put_texts(&w, "amr", &flow->methods);
	json_member_bool(&w, SPAN("remember"), flow->remember);
	json_member_int(&w, SPAN("auth_time"), flow->authenticated_unix_s);
	json_end_object(&w);
	change.key = span_cstr(digest);
	result = idp_commit(x->idp->shared, &change, 1, &value, err);
	if (result == STORE_OK)
		web_set_cookie(x, WEB_LOGIN_COOKIE, cookie, FLOW_S);
	return result;
}

enum store_result flow_get(struct idp_exchange *x, struct flow *flow, struct err *err)
{
	struct span cookie = web_cookie(x, WEB_LOGIN_COOKIE);
	char digest[DIGEST_HEX_SIZE];
	const struct json *object;
	struct store_record record;
	enum store_result result;

	if (!cookie.len)
		return STORE_ABSENT;
	digest_hex(digest, cookie);
	flow->id = arena_dup(x->arena, span_cstr(digest));
	if (!flow->id.ptr)
		return idp_no_memory(err);
	result = store_get(x->idp->shared, SPAN("login"), flow->id, x->arena, &record, err);
	if (result != STORE_OK)
		return result;
	object = idp_parse(record.value, x->arena, err);
	if (!object)
		return STORE_FAILED;
	flow->back = json_text(object, "return");
	flow->remember = json_flag(object, "remember");
	flow->authenticated_unix_s = json_number(object, "auth_time");
	if (json_texts(object, "amr", x->arena, &flow->methods) < 0)
		return idp_no_memory(err);
	result = user_get(x->idp, json_text(object, "user"), x->arena, &flow->user, err);
	return result == STORE_OK && flow->user.disabled ? STORE_ABSENT : result;
}

static enum store_result end(struct idp_exchange *x, const struct flow *flow, struct err *err)
{
	const struct store_change change = {
		.kind = SPAN("login"), .key = flow->id, .remove = true};

	if (!flow->id.len)
		return STORE_OK;
	return store_commit(x->idp->shared, &change, 1, err);
}

void flow_start_over(struct idp_exchange *x, enum store_result result, const struct err *err)
{
	if (result == STORE_FAILED)
		web_unavailable(x, err);
	else
		web_redirect(x, SPAN("/identity/login"));
}

int flow_add_method(struct idp_exchange *x, struct flow *flow, const char *method)
{
	return texts_add(&flow->methods, span_cstr(method), x->arena);
}

enum idp_acr flow_wanted(struct idp_exchange *x, struct span back)
{
	struct span query = back;
	struct form form;

	(void)span_cut(&query, '?');
	if (!query.len || form_parse(x->arena, query, &form) != FORM_OK)
		return IDP_ACR_NONE;
	return idp_acr_wanted(form_get(&form, SPAN("acr_values")));
}

/* ---- known devices: who has logged in here before is not locked out by strangers ---- */

enum store_result flow_device_key(struct idp_exchange *x, const struct idp_user *user,
				  struct span *key, struct err *err)
{
	struct span cookie = web_cookie(x, WEB_DEVICE_COOKIE);
	char digest[DIGEST_HEX_SIZE];

	*key = SPAN("");
	if (!cookie.len)
		return STORE_ABSENT;
	digest_hex(digest, cookie);
	*key = arena_printf(x->arena, "%.*s/%s", SPAN_ARG(user->id), digest);
	return key->ptr ? STORE_OK : idp_no_memory(err);
}

static enum store_result remember_device(struct idp_exchange *x, const struct idp_user *user,
					 struct err *err)
{
	struct store_change change = {.kind = SPAN("device-known"),
				      .value = SPAN("{}"),
				      .expires_unix_ms = clock_unix_ms() + DEVICE_S * 1000};
	struct span cookie = web_cookie(x, WEB_DEVICE_COOKIE);
	char digest[DIGEST_HEX_SIZE];

	if (cookie.len != 43)
		cookie = idp_new_secret(x->arena);
	if (!cookie.ptr)
		return idp_no_memory(err);
	digest_hex(digest, cookie);
	change.key = arena_printf(x->arena, "%.*s/%s", SPAN_ARG(user->id), digest);
	if (!change.key.ptr)
		return idp_no_memory(err);
	web_set_cookie(x, WEB_DEVICE_COOKIE, cookie, DEVICE_S);
	return store_commit(x->idp->shared, &change, 1, err);
}

/* ---- the end ---- */

static enum store_result finish(struct idp_exchange *x, const struct flow *flow,
				struct err *err)
{
	struct idp_session session = {.user = flow->user.id,
				      .address = x->address,
				      .agent = x->user_agent,
				      .methods = flow->methods,
				      .authenticated_unix_s = flow->authenticated_unix_s};
	struct span old = web_cookie(x, IDP_SESSION_COOKIE), cookie;
	char digest[DIGEST_HEX_SIZE];

	if (!session.authenticated_unix_s)
		session.authenticated_unix_s = clock_unix_s();
	/* What the browser had before, whoever gave it to it, opens nothing from here on. */
	if (old.len) {
		digest_hex(digest, old);
		if (session_end(x->idp, span_cstr(digest), err) == STORE_FAILED)
			return STORE_FAILED;
	}
	if (end(x, flow, err) != STORE_OK ||
	    session_start(x->idp, &x->config->identity.session, &session, x->arena, &cookie,
			  err) != STORE_OK ||
	    remember_device(x, &flow->user, err) != STORE_OK ||
	    (flow->remember && remember_start(x, flow, err) != STORE_OK))
		return STORE_FAILED;
	web_set_cookie(x, IDP_SESSION_COOKIE, cookie, -1);
	web_set_cookie(x, WEB_LOGIN_COOKIE, SPAN(""), 0);
	idp_audit(x->idp, "login.succeeded", "user", flow->user.id, "address", x->address);
	idp_count(x->idp, IDP_LOGINS_SUCCEEDED);
	web_redirect(x, web_return(flow->back));
	return STORE_OK;
}

void flow_go_on(struct idp_exchange *x, const struct flow *flow)
{
	bool factor =
		user_has_second_factor(&flow->user) && idp_acr_of(&flow->methods) < IDP_ACR_MFA;
	bool password = flow->user.must_change && texts_have(&flow->methods, SPAN("pwd"));
	enum store_result result;
	struct err err;

	if (factor || password) {
		if (flow->id.len && end(x, flow, &err) != STORE_OK) {
			web_unavailable(x, &err);
			return;
		}
		result = put(x, flow, &err);
		if (result == STORE_OK)
			web_redirect(x, factor ? SPAN("/identity/login/code")
					       : SPAN("/identity/login/password"));
	} else {
		result = finish(x, flow, &err);
	}
	if (result != STORE_OK)
		web_unavailable(x, &err);
}
