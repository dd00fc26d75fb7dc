/*
 * Bearer tokens that are a JWT (RFC 7519), by the advice of RFC 8725 and the profile of RFC 9068.
 * The issuer is read before anything is verified, and only to choose the one provider whose keys,
 * algorithms and audiences the token must then satisfy.
 */
#include "identity/worker.h"

#define SCRATCH_BYTES_MAX ((size_t)1024 * 1024)
#define SCRATCH_CHUNK_BYTES ((size_t)4 * 1024)

struct jwt {
	struct jws jws; /* in scratch */
	const struct json *claims; /* in the identity's arena */
	struct provider *provider;
};

static struct verdict verdict_of_jws(enum jws_result result)
{
	switch (result) {
	case JWS_OK: return (struct verdict){.status = AUTH_OK};
	case JWS_MALFORMED:
	case JWS_BAD_ENCODING:
	case JWS_BAD_HEADER:
	case JWS_CRITICAL:
	case JWS_MISSING_KID: return verdict_refused(AUTH_REASON_BAD_HEADER, false);
	case JWS_BAD_ALGORITHM:
	case JWS_DENIED_ALGORITHM: return verdict_refused(AUTH_REASON_BAD_ALGORITHM, false);
	case JWS_BAD_TYPE: return verdict_refused(AUTH_REASON_BAD_TYPE, false);
	case JWS_UNKNOWN_KEY: return verdict_refused(AUTH_REASON_UNKNOWN_KEY, false);
	case JWS_BAD_SIGNATURE: return verdict_refused(AUTH_REASON_BAD_SIGNATURE, true);
	case JWS_NO_MEMORY: break;
	}
	return verdict_unavailable(AUTH_REASON_NO_MEMORY);
}

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
				      const struct jwt *jwt, int64_t deadline_ms)
{
	const struct config_provider *config = jwt->provider->config;
	const struct jws_policy policy = {
		.algorithms = config->algorithms,
		.typ = config->require_typ_at_jwt ? JWS_TYP_ACCESS : JWS_TYP_JWT,
	};
	size_t index = (size_t)(jwt->provider - a->providers);
	enum auth_reason waited = AUTH_REASON_NONE;

	/* At most one wait for the first keys, and one for an unknown kid. */
	for (;;) {
		enum auth_reason reason = AUTH_REASON_NO_KEYS;
		enum key_wait wait = KEY_WAIT_REFUSED;

		if (key_view_update(&worker->keys, a) < 0)
			return verdict_unavailable(AUTH_REASON_NO_MEMORY);
		if (worker->keys.sets[index]) {
			enum jws_result result =
				jws_verify(worker->jws, &jwt->jws,
					   key_set_keys(worker->keys.sets[index]), &policy);

			if (result != JWS_UNKNOWN_KEY)
				return verdict_of_jws(result);
			reason = AUTH_REASON_UNKNOWN_KEY;
		}
		if (reason != waited)
			wait = provider_wait_keys(a, jwt->provider,
						  reason == AUTH_REASON_UNKNOWN_KEY,
						  deadline_ms);
		if (wait != KEY_WAIT_DONE)
			return verdict_of_wait(wait, reason);
		waited = reason;
	}
}

/* The tree needs its text for as long as it lives. */
static struct verdict read_claims(struct jwt *jwt, struct identity_private *p)
{
	struct json_problem problem = {.error = JSON_ERROR_MEMORY};
	struct span text = arena_dup(&p->arena, jwt->jws.payload);

	if (text.ptr)
		jwt->claims = json_parse_problem(&p->arena, text, NULL, &problem);
	if (!jwt->claims && problem.error == JSON_ERROR_MEMORY)
		return verdict_unavailable(AUTH_REASON_NO_MEMORY);
	if (!jwt->claims || jwt->claims->type != JSON_OBJECT)
		return verdict_refused(AUTH_REASON_BAD_HEADER, false);
	return (struct verdict){.status = AUTH_OK};
}

/* Everything up to what the claims say. */
static struct verdict open_jwt(struct auth_worker *worker, struct authenticator *a,
			       struct span token, struct jwt *jwt, struct identity_private *p,
			       struct arena *scratch, int64_t deadline_ms)
{
	struct verdict verdict = verdict_of_jws(jws_parse(scratch, token, &jwt->jws));
	struct span issuer;

	if (verdict.status == AUTH_OK)
		verdict = read_claims(jwt, p);
	if (verdict.status != AUTH_OK)
		return verdict;
	if (!json_string(json_get(jwt->claims, SPAN("iss")), &issuer))
		return verdict_refused(AUTH_REASON_BAD_CLAIMS, false);
	jwt->provider = map_get(&a->by_issuer, issuer);
	if (!jwt->provider)
		return verdict_refused(AUTH_REASON_UNKNOWN_ISSUER, false);
	if (!provider_has_keys(jwt->provider))
		return verdict;
	return check_signature(worker, a, jwt, deadline_ms);
}

struct verdict jwt_verify(struct auth_worker *worker, struct authenticator *a,
			  struct span token, struct hash_tag tag, int64_t deadline_ms)
{
	struct identity_private *p = identity_begin();
	struct jwt jwt = {.provider = NULL};
	struct verdict verdict;
	struct arena scratch;

	if (!p)
		return verdict_unavailable(AUTH_REASON_NO_MEMORY);
	arena_init(&scratch, SCRATCH_BYTES_MAX, SCRATCH_CHUNK_BYTES);
	verdict = open_jwt(worker, a, token, &jwt, p, &scratch, deadline_ms);
	arena_release(&scratch);
	if (verdict.status == AUTH_OK && provider_has_keys(jwt.provider))
		return token_identity(worker, a, jwt.provider, IDENTITY_JWT, jwt.claims, p);
	identity_discard(p);
	/* A provider that publishes no keys is asked about its JWTs too. */
	if (verdict.status == AUTH_OK)
		return introspect(worker, a, jwt.provider, token, tag, deadline_ms);
	return verdict;
}
