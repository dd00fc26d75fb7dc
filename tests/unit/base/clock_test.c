#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

static void assert_rfc3339(int64_t unix_ms, const char *expected)
{
	char text[CLOCK_RFC3339_SIZE];

	clock_rfc3339(text, unix_ms);
	assert_string_equal(text, expected);
}

static void assert_http(int64_t unix_s, const char *expected)
{
	char text[CLOCK_HTTP_SIZE];

	clock_http(text, unix_s);
	assert_string_equal(text, expected);
}

/* Expected values from `date -u -d @SECONDS`. */
static void rfc3339_knows_edge_dates(void **state)
{
	(void)state;
	assert_rfc3339(0, "1970-01-01T00:00:00.000Z");
	assert_rfc3339(999, "1970-01-01T00:00:00.999Z");
	assert_rfc3339(951782399999, "2000-02-28T23:59:59.999Z");
	assert_rfc3339(951782400000, "2000-02-29T00:00:00.000Z");
	assert_rfc3339(4107542400000, "2100-03-01T00:00:00.000Z");
	assert_rfc3339(2147483648005, "2038-01-19T03:14:08.005Z");
	assert_rfc3339(253402300799999, "9999-12-31T23:59:59.999Z");
}

static void rfc3339_rounds_down_before_1970(void **state)
{
	(void)state;
	assert_rfc3339(-1, "1969-12-31T23:59:59.999Z");
	assert_rfc3339(-1000, "1969-12-31T23:59:59.000Z");
	assert_rfc3339(-1001, "1969-12-31T23:59:58.999Z");
}

static void imf_fixdate_knows_edge_dates(void **state)
{
	(void)state;
	assert_http(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
	assert_http(0, "Thu, 01 Jan 1970 00:00:00 GMT");
	assert_http(-1, "Wed, 31 Dec 1969 23:59:59 GMT");
	assert_http(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
	assert_http(2147483648, "Tue, 19 Jan 2038 03:14:08 GMT");
	assert_http(253402300799, "Fri, 31 Dec 9999 23:59:59 GMT");
}

static void years_without_four_digits_are_clamped(void **state)
{
	(void)state;
	assert_http(253402300800, "Fri, 31 Dec 9999 23:59:59 GMT");
	assert_http(INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT");
	assert_http(INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT");
	assert_rfc3339(INT64_MAX, "9999-12-31T23:59:59.807Z");
	assert_rfc3339(INT64_MIN, "0000-01-01T00:00:00.192Z");
}

static void the_monotonic_clock_does_not_go_back(void **state)
{
	int64_t before = clock_ns();

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		int64_t now = clock_ns();

		assert_true(now >= before);
		before = now;
	}
	assert_true(clock_ms() >= before / 1000000);
}

static void the_wall_clock_is_that_of_the_system(void **state)
{
	int64_t before = (int64_t)time(NULL) - 1;
	int64_t now_ms = clock_unix_ms(), now_s = clock_unix_s();
	int64_t after = (int64_t)time(NULL) + 1;

	(void)state;
	assert_true(now_ms / 1000 >= before && now_ms / 1000 <= after);
	assert_true(now_s >= before && now_s <= after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc3339_knows_edge_dates),
		cmocka_unit_test(rfc3339_rounds_down_before_1970),
		cmocka_unit_test(imf_fixdate_knows_edge_dates),
		cmocka_unit_test(years_without_four_digits_are_clamped),
		cmocka_unit_test(the_monotonic_clock_does_not_go_back),
		cmocka_unit_test(the_wall_clock_is_that_of_the_system),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
