#include "parse/utf8.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static bool continuation(unsigned char byte)
{
	return (byte & 0xc0) == 0x80;
}

/* The length of the valid multi-byte sequence at p, or 0. RFC 3629 section 4. */
static size_t sequence_length(const unsigned char *p, size_t left)
{
	unsigned char low = 0x80;
	unsigned char high = 0xbf;

	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	if (p[0] < 0xe0)
		return left >= 2 && continuation(p[1]) ? 2 : 0;
	if (p[0] < 0xf0) {
		if (p[0] == 0xe0)
			low = 0xa0;
		else if (p[0] == 0xed)
			high = 0x9f;
		return left >= 3 && p[1] >= low && p[1] <= high && continuation(p[2]) ? 3 : 0;
	}
	if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	return left >= 4 && p[1] >= low && p[1] <= high && continuation(p[2]) &&
			       continuation(p[3])
		       ? 4
		       : 0;
}

static size_t ascii_prefix(const unsigned char *p, size_t len)
{
	size_t at = 0;

#ifdef __SSE2__
	for (; len - at >= 16; at += 16) {
		int high = _mm_movemask_epi8(
			_mm_loadu_si128((const __m128i *)(const void *)(p + at)));

		if (high)
			return at + (size_t)__builtin_ctz((unsigned)high);
	}
#endif
	while (at < len && p[at] < 0x80)
		at++;
	return at;
}

size_t utf8_valid_prefix(struct span s)
{
	const unsigned char *p = (const unsigned char *)s.ptr;
	size_t at = 0;

	while (at < s.len) {
		size_t step;

		if (p[at] < 0x80) {
			at += ascii_prefix(p + at, s.len - at);
			continue;
		}
		step = sequence_length(p + at, s.len - at);
		if (step == 0)
			break;
		at += step;
	}
	return at;
}

size_t utf8_encode(char to[4], uint32_t code_point)
{
	if (code_point < 0x80) {
		to[0] = (char)code_point;
		return 1;
	}
	if (code_point < 0x800) {
		to[0] = (char)(0xc0 | (code_point >> 6));
		to[1] = (char)(0x80 | (code_point & 0x3f));
		return 2;
	}
	if (code_point < 0x10000) {
		to[0] = (char)(0xe0 | (code_point >> 12));
		to[1] = (char)(0x80 | ((code_point >> 6) & 0x3f));
		to[2] = (char)(0x80 | (code_point & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | (code_point >> 18));
	to[1] = (char)(0x80 | ((code_point >> 12) & 0x3f));
	to[2] = (char)(0x80 | ((code_point >> 6) & 0x3f));
	to[3] = (char)(0x80 | (code_point & 0x3f));
	return 4;
}
