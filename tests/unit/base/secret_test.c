#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/secret.h"

static void setting_copies_and_replaces(void **state)
{
	struct secret s = SECRET_NONE;
	char bytes[] = "first";

	(void)state;
	assert_int_equal(secret_set(&s, span_cstr(bytes)), 0);
	bytes[0] = 'x';
	assert_true(span_eq(secret_span(&s), SPAN("first")));
	assert_string_equal(s.ptr, "first");
	assert_int_equal(secret_set(&s, SPAN("a\0b")), 0);
	assert_true(span_eq(secret_span(&s), SPAN("a\0b")));
	assert_int_equal(secret_set(&s, span_slice(secret_span(&s), 0, 1)), 0);
	assert_string_equal(s.ptr, "a");
	secret_release(&s);
	assert_null(s.ptr);
	assert_int_equal(s.len, 0);
	secret_release(&s);
}

static void a_failed_set_keeps_what_was_there(void **state)
{
	struct secret s = SECRET_NONE;
	int result;

	(void)state;
	assert_int_equal(secret_set(&s, SPAN("kept")), 0);
	mem_fail_at(1);
	result = secret_set(&s, SPAN("new"));
	mem_fail_at(0);
	if (result == 0) {
		secret_release(&s);
		skip(); /* a build without -Dfaults=true */
	}
	assert_true(span_eq(secret_span(&s), SPAN("kept")));
	secret_release(&s);
}

static void comparison_sees_every_byte(void **state)
{
	char a[100], b[100];

	(void)state;
	memset(a, 'x', sizeof(a));
	memset(b, 'x', sizeof(b));
	assert_true(secret_eq(span_of(a, 100), span_of(b, 100)));
	for (unsigned i = 0; i < 100; i++) {
		b[i] = (char)(b[i] ^ (1 << i % 8));
		assert_false(secret_eq(span_of(a, 100), span_of(b, 100)));
		b[i] = 'x';
	}
	assert_false(secret_eq(span_of(a, 100), span_of(b, 99)));
	assert_true(secret_eq(SPAN_NONE, SPAN("")));
}

static void wiping_leaves_zeroes(void **state)
{
	char bytes[10];

	(void)state;
	memset(bytes, 'x', sizeof(bytes));
	secret_wipe(bytes, 9);
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(bytes[i], 0);
	assert_int_equal(bytes[9], 'x');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(setting_copies_and_replaces),
		cmocka_unit_test(a_failed_set_keeps_what_was_there),
		cmocka_unit_test(comparison_sees_every_byte),
		cmocka_unit_test(wiping_leaves_zeroes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
