/*
 * Client authentication: by secret (RFC 6749 section 2.3.1), by a signed assertion (RFC 7523
 * section 3), by certificate (RFC 8705 section 2). A client has one way, and every other is refused.
 */
#include <openssl/evp.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/fetch_once.h"
#include "identity/idp_fast.h"
#include "identity/oauth.h"
#include "parse/base64.h"
#include "parse/jws.h"

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#define SKEW_S 30
#define JTI_BYTES_MAX 256
#define KEYS_BYTES_MAX ((size_t)256 * 1024)
#define KEYS_FETCH_MS 5000
#define KEYS_KEPT_MS ((int64_t)300 * 1000)
#define KEYS_REFETCH_MS ((int64_t)10 * 1000)

/* ---- secrets ---- */

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
	size_t len = 0;

	if (!text || !base64_decode(text, &len, value))
		return false;
	joined = span_of(text, len);
	half = span_cut(&joined, ':');
	if (!joined.ptr || span_find_byte(half, '&') < half.len ||
	    span_find_byte(joined, '&') < joined.len)
		return false;
	return form_decode(x->arena, half, id) == FORM_OK &&
	       form_decode(x->arena, joined, secret) == FORM_OK;
}

bool oauth_has_secret(const struct idp_client *client, struct span secret)
{
	char digest[DIGEST_HEX_SIZE];

	digest_hex(digest, secret);
	return client->secret.len && secret_eq(client->secret, span_cstr(digest));
}

/* ---- keys ---- */

static void log_keys(const struct idp_client *client, const struct err *err)
{
	struct log_line line;

	log_begin(&line, LOG_WARN, "identity.client_keys");
	log_str(&line, "client", client->id);
	log_err(&line, err);
	log_end(&line);
}

static struct jwk_set *parse_keys(struct span text, struct err *err)
{
	const struct jwk_options options = {.algorithms = JWS_PUBLIC_ALL};

	return jwk_set_parse(text, &options, err);
}

static int fetch_keys(struct idp_exchange *x, struct span url, struct buf *body,
		      struct err *err)
{
	const struct http_field accept = {SPAN("Accept"), SPAN("application/json"),
					  HTTP_FIELD_ACCEPT};
	struct http_fetch_once fetch = {
		.url = url,
		.request = {.fields = &accept, .field_count = 1, .repeatable = true},
		.timeout_ms = KEYS_FETCH_MS,
	};
	unsigned status = 0;
	int result;

	fetch.tls = idp_client_tls(x->idp, x->config, err);
	if (!fetch.tls)
		return -1;
	result = http_fetch_once(&fetch, &status, body, err);
	if (result == 0 && status != 200)
		result = err_set(err, ERR_UNAVAILABLE, "%.*s: answered %u", SPAN_ARG(url),
				 status);
	return result;
}

/*
 * A URL that has failed is left alone for a while: anybody can send an assertion, and each attempt
 * keeps a thread waiting.
 */
static bool is_resting(struct idp_exchange *x, const char *digest, struct err *err)
{
	struct span key = arena_printf(x->arena, "keys-rest/%s", digest);
	struct store_counter counter;

	if (!key.ptr) {
		(void)idp_no_memory(err);
		return true;
	}
	if (store_count_get(x->idp->shared, key, &counter, err) != STORE_OK)
		return true;
	if (counter.value)
		(void)err_set(err, ERR_UNAVAILABLE, "the keys could not be fetched just now");
	return counter.value > 0;
}

static void rest(struct idp_exchange *x, const char *digest)
{
	struct span key = arena_printf(x->arena, "keys-rest/%s", digest);
	struct store_counter counter;
	struct err err;

	/* Without the store nobody gets far enough to fetch. */
	if (key.ptr)
		(void)store_count(x->idp->shared, key, 1, KEYS_REFETCH_MS, STORE_COUNT_FIXED,
				  &counter, &err);
}

/* Key sets behind URLs are kept in the shared store for all replicas, for a while. */
static struct jwk_set *keys_of_url(struct idp_exchange *x, const struct idp_client *client,
				   bool fresh, struct err *err)
{
	struct store_change change = {.kind = SPAN("client-keys")};
	char digest[DIGEST_HEX_SIZE];
	struct store_record record;
	struct jwk_set *set;
	enum store_result result;
	int64_t now_ms = clock_unix_ms();
	struct buf body;

	digest_hex(digest, client->jwks_uri);
	change.key = span_cstr(digest);
	result = store_get(x->idp->shared, change.kind, change.key, x->arena, &record, err);
	if (result == STORE_FAILED)
		return NULL;
	/* An unknown key is no reason to ask again at once. */
	if (result == STORE_OK &&
	    (!fresh || record.expires_unix_ms - KEYS_KEPT_MS + KEYS_REFETCH_MS > now_ms))
		return parse_keys(record.value, err);
	if (is_resting(x, digest, err))
		return NULL;
	buf_init(&body, KEYS_BYTES_MAX);
	set = fetch_keys(x, client->jwks_uri, &body, err) == 0
		      ? parse_keys(buf_span(&body), err)
		      : NULL;
	if (!set)
		rest(x, digest);
	change.value = buf_span(&body);
	change.expires_unix_ms = now_ms + KEYS_KEPT_MS;
	if (set && store_commit(x->idp->shared, &change, 1, err) == STORE_FAILED) {
		jwk_set_free(set);
		set = NULL;
	}
	buf_release(&body);
	return set;
}

struct jwk_set *oauth_client_keys(struct idp_exchange *x, const struct idp_client *client,
				  bool fresh, struct err *err)
{
	if (client->jwks_uri.len)
		return keys_of_url(x, client, fresh, err);
	return parse_keys(client->jwks, err);
}

/* ---- assertions ---- */

/* The issuer, or the endpoint that is asked; of a list all must be us (RFC 7523 section 3, 3.). */
static bool is_for_us(const struct idp_exchange *x, const struct json *aud)
{
	struct span issuer = x->config->identity.issuer;
	struct span endpoint =
		arena_printf(x->arena, "%.*s%.*s", SPAN_ARG(issuer), SPAN_ARG(x->path));
	struct span token = arena_printf(x->arena, "%.*s/identity/token", SPAN_ARG(issuer));
	const struct json *one = aud;
	size_t count = 1;

	if (!aud || !endpoint.ptr || !token.ptr)
		return false;
	if (aud->type == JSON_ARRAY) {
		one = aud->array.items;
		count = aud->array.count;
	}
	for (size_t i = 0; i < count; i++)
		if (!json_is(&one[i], issuer) && !json_is(&one[i], endpoint) &&
		    !json_is(&one[i], token))
			return false;
	return count > 0;
}

/* Of two with one jti, the first wins, on whichever replica. */
static enum store_result is_new_assertion(struct idp_exchange *x,
					  const struct idp_client *client, struct span jti,
					  int64_t until_unix_s, bool *new, struct err *err)
{
	char digest[DIGEST_HEX_SIZE], key[DIGEST_HEX_SIZE + 16];
	struct store_counter counter;
	struct span both =
		arena_printf(x->arena, "%.*s %.*s", SPAN_ARG(client->id), SPAN_ARG(jti));

	if (!both.ptr)
		return idp_no_memory(err);
	digest_hex(digest, both);
	snprintf(key, sizeof(key), "assertion/%s", digest);
	if (store_count(x->idp->shared, span_cstr(key), 1,
			(until_unix_s - clock_unix_s() + SKEW_S) * 1000, STORE_COUNT_FIXED,
			&counter, err) != STORE_OK)
		return STORE_FAILED;
	*new = counter.value == 1;
	return STORE_OK;
}

static enum store_result check_assertion(struct idp_exchange *x,
					 const struct idp_client *client,
					 const struct json *claims, bool *good, struct err *err)
{
	int64_t now = clock_unix_s(), exp, at;
	int64_t life_s = (int64_t)(x->config->identity.oauth.assertion_ms / 1000);
	const struct json *nbf = json_get(claims, SPAN("nbf"));
	const struct json *iat = json_get(claims, SPAN("iat"));
	struct span jti;

	*good = false;
	if (!json_is(json_get(claims, SPAN("iss")), client->id) ||
	    !json_is(json_get(claims, SPAN("sub")), client->id) ||
	    !is_for_us(x, json_get(claims, SPAN("aud"))) ||
	    !json_int(json_get(claims, SPAN("exp")), &exp) || exp + SKEW_S <= now ||
	    exp > now + life_s + SKEW_S ||
	    (nbf && (!json_int(nbf, &at) || at > now + SKEW_S)) ||
	    (iat && (!json_int(iat, &at) || at > now + SKEW_S)) ||
	    !json_string(json_get(claims, SPAN("jti")), &jti) || !jti.len ||
	    jti.len > JTI_BYTES_MAX)
		return STORE_OK;
	return is_new_assertion(x, client, jti, exp, good, err);
}

/* The payload when the signature is good; ptr NULL: it is not. */
static enum store_result verify_assertion(struct idp_exchange *x,
					  const struct idp_client *client, struct span text,
					  struct span *payload, struct err *err)
{
	const struct jws_policy policy = {.algorithms = JWS_PUBLIC_ALL};
	struct jws_context *context = jws_context_new(err);
	enum jws_result verified = JWS_UNKNOWN_KEY;
	struct jws jws;
	struct jwk_set *keys;
	struct err why;

	*payload = SPAN_NONE;
	if (!context)
		return STORE_FAILED;
	if (jws_parse(x->arena, text, &jws) != JWS_OK) {
		jws_context_free(context);
		return STORE_OK;
	}
	for (int fresh = 0; fresh < 2 && verified == JWS_UNKNOWN_KEY; fresh++) {
		keys = oauth_client_keys(x, client, fresh, &why);
		if (!keys)
			log_keys(client, &why);
		else
			verified = jws_verify(context, &jws, keys, &policy);
		jwk_set_free(keys);
	}
	if (verified == JWS_OK)
		*payload = jws.payload;
	jws_context_free(context);
	return STORE_OK;
}

static enum store_result has_assertion(struct idp_exchange *x, const struct form *form,
				       const struct idp_client *client, bool *has,
				       struct err *err)
{
	const struct json *claims;
	struct span payload;

	*has = false;
	if (!span_eq(form_get(form, SPAN("client_assertion_type")), SPAN(ASSERTION_TYPE)))
		return STORE_OK;
	if (verify_assertion(x, client, form_get(form, SPAN("client_assertion")), &payload,
			     err) != STORE_OK)
		return STORE_FAILED;
	claims = payload.ptr ? json_parse(x->arena, payload, NULL, err) : NULL;
	return claims ? check_assertion(x, client, claims, has, err) : STORE_OK;
}

/* The id that an assertion claims, before anything is verified: to find the client. */
static struct span claimed_id(struct idp_exchange *x, struct span assertion)
{
	const struct json *claims;
	struct jws jws;
	struct err err;

	if (jws_parse(x->arena, assertion, &jws) != JWS_OK)
		return SPAN("");
	claims = json_parse(x->arena, jws.payload, NULL, &err);
	return claims ? json_text(claims, "sub") : SPAN("");
}

/* ---- certificates ---- */

static bool has_name(const struct idp_client *client, const struct idp_certificate *certificate)
{
	if (client->tls_subject.len)
		return span_eq(client->tls_subject, certificate->subject);
	if (client->tls_dns.len)
		return texts_have(&certificate->dns_names, client->tls_dns);
	return client->tls_uri.len && texts_have(&certificate->uris, client->tls_uri);
}

/* RFC 8705 section 2.2: one of the certificates (`x5c`) or their digests in the client's keys. */
static bool lists_certificate(const struct json *keys, struct span thumbprint,
			      struct arena *arena)
{
	const struct json *list = json_get(keys, SPAN("keys"));

	for (size_t i = 0; list && list->type == JSON_ARRAY && i < list->array.count; i++) {
		const struct json *key = &list->array.items[i];
		unsigned char digest[32], *der;
		struct span text;
		size_t len = 0;
		char print[44];

		if (json_is(json_get(key, SPAN("x5t#S256")), thumbprint))
			return true;
		if (!json_string(json_at(json_get(key, SPAN("x5c")), 0), &text))
			continue;
		der = arena_alloc(arena, base64_decoded_max(text.len) + 1);
		if (der && base64_decode(der, &len, text) &&
		    EVP_Digest(der, len, digest, NULL, EVP_sha256(), NULL) &&
		    span_eq(thumbprint,
			    span_of(print, base64url_encode(print, span_of(digest, 32)))))
			return true;
	}
	return false;
}

static bool has_own_certificate(struct idp_exchange *x, const struct idp_client *client)
{
	const struct json *keys;
	struct err err;

	keys = json_parse(x->arena, client->jwks, NULL, &err);
	return keys && lists_certificate(keys, x->certificate->thumbprint, x->arena);
}

/* ---- all of them ---- */

bool oauth_credentials(struct idp_exchange *x, const struct form *form, struct span *id,
		       struct span *secret)
{
	bool basic = span_eq_nocase(span_slice(x->authorization, 0, 6), SPAN("Basic "));
	struct span basic_id;

	*id = form_get(form, SPAN("client_id"));
	*secret = form_get(form, SPAN("client_secret"));
	if (oauth_is_repeated(form) || (basic && secret->ptr))
		return false;
	if (!basic)
		return id->ptr && secret->ptr;
	if (!read_basic(x, &basic_id, secret) || (id->ptr && !span_eq(*id, basic_id)))
		return false;
	*id = basic_id;
	return true;
}

static enum store_result is_authentic(struct idp_exchange *x, const struct form *form,
				      const struct idp_client *client, struct span secret,
				      bool *is, struct err *err)
{
	bool asserted = form_get(form, SPAN("client_assertion")).ptr != NULL;

	*is = false;
	if (span_eq(client->auth_method, SPAN("private_key_jwt")))
		return secret.ptr ? STORE_OK : has_assertion(x, form, client, is, err);
	if (asserted)
		return STORE_OK;
	if (span_eq(client->auth_method, SPAN("tls_client_auth")))
		*is = !secret.ptr && x->certificate && x->certificate->verified &&
		      has_name(client, x->certificate);
	else if (span_eq(client->auth_method, SPAN("self_signed_tls_client_auth")))
		*is = !secret.ptr && x->certificate && has_own_certificate(x, client);
	else
		/* A confidential client always shows its secret, a public one has none. */
		*is = client->secret.len ? oauth_has_secret(client, secret) : !secret.len;
	return STORE_OK;
}

bool oauth_client(struct idp_exchange *x, const struct form *form, bool need_secret,
		  struct idp_client *client)
{
	bool basic = span_eq_nocase(span_slice(x->authorization, 0, 6), SPAN("Basic ")), is;
	struct span id = form_get(form, SPAN("client_id"));
	struct span secret = form_get(form, SPAN("client_secret"));
	struct span assertion = form_get(form, SPAN("client_assertion"));
	struct span basic_id = SPAN_NONE;
	enum store_result result;
	struct err err;

	if (oauth_is_repeated(form) ||
	    (basic + (secret.ptr != NULL) + (assertion.ptr != NULL)) > 1) {
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
	else if (!id.ptr && assertion.ptr)
		id = claimed_id(x, assertion);
	result = client_get(x->idp, id, x->arena, client, &err);
	is = result == STORE_OK && !client->disabled &&
	     (!need_secret || client_is_confidential(client));
	if (is)
		result = is_authentic(x, form, client, secret, &is, &err);
	if (result == STORE_FAILED) {
		web_unavailable(x, &err);
		return false;
	}
	if (is)
		idp_remember_client(x->idp, client);
	else
		refuse_client(x, basic);
	return is;
}
