#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "contract/decimal.h"

static struct decimal of(const char *text)
{
	return decimal_parse(span_cstr(text));
}

static int compare(const char *a, const char *b)
{
	struct decimal left = of(a);
	struct decimal right = of(b);
	int result = decimal_compare(&left, &right);
	int reverse = decimal_compare(&right, &left);

	assert_true((result < 0) == (reverse > 0) && (result == 0) == (reverse == 0));
	return result < 0 ? -1 : result > 0;
}

static void equal_numbers_compare_and_hash_equal(void **state)
{
	static const char *const pairs[][2] = {
		{"0", "-0"},
		{"0", "0.000e99"},
		{"1", "1.0"},
		{"1", "10e-1"},
		{"100", "1e2"},
		{"-1.50", "-15e-1"},
		{"120.0340", "120034E-3"},
		{"123456789012345678901234567890123456789012345678901234567890.5",
		 "1234567890123456789012345678901234567890123456789012345678905e-1"},
		{"1e99999999999999999999", "1E+99999999999999999998"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		struct decimal a = of(pairs[i][0]);
		struct decimal b = of(pairs[i][1]);

		assert_int_equal(compare(pairs[i][0], pairs[i][1]), 0);
		assert_true(decimal_hash(&a) == decimal_hash(&b));
	}
}

static void numbers_are_ordered_exactly(void **state)
{
	static const char *const ascending[] = {
		"-1e400",
		"-12345678901234567891",
		"-12345678901234567890",
		"-1.01",
		"-1",
		"-1e-400",
		"0",
		"1e-400",
		"0.1",
		"0.10000000000000000001",
		"9",
		"9.9",
		"10",
		"10.01",
		"123456789012345678901",
		"1e400",
	};

	(void)state;
	for (size_t i = 1; i < COUNT_OF(ascending); i++) {
		struct decimal a = of(ascending[i - 1]);
		struct decimal b = of(ascending[i]);

		assert_int_equal(compare(ascending[i - 1], ascending[i]), -1);
		assert_true(decimal_hash(&a) != decimal_hash(&b));
	}
}

static void integers_are_told_by_value(void **state)
{
	static const struct {
		const char *text;
		bool integer;
		bool fits;
		int64_t value;
	} cases[] = {
		{"0", true, true, 0},
		{"-0.0", true, true, 0},
		{"1.0", true, true, 1},
		{"1.5", false, false, 0},
		{"15e-1", false, false, 0},
		{"120e-1", true, true, 12},
		{"-7e3", true, true, -7000},
		{"9223372036854775807", true, true, INT64_MAX},
		{"9223372036854775808", true, false, 0},
		{"-9223372036854775808", true, true, INT64_MIN},
		{"-9223372036854775809", true, false, 0},
		{"1e18", true, true, INT64_C(1000000000000000000)},
		{"1e19", true, false, 0},
		{"1e400", true, false, 0},
		{"1e-400", false, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct decimal d = of(cases[i].text);
		int64_t value = 0;

		assert_int_equal(decimal_is_integer(&d), cases[i].integer);
		assert_int_equal(decimal_to_i64(&d, &value), cases[i].fits);
		assert_int_equal(value, cases[i].value);
	}
}

static bool multiple(const char *number, const char *of_number)
{
	struct decimal d = of(number);
	struct decimal by = of(of_number);
	struct decimal_divisor divisor;

	assert_true(decimal_divisor(&by, &divisor));
	return decimal_is_multiple(&d, &divisor);
}

static void multiples_are_exact(void **state)
{
	(void)state;
	assert_true(multiple("0", "3"));
	assert_true(multiple("19.99", "0.01"));
	assert_true(multiple("0.3", "0.1"));
	assert_false(multiple("0.35", "0.1"));
	assert_true(multiple("4.5", "1.5"));
	assert_false(multiple("35", "1.5"));
	assert_true(multiple("0.0075", "0.0001"));
	assert_false(multiple("0.00751", "0.0001"));
	assert_true(multiple("1e308", "0.5"));
	assert_true(multiple("12391239123", "1e-8"));
	assert_true(multiple("3e100", "3"));
	assert_false(multiple("1e100", "3"));
	assert_true(multiple("-1e1000000000", "8"));
	assert_true(multiple("99999999999999999999999999999999999999", "9"));
	assert_false(multiple("99999999999999999999999999999999999998", "9"));
	assert_true(multiple("18446744073709551615e3", "1229782938247303441"));
}

static void divisors_are_positive_and_short(void **state)
{
	static const char *const refused[] = {"0", "-1", "0.0", "12345678901234567891"};
	struct decimal_divisor divisor;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		struct decimal d = of(refused[i]);

		assert_false(decimal_divisor(&d, &divisor));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_numbers_compare_and_hash_equal),
		cmocka_unit_test(numbers_are_ordered_exactly),
		cmocka_unit_test(integers_are_told_by_value),
		cmocka_unit_test(multiples_are_exact),
		cmocka_unit_test(divisors_are_positive_and_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
