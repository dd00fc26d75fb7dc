/*
 * arena.h - bump allocation with a hard cap, freed all at once. One an exchange, one a parsed
 * document. Not for sharing between threads. Under ASan, memory not handed out is poisoned.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/compiler.h"
#include "base/span.h"

struct arena_chunk;

struct arena {
	char *at;
	char *end;
	struct arena_chunk *chunks; /* newest first */
	size_t cap_bytes;
	size_t used_bytes; /* in whole chunks */
	size_t chunk_bytes;
};

/* Allocates nothing yet. cap_bytes limits all chunks together; chunk_bytes is their usual size. */
void arena_init(struct arena *a, size_t cap_bytes, size_t chunk_bytes);
/* Frees everything. */
void arena_release(struct arena *a);
/* Makes everything free again but keeps one chunk for the next use. */
void arena_reset(struct arena *a);
/* Aligned for any type, not zeroed; NULL at the cap or when out of memory. */
static inline void *arena_alloc(struct arena *a, size_t size) MUST_CHECK;
void *arena_zalloc(struct arena *a, size_t count, size_t size) MUST_CHECK;
/*
 * An array with room for one more element of `size` at index `count`: the same, or at 4 and powers
 * of two a copy twice as long; NULL as above.
 */
void *arena_grow(struct arena *a, void *array, size_t count, size_t size) MUST_CHECK;
/* A NUL-terminated copy whose span excludes the NUL; ptr is NULL on failure. */
struct span arena_dup(struct arena *a, struct span s) MUST_CHECK;
/* A formatted, NUL-terminated string; ptr is NULL on failure. */
struct span arena_printf(struct arena *a, const char *format, ...) PRINTF_LIKE(2, 3) MUST_CHECK;

/* The rest of arena_alloc: a new chunk, an empty piece, or the sanitizer's red zones. */
void *arena_alloc_slow(struct arena *a, size_t size) MUST_CHECK;

#define ARENA_ALIGNMENT 16

static inline void *arena_alloc(struct arena *a, size_t size)
{
#ifndef HAVE_ASAN
	size_t room = (size_t)(a->end - a->at);
	size_t need = (size + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);

	/* An overflow of `need` makes it smaller than size. */
	if (LIKELY(need <= room && need > 0 && need >= size)) {
		void *result = a->at;

		a->at += need;
		return result;
	}
#endif
	return arena_alloc_slow(a, size);
}

#define arena_new(a, type) ((type *)arena_zalloc((a), 1, sizeof(type)))
#define arena_array(a, type, count) ((type *)arena_zalloc((a), (count), sizeof(type)))

#endif
