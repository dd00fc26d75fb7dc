/*
 * "Keep me logged in": a token of its own, for a session when there is none. It is good once, and
 * gives its successor. When one comes that was used a while ago, somebody has copied it: all of its
 * family end.
 */
#include "base/clock.h"
#include "identity/flow.h"
#include "identity/ldap_login.h"

/* Requests of one page may come at the same time with the same token. */
#define GRACE_S 60

struct remembered {
	struct span id; /* digest */
	struct span user;
	struct span family;
	struct config_strings methods;
	int64_t authenticated_unix_s;
	int64_t used_unix_s; /* 0: not yet */
	int64_t expires_unix_ms;
	uint64_t version;
};

static enum store_result put(struct idp_exchange *x, const struct remembered *r,
			     struct err *err)
{
	const struct store_index indexes[] = {{SPAN("user"), r->user},
					      {SPAN("family"), r->family}};
	struct store_change change = {.kind = SPAN("remember"),
				      .key = r->id,
				      .expect = r->version ? STORE_EXPECT_VERSION
							   : STORE_EXPECT_ABSENT,
				      .version = r->version,
				      .expires_unix_ms = r->expires_unix_ms,
				      .indexes = indexes,
				      .index_count = COUNT_OF(indexes)};
	struct json_writer w;
	struct buf value;

	buf_init(&value, 8192);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	json_member_string(&w, SPAN("user"), r->user);
	json_member_string(&w, SPAN("family"), r->family);
	json_put_texts(&w, "amr", &r->methods);
	json_member_int(&w, SPAN("auth_time"), r->authenticated_unix_s);
	json_member_int(&w, SPAN("used"), r->used_unix_s);
	json_end_object(&w);
	return idp_commit(x->idp->shared, &change, 1, &value, err);
}

static enum store_result find(struct idp_exchange *x, struct remembered *r, struct err *err)
{
	struct span cookie = web_cookie(x, WEB_REMEMBER_COOKIE);
	char digest[DIGEST_HEX_SIZE];
	struct store_record record;
	const struct json *object;
	enum store_result result;

	if (!cookie.len || !x->config->identity.session.remember_ms)
		return STORE_ABSENT;
	digest_hex(digest, cookie);
	r->id = arena_dup(x->arena, span_cstr(digest));
	if (!r->id.ptr)
		return idp_no_memory(err);
	result = store_get(x->idp->shared, SPAN("remember"), r->id, x->arena, &record, err);
	if (result != STORE_OK)
		return result;
	object = idp_parse(record.value, x->arena, err);
	if (!object)
		return STORE_FAILED;
	r->user = json_text(object, "user");
	r->family = json_text(object, "family");
	r->authenticated_unix_s = json_number(object, "auth_time");
	r->used_unix_s = json_number(object, "used");
	r->expires_unix_ms = record.expires_unix_ms;
	r->version = record.version;
	return json_texts(object, "amr", x->arena, &r->methods) < 0 ? idp_no_memory(err)
								    : STORE_OK;
}

/* The new token in the browser's cookie. */
static enum store_result give(struct idp_exchange *x, struct remembered *r, struct err *err)
{
	struct span cookie = idp_new_secret(x->arena);
	char digest[DIGEST_HEX_SIZE];

	if (!cookie.ptr)
		return idp_no_memory(err);
	digest_hex(digest, cookie);
	r->id = arena_dup(x->arena, span_cstr(digest));
	if (!r->id.ptr)
		return idp_no_memory(err);
	r->version = 0;
	r->used_unix_s = 0;
	web_set_cookie(x, WEB_REMEMBER_COOKIE, cookie,
		       (r->expires_unix_ms - clock_unix_ms()) / 1000);
	return put(x, r, err);
}

enum store_result remember_start(struct idp_exchange *x, const struct flow *flow,
				 struct err *err)
{
	struct remembered r = {
		.user = flow->user.id,
		.family = idp_new_id(x->arena, 'm'),
		.methods = flow->methods,
		.authenticated_unix_s = clock_unix_s(),
		.expires_unix_ms =
			clock_unix_ms() + (int64_t)x->config->identity.session.remember_ms,
	};

	if (!x->config->identity.session.remember_ms)
		return STORE_OK;
	if (!r.family.ptr)
		return idp_no_memory(err);
	return give(x, &r, err);
}

enum store_result remember_end_all(struct idp *idp, const char *index, struct span value,
				   struct arena *arena, struct err *err)
{
	const struct store_index wanted = {span_cstr(index), value};
	struct store_page page;

	if (store_find(idp->shared, SPAN("remember"), &wanted, SPAN_NONE, STORE_PAGE_MAX, arena,
		       &page, err) != STORE_OK)
		return STORE_FAILED;
	for (size_t i = 0; i < page.count; i++) {
		const struct store_change change = {
			.kind = SPAN("remember"), .key = page.records[i].key, .remove = true};

		if (store_commit(idp->shared, &change, 1, err) == STORE_FAILED)
			return STORE_FAILED;
	}
	return STORE_OK;
}

enum store_result remember_end(struct idp_exchange *x, struct err *err)
{
	struct remembered r = {.version = 0};
	enum store_result result = find(x, &r, err);

	if (result == STORE_OK)
		result = remember_end_all(x->idp, "family", r.family, x->arena, err);
	if (web_cookie(x, WEB_REMEMBER_COOKIE).len)
		web_set_cookie(x, WEB_REMEMBER_COOKIE, SPAN(""), 0);
	return result == STORE_FAILED ? result : STORE_OK;
}

/* Marks it used, and gives the next; STORE_ABSENT when it was used a while ago. */
static enum store_result renew(struct idp_exchange *x, struct remembered *r, struct err *err)
{
	enum store_result result;

	if (r->used_unix_s && clock_unix_s() - r->used_unix_s > GRACE_S) {
		idp_audit(x->idp, "remember.reused", "user", r->user, "address", x->address);
		result = remember_end_all(x->idp, "family", r->family, x->arena, err);
		return result == STORE_OK ? STORE_ABSENT : result;
	}
	if (!r->used_unix_s) {
		r->used_unix_s = clock_unix_s();
		result = put(x, r, err);
		/* Another request of the same page was faster: both may go on. */
		if (result == STORE_FAILED)
			return result;
	}
	return give(x, r, err);
}

enum store_result remember_use(struct idp_exchange *x, struct idp_session *session,
			       struct idp_user *user, struct err *err)
{
	struct remembered r = {.version = 0};
	enum store_result result = find(x, &r, err);
	struct span cookie;

	if (result == STORE_OK)
		result = user_get(x->idp, r.user, x->arena, user, err);
	if (result == STORE_OK && (user->disabled || user->must_change))
		result = STORE_ABSENT;
	if (result == STORE_OK)
		result = ldap_check_known(x->idp, x->config, user, x->arena, err);
	/* A second factor that was set up since has not been shown. */
	if (result == STORE_OK && user_has_second_factor(user) &&
	    idp_acr_of(&r.methods) < IDP_ACR_MFA)
		result = STORE_ABSENT;
	if (result == STORE_OK)
		result = renew(x, &r, err);
	if (result != STORE_OK)
		return result == STORE_CONFLICT ? STORE_ABSENT : result;
	*session = (struct idp_session){.user = user->id,
					.address = x->address,
					.agent = x->user_agent,
					.methods = r.methods,
					.authenticated_unix_s = r.authenticated_unix_s};
	if (session_start(x->idp, &x->config->identity.session, session, x->arena, &cookie,
			  err) != STORE_OK)
		return STORE_FAILED;
	web_set_cookie(x, IDP_SESSION_COOKIE, cookie, -1);
	idp_audit(x->idp, "login.remembered", "user", user->id, "address", x->address);
	return STORE_OK;
}
