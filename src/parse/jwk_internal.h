/* jwk_internal.h - shared by the files of the JOSE part. */
#ifndef PARSE_JWK_INTERNAL_H
#define PARSE_JWK_INTERNAL_H

#include "parse/jwk.h"

/* What a key is and can do. */
struct jwk_traits {
	enum jwk_type type;
	unsigned algorithms;
	size_t signature_bytes;
	size_t coordinate_bytes; /* JWK_EC */
	const char *curve; /* the JOSE name; JWK_EC and JWK_OKP */
};

/* NULL when the key is fit for use, else a few words why not. */
const char *jwk_examine(EVP_PKEY *key, struct jwk_traits *traits);

struct jwk_curve {
	const char *name; /* RFC 7518 section 6.2.1.1 */
	const char *group; /* OpenSSL's */
	size_t coordinate_bytes;
	unsigned algorithm;
};

const struct jwk_curve *jwk_curve_by_name(struct span name);

/* For "… failed" of a library call: memory, or input that it could not take. Empties the queue. */
int jwk_openssl_error(struct err *err, const char *what);

#endif
