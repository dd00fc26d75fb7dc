#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compiler.h"

#include "base/hash.h"

/*
 * Key 00 01 .. 0f, message 00 01 .. (length - 1) mod 256. Computed by a separate implementation
 * after the paper, which gives the paper's own vector for SipHash-2-4.
 */
static const struct {
	size_t length;
	uint64_t hash;
} vectors[] = {
	{0, 0xabac0158050fc4dc},   {1, 0xc9f49bf37d57ca93},  {7, 0xd3927d989bb11140},
	{8, 0x369095118d299a8e},   {9, 0x25a48eb36c063de4},  {15, 0xd320d86d2a519956},
	{16, 0xcc4fdd1a7d908b66},  {63, 0x9d199062b7bbb3a8}, {64, 0xf17997ec4b4a6065},
	{300, 0x4016a23bda5a2224},
};

static void siphash_gives_the_reference_values(void **state)
{
	unsigned char message[300];

	(void)state;
	for (unsigned i = 0; i < sizeof(message); i++)
		message[i] = (unsigned char)i;
	for (unsigned i = 0; i < COUNT_OF(vectors); i++)
		assert_true(hash_siphash13(span_of(message, vectors[i].length),
					   0x0706050403020100,
					   0x0f0e0d0c0b0a0908) == vectors[i].hash);
}

/* The first of the reference's vectors_sip128. */
static void a_tag_has_the_reference_values(void **state)
{
	static const unsigned char expected[4][16] = {
		{0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7,
		 0x55, 0x02, 0x93},
		{0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b,
		 0x22, 0xfc, 0x45},
		{0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6,
		 0x0a, 0xff, 0xe4},
		{0x9c, 0x70, 0xb6, 0x0c, 0x52, 0x67, 0xa9, 0x4e, 0x5f, 0x33, 0xb6, 0xb0, 0x29,
		 0x85, 0xed, 0x51},
	};
	static const unsigned char message[] = {0, 1, 2};

	(void)state;
	for (size_t len = 0; len < COUNT_OF(expected); len++) {
		struct hash_tag tag = hash_siphash24_tag(
			span_of(message, len), 0x0706050403020100, 0x0f0e0d0c0b0a0908);

		assert_memory_equal(tag.half, expected[len], sizeof(tag.half));
	}
}

static void tags_differ_with_the_text_in_both_halves(void **state)
{
	char text[700];
	struct hash_tag tag, other;

	(void)state;
	memset(text, 'x', sizeof(text));
	tag = hash_tag_of(span_of(text, sizeof(text)));
	assert_true(hash_tag_eq(tag, hash_tag_of(span_of(text, sizeof(text)))));
	for (size_t i = 0; i < sizeof(text); i += 41) {
		text[i] ^= 1;
		other = hash_tag_of(span_of(text, sizeof(text)));
		assert_false(hash_tag_eq(tag, other));
		assert_true(tag.half[0] != other.half[0] && tag.half[1] != other.half[1]);
		text[i] ^= 1;
	}
	assert_false(hash_tag_eq(tag, hash_tag_of(span_of(text, sizeof(text) - 1))));
	other = hash_tag_of(span_of(text, 0));
	assert_true(other.half[0] != hash_span(SPAN("")));
}

static void an_unaligned_message_hashes_the_same(void **state)
{
	char room[64 + 8];
	uint64_t expected = 0;

	(void)state;
	for (unsigned shift = 0; shift < 8; shift++) {
		memset(room, 0, sizeof(room));
		memset(room + shift, 'x', 61);
		if (shift == 0)
			expected = hash_siphash13(span_of(room, 61), 1, 2);
		assert_true(hash_siphash13(span_of(room + shift, 61), 1, 2) == expected);
	}
}

static void the_process_key_is_steady_and_not_zero(void **state)
{
	(void)state;
	assert_true(hash_span(SPAN("abc")) == hash_span(SPAN("abc")));
	assert_true(hash_span(SPAN_NONE) == hash_span(SPAN("")));
	assert_true(hash_span(SPAN("abc")) != hash_span(SPAN("abd")));
	assert_true(hash_span(SPAN("abc")) != hash_siphash13(SPAN("abc"), 0, 0));
}

static void mixing_depends_on_both_and_on_their_order(void **state)
{
	(void)state;
	assert_true(hash_mix(1, 2) == hash_mix(1, 2));
	assert_true(hash_mix(1, 2) != hash_mix(2, 1));
	assert_true(hash_mix(1, 2) != hash_mix(1, 3));
	assert_true(hash_mix(1, 2) != hash_mix(3, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash_gives_the_reference_values),
		cmocka_unit_test(a_tag_has_the_reference_values),
		cmocka_unit_test(tags_differ_with_the_text_in_both_halves),
		cmocka_unit_test(an_unaligned_message_hashes_the_same),
		cmocka_unit_test(the_process_key_is_steady_and_not_zero),
		cmocka_unit_test(mixing_depends_on_both_and_on_their_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
