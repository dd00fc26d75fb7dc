#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"

#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#endif

static void memory_is_aligned_distinct_and_writable(void **state)
{
	struct arena a;
	char *blocks[100];

	(void)state;
	arena_init(&a, 100000, 256);
	for (unsigned i = 0; i < 100; i++) {
		blocks[i] = arena_alloc(&a, i);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
		memset(blocks[i], (int)i, i);
	}
	for (unsigned i = 0; i < 100; i++)
		for (unsigned j = 0; j < i; j++)
			assert_int_equal(blocks[i][j], (char)i);
	arena_release(&a);
}

static void the_cap_holds_over_all_chunks(void **state)
{
	struct arena a;
	size_t got = 0;

	(void)state;
	arena_init(&a, 1000, 100);
	while (arena_alloc(&a, 16))
		got += 16;
	assert_true(got > 0 && got <= 1000);
	assert_true(a.used_bytes <= 1000);
	assert_null(arena_alloc(&a, 16));
	arena_release(&a);
	assert_non_null(arena_alloc(&a, 16));
	arena_release(&a);
}

static void what_is_larger_than_the_cap_is_refused(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 1000, 100);
	assert_null(arena_alloc(&a, 1001));
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_zalloc(&a, SIZE_MAX / 2, 3));
	assert_int_equal(a.used_bytes, 0);
	arena_release(&a);
}

static void sizes_near_the_end_of_the_range_do_not_overflow(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, SIZE_MAX, 100);
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 15));
	assert_null(arena_alloc(&a, SIZE_MAX / 2));
	assert_non_null(arena_alloc(&a, 10));
	arena_release(&a);
}

static void a_block_may_exceed_the_chunk_size(void **state)
{
	struct arena a;
	char *big;

	(void)state;
	arena_init(&a, 10000, 100);
	big = arena_alloc(&a, 5000);
	assert_non_null(big);
	memset(big, 1, 5000);
	assert_non_null(arena_alloc(&a, 10));
	arena_release(&a);
}

static void zeroed_memory_is_zero_also_after_reuse(void **state)
{
	struct arena a;
	char *block;

	(void)state;
	arena_init(&a, 1000, 500);
	block = arena_alloc(&a, 100);
	assert_non_null(block);
	memset(block, 0xff, 100);
	arena_reset(&a);
	block = arena_zalloc(&a, 10, 10);
	assert_non_null(block);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(block[i], 0);
	arena_release(&a);
}

static void a_reset_gives_everything_back(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 1000, 100);
	arena_reset(&a);
	for (unsigned round = 0; round < 100; round++) {
		for (unsigned i = 0; i < 6; i++)
			assert_non_null(arena_alloc(&a, 60));
		arena_reset(&a);
		assert_true(a.used_bytes <= 100);
	}
	assert_non_null(arena_alloc(&a, 500));
	arena_reset(&a);
	assert_int_equal(a.used_bytes, 0);
	arena_release(&a);
}

static void copies_end_in_nul_outside_their_span(void **state)
{
	struct arena a;
	struct span copy;

	(void)state;
	arena_init(&a, 1000, 100);
	copy = arena_dup(&a, SPAN("a\0b"));
	assert_int_equal(copy.len, 3);
	assert_memory_equal(copy.ptr, "a\0b", 4);
	copy = arena_dup(&a, SPAN_NONE);
	assert_int_equal(copy.len, 0);
	assert_string_equal(copy.ptr, "");
	copy = arena_printf(&a, "%s-%d", "x", 42);
	assert_string_equal(copy.ptr, "x-42");
	assert_int_equal(copy.len, 4);
	arena_release(&a);
}

static void a_copy_past_the_cap_fails(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 16, 16);
	assert_null(arena_dup(&a, SPAN("0123456789abcdef")).ptr);
	assert_null(arena_printf(&a, "%s", "0123456789abcdef").ptr);
	arena_release(&a);
}

static void an_array_grows_by_doubling_and_keeps_its_elements(void **state)
{
	struct arena a;
	int *numbers = NULL;
	unsigned moves = 0;

	(void)state;
	arena_init(&a, 100000, 256);
	for (int i = 0; i < 100; i++) {
		int *room = arena_grow(&a, numbers, (size_t)i, sizeof(*numbers));

		assert_non_null(room);
		moves += room != numbers;
		numbers = room;
		numbers[i] = i;
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(numbers[i], i);
	assert_int_equal(moves, 6); /* 4, 8, 16, 32, 64, 128 */
	assert_null(arena_grow(&a, numbers, SIZE_MAX / 8 + 1, 8));
	arena_release(&a);
}

static void a_failed_allocation_is_null_and_later_ones_succeed(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 1000, 100);
	mem_fail_at(1);
	if (arena_alloc(&a, 10)) {
		mem_fail_at(0);
		arena_release(&a);
		skip(); /* a build without -Dfaults=true */
	}
	assert_int_equal(a.used_bytes, 0);
	assert_non_null(arena_alloc(&a, 10));
	arena_release(&a);
}

static void what_was_not_handed_out_is_poisoned(void **state)
{
#ifdef HAVE_ASAN
	struct arena a;
	char *block, *next;

	(void)state;
	arena_init(&a, 1000, 500);
	block = arena_alloc(&a, 20);
	next = arena_alloc(&a, 20);
	assert_non_null(block);
	assert_non_null(next);
	assert_null(__asan_region_is_poisoned(block, 20));
	assert_true(__asan_address_is_poisoned(block + 20));
	assert_true(__asan_address_is_poisoned(next - 1));
	arena_reset(&a);
	assert_true(__asan_address_is_poisoned(block));
	arena_release(&a);
#else
	(void)state;
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_aligned_distinct_and_writable),
		cmocka_unit_test(the_cap_holds_over_all_chunks),
		cmocka_unit_test(what_is_larger_than_the_cap_is_refused),
		cmocka_unit_test(sizes_near_the_end_of_the_range_do_not_overflow),
		cmocka_unit_test(a_block_may_exceed_the_chunk_size),
		cmocka_unit_test(zeroed_memory_is_zero_also_after_reuse),
		cmocka_unit_test(a_reset_gives_everything_back),
		cmocka_unit_test(copies_end_in_nul_outside_their_span),
		cmocka_unit_test(a_copy_past_the_cap_fails),
		cmocka_unit_test(an_array_grows_by_doubling_and_keeps_its_elements),
		cmocka_unit_test(a_failed_allocation_is_null_and_later_ones_succeed),
		cmocka_unit_test(what_was_not_handed_out_is_poisoned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
