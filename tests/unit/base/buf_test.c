#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

static void assert_holds(const struct buf *b, struct span expected)
{
	assert_int_equal(b->len, expected.len);
	if (expected.len)
		assert_memory_equal(b->ptr, expected.ptr, expected.len);
}

static void it_grows_to_its_maximum_and_not_beyond(void **state)
{
	struct buf b;

	(void)state;
	for (size_t max = 0; max < 200; max++) {
		buf_init(&b, max);
		for (size_t i = 0; i < max; i++)
			assert_int_equal(buf_append_byte(&b, 'x'), 0);
		assert_false(buf_failed(&b));
		assert_int_equal(buf_append_byte(&b, 'y'), -1);
		assert_true(buf_failed(&b));
		assert_int_equal(b.len, max);
		buf_release(&b);
	}
}

static void a_small_maximum_holds_after_the_first_append(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	assert_int_equal(buf_append(&b, SPAN("12345")), 0);
	assert_int_equal(buf_append(&b, SPAN("678901")), -1);
	assert_holds(&b, SPAN("12345"));
	buf_release(&b);
}

static void once_failed_it_stays_failed_until_cleared(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4);
	assert_int_equal(buf_append(&b, SPAN("12345")), -1);
	assert_int_equal(buf_append(&b, SPAN("1")), -1);
	assert_int_equal(buf_append(&b, SPAN("")), -1);
	assert_null(buf_cstr(&b));
	assert_holds(&b, SPAN(""));
	buf_clear(&b);
	assert_int_equal(buf_append(&b, SPAN("1234")), 0);
	assert_holds(&b, SPAN("1234"));
	buf_release(&b);
	assert_int_equal(b.max, 4);
}

static void memory_of_the_callers_is_filled_and_not_left(void **state)
{
	char memory[8] = "xxxxxxx";
	struct buf b;

	(void)state;
	buf_init_on(&b, memory, sizeof(memory));
	assert_int_equal(buf_append(&b, SPAN("1234")), 0);
	assert_ptr_equal(b.ptr, memory);
	assert_int_equal(buf_append(&b, SPAN("5678")), -1);
	assert_true(buf_failed(&b));
	buf_clear(&b);
	assert_int_equal(buf_append(&b, SPAN("abcdefg")), 0);
	assert_ptr_equal(b.ptr, memory);
	assert_string_equal(buf_cstr(&b), "abcdefg");
	assert_int_equal(buf_append_byte(&b, 'h'), -1);
}

static void a_huge_reservation_fails(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, SIZE_MAX);
	assert_int_equal(buf_append_byte(&b, 'x'), 0);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -1);
	buf_clear(&b);
	assert_int_equal(buf_reserve(&b, SIZE_MAX - 1), -1);
	buf_release(&b);
}

static void numbers_are_written_in_decimal(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 200);
	buf_append_u64(&b, 0);
	buf_append_byte(&b, ' ');
	buf_append_u64(&b, UINT64_MAX);
	buf_append_byte(&b, ' ');
	buf_append_i64(&b, INT64_MIN);
	buf_append_byte(&b, ' ');
	buf_append_i64(&b, INT64_MAX);
	assert_holds(&b,
		     SPAN("0 18446744073709551615 -9223372036854775808 9223372036854775807"));
	buf_release(&b);
}

static void a_number_that_does_not_fit_leaves_nothing_behind(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 3);
	assert_int_equal(buf_append_i64(&b, -123), -1);
	assert_holds(&b, SPAN(""));
	buf_clear(&b);
	assert_int_equal(buf_append_i64(&b, -12), 0);
	assert_holds(&b, SPAN("-12"));
	buf_release(&b);
}

static void formatted_text_may_fill_it_to_the_last_byte(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 8);
	assert_int_equal(buf_printf(&b, "%s", ""), 0);
	assert_int_equal(buf_printf(&b, "%d-%s", 1234, "abc"), 0);
	assert_holds(&b, SPAN("1234-abc"));
	assert_string_equal(buf_cstr(&b), "1234-abc");
	assert_int_equal(buf_printf(&b, "%d", 1), -1);
	assert_holds(&b, SPAN("1234-abc"));
	buf_release(&b);
}

static void html_is_escaped_for_text_and_attributes(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	assert_int_equal(buf_append_html(&b, SPAN("<a href=\"x\">R&D 'x'</a>")), 0);
	assert_string_equal(buf_cstr(&b),
			    "&lt;a href=&quot;x&quot;&gt;R&amp;D &#39;x&#39;&lt;/a&gt;");
	assert_int_equal(buf_append_html(&b, SPAN("&&&&&&&&&&&&")), -1);
	assert_true(buf_failed(&b));
	buf_release(&b);
}

static void the_c_string_of_an_empty_buffer_is_empty(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	assert_string_equal(buf_cstr(&b), "");
	buf_release(&b);
	buf_init(&b, 100);
	assert_string_equal(buf_cstr(&b), "");
	assert_int_equal(buf_append(&b, SPAN("abc")), 0);
	assert_string_equal(buf_cstr(&b), "abc");
	buf_release(&b);
}

static void consuming_takes_from_the_front(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	buf_consume(&b, 0);
	buf_append(&b, SPAN("hello world"));
	buf_consume(&b, 6);
	assert_holds(&b, SPAN("world"));
	buf_consume(&b, 5);
	assert_holds(&b, SPAN(""));
	buf_release(&b);
}

static void check_json(struct span text, struct span expected)
{
	struct buf b;

	buf_init(&b, 1000);
	assert_int_equal(buf_append_json(&b, text), 0);
	assert_holds(&b, expected);
	buf_release(&b);
}

static void json_escapes_what_must_be_escaped(void **state)
{
	(void)state;
	check_json(SPAN_NONE, SPAN(""));
	check_json(SPAN("plain /text/"), SPAN("plain /text/"));
	check_json(SPAN("\"\\\b\f\n\r\t"), SPAN("\\\"\\\\\\b\\f\\n\\r\\t"));
	check_json(SPAN("\0\x01\x1f\x7f"), SPAN("\\u0000\\u0001\\u001f\\u007f"));
	check_json(SPAN("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"),
		   SPAN("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"));
}

/* Plain text is looked at sixteen and eight bytes at a time. */
static void json_escapes_each_byte_at_each_place(void **state)
{
	struct buf alone, expected;
	static const char plain[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
	char text[sizeof(plain)];

	(void)state;
	buf_init(&alone, 10);
	buf_init(&expected, 100);
	for (unsigned byte = 0; byte < 256; byte++) {
		char c = (char)byte;

		buf_clear(&alone);
		assert_int_equal(buf_append_json(&alone, span_of(&c, 1)), 0);
		for (size_t at = 0; at < sizeof(text); at++) {
			memset(text, 'a', sizeof(text));
			text[at] = c;
			buf_clear(&expected);
			buf_append_bytes(&expected, plain, at);
			buf_append(&expected, buf_span(&alone));
			buf_append_bytes(&expected, plain, sizeof(text) - 1 - at);
			check_json(span_of(text, sizeof(text)), buf_span(&expected));
		}
	}
	buf_release(&alone);
	buf_release(&expected);
}

#define REPLACED "\xEF\xBF\xBD"

static void json_replaces_what_is_not_utf8(void **state)
{
	(void)state;
	check_json(SPAN("a\xFF"), SPAN("a" REPLACED));
	check_json(SPAN("\x80"), SPAN(REPLACED));
	check_json(SPAN("\xC0\xAF"), SPAN(REPLACED REPLACED)); /* overlong */
	check_json(SPAN("\xE0\x80\x80"), SPAN(REPLACED REPLACED REPLACED));
	check_json(SPAN("\xED\xA0\x80"), SPAN(REPLACED REPLACED REPLACED)); /* surrogate */
	check_json(SPAN("\xF4\x90\x80\x80"), SPAN(REPLACED REPLACED REPLACED REPLACED));
	check_json(SPAN("\xF5z"), SPAN(REPLACED "z"));
	check_json(SPAN("\xE2\x82"), SPAN(REPLACED REPLACED)); /* cut short */
	check_json(SPAN("\xF0\x9F\x98\""), SPAN(REPLACED REPLACED REPLACED "\\\""));
}

static void json_that_does_not_fit_leaves_nothing_behind(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	buf_append(&b, SPAN("ab"));
	assert_int_equal(buf_append_json(&b, SPAN("c\n\n")), -1);
	assert_true(buf_failed(&b));
	assert_holds(&b, SPAN("ab"));
	buf_release(&b);
}

static void a_failed_allocation_changes_nothing(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	buf_append(&b, SPAN("kept"));
	mem_fail_at(1);
	if (buf_reserve(&b, 500) == 0) {
		mem_fail_at(0);
		buf_release(&b);
		skip(); /* a build without -Dfaults=true */
	}
	mem_fail_at(0);
	assert_true(buf_failed(&b));
	assert_holds(&b, SPAN("kept"));
	buf_release(&b);
	buf_init(&b, 10);
	mem_fail_at(1);
	assert_null(buf_cstr(&b));
	mem_fail_at(0);
	buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_grows_to_its_maximum_and_not_beyond),
		cmocka_unit_test(a_small_maximum_holds_after_the_first_append),
		cmocka_unit_test(once_failed_it_stays_failed_until_cleared),
		cmocka_unit_test(memory_of_the_callers_is_filled_and_not_left),
		cmocka_unit_test(a_huge_reservation_fails),
		cmocka_unit_test(numbers_are_written_in_decimal),
		cmocka_unit_test(a_number_that_does_not_fit_leaves_nothing_behind),
		cmocka_unit_test(formatted_text_may_fill_it_to_the_last_byte),
		cmocka_unit_test(html_is_escaped_for_text_and_attributes),
		cmocka_unit_test(the_c_string_of_an_empty_buffer_is_empty),
		cmocka_unit_test(consuming_takes_from_the_front),
		cmocka_unit_test(json_escapes_what_must_be_escaped),
		cmocka_unit_test(json_escapes_each_byte_at_each_place),
		cmocka_unit_test(json_replaces_what_is_not_utf8),
		cmocka_unit_test(json_that_does_not_fit_leaves_nothing_behind),
		cmocka_unit_test(a_failed_allocation_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
