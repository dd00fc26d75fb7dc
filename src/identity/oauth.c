#include "identity/oauth.h"

#include <openssl/evp.h>

#include "base/clock.h"
#include "parse/base64.h"

#define VERIFIER_MIN 43
#define VERIFIER_MAX 128

/* ---- parameters ---- */

bool oauth_is_repeated(const struct form *form)
{
	for (size_t i = 0; i < form->count; i++)
		for (size_t j = 0; j < i; j++)
			if (span_eq(form->pairs[i].name, form->pairs[j].name) &&
			    !span_eq(form->pairs[i].name, SPAN("resource")))
				return true;
	return false;
}

bool oauth_resources(const struct idp_exchange *x, const struct form *form,
		     const struct idp_client *client, struct span *joined)
{
	struct span values[FORM_PAIRS_MAX];
	struct config_strings list = {values, 0};

	*joined = SPAN("");
	for (size_t i = 0; i < form->count; i++) {
		struct span value = form->pairs[i].value;

		if (!span_eq(form->pairs[i].name, SPAN("resource")))
			continue;
		if (!span_eq(value, x->config->identity.issuer) &&
		    !texts_have(&client->resources, value))
			return false;
		if (!texts_have(&list, value))
			values[list.count++] = value;
	}
	if (list.count)
		*joined = texts_join(&list, ' ', x->arena);
	return joined->ptr != NULL;
}

bool oauth_has_scope(struct span scopes, struct span scope)
{
	struct span rest = scopes;

	while (rest.ptr)
		if (span_eq(span_cut(&rest, ' '), scope))
			return true;
	return false;
}

bool oauth_scopes(const struct idp_exchange *x, struct span asked,
		  const struct idp_client *client, struct span *granted)
{
	struct config_strings list;

	if (!asked.len) {
		*granted = texts_join(&client->scopes, ' ', x->arena);
		return granted->ptr != NULL;
	}
	if (texts_split(asked, ' ', x->arena, &list) < 0)
		return false;
	for (size_t i = 0; i < list.count; i++)
		if (!texts_have(&client->scopes, list.at[i]))
			return false;
	*granted = texts_join(&list, ' ', x->arena);
	return granted->ptr != NULL;
}

bool oauth_verifier_fits(struct span verifier, struct span challenge)
{
	unsigned char digest[32];
	char text[44];

	if (verifier.len < VERIFIER_MIN || verifier.len > VERIFIER_MAX)
		return false;
	for (size_t i = 0; i < verifier.len; i++) {
		char c = ascii_lower(verifier.ptr[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
		      c == '.' || c == '_' || c == '~'))
			return false;
	}
	if (!EVP_Digest(verifier.ptr, verifier.len, digest, NULL, EVP_sha256(), NULL))
		return false;
	return secret_eq(span_of(text, base64url_encode(text, span_of(digest, sizeof(digest)))),
			 challenge);
}

/* ---- clients ---- */

static void refuse_client(struct idp_exchange *x, bool basic)
{
	if (basic)
		web_field(x, SPAN("www-authenticate"), SPAN("Basic realm=\"token\""));
	idp_audit(x->idp, "client.refused", "address", x->address, NULL, SPAN_NONE);
	web_error(x, 401, "invalid_client", NULL);
}

/* RFC 6749 section 2.3.1: both halves are form-encoded before they are joined. */
static bool read_basic(struct idp_exchange *x, struct span *id, struct span *secret)
{
	struct span value = span_trim(span_slice(x->authorization, 6, x->authorization.len));
	char *text = arena_alloc(x->arena, base64_decoded_max(value.len) + 16);
	struct span joined, half;
	struct form form;
	struct buf pair;
	size_t len = 0;
	bool read;

	if (!text || !base64_decode(text, &len, value))
		return false;
	joined = span_of(text, len);
	half = span_cut(&joined, ':');
	if (!joined.ptr || span_find_byte(half, '&') < half.len ||
	    span_find_byte(joined, '&') < joined.len)
		return false;
	buf_init(&pair, 8192);
	buf_append_cstr(&pair, "i=");
	buf_append(&pair, half);
	buf_append_cstr(&pair, "&s=");
	buf_append(&pair, joined);
	read = !buf_failed(&pair) && form_parse(x->arena, buf_span(&pair), &form) == FORM_OK &&
	       form.count == 2;
	if (pair.ptr)
		secret_wipe(pair.ptr, pair.len);
	buf_release(&pair);
	if (!read)
		return false;
	*id = form.pairs[0].value;
	*secret = form.pairs[1].value;
	return true;
}

static bool has_secret(const struct idp_client *client, struct span secret)
{
	char digest[DIGEST_HEX_SIZE];

	digest_hex(digest, secret);
	return client->secret.len && secret_eq(client->secret, span_cstr(digest));
}

bool oauth_client(struct idp_exchange *x, const struct form *form, bool need_secret,
		  struct idp_client *client)
{
	bool basic = span_eq_nocase(span_slice(x->authorization, 0, 6), SPAN("Basic "));
	struct span id = form_get(form, SPAN("client_id"));
	struct span secret = form_get(form, SPAN("client_secret"));
	struct span basic_id = SPAN_NONE;
	enum store_result result;
	struct err err;

	if (oauth_is_repeated(form) || (basic && secret.ptr)) {
		web_error(x, 400, "invalid_request",
			  "A parameter is there twice, or two ways to authenticate are.");
		return false;
	}
	if (basic &&
	    (!read_basic(x, &basic_id, &secret) || (id.ptr && !span_eq(id, basic_id)))) {
		refuse_client(x, true);
		return false;
	}
	if (basic)
		id = basic_id;
	result = client_get(x->idp, id, x->arena, client, &err);
	if (result == STORE_FAILED) {
		web_unavailable(x, &err);
		return false;
	}
	/* A confidential client always shows its secret, a public one has none to show. */
	if (result != STORE_OK || client->disabled ||
	    (client->secret.len ? !has_secret(client, secret)
				: need_secret || secret.len > 0)) {
		refuse_client(x, basic);
		return false;
	}
	return true;
}

/* ---- grants ---- */

int oauth_grant_write(struct json_writer *w, const struct oauth_grant *grant)
{
	json_member_string(w, SPAN("client"), grant->client);
	json_member_string(w, SPAN("user"), grant->user);
	json_member_string(w, SPAN("sid"), grant->session);
	json_member_string(w, SPAN("scope"), grant->scope);
	json_member_string(w, SPAN("resource"), grant->resource);
	json_member_string(w, SPAN("nonce"), grant->nonce);
	json_put_texts(w, "amr", &grant->methods);
	json_member_int(w, SPAN("auth_time"), grant->authenticated_unix_s);
	json_member_int(w, SPAN("created"), grant->created_unix_s);
	return buf_failed(w->to) ? -1 : 0;
}

int oauth_grant_read(const struct json *object, struct oauth_grant *grant, struct arena *arena,
		     struct err *err)
{
	grant->client = json_text(object, "client");
	grant->user = json_text(object, "user");
	grant->session = json_text(object, "sid");
	grant->scope = json_text(object, "scope");
	grant->resource = json_text(object, "resource");
	grant->nonce = json_text(object, "nonce");
	grant->authenticated_unix_s = json_number(object, "auth_time");
	grant->created_unix_s = json_number(object, "created");
	if (json_texts(object, "amr", arena, &grant->methods) < 0)
		return err_set(err, ERR_MEMORY, "identity: out of memory");
	return 0;
}

static int64_t grant_end_ms(const struct idp_exchange *x, const struct oauth_grant *grant)
{
	return grant->created_unix_s * 1000 +
	       (int64_t)x->config->identity.tokens.refresh_absolute_ms;
}

enum store_result oauth_grant_put(struct idp_exchange *x, struct oauth_grant *grant,
				  struct err *err)
{
	const struct store_index indexes[] = {{SPAN("user"), grant->user},
					      {SPAN("client"), grant->client}};
	struct store_change change = {.kind = SPAN("grant"),
				      .key = grant->id,
				      .expect = STORE_EXPECT_ABSENT,
				      .expires_unix_ms = grant_end_ms(x, grant),
				      .indexes = indexes,
				      .index_count = COUNT_OF(indexes)};
	enum store_result result;
	struct json_writer w;
	struct buf value;

	buf_init(&value, 65536);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	result = oauth_grant_write(&w, grant) < 0 ? idp_no_memory(err) : STORE_OK;
	json_end_object(&w);
	change.value = buf_span(&value);
	if (result == STORE_OK)
		result = buf_failed(&value) ? idp_no_memory(err)
					    : store_commit(x->idp->store, &change, 1, err);
	buf_release(&value);
	return result;
}

enum store_result oauth_grant_get(struct idp_exchange *x, struct span id,
				  struct oauth_grant *grant, struct err *err)
{
	struct store_record record;
	const struct json *object;
	enum store_result result =
		store_get(x->idp->store, SPAN("grant"), id, x->arena, &record, err);

	if (result != STORE_OK)
		return result;
	object = idp_parse(record.value, x->arena, err);
	*grant = (struct oauth_grant){.id = id, .version = record.version};
	if (!object || oauth_grant_read(object, grant, x->arena, err) < 0)
		return STORE_FAILED;
	return STORE_OK;
}

enum store_result oauth_grant_end(struct idp_exchange *x, struct span id, struct err *err)
{
	const struct store_change change = {.kind = SPAN("grant"), .key = id, .remove = true};
	int64_t until_ms =
		clock_unix_ms() + (int64_t)x->config->identity.tokens.access_ms + 60000;

	if (store_commit(x->idp->store, &change, 1, err) != STORE_OK)
		return STORE_FAILED;
	return idp_revoke(x->idp, id, until_ms, err);
}

/* ---- tokens ---- */

/* A client's own token has the client's roles. */
static enum store_result access_of(struct idp_exchange *x, const struct idp_client *client,
				   const struct idp_user *user, struct idp_access *access,
				   struct err *err)
{
	const struct idp_user own = {.roles = client->roles};

	return user_access(x->idp, user ? user : &own, x->arena, access, err);
}

static const char *acr_of(const struct oauth_grant *grant)
{
	return texts_have(&grant->methods, SPAN("otp")) ? "mfa" : "pwd";
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

/* RFC 9068 section 2.2. */
static enum store_result sign_access(struct idp_exchange *x, const struct idp_client *client,
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
	if (access_of(x, client, user, &access, err) != STORE_OK)
		return STORE_FAILED;
	buf_init(&payload, 65536);
	json_writer_init(&w, &payload);
	json_begin_object(&w);
	json_member_string(&w, SPAN("iss"), x->config->identity.issuer);
	json_member_string(&w, SPAN("sub"), user ? user->id : client->id);
	put_audience(&w, x, grant);
	json_member_string(&w, SPAN("client_id"), client->id);
	json_member_int(&w, SPAN("iat"), now);
	json_member_int(&w, SPAN("exp"),
			now + (int64_t)(x->config->identity.tokens.access_ms / 1000));
	json_member_string(&w, SPAN("jti"), jti);
	json_member_string(&w, SPAN("scope"), scope);
	if (grant->id.len)
		json_member_string(&w, SPAN("grant"), grant->id);
	put_login(&w, grant);
	if (access.roles.count)
		json_put_texts(&w, "roles", &access.roles);
	if (user && user->groups.count)
		json_put_texts(&w, "groups", &user->groups);
	if (access.permissions.count)
		json_put_texts(&w, "permissions", &access.permissions);
	json_end_object(&w);
	result = buf_failed(&payload) || signing_sign(x->idp, SPAN("at+jwt"),
						      buf_span(&payload), token, err) < 0
			 ? STORE_FAILED
			 : STORE_OK;
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

/* OpenID Connect Core section 2. */
static enum store_result sign_id(struct idp_exchange *x, const struct idp_client *client,
				 const struct oauth_grant *grant, struct span access_token,
				 struct buf *token, struct err *err)
{
	int64_t now = clock_unix_s();
	enum store_result result;
	struct json_writer w;
	struct buf payload;

	buf_init(&payload, 16384);
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
	put_at_hash(&w, access_token);
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
	int64_t end_ms = grant_end_ms(x, grant);
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

struct issued {
	struct buf access;
	struct buf id;
	struct span refresh;
};

static enum store_result issue(struct idp_exchange *x, const struct idp_client *client,
			       const struct oauth_grant *grant, struct span scope,
			       struct issued *out, struct err *err)
{
	struct idp_user user;
	enum store_result result = STORE_OK;

	if (grant->user.len) {
		result = user_get(x->idp, grant->user, x->arena, &user, err);
		if (result == STORE_OK && user.disabled)
			result = STORE_ABSENT;
	}
	if (result == STORE_OK)
		result = sign_access(x, client, grant, grant->user.len ? &user : NULL, scope,
				     &out->access, err);
	if (result == STORE_OK && grant->user.len && oauth_has_scope(scope, SPAN("openid")))
		result = sign_id(x, client, grant, buf_span(&out->access), &out->id, err);
	if (result == STORE_OK && grant->user.len &&
	    texts_have(&client->grants, SPAN(GRANT_REFRESH)))
		result = make_refresh(x, grant, &out->refresh, err);
	return result;
}

static void answer_tokens(struct idp_exchange *x, const struct issued *out, struct span scope)
{
	struct json_writer w;
	struct buf body;

	buf_init(&body, 65536);
	json_writer_init(&w, &body);
	json_begin_object(&w);
	json_member_string(&w, SPAN("access_token"), buf_span(&out->access));
	json_member_string(&w, SPAN("token_type"), SPAN("Bearer"));
	json_member_int(&w, SPAN("expires_in"),
			(int64_t)(x->config->identity.tokens.access_ms / 1000));
	json_member_string(&w, SPAN("scope"), scope);
	if (out->refresh.len)
		json_member_string(&w, SPAN("refresh_token"), out->refresh);
	if (out->id.len)
		json_member_string(&w, SPAN("id_token"), buf_span(&out->id));
	json_end_object(&w);
	web_json(x, 200, &body);
}

void oauth_issue(struct idp_exchange *x, const struct idp_client *client,
		 const struct oauth_grant *grant, struct span scope)
{
	struct issued out = {.refresh = SPAN_NONE};
	struct err err = {.message = "no memory for tokens"};

	buf_init(&out.access, 16384);
	buf_init(&out.id, 16384);
	switch (issue(x, client, grant, scope, &out, &err)) {
	case STORE_OK: answer_tokens(x, &out, scope); break;
	case STORE_ABSENT:
	case STORE_CONFLICT:
		web_error(x, 400, "invalid_grant", "The user cannot log in any more.");
		break;
	case STORE_FAILED: web_unavailable(x, &err); break;
	}
	buf_release(&out.access);
	buf_release(&out.id);
}

const struct json *oauth_access_claims(struct idp_exchange *x, struct span token)
{
	struct span payload = signing_verify(x->idp, SPAN("at+jwt"), token, x->arena);
	const struct json *claims;
	struct err err;

	claims = payload.ptr ? json_parse(x->arena, payload, NULL, &err) : NULL;
	if (!claims || json_number(claims, "exp") <= clock_unix_s() ||
	    !json_is(json_get(claims, SPAN("iss")), x->config->identity.issuer) ||
	    idp_is_revoked_id(x->idp, json_text(claims, "jti")) ||
	    idp_is_revoked_id(x->idp, json_text(claims, "grant")) ||
	    idp_is_revoked_id(x->idp, json_text(claims, "sid")))
		return NULL;
	return claims;
}
