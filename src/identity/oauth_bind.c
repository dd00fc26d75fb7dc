/*
 * What tokens are bound to: a key that each request proves to have (DPoP, RFC 9449), or the client
 * certificate (RFC 8705 section 3). And resources of our own, which ask for the same proofs.
 */
#include "base/clock.h"
#include "base/hex.h"
#include "identity/dpop.h"
#include "identity/oauth.h"
#include "parse/base64.h"

/* A nonce is of a time step, and good for that and the next one (RFC 9449 section 8). */
#define NONCE_STEP_S 120
#define NONCE_BYTES 16
#define NONCE_CHARS 22

/* ---- nonces: a MAC of the time, which all replicas can make and check ---- */

static bool make_nonce(const struct idp_exchange *x, int64_t step, char text[NONCE_CHARS + 1])
{
	unsigned char mac[VAULT_MAC_BYTES];
	char number[24];

	snprintf(number, sizeof(number), "%lld", (long long)step);
	if (!vault_mac(x->idp->vault, SPAN("dpop-nonce"), span_cstr(number), mac))
		return false;
	text[base64url_encode(text, span_of(mac, NONCE_BYTES))] = '\0';
	return true;
}

static bool is_nonce(const struct idp_exchange *x, struct span nonce)
{
	int64_t step = clock_unix_s() / NONCE_STEP_S;
	char text[NONCE_CHARS + 1];

	for (int64_t i = 0; i < 2; i++)
		if (make_nonce(x, step - i, text) && secret_eq(nonce, span_cstr(text)))
			return true;
	return false;
}

static void refuse_nonce(struct idp_exchange *x)
{
	char text[NONCE_CHARS + 1];

	if (!make_nonce(x, clock_unix_s() / NONCE_STEP_S, text)) {
		web_unavailable(x, NULL);
		return;
	}
	web_field(x, SPAN("dpop-nonce"), arena_dup(x->arena, span_cstr(text)));
	web_error(x, 400, "use_dpop_nonce", "The proof needs the nonce of this answer.");
}

/* ---- proofs ---- */

static bool refuse_proof(struct idp_exchange *x, const char *why)
{
	idp_audit(x->idp, "dpop.refused", "address", x->address, NULL, SPAN_NONE);
	web_error(x, 400, "invalid_dpop_proof", why);
	return false;
}

/* All replicas count together: a proof is used once wherever it goes. */
static enum store_result is_new_proof(struct idp_exchange *x, const struct dpop_proof *proof,
				      int64_t window_s, bool *new, struct err *err)
{
	struct store_counter counter;
	uint8_t digest[32];
	char key[80] = "dpop/";
	size_t len = sizeof("dpop/") - 1;

	dpop_digest(proof, digest);
	hex_encode(key + len, digest, sizeof(digest));
	if (store_count(x->idp->shared, span_of(key, len + 64), 1, 2 * window_s * 1000,
			STORE_COUNT_FIXED, &counter, err) != STORE_OK)
		return STORE_FAILED;
	*new = counter.value == 1;
	return STORE_OK;
}

static enum dpop_result check_proof(struct idp_exchange *x, struct span token,
				    struct dpop_proof *proof)
{
	const struct dpop_request request = {
		.proof = x->dpop,
		.method = x->method == HTTP_METHOD_POST ? SPAN("POST") : SPAN("GET"),
		.url = arena_printf(x->arena, "%.*s%.*s", SPAN_ARG(x->config->identity.issuer),
				    SPAN_ARG(x->path)),
		.token = token,
		.now_unix_s = clock_unix_s(),
		.window_s = (int64_t)(x->config->identity.oauth.dpop.window_ms / 1000),
	};
	struct jws_context *context;
	enum dpop_result result;
	struct err err;

	context = request.url.ptr ? jws_context_new(&err) : NULL;
	if (!context)
		return DPOP_NO_MEMORY;
	result = dpop_check(context, &request, x->arena, proof);
	jws_context_free(context);
	return result;
}

/* The key of the request's proof in x->token_jkt. False: it was answered. */
static bool read_proof(struct idp_exchange *x, bool with_nonce)
{
	const struct config_dpop *config = &x->config->identity.oauth.dpop;
	struct dpop_proof proof;
	enum dpop_result result;
	struct err err;
	bool new;

	if (x->dpop_repeated)
		return refuse_proof(x, "There is more than one DPoP proof");
	result = check_proof(x, SPAN(""), &proof);
	if (result == DPOP_NO_MEMORY) {
		web_unavailable(x, NULL);
		return false;
	}
	if (result != DPOP_OK)
		return refuse_proof(x, dpop_result_text(result));
	if (with_nonce && config->nonce && !is_nonce(x, proof.nonce)) {
		refuse_nonce(x);
		return false;
	}
	if (is_new_proof(x, &proof, (int64_t)(config->window_ms / 1000), &new, &err) !=
	    STORE_OK) {
		web_unavailable(x, &err);
		return false;
	}
	if (!new)
		return refuse_proof(x, "The DPoP proof was used before");
	x->token_jkt = arena_dup(x->arena, span_of(proof.jkt, sizeof(proof.jkt)));
	if (!x->token_jkt.ptr)
		web_unavailable(x, NULL);
	return x->token_jkt.ptr != NULL;
}

bool oauth_bind(struct idp_exchange *x, const struct idp_client *client)
{
	x->token_jkt = x->token_x5t = SPAN("");
	if ((x->dpop.len || x->dpop_repeated) && !read_proof(x, true))
		return false;
	if (client->dpop && !x->token_jkt.len)
		return refuse_proof(x, "This client needs a DPoP proof");
	if (!client->bound_tokens)
		return true;
	if (!x->certificate) {
		web_error(x, 400, "invalid_request", "This client needs a certificate.");
		return false;
	}
	x->token_x5t = x->certificate->thumbprint;
	return true;
}

/* ---- our own resources ---- */

static const struct json *refuse_token(struct idp_exchange *x, bool dpop, const char *error)
{
	const char *more = error ? error : "";

	web_field(x, SPAN("www-authenticate"),
		  arena_printf(x->arena, "%s realm=\"%.*s\"%s%s%s%s", dpop ? "DPoP" : "Bearer",
			       SPAN_ARG(x->config->identity.realm), error ? ", error=\"" : "",
			       more, error ? "\"" : "",
			       dpop ? ", algs=\"ES256 ES384 ES512 EdDSA RS256 PS256\"" : ""));
	web_error(x, 401, error ? error : "invalid_request", NULL);
	return NULL;
}

/* RFC 9449 section 7.1, RFC 8705 section 3: whoever has stolen the token has not the key. */
static bool fits(struct idp_exchange *x, const struct json *claims, bool dpop,
		 struct span token, const char **error)
{
	const struct json *cnf = json_get(claims, SPAN("cnf"));
	struct span x5t = json_text(cnf, "x5t#S256"), jkt = json_text(cnf, "jkt");
	int64_t window_s = (int64_t)(x->config->identity.oauth.dpop.window_ms / 1000);
	struct dpop_proof proof;

	*error = "invalid_token";
	if (x5t.len && (!x->certificate || !span_eq(x->certificate->thumbprint, x5t)))
		return false;
	if (!jkt.len && !dpop)
		return true;
	if (!jkt.len || !dpop)
		return false;
	*error = "invalid_dpop_proof";
	if (x->dpop_repeated || !x->dpop.len || check_proof(x, token, &proof) != DPOP_OK ||
	    !dpop_is_new(&proof, clock_unix_s(), window_s))
		return false;
	*error = "invalid_token";
	return span_eq(jkt, span_of(proof.jkt, sizeof(proof.jkt)));
}

const struct json *oauth_shown_token(struct idp_exchange *x)
{
	bool bearer = span_eq_nocase(span_slice(x->authorization, 0, 7), SPAN("Bearer "));
	bool dpop = span_eq_nocase(span_slice(x->authorization, 0, 5), SPAN("DPoP "));
	const struct json *claims;
	const char *error = "invalid_token";
	struct span token;

	if (!bearer && !dpop)
		return refuse_token(x, false, NULL);
	token = span_trim(span_slice(x->authorization, bearer ? 7 : 5, x->authorization.len));
	claims = oauth_access_claims(x, token);
	if (!claims || !fits(x, claims, dpop, token, &error))
		return refuse_token(x, dpop, error);
	return claims;
}
