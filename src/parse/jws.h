/*
 * jws.h - JSON Web Signatures (RFC 7515) in the compact serialization: taking a token apart,
 * verifying and signing it, by the advice of RFC 8725. "none" does not exist here, an algorithm
 * must be on the key's list, keys and URLs in a header (jwk, jku, x5c, x5u) are never looked at.
 *
 *	result = jws_parse(&arena, token, &jws);
 *	if (result == JWS_OK)
 *		result = jws_verify(context, &jws, keys, &policy);
 *	if (result == JWS_OK)
 *		use(jws.payload);
 */
#ifndef PARSE_JWS_H
#define PARSE_JWS_H

#include "parse/json.h"
#include "parse/jwk.h"

enum jws_result {
	JWS_OK,
	JWS_MALFORMED, /* not three parts */
	JWS_BAD_ENCODING, /* a part is no strict base64url */
	JWS_BAD_HEADER, /* no JSON object, a duplicate member, or a member of the wrong type */
	JWS_BAD_ALGORITHM, /* unknown to us, or "none" */
	JWS_DENIED_ALGORITHM, /* the policy does not permit it */
	JWS_CRITICAL, /* `crit` or `b64` asks for an extension (RFC 7515 section 4.1.11) */
	JWS_BAD_TYPE, /* `typ` is not what the policy asks for */
	JWS_MISSING_KID, /* and the policy requires one */
	JWS_UNKNOWN_KEY, /* no key has that kid and permits that algorithm */
	JWS_BAD_SIGNATURE,
	JWS_NO_MEMORY,
};

/* "malformed", "bad_signature", ...: a stable word for logs. */
const char *jws_result_name(enum jws_result result);

/*
 * What verifying and signing need again and again: fetched algorithms and prepared contexts. One a
 * thread; not for sharing. It keeps references on the last keys used, at most 32.
 */
struct jws_context;
struct jws_context *jws_context_new(struct err *err) MUST_CHECK;
/* NULL is allowed. */
void jws_context_free(struct jws_context *c);

/* SHA-256 of a text. False when OpenSSL fails, which it does only without memory. */
bool jws_sha256(struct jws_context *c, struct span text, uint8_t digest[32]) MUST_CHECK;

/* ---- the primitives ---- */

/*
 * JWS_OK, JWS_BAD_SIGNATURE, JWS_DENIED_ALGORITHM when `algorithm` is not on the key's list, or
 * JWS_NO_MEMORY. `signature` is decoded: for ES* the two numbers r and s (RFC 7518 section 3.4).
 */
enum jws_result jws_verify_key(struct jws_context *c, const struct jwk *key, unsigned algorithm,
			       struct span signing_input, struct span signature);
/*
 * By the keys of a set for the kid (ptr NULL: all keys for the algorithm, at most 8 tries).
 * Also JWS_UNKNOWN_KEY.
 */
enum jws_result jws_verify_set(struct jws_context *c, const struct jwk_set *set,
			       unsigned algorithm, struct span kid, struct span signing_input,
			       struct span signature);

/* ---- tokens ---- */

/* Everything points into the token or the arena. Nothing is verified yet. */
struct jws {
	struct span signing_input;
	struct span signature; /* decoded */
	struct span payload; /* decoded */
	const struct json *header;
	unsigned algorithm; /* one enum jws_algorithm */
	struct span kid; /* ptr NULL: none */
	struct span typ; /* ptr NULL: none */
};

/* JWS_OK, JWS_MALFORMED to JWS_CRITICAL but for the policy's, or JWS_NO_MEMORY (also the cap). */
enum jws_result jws_parse(struct arena *a, struct span token, struct jws *jws);

enum jws_typ {
	JWS_TYP_ANY,
	JWS_TYP_JWT, /* "JWT", "at+jwt" or none: refuses tokens for other purposes */
	JWS_TYP_ACCESS, /* "at+jwt" (RFC 9068 section 4) */
};

struct jws_policy {
	unsigned algorithms; /* enum jws_algorithm, beside the keys' own lists */
	enum jws_typ typ;
	bool require_kid;
};

enum jws_result jws_verify(struct jws_context *c, const struct jws *jws,
			   const struct jwk_set *keys, const struct jws_policy *policy);
/* Does `typ` (without case, "application/" is optional: RFC 7515 section 4.1.9) fit? */
bool jws_typ_fits(struct span typ, enum jws_typ wanted);

/* ---- signing ---- */

struct jws_signer {
	EVP_PKEY *key; /* borrowed */
	struct span secret; /* for HMAC, instead of key */
	unsigned algorithm; /* one enum jws_algorithm */
	struct span kid; /* empty: none */
	struct span typ; /* empty: none */
	struct span
		header; /* by jws_write_header, for the above; empty: it is written each time */
};

/* Appends what all tokens of the signer begin with: the encoded header, and the dot. */
int jws_write_header(const struct jws_signer *signer, struct buf *to) MUST_CHECK;
/*
 * Appends header.payload.signature; on failure `to` is as before. ERR_INVALID when the algorithm
 * does not fit the key, or the key is weak; ERR_MEMORY.
 */
int jws_sign(struct jws_context *c, const struct jws_signer *signer, struct span payload,
	     struct buf *to, struct err *err) MUST_CHECK;

#endif
