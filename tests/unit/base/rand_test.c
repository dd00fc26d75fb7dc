#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rand.h"

static void every_length_is_filled_and_nothing_beyond(void **state)
{
	unsigned char bytes[602];

	(void)state;
	for (size_t len = 0; len <= 600; len++) {
		unsigned zeroes = 0;

		memset(bytes, 0, sizeof(bytes));
		bytes[len] = 0xAA;
		rand_bytes(bytes, len);
		assert_int_equal(bytes[len], 0xAA);
		for (size_t i = 0; i < len; i++)
			zeroes += bytes[i] == 0;
		/* 30 of 600 with one in 256 each is out of the question. */
		assert_true(zeroes <= 30);
	}
}

static void values_do_not_repeat(void **state)
{
	static uint64_t seen[2000];

	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		seen[i] = rand_u64();
		for (unsigned j = 0; j < i; j++)
			assert_true(seen[i] != seen[j]);
	}
}

static void bounded_values_are_spread_over_the_range(void **state)
{
	unsigned counts[6] = {0};

	(void)state;
	for (unsigned i = 0; i < 60000; i++) {
		uint64_t value = rand_below(6);

		assert_true(value < 6);
		counts[value]++;
	}
	/* Ten standard deviations (91) around 10,000. */
	for (unsigned i = 0; i < 6; i++)
		assert_in_range(counts[i], 9090, 10910);
	assert_int_equal(rand_below(1), 0);
	for (unsigned i = 0; i < 100; i++)
		assert_true(rand_below(UINT64_MAX / 2 + 2) < UINT64_MAX / 2 + 2);
}

static void hexadecimal_digits_are_lower_case_and_exact(void **state)
{
	char text[301];

	(void)state;
	memset(text, '!', sizeof(text));
	rand_hex(text, 150);
	assert_int_equal(text[300], '!');
	for (unsigned i = 0; i < 300; i++)
		assert_non_null(memchr("0123456789abcdef", text[i], 16));
	rand_hex(text, 0);
}

static void a_child_process_draws_other_bytes(void **state)
{
	uint64_t ours[4], theirs[4];
	int ends[2], status;
	pid_t pid;

	(void)state;
	(void)rand_u64(); /* the buffer is full now */
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		rand_bytes(theirs, sizeof(theirs));
		_exit(write(ends[1], theirs, sizeof(theirs)) == sizeof(theirs) ? 0 : 1);
	}
	rand_bytes(ours, sizeof(ours));
	assert_int_equal(read(ends[0], theirs, sizeof(theirs)), sizeof(theirs));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_memory_not_equal(ours, theirs, sizeof(ours));
	close(ends[0]);
	close(ends[1]);
}

static void *draw(void *to)
{
	rand_bytes(to, 32);
	return NULL;
}

static void threads_draw_different_bytes(void **state)
{
	pthread_t threads[4];
	char bytes[4][32];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, draw, bytes[i]), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 1; i < 4; i++)
		assert_memory_not_equal(bytes[0], bytes[i], 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_is_filled_and_nothing_beyond),
		cmocka_unit_test(values_do_not_repeat),
		cmocka_unit_test(bounded_values_are_spread_over_the_range),
		cmocka_unit_test(hexadecimal_digits_are_lower_case_and_exact),
		cmocka_unit_test(a_child_process_draws_other_bytes),
		cmocka_unit_test(threads_draw_different_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
