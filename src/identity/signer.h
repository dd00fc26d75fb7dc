/*
 * signer.h - a private key that signs tokens (RFC 7515 compact serialization); immutable, for all
 * threads. Private to src/identity.
 */
#ifndef IDENTITY_SIGNER_H
#define IDENTITY_SIGNER_H

#include "base/buf.h"
#include "base/err.h"

struct signer;

/*
 * Reads an unencrypted PEM private key. `algorithm` is one enum config_jws, or 0: by the key's type
 * (RSA: RS256, EC: by its curve, Ed25519: EdDSA). `key_id` empty: the key's RFC 7638 thumbprint.
 */
struct signer *signer_new(const char *path, unsigned algorithm, struct span key_id,
			  struct err *err) MUST_CHECK;
/* NULL is allowed. */
void signer_free(struct signer *signer);
/* Unique in the process. */
uint64_t signer_serial(const struct signer *signer);
/* Appends header.claims.signature. */
int signer_sign(const struct signer *signer, struct span claims, struct buf *to,
		struct err *err) MUST_CHECK;

#endif
