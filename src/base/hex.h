/* hex.h - lower-case hexadecimal digits, two at a time. */
#ifndef BASE_HEX_H
#define BASE_HEX_H

#include <stddef.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* 2 × len digits, no NUL. */
void hex_encode(char *to, const void *bytes, size_t len);

#ifdef __SSE2__
/* Sixteen half bytes become digits: '0' to '9' follow each other, and so do 'a' to 'f'. */
static inline __m128i hex_digits_of(__m128i halves)
{
	__m128i letters = _mm_cmpgt_epi8(halves, _mm_set1_epi8(9));

	return _mm_add_epi8(_mm_add_epi8(halves, _mm_set1_epi8('0')),
			    _mm_and_si128(letters, _mm_set1_epi8('a' - '0' - 10)));
}

/* Of eight bytes, for ids. */
static inline void hex_encode8(char to[16], const void *bytes)
{
	__m128i word = _mm_loadl_epi64((const __m128i *)bytes);
	__m128i low = _mm_set1_epi8(15);
	__m128i high = _mm_and_si128(_mm_srli_epi16(word, 4), low);

	_mm_storeu_si128((__m128i *)(void *)to,
			 hex_digits_of(_mm_unpacklo_epi8(high, _mm_and_si128(word, low))));
}
#else
static inline void hex_encode8(char to[16], const void *bytes)
{
	hex_encode(to, bytes, 8);
}
#endif

#endif
