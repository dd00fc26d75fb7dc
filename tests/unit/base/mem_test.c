#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

static void nothing_is_still_something(void **state)
{
	void *a = mem_alloc(0), *b = mem_zalloc(0, 0), *c = mem_zalloc(5, 0);

	(void)state;
	assert_non_null(a);
	assert_non_null(b);
	assert_non_null(c);
	a = mem_realloc(a, 0);
	assert_non_null(a);
	mem_free(a);
	mem_free(b);
	mem_free(c);
	mem_free(NULL);
}

static void a_product_that_overflows_fails(void **state)
{
	/* Kept from the compiler, which would warn of the size. */
	volatile size_t many = SIZE_MAX / 2;

	(void)state;
	assert_null(mem_zalloc(many, 3));
}

static void a_copy_of_a_span_ends_in_nul(void **state)
{
	char *copy = mem_strdup(SPAN("abc"));
	char *empty = mem_strdup(SPAN_NONE);

	(void)state;
	assert_string_equal(copy, "abc");
	assert_string_equal(empty, "");
	mem_free(copy);
	mem_free(empty);
}

static void memory_for_tables_is_zero_and_begins_with_a_cache_line(void **state)
{
	static const size_t sizes[] = {
		1, 64, 100, 4096, (size_t)2 << 20, ((size_t)2 << 20) + 1};
	/* Kept from the compiler, which would warn of the size. */
	volatile size_t many = SIZE_MAX / 2;
	char *ptr = mem_zalloc_lines(0, 8);

	(void)state;
	assert_non_null(ptr);
	mem_free(ptr);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		ptr = mem_zalloc_lines(sizes[i], 3);
		assert_non_null(ptr);
		assert_int_equal((uintptr_t)ptr % CACHE_LINE_BYTES, 0);
		for (size_t at = 0; at < 3 * sizes[i]; at++)
			assert_int_equal(ptr[at], 0);
		memset(ptr, 1, 3 * sizes[i]);
		mem_free(ptr);
	}
	assert_null(mem_zalloc_lines(many, 3));
}

static void the_nth_allocation_fails_and_only_that(void **state)
{
	void *first, *second, *third, *same;

	(void)state;
	mem_fail_at(3);
	first = mem_alloc(1);
	second = mem_zalloc(1, 1);
	assert_false(mem_fail_happened());
	third = mem_alloc(1);
	assert_non_null(first);
	assert_non_null(second);
	if (third) {
		assert_false(mem_fail_happened());
		mem_free(first);
		mem_free(second);
		mem_free(third);
		skip(); /* a build without -Dfaults=true */
	}
	assert_true(mem_fail_happened());
	third = mem_alloc(1);
	assert_non_null(third);
	mem_fail_at(1);
	assert_false(mem_fail_happened());
	same = first;
	assert_null(mem_realloc(same, 100));
	mem_fail_at(1);
	assert_null(mem_strdup(SPAN("x")));
	mem_fail_at(1);
	mem_fail_at(0);
	mem_free(mem_realloc(third, 10));
	assert_false(mem_fail_happened());
	mem_free(first);
	mem_free(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_still_something),
		cmocka_unit_test(a_product_that_overflows_fails),
		cmocka_unit_test(a_copy_of_a_span_ends_in_nul),
		cmocka_unit_test(memory_for_tables_is_zero_and_begins_with_a_cache_line),
		cmocka_unit_test(the_nth_allocation_fails_and_only_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
