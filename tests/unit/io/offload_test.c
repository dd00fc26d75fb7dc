#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/mem.h"
#include "io/offload.h"

/* A job that adds, after waiting at a gate if it has one. */
struct addition {
	struct offload_job job;
	pthread_mutex_t *gate;
	int a, b, sum;
};

static _Atomic int freed;
static _Atomic int ran;

static void add_run(struct offload_job *job)
{
	struct addition *x = CONTAINER_OF(job, struct addition, job);

	if (x->gate) {
		pthread_mutex_lock(x->gate);
		pthread_mutex_unlock(x->gate);
	}
	x->sum = x->a + x->b;
	ran++;
}

static void add_free(struct offload_job *job)
{
	mem_free(CONTAINER_OF(job, struct addition, job));
	freed++;
}

static struct addition *new_addition(int a, int b, pthread_mutex_t *gate)
{
	struct addition *x = mem_zalloc(1, sizeof(*x));

	assert_non_null(x);
	offload_job_init(&x->job, add_run, add_free);
	x->a = a;
	x->b = b;
	x->gate = gate;
	return x;
}

static struct offload *pool;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

struct caller {
	pthread_mutex_t *gate;
	int64_t wait_ms;
	int rounds;
	int result;
	struct fiber *fiber;
	struct err err;
};

static void call(void *arg)
{
	struct caller *c = arg;

	c->fiber = fiber_self();
	for (int i = 0; i < (c->rounds ? c->rounds : 1); i++) {
		struct addition *x = new_addition(i, 7, c->gate);

		c->result = offload_call(pool, &x->job, loop_deadline_ms(c->wait_ms), &c->err);
		if (c->result == 0) {
			assert_int_equal(x->sum, i + 7);
			add_free(&x->job);
		}
	}
}

static int setup(void **state)
{
	freed = ran = 0;
	return loop_setup(state);
}

static void new_pool(unsigned threads, unsigned queue_max)
{
	pool = offload_new("test", threads, queue_max, NULL);
	assert_non_null(pool);
}

static void test_results_come_back(void **state)
{
	struct caller callers[40] = {0};

	(void)state;
	new_pool(2, 100);
	for (size_t i = 0; i < COUNT_OF(callers); i++) {
		callers[i] = (struct caller){.wait_ms = 20000, .rounds = 25};
		start_fiber(call, &callers[i]);
	}
	run_fibers();
	for (size_t i = 0; i < COUNT_OF(callers); i++)
		assert_int_equal(callers[i].result, 0);
	assert_int_equal(ran, 40 * 25);
	assert_int_equal(freed, 40 * 25);
	offload_free(pool);
}

static void wait_until_running(unsigned count)
{
	struct offload_stats stats;

	do {
		loop_step(loop_current(), 1);
		offload_read_stats(pool, &stats);
	} while (stats.running < count);
}

static void test_full_queue_refuses_at_once(void **state)
{
	struct caller callers[5] = {0};
	struct offload_stats stats;

	(void)state;
	new_pool(1, 2);
	pthread_mutex_lock(&gate);
	for (size_t i = 0; i < COUNT_OF(callers); i++) {
		callers[i] = (struct caller){.gate = &gate, .wait_ms = 20000, .result = 1};
		start_fiber(call, &callers[i]);
		if (i == 0)
			wait_until_running(1);
	}
	loop_step(loop_current(), 0);
	loop_step(loop_current(), 0);
	for (size_t i = 3; i < COUNT_OF(callers); i++) {
		assert_int_equal(callers[i].result, -1);
		assert_int_equal(callers[i].err.code, ERR_UNAVAILABLE);
	}
	offload_read_stats(pool, &stats);
	assert_int_equal(stats.refused, 2);
	assert_int_equal(stats.waiting, 2);
	pthread_mutex_unlock(&gate);
	run_fibers();
	assert_int_equal(callers[2].result, 0);
	assert_int_equal(ran, 3);
	assert_int_equal(freed, 5);
	offload_free(pool);
}

static void test_late_jobs_are_freed_by_their_thread(void **state)
{
	struct caller running = {.gate = &gate, .wait_ms = 10};
	struct caller queued = {.gate = &gate, .wait_ms = 10};

	(void)state;
	new_pool(1, 10);
	pthread_mutex_lock(&gate);
	start_fiber(call, &running);
	wait_until_running(1);
	start_fiber(call, &queued);
	run_fibers();
	assert_int_equal(running.result, -1);
	assert_int_equal(running.err.code, ERR_TIMEOUT);
	assert_int_equal(queued.err.code, ERR_TIMEOUT);
	assert_int_equal(freed, 1); /* the queued one, which never ran */
	pthread_mutex_unlock(&gate);
	offload_free(pool);
	assert_int_equal(freed, 2);
	assert_int_equal(ran, 1);
}

static void test_cancelled_waiter_leaves_its_job(void **state)
{
	struct caller c = {.gate = &gate, .wait_ms = 20000};

	(void)state;
	new_pool(1, 10);
	pthread_mutex_lock(&gate);
	start_fiber(call, &c);
	wait_until_running(1);
	fiber_cancel(c.fiber);
	run_fibers();
	assert_int_equal(c.result, -1);
	assert_int_equal(c.err.code, ERR_CANCELLED);
	pthread_mutex_unlock(&gate);
	offload_free(pool);
	assert_int_equal(freed, 1);
}

/* Deadlines that hit while jobs finish: every job is freed exactly once, whoever wins. */
static void test_deadline_races_with_the_end(void **state)
{
	struct caller callers[64] = {0};

	(void)state;
	new_pool(2, 1000);
	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < COUNT_OF(callers); i++) {
			callers[i] = (struct caller){.wait_ms = (int64_t)(i % 3), .rounds = 10};
			start_fiber(call, &callers[i]);
		}
		run_fibers();
	}
	offload_free(pool);
	assert_int_equal(freed, 20 * 64 * 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, loop_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_results_come_back),
		TEST(test_full_queue_refuses_at_once),
		TEST(test_late_jobs_are_freed_by_their_thread),
		TEST(test_cancelled_waiter_leaves_its_job),
		TEST(test_deadline_races_with_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
