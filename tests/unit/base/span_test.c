#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/span.h"

#define assert_span(got, literal) assert_true(span_eq((got), SPAN(literal)))

static void equality_is_by_bytes_and_length(void **state)
{
	(void)state;
	assert_true(span_eq(SPAN("a\0b"), SPAN("a\0b")));
	assert_false(span_eq(SPAN("a\0b"), SPAN("a\0c")));
	assert_false(span_eq(SPAN("a"), SPAN("ab")));
	assert_true(span_eq(SPAN_NONE, SPAN("")));
	assert_int_equal(span_cstr(NULL).len, 0);
}

static void equality_without_case_folds_ascii_letters_only(void **state)
{
	(void)state;
	assert_true(span_eq_nocase(SPAN("Content-TYPE"), SPAN("content-type")));
	assert_false(span_eq_nocase(SPAN("["), SPAN("{")));
	assert_false(span_eq_nocase(SPAN("@"), SPAN("`")));
	assert_false(span_eq_nocase(SPAN("\xC4"), SPAN("\xE4")));
	assert_false(span_eq_nocase(SPAN("ab"), SPAN("abc")));
}

static void order_is_by_unsigned_byte_and_a_prefix_sorts_first(void **state)
{
	(void)state;
	assert_true(span_compare(SPAN("a"), SPAN("b")) < 0);
	assert_true(span_compare(SPAN("\xff"), SPAN("a")) > 0);
	assert_true(span_compare(SPAN("a"), SPAN("aa")) < 0);
	assert_true(span_compare(SPAN("aa"), SPAN("a")) > 0);
	assert_int_equal(span_compare(SPAN_NONE, SPAN("")), 0);
}

static void prefixes_and_suffixes_are_recognised(void **state)
{
	(void)state;
	assert_true(span_starts_with(SPAN("/orders"), SPAN("/or")));
	assert_true(span_starts_with(SPAN_NONE, SPAN("")));
	assert_false(span_starts_with(SPAN("/o"), SPAN("/or")));
	assert_true(span_ends_with(SPAN("a.json"), SPAN(".json")));
	assert_true(span_ends_with(SPAN_NONE, SPAN_NONE));
	assert_false(span_ends_with(SPAN("json"), SPAN(".json")));
}

static void finding_gives_the_first_index_or_the_length(void **state)
{
	(void)state;
	assert_int_equal(span_find_byte(SPAN("a=b=c"), '='), 1);
	assert_int_equal(span_find_byte(SPAN("abc"), '='), 3);
	assert_int_equal(span_find_byte(SPAN("a\0b"), '\0'), 1);
	assert_int_equal(span_find_byte(SPAN_NONE, 'x'), 0);
	assert_int_equal(span_find(SPAN("xxabab"), SPAN("ab")), 2);
	assert_int_equal(span_find(SPAN("xxa"), SPAN("ab")), 3);
	assert_int_equal(span_find(SPAN("a"), SPAN("ab")), 1);
	assert_int_equal(span_find(SPAN("abc"), SPAN("")), 0);
}

static void a_slice_is_clamped(void **state)
{
	(void)state;
	assert_span(span_slice(SPAN("abcdef"), 2, 4), "cd");
	assert_span(span_slice(SPAN("abc"), 1, 99), "bc");
	assert_span(span_slice(SPAN("abc"), 2, 1), "");
	assert_span(span_slice(SPAN("abc"), 99, 100), "");
	assert_null(span_slice(SPAN_NONE, 1, 2).ptr);
}

static void trimming_removes_outer_white_space_only(void **state)
{
	(void)state;
	assert_span(span_trim(SPAN(" \t\r\na b\n ")), "a b");
	assert_span(span_trim(SPAN(" \t ")), "");
	assert_span(span_trim(SPAN("\va")), "\va");
	assert_span(span_trim(SPAN_NONE), "");
}

static void cutting_gives_every_part_including_empty_ones(void **state)
{
	struct span rest = SPAN("a,,b,");

	(void)state;
	assert_span(span_cut(&rest, ','), "a");
	assert_span(span_cut(&rest, ','), "");
	assert_span(span_cut(&rest, ','), "b");
	assert_non_null(rest.ptr);
	assert_span(span_cut(&rest, ','), "");
	assert_null(rest.ptr);
}

static void unsigned_numbers_are_whole_decimal_and_within_range(void **state)
{
	uint64_t n = 7;

	(void)state;
	assert_true(span_to_u64(SPAN("0"), &n) && n == 0);
	assert_true(span_to_u64(SPAN("18446744073709551615"), &n) && n == UINT64_MAX);
	n = 7;
	assert_false(span_to_u64(SPAN("18446744073709551616"), &n));
	assert_false(span_to_u64(SPAN("99999999999999999999999"), &n));
	assert_false(span_to_u64(SPAN(""), &n));
	assert_false(span_to_u64(SPAN("+1"), &n));
	assert_false(span_to_u64(SPAN("-1"), &n));
	assert_false(span_to_u64(SPAN(" 1"), &n));
	assert_false(span_to_u64(SPAN("1\0"), &n));
	assert_false(span_to_u64(SPAN("0x1"), &n));
	assert_int_equal(n, 7);
}

static void signed_numbers_reach_both_ends_of_the_range(void **state)
{
	int64_t n = 7;

	(void)state;
	assert_true(span_to_i64(SPAN("-9223372036854775808"), &n) && n == INT64_MIN);
	assert_true(span_to_i64(SPAN("9223372036854775807"), &n) && n == INT64_MAX);
	assert_true(span_to_i64(SPAN("-0"), &n) && n == 0);
	n = 7;
	assert_false(span_to_i64(SPAN("9223372036854775808"), &n));
	assert_false(span_to_i64(SPAN("-9223372036854775809"), &n));
	assert_false(span_to_i64(SPAN("-"), &n));
	assert_false(span_to_i64(SPAN("--1"), &n));
	assert_false(span_to_i64(SPAN(""), &n));
	assert_int_equal(n, 7);
}

static void distance_counts_single_edits(void **state)
{
	char text[65];

	(void)state;
	memset(text, 'a', sizeof(text));
	assert_int_equal(span_distance(SPAN("kitten"), SPAN("sitting")), 3);
	assert_int_equal(span_distance(SPAN("serve"), SPAN("sevre")), 2);
	assert_int_equal(span_distance(SPAN(""), SPAN("abc")), 3);
	assert_int_equal(span_distance(SPAN("abc"), SPAN("abc")), 0);
	assert_int_equal(span_distance(span_of(text, 64), SPAN("")), 64);
	assert_int_equal(span_distance(span_of(text, 65), SPAN("")), 65);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equality_is_by_bytes_and_length),
		cmocka_unit_test(equality_without_case_folds_ascii_letters_only),
		cmocka_unit_test(order_is_by_unsigned_byte_and_a_prefix_sorts_first),
		cmocka_unit_test(prefixes_and_suffixes_are_recognised),
		cmocka_unit_test(finding_gives_the_first_index_or_the_length),
		cmocka_unit_test(a_slice_is_clamped),
		cmocka_unit_test(trimming_removes_outer_white_space_only),
		cmocka_unit_test(cutting_gives_every_part_including_empty_ones),
		cmocka_unit_test(unsigned_numbers_are_whole_decimal_and_within_range),
		cmocka_unit_test(signed_numbers_reach_both_ends_of_the_range),
		cmocka_unit_test(distance_counts_single_edits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
