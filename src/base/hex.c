#include "base/hex.h"

#include "base/compiler.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define PAIR(high, low) high, low
#define ROW(high)                                                                              \
	PAIR(high, '0'), PAIR(high, '1'), PAIR(high, '2'), PAIR(high, '3'), PAIR(high, '4'),   \
		PAIR(high, '5'), PAIR(high, '6'), PAIR(high, '7'), PAIR(high, '8'),            \
		PAIR(high, '9'), PAIR(high, 'a'), PAIR(high, 'b'), PAIR(high, 'c'),            \
		PAIR(high, 'd'), PAIR(high, 'e'), PAIR(high, 'f')

static const char pairs[512] = {ROW('0'), ROW('1'), ROW('2'), ROW('3'), ROW('4'), ROW('5'),
				ROW('6'), ROW('7'), ROW('8'), ROW('9'), ROW('a'), ROW('b'),
				ROW('c'), ROW('d'), ROW('e'), ROW('f')};

#ifdef __SSE2__
/* Sixteen half bytes become digits: '0' to '9' follow each other, and so do 'a' to 'f'. */
static inline __m128i digits_of(__m128i halves)
{
	__m128i letters = _mm_cmpgt_epi8(halves, _mm_set1_epi8(9));

	return _mm_add_epi8(_mm_add_epi8(halves, _mm_set1_epi8('0')),
			    _mm_and_si128(letters, _mm_set1_epi8('a' - '0' - 10)));
}

static inline __m128i low_halves(__m128i bytes)
{
	return _mm_and_si128(bytes, _mm_set1_epi8(15));
}

/* Eight bytes at a time; the number of bytes done. */
static size_t encode_blocks(char *to, const unsigned char *from, size_t len)
{
	size_t i = 0;

	for (; i + 8 <= len; i += 8) {
		__m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(from + i));
		__m128i high = low_halves(_mm_srli_epi16(bytes, 4));

		_mm_storeu_si128((__m128i *)(void *)(to + 2 * i),
				 digits_of(_mm_unpacklo_epi8(high, low_halves(bytes))));
	}
	return i;
}
#else
static size_t encode_blocks(char *to, const unsigned char *from, size_t len)
{
	(void)to;
	(void)from;
	(void)len;
	return 0;
}
#endif

HOT void hex_encode(char *to, const void *bytes, size_t len)
{
	const unsigned char *from = bytes;

	for (size_t i = encode_blocks(to, from, len); i < len; i++)
		memcpy(to + 2 * i, pairs + 2 * from[i], 2);
}
