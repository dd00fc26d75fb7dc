/* Reasons in words, and WWW-Authenticate (RFC 6750 section 3). */
#include "identity/authenticator.h"

/* RFC 9449 section 7.1. */
#define DPOP_ALGORITHMS "ES256 ES384 ES512 EdDSA RS256 RS384 RS512 PS256 PS384 PS512"

struct reason_words {
	const char *word;
	const char *text;
};

static const struct reason_words reasons[AUTH_REASON_COUNT] = {
	[AUTH_REASON_NONE] = {"none", ""},
	[AUTH_REASON_NO_CREDENTIALS] = {"no_credentials", "Credentials are required"},
	[AUTH_REASON_REPEATED] = {"repeated", "Credentials are given more than once"},
	[AUTH_REASON_MIXED] = {"mixed", "Give either a bearer token or an API key"},
	[AUTH_REASON_MALFORMED] = {"malformed", "The Authorization field is malformed"},
	[AUTH_REASON_TOO_LONG] = {"too_long", "The credentials are too long"},
	[AUTH_REASON_NOT_A_JWT] = {"not_a_jwt", "The access token is malformed"},
	[AUTH_REASON_BAD_HEADER] = {"bad_header", "The access token is malformed"},
	[AUTH_REASON_UNKNOWN_ISSUER] = {"unknown_issuer",
					"The access token is of an unknown issuer"},
	[AUTH_REASON_BAD_ALGORITHM] = {"bad_algorithm",
				       "The signature algorithm is not accepted"},
	[AUTH_REASON_BAD_TYPE] = {"bad_type", "The token is not an access token"},
	[AUTH_REASON_UNKNOWN_KEY] = {"unknown_key",
				     "The access token is signed with an unknown key"},
	[AUTH_REASON_BAD_SIGNATURE] = {"bad_signature",
				       "The signature of the access token is wrong"},
	[AUTH_REASON_BAD_CLAIMS] = {"bad_claims",
				    "A claim of the access token is missing or malformed"},
	[AUTH_REASON_EXPIRED] = {"expired", "The access token has expired"},
	[AUTH_REASON_NOT_YET_VALID] = {"not_yet_valid", "The access token is not valid yet"},
	[AUTH_REASON_BAD_AUDIENCE] = {"bad_audience",
				      "The access token is for another audience"},
	[AUTH_REASON_NOT_ACTIVE] = {"not_active", "The access token is not active"},
	[AUTH_REASON_NOT_BOUND] =
		{"not_bound", "The access token is bound to a key that is not this client's"},
	[AUTH_REASON_BAD_PROOF] = {"bad_proof",
				   "The DPoP proof is missing, malformed, used or for another "
				   "request"},
	[AUTH_REASON_UNKNOWN_API_KEY] = {"unknown_api_key", "The API key is not valid"},
	[AUTH_REASON_UNKNOWN_CERTIFICATE] = {"unknown_certificate",
					     "The client certificate stands for nobody known"},
	[AUTH_REASON_UNUSABLE_CERTIFICATE] = {"unusable_certificate",
					      "The client certificate cannot be used"},
	[AUTH_REASON_NO_KEYS] = {"no_keys", "The keys of the issuer cannot be fetched"},
	[AUTH_REASON_INTROSPECTION_FAILED] = {"introspection_failed",
					      "The issuer cannot be asked about the token"},
	[AUTH_REASON_TIMEOUT] = {"timeout", "The issuer does not answer in time"},
	[AUTH_REASON_NO_MEMORY] = {"no_memory", "Out of memory"},
	[AUTH_REASON_CANCELLED] = {"cancelled", ""},
};

const char *auth_reason_word(enum auth_reason reason)
{
	return reason < AUTH_REASON_COUNT ? reasons[reason].word : "unknown";
}

const char *auth_reason_text(enum auth_reason reason)
{
	return reason < AUTH_REASON_COUNT ? reasons[reason].text : "";
}

unsigned auth_status_code(enum auth_status status)
{
	switch (status) {
	case AUTH_OK:
	case AUTH_NONE:
	case AUTH_CANCELLED: return 0;
	case AUTH_INVALID_REQUEST: return 400;
	case AUTH_INVALID_TOKEN: return 401;
	case AUTH_UNAVAILABLE: return 503;
	}
	return 500;
}

/* An API key has no registered scheme; a 401 must carry a challenge all the same. */
static struct span scheme_of(const struct authenticator *authenticator)
{
	const struct config_identity *identity = &authenticator->config->identity;

	if (identity->providers.count || !identity->api_keys)
		return SPAN("Bearer");
	return SPAN("ApiKey");
}

struct span auth_challenge(const struct authenticator *authenticator,
			   const struct auth_outcome *outcome, struct arena *arena)
{
	struct span scheme = outcome->dpop ? SPAN("DPoP") : scheme_of(authenticator);
	struct span realm = authenticator->config->identity.realm;
	const char *error = outcome->status == AUTH_INVALID_REQUEST    ? "invalid_request"
			    : outcome->reason == AUTH_REASON_BAD_PROOF ? "invalid_dpop_proof"
								       : "invalid_token";

	switch (outcome->status) {
	case AUTH_INVALID_REQUEST:
	case AUTH_INVALID_TOKEN:
		return arena_printf(arena,
				    "%.*s realm=\"%.*s\", error=\"%s\", "
				    "error_description=\"%s\"%s",
				    SPAN_ARG(scheme), SPAN_ARG(realm), error,
				    auth_reason_text(outcome->reason),
				    outcome->dpop ? ", algs=\"" DPOP_ALGORITHMS "\"" : "");
	case AUTH_OK:
	case AUTH_NONE:
	case AUTH_UNAVAILABLE:
	case AUTH_CANCELLED: break;
	}
	/* Without credentials no error code either (section 3.1). */
	return arena_printf(arena, "%.*s realm=\"%.*s\"", SPAN_ARG(scheme), SPAN_ARG(realm));
}

struct span access_challenge(const struct authenticator *authenticator,
			     const struct access_rule *rule, enum access_result result,
			     struct arena *arena)
{
	const struct config_strings *scopes = access_rule_scopes(rule);
	struct span scheme = scheme_of(authenticator);
	struct span realm = authenticator->config->identity.realm;
	struct span value;
	size_t size = 0;
	char *list;
	size_t at = 0;

	for (size_t i = 0; i < scopes->count; i++)
		size += scopes->at[i].len + 1;
	list = arena_alloc(arena, size + 1);
	if (!list)
		return SPAN_NONE;
	for (size_t i = 0; i < scopes->count; i++) {
		if (i)
			list[at++] = ' ';
		memcpy(list + at, scopes->at[i].ptr, scopes->at[i].len);
		at += scopes->at[i].len;
	}
	value = arena_printf(
		arena, "%.*s realm=\"%.*s\"%s%s%.*s%s", SPAN_ARG(scheme), SPAN_ARG(realm),
		result == ACCESS_INSUFFICIENT_SCOPE
			? ", error=\"insufficient_scope\", error_description=\"The "
			  "access token has not all scopes that are needed\""
		: result == ACCESS_FORBIDDEN
			? ", error=\"insufficient_scope\", error_description=\"The "
			  "access token does not permit this\""
			: "",
		at ? ", scope=\"" : "", SPAN_ARG(span_of(list, at)), at ? "\"" : "");
	return value;
}
