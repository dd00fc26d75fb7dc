/* transform_scan.c - kinds of bytes, 16 bytes at a time. */
#include "waf/transform_scan.h"

/*
 * A byte is of a class when both halves are: the low half by its first table, the high half by its
 * second. Two pairs of tables make 15 classes.
 */
static const byte low_1[16] = {
	CLASS_UPPER_2 | CLASS_NUL | CLASS_HIGH | CLASS_BLANK, /* 0 */
	CLASS_UPPER | CLASS_HIGH, /* 1 */
	CLASS_UPPER | CLASS_HIGH,
	CLASS_UPPER | CLASS_HIGH,
	CLASS_UPPER | CLASS_HIGH,
	CLASS_UPPER | CLASS_HIGH | CLASS_URL, /* 5 */
	CLASS_UPPER | CLASS_HIGH | CLASS_AMPERSAND, /* 6 */
	CLASS_UPPER | CLASS_HIGH,
	CLASS_UPPER | CLASS_HIGH,
	CLASS_UPPER | CLASS_HIGH,
	CLASS_UPPER | CLASS_HIGH, /* A */
	CLASS_UPPER_1 | CLASS_HIGH | CLASS_URL, /* B */
	CLASS_UPPER_1 | CLASS_HIGH | CLASS_BACKSLASH, /* C */
	CLASS_UPPER_1 | CLASS_HIGH,
	CLASS_UPPER_1 | CLASS_HIGH,
	CLASS_UPPER_1 | CLASS_HIGH,
};
static const byte high_1[16] = {
	[0x0] = CLASS_NUL,     [0x2] = CLASS_URL | CLASS_AMPERSAND | CLASS_BLANK,
	[0x4] = CLASS_UPPER_1, [0x5] = CLASS_UPPER_2 | CLASS_BACKSLASH,
	[0x8] = CLASS_HIGH,    [0x9] = CLASS_HIGH,
	[0xa] = CLASS_HIGH,    [0xb] = CLASS_HIGH,
	[0xc] = CLASS_HIGH,    [0xd] = CLASS_HIGH,
	[0xe] = CLASS_HIGH,    [0xf] = CLASS_HIGH,
};
static const byte low_2[16] = {
	[0x2] = CLASS_SHELL_1 >> 8,
	[0x3] = CLASS_COMMENT >> 8,
	[0x7] = CLASS_SHELL_1 >> 8,
	[0x9] = CLASS_SPACE >> 8,
	[0xa] = (CLASS_SPACE | CLASS_STAR) >> 8,
	[0xb] = (CLASS_SPACE | CLASS_SHELL_2) >> 8,
	[0xc] = (CLASS_SPACE | CLASS_SHELL_1) >> 8,
	[0xd] = (CLASS_SPACE | CLASS_COMMENT) >> 8,
	[0xe] = (CLASS_DOT | CLASS_SHELL_2) >> 8,
	[0xf] = CLASS_SLASH >> 8,
};
static const byte high_2[16] = {
	[0x0] = CLASS_SPACE >> 8,
	[0x2] = (CLASS_SHELL_1 | CLASS_COMMENT | CLASS_STAR | CLASS_DOT | CLASS_SLASH) >> 8,
	[0x3] = CLASS_SHELL_2 >> 8,
	[0x5] = CLASS_SHELL_2 >> 8,
};

/* ---- kinds of bytes -------------------------------------------------------------------------- */

static uint32_t classes_of_bytes(const byte *in, size_t len)
{
	uint32_t classes = 0;

	for (size_t i = 0; i < len; i++) {
		byte low = in[i] & 0xf, high = in[i] >> 4;

		classes |= (uint32_t)(low_1[low] & high_1[high]) |
			   (uint32_t)(low_2[low] & high_2[high]) << 8;
	}
	return classes;
}

#if defined(__x86_64__)
static __m128i load_table(const byte table[16])
{
	return _mm_loadu_si128((const __m128i *)(const void *)table);
}

struct class_tables {
	__m128i low_1, high_1, low_2, high_2;
};

__attribute__((target("ssse3"), always_inline)) static inline void
classes_add(const struct class_tables *t, __m128i v, __m128i *sum_1, __m128i *sum_2)
{
	const __m128i half = _mm_set1_epi8(0x0f);
	__m128i low = _mm_and_si128(v, half), high = _mm_and_si128(_mm_srli_epi16(v, 4), half);

	*sum_1 = _mm_or_si128(*sum_1, _mm_and_si128(_mm_shuffle_epi8(t->low_1, low),
						    _mm_shuffle_epi8(t->high_1, high)));
	*sum_2 = _mm_or_si128(*sum_2, _mm_and_si128(_mm_shuffle_epi8(t->low_2, low),
						    _mm_shuffle_epi8(t->high_2, high)));
}

static uint32_t fold_or(__m128i v)
{
	uint64_t x;

	v = _mm_or_si128(v, _mm_unpackhi_epi64(v, v));
	x = (uint64_t)_mm_cvtsi128_si64(v);
	x |= x >> 32;
	x |= x >> 16;
	x |= x >> 8;
	return (uint32_t)x & 0xff;
}

/* 16 bytes at a time; len is not 0. */
__attribute__((target("ssse3"))) static uint32_t classes_ssse3(const byte *in, size_t len)
{
	const struct class_tables tables = {load_table(low_1), load_table(high_1),
					    load_table(low_2), load_table(high_2)};
	__m128i sum_1 = _mm_setzero_si128(), sum_2 = sum_1;

	if (len < 16) {
		classes_add(&tables, scan_load_short(in, len), &sum_1, &sum_2);
	} else {
		for (size_t i = 0; i + 16 <= len; i += 16)
			classes_add(&tables, scan_load(in + i), &sum_1, &sum_2);
		if (len % 16 != 0)
			classes_add(&tables, scan_load(in + len - 16), &sum_1, &sum_2);
	}
	return fold_or(sum_1) | fold_or(sum_2) << 8;
}
#endif

uint32_t transform_classes(struct span value)
{
	const byte *in = (const byte *)value.ptr;

	if (value.len == 0)
		return 0;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("ssse3"))
		return classes_ssse3(in, value.len) | CLASS_ANY;
#endif
	return classes_of_bytes(in, value.len) | CLASS_ANY;
}
