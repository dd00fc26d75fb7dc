/*
 * offload.h - threads for work that blocks or computes for long (password hashes, databases,
 * archives), with a bounded queue. A fiber hands over a job and parks until it is done.
 *
 *	static void hash_run(struct offload_job *job) { ... fills CONTAINER_OF(job, ...) ... }
 *	static void hash_free(struct offload_job *job) { mem_free(CONTAINER_OF(job, ...)); }
 *
 *	struct hash *h = ...;                      // on the heap: it may outlive this function
 *	offload_job_init(&h->job, hash_run, hash_free);
 *	if (offload_call(pool, &h->job, deadline_ms, err) < 0)
 *		return -1;                         // h is no longer ours
 *	use(h);
 *	hash_free(&h->job);
 */
#ifndef IO_OFFLOAD_H
#define IO_OFFLOAD_H

#include "io/loop.h"

struct offload;
struct offload_job;
typedef void offload_function(struct offload_job *job);

/* Embedded in a heap object that holds everything run() reads and writes. */
struct offload_job {
	struct loop_message message;
	struct list node;
	offload_function *run; /* in an offload thread */
	offload_function
		*free; /* any thread: the waiter has given up, nobody else knows the job */
	struct loop *loop;
	struct fiber *fiber;
	bool done; /* waiter's thread only */
	int state; /* guarded by the pool's lock */
};

static inline void offload_job_init(struct offload_job *job, offload_function *run,
				    offload_function *free)
{
	*job = (struct offload_job){.run = run, .free = free};
}

/* `threads` ≥ 1; at most `queue_max` jobs wait for a thread. `name` (≤ 15 bytes) is for ps. */
struct offload *offload_new(const char *name, unsigned threads, unsigned queue_max,
			    struct err *err) MUST_CHECK;
/*
 * Lets running jobs end and frees those that wait. Every offload_call must have returned. The
 * loops of abandoned jobs may be gone already.
 */
void offload_free(struct offload *pool);

/*
 * Runs the job in a thread of the pool, parking the fiber until it is done: 0, and the job is the
 * caller's again. Otherwise -1, and the job belongs to the pool, which calls job->free exactly
 * once: at once when the queue is full (ERR_UNAVAILABLE, without waiting) or when it was not
 * started yet, otherwise in its thread when run() has returned (ERR_TIMEOUT, ERR_CANCELLED). So
 * run() must use nothing that belongs to the waiter, and the waiter nothing of the job after -1.
 */
int offload_call(struct offload *pool, struct offload_job *job, int64_t deadline_ms,
		 struct err *err) MUST_CHECK;

struct offload_stats {
	unsigned threads;
	unsigned running;
	unsigned waiting;
	uint64_t refused; /* because the queue was full, since the start */
};
/* Any thread. */
void offload_read_stats(struct offload *pool, struct offload_stats *stats);
/* Jobs that wait for a thread, in all pools of the process. Any thread. */
size_t offload_waiting(void);

#endif
