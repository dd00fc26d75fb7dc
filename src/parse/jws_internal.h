/* jws_internal.h - between the files of jws.h. */
#ifndef PARSE_JWS_INTERNAL_H
#define PARSE_JWS_INTERNAL_H

#include "parse/jws.h"

#define JWS_SIGNATURE_BYTES_MAX ((size_t)JWK_RSA_BITS_MAX / 8)

/* The signature's length; 0 when the algorithm does not fit the key or OpenSSL's queue says why. */
size_t jws_sign_bytes(struct jws_context *c, const struct jws_signer *signer, struct span input,
		      uint8_t to[JWS_SIGNATURE_BYTES_MAX]);

#endif
