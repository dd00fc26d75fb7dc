/* waiver_key.h - keys and signatures of Ed25519 (RFC 8032), for waivers. */
#ifndef SUPPLY_WAIVER_KEY_H
#define SUPPLY_WAIVER_KEY_H

#include "base/buf.h"
#include "base/err.h"

#define WAIVER_KEY_BYTES 32
#define WAIVER_SIGNATURE_BYTES 64
#define WAIVER_SIGNATURE_CHARS 88

struct waiver_key;

/* A private key from PEM; NULL: ERR_IO, ERR_INVALID. */
struct waiver_key *waiver_key_read(const char *path, struct err *err) MUST_CHECK;
/* NULL is allowed. */
void waiver_key_free(struct waiver_key *key);
/* In base64, 44 characters. */
int waiver_key_public(const struct waiver_key *key, struct buf *to, struct err *err) MUST_CHECK;
int waiver_key_sign(const struct waiver_key *key, struct span text,
		    char signature[WAIVER_SIGNATURE_CHARS], struct err *err) MUST_CHECK;
/* Both in base64. */
bool waiver_key_verify(struct span public_key, struct span signature, struct span text);

#endif
