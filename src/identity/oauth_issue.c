/* What is issued: access tokens (RFC 9068, or sealed), ID tokens, refresh tokens. */
#include <openssl/evp.h>

#include "base/clock.h"
#include "identity/idp_fast.h"
#include "identity/oauth.h"
#include "identity/opaque.h"
#include "parse/base64.h"

/* So that a buffer need not grow step by step; longer ones do. */
#define PAYLOAD_BYTES_USUAL 512
/* Of an answer: more than its names and numbers take. */
#define ANSWER_BYTES_FIXED 512

/* A client's own token has the client's roles. */
static enum store_result access_of(struct idp_exchange *x, const struct idp_client *client,
				   const struct idp_user *user, struct span subject,
				   struct idp_access *access, struct err *err)
{
	struct idp_user own = {.roles = client->roles};

	if (!user && !subject.len && x->own_access) {
		*access = *x->own_access;
		return STORE_OK;
	}
	/* Another client's token was exchanged: its roles are not this one's. */
	if (subject.len)
		own.roles.count = 0;
	return user_access(x->idp, user ? user : &own, x->arena, access, err);
}

static const char *acr_of(const struct oauth_grant *grant)
{
	return idp_acr_name(idp_acr_of(&grant->methods));
}

static void put_audience(struct json_writer *w, const struct idp_exchange *x,
			 const struct oauth_grant *grant)
{
	struct span rest = grant->resource.len ? grant->resource : x->config->identity.issuer;

	json_key(w, SPAN("aud"));
	if (span_find_byte(rest, ' ') == rest.len) {
		json_put_string(w, rest);
		return;
	}
	json_begin_array(w);
	while (rest.ptr)
		json_put_string(w, span_cut(&rest, ' '));
	json_end_array(w);
}

static void put_login(struct json_writer *w, const struct oauth_grant *grant)
{
	if (!grant->user.len)
		return;
	json_member_int(w, SPAN("auth_time"), grant->authenticated_unix_s);
	json_member_string(w, SPAN("acr"), span_cstr(acr_of(grant)));
	json_put_texts(w, "amr", &grant->methods);
	if (grant->session.len)
		json_member_string(w, SPAN("sid"), grant->session);
}

int64_t oauth_access_life_s(const struct idp_exchange *x, const struct oauth_grant *grant)
{
	int64_t life_s = (int64_t)(x->config->identity.tokens.access_ms / 1000), left_s;

	if (!grant->until_unix_s)
		return life_s;
	left_s = grant->until_unix_s - clock_unix_s();
	if (left_s >= life_s)
		return life_s;
	return left_s > 0 ? left_s : 0;
}

/* RFC 7800: the keys that the token is good with only. */
static void put_confirmation(struct json_writer *w, const struct idp_exchange *x)
{
	if (!x->token_jkt.len && !x->token_x5t.len)
		return;
	json_key(w, SPAN("cnf"));
	json_begin_object(w);
	if (x->token_jkt.len)
		json_member_string(w, SPAN("jkt"), x->token_jkt);
	if (x->token_x5t.len)
		json_member_string(w, SPAN("x5t#S256"), x->token_x5t);
	json_end_object(w);
}

static enum store_result seal_or_sign(struct idp_exchange *x, const struct idp_client *client,
				      const struct buf *payload, struct buf *token,
				      struct err *err)
{
	if (buf_failed(payload))
		return idp_no_memory(err);
	if (client->opaque)
		return opaque_seal(x->idp->vault, buf_span(payload), token) < 0
			       ? idp_no_memory(err)
			       : STORE_OK;
	return signing_sign(x->idp, SPAN("at+jwt"), buf_span(payload), token, err) < 0
		       ? STORE_FAILED
		       : STORE_OK;
}

/* RFC 9068 section 2.2. */
static enum store_result make_access(struct idp_exchange *x, const struct idp_client *client,
				     const struct oauth_grant *grant,
				     const struct idp_user *user, struct span scope,
				     struct buf *token, struct err *err)
{
	int64_t now = clock_unix_s();
	struct span jti = idp_new_id(x->arena, 't');
	struct idp_access access;
	enum store_result result;
	struct json_writer w;
	struct buf payload;

	if (!jti.ptr)
		return idp_no_memory(err);
	if (access_of(x, client, user, grant->subject, &access, err) != STORE_OK)
		return STORE_FAILED;
	buf_init(&payload, 65536);
	buf_reserve(&payload, PAYLOAD_BYTES_USUAL);
	json_writer_init(&w, &payload);
	json_begin_object(&w);
	json_member_string(&w, SPAN("iss"), x->config->identity.issuer);
	json_member_string(&w, SPAN("sub"),
			   user			? user->id
			   : grant->subject.len ? grant->subject
						: client->id);
	put_audience(&w, x, grant);
	json_member_string(&w, SPAN("client_id"), client->id);
	json_member_int(&w, SPAN("iat"), now);
	json_member_int(&w, SPAN("exp"), now + oauth_access_life_s(x, grant));
	json_member_string(&w, SPAN("jti"), jti);
	if (scope.len)
		json_member_string(&w, SPAN("scope"), scope);
	if (grant->id.len)
		json_member_string(&w, SPAN("grant"), grant->id);
	put_login(&w, grant);
	put_confirmation(&w, x);
	if (grant->act.len) {
		json_key(&w, SPAN("act"));
		json_put_raw(&w, grant->act);
	}
	if (access.roles.count)
		json_put_texts(&w, "roles", &access.roles);
	if (user && user->groups.count)
		json_put_texts(&w, "groups", &user->groups);
	if (access.permissions.count)
		json_put_texts(&w, "permissions", &access.permissions);
	json_end_object(&w);
	result = seal_or_sign(x, client, &payload, token, err);
	buf_release(&payload);
	return result;
}

/* OpenID Connect Core section 3.1.3.6: the left half of the digest. */
static void put_at_hash(struct json_writer *w, struct span token)
{
	unsigned char digest[32];
	char text[24];

	if (EVP_Digest(token.ptr, token.len, digest, NULL, EVP_sha256(), NULL))
		json_member_string(w, SPAN("at_hash"),
				   span_of(text, base64url_encode(text, span_of(digest, 16))));
}

void oauth_put_claims(struct json_writer *w, const struct idp_user *user, struct span scope)
{
	if (oauth_has_scope(scope, SPAN("profile"))) {
		json_member_string(w, SPAN("preferred_username"), user->name);
		if (user->display.len)
			json_member_string(w, SPAN("name"), user->display);
	}
	if (oauth_has_scope(scope, SPAN("email")) && user->email.len) {
		json_member_string(w, SPAN("email"), user->email);
		json_member_bool(w, SPAN("email_verified"), user->email_verified);
	}
}

/* OpenID Connect Core section 2. */
static enum store_result sign_id(struct idp_exchange *x, const struct idp_client *client,
				 const struct oauth_grant *grant, const struct idp_user *user,
				 struct span access_token, struct buf *token, struct err *err)
{
	int64_t now = clock_unix_s();
	enum store_result result;
	struct json_writer w;
	struct buf payload;

	buf_init(&payload, 16384);
	buf_reserve(&payload, PAYLOAD_BYTES_USUAL);
	json_writer_init(&w, &payload);
	json_begin_object(&w);
	json_member_string(&w, SPAN("iss"), x->config->identity.issuer);
	json_member_string(&w, SPAN("sub"), grant->user);
	json_member_string(&w, SPAN("aud"), client->id);
	json_member_int(&w, SPAN("iat"), now);
	json_member_int(&w, SPAN("exp"),
			now + (int64_t)(x->config->identity.tokens.id_ms / 1000));
	if (grant->nonce.len)
		json_member_string(&w, SPAN("nonce"), grant->nonce);
	put_login(&w, grant);
	/* Section 5.4: without an access token there is no userinfo to ask. */
	if (access_token.len)
		put_at_hash(&w, access_token);
	else
		oauth_put_claims(&w, user, grant->scope);
	json_end_object(&w);
	result = buf_failed(&payload) || signing_sign(x->idp, SPAN("JWT"), buf_span(&payload),
						      token, err) < 0
			 ? STORE_FAILED
			 : STORE_OK;
	buf_release(&payload);
	return result;
}

/* The token is 256 random bits; its digest leads to the grant. */
static enum store_result make_refresh(struct idp_exchange *x, const struct oauth_grant *grant,
				      struct span *token, struct err *err)
{
	int64_t idle_ms = clock_unix_ms() + (int64_t)x->config->identity.tokens.refresh_ms;
	int64_t end_ms = oauth_grant_end_ms(x, grant);
	const struct store_index index = {SPAN("grant"), grant->id};
	struct store_change change = {.kind = SPAN("refresh"),
				      .expect = STORE_EXPECT_ABSENT,
				      .expires_unix_ms = idle_ms < end_ms ? idle_ms : end_ms,
				      .indexes = &index,
				      .index_count = 1};
	char digest[DIGEST_HEX_SIZE];

	*token = idp_new_secret(x->arena);
	if (!token->ptr)
		return idp_no_memory(err);
	digest_hex(digest, *token);
	change.key = span_cstr(digest);
	change.value = arena_printf(x->arena, "{\"grant\":\"%.*s\"}", SPAN_ARG(grant->id));
	if (!change.value.ptr)
		return idp_no_memory(err);
	return store_commit(x->idp->store, &change, 1, err);
}

enum store_result oauth_make_tokens(struct idp_exchange *x, const struct idp_client *client,
				    const struct oauth_grant *grant, struct span scope,
				    unsigned want, struct oauth_tokens *out, struct err *err)
{
	struct idp_user user;
	enum store_result result = STORE_OK;

	if (grant->user.len) {
		result = user_get(x->idp, grant->user, x->arena, &user, err);
		if (result == STORE_OK && user.disabled)
			result = STORE_ABSENT;
	}
	if (result == STORE_OK && (want & OAUTH_WANT_ACCESS))
		result = make_access(x, client, grant, grant->user.len ? &user : NULL, scope,
				     &out->access, err);
	if (result == STORE_OK && (want & OAUTH_WANT_ID))
		result =
			sign_id(x, client, grant, &user, buf_span(&out->access), &out->id, err);
	if (result == STORE_OK && (want & OAUTH_WANT_REFRESH))
		result = make_refresh(x, grant, &out->refresh, err);
	return result;
}

static void answer_tokens(struct idp_exchange *x, const struct oauth_grant *grant,
			  const struct oauth_tokens *out, struct span scope)
{
	/* Text in JSON takes six times as many bytes at most. */
	size_t room = ANSWER_BYTES_FIXED + buf_span(&out->access).len + buf_span(&out->id).len +
		      6 * (out->refresh.len + scope.len);
	char *memory = arena_alloc(x->arena, room);
	struct json_writer w;
	struct buf body;

	if (!memory) {
		web_unavailable(x, NULL);
		return;
	}
	buf_init_on(&body, memory, room);
	json_writer_init(&w, &body);
	json_begin_object(&w);
	json_member_string(&w, SPAN("access_token"), buf_span(&out->access));
	if (grant->act.len)
		json_member_string(&w, SPAN("issued_token_type"), SPAN(TOKEN_TYPE_ACCESS));
	json_member_string(&w, SPAN("token_type"),
			   x->token_jkt.len ? SPAN("DPoP") : SPAN("Bearer"));
	json_member_int(&w, SPAN("expires_in"), oauth_access_life_s(x, grant));
	if (scope.len)
		json_member_string(&w, SPAN("scope"), scope);
	if (out->refresh.len)
		json_member_string(&w, SPAN("refresh_token"), out->refresh);
	if (out->id.len)
		json_member_string(&w, SPAN("id_token"), buf_span(&out->id));
	json_end_object(&w);
	web_json_text(x, 200, buf_failed(&body) ? SPAN_NONE : buf_span(&body));
}

void oauth_issue(struct idp_exchange *x, const struct idp_client *client,
		 const struct oauth_grant *grant, struct span scope)
{
	struct oauth_tokens out = {.refresh = SPAN_NONE};
	struct err err = {.message = "no memory for tokens"};
	unsigned want = OAUTH_WANT_ACCESS;

	if (grant->user.len && !grant->act.len) {
		if (oauth_has_scope(scope, SPAN("openid")))
			want |= OAUTH_WANT_ID;
		if (texts_have(&client->grants, SPAN(GRANT_REFRESH)))
			want |= OAUTH_WANT_REFRESH;
	}
	buf_init(&out.access, 32768);
	buf_reserve(&out.access, 2 * PAYLOAD_BYTES_USUAL);
	buf_init(&out.id, 16384);
	switch (oauth_make_tokens(x, client, grant, scope, want, &out, &err)) {
	case STORE_OK: answer_tokens(x, grant, &out, scope); break;
	case STORE_ABSENT:
	case STORE_CONFLICT:
		web_error(x, 400, "invalid_grant", "The user cannot log in any more.");
		break;
	case STORE_FAILED: web_unavailable(x, &err); break;
	}
	buf_release(&out.access);
	buf_release(&out.id);
}

bool oauth_are_good(const struct idp_exchange *x, const struct json *claims)
{
	return json_number(claims, "exp") > clock_unix_s() &&
	       json_is(json_get(claims, SPAN("iss")), x->config->identity.issuer) &&
	       !idp_is_revoked_id(x->idp, json_text(claims, "jti")) &&
	       !idp_is_revoked_id(x->idp, json_text(claims, "grant")) &&
	       !idp_is_revoked_id(x->idp, json_text(claims, "sid"));
}

const struct json *oauth_access_claims(struct idp_exchange *x, struct span token)
{
	struct span payload = opaque_is(token)
				      ? opaque_open(x->idp->vault, token, x->arena)
				      : signing_verify(x->idp, SPAN("at+jwt"), token, x->arena);
	const struct json *claims;
	struct err err;

	claims = payload.ptr ? json_parse(x->arena, payload, NULL, &err) : NULL;
	if (!claims || !oauth_are_good(x, claims))
		return NULL;
	idp_remember_token(x->idp, token, payload);
	return claims;
}
