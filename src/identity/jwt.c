/*
 * Bearer tokens that are a JWT (RFC 7519), by the advice of RFC 8725 and the profile of RFC 9068.
 * The issuer is read before anything is verified, and only to choose the one provider whose keys,
 * algorithms and audiences the token must then satisfy.
 */
#include "identity/worker.h"
#include "parse/base64.h"

#define SCRATCH_BYTES_MAX ((size_t)1024 * 1024)
#define SCRATCH_CHUNK_BYTES ((size_t)2 * 1024)
/* At most so often do we wait for keys for one token. */
#define KEY_WAITS_MAX 2

struct jwt {
	struct span signing_input;
	struct span payload64;
	struct span signature64;
	struct span header64;
	unsigned algorithm; /* one enum config_jws */
	struct span kid; /* ptr NULL: none */
	struct span typ; /* ptr NULL: none */
	const struct json *claims;
	struct provider *provider;
};

/* --- taking it apart --- */

/* header.payload.signature; the caller has counted the dots. */
static void split(struct jwt *jwt, struct span token)
{
	struct span rest = token;

	jwt->header64 = span_cut(&rest, '.');
	jwt->payload64 = span_cut(&rest, '.');
	jwt->signature64 = rest;
	jwt->signing_input = span_of(token.ptr, jwt->header64.len + 1 + jwt->payload64.len);
}

/* A base64url part as JSON object; NULL with *reason. Text and tree are in the arena. */
static const struct json *decode_object(struct span part, struct arena *arena,
					enum auth_reason *reason)
{
	char *text = arena_alloc(arena, base64_decoded_max(part.len));
	struct json_problem problem = {.error = JSON_OK};
	const struct json *object;
	size_t len;

	*reason = AUTH_REASON_NO_MEMORY;
	if (!text)
		return NULL;
	*reason = AUTH_REASON_BAD_HEADER;
	if (!base64url_decode(text, &len, part))
		return NULL;
	object = json_parse_problem(arena, span_of(text, len), NULL, &problem);
	if (!object && problem.error == JSON_ERROR_MEMORY)
		*reason = AUTH_REASON_NO_MEMORY;
	return object && object->type == JSON_OBJECT ? object : NULL;
}

static unsigned algorithm_of(struct span name)
{
	for (unsigned bit = CONFIG_JWS_RS256; bit <= CONFIG_JWS_EDDSA; bit <<= 1) {
		if (span_eq(span_cstr(config_jws_name(bit)), name))
			return bit;
	}
	return 0;
}

/* A member that may be missing (ptr NULL then) but must be a string when there. */
static bool optional_string(const struct json *object, struct span name, struct span *to)
{
	const struct json *value = json_get(object, name);

	*to = SPAN_NONE;
	return !value || json_string(value, to);
}

/* Keys and URLs in a header (jwk, jku, x5c, x5u) are never looked at: RFC 8725 section 3.10. */
static enum auth_reason read_header(struct jwt *jwt, struct arena *scratch)
{
	enum auth_reason reason;
	const struct json *header = decode_object(jwt->header64, scratch, &reason);
	struct span name;

	if (!header)
		return reason;
	/* RFC 7515 section 4.1.11: we understand no extension. */
	if (json_get(header, SPAN("crit")))
		return AUTH_REASON_BAD_HEADER;
	if (!json_string(json_get(header, SPAN("alg")), &name) ||
	    !optional_string(header, SPAN("kid"), &jwt->kid) ||
	    !optional_string(header, SPAN("typ"), &jwt->typ))
		return AUTH_REASON_BAD_HEADER;
	jwt->algorithm = algorithm_of(name);
	return jwt->algorithm ? AUTH_REASON_NONE : AUTH_REASON_BAD_ALGORITHM;
}

/*
 * RFC 9068 section 4 asks for at+jwt. Without that, plain JWTs are taken too, but none that says
 * it is something else, such as a logout or DPoP token (RFC 8725 section 3.11).
 */
static bool is_access_token(const struct config_provider *config, struct span typ)
{
	struct span prefix = SPAN("application/");

	if (span_eq_nocase(span_slice(typ, 0, prefix.len), prefix))
		typ = span_slice(typ, prefix.len, typ.len);
	if (span_eq_nocase(typ, SPAN("at+jwt")))
		return true;
	return !config->require_typ_at_jwt && (!typ.ptr || span_eq_nocase(typ, SPAN("JWT")));
}

/* --- its signature --- */

static struct verdict verdict_of_wait(enum key_wait wait, enum auth_reason otherwise)
{
	switch (wait) {
	case KEY_WAIT_CANCELLED: return verdict_cancelled();
	case KEY_WAIT_NO_MEMORY: return verdict_unavailable(AUTH_REASON_NO_MEMORY);
	case KEY_WAIT_DONE:
	case KEY_WAIT_REFUSED:
	case KEY_WAIT_TIMEOUT: break;
	}
	/* Without any key the token may well be good; with keys it is signed by a stranger. */
	return otherwise == AUTH_REASON_NO_KEYS ? verdict_unavailable(otherwise)
						: verdict_refused(otherwise, false);
}

/* AUTH_OK (without an identity) when the signature is good. Waits for keys that are not there. */
static struct verdict check_signature(struct auth_worker *worker, struct authenticator *a,
				      const struct jwt *jwt, struct span signature,
				      int64_t deadline_ms)
{
	size_t index = (size_t)(jwt->provider - a->providers);

	for (unsigned waits = 0;; waits++) {
		enum auth_reason reason = AUTH_REASON_NO_KEYS;
		enum key_wait wait;

		if (key_view_update(&worker->keys, a) < 0)
			return verdict_unavailable(AUTH_REASON_NO_MEMORY);
		if (worker->keys.sets[index]) {
			switch (key_set_verify(worker->keys.sets[index], worker->jws,
					       jwt->algorithm, jwt->kid, jwt->signing_input,
					       signature)) {
			case KEY_GOOD: return (struct verdict){.status = AUTH_OK};
			case KEY_BAD_SIGNATURE:
				return verdict_refused(AUTH_REASON_BAD_SIGNATURE, true);
			case KEY_NO_MEMORY: return verdict_unavailable(AUTH_REASON_NO_MEMORY);
			case KEY_UNKNOWN: reason = AUTH_REASON_UNKNOWN_KEY; break;
			}
		}
		if (waits == KEY_WAITS_MAX)
			return verdict_of_wait(KEY_WAIT_REFUSED, reason);
		wait = provider_wait_keys(a, jwt->provider, reason == AUTH_REASON_UNKNOWN_KEY,
					  deadline_ms);
		if (wait != KEY_WAIT_DONE)
			return verdict_of_wait(wait, reason);
	}
}

/* --- all of it --- */

static struct verdict verify_signed(struct auth_worker *worker, struct authenticator *a,
				    const struct jwt *jwt, struct arena *scratch,
				    int64_t deadline_ms)
{
	const struct config_provider *config = jwt->provider->config;
	char *signature;
	size_t len;

	if (!(jwt->algorithm & config->algorithms))
		return verdict_refused(AUTH_REASON_BAD_ALGORITHM, false);
	if (!is_access_token(config, jwt->typ))
		return verdict_refused(AUTH_REASON_BAD_TYPE, false);
	signature = arena_alloc(scratch, base64_decoded_max(jwt->signature64.len));
	if (!signature)
		return verdict_unavailable(AUTH_REASON_NO_MEMORY);
	if (!base64url_decode(signature, &len, jwt->signature64) || !len)
		return verdict_refused(AUTH_REASON_BAD_SIGNATURE, false);
	return check_signature(worker, a, jwt, span_of(signature, len), deadline_ms);
}

/* Everything up to the claims; the identity's arena gets them. */
static struct verdict open_jwt(struct auth_worker *worker, struct authenticator *a,
			       struct jwt *jwt, struct identity_private *p,
			       struct arena *scratch, int64_t deadline_ms)
{
	enum auth_reason reason = read_header(jwt, scratch);
	struct span issuer;

	if (reason == AUTH_REASON_NONE)
		jwt->claims = decode_object(jwt->payload64, &p->arena, &reason);
	if (!jwt->claims)
		return reason == AUTH_REASON_NO_MEMORY ? verdict_unavailable(reason)
						       : verdict_refused(reason, false);
	if (!json_string(json_get(jwt->claims, SPAN("iss")), &issuer))
		return verdict_refused(AUTH_REASON_BAD_CLAIMS, false);
	jwt->provider = map_get(&a->by_issuer, issuer);
	if (!jwt->provider)
		return verdict_refused(AUTH_REASON_UNKNOWN_ISSUER, false);
	if (!provider_has_keys(jwt->provider))
		return (struct verdict){.status = AUTH_OK};
	return verify_signed(worker, a, jwt, scratch, deadline_ms);
}

struct verdict jwt_verify(struct auth_worker *worker, struct authenticator *a,
			  struct span token, const uint8_t digest[SHA256_BYTES],
			  int64_t deadline_ms)
{
	struct identity_private *p = identity_begin();
	struct jwt jwt = {.provider = NULL};
	struct verdict verdict;
	struct arena scratch;

	if (!p)
		return verdict_unavailable(AUTH_REASON_NO_MEMORY);
	arena_init(&scratch, SCRATCH_BYTES_MAX, SCRATCH_CHUNK_BYTES);
	split(&jwt, token);
	verdict = open_jwt(worker, a, &jwt, p, &scratch, deadline_ms);
	arena_release(&scratch);
	if (verdict.status == AUTH_OK && provider_has_keys(jwt.provider))
		return token_identity(worker, a, jwt.provider, IDENTITY_JWT, jwt.claims, p);
	identity_discard(p);
	/* A provider that publishes no keys is asked about its JWTs too. */
	if (verdict.status == AUTH_OK)
		return introspect(worker, a, jwt.provider, token, digest, deadline_ms);
	return verdict;
}
