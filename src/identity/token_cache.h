/*
 * token_cache.h - what tokens have been found to be: a set-associative table of one thread, of
 * fixed size, keyed by a tag of the whole token (hash.h), which a peer cannot make collide. A look-up
 * allocates nothing. Private to src/identity.
 */
#ifndef IDENTITY_TOKEN_CACHE_H
#define IDENTITY_TOKEN_CACHE_H

#include <stdatomic.h>

#include "base/hash.h"
#include "identity/identity.h"
#include "identity/internal.h"

struct token_entry {
	struct hash_tag tag;
	uint64_t generation; /* of the keys and settings that decided; 0: the entry is empty */
	struct identity *identity; /* one reference; NULL: the token was refused */
	int64_t until_ms; /* loop_now_ms time */
	int64_t until_unix_s; /* the token's own end */
	uint64_t used; /* for eviction: when it was last found */
	enum auth_status status;
	enum auth_reason reason;
};

struct token_cache {
	struct token_entry *entries;
	size_t ways;
	size_t sets;
	/* Other threads may look at these. */
	_Atomic size_t live;
	_Atomic uint64_t evictions; /* of tokens that were still good */
	uint64_t clock;
};

struct token_now {
	int64_t ms;
	int64_t unix_s;
};

/* At most `entries` tokens; 0: nothing is ever kept. -1 when out of memory. */
int token_cache_init(struct token_cache *cache, size_t entries) MUST_CHECK;
void token_cache_release(struct token_cache *cache);
void token_cache_flush(struct token_cache *cache);
/* NULL when not known, too old, or of another generation. Valid until the next put. */
struct token_entry *token_cache_find(struct token_cache *cache, struct hash_tag tag,
				     uint64_t generation, struct token_now now);
/*
 * Keeps a copy of `entry` and takes a reference on its identity. Refusals can push out only one
 * entry of a set, so that a flood of bad tokens does not empty the cache.
 */
void token_cache_put(struct token_cache *cache, const struct token_entry *entry,
		     struct token_now now);

#endif
