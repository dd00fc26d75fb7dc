#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/err.h"

static void setting_gives_code_and_message_and_minus_one(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(err_set(&err, ERR_LIMIT, "%d of %s", 3, "many"), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_string_equal(err.message, "3 of many");
}

static void an_errno_is_put_into_words(void **state)
{
	struct err err = {0};

	(void)state;
	assert_int_equal(err_set_errno(&err, ENOENT, "open %s", "x.yaml"), -1);
	assert_int_equal(err.code, ERR_IO);
	assert_string_equal(err.message, "open x.yaml: No such file or directory");
}

static void wrapping_puts_context_before_and_keeps_the_code(void **state)
{
	struct err err = {0};

	(void)state;
	(void)err_set(&err, ERR_DENIED, "inner");
	assert_int_equal(err_wrap(&err, "outer %d", 1), -1);
	assert_int_equal(err.code, ERR_DENIED);
	assert_string_equal(err.message, "outer 1: inner");
}

static void nobody_needs_to_care(void **state)
{
	(void)state;
	assert_int_equal(err_set(NULL, ERR_IO, "x"), -1);
	assert_int_equal(err_set_errno(NULL, EIO, "x"), -1);
	assert_int_equal(err_wrap(NULL, "x"), -1);
}

static void long_messages_are_cut_and_still_end(void **state)
{
	struct err err = {0};
	char text[2000];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	(void)err_set(&err, ERR_IO, "%s", text);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	(void)err_set_errno(&err, EIO, "%s", text);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	(void)err_wrap(&err, "%s", text);
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	(void)err_set(&err, ERR_IO, "%s", text);
	(void)err_wrap(&err, "context");
	assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
	assert_memory_equal(err.message, "context: aaa", 12);
}

static void every_code_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (unsigned i = ERR_NONE; i <= ERR_INTERNAL; i++) {
		assert_string_not_equal(err_code_name((enum err_code)i), "unknown");
		for (unsigned j = ERR_NONE; j < i; j++)
			assert_string_not_equal(err_code_name((enum err_code)i),
						err_code_name((enum err_code)j));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(setting_gives_code_and_message_and_minus_one),
		cmocka_unit_test(an_errno_is_put_into_words),
		cmocka_unit_test(wrapping_puts_context_before_and_keeps_the_code),
		cmocka_unit_test(nobody_needs_to_care),
		cmocka_unit_test(long_messages_are_cut_and_still_end),
		cmocka_unit_test(every_code_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
