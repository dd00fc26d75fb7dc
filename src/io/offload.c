#include "io/offload.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/mem.h"

/*
 * A job changes hands under the pool's lock only:
 *   QUEUED    in the queue; a waiter that gives up takes it out and frees it
 *   RUNNING   a thread has it; a waiter that gives up makes it ABANDONED
 *   FINISHED  posted to the waiter's loop, which has it from then on
 *   ABANDONED the thread frees it when run() returns
 */
enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_FINISHED, JOB_ABANDONED };

struct offload {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct list queue;
	unsigned waiting;
	unsigned waiting_max;
	unsigned running;
	uint64_t refused;
	bool stop;
	unsigned thread_count;
	pthread_t threads[];
};

/* Jobs in the queues of all pools. */
static _Atomic size_t all_waiting;

/* Under the lock. */
static void put_in_queue(struct offload *pool, struct offload_job *job)
{
	list_push_back(&pool->queue, &job->node);
	pool->waiting++;
	atomic_fetch_add_explicit(&all_waiting, 1, memory_order_relaxed);
}

/* Under the lock. */
static void take_out_of_queue(struct offload *pool, struct offload_job *job)
{
	list_remove(&job->node);
	pool->waiting--;
	atomic_fetch_sub_explicit(&all_waiting, 1, memory_order_relaxed);
}

size_t offload_waiting(void)
{
	return atomic_load_explicit(&all_waiting, memory_order_relaxed);
}

static void on_finished(struct loop_message *message)
{
	struct offload_job *job = CONTAINER_OF(message, struct offload_job, message);

	job->done = true;
	fiber_wake(job->fiber);
}

/* Under the lock, which is released while the job runs. */
static void run_job(struct offload *pool, struct offload_job *job)
{
	bool abandoned;

	take_out_of_queue(pool, job);
	pool->running++;
	job->state = JOB_RUNNING;
	pthread_mutex_unlock(&pool->lock);
	job->run(job);
	pthread_mutex_lock(&pool->lock);
	pool->running--;
	abandoned = job->state == JOB_ABANDONED;
	/* Posted under the lock: a waiter that gives up then sees that the message is on its way. */
	if (!abandoned) {
		job->state = JOB_FINISHED;
		loop_post(job->loop, &job->message);
	} else {
		pthread_mutex_unlock(&pool->lock);
		job->free(job);
		pthread_mutex_lock(&pool->lock);
	}
}

static void *thread_main(void *arg)
{
	struct offload *pool = arg;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (list_empty(&pool->queue) && !pool->stop)
			pthread_cond_wait(&pool->work, &pool->lock);
		if (pool->stop)
			break;
		run_job(pool, list_entry(pool->queue.next, struct offload_job, node));
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* Signals are for the threads that ask for them. */
static int start_threads(struct offload *pool, const char *name, unsigned count)
{
	sigset_t all, old;
	int result = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (pool->thread_count < count && result == 0) {
		pthread_t *thread = &pool->threads[pool->thread_count];

		result = pthread_create(thread, NULL, thread_main, pool);
		if (result == 0) {
			pthread_setname_np(*thread, name);
			pool->thread_count++;
		}
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return result;
}

struct offload *offload_new(const char *name, unsigned threads, unsigned queue_max,
			    struct err *err)
{
	struct offload *pool =
		mem_zalloc(1, sizeof(*pool) + threads * sizeof(pool->threads[0]));
	int error;

	if (!pool) {
		err_set(err, ERR_MEMORY, "no memory for offload threads");
		return NULL;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	list_init(&pool->queue);
	pool->waiting_max = queue_max;
	error = start_threads(pool, name, threads);
	if (error) {
		offload_free(pool);
		err_set_errno(err, error, "cannot start an offload thread");
		return NULL;
	}
	return pool;
}

void offload_free(struct offload *pool)
{
	if (!pool)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	while (!list_empty(&pool->queue)) {
		struct offload_job *job =
			list_entry(pool->queue.next, struct offload_job, node);

		take_out_of_queue(pool, job);
		job->free(job);
	}
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	mem_free(pool);
}

static bool enqueue(struct offload *pool, struct offload_job *job)
{
	bool accepted;

	pthread_mutex_lock(&pool->lock);
	/* An idle thread takes one at once, so it does not count as waiting. */
	accepted = pool->waiting < pool->waiting_max + (pool->thread_count - pool->running);
	if (accepted) {
		job->state = JOB_QUEUED;
		put_in_queue(pool, job);
		pthread_cond_signal(&pool->work);
	} else {
		pool->refused++;
	}
	pthread_mutex_unlock(&pool->lock);
	return accepted;
}

/* Takes our hands off the job; false when it is finished and its message on the way to us. */
static bool abandon(struct offload *pool, struct offload_job *job)
{
	enum job_state state;

	pthread_mutex_lock(&pool->lock);
	state = (enum job_state)job->state;
	if (state == JOB_QUEUED) {
		take_out_of_queue(pool, job);
	} else if (state == JOB_RUNNING) {
		job->state = JOB_ABANDONED;
	}
	pthread_mutex_unlock(&pool->lock);
	if (state == JOB_QUEUED)
		job->free(job);
	return state != JOB_FINISHED;
}

/* The message is in our mailbox: it comes within a round, and nothing may cut that short. */
static void wait_for_message(const struct offload_job *job)
{
	bool cancelled = fiber_uncancel();

	while (!job->done)
		fiber_park(FIBER_FOREVER);
	if (cancelled)
		fiber_cancel(fiber_self());
}

int offload_call(struct offload *pool, struct offload_job *job, int64_t deadline_ms,
		 struct err *err)
{
	job->loop = loop_current();
	job->fiber = fiber_self();
	job->done = false;
	job->message.run = on_finished;
	if (!enqueue(pool, job)) {
		job->free(job);
		return err_set(err, ERR_UNAVAILABLE, "the queue for blocking work is full");
	}
	while (!job->done) {
		enum fiber_wake wake = fiber_park(deadline_ms);

		if (wake == FIBER_EVENT || job->done)
			continue;
		if (!abandon(pool, job)) {
			wait_for_message(job);
			break;
		}
		if (wake == FIBER_TIMEOUT)
			return err_set(err, ERR_TIMEOUT, "blocking work took too long");
		return err_set(err, ERR_CANCELLED, "cancelled while blocking work ran");
	}
	return 0;
}

void offload_read_stats(struct offload *pool, struct offload_stats *stats)
{
	pthread_mutex_lock(&pool->lock);
	*stats = (struct offload_stats){pool->thread_count, pool->running, pool->waiting,
					pool->refused};
	pthread_mutex_unlock(&pool->lock);
}
