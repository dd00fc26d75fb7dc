/*
 * dpop.h - proofs of possession (RFC 9449): a request shows with a signed JWT that its sender has
 * the key that a token is bound to. Used at the token endpoint, and by the phase authenticate for
 * every other request. Private to src/identity.
 */
#ifndef IDENTITY_DPOP_H
#define IDENTITY_DPOP_H

#include "parse/jws.h"

#define DPOP_JKT_CHARS JWK_THUMBPRINT_CHARS
#define DPOP_PROOF_BYTES_MAX ((size_t)8 * 1024)

struct dpop_request {
	struct span proof; /* the field's value */
	struct span method; /* htm */
	struct span url; /* htu; its query and fragment do not matter */
	struct span token; /* `ath` must be its digest; empty: no token is shown */
	int64_t now_unix_s;
	int64_t window_s; /* how far `iat` may be from now, either way */
};

enum dpop_result {
	DPOP_OK,
	DPOP_MALFORMED, /* no JWT of type dpop+jwt with a public key in it */
	DPOP_BAD_ALGORITHM, /* none, symmetric, unknown, or not for the key */
	DPOP_BAD_SIGNATURE,
	DPOP_BAD_CLAIMS, /* jti, htm, htu, iat or ath is missing, or malformed */
	DPOP_OTHER_REQUEST, /* htm or htu is another request's */
	DPOP_STALE, /* iat is out of the window */
	DPOP_OTHER_TOKEN, /* ath is another token's */
	DPOP_NO_MEMORY,
};

struct dpop_proof {
	char jkt[DPOP_JKT_CHARS]; /* thumbprint of its key (RFC 7638) */
	struct span jti; /* in the arena, as the next */
	struct span nonce; /* empty: none */
};

/* Section 4.3, all but the nonce and that the proof is new. */
enum dpop_result dpop_check(struct jws_context *context, const struct dpop_request *request,
			    struct arena *arena, struct dpop_proof *proof);
/* For error_description. */
const char *dpop_result_text(enum dpop_result result);

/* One for what makes a proof unique: its key, jti and method. */
void dpop_digest(const struct dpop_proof *proof, uint8_t digest[32]);
/*
 * Remembers the proofs that this process has seen for as long as they could be used; any thread.
 * False: it was there before, or there is no room for more, which is refused alike.
 */
bool dpop_is_new(const struct dpop_proof *proof, int64_t now_unix_s, int64_t window_s);
/* For tests: forgets all. */
void dpop_forget(void);

#endif
