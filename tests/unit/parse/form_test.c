#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "parse/cookie.h"
#include "parse/form.h"

static struct arena arena;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 65536, 1024);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

static void pairs_are_decoded(void **state)
{
	struct form form;

	(void)state;
	assert_int_equal(form_parse(&arena, SPAN("a=1&b=x+y%26z&&c&d=&=e"), &form), FORM_OK);
	assert_int_equal(form.count, 5);
	assert_true(span_eq(form_get(&form, SPAN("a")), SPAN("1")));
	assert_true(span_eq(form_get(&form, SPAN("b")), SPAN("x y&z")));
	assert_non_null(form_get(&form, SPAN("c")).ptr);
	assert_int_equal(form_get(&form, SPAN("d")).len, 0);
	assert_null(form_get(&form, SPAN("x")).ptr);
	assert_null(form.repeated.ptr);
}

static void a_repeated_name_is_told(void **state)
{
	struct form form;

	(void)state;
	assert_int_equal(form_parse(&arena, SPAN("a=1&b=2&%61=3"), &form), FORM_OK);
	assert_true(span_eq(form.repeated, SPAN("a")));
	assert_true(span_eq(form_get(&form, SPAN("a")), SPAN("1")));
}

static void what_is_no_text_is_refused(void **state)
{
	struct form form;
	struct buf many;

	(void)state;
	assert_int_equal(form_parse(&arena, SPAN("a=%0"), &form), FORM_BAD_ESCAPE);
	assert_int_equal(form_parse(&arena, SPAN("a=%00"), &form), FORM_NOT_TEXT);
	assert_int_equal(form_parse(&arena, SPAN("a=%1b"), &form), FORM_NOT_TEXT);
	assert_int_equal(form_parse(&arena, SPAN("%ff=a"), &form), FORM_NOT_TEXT);
	buf_init(&many, 4096);
	for (int i = 0; i <= FORM_PAIRS_MAX; i++)
		buf_printf(&many, "a%d=&", i);
	assert_int_equal(form_parse(&arena, buf_span(&many), &form), FORM_TOO_MANY);
	buf_release(&many);
}

/* Wherever it stands in a long value, every byte means what it means alone. */
static void each_byte_counts_at_each_place(void **state)
{
	char text[] = "a=ghijklmnopqrstuvwxyz";

	(void)state;
	for (size_t at = 2; text[at]; at++) {
		char was = text[at];

		for (unsigned byte = 1; byte < 256; byte++) {
			bool sign = byte == '&' || byte == '%' || byte == '+';
			bool bad =
				(byte < 0x20 && byte != '\t' && byte != '\r' && byte != '\n') ||
				byte >= 0x7f;
			enum form_result result;
			struct form form;

			text[at] = (char)byte;
			arena_reset(&arena);
			result = form_parse(&arena, span_cstr(text), &form);
			if (byte == '%') {
				assert_int_equal(result, FORM_BAD_ESCAPE);
			} else if (bad) {
				assert_int_equal(result, FORM_NOT_TEXT);
			} else {
				assert_int_equal(result, FORM_OK);
				if (byte == '+')
					text[at] = ' ';
				if (!sign || byte == '+')
					assert_true(span_eq(form.pairs[0].value,
							    span_cstr(text + 2)));
			}
		}
		text[at] = was;
	}
}

static void as_many_pairs_as_there_may_be_are_read(void **state)
{
	struct form form;
	struct buf many;

	(void)state;
	buf_init(&many, 4096);
	for (int i = 0; i < FORM_PAIRS_MAX; i++)
		buf_printf(&many, "%sa%d=%d&", i % 3 ? "" : "&&", i, i);
	assert_int_equal(form_parse(&arena, buf_span(&many), &form), FORM_OK);
	assert_int_equal(form.count, FORM_PAIRS_MAX);
	assert_true(span_eq(form_get(&form, SPAN("a0")), SPAN("0")));
	assert_true(span_eq(form_get(&form, SPAN("a63")), SPAN("63")));
	buf_release(&many);
}

static void one_value_is_decoded_alone(void **state)
{
	struct span value;

	(void)state;
	assert_int_equal(form_decode(&arena, SPAN("a+b%3Ac=&"), &value), FORM_OK);
	assert_true(span_eq(value, SPAN("a b:c=&")));
	assert_int_equal(form_decode(&arena, SPAN(""), &value), FORM_OK);
	assert_non_null(value.ptr);
	assert_int_equal(value.len, 0);
	assert_int_equal(form_decode(&arena, SPAN("%4"), &value), FORM_BAD_ESCAPE);
	assert_int_equal(form_decode(&arena, SPAN("%00"), &value), FORM_NOT_TEXT);
}

static void what_is_written_is_read_again(void **state)
{
	struct form form;
	struct buf text;

	(void)state;
	buf_init(&text, 1024);
	buf_append_cstr(&text, "https://a.test/?");
	form_append(&text, SPAN("state"), SPAN("a b&c=d%\xc3\xa4"));
	form_append(&text, SPAN("code"), SPAN("x"));
	assert_int_equal(form_parse(&arena, span_slice(buf_span(&text), 16, text.len), &form),
			 FORM_OK);
	assert_true(span_eq(form_get(&form, SPAN("state")), SPAN("a b&c=d%\xc3\xa4")));
	assert_true(span_eq(form_get(&form, SPAN("code")), SPAN("x")));
	buf_release(&text);
}

static void without_memory_a_form_is_none(void **state)
{
	struct arena small;
	struct form form;

	(void)state;
	for (unsigned long n = 1; n < 3; n++) {
		arena_init(&small, 65536, 16);
		mem_fail_at(n);
		assert_int_equal(form_parse(&small, SPAN("a=1"), &form), FORM_NO_MEMORY);
		mem_fail_at(0);
		arena_release(&small);
	}
}

static void a_cookie_is_found_by_its_whole_name(void **state)
{
	struct span value = SPAN_NONE;

	(void)state;
	assert_int_equal(cookie_find(SPAN("xa=0; a=1; b=\"2\""), SPAN("a"), &value),
			 COOKIE_FOUND);
	assert_true(span_eq(value, SPAN("1")));
	assert_int_equal(cookie_find(SPAN("a=1;b=\"2\""), SPAN("b"), &value), COOKIE_FOUND);
	assert_true(span_eq(value, SPAN("2")));
	assert_int_equal(cookie_find(SPAN("A=1; aa=2; a"), SPAN("a"), &value), COOKIE_ABSENT);
	assert_int_equal(cookie_find(SPAN_NONE, SPAN("a"), &value), COOKIE_ABSENT);
}

static void a_cookie_that_is_there_twice_is_nobodys(void **state)
{
	struct span value;

	(void)state;
	assert_int_equal(cookie_find(SPAN("a=1; b=2; a=3"), SPAN("a"), &value),
			 COOKIE_REPEATED);
}

static void a_cookie_value_with_other_bytes_is_none(void **state)
{
	struct span value;

	(void)state;
	assert_int_equal(cookie_find(SPAN("a=1 2"), SPAN("a"), &value), COOKIE_ABSENT);
	assert_int_equal(cookie_find(SPAN("a=1,2"), SPAN("a"), &value), COOKIE_ABSENT);
	assert_int_equal(cookie_find(SPAN("a=\xc3\xa4"), SPAN("a"), &value), COOKIE_ABSENT);
}

static void a_cookie_is_taken_out_of_the_field(void **state)
{
	struct span field = SPAN("a=1;__Host-x=2;  b=3; __Host-x2=4");
	char to[128];

	(void)state;
	assert_true(span_eq(cookie_without(field, SPAN("__Host-x"), to), SPAN("a=1; b=3")));
	assert_true(
		span_eq(cookie_without(SPAN("__Host-x=2"), SPAN("__Host-x"), to), SPAN("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pairs_are_decoded),
		cmocka_unit_test(a_repeated_name_is_told),
		cmocka_unit_test(what_is_no_text_is_refused),
		cmocka_unit_test(each_byte_counts_at_each_place),
		cmocka_unit_test(as_many_pairs_as_there_may_be_are_read),
		cmocka_unit_test(one_value_is_decoded_alone),
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(without_memory_a_form_is_none),
		cmocka_unit_test(a_cookie_is_found_by_its_whole_name),
		cmocka_unit_test(a_cookie_that_is_there_twice_is_nobodys),
		cmocka_unit_test(a_cookie_is_taken_out_of_the_field),
		cmocka_unit_test(a_cookie_value_with_other_bytes_is_none),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
