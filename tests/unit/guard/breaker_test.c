/* breaker_test.c - states, windows, probes, what an old state's results do, and many threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "base/mem.h"
#include "guard/breaker.h"

#define START_MS 1000000

static const struct breaker_options ten_calls = {.window = 10,
						 .minimum = 5,
						 .failure_percent = 50,
						 .slow_percent = 100,
						 .slow_ms = 100,
						 .open_ms = 1000,
						 .growth_percent = 200,
						 .open_max_ms = 3000,
						 .probes = 3};

static struct breaker *make(const struct breaker_options *options)
{
	struct err err = {.code = ERR_NONE};
	struct breaker *breaker = breaker_new(options, START_MS, &err);

	assert_non_null(breaker);
	return breaker;
}

static struct breaker_permit take(struct breaker *breaker, int64_t now_ms)
{
	struct breaker_permit permit = {.held = false};
	int64_t wait_ms;

	assert_true(breaker_would_allow(breaker, now_ms));
	assert_true(breaker_acquire(breaker, now_ms, &permit, &wait_ms));
	return permit;
}

static int64_t refused_for(struct breaker *breaker, int64_t now_ms)
{
	struct breaker_permit permit = {.held = false};
	int64_t wait_ms = -1;

	assert_false(breaker_would_allow(breaker, now_ms));
	assert_false(breaker_acquire(breaker, now_ms, &permit, &wait_ms));
	assert_false(permit.held);
	return wait_ms;
}

static void call(struct breaker *breaker, int64_t now_ms, int64_t duration_ms, bool failed)
{
	struct breaker_permit permit = take(breaker, now_ms);

	breaker_record(breaker, &permit, now_ms, duration_ms, failed);
}

static enum breaker_state state_at(const struct breaker *breaker, int64_t now_ms)
{
	struct breaker_figures figures;

	breaker_read(breaker, now_ms, &figures);
	return figures.state;
}

static void calls(struct breaker *breaker, unsigned count, bool failed)
{
	while (count--)
		call(breaker, START_MS, 1, failed);
}

static void it_opens_when_enough_calls_have_failed_and_not_before(void **state)
{
	struct breaker *breaker = make(&ten_calls);

	(void)state;
	calls(breaker, 4, true);
	assert_int_equal(state_at(breaker, START_MS), BREAKER_CLOSED);
	calls(breaker, 1, true);
	assert_int_equal(state_at(breaker, START_MS), BREAKER_OPEN);
	assert_int_equal(refused_for(breaker, START_MS), 1000);
	assert_int_equal(refused_for(breaker, START_MS + 999), 1);
	breaker_unref(breaker);
}

static void only_the_last_calls_count(void **state)
{
	struct breaker *breaker = make(&ten_calls);
	struct breaker_figures figures;

	(void)state;
	calls(breaker, 6, false);
	calls(breaker, 4, true);
	calls(breaker, 10, false); /* the four failures have left the window */
	calls(breaker, 4, true);
	breaker_read(breaker, START_MS, &figures);
	assert_int_equal(figures.calls, 10);
	assert_int_equal(figures.failed, 4);
	assert_int_equal(figures.state, BREAKER_CLOSED);
	calls(breaker, 1, true);
	assert_int_equal(state_at(breaker, START_MS), BREAKER_OPEN);
	breaker_unref(breaker);
}

static void slow_calls_open_it_by_a_rate_of_their_own(void **state)
{
	struct breaker_options options = ten_calls;
	struct breaker *breaker;

	(void)state;
	options.slow_percent = 60;
	breaker = make(&options);
	for (unsigned i = 0; i < 2; i++)
		call(breaker, START_MS, 100, false); /* not longer than slow */
	for (unsigned i = 0; i < 2; i++)
		call(breaker, START_MS, 101, false);
	assert_int_equal(state_at(breaker, START_MS), BREAKER_CLOSED);
	call(breaker, START_MS, 101, false);
	assert_int_equal(state_at(breaker, START_MS), BREAKER_OPEN);
	breaker_unref(breaker);
}

static void probes_decide_and_no_more_than_their_number_pass(void **state)
{
	struct breaker *breaker = make(&ten_calls);
	struct breaker_permit probes[3];

	(void)state;
	calls(breaker, 5, true);
	for (unsigned i = 0; i < 3; i++)
		probes[i] = take(breaker, START_MS + 1000);
	assert_int_equal(refused_for(breaker, START_MS + 1000), 0);
	for (unsigned i = 0; i < 2; i++)
		breaker_record(breaker, &probes[i], START_MS + 1001, 1, false);
	assert_int_equal(refused_for(breaker, START_MS + 1001), 0);
	breaker_record(breaker, &probes[2], START_MS + 1001, 1, true);
	/* One of three failed: under 50 %. */
	assert_int_equal(state_at(breaker, START_MS + 1001), BREAKER_CLOSED);
	calls(breaker, 4, true);
	assert_int_equal(state_at(breaker, START_MS + 1001), BREAKER_CLOSED);
	breaker_unref(breaker);
}

static void the_wait_grows_while_probes_fail_up_to_its_bound(void **state)
{
	static const int64_t waits[] = {2000, 3000, 3000};
	struct breaker *breaker = make(&ten_calls);
	int64_t now_ms = START_MS + 1000;

	(void)state;
	calls(breaker, 5, true);
	for (size_t i = 0; i < COUNT_OF(waits); i++) {
		for (unsigned n = 0; n < 3; n++)
			call(breaker, now_ms, 1, true);
		assert_int_equal(refused_for(breaker, now_ms), waits[i]);
		now_ms += waits[i];
	}
	for (unsigned n = 0; n < 3; n++)
		call(breaker, now_ms, 1, false);
	assert_int_equal(state_at(breaker, now_ms), BREAKER_CLOSED);
	for (unsigned n = 0; n < 5; n++)
		call(breaker, now_ms, 1, true);
	assert_int_equal(refused_for(breaker, now_ms), 1000);
	breaker_unref(breaker);
}

static void a_probe_that_says_nothing_is_given_back(void **state)
{
	struct breaker *breaker = make(&ten_calls);
	struct breaker_permit probes[3];

	(void)state;
	calls(breaker, 5, true);
	for (unsigned i = 0; i < 3; i++)
		probes[i] = take(breaker, START_MS + 1000);
	breaker_release(breaker, &probes[0]);
	breaker_release(breaker, &probes[0]); /* once only */
	probes[0] = take(breaker, START_MS + 1000);
	(void)refused_for(breaker, START_MS + 1000);
	breaker_unref(breaker);
}

static void results_of_an_older_state_are_ignored(void **state)
{
	struct breaker *breaker = make(&ten_calls);
	struct breaker_permit old[5];
	struct breaker_figures figures;

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		old[i] = take(breaker, START_MS);
	calls(breaker, 5, true);
	breaker_record(breaker, &old[0], START_MS + 10, 1, false); /* while open */
	for (unsigned i = 0; i < 3; i++) {
		breaker_record(breaker, &old[1], START_MS + 1000, 1, true);
		call(breaker, START_MS + 1000, 1, false);
	}
	breaker_record(breaker, &old[2], START_MS + 1000, 1, true);
	breaker_release(breaker, &old[3]);
	breaker_read(breaker, START_MS + 1000, &figures);
	assert_int_equal(figures.state, BREAKER_CLOSED);
	assert_int_equal(figures.calls, 0);
	breaker_unref(breaker);
}

static void probes_that_never_end_are_given_up(void **state)
{
	struct breaker_options options = ten_calls;
	struct breaker *breaker;

	(void)state;
	options.half_open_max_ms = 500;
	breaker = make(&options);
	calls(breaker, 5, true);
	for (unsigned i = 0; i < 3; i++)
		(void)take(breaker, START_MS + 1000);
	assert_int_equal(refused_for(breaker, START_MS + 1499), 0);
	assert_true(breaker_would_allow(breaker, START_MS + 1500));
	{
		struct breaker_permit permit = {.held = false};
		int64_t wait_ms;

		assert_false(breaker_acquire(breaker, START_MS + 1500, &permit, &wait_ms));
		assert_int_equal(wait_ms, 2000);
	}
	breaker_unref(breaker);
}

static void a_window_of_time_forgets(void **state)
{
	struct breaker_options options = ten_calls;
	struct breaker_figures figures;
	struct breaker *breaker;

	(void)state;
	options.window_ms = 3200;
	breaker = make(&options);
	calls(breaker, 4, true);
	call(breaker, START_MS + 3100, 1, true);
	assert_int_equal(state_at(breaker, START_MS + 3100), BREAKER_OPEN);
	breaker_unref(breaker);

	breaker = make(&options);
	calls(breaker, 4, true);
	for (unsigned i = 0; i < 4; i++)
		call(breaker, START_MS + 3200, 1, true);
	breaker_read(breaker, START_MS + 3200, &figures);
	assert_int_equal(figures.state, BREAKER_CLOSED);
	assert_int_equal(figures.calls, 4);
	breaker_unref(breaker);
}

static void a_full_bucket_keeps_its_rates(void **state)
{
	struct breaker_options options = ten_calls;
	struct breaker_figures figures;
	struct breaker *breaker;

	(void)state;
	options.window_ms = 3200;
	options.failure_percent = 90;
	breaker = make(&options);
	for (unsigned i = 0; i < 200000; i++)
		call(breaker, START_MS, 1, i % 4 == 0);
	breaker_read(breaker, START_MS, &figures);
	assert_in_range(figures.calls, 10000, 32767);
	assert_in_range(figures.failed * 1000 / figures.calls, 245, 255);
	breaker_unref(breaker);
}

static void forced_states_hold_until_told_otherwise(void **state)
{
	struct breaker *breaker = make(&ten_calls);
	struct breaker_figures figures;

	(void)state;
	breaker_force(breaker, BREAKER_FORCED_OPEN, START_MS);
	assert_int_equal(refused_for(breaker, START_MS + 1000000), 0);
	breaker_force(breaker, BREAKER_FORCED_CLOSED, START_MS);
	calls(breaker, 20, true);
	breaker_read(breaker, START_MS, &figures);
	assert_int_equal(figures.state, BREAKER_FORCED_CLOSED);
	assert_int_equal(figures.failed, 10);
	breaker_force(breaker, BREAKER_DISABLED, START_MS);
	{
		struct breaker_permit permit = {.held = false};
		int64_t wait_ms;

		assert_true(breaker_acquire(breaker, START_MS, &permit, &wait_ms));
		breaker_record(breaker, &permit, START_MS, 1, true);
	}
	breaker_force(breaker, BREAKER_OPEN, START_MS);
	assert_int_equal(refused_for(breaker, START_MS), 1000);
	breaker_force(breaker, BREAKER_CLOSED, START_MS);
	calls(breaker, 4, true);
	assert_int_equal(state_at(breaker, START_MS), BREAKER_CLOSED);
	breaker_unref(breaker);
}

static void states_have_names(void **state)
{
	enum breaker_state found;

	(void)state;
	for (int s = BREAKER_CLOSED; s <= BREAKER_DISABLED; s++) {
		const char *name = breaker_state_name((enum breaker_state)s);

		assert_true(breaker_state_from_name(name, strlen(name), &found));
		assert_int_equal(found, s);
	}
	assert_false(breaker_state_from_name("ajar", 4, &found));
}

static void failing_allocations_make_no_breaker(void **state)
{
	unsigned long n = 1;
	struct err err;

	(void)state;
	for (;; n++) {
		struct breaker *breaker;

		mem_fail_at(n);
		breaker = breaker_new(&ten_calls, START_MS, &err);
		if (breaker) {
			breaker_unref(breaker);
			break;
		}
		assert_int_equal(err.code, ERR_MEMORY);
	}
	mem_fail_at(0);
#ifdef SALLYPORT_FAULTS
	assert_int_equal(n, 3);
#endif
}

/* --- threads --- */

#define THREADS 64

struct crowd {
	struct breaker *breaker;
	pthread_barrier_t barrier;
	int64_t now_ms;
	_Atomic unsigned passed;
	bool record;
};

static void *crowd_main(void *arg)
{
	struct crowd *crowd = arg;

	pthread_barrier_wait(&crowd->barrier);
	for (int i = 0; i < 200; i++) {
		struct breaker_permit permit = {.held = false};
		int64_t wait_ms;

		if (breaker_acquire(crowd->breaker, crowd->now_ms, &permit, &wait_ms))
			atomic_fetch_add(&crowd->passed, 1);
	}
	return NULL;
}

static void run_threads(void *(*function)(void *), void *arg)
{
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, function, arg), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void no_more_than_the_probes_pass_under_64_threads(void **state)
{
	struct crowd crowd = {.now_ms = START_MS};

	(void)state;
	pthread_barrier_init(&crowd.barrier, NULL, THREADS);
	crowd.breaker = make(&ten_calls);
	for (unsigned round = 0; round < 10; round++) {
		breaker_force(crowd.breaker, BREAKER_OPEN, crowd.now_ms);
		crowd.now_ms += 1000;
		crowd.passed = 0;
		run_threads(crowd_main, &crowd);
		assert_int_equal(crowd.passed, 3);
		assert_int_equal(state_at(crowd.breaker, crowd.now_ms), BREAKER_HALF_OPEN);
	}
	pthread_barrier_destroy(&crowd.barrier);
	breaker_unref(crowd.breaker);
}

static void *churn_main(void *arg)
{
	struct crowd *crowd = arg;
	uint64_t random = (uint64_t)(uintptr_t)&random;

	pthread_barrier_wait(&crowd->barrier);
	for (int i = 0; i < 3000; i++) {
		struct breaker_permit permit = {.held = false};
		struct breaker_figures figures;
		int64_t now_ms = START_MS + i, wait_ms;

		random = random * 6364136223846793005u + 1442695040888963407u;
		if (breaker_acquire(crowd->breaker, now_ms, &permit, &wait_ms)) {
			if (random >> 60 == 0)
				breaker_release(crowd->breaker, &permit);
			else
				breaker_record(crowd->breaker, &permit, now_ms, 1,
					       random >> 63);
		}
		breaker_read(crowd->breaker, now_ms, &figures);
		assert_true(figures.failed <= figures.calls);
	}
	return NULL;
}

/* When all is quiet, the sums are those of the slots: a window full of good calls shows it. */
static void threads_leave_the_window_consistent(void **state)
{
	struct breaker_options options = ten_calls;
	struct breaker_figures figures;
	struct crowd crowd = {.now_ms = START_MS};

	(void)state;
	options.open_ms = 1;
	options.growth_percent = 100;
	for (int timed = 0; timed < 2; timed++) {
		options.window_ms = timed ? 320 : 0;
		pthread_barrier_init(&crowd.barrier, NULL, THREADS);
		crowd.breaker = make(&options);
		run_threads(churn_main, &crowd);
		breaker_force(crowd.breaker, BREAKER_FORCED_CLOSED, START_MS + 10000);
		for (int i = 0; i < 10; i++)
			call(crowd.breaker, START_MS + 10000, 1, false);
		breaker_read(crowd.breaker, START_MS + 10000, &figures);
		assert_int_equal(figures.calls, 10);
		assert_int_equal(figures.failed, 0);
		pthread_barrier_destroy(&crowd.barrier);
		breaker_unref(crowd.breaker);
	}
}

static void *count_main(void *arg)
{
	struct crowd *crowd = arg;

	pthread_barrier_wait(&crowd->barrier);
	for (int i = 0; i < 1000; i++)
		call(crowd->breaker, START_MS, 1, i % 2);
	return NULL;
}

static void no_call_is_lost_by_a_race(void **state)
{
	struct breaker_options options = ten_calls;
	struct breaker_figures figures;
	struct crowd crowd = {.now_ms = START_MS};

	(void)state;
	pthread_barrier_init(&crowd.barrier, NULL, THREADS);
	options.window = 3; /* slots are replaced while they are being added */
	crowd.breaker = make(&options);
	breaker_force(crowd.breaker, BREAKER_FORCED_CLOSED, START_MS);
	run_threads(count_main, &crowd);
	breaker_read(crowd.breaker, START_MS, &figures);
	assert_int_equal(figures.calls, 3);
	for (int i = 0; i < 3; i++)
		call(crowd.breaker, START_MS, 1, false);
	breaker_read(crowd.breaker, START_MS, &figures);
	assert_int_equal(figures.calls, 3);
	assert_int_equal(figures.failed, 0);
	pthread_barrier_destroy(&crowd.barrier);
	breaker_unref(crowd.breaker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_opens_when_enough_calls_have_failed_and_not_before),
		cmocka_unit_test(only_the_last_calls_count),
		cmocka_unit_test(slow_calls_open_it_by_a_rate_of_their_own),
		cmocka_unit_test(probes_decide_and_no_more_than_their_number_pass),
		cmocka_unit_test(the_wait_grows_while_probes_fail_up_to_its_bound),
		cmocka_unit_test(a_probe_that_says_nothing_is_given_back),
		cmocka_unit_test(results_of_an_older_state_are_ignored),
		cmocka_unit_test(probes_that_never_end_are_given_up),
		cmocka_unit_test(a_window_of_time_forgets),
		cmocka_unit_test(a_full_bucket_keeps_its_rates),
		cmocka_unit_test(forced_states_hold_until_told_otherwise),
		cmocka_unit_test(states_have_names),
		cmocka_unit_test(failing_allocations_make_no_breaker),
		cmocka_unit_test(no_more_than_the_probes_pass_under_64_threads),
		cmocka_unit_test(threads_leave_the_window_consistent),
		cmocka_unit_test(no_call_is_lost_by_a_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
