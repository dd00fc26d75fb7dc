/* loop_internal.h - what loop.c, timer.c and fiber.c share. Private to src/io. */
#ifndef IO_LOOP_INTERNAL_H
#define IO_LOOP_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "io/loop.h"

#define LOOP_EVENTS_MAX 256

/* Slots of 1, 256, 16384 and 1048576 ms: deadlines up to 18 hours, longer ones wait at the end. */
#define WHEEL_LEVELS 4
#define WHEEL_FIRST_BITS 8
#define WHEEL_BITS 6
#define WHEEL_SLOTS 256

struct timer_wheel {
	int64_t now_ms; /* all ticks up to here have fired */
	unsigned count;
	uint64_t occupied[WHEEL_LEVELS][WHEEL_SLOTS / 64];
	struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct timer_wheel *wheel, int64_t now_ms);
/* Arms a timer that is not in the wheel. */
void wheel_add(struct timer_wheel *wheel, struct timer *timer, int64_t at_ms);
/* Arms it or moves it; one that moves to later keeps its slot until the wheel comes there. */
void wheel_set(struct timer_wheel *wheel, struct timer *timer, int64_t at_ms);
void wheel_remove(struct timer_wheel *wheel, struct timer *timer);
/* Fires what is due at or before now_ms. */
void wheel_advance(struct timer_wheel *wheel, int64_t now_ms);
/* A time at or before the first expiry; INT64_MAX without timers. */
int64_t wheel_next_ms(const struct timer_wheel *wheel);

struct loop {
	int epoll_fd;
	int event_fd;
	struct timer_wheel wheel;
	struct list ready; /* fibers */
	struct list deferred;
	struct list deferred_next;
	struct epoll_event events[LOOP_EVENTS_MAX + 8]; /* some more to look ahead */
	int event_count;
	int event_next;
	struct watch *dispatched; /* whose callback runs; cleared when that removes it */
	_Atomic bool stop;
	_Atomic uint64_t step;
	_Atomic int64_t lag_us;
	int64_t lag_peak_us;
	int64_t lag_until_ms;
	unsigned lag_skipped; /* rounds since one was looked at */
	pthread_mutex_t mailbox_lock;
	struct loop_message *mailbox;
	struct loop_message **mailbox_tail;
	bool mailbox_signalled;
};

/* Runs every fiber that is ready now. */
void fiber_run_ready(struct loop *loop);

/* Moves all nodes from `from` to the uninitialised `to`. */
static inline void list_replace(struct list *to, struct list *from)
{
	*to = *from;
	to->next->prev = to;
	to->prev->next = to;
	list_init(from);
}

static inline void loop_step_begin(struct loop *loop)
{
	atomic_store_explicit(&loop->step,
			      atomic_load_explicit(&loop->step, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

#define loop_step_end loop_step_begin

#endif
