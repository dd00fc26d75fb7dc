/*
 * fiber.h - cooperative threads of one loop: code that reads from top to bottom and parks itself
 * when it must wait. A fiber belongs to the thread that started it. Stacks are pooled a thread,
 * end in guard pages, and are 64 KiB (256 KiB under sanitizers).
 *
 * Rules: every wait has a deadline; hold no lock across a wait; a cancelled wait returns
 * FIBER_CANCELLED and the function unwinds through its clean-up.
 */
#ifndef IO_FIBER_H
#define IO_FIBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

struct fiber;
typedef void fiber_function(void *arg);

enum fiber_wake { FIBER_EVENT, FIBER_TIMEOUT, FIBER_CANCELLED };

/* A deadline that never comes; only for waits that are bounded by something else. */
#define FIBER_FOREVER INT64_MAX

/*
 * Starts a fiber of the calling thread's loop: it runs from the loop, after the caller parks or
 * returns. NULL with *err when there is no memory for a stack. The handle is valid until the
 * function returns.
 */
struct fiber *fiber_start(fiber_function *function, void *arg, struct err *err) MUST_CHECK;
/* The running fiber, or NULL in the loop itself. */
struct fiber *fiber_self(void);

/*
 * Parks the running fiber until fiber_wake, the deadline (loop_now_ms time) or fiber_cancel.
 * A wake that came since the last park is not lost: park returns at once. FIBER_EVENT may come
 * without the thing waited for having happened: callers look, and park again.
 */
enum fiber_wake fiber_park(int64_t deadline_ms);
/* Makes a parked fiber ready; harmless on one that is ready already. Same thread only. */
void fiber_wake(struct fiber *fiber);
/*
 * The fiber's current wait, and every later one until fiber_uncancel, returns FIBER_CANCELLED.
 * Same thread only.
 */
void fiber_cancel(struct fiber *fiber);
/* For clean-up that must wait: clears the cancellation of the running fiber. True if it was set. */
bool fiber_uncancel(void);
bool fiber_is_cancelled(void);

/* Lets the others that are ready run, also when cancelled. */
void fiber_yield(void);
/*
 * Between much work and a call that leads elsewhere (a send): lets the others of this round do theirs
 * first, some at a time, so that what they all do next is done in one go. Returns at once where there
 * are no others, and when it was called in this round before. Nothing is waited for.
 */
void fiber_gather(void);
enum fiber_wake fiber_sleep_ms(int64_t ms);

/* Frees the calling thread's pooled stacks; called by loop_release. */
void fiber_pool_release(void);
/* Fibers of this thread that have started and not ended. */
unsigned fiber_live_count(void);

#endif
