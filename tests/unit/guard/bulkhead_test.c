/* bulkhead_test.c - places, the queue's order and whom it sheds, and fibers of many threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "base/mem.h"
#include "guard/bulkhead.h"
#include "io/loop.h"

static struct bulkhead *make(uint32_t concurrent, uint32_t queue, uint64_t wait_ms)
{
	struct bulkhead_options options = {
		.concurrent = concurrent, .queue = queue, .wait_ms = wait_ms};
	struct err err = {.code = ERR_NONE};
	struct bulkhead *bulkhead = bulkhead_new(&options, &err);

	assert_non_null(bulkhead);
	return bulkhead;
}

static int setup(void **state)
{
	struct err err;

	*state = loop_new(&err);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	loop_free(*state);
	return 0;
}

#define CALLERS_MAX 256

/* A fiber that enters, notes how, and leaves when it is told to. */
struct caller {
	struct bulkhead *bulkhead;
	enum guard_class class;
	uint64_t user;
	int64_t deadline_ms;
	struct fiber *fiber;
	enum bulkhead_result result;
	bool decided, leave;
	unsigned rank; /* in the order of entering */
};

static unsigned next_rank;

static void caller_main(void *arg)
{
	struct caller *caller = arg;

	caller->result = bulkhead_enter(caller->bulkhead, caller->class, caller->user,
					caller->deadline_ms);
	caller->decided = true;
	if (caller->result == BULKHEAD_ENTERED) {
		caller->rank = next_rank++;
		fiber_uncancel();
		while (!caller->leave)
			(void)fiber_park(FIBER_FOREVER);
		bulkhead_leave(caller->bulkhead, -1);
	}
	caller->fiber = NULL;
}

static void run_ready(void)
{
	for (unsigned i = 0; i < 5; i++)
		loop_step(loop_current(), 0);
}

static void start(struct caller *caller, struct bulkhead *bulkhead, enum guard_class class,
		  uint64_t user)
{
	struct err err;

	*caller = (struct caller){.bulkhead = bulkhead,
				  .class = class,
				  .user = user,
				  .deadline_ms = FIBER_FOREVER};
	caller->fiber = fiber_start(caller_main, caller, &err);
	assert_non_null(caller->fiber);
	run_ready();
}

static void leave(struct caller *caller)
{
	assert_true(caller->decided && caller->result == BULKHEAD_ENTERED);
	caller->leave = true;
	fiber_wake(caller->fiber);
	run_ready();
}

static struct bulkhead_figures figures_of(const struct bulkhead *bulkhead)
{
	struct bulkhead_figures figures;

	bulkhead_read(bulkhead, &figures);
	return figures;
}

static void places_are_taken_until_there_are_none(void **state)
{
	struct bulkhead *bulkhead = make(2, 0, 1000);
	struct caller caller;

	(void)state;
	assert_true(bulkhead_try(bulkhead));
	assert_true(bulkhead_try(bulkhead));
	assert_false(bulkhead_try(bulkhead));
	start(&caller, bulkhead, GUARD_CLASS_CORE, 1);
	assert_int_equal(caller.result, BULKHEAD_FULL);
	assert_int_equal(figures_of(bulkhead).refused, 1);
	bulkhead_leave(bulkhead, -1);
	assert_true(bulkhead_try(bulkhead));
	bulkhead_leave(bulkhead, -1);
	bulkhead_leave(bulkhead, -1);
	bulkhead_unref(bulkhead);
}

static void who_waits_gets_the_place_of_who_leaves(void **state)
{
	struct bulkhead *bulkhead = make(1, 2, 60000);
	struct caller callers[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		start(&callers[i], bulkhead, GUARD_CLASS_NORMAL, 7);
	assert_int_equal(callers[0].result, BULKHEAD_ENTERED);
	assert_false(callers[1].decided || callers[2].decided);
	assert_int_equal(callers[3].result, BULKHEAD_FULL);
	assert_false(bulkhead_try(bulkhead));
	leave(&callers[0]);
	assert_true(callers[1].decided);
	assert_false(callers[2].decided);
	leave(&callers[1]);
	leave(&callers[2]);
	assert_int_equal(figures_of(bulkhead).in_use, 0);
	assert_int_equal(figures_of(bulkhead).waited, 2);
	bulkhead_unref(bulkhead);
}

static void waiting_ends_with_its_time_or_the_callers_or_cancellation(void **state)
{
	struct bulkhead *bulkhead = make(1, 4, 20);
	struct caller first, timed, cancelled, hurried;

	(void)state;
	start(&first, bulkhead, GUARD_CLASS_NORMAL, 1);
	start(&cancelled, bulkhead, GUARD_CLASS_NORMAL, 2);
	fiber_cancel(cancelled.fiber);
	run_ready();
	assert_int_equal(cancelled.result, BULKHEAD_CANCELLED);
	start(&timed, bulkhead, GUARD_CLASS_NORMAL, 3);
	hurried = (struct caller){.bulkhead = bulkhead, .deadline_ms = loop_now_ms() - 1};
	hurried.fiber = fiber_start(caller_main, &hurried, NULL);
	while (!timed.decided || !hurried.decided)
		loop_step(loop_current(), 5);
	assert_int_equal(timed.result, BULKHEAD_TIMEOUT);
	assert_int_equal(hurried.result, BULKHEAD_TIMEOUT);
	assert_int_equal(figures_of(bulkhead).waiting, 0);
	assert_int_equal(figures_of(bulkhead).timeouts, 2);
	leave(&first);
	bulkhead_unref(bulkhead);
}

static void core_is_served_first_and_shed_last(void **state)
{
	struct bulkhead *bulkhead = make(1, 2, 60000);
	struct caller holder, low, normal, core, late;

	(void)state;
	start(&holder, bulkhead, GUARD_CLASS_NORMAL, 1);
	start(&low, bulkhead, GUARD_CLASS_LOW, 2);
	start(&normal, bulkhead, GUARD_CLASS_NORMAL, 3);
	start(&late, bulkhead, GUARD_CLASS_LOW, 4);
	assert_int_equal(late.result, BULKHEAD_FULL);
	start(&core, bulkhead, GUARD_CLASS_CORE, 5);
	assert_true(low.decided);
	assert_int_equal(low.result, BULKHEAD_FULL);
	leave(&holder);
	assert_true(core.decided);
	assert_false(normal.decided);
	leave(&core);
	leave(&normal);
	bulkhead_unref(bulkhead);
}

static void users_take_turns_and_none_fills_the_queue(void **state)
{
	struct bulkhead *bulkhead = make(1, 6, 60000);
	struct caller holder, greedy[6], modest[2];
	unsigned pushed = 0;

	(void)state;
	next_rank = 0;
	start(&holder, bulkhead, GUARD_CLASS_NORMAL, 0);
	for (unsigned i = 0; i < 6; i++)
		start(&greedy[i], bulkhead, GUARD_CLASS_NORMAL, 1);
	for (unsigned i = 0; i < 2; i++)
		start(&modest[i], bulkhead, GUARD_CLASS_NORMAL, 2);
	for (unsigned i = 0; i < 6; i++)
		pushed += greedy[i].decided;
	assert_int_equal(pushed, 2); /* the youngest two */
	assert_true(greedy[4].decided && greedy[5].decided);
	leave(&holder);
	leave(&greedy[0]);
	leave(&modest[0]);
	leave(&greedy[1]);
	leave(&modest[1]);
	leave(&greedy[2]);
	leave(&greedy[3]);
	bulkhead_unref(bulkhead);
}

static void failing_allocations_make_no_bulkhead(void **state)
{
	struct bulkhead_options options = {.concurrent = 1};
	struct err err = {.code = ERR_NONE};
	struct bulkhead *bulkhead;

	(void)state;
	mem_fail_at(1);
	bulkhead = bulkhead_new(&options, &err);
	mem_fail_at(0);
#ifdef SALLYPORT_FAULTS
	assert_null(bulkhead);
	assert_int_equal(err.code, ERR_MEMORY);
#endif
	bulkhead_unref(bulkhead);
}

/* --- threads, each with a loop of its own --- */

#define THREADS 8
#define FIBERS 40
#define ROUNDS 60
#define PLACES 5

struct shared {
	struct bulkhead *bulkhead;
	pthread_barrier_t barrier;
	_Atomic unsigned inside;
	_Atomic unsigned entered, refused, late, cancelled;
	_Atomic bool overfull;
};

struct crowd_fiber {
	struct shared *shared;
	struct fiber *fiber;
	uint64_t random;
	bool done;
};

static uint64_t next_random(uint64_t *x)
{
	*x = *x * 6364136223846793005u + 1442695040888963407u;
	return *x >> 33;
}

static void crowd_fiber_main(void *arg)
{
	struct crowd_fiber *f = arg;
	struct shared *shared = f->shared;

	for (unsigned i = 0; i < ROUNDS; i++) {
		enum bulkhead_result result = bulkhead_enter(
			shared->bulkhead, (enum guard_class)(next_random(&f->random) % 3),
			next_random(&f->random), FIBER_FOREVER);

		switch (result) {
		case BULKHEAD_ENTERED:
			if (atomic_fetch_add(&shared->inside, 1) >= PLACES)
				shared->overfull = true;
			atomic_fetch_add(&shared->entered, 1);
			if (next_random(&f->random) % 2)
				fiber_yield();
			atomic_fetch_sub(&shared->inside, 1);
			bulkhead_leave(shared->bulkhead, -1);
			break;
		case BULKHEAD_FULL: atomic_fetch_add(&shared->refused, 1); break;
		case BULKHEAD_TIMEOUT: atomic_fetch_add(&shared->late, 1); break;
		case BULKHEAD_CANCELLED: atomic_fetch_add(&shared->cancelled, 1); break;
		}
		fiber_uncancel();
		fiber_yield();
	}
	f->done = true;
	f->fiber = NULL;
}

static void *crowd_main(void *arg)
{
	struct shared *shared = arg;
	struct crowd_fiber fibers[FIBERS] = {{.shared = NULL}};
	struct loop *loop = loop_new(NULL);
	unsigned done = 0, next = 0;

	assert_non_null(loop);
	pthread_barrier_wait(&shared->barrier);
	for (unsigned i = 0; i < FIBERS; i++) {
		fibers[i].shared = shared;
		fibers[i].random = (uint64_t)(uintptr_t)&fibers[i];
		fibers[i].fiber = fiber_start(crowd_fiber_main, &fibers[i], NULL);
		assert_non_null(fibers[i].fiber);
	}
	while (done < FIBERS) {
		loop_step(loop, 1);
		next = (next + 7) % FIBERS;
		if (fibers[next].fiber)
			fiber_cancel(fibers[next].fiber);
		done = 0;
		for (unsigned i = 0; i < FIBERS; i++)
			done += fibers[i].done;
	}
	loop_step(loop, 0);
	loop_free(loop);
	return NULL;
}

static void fibers_of_many_threads_share_the_places(void **state)
{
	struct shared shared = {.bulkhead = make(PLACES, 50, 3)};
	pthread_t threads[THREADS];
	struct bulkhead_figures figures;

	(void)state;
	pthread_barrier_init(&shared.barrier, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, crowd_main, &shared), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	figures = figures_of(shared.bulkhead);
	assert_false(shared.overfull);
	assert_int_equal(figures.in_use, 0);
	assert_int_equal(figures.waiting, 0);
	assert_int_equal(shared.entered + shared.refused + shared.late + shared.cancelled,
			 THREADS * FIBERS * ROUNDS);
	assert_true(shared.entered > 0);
	pthread_barrier_destroy(&shared.barrier);
	bulkhead_unref(shared.bulkhead);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(places_are_taken_until_there_are_none, setup,
						teardown),
		cmocka_unit_test_setup_teardown(who_waits_gets_the_place_of_who_leaves, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			waiting_ends_with_its_time_or_the_callers_or_cancellation, setup,
			teardown),
		cmocka_unit_test_setup_teardown(core_is_served_first_and_shed_last, setup,
						teardown),
		cmocka_unit_test_setup_teardown(users_take_turns_and_none_fills_the_queue,
						setup, teardown),
		cmocka_unit_test(failing_allocations_make_no_bulkhead),
		cmocka_unit_test(fibers_of_many_threads_share_the_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
