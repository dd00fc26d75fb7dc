/* limiter_test.c - rates, bursts, what is given back, and many threads on one table. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "guard/limiter.h"

#define SECOND_NS 1000000000LL
#define NOW_NS (1000 * SECOND_NS)

static struct limiter *make(size_t keys)
{
	struct err err = {.code = ERR_NONE};
	struct limiter *limiter = limiter_new(keys, &err);

	assert_non_null(limiter);
	return limiter;
}

static unsigned take_all(struct limiter *limiter, uint64_t key, const struct limiter_rate *rate,
			 int64_t now_ns, unsigned tries)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < tries; i++)
		taken += limiter_take(limiter, key, rate, now_ns).allowed;
	return taken;
}

static void a_burst_is_allowed_at_once_and_no_more(void **state)
{
	struct limiter_rate rate = limiter_rate_of(10, 1000, 5);
	struct limiter *limiter = make(1024);
	struct limiter_result result;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		result = limiter_take(limiter, 7, &rate, NOW_NS);
		assert_true(result.allowed);
		assert_int_equal(result.retry_after_ns, 0);
	}
	result = limiter_take(limiter, 7, &rate, NOW_NS);
	assert_false(result.allowed);
	assert_int_equal(result.retry_after_ns, SECOND_NS / 10);
	limiter_free(limiter);
}

static void the_next_event_is_allowed_exactly_when_it_was_said(void **state)
{
	struct limiter_rate rate = limiter_rate_of(10, 1000, 2);
	struct limiter *limiter = make(1024);
	struct limiter_result result;

	(void)state;
	assert_int_equal(take_all(limiter, 7, &rate, NOW_NS, 10), 2);
	result = limiter_take(limiter, 7, &rate, NOW_NS);
	assert_false(
		limiter_take(limiter, 7, &rate, NOW_NS + result.retry_after_ns - 1).allowed);
	assert_true(limiter_take(limiter, 7, &rate, NOW_NS + result.retry_after_ns).allowed);
	assert_false(limiter_take(limiter, 7, &rate, NOW_NS + result.retry_after_ns).allowed);
	limiter_free(limiter);
}

static void over_a_long_time_the_rate_holds_whatever_is_asked(void **state)
{
	struct limiter_rate rate = limiter_rate_of(100, 1000, 10);
	struct limiter *limiter = make(1024);
	unsigned taken = 0;

	(void)state;
	for (int64_t ms = 0; ms < 10000; ms++)
		taken += take_all(limiter, 7, &rate, NOW_NS + ms * 1000000, 3);
	/* 10 s at 100/s, and the burst that was there at the beginning. */
	assert_in_range(taken, 1000, 1010);
	limiter_free(limiter);
}

static void an_idle_key_gets_its_burst_again_but_never_two(void **state)
{
	struct limiter_rate rate = limiter_rate_of(1, 1000, 3);
	struct limiter *limiter = make(1024);

	(void)state;
	assert_int_equal(take_all(limiter, 7, &rate, NOW_NS, 10), 3);
	assert_int_equal(take_all(limiter, 7, &rate, NOW_NS + 3600 * SECOND_NS, 10), 3);
	limiter_free(limiter);
}

static void keys_do_not_disturb_each_other(void **state)
{
	struct limiter_rate rate = limiter_rate_of(1, 1000, 2);
	struct limiter *limiter = make(1024);

	(void)state;
	assert_int_equal(take_all(limiter, 7, &rate, NOW_NS, 5), 2);
	assert_int_equal(take_all(limiter, 8, &rate, NOW_NS, 5), 2);
	assert_int_equal(take_all(limiter, 0, &rate, NOW_NS, 5), 2);
	limiter_free(limiter);
}

static void what_is_given_back_can_be_taken_again(void **state)
{
	struct limiter_rate rate = limiter_rate_of(1, 1000, 2);
	struct limiter *limiter = make(1024);

	(void)state;
	assert_int_equal(take_all(limiter, 7, &rate, NOW_NS, 5), 2);
	limiter_give_back(limiter, 7, &rate);
	assert_int_equal(take_all(limiter, 7, &rate, NOW_NS, 5), 1);
	/* An unknown key has nothing to get back. */
	limiter_give_back(limiter, 99, &rate);
	assert_int_equal(take_all(limiter, 99, &rate, NOW_NS, 5), 2);
	limiter_free(limiter);
}

static void in_a_full_set_the_key_with_the_least_debt_is_forgotten(void **state)
{
	struct limiter_rate rate = limiter_rate_of(1, 1000, 10);
	struct limiter *limiter = make(1); /* one set of four */

	(void)state;
	assert_int_equal(take_all(limiter, 1, &rate, NOW_NS, 10), 10);
	assert_int_equal(take_all(limiter, 2, &rate, NOW_NS, 9), 9);
	assert_int_equal(take_all(limiter, 3, &rate, NOW_NS, 8), 8);
	assert_int_equal(take_all(limiter, 4, &rate, NOW_NS, 1), 1);
	assert_true(limiter_take(limiter, 5, &rate, NOW_NS).allowed); /* in place of 4 */
	assert_false(limiter_take(limiter, 1, &rate, NOW_NS).allowed);
	assert_int_equal(take_all(limiter, 2, &rate, NOW_NS, 10), 1);
	assert_int_equal(take_all(limiter, 3, &rate, NOW_NS, 10), 2);
	limiter_free(limiter);
}

static void a_flood_of_keys_does_not_free_one_that_is_in_debt(void **state)
{
	struct limiter_rate rate = limiter_rate_of(1, 1000, 10);
	struct limiter *limiter = make(64);

	(void)state;
	assert_int_equal(take_all(limiter, 1, &rate, NOW_NS, 20), 10);
	for (uint64_t key = 2; key < 100000; key++)
		assert_true(limiter_take(limiter, key, &rate, NOW_NS).allowed);
	assert_false(limiter_take(limiter, 1, &rate, NOW_NS).allowed);
	limiter_free(limiter);
}

static void what_is_remembered_and_forgotten_is_counted(void **state)
{
	struct limiter_rate rate = limiter_rate_of(1, 1000, 10);
	struct limiter *limiter = make(1); /* one set of four */
	struct limiter_stats stats;

	(void)state;
	for (uint64_t key = 1; key <= 3; key++)
		assert_int_equal(take_all(limiter, key, &rate, NOW_NS, 2), 2);
	limiter_read_stats(limiter, &stats);
	assert_int_equal(stats.keys, 3);
	assert_int_equal(stats.capacity, 4);
	assert_int_equal(stats.evictions, 0);
	for (uint64_t key = 4; key <= 6; key++)
		assert_int_equal(take_all(limiter, key, &rate, NOW_NS, 2), 2);
	limiter_read_stats(limiter, &stats);
	assert_int_equal(stats.keys, 4);
	assert_int_equal(stats.evictions, 2);
	/* Those whose time is over are no loss. */
	assert_true(limiter_take(limiter, 7, &rate, NOW_NS + 60 * SECOND_NS).allowed);
	limiter_read_stats(limiter, &stats);
	assert_int_equal(stats.keys, 4);
	assert_int_equal(stats.evictions, 2);
	limiter_free(limiter);
}

/* --- a table that processes share --- */

static int make_file(size_t keys)
{
	struct err err = {.code = ERR_NONE};
	int fd = limiter_file_new(keys, &err);

	assert_true(fd >= 0);
	return fd;
}

static struct limiter *open_file(int fd)
{
	struct err err = {.code = ERR_NONE};
	struct limiter *limiter = limiter_open(fd, &err);

	assert_non_null(limiter);
	return limiter;
}

static void who_has_used_up_a_burst_has_done_so_for_the_next_program_too(void **state)
{
	struct limiter_rate rate = limiter_rate_of(1, 1000, 10);
	int fd = make_file(1024);
	struct limiter *first = open_file(fd);
	struct limiter *second = open_file(fd);
	struct limiter_stats stats;

	(void)state;
	assert_int_equal(take_all(first, 7, &rate, NOW_NS, 6), 6);
	assert_int_equal(take_all(second, 7, &rate, NOW_NS, 10), 4);
	assert_false(limiter_take(first, 7, &rate, NOW_NS).allowed);
	limiter_free(first);
	assert_false(limiter_take(second, 7, &rate, NOW_NS).allowed);
	limiter_read_stats(second, &stats);
	assert_int_equal(stats.keys, 1);
	assert_int_equal(stats.capacity, 1024);
	limiter_free(second);
	close(fd);
}

static void the_next_program_knows_the_keys_of_the_one_before(void **state)
{
	const uint64_t other[2] = {1, 2};
	uint64_t hash = hash_span(SPAN("ann"));
	int fd = make_file(64);
	uint64_t key[2];
	struct err err;

	(void)state;
	hash_get_key(key);
	hash_use_key(other);
	assert_true(hash_span(SPAN("ann")) != hash);
	assert_int_equal(limiter_file_adopt(fd, &err), 0);
	assert_int_equal(hash_span(SPAN("ann")), hash);
	hash_use_key(key);
	close(fd);
}

static void what_is_no_table_is_not_mapped(void **state)
{
	int good = make_file(64);
	int unsealed = memfd_create("test", MFD_CLOEXEC);
	int pipes[2];
	char bytes[65536 + 64 * 16];
	struct err err;

	(void)state;
	/* The same bytes, but somebody could make the file shorter. */
	assert_int_equal(pread(good, bytes, sizeof(bytes), 0), sizeof(bytes));
	assert_int_equal(pwrite(unsealed, bytes, sizeof(bytes), 0), sizeof(bytes));
	assert_null(limiter_open(unsealed, &err));
	assert_int_equal(limiter_file_adopt(unsealed, &err), -1);
	/* Another layout. */
	assert_int_equal(pwrite(good, "x", 1, 0), 1);
	assert_null(limiter_open(good, &err));
	assert_int_equal(pipe(pipes), 0);
	assert_null(limiter_open(pipes[0], &err));
	assert_null(limiter_open(-1, &err));
	assert_true(ftruncate(good, 0) < 0);
	close(good);
	close(unsealed);
	close(pipes[0]);
	close(pipes[1]);
}

static void extreme_rates_do_not_overflow(void **state)
{
	struct limiter_rate slow = limiter_rate_of(1, UINT64_MAX, UINT64_MAX);
	struct limiter_rate fast = limiter_rate_of(UINT64_MAX, 1, 1);
	struct limiter_rate none = limiter_rate_of(0, 1000, 0);
	struct limiter *limiter = make(1024);

	(void)state;
	assert_true(slow.interval_ns > 0 && slow.tolerance_ns > 0);
	assert_true(fast.interval_ns == 1 && fast.tolerance_ns == 0);
	assert_int_equal(none.burst, 1);
	assert_true(limiter_take(limiter, 1, &slow, NOW_NS).allowed);
	assert_true(limiter_take(limiter, 2, &fast, NOW_NS).allowed);
	assert_true(limiter_take(limiter, 2, &fast, NOW_NS + 1).allowed);
	assert_false(limiter_take(limiter, 2, &fast, NOW_NS + 1).allowed);
	assert_int_equal(take_all(limiter, 3, &none, NOW_NS, 5), 1);
	limiter_free(limiter);
}

/* --- threads --- */

#define THREADS 8
#define ROUNDS 20000

struct shared {
	struct limiter *limiter;
	struct limiter_rate rate;
	bool give_back;
};

struct taker {
	pthread_t thread;
	struct shared *shared;
	unsigned taken;
};

static void *take_main(void *arg)
{
	struct taker *taker = arg;
	struct shared *shared = taker->shared;

	for (int i = 0; i < ROUNDS; i++) {
		if (!limiter_take(shared->limiter, 7, &shared->rate, NOW_NS).allowed)
			continue;
		if (shared->give_back)
			limiter_give_back(shared->limiter, 7, &shared->rate);
		else
			taker->taken++;
	}
	return NULL;
}

static unsigned take_in_threads(struct shared *shared)
{
	struct taker takers[THREADS] = {{.shared = NULL}};
	unsigned taken = 0;

	for (int i = 0; i < THREADS; i++) {
		takers[i].shared = shared;
		assert_int_equal(pthread_create(&takers[i].thread, NULL, take_main, &takers[i]),
				 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(takers[i].thread, NULL);
		taken += takers[i].taken;
	}
	return taken;
}

static void threads_together_get_one_burst(void **state)
{
	struct shared shared = {.limiter = make(1024), .rate = limiter_rate_of(1, 1000, 5000)};

	(void)state;
	/* The key is there before, so that no two threads claim slots for it. */
	assert_true(limiter_take(shared.limiter, 7, &shared.rate, NOW_NS).allowed);
	assert_int_equal(take_in_threads(&shared), 4999);
	limiter_free(shared.limiter);
}

static void threads_that_give_back_leave_the_burst_whole(void **state)
{
	struct shared shared = {.limiter = make(1024),
				.rate = limiter_rate_of(1, 1000, 100),
				.give_back = true};

	(void)state;
	assert_true(limiter_take(shared.limiter, 7, &shared.rate, NOW_NS).allowed);
	assert_int_equal(take_in_threads(&shared), 0);
	assert_int_equal(take_all(shared.limiter, 7, &shared.rate, NOW_NS, 200), 99);
	limiter_free(shared.limiter);
}

static void *flood_main(void *arg)
{
	struct taker *taker = arg;
	struct shared *shared = taker->shared;
	uint64_t key = (uint64_t)(uintptr_t)taker;

	for (int i = 0; i < ROUNDS; i++) {
		key = key * 6364136223846793005ULL + 1442695040888963407ULL;
		taker->taken +=
			limiter_take(shared->limiter, key >> 20, &shared->rate, NOW_NS + i)
				.allowed;
	}
	return NULL;
}

static void threads_that_fight_for_slots_all_go_on(void **state)
{
	struct shared shared = {.limiter = make(16), .rate = limiter_rate_of(1, 1000, 3)};
	struct taker takers[THREADS] = {{.shared = NULL}};

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		takers[i].shared = &shared;
		assert_int_equal(
			pthread_create(&takers[i].thread, NULL, flood_main, &takers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(takers[i].thread, NULL);
		assert_in_range(takers[i].taken, 1, ROUNDS);
	}
	limiter_free(shared.limiter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_is_allowed_at_once_and_no_more),
		cmocka_unit_test(the_next_event_is_allowed_exactly_when_it_was_said),
		cmocka_unit_test(over_a_long_time_the_rate_holds_whatever_is_asked),
		cmocka_unit_test(an_idle_key_gets_its_burst_again_but_never_two),
		cmocka_unit_test(keys_do_not_disturb_each_other),
		cmocka_unit_test(what_is_given_back_can_be_taken_again),
		cmocka_unit_test(in_a_full_set_the_key_with_the_least_debt_is_forgotten),
		cmocka_unit_test(a_flood_of_keys_does_not_free_one_that_is_in_debt),
		cmocka_unit_test(what_is_remembered_and_forgotten_is_counted),
		cmocka_unit_test(who_has_used_up_a_burst_has_done_so_for_the_next_program_too),
		cmocka_unit_test(the_next_program_knows_the_keys_of_the_one_before),
		cmocka_unit_test(what_is_no_table_is_not_mapped),
		cmocka_unit_test(extreme_rates_do_not_overflow),
		cmocka_unit_test(threads_together_get_one_burst),
		cmocka_unit_test(threads_that_give_back_leave_the_burst_whole),
		cmocka_unit_test(threads_that_fight_for_slots_all_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
