/*
 * loop.h - the event loop of a thread: epoll (edge-triggered), a timer wheel, ready fibers,
 * deferred work, and a mailbox for other threads. One loop a thread; functions without a loop
 * argument act on the calling thread's loop.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/list.h"
#include "io/fiber.h"

struct loop;

/* Creates the calling thread's loop. */
struct loop *loop_new(struct err *err) MUST_CHECK;
/* All fibers must have ended and all watches be removed. */
void loop_free(struct loop *loop);
struct loop *loop_current(void);
/* Runs until loop_stop. */
void loop_run(struct loop *loop);
/* Handles what is ready, waiting at most max_wait_ms for it. For tests and simple programs. */
void loop_step(struct loop *loop, int64_t max_wait_ms);
/* Makes loop_run return after the current round. Any thread. */
void loop_stop(struct loop *loop);

/* The clocks of the calling thread's loop, read once a round; for the functions below. */
struct loop_clock {
	int64_t now_ms;
	int64_t round_ns;
	int64_t unix_s;
};
extern _Thread_local struct loop_clock loop_clock;

/* Monotonic milliseconds, read once a round: cheap. */
static inline int64_t loop_now_ms(void)
{
	return loop_clock.now_ms;
}

/* The same moment in nanoseconds: when the events of this round were fetched. */
static inline int64_t loop_round_ns(void)
{
	return loop_clock.round_ns;
}

/* The wall clock in seconds, read once a round. */
static inline int64_t loop_unix_s(void)
{
	return loop_clock.unix_s;
}

/* Deadline `ms` from now; FIBER_FOREVER for a negative value. */
static inline int64_t loop_deadline_ms(int64_t ms)
{
	int64_t deadline_ms;

	if (ms < 0 || __builtin_add_overflow(loop_clock.now_ms, ms, &deadline_ms))
		return FIBER_FOREVER;
	return deadline_ms;
}

/* --- timers: 1 ms ticks; never early, late by at most the running step --- */
struct timer {
	struct list node;
	int64_t at_ms; /* INT64_MAX: stopped */
	int64_t slot_ms; /* where the wheel will look at it, at or before at_ms */
	void (*fire)(struct timer *timer);
	unsigned level, slot;
	bool armed; /* in the wheel */
};
static inline void timer_init(struct timer *timer, void (*fire)(struct timer *timer))
{
	*timer = (struct timer){.fire = fire};
}
/*
 * Arms or moves the timer. fire() runs in the loop, disarmed. Moving one that is armed or stopped
 * to a later time costs next to nothing: the wheel finds out when it comes to the old one.
 */
static inline void timer_set(struct timer *timer, int64_t at_ms);
/* It will not fire, but stays linked: for timers that are about to be set again. */
static inline void timer_stop(struct timer *timer)
{
	timer->at_ms = INT64_MAX;
}
/* It will not fire and is no longer linked; needed before its memory goes. */
void timer_clear(struct timer *timer);
/* The rest of timer_set: into the wheel, or to another place in it. */
void timer_place(struct timer *timer, int64_t at_ms);
static inline void timer_set(struct timer *timer, int64_t at_ms)
{
	if (LIKELY(timer->armed && at_ms >= timer->slot_ms))
		timer->at_ms = at_ms;
	else
		timer_place(timer, at_ms);
}

/* --- watches: readiness of one descriptor --- */
struct watch;
typedef void watch_function(struct watch *watch, uint32_t events);
struct watch {
	int fd; /* -1 when not watched */
	uint32_t
		ready; /* EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR seen and not used up */
	struct fiber *reader; /* parked in watch_wait */
	struct fiber *writer;
	struct fiber *other; /* waits for what another waits for: TLS reads may have to write */
	watch_function *on_event; /* may be NULL; runs in the loop before waiters are woken */
};
/* Registers a non-blocking descriptor for reading and writing. The watch must not move. */
int watch_add(struct watch *watch, int fd, watch_function *on_event,
	      struct err *err) MUST_CHECK;
/* Unregisters, wakes waiters with FIBER_CANCELLED semantics left to them; does not close fd. */
void watch_remove(struct watch *watch);
/*
 * Parks the running fiber until one of `events` (EPOLLIN or EPOLLOUT) is ready. Errors and
 * hang-ups count as ready. A caller that gets EAGAIN clears the bit in watch->ready first.
 */
enum fiber_wake watch_wait(struct watch *watch, uint32_t events, int64_t deadline_ms);

/* --- deferred work: once, at the end of this round --- */
struct deferred {
	struct list node;
	void (*run)(struct deferred *deferred);
	bool queued;
};
static inline void deferred_init(struct deferred *deferred,
				 void (*run)(struct deferred *deferred))
{
	*deferred = (struct deferred){.run = run};
}
/* Harmless when queued already. */
void loop_defer(struct deferred *deferred);
/* As loop_defer, but in the next round, after new events: for work that is cut into turns. */
void loop_defer_next(struct deferred *deferred);
/* Takes it back, from either. */
void loop_undefer(struct deferred *deferred);

/* --- mailbox: work sent to a loop by other threads --- */
struct loop_message {
	struct loop_message *next;
	void (*run)(struct loop_message *message);
};
/* Any thread. The message belongs to the loop until run() is called in its thread. */
void loop_post(struct loop *loop, struct loop_message *message);

/* For the watchdog: odd while a step (fiber or callback) runs; changes with each step. */
uint64_t loop_step_counter(const struct loop *loop);
/* Longest time from readiness to handling in the last second, as a sign of overload, in µs. */
int64_t loop_lag_us(const struct loop *loop);

#endif
