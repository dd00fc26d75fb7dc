#include "base/buf.h"

#include "base/mem.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define EACH_BYTE 0x0101010101010101u

void buf_release(struct buf *b)
{
	mem_free(b->ptr);
	*b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	b->failed = false;
}

int buf_reserve(struct buf *b, size_t more)
{
	size_t cap = b->cap ? b->cap : (b->max < 64 ? b->max : 64);
	char *grown;

	if (b->failed)
		return -1;
	if (more <= b->cap - b->len)
		return 0;
	if (more > b->max || b->len > b->max - more) {
		b->failed = true;
		return -1;
	}
	while (cap < b->len + more)
		cap = cap > b->max / 2 ? b->max : cap * 2;
	/* One byte beyond cap, so that a full buffer still has room for a NUL. */
	grown = cap < SIZE_MAX ? mem_realloc(b->ptr, cap + 1) : NULL;
	if (!grown) {
		b->failed = true;
		return -1;
	}
	b->ptr = grown;
	b->cap = cap;
	return 0;
}

int buf_append_bytes(struct buf *b, const void *bytes, size_t len)
{
	if (len == 0)
		return b->failed ? -1 : 0;
	if (buf_reserve(b, len) < 0)
		return -1;
	memcpy(b->ptr + b->len, bytes, len);
	b->len += len;
	return 0;
}

int buf_append(struct buf *b, struct span s)
{
	return buf_append_bytes(b, s.ptr, s.len);
}

int buf_append_cstr(struct buf *b, const char *string)
{
	return buf_append(b, span_cstr(string));
}

int buf_append_byte(struct buf *b, char byte)
{
	return buf_append_bytes(b, &byte, 1);
}

HOT struct span buf_u64_digits(char digits[BUF_U64_DIGITS], uint64_t value)
{
	size_t at = BUF_U64_DIGITS;

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return span_of(digits + at, BUF_U64_DIGITS - at);
}

int buf_append_u64(struct buf *b, uint64_t value)
{
	char digits[BUF_U64_DIGITS];

	return buf_append(b, buf_u64_digits(digits, value));
}

int buf_append_i64(struct buf *b, int64_t value)
{
	if (value >= 0)
		return buf_append_u64(b, (uint64_t)value);
	if (buf_append_byte(b, '-') < 0)
		return -1;
	if (buf_append_u64(b, 0 - (uint64_t)value) < 0) {
		b->len--;
		return -1;
	}
	return 0;
}

int buf_vprintf(struct buf *b, const char *format, va_list args)
{
	va_list again;
	int need;

	va_copy(again, args);
	need = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (need < 0 || buf_reserve(b, (size_t)need) < 0) {
		b->failed = true;
		return -1;
	}
	if (need == 0)
		return 0; /* and there may be no memory yet */
	vsnprintf(b->ptr + b->len, (size_t)need + 1, format, args);
	b->len += (size_t)need;
	return 0;
}

int buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	int result;

	va_start(args, format);
	result = buf_vprintf(b, format, args);
	va_end(args);
	return result;
}

/* The length of the well-formed UTF-8 sequence at the start of s, or 0 (Unicode 15, table 3-7). */
static size_t utf8_length(const unsigned char *s, size_t len)
{
	unsigned char low = 0x80, high = 0xBF;
	size_t need;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xC2 && s[0] <= 0xDF)
		need = 2;
	else if (s[0] >= 0xE0 && s[0] <= 0xEF)
		need = 3;
	else if (s[0] >= 0xF0 && s[0] <= 0xF4)
		need = 4;
	else
		return 0;
	if (s[0] == 0xE0)
		low = 0xA0;
	if (s[0] == 0xED)
		high = 0x9F;
	if (s[0] == 0xF0)
		low = 0x90;
	if (s[0] == 0xF4)
		high = 0x8F;
	if (len < need || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < need; i++)
		if ((s[i] & 0xC0) != 0x80)
			return 0;
	return need;
}

static size_t escape_one(struct buf *b, const unsigned char *at, size_t left)
{
	static const char short_escapes[32] = {
		['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
	size_t length;

	if (*at == '"' || *at == '\\') {
		char pair[2] = {'\\', (char)*at};

		buf_append_bytes(b, pair, 2);
		return 1;
	}
	if (*at < 0x20 && short_escapes[*at]) {
		char pair[2] = {'\\', short_escapes[*at]};

		buf_append_bytes(b, pair, 2);
		return 1;
	}
	if (*at < 0x20 || *at == 0x7f) {
		buf_printf(b, "\\u%04x", *at);
		return 1;
	}
	length = utf8_length(at, left);
	if (length == 0) {
		buf_append_bytes(b, "\xEF\xBF\xBD", 3);
		return 1;
	}
	buf_append_bytes(b, at, length);
	return length;
}

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Each byte of a word: the top bit of those that are zero; lower ones than the first are exact. */
static uint64_t zero_bytes(uint64_t word)
{
	return (word - EACH_BYTE) & ~word & (EACH_BYTE << 7);
}

/* Whether none of eight bytes is a control character, DEL, beyond ASCII, a quote or a backslash. */
static bool eight_are_plain(const unsigned char *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return (((word - EACH_BYTE * 0x20) | word) & (EACH_BYTE << 7)) == 0 &&
	       (zero_bytes(word ^ (EACH_BYTE * '"')) | zero_bytes(word ^ (EACH_BYTE * '\\')) |
		zero_bytes(word ^ (EACH_BYTE * 0x7f))) == 0;
}

#ifdef __SSE2__
/* Signed, bytes beyond ASCII are below the space. */
static bool sixteen_are_plain(const unsigned char *at)
{
	__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
	__m128i text = _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8(0x1f)),
				     _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x7f)));
	__m128i marks = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
				     _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));

	return _mm_movemask_epi8(_mm_andnot_si128(marks, text)) == 0xffff;
}
#else
static bool sixteen_are_plain(const unsigned char *at)
{
	return eight_are_plain(at) && eight_are_plain(at + 8);
}
#endif

static size_t plain_length(const unsigned char *at, size_t len)
{
	size_t n = 0;

	while (len - n >= 16 && sixteen_are_plain(at + n))
		n += 16;
	if (len - n >= 8 && eight_are_plain(at + n))
		n += 8;
	while (n < len && is_plain(at[n]))
		n++;
	return n;
}

HOT bool buf_json_is_plain(struct span s)
{
	return plain_length((const unsigned char *)s.ptr, s.len) == s.len;
}

int buf_append_json(struct buf *b, struct span s)
{
	const unsigned char *at = (const unsigned char *)s.ptr;
	size_t before = b->len, i = 0;

	while (i < s.len && !b->failed) {
		size_t plain = plain_length(at + i, s.len - i);

		buf_append_bytes(b, at + i, plain);
		i += plain;
		if (i < s.len)
			i += escape_one(b, at + i, s.len - i);
	}
	if (!b->failed)
		return 0;
	b->len = before;
	return -1;
}

int buf_append_html(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		switch (s.ptr[i]) {
		case '&': buf_append_cstr(b, "&amp;"); break;
		case '<': buf_append_cstr(b, "&lt;"); break;
		case '>': buf_append_cstr(b, "&gt;"); break;
		case '"': buf_append_cstr(b, "&quot;"); break;
		case '\'': buf_append_cstr(b, "&#39;"); break;
		default: buf_append_byte(b, s.ptr[i]); break;
		}
	}
	return b->failed ? -1 : 0;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n == 0)
		return;
	memmove(b->ptr, b->ptr + n, b->len - n);
	b->len -= n;
}

const char *buf_cstr(struct buf *b)
{
	if (b->failed)
		return NULL;
	if (!b->ptr) {
		b->ptr = mem_alloc(1);
		if (!b->ptr) {
			b->failed = true;
			return NULL;
		}
	}
	b->ptr[b->len] = '\0';
	return b->ptr;
}
