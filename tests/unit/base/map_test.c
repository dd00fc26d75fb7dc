#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/map.h"
#include "base/mem.h"

static int one = 1, two = 2, three = 3;

static void an_empty_map_answers_everything_with_nothing(void **state)
{
	struct map m = MAP_INIT;
	size_t cursor = 0;

	(void)state;
	assert_null(map_get(&m, SPAN("a")));
	assert_null(map_remove(&m, SPAN("a")));
	assert_null(map_next(&m, &cursor, NULL));
	map_release(&m);
}

static void a_put_is_found_and_replaced(void **state)
{
	struct map m = MAP_INIT;

	(void)state;
	assert_int_equal(map_put(&m, SPAN("a"), &one), 0);
	assert_int_equal(map_put(&m, SPAN("b"), &two), 0);
	assert_ptr_equal(map_get(&m, SPAN("a")), &one);
	assert_int_equal(map_put(&m, SPAN("a"), &three), 0);
	assert_ptr_equal(map_get(&m, SPAN("a")), &three);
	assert_ptr_equal(map_get(&m, SPAN("b")), &two);
	assert_int_equal(m.live, 2);
	map_release(&m);
}

static void keys_are_bytes_and_may_be_empty(void **state)
{
	struct map m = MAP_INIT;

	(void)state;
	assert_int_equal(map_put(&m, SPAN_NONE, &one), 0);
	assert_int_equal(map_put(&m, SPAN("\0"), &two), 0);
	assert_int_equal(map_put(&m, SPAN("\0\0"), &three), 0);
	assert_ptr_equal(map_get(&m, SPAN("")), &one);
	assert_ptr_equal(map_get(&m, SPAN("\0")), &two);
	assert_ptr_equal(map_get(&m, SPAN("\0\0")), &three);
	assert_ptr_equal(map_remove(&m, SPAN("")), &one);
	assert_null(map_get(&m, SPAN_NONE));
	map_release(&m);
}

static void removal_gives_the_value_back_once(void **state)
{
	struct map m = MAP_INIT;

	(void)state;
	assert_int_equal(map_put(&m, SPAN("a"), &one), 0);
	assert_ptr_equal(map_remove(&m, SPAN("a")), &one);
	assert_null(map_remove(&m, SPAN("a")));
	assert_null(map_get(&m, SPAN("a")));
	assert_int_equal(m.live, 0);
	assert_int_equal(map_put(&m, SPAN("a"), &two), 0);
	assert_ptr_equal(map_get(&m, SPAN("a")), &two);
	map_release(&m);
}

static void iteration_meets_each_entry_once(void **state)
{
	struct map m = MAP_INIT;
	char keys[100][4];
	unsigned seen[100] = {0};
	size_t cursor = 0;
	struct span key;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		snprintf(keys[i], sizeof(keys[i]), "%u", i);
		assert_int_equal(map_put(&m, span_cstr(keys[i]), &seen[i]), 0);
	}
	for (unsigned *value; (value = map_next(&m, &cursor, &key));) {
		assert_ptr_equal(key.ptr, keys[value - seen]);
		(*value)++;
	}
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(seen[i], 1);
	map_release(&m);
}

static void coming_and_going_does_not_grow_it(void **state)
{
	struct map m = MAP_INIT;
	char key[24];

	(void)state;
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(key, sizeof(key), "%u", i);
		assert_int_equal(map_put(&m, span_cstr(key), &one), 0);
		assert_ptr_equal(map_remove(&m, span_cstr(key)), &one);
	}
	assert_true(m.cap <= 16);
	map_release(&m);
}

static void a_failed_allocation_changes_nothing(void **state)
{
	struct map m = MAP_INIT;
	char keys[64][4];
	unsigned failures = 0;

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		snprintf(keys[i], sizeof(keys[i]), "%u", i);
		mem_fail_at(1);
		if (map_put(&m, span_cstr(keys[i]), &one) < 0) {
			failures++;
			assert_int_equal(m.live, i);
			assert_null(map_get(&m, span_cstr(keys[i])));
			for (unsigned j = 0; j < i; j++)
				assert_ptr_equal(map_get(&m, span_cstr(keys[j])), &one);
			assert_int_equal(map_put(&m, span_cstr(keys[i]), &one), 0);
		}
	}
	mem_fail_at(0);
	map_release(&m);
	if (failures == 0)
		skip(); /* a build without -Dfaults=true */
	assert_true(failures >= 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_map_answers_everything_with_nothing),
		cmocka_unit_test(a_put_is_found_and_replaced),
		cmocka_unit_test(keys_are_bytes_and_may_be_empty),
		cmocka_unit_test(removal_gives_the_value_back_once),
		cmocka_unit_test(iteration_meets_each_entry_once),
		cmocka_unit_test(coming_and_going_does_not_grow_it),
		cmocka_unit_test(a_failed_allocation_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
