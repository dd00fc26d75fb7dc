#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>

#include "base/mem.h"

#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(ptr, size) __asan_poison_memory_region((ptr), (size))
#define UNPOISON(ptr, size) __asan_unpoison_memory_region((ptr), (size))
#define RED_ZONE 16
#else
#define POISON(ptr, size) ((void)(ptr), (void)(size))
#define UNPOISON(ptr, size) ((void)(ptr), (void)(size))
#define RED_ZONE 0
#endif

#define ALIGNMENT ARENA_ALIGNMENT

struct arena_chunk {
	struct arena_chunk *next;
	size_t size; /* of data */
	_Alignas(ALIGNMENT) char data[];
};

void arena_init(struct arena *a, size_t cap_bytes, size_t chunk_bytes)
{
	*a = (struct arena){.cap_bytes = cap_bytes, .chunk_bytes = chunk_bytes};
}

static void free_chunks(struct arena_chunk *chunk)
{
	while (chunk) {
		struct arena_chunk *next = chunk->next;

		UNPOISON(chunk->data, chunk->size);
		mem_free(chunk);
		chunk = next;
	}
}

void arena_release(struct arena *a)
{
	free_chunks(a->chunks);
	arena_init(a, a->cap_bytes, a->chunk_bytes);
}

static void use_chunk(struct arena *a, struct arena_chunk *chunk)
{
	a->at = chunk->data;
	a->end = chunk->data + chunk->size;
	POISON(chunk->data, chunk->size);
}

HOT void arena_reset(struct arena *a)
{
	struct arena_chunk *keep = a->chunks;

	if (!keep)
		return;
	free_chunks(keep->next);
	keep->next = NULL;
	if (keep->size > a->chunk_bytes) {
		arena_release(a);
		return;
	}
	a->used_bytes = keep->size;
	use_chunk(a, keep);
}

static int add_chunk(struct arena *a, size_t need)
{
	size_t size = need > a->chunk_bytes ? need : a->chunk_bytes;
	struct arena_chunk *chunk;

	if (size > a->cap_bytes - a->used_bytes)
		size = a->cap_bytes - a->used_bytes;
	if (size < need)
		return -1;
	chunk = size < SIZE_MAX / 2 ? mem_alloc(sizeof(*chunk) + size) : NULL;
	if (!chunk)
		return -1;
	chunk->size = size;
	chunk->next = a->chunks;
	a->chunks = chunk;
	a->used_bytes += size;
	use_chunk(a, chunk);
	return 0;
}

HOT void *arena_alloc_slow(struct arena *a, size_t size)
{
	size_t need;
	char *result;

	if (UNLIKELY(size > a->cap_bytes || size > SIZE_MAX / 2))
		return NULL;
	need = ((size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1)) + RED_ZONE;
	if (need == 0)
		need = ALIGNMENT;
	if (UNLIKELY(need > (size_t)(a->end - a->at)) && add_chunk(a, need) < 0)
		return NULL;
	result = a->at;
	a->at += need;
	UNPOISON(result, size);
	return result;
}

HOT void *arena_zalloc(struct arena *a, size_t count, size_t size)
{
	size_t total;
	void *result;

	if (__builtin_mul_overflow(count, size, &total))
		return NULL;
	result = arena_alloc(a, total);
	if (result)
		memset(result, 0, total);
	return result;
}

void *arena_grow(struct arena *a, void *array, size_t count, size_t size)
{
	void *larger;
	size_t total;

	if (count < 4 ? count != 0 : (count & (count - 1)) != 0)
		return array;
	if (__builtin_mul_overflow(count < 4 ? 4 : count * 2, size, &total))
		return NULL;
	larger = arena_alloc(a, total);
	if (larger && count > 0)
		memcpy(larger, array, count * size);
	return larger;
}

struct span arena_dup(struct arena *a, struct span s)
{
	char *copy = arena_alloc(a, s.len + 1);

	if (!copy)
		return SPAN_NONE;
	if (s.len)
		memcpy(copy, s.ptr, s.len);
	copy[s.len] = '\0';
	return span_of(copy, s.len);
}

struct span arena_printf(struct arena *a, const char *format, ...)
{
	va_list args;
	char *text = NULL;
	int need;

	va_start(args, format);
	need = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (need >= 0)
		text = arena_alloc(a, (size_t)need + 1);
	if (!text)
		return SPAN_NONE;
	va_start(args, format);
	vsnprintf(text, (size_t)need + 1, format, args);
	va_end(args);
	return span_of(text, (size_t)need);
}
