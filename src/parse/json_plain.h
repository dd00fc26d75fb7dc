/*
 * json_plain.h - the length of what needs no decoding in JSON text: strings up to the first quote,
 * backslash or control character, and white space. For those who read JSON themselves; 16 bytes at
 * a time where the processor can.
 */
#ifndef PARSE_JSON_PLAIN_H
#define PARSE_JSON_PLAIN_H

#include "base/span.h"

#ifdef __SSE2__
#include <emmintrin.h>

/* A bit for each of 16 bytes that ends a plain run; *high gets a bit for each above 0x7f. */
static inline unsigned json_special_bytes(const char *p, unsigned *high)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
	__m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
	__m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));

	*high = (unsigned)_mm_movemask_epi8(v);
	return (unsigned)_mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(quote, slash)));
}

/* A bit for each of 16 bytes that is no white space. */
static inline unsigned json_solid_bytes(const char *p)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i space = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(' ')),
				     _mm_cmpeq_epi8(v, _mm_set1_epi8('\n')));
	__m128i rare = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\r')),
				    _mm_cmpeq_epi8(v, _mm_set1_epi8('\t')));

	return ~(unsigned)_mm_movemask_epi8(_mm_or_si128(space, rare)) & 0xffff;
}
#endif

/* The first byte from p on that is a quote, a backslash or below 0x20, or `end`. *high becomes true
   when a byte before it is above 0x7f, and is else left alone. */
static inline const char *json_skip_plain(const char *p, const char *end, bool *high)
{
#ifdef __SSE2__
	unsigned all_high = 0;

	for (; end - p >= 16; p += 16) {
		unsigned here;
		unsigned special = json_special_bytes(p, &here);

		if (special) {
			unsigned before = (special & -special) - 1;

			*high |= (all_high | (here & before)) != 0;
			return p + __builtin_ctz(special);
		}
		all_high |= here;
	}
	*high |= all_high != 0;
#endif
	for (; p < end; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\' || c < 0x20)
			break;
		*high |= c >= 0x80;
	}
	return p;
}

/* The first byte from p on that is no white space of JSON, or `end`. */
static inline const char *json_skip_space(const char *p, const char *end)
{
#ifdef __SSE2__
	for (; end - p >= 16; p += 16) {
		unsigned solid = json_solid_bytes(p);

		if (solid)
			return p + __builtin_ctz(solid);
	}
#endif
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

#endif
