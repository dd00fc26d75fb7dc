/* What a token says of its holder: the same for a JWT and for an answer about an opaque token. */
#include "identity/dpop.h"
#include "identity/worker.h"
#include "parse/base64.h"

static bool is_one_of(struct span text, const struct config_strings *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (span_eq(text, list->at[i]))
			return true;
	}
	return false;
}

static enum auth_reason check_audience(const struct config_provider *config,
				       const struct json *aud)
{
	struct span text;

	if (json_string(aud, &text))
		return is_one_of(text, &config->audience) ? AUTH_REASON_NONE
							  : AUTH_REASON_BAD_AUDIENCE;
	if (!aud || aud->type != JSON_ARRAY)
		return AUTH_REASON_BAD_CLAIMS;
	for (size_t i = 0; i < aud->array.count; i++) {
		if (json_string(&aud->array.items[i], &text) &&
		    is_one_of(text, &config->audience))
			return AUTH_REASON_NONE;
	}
	return AUTH_REASON_BAD_AUDIENCE;
}

/* A claim that is there must be good, also where it may be missing. */
static enum auth_reason check_times(const struct config_provider *config,
				    const struct json *claims, bool need_exp, int64_t now,
				    int64_t *expires)
{
	const struct json *exp = json_get(claims, SPAN("exp"));
	const struct json *nbf = json_get(claims, SPAN("nbf"));
	const struct json *iat = json_get(claims, SPAN("iat"));
	int64_t skew = (int64_t)(config->clock_skew_ms / 1000);
	int64_t at;

	*expires = INT64_MAX;
	if (exp ? !claim_date(exp, expires) : need_exp)
		return AUTH_REASON_BAD_CLAIMS;
	if (exp && now - skew >= *expires)
		return AUTH_REASON_EXPIRED;
	if (nbf) {
		if (!claim_date(nbf, &at))
			return AUTH_REASON_BAD_CLAIMS;
		if (now + skew < at)
			return AUTH_REASON_NOT_YET_VALID;
	}
	if (iat) {
		if (!claim_date(iat, &at))
			return AUTH_REASON_BAD_CLAIMS;
		if (now + skew < at)
			return AUTH_REASON_NOT_YET_VALID;
	}
	return AUTH_REASON_NONE;
}

static enum auth_reason check_claims(const struct provider *provider, enum identity_kind kind,
				     const struct json *claims, int64_t now, int64_t *expires)
{
	bool opaque = kind == IDENTITY_OPAQUE;
	const struct json *iss = json_get(claims, SPAN("iss"));
	const struct json *aud = json_get(claims, SPAN("aud"));
	enum auth_reason reason;

	if (iss ? !json_is(iss, provider->config->issuer) : !opaque)
		return AUTH_REASON_UNKNOWN_ISSUER;
	reason = check_times(provider->config, claims, !opaque, now, expires);
	if (reason != AUTH_REASON_NONE || (opaque && !aud))
		return reason;
	return check_audience(provider->config, aud);
}

/*
 * RFC 7800: a token that is bound to a key is only good together with a proof of it. The proofs
 * that we know are the client certificate (RFC 8705) and DPoP (RFC 9449); a token bound in any
 * other way is refused.
 */
static enum auth_reason read_confirmation(const struct json *cnf, uint8_t thumbprint[64],
					  bool *bound, struct span *jkt)
{
	size_t known = 0, len = 0;
	struct span text;

	*bound = false;
	*jkt = SPAN("");
	if (!cnf)
		return AUTH_REASON_NONE;
	if (cnf->type != JSON_OBJECT)
		return AUTH_REASON_NOT_BOUND;
	if (json_string(json_get(cnf, SPAN("x5t#S256")), &text)) {
		if (text.len != base64url_encoded_size(SHA256_BYTES) ||
		    !base64url_decode(thumbprint, &len, text) || len != SHA256_BYTES)
			return AUTH_REASON_BAD_CLAIMS;
		*bound = true;
		known++;
	}
	if (json_string(json_get(cnf, SPAN("jkt")), jkt)) {
		if (jkt->len != DPOP_JKT_CHARS)
			return AUTH_REASON_NOT_BOUND;
		known++;
	}
	return known && known == cnf->object.count ? AUTH_REASON_NONE : AUTH_REASON_NOT_BOUND;
}

/* A name that is missing is empty; one that is no string is an error. */
static bool read_name(const struct json *claims, const struct config_strings *path,
		      struct span *to)
{
	const struct json *claim = claim_at(claims, path);

	*to = claim_text(claim);
	return !claim || claim->type == JSON_STRING;
}

/* RFC 6749 section 3.3. What is listed with spaces between must not hold any. */
static bool are_scopes(const struct config_strings *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct span text = list->at[i];

		for (size_t j = 0; j < text.len; j++) {
			if (text.ptr[j] < 0x21 || text.ptr[j] > 0x7e || text.ptr[j] == '"' ||
			    text.ptr[j] == '\\')
				return false;
		}
	}
	return true;
}

static enum claims_result read_lists(const struct config_claims *paths,
				     const struct json *claims, struct arena *arena,
				     struct identity_draft *draft)
{
	enum claims_result result = claim_list(claim_at(claims, &paths->scope), true,
					       IDENTITY_NAMES_MAX, arena, &draft->scopes);

	if (result == CLAIMS_OK && !are_scopes(&draft->scopes))
		return CLAIMS_MALFORMED;
	if (result == CLAIMS_OK)
		result = claim_list(claim_at(claims, &paths->roles), false, IDENTITY_NAMES_MAX,
				    arena, &draft->roles);
	if (result == CLAIMS_OK)
		result = claim_list(claim_at(claims, &paths->permissions), false,
				    IDENTITY_NAMES_MAX, arena, &draft->permissions);
	return result;
}

static struct verdict make(const struct authenticator *a, const struct provider *provider,
			   const struct json *claims, struct identity_private *p,
			   struct identity_draft *draft, uint8_t thumbprint[64])
{
	const struct config_claims *paths = &provider->config->claims;
	enum auth_reason reason;
	bool bound;

	reason = read_confirmation(json_get(claims, SPAN("cnf")), thumbprint, &bound,
				   &draft->jkt);
	if (reason != AUTH_REASON_NONE)
		return verdict_refused(reason, true);
	if (bound)
		draft->thumbprint = thumbprint;
	if (!read_name(claims, &paths->subject, &draft->subject) ||
	    !read_name(claims, &paths->client, &draft->client) ||
	    (!draft->subject.len && !draft->client.len))
		return verdict_refused(AUTH_REASON_BAD_CLAIMS, true);
	switch (read_lists(paths, claims, &p->arena, draft)) {
	case CLAIMS_OK: break;
	case CLAIMS_MALFORMED: return verdict_refused(AUTH_REASON_BAD_CLAIMS, true);
	case CLAIMS_NO_MEMORY: return verdict_unavailable(AUTH_REASON_NO_MEMORY);
	}
	if (identity_finish(p, draft, a->roles) < 0)
		return verdict_unavailable(AUTH_REASON_NO_MEMORY);
	return (struct verdict){.status = AUTH_OK, .identity = p, .keep = true};
}

struct verdict token_identity(const struct auth_worker *worker, const struct authenticator *a,
			      const struct provider *provider, enum identity_kind kind,
			      const struct json *claims, struct identity_private *p)
{
	struct identity_draft draft = {
		.kind = kind,
		.provider = provider->config->name,
		.issuer = provider->config->issuer,
		.claims = claims,
	};
	enum auth_reason reason = check_claims(provider, kind, claims, worker->now_unix_s(),
					       &draft.expires_unix_s);
	uint8_t thumbprint[64]; /* for the draft */
	struct verdict verdict;

	if (reason == AUTH_REASON_NONE)
		verdict = make(a, provider, claims, p, &draft, thumbprint);
	else
		verdict = verdict_refused(reason, reason != AUTH_REASON_NOT_YET_VALID);
	if (verdict.status != AUTH_OK)
		identity_discard(p);
	return verdict;
}
