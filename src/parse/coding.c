#include "parse/coding.h"

#include <zlib.h>

#include "base/mem.h"

#define STEP_BYTES ((size_t)16 * 1024)
#define WINDOW_BITS_ZLIB 15
#define WINDOW_BITS_GZIP (15 + 16)

enum coding coding_of(struct span value)
{
	value = span_trim(value);
	if (value.len == 0 || span_eq_nocase(value, SPAN("identity")))
		return CODING_IDENTITY;
	if (span_eq_nocase(value, SPAN("gzip")) || span_eq_nocase(value, SPAN("x-gzip")))
		return CODING_GZIP;
	if (span_eq_nocase(value, SPAN("deflate")))
		return CODING_DEFLATE;
	return CODING_UNKNOWN;
}

static void *allocate(void *unused, unsigned count, unsigned size)
{
	(void)unused;
	return mem_zalloc(count, size);
}

static void release(void *unused, void *ptr)
{
	(void)unused;
	mem_free(ptr);
}

/* Room for some more: as much as the maximum leaves, and one byte that shows that it is passed. */
static size_t make_room(struct buf *to)
{
	size_t left = to->max - to->len;
	size_t step = left < STEP_BYTES ? left : STEP_BYTES;

	if (step == 0)
		return 0;
	if (to->cap - to->len >= step)
		return to->cap - to->len;
	return buf_reserve(to, step) < 0 ? 0 : step;
}

/* The end of one member: the next begins, or there is nothing more. */
static enum coding_result end_of_member(z_stream *z, bool *more)
{
	*more = z->avail_in > 0;
	if (!*more)
		return CODING_OK;
	return inflateReset(z) == Z_OK ? CODING_OK : CODING_MALFORMED;
}

/* The maximum is reached: does nothing come any more? */
static bool is_past_end(z_stream *z)
{
	bool ended;
	Bytef byte;

	z->next_out = &byte;
	z->avail_out = 1;
	ended = inflate(z, Z_NO_FLUSH) == Z_STREAM_END && z->avail_out == 1 && z->avail_in == 0;
	z->next_out = NULL;
	return ended;
}

static enum coding_result inflate_all(z_stream *z, bool members, struct buf *to)
{
	for (;;) {
		size_t room = make_room(to);
		enum coding_result result;
		bool more;
		int status;

		if (room == 0 && to->len < to->max)
			return CODING_MEMORY;
		if (room == 0)
			return is_past_end(z) ? CODING_OK : CODING_TOO_LARGE;
		z->next_out = (Bytef *)to->ptr + to->len;
		z->avail_out = (uInt)room;
		status = inflate(z, Z_NO_FLUSH);
		to->len += room - z->avail_out;
		if (status == Z_MEM_ERROR)
			return CODING_MEMORY;
		if (status == Z_OK)
			continue;
		if (status != Z_STREAM_END)
			return CODING_MALFORMED;
		result = end_of_member(z, &more);
		if (result != CODING_OK || !more)
			return result;
		if (!members)
			return CODING_MALFORMED;
	}
}

enum coding_result coding_decode(enum coding coding, struct span from, struct buf *to)
{
	z_stream z = {
		.next_in = (z_const Bytef *)(uintptr_t)from.ptr,
		.avail_in = (uInt)from.len,
		.zalloc = allocate,
		.zfree = release,
	};
	bool gzip = coding == CODING_GZIP;
	enum coding_result result;

	if (coding == CODING_UNKNOWN)
		return CODING_MALFORMED;
	if (from.len > UINT32_MAX)
		return CODING_TOO_LARGE;
	if (coding == CODING_IDENTITY && from.len > to->max - to->len)
		return CODING_TOO_LARGE;
	if (coding == CODING_IDENTITY)
		return buf_append(to, from) == 0 ? CODING_OK : CODING_MEMORY;
	if (inflateInit2(&z, gzip ? WINDOW_BITS_GZIP : WINDOW_BITS_ZLIB) != Z_OK)
		return CODING_MEMORY;
	result = inflate_all(&z, gzip, to);
	inflateEnd(&z);
	return result;
}
