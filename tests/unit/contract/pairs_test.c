#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "contract/pairs.h"

static void names_are_decoded_and_values_are_not(void **state)
{
	struct pairs pairs;

	(void)state;
	assert_int_equal(pairs_init(&pairs, 8, 1024), 0);
	assert_int_equal(pairs_parse(&pairs, SPAN("a=1&b%5Bc%5D=x%20y+z&&d&e=&f+g=h=i&=j")),
			 PAIRS_OK);
	assert_int_equal(pairs.count, 6);
	assert_true(span_eq(pairs.at[1].name, SPAN("b[c]")));
	assert_true(span_eq(pairs.at[1].value, SPAN("x%20y+z")));
	assert_true(span_eq(pairs.at[1].raw, SPAN("b%5Bc%5D=x%20y+z")));
	assert_null(pairs.at[2].value.ptr);
	assert_non_null(pairs.at[3].value.ptr);
	assert_int_equal(pairs.at[3].value.len, 0);
	assert_true(span_eq(pairs.at[4].name, SPAN("f g")));
	assert_true(span_eq(pairs.at[4].value, SPAN("h=i")));
	assert_int_equal(pairs.at[5].name.len, 0);
	pairs_release(&pairs);
}

static void what_is_cut_is_left_out(void **state)
{
	struct pairs pairs;
	struct buf out;

	(void)state;
	buf_init(&out, 1024);
	assert_int_equal(pairs_init(&pairs, 8, 1024), 0);
	assert_int_equal(pairs_parse(&pairs, SPAN("a=%31&b&c=3")), PAIRS_OK);
	assert_false(pairs_is_cut(&pairs));
	pairs.at[1].cut = true;
	assert_true(pairs_is_cut(&pairs));
	assert_int_equal(pairs_write(&pairs, &out), 0);
	assert_true(span_eq(buf_span(&out), SPAN("a=%31&c=3")));
	buf_release(&out);
	pairs_release(&pairs);
}

static void malformed_and_too_many_pairs_are_refused(void **state)
{
	static const char *const bad[] = {"a%=1", "a=%", "a=%4", "a=%4g", "%zz=1", "a=%41%4"};
	struct pairs pairs;

	(void)state;
	assert_int_equal(pairs_init(&pairs, 2, 1024), 0);
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_int_equal(pairs_parse(&pairs, span_cstr(bad[i])), PAIRS_BAD_ESCAPE);
	assert_int_equal(pairs_parse(&pairs, SPAN("a&b&c")), PAIRS_TOO_MANY);
	assert_int_equal(pairs_parse(&pairs, SPAN("")), PAIRS_OK);
	assert_int_equal(pairs.count, 0);
	pairs_release(&pairs);
}

static void failing_allocations_are_told(void **state)
{
	struct pairs pairs;

	(void)state;
	mem_fail_at(1);
	assert_int_equal(pairs_init(&pairs, 2, 1024), -1);
	assert_int_equal(pairs_init(&pairs, 2, 1024), 0);
	mem_fail_at(1);
	assert_int_equal(pairs_parse(&pairs, SPAN("%41=1")), PAIRS_MEMORY);
	mem_fail_at(0);
	assert_int_equal(pairs_parse(&pairs, SPAN("%41=1")), PAIRS_OK);
	pairs_release(&pairs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_decoded_and_values_are_not),
		cmocka_unit_test(what_is_cut_is_left_out),
		cmocka_unit_test(malformed_and_too_many_pairs_are_refused),
		cmocka_unit_test(failing_allocations_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
