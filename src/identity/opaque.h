/*
 * opaque.h - access tokens that say nothing to who holds them: claims sealed with the vault's key.
 * Every replica opens them by itself, without a store to ask; whether they were taken back is asked
 * of the list in memory, as of every token. Private to src/identity.
 */
#ifndef IDENTITY_OPAQUE_H
#define IDENTITY_OPAQUE_H

#include "base/buf.h"
#include "identity/vault.h"

/* With this they begin. */
#define OPAQUE_PREFIX "sat_"

static inline bool opaque_is(struct span token)
{
	return span_starts_with(token, SPAN(OPAQUE_PREFIX));
}
/* Appends the token; -1 without memory. */
int opaque_seal(const struct vault *vault, struct span claims, struct buf *to) MUST_CHECK;
/* The claims in the arena; ptr NULL: it is none of ours (or there is no memory). */
struct span opaque_open(const struct vault *vault, struct span token, struct arena *arena);

#endif
