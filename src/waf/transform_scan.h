/*
 * transform_scan.h - kinds of bytes, and searches in values, for the transformations alone.
 */
#ifndef WAF_TRANSFORM_SCAN_H
#define WAF_TRANSFORM_SCAN_H

#include "waf/transform_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Kinds of bytes. Some take in a few more bytes than they are for: that costs a second look. */
enum {
	CLASS_UPPER_1 = 1 << 0, /* A to O */
	CLASS_UPPER_2 = 1 << 1, /* P to Z */
	CLASS_NUL = 1 << 2,
	CLASS_HIGH = 1 << 3, /* 0x80 and above */
	CLASS_URL = 1 << 4, /* % + */
	CLASS_AMPERSAND = 1 << 5,
	CLASS_BACKSLASH = 1 << 6,
	CLASS_BLANK = 1 << 7, /* the space */
	CLASS_SPACE = 1 << 8, /* other white space */
	CLASS_SHELL_1 = 1 << 9, /* " ' , */
	CLASS_SHELL_2 = 1 << 10, /* ; ^, and > [ */
	CLASS_SLASH = 1 << 11,
	CLASS_DOT = 1 << 12,
	CLASS_STAR = 1 << 13,
	CLASS_COMMENT = 1 << 14, /* # - */
	CLASS_ANY = 1 << 15, /* there is a byte */
};

#define CLASS_UPPER (CLASS_UPPER_1 | CLASS_UPPER_2)
#define CLASS_SPACES (CLASS_BLANK | CLASS_SPACE)
#define CLASS_SHELL (CLASS_SHELL_1 | CLASS_SHELL_2 | CLASS_BACKSLASH)

/* The ranges are constants of each caller, so that nothing of them is left when it runs. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

struct byte_range {
	byte from;
	byte to; /* the last one */
};

ALWAYS_INLINE bool scan_is_in(byte c, struct byte_range r)
{
	return c >= r.from && c <= r.to;
}

#if defined(__SSE2__)
static inline __m128i scan_load(const byte *in)
{
	return _mm_loadu_si128((const __m128i *)(const void *)in);
}

/* 1 to 15 bytes, each of them once or more often, in 16. */
static inline __m128i scan_load_short(const byte *in, size_t len)
{
	uint64_t first, second;

	if (len >= 8) {
		memcpy(&first, in, 8);
		memcpy(&second, in + len - 8, 8);
	} else if (len >= 4) {
		uint32_t a, b;

		memcpy(&a, in, 4);
		memcpy(&b, in + len - 4, 4);
		first = second = (uint64_t)b << 32 | a;
	} else {
		first = in[0] | (uint64_t)in[len / 2] << 8 | (uint64_t)in[len - 1] << 16;
		first |= (uint64_t)in[0] << 24;
		first |= first << 32;
		second = first;
	}
	return _mm_set_epi64x((long long)second, (long long)first);
}

/* 0xff for each byte in the range: its distance from the start is at most the width. */
ALWAYS_INLINE __m128i scan_hits(__m128i v, struct byte_range r)
{
	__m128i above, width;

	if (r.from == r.to)
		return _mm_cmpeq_epi8(v, _mm_set1_epi8((char)r.from));
	above = _mm_sub_epi8(v, _mm_set1_epi8((char)r.from));
	width = _mm_set1_epi8((char)(r.to - r.from));
	return _mm_cmpeq_epi8(_mm_min_epu8(above, width), above);
}

ALWAYS_INLINE unsigned scan_bits(__m128i v, struct byte_range a, struct byte_range b)
{
	return (unsigned)_mm_movemask_epi8(_mm_or_si128(scan_hits(v, a), scan_hits(v, b)));
}
#endif

/* The first byte that is in one of two ranges, or len. For constant ranges: it is inlined. */
ALWAYS_INLINE size_t scan_first(const byte *in, size_t len, struct byte_range a,
				struct byte_range b)
{
	size_t i = 0;

#if defined(__SSE2__)
	unsigned bits;

	if (len < 16 && (len == 0 || !scan_bits(scan_load_short(in, len), a, b)))
		return len;
	for (; i + 16 <= len; i += 16) {
		bits = scan_bits(scan_load(in + i), a, b);
		if (bits)
			return i + (size_t)__builtin_ctz(bits);
	}
	if (len >= 16 && i < len && !scan_bits(scan_load(in + len - 16), a, b))
		return len;
#endif
	while (i < len && !scan_is_in(in[i], a) && !scan_is_in(in[i], b))
		i++;
	return i;
}

ALWAYS_INLINE size_t scan_byte(const byte *in, size_t len, byte c)
{
	return scan_first(in, len, (struct byte_range){c, c}, (struct byte_range){c, c});
}

/* A pair of bytes may begin where a single look has stopped: back to its blank. */
static inline size_t back_to_blank(const byte *in, size_t at)
{
	return at > 0 && in[at - 1] == ' ' ? at - 1 : at;
}

/*
 * The first place that is in one of the ranges of `single`, or a blank behind which another, or a
 * byte of `second`, stands; or len.
 */
ALWAYS_INLINE size_t scan_pairs(const byte *in, size_t len, const struct byte_range *single,
				size_t single_count, const struct byte_range second[2])
{
	size_t i = 0;

#if defined(__SSE2__)
	unsigned blank_before = 0;

	for (; i + 16 <= len; i += 16) {
		__m128i v = scan_load(in + i);
		unsigned blanks = (unsigned)_mm_movemask_epi8(
			scan_hits(v, (struct byte_range){' ', ' '}));
		unsigned seconds = (unsigned)_mm_movemask_epi8(
			_mm_or_si128(scan_hits(v, second[0]), scan_hits(v, second[1])));
		__m128i hits = _mm_setzero_si128();
		unsigned changes;

#pragma GCC unroll 16
		for (size_t n = 0; n < single_count; n++)
			hits = _mm_or_si128(hits, scan_hits(v, single[n]));
		changes = (unsigned)_mm_movemask_epi8(hits) |
			  ((blanks | seconds) & (blanks << 1 | blank_before));
		if (changes)
			return back_to_blank(in, i + (size_t)__builtin_ctz(changes));
		blank_before = blanks >> 15;
	}
#endif
	for (; i < len; i++) {
		bool after_blank = i > 0 && in[i - 1] == ' ';
		bool change = after_blank && (in[i] == ' ' || scan_is_in(in[i], second[0]) ||
					      scan_is_in(in[i], second[1]));

		for (size_t n = 0; n < single_count; n++)
			change = change || scan_is_in(in[i], single[n]);
		if (change)
			return back_to_blank(in, i);
	}
	return len;
}

#endif
