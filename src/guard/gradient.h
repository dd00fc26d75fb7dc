/*
 * gradient.h - a limit of concurrency that follows the measured latency (as the gradient limits of
 * Netflix's concurrency-limits and Envoy's adaptive concurrency): while calls take about as long as
 * the fastest did, the limit grows by its square root; when they take longer, it shrinks in
 * proportion, before queues at the service have grown long.
 *
 * The fastest latency is measured anew once a minute, with the limit halved meanwhile. Windows end
 * after 100 ms or when 10 calls have been measured, whichever is later. Any thread; no lock is
 * waited for.
 */
#ifndef GUARD_GRADIENT_H
#define GUARD_GRADIENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct gradient {
	uint32_t least, most;
	_Atomic uint64_t sum_us, count, fastest_us; /* of this window */
	_Atomic int64_t window_end_ms;
	atomic_flag busy; /* the rest belongs to who has set it */
	double limit;
	uint64_t base_us; /* 0: not known yet */
	int64_t measure_at_ms;
	bool measuring;
};

void gradient_init(struct gradient *gradient, uint32_t least, uint32_t most, int64_t now_ms);
/*
 * A call took latency_us while in_use were in progress. True when the window has ended with it, and
 * *limit is the new limit.
 */
bool gradient_add(struct gradient *gradient, int64_t now_ms, uint64_t latency_us,
		  uint32_t in_use, uint32_t *limit);

#endif
