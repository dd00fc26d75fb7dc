/* jwk.h - public keys as JSON (RFC 7517, RFC 7518 section 6, RFC 8037). Private to src/identity. */
#ifndef IDENTITY_JWK_H
#define IDENTITY_JWK_H

#include <openssl/types.h>

#include "base/buf.h"
#include "parse/json.h"

struct jwk {
	EVP_PKEY *key; /* the caller frees it */
	struct span kid; /* ptr NULL: none; points into the JSON */
	unsigned algorithms; /* enum config_jws: what the key can do and its members allow */
};

enum jwk_result { JWK_OK, JWK_UNUSABLE, JWK_NO_MEMORY };

/* JWK_UNUSABLE: not a key, of a kind or use that is not ours, too weak, or not a point. */
enum jwk_result jwk_read(const struct json *object, struct jwk *jwk);
/*
 * The required members of the public key in the order that RFC 7638 section 3.2 wants; -1 when out
 * of memory or the key's type is none of ours.
 */
int jwk_write(EVP_PKEY *key, struct buf *to) MUST_CHECK;

#endif
