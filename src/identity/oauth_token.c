/* The token endpoint and what asks about tokens: RFC 6749, 7636, 7009, 7662; OpenID userinfo. */
#include "base/clock.h"
#include "identity/ldap_login.h"
#include "identity/oauth.h"

/* ---- authorization code ---- */

/* A code that comes again was stolen, before or after (RFC 6749 section 4.1.2). */
static void refuse_replay(struct idp_exchange *x, const struct json *object)
{
	struct span grant = json_text(object, "grant");
	struct err err;

	idp_audit(x->idp, "code.replayed", "client", json_text(object, "client"), "user",
		  json_text(object, "user"));
	if (grant.len && oauth_grant_end(x, grant, &err) != STORE_OK)
		web_unavailable(x, &err);
	else
		web_error(x, 400, "invalid_grant", NULL);
}

/* Whatever comes of it, the code is used up: of two at once, one wins. */
static enum store_result use_code(struct idp_exchange *x, const struct store_record *record,
				  const struct json *object, struct span grant, struct err *err)
{
	struct store_change change = {.kind = SPAN("code"),
				      .key = record->key,
				      .expect = STORE_EXPECT_VERSION,
				      .version = record->version,
				      .expires_unix_ms = record->expires_unix_ms};
	struct json_writer w;
	struct buf value;

	buf_init(&value, 4096);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	json_member_bool(&w, SPAN("used"), true);
	json_member_string(&w, SPAN("grant"), grant);
	json_member_string(&w, SPAN("client"), json_text(object, "client"));
	json_member_string(&w, SPAN("user"), json_text(object, "user"));
	json_end_object(&w);
	return idp_commit(x->idp->store, &change, 1, &value, err);
}

static bool code_fits(const struct idp_exchange *x, const struct idp_client *client,
		      const struct json *object, const struct form *form)
{
	struct span jkt = json_text(object, "dpop_jkt");

	/* RFC 9449 section 10: asked for with one key, redeemed with the same. */
	if (jkt.len && !span_eq(jkt, x->token_jkt))
		return false;
	return span_eq(json_text(object, "client"), client->id) &&
	       json_number(object, "until_ms") > clock_unix_ms() &&
	       span_eq(json_text(object, "redirect"), form_get(form, SPAN("redirect_uri"))) &&
	       oauth_verifier_fits(form_get(form, SPAN("code_verifier")),
				   json_text(object, "challenge"));
}

static void token_code(struct idp_exchange *x, const struct form *form,
		       const struct idp_client *client)
{
	struct oauth_grant grant = {.id = idp_new_id(x->arena, 'g')};
	char digest[DIGEST_HEX_SIZE];
	const struct json *object = NULL;
	struct store_record record = {.version = 0};
	enum store_result result;
	struct err err = {.message = "no memory for a grant"};
	bool fits;

	digest_hex(digest, form_get(form, SPAN("code")));
	result = store_get(x->idp->store, SPAN("code"), span_cstr(digest), x->arena, &record,
			   &err);
	if (result == STORE_OK)
		object = idp_parse(record.value, x->arena, &err);
	if (result == STORE_FAILED || (result == STORE_OK && !object) || !grant.id.ptr) {
		web_unavailable(x, &err);
		return;
	}
	if (result == STORE_ABSENT) {
		web_error(x, 400, "invalid_grant", NULL);
		return;
	}
	if (json_flag(object, "used")) {
		refuse_replay(x, object);
		return;
	}
	fits = code_fits(x, client, object, form);
	if (fits && oauth_grant_read(object, &grant, x->arena, &err) < 0) {
		web_unavailable(x, &err);
		return;
	}
	oauth_grant_bind(x, client, &grant);
	/* The grant is there before the code is used up: who comes second can end it. */
	if (fits && oauth_grant_put(x, &grant, &err) != STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	result = use_code(x, &record, object, fits ? grant.id : SPAN(""), &err);
	if (result == STORE_OK && fits) {
		oauth_issue(x, client, &grant, grant.scope);
		return;
	}
	if (result == STORE_FAILED ||
	    (fits && oauth_grant_end(x, grant.id, &err) != STORE_OK)) {
		web_unavailable(x, &err);
		return;
	}
	idp_audit(x->idp, "code.refused", "client", client->id, "address", x->address);
	web_error(x, 400, "invalid_grant", NULL);
}

/* ---- refresh token ---- */

static void end_family(struct idp_exchange *x, const struct idp_client *client,
		       struct span grant)
{
	struct err err;

	idp_audit(x->idp, "refresh.reused", "client", client->id, "grant", grant);
	if (oauth_grant_end(x, grant, &err) != STORE_OK)
		web_unavailable(x, &err);
	else
		web_error(x, 400, "invalid_grant", NULL);
}

/* The session that the grant belongs to must be there still. */
static enum store_result session_lives(struct idp_exchange *x, const struct oauth_grant *grant,
				       struct err *err)
{
	struct store_record record;

	if (!grant->session.len)
		return STORE_OK;
	return store_get(x->idp->shared, SPAN("session"), grant->session, x->arena, &record,
			 err);
}

/* So must the user, as far as the directory that knows it has said. */
static enum store_result user_is_known(struct idp_exchange *x, const struct oauth_grant *grant,
				       struct err *err)
{
	struct idp_user user;
	enum store_result result;

	if (!grant->user.len || !x->config->identity.ldap.count)
		return STORE_OK;
	result = user_get(x->idp, grant->user, x->arena, &user, err);
	return result == STORE_OK ? ldap_check_known(x->idp, x->config, &user, x->arena, err)
				  : result;
}

/* Used up, but not forgotten: when it comes again the family ends (RFC 9700 section 4.14.2). */
static enum store_result use_refresh(struct idp_exchange *x, const struct store_record *record,
				     struct span grant, struct err *err)
{
	struct store_change change = {.kind = SPAN("refresh"),
				      .key = record->key,
				      .expect = STORE_EXPECT_VERSION,
				      .version = record->version,
				      .expires_unix_ms = record->expires_unix_ms};

	change.value =
		arena_printf(x->arena, "{\"grant\":\"%.*s\",\"used\":true}", SPAN_ARG(grant));
	if (!change.value.ptr)
		return idp_no_memory(err);
	return store_commit(x->idp->store, &change, 1, err);
}

/* A part of what was granted (RFC 6749 section 6). */
static bool narrower(struct span asked, struct span granted)
{
	struct span rest = asked;

	while (rest.ptr) {
		struct span scope = span_cut(&rest, ' ');

		if (scope.len && !oauth_has_scope(granted, scope))
			return false;
	}
	return true;
}

static enum store_result find_refresh(struct idp_exchange *x, struct span token,
				      struct store_record *record, const struct json **object,
				      struct err *err)
{
	char digest[DIGEST_HEX_SIZE];
	enum store_result result;
	struct span key;

	digest_hex(digest, token);
	key = arena_dup(x->arena, span_cstr(digest));
	if (!key.ptr)
		return idp_no_memory(err);
	result = store_get(x->idp->store, SPAN("refresh"), key, x->arena, record, err);
	if (result != STORE_OK)
		return result;
	*object = idp_parse(record->value, x->arena, err);
	return *object ? STORE_OK : STORE_FAILED;
}

void oauth_refresh(struct idp_exchange *x, const struct form *form,
		   const struct idp_client *client)
{
	struct span asked = form_get(form, SPAN("scope"));
	const struct json *object = NULL;
	struct store_record record;
	struct oauth_grant grant = {.scope = SPAN_NONE};
	enum store_result result;
	struct err err;

	result = find_refresh(x, form_get(form, SPAN("refresh_token")), &record, &object, &err);
	if (result == STORE_OK)
		result = oauth_grant_get(x, json_text(object, "grant"), &grant, &err);
	if (result == STORE_OK && !span_eq(grant.client, client->id))
		result = STORE_ABSENT;
	if (result == STORE_OK && json_flag(object, "used")) {
		end_family(x, client, grant.id);
		return;
	}
	/* Before it is used up: who has stolen it ends nothing. */
	if (result == STORE_OK && ((grant.jkt.len && !span_eq(grant.jkt, x->token_jkt)) ||
				   (grant.x5t.len && !span_eq(grant.x5t, x->token_x5t)))) {
		web_error(x, 400, "invalid_grant", "The token is bound to another key.");
		return;
	}
	if (result == STORE_OK)
		result = session_lives(x, &grant, &err);
	if (result == STORE_OK)
		result = user_is_known(x, &grant, &err);
	if (result == STORE_OK && !narrower(asked, grant.scope)) {
		web_error(x, 400, "invalid_scope", NULL);
		return;
	}
	if (result == STORE_OK)
		result = use_refresh(x, &record, grant.id, &err);
	if (result == STORE_FAILED)
		web_unavailable(x, &err);
	else if (result == STORE_CONFLICT)
		end_family(x, client, grant.id);
	else if (result == STORE_ABSENT)
		web_error(x, 400, "invalid_grant", NULL);
	else
		oauth_issue(x, client, &grant, asked.len ? asked : grant.scope);
}

/* ---- client credentials ---- */

static void token_client(struct idp_exchange *x, const struct form *form,
			 const struct idp_client *client)
{
	struct oauth_grant grant = {.client = client->id};

	if (!oauth_scopes(x, form_get(form, SPAN("scope")), client, &grant.scope))
		web_error(x, 400, "invalid_scope", NULL);
	else if (!oauth_resources(x, form, client, &grant.resource))
		web_error(x, 400, "invalid_target", NULL);
	else
		oauth_issue(x, client, &grant, grant.scope);
}

void oauth_token(struct idp_exchange *x)
{
	static const struct {
		const char *name;
		void (*serve)(struct idp_exchange *x, const struct form *form,
			      const struct idp_client *client);
		const char *needs; /* a parameter; NULL: that is looked at later */
	} grants[] = {{GRANT_CODE, token_code, "code"},
		      {GRANT_REFRESH, oauth_refresh, "refresh_token"},
		      {GRANT_CLIENT, token_client, NULL},
		      {GRANT_DEVICE, oauth_device_token, "device_code"},
		      {GRANT_PASSWORD, oauth_password, NULL},
		      {GRANT_EXCHANGE, oauth_exchange, NULL}};
	struct idp_client client;
	struct form form;
	struct span type;

	if (!oauth_form(x, &form) || !oauth_client(x, &form, false, &client))
		return;
	type = form_get(&form, SPAN("grant_type"));
	for (size_t i = 0; i < COUNT_OF(grants); i++) {
		if (!span_eq(type, span_cstr(grants[i].name)))
			continue;
		if (!oauth_is_on(x, type))
			web_error(x, 400, "unsupported_grant_type", NULL);
		else if (!texts_have(&client.grants, type))
			web_error(x, 400, "unauthorized_client", NULL);
		else if (grants[i].needs && !form_get(&form, span_cstr(grants[i].needs)).len)
			web_error(x, 400, "invalid_request", NULL);
		else if (oauth_bind(x, &client))
			grants[i].serve(x, &form, &client);
		return;
	}
	web_error(x, 400, type.ptr ? "unsupported_grant_type" : "invalid_request", NULL);
}

/* ---- introspection (RFC 7662) ---- */

static void answer_inactive(struct idp_exchange *x)
{
	struct buf body;

	buf_init(&body, 64);
	buf_append_cstr(&body, "{\"active\":false}");
	web_json(x, 200, &body);
}

bool oauth_may_know(const struct idp_client *client, const struct json *claims)
{
	const struct json *aud = json_get(claims, SPAN("aud"));
	struct span text;

	if (json_is(json_get(claims, SPAN("client_id")), client->id))
		return true;
	if (json_string(aud, &text))
		return texts_have(&client->resources, text);
	for (size_t i = 0; aud && aud->type == JSON_ARRAY && i < aud->array.count; i++)
		if (json_string(&aud->array.items[i], &text) &&
		    texts_have(&client->resources, text))
			return true;
	return false;
}

int oauth_write_active(const struct json *claims, struct arena *arena, struct span *answer)
{
	struct json_writer w;
	struct buf body;

	buf_init(&body, 65536);
	json_writer_init(&w, &body);
	json_begin_object(&w);
	json_member_bool(&w, SPAN("active"), true);
	json_member_string(&w, SPAN("token_type"),
			   json_get(json_get(claims, SPAN("cnf")), SPAN("jkt"))
				   ? SPAN("DPoP")
				   : SPAN("Bearer"));
	for (size_t i = 0; i < claims->object.count; i++) {
		json_key(&w, claims->object.members[i].key);
		json_put_tree(&w, &claims->object.members[i].value);
	}
	json_end_object(&w);
	*answer = buf_failed(&body) ? SPAN_NONE : arena_dup(arena, buf_span(&body));
	buf_release(&body);
	return answer->ptr ? 0 : -1;
}

void oauth_introspect(struct idp_exchange *x)
{
	const struct json *claims;
	struct idp_client client;
	struct span answer;
	struct form form;

	if (!oauth_form(x, &form) || !oauth_client(x, &form, true, &client))
		return;
	if (!form_get(&form, SPAN("token")).len) {
		web_error(x, 400, "invalid_request", "There is no token.");
		return;
	}
	claims = oauth_access_claims(x, form_get(&form, SPAN("token")));
	if (!claims || !oauth_may_know(&client, claims)) {
		answer_inactive(x);
		return;
	}
	if (oauth_write_active(claims, x->arena, &answer) < 0)
		answer = SPAN_NONE;
	web_json_text(x, 200, answer);
}

/* ---- revocation (RFC 7009) ---- */

/* STORE_CONFLICT: it is another client's (section 2.1). */
static enum store_result revoke_token(struct idp_exchange *x, const struct idp_client *client,
				      struct span token, struct err *err)
{
	const struct json *claims = oauth_access_claims(x, token), *object = NULL;
	struct store_record record;
	struct oauth_grant grant = {.scope = SPAN_NONE};
	enum store_result result;

	if (claims) {
		if (!json_is(json_get(claims, SPAN("client_id")), client->id))
			return STORE_CONFLICT;
		return idp_revoke(x->idp, json_text(claims, "jti"),
				  (json_number(claims, "exp") + 60) * 1000, err);
	}
	result = find_refresh(x, token, &record, &object, err);
	if (result == STORE_OK)
		result = oauth_grant_get(x, json_text(object, "grant"), &grant, err);
	if (result == STORE_OK && !span_eq(grant.client, client->id))
		return STORE_CONFLICT;
	if (result == STORE_OK)
		result = oauth_grant_end(x, grant.id, err);
	return result == STORE_FAILED ? result : STORE_OK;
}

void oauth_revoke(struct idp_exchange *x)
{
	struct idp_client client;
	struct form form;
	struct buf body;
	struct err err;

	if (!oauth_form(x, &form) || !oauth_client(x, &form, false, &client))
		return;
	if (!form_get(&form, SPAN("token")).len) {
		web_error(x, 400, "invalid_request", "There is no token.");
		return;
	}
	switch (revoke_token(x, &client, form_get(&form, SPAN("token")), &err)) {
	case STORE_OK:
	case STORE_ABSENT: break;
	case STORE_CONFLICT:
		web_error(x, 400, "invalid_grant", "The token is another client's.");
		return;
	case STORE_FAILED: web_unavailable(x, &err); return;
	}
	idp_audit(x->idp, "token.revoked", "client", client.id, NULL, SPAN_NONE);
	buf_init(&body, 16);
	buf_append_cstr(&body, "{}");
	web_json(x, 200, &body);
}

/* ---- userinfo (OpenID Connect Core section 5.3) ---- */

static void refuse_bearer(struct idp_exchange *x, unsigned status, const char *error)
{
	web_field(x, SPAN("www-authenticate"),
		  arena_printf(x->arena, "Bearer realm=\"userinfo\"%s%s%s",
			       error ? ", error=\"" : "", error ? error : "",
			       error ? "\"" : ""));
	web_error(x, status, error ? error : "invalid_request", NULL);
}

void oauth_userinfo(struct idp_exchange *x)
{
	const struct json *claims;
	enum store_result result;
	struct json_writer w;
	struct idp_user user;
	struct buf body;
	struct err err;

	claims = oauth_shown_token(x);
	if (!claims)
		return;
	if (!oauth_has_scope(json_text(claims, "scope"), SPAN("openid"))) {
		refuse_bearer(x, 403, "insufficient_scope");
		return;
	}
	result = user_get(x->idp, json_text(claims, "sub"), x->arena, &user, &err);
	if (result == STORE_FAILED) {
		web_unavailable(x, &err);
		return;
	}
	if (result != STORE_OK || user.disabled) {
		refuse_bearer(x, 401, "invalid_token");
		return;
	}
	buf_init(&body, 16384);
	json_writer_init(&w, &body);
	json_begin_object(&w);
	json_member_string(&w, SPAN("sub"), user.id);
	oauth_put_claims(&w, &user, json_text(claims, "scope"));
	json_end_object(&w);
	web_json(x, 200, &body);
}
