/*
 * base64.h - base64 and base64url (RFC 4648 sections 4 and 5), strict: no white space, no byte
 * outside the alphabet, unused trailing bits must be zero, so that one value has one encoding.
 * base64 must be padded; base64url must not be (RFC 7515 section 2).
 */
#ifndef PARSE_BASE64_H
#define PARSE_BASE64_H

#include "base/span.h"

/* Bytes that decoding `encoded_len` characters can give at most. */
static inline size_t base64_decoded_max(size_t encoded_len)
{
	return encoded_len / 4 * 3 + 2;
}

/* Characters that encoding gives, with padding; there is no NUL. */
static inline size_t base64_encoded_size(size_t len)
{
	return (len + 2) / 3 * 4;
}

/* Characters that encoding gives, without padding; there is no NUL. */
static inline size_t base64url_encoded_size(size_t len)
{
	return len / 3 * 4 + (len % 3 ? len % 3 + 1 : 0);
}

/*
 * Decode into `to` (room for base64_decoded_max(from.len) bytes) and set *len. False when the
 * text is not a strict encoding; `to` may then hold part of it. `to` may be from.ptr.
 */
bool base64_decode(void *to, size_t *len, struct span from);
bool base64url_decode(void *to, size_t *len, struct span from);

/* Encode into `to` (room for the encoded size); return the characters written. */
size_t base64_encode(char *to, struct span from);
size_t base64url_encode(char *to, struct span from);

#endif
