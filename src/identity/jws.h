/* jws.h - the signature algorithms of RFC 7518 and RFC 8037. Private to src/identity. */
#ifndef IDENTITY_JWS_H
#define IDENTITY_JWS_H

#include <openssl/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"

/* A thread's memory for verifying. */
struct jws_context;
struct jws_context *jws_context_new(void) MUST_CHECK;
/* NULL is allowed. */
void jws_context_free(struct jws_context *context);

/* The algorithms (enum config_jws) that a key can do; 0 for none, also when it is too weak. */
unsigned jws_key_algorithms(const EVP_PKEY *key);

enum jws_result { JWS_GOOD, JWS_BAD, JWS_NO_MEMORY };
/* The key must be able to do the one `algorithm`. */
enum jws_result jws_verify(struct jws_context *context, EVP_PKEY *key, unsigned algorithm,
			   struct span input, struct span signature);
/* Appends the signature (not encoded). -1 with *err. Any thread. */
int jws_sign(EVP_PKEY *key, unsigned algorithm, struct span input, struct buf *to,
	     struct err *err) MUST_CHECK;

#endif
