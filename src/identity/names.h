/* names.h - a small set of texts with quick membership. Private to src/identity. */
#ifndef IDENTITY_NAMES_H
#define IDENTITY_NAMES_H

#include "base/arena.h"
#include "base/hash.h"

struct name {
	struct span text;
	uint64_t hash; /* hash_span(text) */
};

struct names {
	const struct span *at;
	const uint64_t *hashes;
	size_t count;
	uint64_t mask; /* a bit (1 << hash % 64) for each */
};

static inline struct name name_of(struct span text)
{
	return (struct name){.text = text, .hash = hash_span(text)};
}

static inline bool names_have(const struct names *names, const struct name *name)
{
	if (!(names->mask >> (name->hash & 63) & 1))
		return false;
	for (size_t i = 0; i < names->count; i++) {
		if (names->hashes[i] == name->hash && span_eq(names->at[i], name->text))
			return true;
	}
	return false;
}

/*
 * Borrows the texts; the arrays are in the arena. Repetitions are dropped. -1 when out of memory.
 */
int names_make(struct names *names, const struct span *at, size_t count,
	       struct arena *arena) MUST_CHECK;

#endif
