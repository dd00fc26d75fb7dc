/*
 * schema_fast_seen.h - texts of which no two of one scope may be equal: keys that no schema names,
 * and items that must differ. Scopes lie in one another; texts point into the piece and are
 * compared byte by byte, the table only finds them. For schema_fast.c only.
 */
#ifndef CONTRACT_SCHEMA_FAST_SEEN_H
#define CONTRACT_SCHEMA_FAST_SEEN_H

#include "base/compiler.h"
#include "contract/schema_names.h"

struct fast_text {
	struct span text;
	uint32_t hash; /* 0: not in the table */
};

struct fast_seen {
	struct fast_text *texts;
	uint32_t count;
	uint32_t cap;
	uint32_t *slots; /* of texts, plus 1; 0: free */
	uint32_t size; /* 0 or a power of two */
	uint64_t seed; /* so that peers cannot choose texts that meet in the table */
};

/* Up to here, texts of a scope are compared one by one. */
#define FAST_SEEN_FEW 8

void fast_seen_release(struct fast_seen *s);
size_t fast_seen_bytes(const struct fast_seen *s);
/* The rest of fast_seen_add() and fast_seen_drop(). */
bool fast_seen_add_slowly(struct fast_seen *s, uint32_t since, struct span text);
void fast_seen_forget(struct fast_seen *s, uint32_t since);

/*
 * False when the scope that began with `since` texts has the same one, or this cannot be told:
 * without memory, for example.
 */
static inline bool fast_seen_add(struct fast_seen *s, uint32_t since, struct span text)
{
	if (UNLIKELY(s->count == s->cap || s->count - since >= FAST_SEEN_FEW))
		return fast_seen_add_slowly(s, since, text);
	for (uint32_t i = since; i < s->count; i++)
		if (s->texts[i].text.len == text.len &&
		    schema_bytes_equal(s->texts[i].text.ptr, text.ptr, text.len))
			return false;
	s->texts[s->count++] = (struct fast_text){text, 0};
	return true;
}

/* Ends the scope. */
static inline void fast_seen_drop(struct fast_seen *s, uint32_t since)
{
	if (UNLIKELY(s->count - since > FAST_SEEN_FEW))
		fast_seen_forget(s, since);
	s->count = since;
}

#endif
