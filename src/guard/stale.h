/*
 * stale.h - last good answers, kept for when a service cannot give one (stale-if-error, RFC 5861):
 * a cache in memory, bounded in bytes, that forgets the answers that have not been asked for longest.
 * It keeps and finds; what may be kept and used is its caller's to know. Any thread; a lock is held
 * for the moment of a look-up only.
 */
#ifndef GUARD_STALE_H
#define GUARD_STALE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

struct stale_cache;

struct stale_options {
	uint64_t bytes; /* of all answers together, with what is needed to keep them */
	uint64_t answer_bytes; /* of one answer's body */
};

struct stale_pair {
	struct span name, value;
};

/* An answer that was found, immutable until it is released. */
struct stale_answer {
	struct span key;
	const struct stale_pair
		*vary; /* fields of the request that it was chosen by; value ptr NULL: absent */
	size_t vary_count;
	unsigned status;
	const struct stale_pair *fields;
	size_t field_count;
	struct span body;
	int64_t stored_ms;
	int64_t until_ms; /* it is not found any more from then on */
};

/* NULL with ERR_MEMORY. One reference. */
struct stale_cache *stale_new(const struct stale_options *options, struct err *err) MUST_CHECK;
struct stale_cache *stale_ref(struct stale_cache *cache);
/* NULL is allowed. Answers that are held stay valid until they are released. */
void stale_unref(struct stale_cache *cache);
bool stale_has_options(const struct stale_cache *cache, const struct stale_options *options);

/*
 * Keeps a copy, in the place of an answer with the same key and values of `vary`. False when it does
 * not fit, or there is no memory; what was kept before then goes too, because it is older.
 */
bool stale_put(struct stale_cache *cache, const struct stale_answer *answer);
/*
 * The answer to this key whose `vary` matches the request, of which value_of gives a field's value (ptr
 * NULL: absent); NULL: none. To be released.
 */
const struct stale_answer *stale_get(struct stale_cache *cache, struct span key,
				     struct span (*value_of)(const void *request,
							     struct span name),
				     const void *request, int64_t now_ms);
void stale_release(const struct stale_answer *answer);

struct stale_figures {
	uint64_t bytes, answers, stored, served, evicted;
};
void stale_read(struct stale_cache *cache, struct stale_figures *figures);

#endif
