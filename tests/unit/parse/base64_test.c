#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"
#include "parse/base64.h"
#include "parse/utf8.h"

static void rfc4648_vectors_go_both_ways(void **state)
{
	static const struct {
		struct span plain, padded, url;
	} cases[] = {
		{SPAN_INIT(""), SPAN_INIT(""), SPAN_INIT("")},
		{SPAN_INIT("f"), SPAN_INIT("Zg=="), SPAN_INIT("Zg")},
		{SPAN_INIT("fo"), SPAN_INIT("Zm8="), SPAN_INIT("Zm8")},
		{SPAN_INIT("foo"), SPAN_INIT("Zm9v"), SPAN_INIT("Zm9v")},
		{SPAN_INIT("foob"), SPAN_INIT("Zm9vYg=="), SPAN_INIT("Zm9vYg")},
		{SPAN_INIT("\xfb\xff\xfe"), SPAN_INIT("+//+"), SPAN_INIT("-__-")},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[16];
		size_t len = base64_encode(text, cases[i].plain);

		assert_true(span_eq(span_of(text, len), cases[i].padded));
		assert_int_equal(len, base64_encoded_size(cases[i].plain.len));
		len = base64url_encode(text, cases[i].plain);
		assert_true(span_eq(span_of(text, len), cases[i].url));
		assert_int_equal(len, base64url_encoded_size(cases[i].plain.len));
		assert_true(base64_decode(text, &len, cases[i].padded));
		assert_true(span_eq(span_of(text, len), cases[i].plain));
		assert_true(base64url_decode(text, &len, cases[i].url));
		assert_true(span_eq(span_of(text, len), cases[i].plain));
	}
}

static void loose_encodings_are_refused(void **state)
{
	static const struct span url[] = {
		SPAN_INIT("A"),	    SPAN_INIT("Zg=="),	  SPAN_INIT("Zh"),   SPAN_INIT("Zm9"),
		SPAN_INIT("Zm 9v"), SPAN_INIT("Zm9v\n"),  SPAN_INIT("+//+"), SPAN_INIT("Zm9?"),
		SPAN_INIT("Z\0m9"), SPAN_INIT("Zm9\xc3"),
	};
	static const struct span padded[] = {
		SPAN_INIT("Zg"),   SPAN_INIT("Zg="),	  SPAN_INIT("Z==="),
		SPAN_INIT("===="), SPAN_INIT("Zh=="),	  SPAN_INIT("Zm9="),
		SPAN_INIT("-__-"), SPAN_INIT("Zg==Zg=="), SPAN_INIT("Zm8=Zm8="),
		SPAN_INIT("Zm=8"), SPAN_INIT("Zm9v "),
	};
	char to[16];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(url) / sizeof(url[0]); i++)
		assert_false(base64url_decode(to, &len, url[i]));
	for (size_t i = 0; i < sizeof(padded) / sizeof(padded[0]); i++)
		assert_false(base64_decode(to, &len, padded[i]));
}

/* By the definition: six bits after the other. */
static void encode_slowly(char *to, const unsigned char *from, size_t len, const char *last)
{
	static const char first[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

	for (size_t bit = 0; bit < 8 * len; bit += 6) {
		unsigned value = 0;

		for (size_t i = bit; i < bit + 6; i++)
			value = value << 1 |
				(i < 8 * len ? (unsigned)from[i / 8] >> (7 - i % 8) & 1 : 0);
		*to++ = value < 62 ? first[value] : last[value - 62];
	}
	*to = '\0';
}

/* Long texts take another way than short ones; every byte has each value at each place of a group. */
static void any_length_is_encoded_by_the_definition(void **state)
{
	unsigned char plain[256 + 100];
	char expected[512], text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = (unsigned char)i;
	for (size_t from = 0; from <= 256; from++) {
		for (size_t len = 0; len <= 100; len += from % 7 ? 33 : 1) {
			struct span s = span_of(plain + from, len);
			size_t padded;

			encode_slowly(expected, plain + from, len, "-_");
			memset(text, '!', sizeof(text));
			assert_int_equal(base64url_encode(text, s), strlen(expected));
			assert_memory_equal(text, expected, strlen(expected));
			assert_int_equal(text[strlen(expected)], '!');
			encode_slowly(expected, plain + from, len, "+/");
			padded = base64_encode(text, s);
			assert_int_equal(padded, (len + 2) / 3 * 4);
			assert_memory_equal(text, expected, strlen(expected));
		}
	}
}

/* Every two-character text: it decodes exactly when it is what the encoder would write. */
static void one_value_has_one_encoding(void **state)
{
	(void)state;
	for (int i = 0; i < 65536; i++) {
		char text[2] = {(char)(i >> 8), (char)i};
		char plain[8], again[4];
		size_t len;

		if (!base64url_decode(plain, &len, span_of(text, 2)))
			continue;
		assert_int_equal(len, 1);
		assert_int_equal(base64url_encode(again, span_of(plain, len)), 2);
		assert_memory_equal(again, text, 2);
	}
}

static void random_bytes_survive_in_place(void **state)
{
	unsigned char plain[301];
	char text[404];

	(void)state;
	for (size_t size = 0; size <= sizeof(plain); size++) {
		size_t len;

		rand_bytes(plain, size);
		len = base64url_encode(text, span_of(plain, size));
		assert_true(base64url_decode(text, &len, span_of(text, len)));
		assert_int_equal(len, size);
		assert_memory_equal(text, plain, size);
	}
}

static void utf8_follows_rfc3629(void **state)
{
	static const struct span good[] = {
		SPAN_INIT(""),
		SPAN_INIT("plain ASCII, longer than one block"),
		SPAN_INIT("\xc2\x80"),
		SPAN_INIT("\xdf\xbf"),
		SPAN_INIT("\xe0\xa0\x80"),
		SPAN_INIT("\xed\x9f\xbf"),
		SPAN_INIT("\xee\x80\x80"),
		SPAN_INIT("\xef\xbf\xbf"),
		SPAN_INIT("\xf0\x90\x80\x80"),
		SPAN_INIT("\xf4\x8f\xbf\xbf"),
	};
	static const struct span bad[] = {
		SPAN_INIT("\x80"),
		SPAN_INIT("\xc0\x80"),
		SPAN_INIT("\xc1\xbf"),
		SPAN_INIT("\xc2"),
		SPAN_INIT("\xe0\x9f\xbf"),
		SPAN_INIT("\xed\xa0\x80"),
		SPAN_INIT("\xe1\x80"),
		SPAN_INIT("\xf0\x8f\xbf\xbf"),
		SPAN_INIT("\xf4\x90\x80\x80"),
		SPAN_INIT("\xf5\x80\x80\x80"),
		SPAN_INIT("\xff"),
		SPAN_INIT("\xc3\x28"),
		SPAN_INIT("\xe2\x82\x28"),
		SPAN_INIT("\xf0\x9f\x98"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(utf8_valid(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[64];

		/* Also where the fast path for ASCII ends. */
		for (size_t shift = 0; shift < 40; shift++) {
			memset(text, 'x', shift);
			memcpy(text + shift, bad[i].ptr, bad[i].len);
			assert_int_equal(utf8_valid_prefix(span_of(text, shift + bad[i].len)),
					 shift);
		}
	}
}

static void every_code_point_is_encoded_validly(void **state)
{
	(void)state;
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		char text[4];
		size_t len = utf8_encode(text, c);

		assert_true(utf8_valid(span_of(text, len)) == (c < 0xd800 || c > 0xdfff));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc4648_vectors_go_both_ways),
		cmocka_unit_test(loose_encodings_are_refused),
		cmocka_unit_test(any_length_is_encoded_by_the_definition),
		cmocka_unit_test(one_value_has_one_encoding),
		cmocka_unit_test(random_bytes_survive_in_place),
		cmocka_unit_test(utf8_follows_rfc3629),
		cmocka_unit_test(every_code_point_is_encoded_validly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
