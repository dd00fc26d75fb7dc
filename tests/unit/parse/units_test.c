/* units_test.c - durations, sizes, rates and percentages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parse/units.h"

struct number_case {
	const char *text;
	enum units_result result;
	uint64_t value;
};

static void check(const struct number_case *cases, size_t count,
		  enum units_result (*parse)(struct span, uint64_t *))
{
	for (size_t i = 0; i < count; i++) {
		uint64_t value = 0;
		enum units_result result = parse(span_cstr(cases[i].text), &value);

		if (result != cases[i].result || value != cases[i].value)
			fail_msg("\"%s\": result %d, value %llu", cases[i].text, (int)result,
				 (unsigned long long)value);
	}
}

static void durations_need_a_unit(void **state)
{
	static const struct number_case cases[] = {
		{"0", UNITS_OK, 0},
		{"0s", UNITS_OK, 0},
		{"500ms", UNITS_OK, 500},
		{"3s", UNITS_OK, 3000},
		{"1m", UNITS_OK, 60000},
		{"2h", UNITS_OK, 7200000},
		{"1d", UNITS_OK, 86400000},
		{"18446744073709551615ms", UNITS_OK, UINT64_MAX},
		{"18446744073709551616ms", UNITS_TOO_LARGE, 0},
		{"18446744073709551615s", UNITS_TOO_LARGE, 0},
		{"", UNITS_BAD, 0},
		{"5", UNITS_BAD, 0},
		{"s", UNITS_BAD, 0},
		{"-1s", UNITS_BAD, 0},
		{"1.5s", UNITS_BAD, 0},
		{"1 s", UNITS_BAD, 0},
		{"1sec", UNITS_BAD, 0},
		{"99999999999999999999", UNITS_BAD, 0},
	};

	(void)state;
	check(cases, COUNT_OF(cases), units_duration);
}

static void sizes_are_powers_of_1024_and_kb_is_refused(void **state)
{
	static const struct number_case cases[] = {
		{"0", UNITS_OK, 0},	      {"512", UNITS_OK, 512},
		{"512B", UNITS_OK, 512},      {"64k", UNITS_OK, 65536},
		{"64K", UNITS_OK, 65536},     {"64KiB", UNITS_OK, 65536},
		{"1MiB", UNITS_OK, 1048576},  {"1M", UNITS_OK, 1048576},
		{"2g", UNITS_OK, 2147483648}, {"64KB", UNITS_BAD, 0},
		{"64b", UNITS_BAD, 0},	      {"64kib", UNITS_BAD, 0},
		{"k", UNITS_BAD, 0},	      {"18446744073709551615k", UNITS_TOO_LARGE, 0},
	};

	(void)state;
	check(cases, COUNT_OF(cases), units_size);
}

static void rates_are_events_over_a_time(void **state)
{
	static const struct {
		const char *text;
		enum units_result result;
		uint64_t count, per_ms;
	} cases[] = {
		{"100/s", UNITS_OK, 100, 1000},
		{"5/m", UNITS_OK, 5, 60000},
		{"30/10s", UNITS_OK, 30, 10000},
		{"0/s", UNITS_BAD, 0, 0},
		{"5/0s", UNITS_BAD, 0, 0},
		{"5/0", UNITS_BAD, 0, 0},
		{"5", UNITS_BAD, 0, 0},
		{"5/", UNITS_BAD, 0, 0},
		{"/s", UNITS_BAD, 0, 0},
		{"5s/s", UNITS_BAD, 0, 0},
		{"99999999999999999999/s", UNITS_TOO_LARGE, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t count = 0, per_ms = 0;

		assert_int_equal(units_rate(span_cstr(cases[i].text), &count, &per_ms),
				 cases[i].result);
		assert_int_equal(count, cases[i].count);
		assert_int_equal(per_ms, cases[i].per_ms);
	}
}

static void percentages_end_at_one_hundred(void **state)
{
	uint32_t percent = 0;

	(void)state;
	assert_int_equal(units_percent(SPAN("50%"), &percent), UNITS_OK);
	assert_int_equal(percent, 50);
	assert_int_equal(units_percent(SPAN("100%"), &percent), UNITS_OK);
	assert_int_equal(percent, 100);
	assert_int_equal(units_percent(SPAN("101%"), &percent), UNITS_TOO_LARGE);
	assert_int_equal(units_percent(SPAN("50"), &percent), UNITS_BAD);
	assert_int_equal(units_percent(SPAN("%"), &percent), UNITS_BAD);
	assert_int_equal(units_percent(SPAN(""), &percent), UNITS_BAD);
}

static void what_is_printed_reads_back_as_the_same(void **state)
{
	static const uint64_t values[] = {0,	 1,	  999,	      1000,
					  60000, 90000,	  86400000,   1024,
					  1536,	 1048576, 1073741824, UINT64_MAX};
	struct buf out;

	(void)state;
	buf_init(&out, 64);
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		uint64_t back = 1, per_ms = 1;

		buf_clear(&out);
		units_append_duration(&out, values[i]);
		assert_int_equal(units_duration(buf_span(&out), &back), UNITS_OK);
		assert_true(back == values[i]);
		buf_clear(&out);
		units_append_size(&out, values[i]);
		assert_int_equal(units_size(buf_span(&out), &back), UNITS_OK);
		assert_true(back == values[i]);
		if (values[i] == 0)
			continue;
		buf_clear(&out);
		units_append_rate(&out, 7, values[i]);
		assert_int_equal(units_rate(buf_span(&out), &back, &per_ms), UNITS_OK);
		assert_true(back == 7 && per_ms == values[i]);
	}
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_need_a_unit),
		cmocka_unit_test(sizes_are_powers_of_1024_and_kb_is_refused),
		cmocka_unit_test(rates_are_events_over_a_time),
		cmocka_unit_test(percentages_end_at_one_hundred),
		cmocka_unit_test(what_is_printed_reads_back_as_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
