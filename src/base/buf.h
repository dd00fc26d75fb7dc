/*
 * buf.h - a growing byte buffer with a mandatory maximum. Appending past the maximum, or a failed
 * allocation, marks the buffer as failed and changes nothing; encoders may append freely and look
 * at buf_failed() once at the end.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>

#include "base/compiler.h"
#include "base/span.h"

struct buf {
	char *ptr;
	size_t len;
	size_t cap; /* ptr has one byte more, for a NUL */
	size_t max;
	bool failed;
};

/* An empty buffer that allocates nothing yet; max in bytes. */
static inline void buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){.max = max_bytes};
}
/* Into memory of the caller's that never grows: `size` bytes (1 at least) with the NUL's. Not for buf_release. */
static inline void buf_init_on(struct buf *b, char *memory, size_t size)
{
	*b = (struct buf){.ptr = memory, .cap = size - 1, .max = size - 1};
}
void buf_release(struct buf *b);
/* Empties it, clears the failure, keeps the memory. */
void buf_clear(struct buf *b);
/* Room for `more` bytes beyond len: 0, or -1 and the buffer is failed. */
int buf_reserve(struct buf *b, size_t more);
int buf_append(struct buf *b, struct span s);
int buf_append_bytes(struct buf *b, const void *bytes, size_t len);
int buf_append_cstr(struct buf *b, const char *string);
int buf_append_byte(struct buf *b, char byte);
/* The value in decimal digits at the end of `digits`; returns their span. */
#define BUF_U64_DIGITS 20
struct span buf_u64_digits(char digits[BUF_U64_DIGITS], uint64_t value);
int buf_append_u64(struct buf *b, uint64_t value);
int buf_append_i64(struct buf *b, int64_t value);
int buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
int buf_vprintf(struct buf *b, const char *format, va_list args) PRINTF_LIKE(2, 0);
/* Whether buf_append_json takes all of it as it is. */
bool buf_json_is_plain(struct span s);
/* `s` with JSON string escapes, without the quotes; bytes that are not UTF-8 become U+FFFD. */
int buf_append_json(struct buf *b, struct span s);
/* `s` with the characters that mean something in HTML, in text and in quoted attributes, escaped. */
int buf_append_html(struct buf *b, struct span s);
/* Removes the first n bytes (n ≤ len). */
void buf_consume(struct buf *b, size_t n);
/* A NUL-terminated view, valid until the next change; NULL when failed or out of memory. */
const char *buf_cstr(struct buf *b);

static inline struct span buf_span(const struct buf *b)
{
	return (struct span){b->ptr, b->len};
}

static inline bool buf_failed(const struct buf *b)
{
	return b->failed;
}

#endif
