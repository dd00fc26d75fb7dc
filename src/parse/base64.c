#include "parse/base64.h"

#ifdef __x86_64__
#include <tmmintrin.h>
#endif

/* Marks a value of the tables below; bytes outside the alphabet have 0. */
#define OK 0x40

static const char standard_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The two alphabets differ in the last two values. */
/* clang-format off */
#define COMMON_VALUES \
	['A'] = OK | 0, ['B'] = OK | 1, ['C'] = OK | 2, ['D'] = OK | 3, ['E'] = OK | 4, \
	['F'] = OK | 5, ['G'] = OK | 6, ['H'] = OK | 7, ['I'] = OK | 8, ['J'] = OK | 9, \
	['K'] = OK | 10, ['L'] = OK | 11, ['M'] = OK | 12, ['N'] = OK | 13, ['O'] = OK | 14, \
	['P'] = OK | 15, ['Q'] = OK | 16, ['R'] = OK | 17, ['S'] = OK | 18, ['T'] = OK | 19, \
	['U'] = OK | 20, ['V'] = OK | 21, ['W'] = OK | 22, ['X'] = OK | 23, ['Y'] = OK | 24, \
	['Z'] = OK | 25, ['a'] = OK | 26, ['b'] = OK | 27, ['c'] = OK | 28, ['d'] = OK | 29, \
	['e'] = OK | 30, ['f'] = OK | 31, ['g'] = OK | 32, ['h'] = OK | 33, ['i'] = OK | 34, \
	['j'] = OK | 35, ['k'] = OK | 36, ['l'] = OK | 37, ['m'] = OK | 38, ['n'] = OK | 39, \
	['o'] = OK | 40, ['p'] = OK | 41, ['q'] = OK | 42, ['r'] = OK | 43, ['s'] = OK | 44, \
	['t'] = OK | 45, ['u'] = OK | 46, ['v'] = OK | 47, ['w'] = OK | 48, ['x'] = OK | 49, \
	['y'] = OK | 50, ['z'] = OK | 51, ['0'] = OK | 52, ['1'] = OK | 53, ['2'] = OK | 54, \
	['3'] = OK | 55, ['4'] = OK | 56, ['5'] = OK | 57, ['6'] = OK | 58, ['7'] = OK | 59, \
	['8'] = OK | 60, ['9'] = OK | 61

static const unsigned char standard_values[256] = {
	COMMON_VALUES, ['+'] = OK | 62, ['/'] = OK | 63,
};
static const unsigned char url_values[256] = {
	COMMON_VALUES, ['-'] = OK | 62, ['_'] = OK | 63,
};
/* clang-format on */

/* Four values with their marks as 24 bits. */
static inline uint32_t join(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	return (a << 18) + (b << 12) + (c << 6) + d - ((uint32_t)OK << 18) -
	       ((uint32_t)OK << 12) - ((uint32_t)OK << 6) - OK;
}

/* `from` has no padding left. */
static bool decode(unsigned char *to, size_t *len, struct span from,
		   const unsigned char *values)
{
	const unsigned char *p = (const unsigned char *)from.ptr;
	unsigned char *start = to;
	uint32_t good = OK;
	size_t tail = from.len % 4;
	uint32_t bits;

	if (tail == 1)
		return false;
	for (size_t groups = from.len / 4; groups > 0; groups--, p += 4) {
		uint32_t a = values[p[0]];
		uint32_t b = values[p[1]];
		uint32_t c = values[p[2]];
		uint32_t d = values[p[3]];

		good &= a & b & c & d;
		bits = join(a, b, c, d);
		*to++ = (unsigned char)(bits >> 16);
		*to++ = (unsigned char)(bits >> 8);
		*to++ = (unsigned char)bits;
	}
	if (tail) {
		uint32_t a = values[p[0]];
		uint32_t b = values[p[1]];
		uint32_t c = tail == 3 ? values[p[2]] : OK;

		good &= a & b & c;
		bits = join(a, b, c, OK);
		*to++ = (unsigned char)(bits >> 16);
		if (tail == 3)
			*to++ = (unsigned char)(bits >> 8);
		/* RFC 4648 section 3.5: bits that are not used must be zero. */
		if (bits & (tail == 3 ? 0xffu : 0xffffu))
			return false;
	}
	*len = (size_t)(to - start);
	return good != 0;
}

bool base64_decode(void *to, size_t *len, struct span from)
{
	if (from.len % 4 != 0)
		return false;
	for (int padding = 0; padding < 2 && from.len && from.ptr[from.len - 1] == '=';
	     padding++)
		from.len--;
	return decode(to, len, from, standard_values);
}

bool base64url_decode(void *to, size_t *len, struct span from)
{
	return decode(to, len, from, url_values);
}

#ifdef __x86_64__
/*
 * Twelve bytes become sixteen characters, of which each lies in one of five rows of the alphabet: what
 * is added to its value is the row's (W. Mula, D. Lemire: "Faster Base64 Encoding and Decoding Using
 * AVX2 Instructions"). Each step reads sixteen bytes. Returns how many are done.
 */
__attribute__((target("ssse3"))) static size_t
encode_blocks(char *to, const unsigned char *from, size_t len, const char *alphabet)
{
	const char last[2] = {(char)(alphabet[62] - 62), (char)(alphabet[63] - 63)};
	const char digit = '0' - 52;
	const __m128i order = _mm_set_epi8(10, 11, 9, 10, 7, 8, 6, 7, 4, 5, 3, 4, 1, 2, 0, 1);
	const __m128i rows =
		_mm_setr_epi8('a' - 26, digit, digit, digit, digit, digit, digit, digit, digit,
			      digit, digit, last[0], last[1], 'A', 0, 0);
	size_t done = 0;

	for (; len - done >= 16; done += 12, to += 16) {
		__m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(from + done));
		__m128i parts = _mm_shuffle_epi8(bytes, order);
		__m128i even = _mm_mulhi_epu16(_mm_and_si128(parts, _mm_set1_epi32(0x0fc0fc00)),
					       _mm_set1_epi32(0x04000040));
		__m128i odd = _mm_mullo_epi16(_mm_and_si128(parts, _mm_set1_epi32(0x003f03f0)),
					      _mm_set1_epi32(0x01000010));
		__m128i values = _mm_or_si128(even, odd);
		__m128i capitals = _mm_cmpgt_epi8(_mm_set1_epi8(26), values);
		__m128i row = _mm_or_si128(_mm_subs_epu8(values, _mm_set1_epi8(51)),
					   _mm_and_si128(capitals, _mm_set1_epi8(13)));

		_mm_storeu_si128((__m128i *)(void *)to,
				 _mm_add_epi8(_mm_shuffle_epi8(rows, row), values));
	}
	return done;
}

static bool has_blocks(void)
{
	return __builtin_cpu_supports("ssse3");
}
#else
static size_t encode_blocks(char *to, const unsigned char *from, size_t len,
			    const char *alphabet)
{
	(void)to;
	(void)from;
	(void)len;
	(void)alphabet;
	return 0;
}

static bool has_blocks(void)
{
	return false;
}
#endif

static size_t encode(char *to, struct span from, const char *alphabet)
{
	const unsigned char *p = (const unsigned char *)from.ptr;
	char *start = to;
	size_t left = from.len, done;

	if (left >= 16 && has_blocks()) {
		done = encode_blocks(to, p, left, alphabet);
		p += done;
		left -= done;
		to += done / 3 * 4;
	}
	for (; left >= 3; left -= 3, p += 3) {
		uint32_t bits = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];

		*to++ = alphabet[bits >> 18];
		*to++ = alphabet[(bits >> 12) & 63];
		*to++ = alphabet[(bits >> 6) & 63];
		*to++ = alphabet[bits & 63];
	}
	if (left) {
		uint32_t bits = (uint32_t)p[0] << 16 | (left == 2 ? (uint32_t)p[1] << 8 : 0);

		*to++ = alphabet[bits >> 18];
		*to++ = alphabet[(bits >> 12) & 63];
		if (left == 2)
			*to++ = alphabet[(bits >> 6) & 63];
	}
	return (size_t)(to - start);
}

size_t base64_encode(char *to, struct span from)
{
	size_t len = encode(to, from, standard_alphabet);

	while (len % 4 != 0)
		to[len++] = '=';
	return len;
}

size_t base64url_encode(char *to, struct span from)
{
	return encode(to, from, url_alphabet);
}
