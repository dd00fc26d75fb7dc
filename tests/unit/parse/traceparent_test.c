/* traceparent_test.c - W3C Trace Context. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/compiler.h"
#include "parse/traceparent.h"

#define EXAMPLE "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static void the_example_of_the_standard_comes_back(void **state)
{
	struct traceparent trace;
	char text[TRACEPARENT_LEN];

	(void)state;
	assert_true(traceparent_parse(SPAN(EXAMPLE), &trace));
	assert_int_equal(trace.trace_id[0], 0x4b);
	assert_int_equal(trace.parent_id[7], 0xb7);
	assert_int_equal(trace.flags, TRACEPARENT_FLAG_SAMPLED);
	traceparent_format(&trace, text);
	assert_true(span_eq(span_of(text, sizeof(text)), SPAN(EXAMPLE)));
}

static void later_versions_are_read_by_what_is_known(void **state)
{
	struct traceparent trace;

	(void)state;
	assert_true(traceparent_parse(
		SPAN("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), &trace));
	assert_true(traceparent_parse(
		SPAN("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what"), &trace));
	assert_false(traceparent_parse(
		SPAN("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what"), &trace));
	assert_false(traceparent_parse(
		SPAN("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), &trace));
	assert_false(traceparent_parse(SPAN(EXAMPLE "-what"), &trace));
}

/* Each byte of the example changed to each other byte: only hexadecimal digits are taken. */
static void malformed_values_are_refused(void **state)
{
	struct traceparent trace;
	char text[TRACEPARENT_LEN];

	(void)state;
	for (size_t i = 2; i < TRACEPARENT_LEN; i++) {
		bool dash = EXAMPLE[i] == '-';

		for (int byte = 0; byte < 256; byte++) {
			bool hex = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f');

			memcpy(text, EXAMPLE, TRACEPARENT_LEN);
			text[i] = (char)byte;
			assert_int_equal(traceparent_parse(span_of(text, sizeof(text)), &trace),
					 dash ? byte == '-' : hex);
		}
	}
	for (size_t len = 0; len < TRACEPARENT_LEN; len++)
		assert_false(traceparent_parse(span_of(EXAMPLE, len), &trace));
	assert_false(traceparent_parse(SPAN_NONE, &trace));
	assert_false(traceparent_parse(
		SPAN("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), &trace));
	assert_false(traceparent_parse(
		SPAN("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"), &trace));
}

static void new_traces_take_the_given_bytes(void **state)
{
	unsigned char random[24];
	struct traceparent trace, read;
	char text[TRACEPARENT_LEN];

	(void)state;
	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (unsigned char)(i + 1);
	traceparent_start(&trace, random, true);
	assert_memory_equal(trace.trace_id, random, 16);
	assert_memory_equal(trace.parent_id, random + 16, 8);
	assert_int_equal(trace.flags, TRACEPARENT_FLAG_SAMPLED);
	trace.flags = 0xff;
	traceparent_continue(&trace, random);
	assert_memory_equal(trace.trace_id, random, 16);
	assert_memory_equal(trace.parent_id, random, 8);
	assert_int_equal(trace.flags, TRACEPARENT_FLAG_SAMPLED);

	/* Zeros are no id. */
	memset(random, 0, sizeof(random));
	traceparent_start(&trace, random, false);
	traceparent_format(&trace, text);
	assert_true(traceparent_parse(span_of(text, sizeof(text)), &read));
	assert_int_equal(read.flags, 0);
}

static void tracestate_is_judged_by_its_grammar(void **state)
{
	static const char *const good[] = {
		"a=1",
		"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
		"a=1, b=2 ,\tc=3",
		"a=1,,b=2,",
		"tenant@sys=x",
		"0tenant@sys=x",
		"a_-*/0=!~",
		"a=b c",
		"a= b",
	};
	static const char *const bad[] = {
		"",
		",",
		"a",
		"a=",
		"=b",
		"A=1",
		"0a=1",
		"a=1,a=2",
		"a=b=c",
		"a=\x7f",
		"a=\t",
		"a=b\tc",
		"@sys=x",
		"tenant@=x",
		"a@b@c=x",
		"a@0sys=x",
		"a b=c",
		"a =b",
		"tenant@systemissolong1=x",
		"\xc3\xa9=x",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		if (!tracestate_is_valid(span_cstr(good[i])))
			fail_msg("\"%s\" is refused", good[i]);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		if (tracestate_is_valid(span_cstr(bad[i])))
			fail_msg("\"%s\" is not refused", bad[i]);
	}
}

static void tracestate_is_bounded(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 1024);
	for (int i = 0; i < 32; i++)
		buf_printf(&text, "k%d=v,", i);
	assert_true(tracestate_is_valid(buf_span(&text)));
	buf_append_cstr(&text, "more=v");
	assert_false(tracestate_is_valid(buf_span(&text)));
	buf_clear(&text);
	buf_append_cstr(&text, "a=");
	while (text.len < 258)
		buf_append_byte(&text, 'x');
	assert_true(tracestate_is_valid(buf_span(&text)));
	buf_append_byte(&text, 'x');
	assert_false(tracestate_is_valid(buf_span(&text)));
	buf_clear(&text);
	buf_append_cstr(&text, "a=b");
	while (text.len < 512)
		buf_append_byte(&text, ',');
	assert_true(tracestate_is_valid(buf_span(&text)));
	buf_append_byte(&text, ',');
	assert_false(tracestate_is_valid(buf_span(&text)));
	assert_false(buf_failed(&text));
	buf_release(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_the_standard_comes_back),
		cmocka_unit_test(later_versions_are_read_by_what_is_known),
		cmocka_unit_test(malformed_values_are_refused),
		cmocka_unit_test(new_traces_take_the_given_bytes),
		cmocka_unit_test(tracestate_is_judged_by_its_grammar),
		cmocka_unit_test(tracestate_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
