/*
 * pass_cache.h - tokens that were signed for services, of one thread. Private to src/identity.
 */
#ifndef IDENTITY_PASS_CACHE_H
#define IDENTITY_PASS_CACHE_H

#include "base/compiler.h"
#include "base/span.h"

struct pass_entry {
	uint64_t identity_serial; /* 0: empty */
	uint64_t signer_serial;
	int64_t fresh_until_unix_s;
	char *token;
	size_t token_len;
};

struct pass_cache {
	struct pass_entry *entries; /* allocated when first needed */
	size_t sets;
};

/* Room for about `entries` tokens. */
void pass_cache_init(struct pass_cache *cache, size_t entries);
void pass_cache_release(struct pass_cache *cache);
/* Empty when there is none that is fresh. Valid until the next put or flush. */
struct span pass_cache_get(const struct pass_cache *cache, uint64_t identity_serial,
			   uint64_t signer_serial, int64_t now_unix_s);
/* Keeps a copy; without memory it keeps nothing. */
void pass_cache_put(struct pass_cache *cache, uint64_t identity_serial, uint64_t signer_serial,
		    struct span token, int64_t fresh_until_unix_s);
void pass_cache_flush(struct pass_cache *cache);

#endif
