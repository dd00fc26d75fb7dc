/*
 * bulkhead.h - how many calls may be in progress at one service, and who waits for a place. Places
 * are counted in one atomic word: a call that finds one free takes it without a lock. Those that
 * find none wait, in fibers of any worker, in one bounded queue:
 *
 * - a class is served before the next lower one, and is shed after it: when the queue is full, a
 *   newcomer takes the place of the youngest of a lower class;
 * - within a class users take turns (stochastic fair queueing, McKenney 1990: 64 flows by a hash
 *   of the user): whoever sends much waits for themselves. When the queue is full, a newcomer of a
 *   shorter flow takes the place of the youngest of the longest flow.
 *
 * With `adaptive` the number of places follows the measured latency: see gradient.h.
 */
#ifndef GUARD_BULKHEAD_H
#define GUARD_BULKHEAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

struct bulkhead;

enum guard_class { GUARD_CLASS_CORE, GUARD_CLASS_NORMAL, GUARD_CLASS_LOW, GUARD_CLASSES };

struct bulkhead_options {
	uint32_t concurrent; /* places; with adaptive: at most */
	uint32_t queue; /* calls that may wait; 0: none */
	uint64_t wait_ms; /* how long at most */
	bool adaptive;
	uint32_t least; /* places; with adaptive */
};

enum bulkhead_result {
	BULKHEAD_ENTERED, /* leave it again */
	BULKHEAD_FULL, /* no place, and none in the queue, or pushed out of it */
	BULKHEAD_TIMEOUT, /* waited in vain */
	BULKHEAD_CANCELLED, /* the fiber was cancelled */
};

/* NULL with ERR_MEMORY. One reference. */
struct bulkhead *bulkhead_new(const struct bulkhead_options *options,
			      struct err *err) MUST_CHECK;
struct bulkhead *bulkhead_ref(struct bulkhead *bulkhead);
/* NULL is allowed. Nobody may be in it with the last reference. */
void bulkhead_unref(struct bulkhead *bulkhead);
bool bulkhead_has_options(const struct bulkhead *bulkhead,
			  const struct bulkhead_options *options);

/* Takes a place if one is free and nobody waits. Any thread, no fiber needed. */
bool bulkhead_try(struct bulkhead *bulkhead);
/*
 * As above, but waits for a place: at most the configured time, and not after deadline_ms. From a
 * fiber. `user` is a hash of whose call it is.
 */
enum bulkhead_result bulkhead_enter(struct bulkhead *bulkhead, enum guard_class class,
				    uint64_t user, int64_t deadline_ms) MUST_CHECK;
/*
 * Gives the place back, to who waits if anybody does. latency_us is how long the service took, for
 * adaptive ones; negative: not known, or not its doing.
 */
void bulkhead_leave(struct bulkhead *bulkhead, int64_t latency_us);
/* Whether bulkhead_leave wants to be told the latency. */
bool bulkhead_is_adaptive(const struct bulkhead *bulkhead);

struct bulkhead_figures {
	uint32_t limit, in_use, waiting, queue;
	uint64_t waited, refused, timeouts; /* calls, since it was made */
};
/* Any thread. */
void bulkhead_read(const struct bulkhead *bulkhead, struct bulkhead_figures *figures);

#endif
