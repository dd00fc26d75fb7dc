#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/mem.h"
#include "parse/coding.h"

#define ROOM 4096

/* `text` in the format that zlib's window bits name; returns the length. */
static size_t encode(struct span text, int window_bits, char out[ROOM])
{
	z_stream z = {.next_in = (z_const Bytef *)(uintptr_t)text.ptr,
		      .avail_in = (uInt)text.len,
		      .next_out = (Bytef *)out,
		      .avail_out = ROOM};

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY),
			 Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return ROOM - z.avail_out;
}

static void expect(enum coding coding, struct span coded, size_t max, enum coding_result result,
		   struct span text)
{
	struct buf out;

	buf_init(&out, max);
	assert_int_equal(coding_decode(coding, coded, &out), result);
	if (result == CODING_OK)
		assert_true(span_eq(buf_span(&out), text));
	assert_true(out.len <= max);
	buf_release(&out);
}

static void names_are_known_in_any_case(void **state)
{
	(void)state;
	assert_int_equal(coding_of(SPAN("gzip")), CODING_GZIP);
	assert_int_equal(coding_of(SPAN(" X-GZip ")), CODING_GZIP);
	assert_int_equal(coding_of(SPAN("Deflate")), CODING_DEFLATE);
	assert_int_equal(coding_of(SPAN("identity")), CODING_IDENTITY);
	assert_int_equal(coding_of(SPAN("")), CODING_IDENTITY);
	assert_int_equal(coding_of(SPAN("br")), CODING_UNKNOWN);
	assert_int_equal(coding_of(SPAN("gzip, gzip")), CODING_UNKNOWN);
}

static void what_was_coded_comes_back(void **state)
{
	struct span text = SPAN("{\"item\":\"lamp\",\"item\":\"lamp\"}");
	char coded[ROOM];
	size_t len;

	(void)state;
	len = encode(text, 31, coded);
	expect(CODING_GZIP, span_of(coded, len), 1000, CODING_OK, text);
	len = encode(text, 15, coded);
	expect(CODING_DEFLATE, span_of(coded, len), 1000, CODING_OK, text);
	expect(CODING_IDENTITY, text, 1000, CODING_OK, text);
	len = encode(SPAN(""), 31, coded);
	expect(CODING_GZIP, span_of(coded, len), 0, CODING_OK, SPAN(""));
}

static void members_of_gzip_follow_each_other(void **state)
{
	char coded[ROOM];
	size_t len = encode(SPAN("ab"), 31, coded);

	(void)state;
	len += encode(SPAN("cd"), 31, coded + len);
	expect(CODING_GZIP, span_of(coded, len), 4, CODING_OK, SPAN("abcd"));
	expect(CODING_GZIP, span_of(coded, len), 3, CODING_TOO_LARGE, SPAN_NONE);
}

static void what_is_behind_the_end_is_malformed(void **state)
{
	char coded[ROOM];
	size_t len = encode(SPAN("ab"), 31, coded);

	(void)state;
	coded[len] = 'x';
	expect(CODING_GZIP, span_of(coded, len + 1), 100, CODING_MALFORMED, SPAN_NONE);
	len = encode(SPAN("ab"), 15, coded);
	len += encode(SPAN("cd"), 15, coded + len);
	expect(CODING_DEFLATE, span_of(coded, len), 100, CODING_MALFORMED, SPAN_NONE);
}

static void cut_short_or_of_another_form_it_is_malformed(void **state)
{
	char coded[ROOM];
	size_t len = encode(SPAN("abcabcabc"), 31, coded);

	(void)state;
	for (size_t cut = 0; cut < len; cut++)
		expect(CODING_GZIP, span_of(coded, cut), 100, CODING_MALFORMED, SPAN_NONE);
	expect(CODING_DEFLATE, span_of(coded, len), 100, CODING_MALFORMED, SPAN_NONE);
	len = encode(SPAN("abcabcabc"), -15, coded);
	expect(CODING_DEFLATE, span_of(coded, len), 100, CODING_MALFORMED, SPAN_NONE);
	expect(CODING_UNKNOWN, SPAN("x"), 100, CODING_MALFORMED, SPAN_NONE);
}

static void a_bomb_stops_at_the_maximum(void **state)
{
	char *zeros = mem_zalloc(1, 1000000);
	char coded[ROOM];
	size_t len;

	(void)state;
	assert_non_null(zeros);
	len = encode(span_of(zeros, 1000000), 31, coded);
	expect(CODING_GZIP, span_of(coded, len), 1000000, CODING_OK, span_of(zeros, 1000000));
	expect(CODING_GZIP, span_of(coded, len), 999999, CODING_TOO_LARGE, SPAN_NONE);
	expect(CODING_GZIP, span_of(coded, len), 65536, CODING_TOO_LARGE, SPAN_NONE);
	expect(CODING_IDENTITY, span_of(zeros, 100), 99, CODING_TOO_LARGE, SPAN_NONE);
	mem_free(zeros);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_known_in_any_case),
		cmocka_unit_test(what_was_coded_comes_back),
		cmocka_unit_test(members_of_gzip_follow_each_other),
		cmocka_unit_test(what_is_behind_the_end_is_malformed),
		cmocka_unit_test(cut_short_or_of_another_form_it_is_malformed),
		cmocka_unit_test(a_bomb_stops_at_the_maximum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
