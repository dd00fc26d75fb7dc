/*
 * vault.h - one key that seals secrets before they go into the store, and from which keys for MACs
 * are derived. It lives in a file of its own (mode 0600), which is made when it is not there;
 * replicas must share it. Any thread. Private to src/identity.
 */
#ifndef IDENTITY_VAULT_H
#define IDENTITY_VAULT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/secret.h"

struct vault;

/* `make`: a file that is not there is made. ERR_INVALID: not a key, or others can read it. */
struct vault *vault_open(const char *path, bool make, struct err *err) MUST_CHECK;
/* NULL is allowed. */
void vault_close(struct vault *vault);

/*
 * AES-256-GCM with a random nonce, as base64url in the arena. `place` (where it is stored) is
 * authenticated: what was sealed for one place opens at no other. ptr NULL without memory.
 */
struct span vault_seal(const struct vault *vault, struct span place, struct span plain,
		       struct arena *arena) MUST_CHECK;
/* -1 with ERR_INVALID when it was not sealed for this place with this key. */
int vault_open_sealed(const struct vault *vault, struct span place, struct span sealed,
		      struct secret *plain, struct err *err) MUST_CHECK;

#define VAULT_MAC_BYTES 32
/* HMAC-SHA256 with a key for this purpose only. False when OpenSSL is out of memory. */
bool vault_mac(const struct vault *vault, struct span purpose, struct span text,
	       unsigned char mac[VAULT_MAC_BYTES]) MUST_CHECK;

/* SHA-256 in hexadecimal with a NUL. */
#define DIGEST_HEX_SIZE 65
#define DIGEST_BYTES 32
/* SHA-256. */
void digest_of(unsigned char digest[DIGEST_BYTES], struct span text);
void digest_hex(char to[DIGEST_HEX_SIZE], struct span text);

#endif
