/*
 * watchdog.h - finds steps of a loop that take too long: a fiber or callback that blocks or
 * computes without yielding delays every other connection of its thread. A thread looks at the
 * registered loops every 10 ms and logs such a step once ("loop.stuck") with the stack of the
 * thread that is in it. One watchdog a process. Under sanitizers it does nothing: their builds are
 * slow, and their stacks not ours to walk.
 */
#ifndef IO_WATCHDOG_H
#define IO_WATCHDOG_H

#include "io/loop.h"

#define WATCHDOG_LOOPS_MAX 256

/* True in builds where it works. */
bool watchdog_is_supported(void);
/*
 * Starts the thread; it uses the signal SIGRTMIN + 3. Steps longer than limit_ms (0: 20) are
 * logged.
 */
int watchdog_start(int64_t limit_ms, struct err *err) MUST_CHECK;
/* All loops must have been removed. */
void watchdog_stop(void);
/* Both in the thread of the loop, the second before loop_free. -1 at WATCHDOG_LOOPS_MAX. */
int watchdog_add(struct loop *loop, struct err *err) MUST_CHECK;
void watchdog_remove(struct loop *loop);
/* Steps logged since the start, for metrics. Any thread. */
uint64_t watchdog_stuck_count(void);

#endif
