/*
 * jwk.h - public keys for verifying signatures: JSON Web Key sets (RFC 7517, 7518, 8037), PEM keys
 * and certificates. A key is validated when it is read, and carries the list of algorithms that it
 * may be used with (RFC 8725 section 3.1), so that nothing in a token can widen it.
 */
#ifndef PARSE_JWK_H
#define PARSE_JWK_H

#include <openssl/types.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/secret.h"
#include "parse/json_write.h"

/* Bits of an allow-list (RFC 7518 section 3.1, RFC 8037 section 3.1). There is no "none". */
enum jws_algorithm {
	JWS_RS256 = 1 << 0,
	JWS_RS384 = 1 << 1,
	JWS_RS512 = 1 << 2,
	JWS_PS256 = 1 << 3,
	JWS_PS384 = 1 << 4,
	JWS_PS512 = 1 << 5,
	JWS_ES256 = 1 << 6,
	JWS_ES384 = 1 << 7,
	JWS_ES512 = 1 << 8,
	JWS_EDDSA = 1 << 9,
	JWS_HS256 = 1 << 10,
	JWS_HS384 = 1 << 11,
	JWS_HS512 = 1 << 12,
};

#define JWS_RSA_ALL (JWS_RS256 | JWS_RS384 | JWS_RS512 | JWS_PS256 | JWS_PS384 | JWS_PS512)
#define JWS_HMAC_ALL (JWS_HS256 | JWS_HS384 | JWS_HS512)
#define JWS_PUBLIC_ALL (JWS_RSA_ALL | JWS_ES256 | JWS_ES384 | JWS_ES512 | JWS_EDDSA)

/* The bit, or 0 for an unknown name, "none" among them. Names are case-sensitive. */
unsigned jws_algorithm_parse(struct span name);
/* NULL for what is not exactly one bit. */
const char *jws_algorithm_name(unsigned algorithm);

enum jwk_type { JWK_RSA, JWK_EC, JWK_OKP, JWK_OCT };

struct jwk {
	enum jwk_type type;
	struct span kid; /* ptr NULL: it has none */
	unsigned algorithms; /* enum jws_algorithm; never 0 */
	size_t signature_bytes; /* of every signature by this key; 0 for JWK_OCT */
	EVP_PKEY *key; /* NULL for JWK_OCT */
	struct secret secret; /* for JWK_OCT */
};

/* Immutable; any thread may read it. */
struct jwk_set {
	struct jwk *keys;
	size_t count;
	size_t skipped; /* keys of the document that were left out */
	char skipped_reason[160]; /* of the first of them, for a log; empty when none */
	struct arena strings;
};

struct jwk_options {
	unsigned algorithms; /* enum jws_algorithm: what keys may be used for at all */
	/*
	 * Let the type of the key decide instead of its `alg`, for issuers that publish a wrong
	 * one. `algorithms` then has to be narrow.
	 */
	bool ignore_alg;
	/* A key with private parts is an error; else the private parts are not looked at. */
	bool refuse_private;
};

#define JWK_SET_KEYS_MAX 256
#define JWK_RSA_BITS_MIN 2048
#define JWK_RSA_BITS_MAX 8192

/*
 * A key set document, or a single key. Keys that are unknown, broken, weak (RSA below 2048 bits or
 * with an exponent that is even, below 3 or above 32 bits or with the ROCA weakness; a secret
 * shorter than the hash), for another `use`, or without a permitted algorithm are left out (RFC
 * 7517 section 5) and counted. Symmetric keys need a JWS_HS bit in options->algorithms, and may
 * not be mixed with public ones.
 * NULL: ERR_SYNTAX; ERR_INVALID when no key is left, two keys of one type have the same kid, or
 * there is a private part that options refuse; ERR_MEMORY.
 */
struct jwk_set *jwk_set_parse(struct span document, const struct jwk_options *options,
			      struct err *err) MUST_CHECK;
/*
 * One key from a PEM public key or certificate (which is not verified). kid.ptr may be NULL; the
 * errors are as above, and a private key is ERR_INVALID.
 */
struct jwk_set *jwk_set_from_pem(struct span pem, struct span kid,
				 const struct jwk_options *options, struct err *err) MUST_CHECK;
/* NULL is allowed. */
void jwk_set_free(struct jwk_set *set);
/*
 * The next key after `previous` (NULL to start) that may be used with the algorithm and has this
 * kid. A kid.ptr of NULL fits every key, and a key without kid fits every kid. NULL at the end.
 */
const struct jwk *jwk_set_next(const struct jwk_set *set, const struct jwk *previous,
			       unsigned algorithm, struct span kid);

/* ---- keys for signing: EVP_PKEY, freed by the caller with EVP_PKEY_free ---- */

/* A new key for the algorithm (not for HMAC); RSA has 2048 bits. */
EVP_PKEY *jwk_generate(unsigned algorithm, struct err *err) MUST_CHECK;
/* An unencrypted PEM private key that is fit for signing, by the same rules as above. */
EVP_PKEY *jwk_private_from_pem(struct span pem, struct err *err) MUST_CHECK;
/* PKCS #8, unencrypted. The buffer holds a secret: wipe it. */
int jwk_private_to_pem(EVP_PKEY *key, struct buf *to, struct err *err) MUST_CHECK;
/* SubjectPublicKeyInfo. */
int jwk_public_to_pem(EVP_PKEY *key, struct buf *to, struct err *err) MUST_CHECK;
/* Every algorithm that the key can be used with; 0 for other kinds of keys and weak ones. */
unsigned jwk_algorithms(EVP_PKEY *key);
/* The usual one: RS256, ES256/384/512 by the curve, EdDSA; 0 as above. */
unsigned jwk_default_algorithm(EVP_PKEY *key);
/* RFC 7638 with SHA-256, as base64url without NUL. */
#define JWK_THUMBPRINT_CHARS 43
int jwk_thumbprint(EVP_PKEY *key, char to[JWK_THUMBPRINT_CHARS], struct err *err) MUST_CHECK;
/* The public key as an object with "use":"sig"; kid may be empty and algorithm 0 to leave out. */
int jwk_write_public(struct json_writer *w, EVP_PKEY *key, struct span kid, unsigned algorithm,
		     struct err *err) MUST_CHECK;

#endif
