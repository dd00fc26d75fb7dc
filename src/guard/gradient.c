#include "guard/gradient.h"

#define WINDOW_MS 100
#define WINDOW_CALLS 10
#define MEASURE_EVERY_MS 60000
/* Latency may rise by this factor before the limit shrinks: jitter is not a queue. */
#define TOLERANCE 1.5
/* A window moves the limit this far towards what it says. */
#define SMOOTHING 0.3

void gradient_init(struct gradient *gradient, uint32_t least, uint32_t most, int64_t now_ms)
{
	*gradient = (struct gradient){
		.least = least,
		.most = most,
		.fastest_us = UINT64_MAX,
		.window_end_ms = now_ms + WINDOW_MS,
		.limit = least > most / 2 ? least : most / 2.0,
		.measure_at_ms = now_ms + MEASURE_EVERY_MS,
	};
	atomic_flag_clear(&gradient->busy);
}

static double clamp(double value, double least, double most)
{
	return value < least ? least : value > most ? most : value;
}

/* What the fastest of a window says of the service without a queue. */
static void note_fastest(struct gradient *gradient, int64_t now_ms, uint64_t fastest_us)
{
	if (gradient->measuring || !gradient->base_us || fastest_us < gradient->base_us)
		gradient->base_us = fastest_us;
	if (gradient->measuring) {
		gradient->measuring = false;
		gradient->limit *= 2;
		gradient->measure_at_ms = now_ms + MEASURE_EVERY_MS;
	} else if (now_ms >= gradient->measure_at_ms) {
		gradient->measuring = true;
		gradient->limit /= 2;
	}
}

static void end_window(struct gradient *gradient, int64_t now_ms, uint32_t in_use)
{
	uint64_t count = atomic_exchange_explicit(&gradient->count, 0, memory_order_relaxed);
	uint64_t sum_us = atomic_exchange_explicit(&gradient->sum_us, 0, memory_order_relaxed);
	uint64_t fastest_us = atomic_exchange_explicit(&gradient->fastest_us, UINT64_MAX,
						       memory_order_relaxed);
	double mean_us = count ? (double)sum_us / (double)count : 0;

	if (!count || fastest_us == UINT64_MAX)
		return;
	note_fastest(gradient, now_ms, fastest_us ? fastest_us : 1);
	if (!gradient->measuring && mean_us > 0) {
		double slope = clamp(TOLERANCE * (double)gradient->base_us / mean_us, 0.5, 1.0);
		double next = gradient->limit * slope + __builtin_sqrt(gradient->limit);

		/* Where not even half of it is used, nothing is known of more. */
		if (next < gradient->limit || in_use * 2.0 >= gradient->limit)
			gradient->limit += (next - gradient->limit) * SMOOTHING;
	}
	gradient->limit = clamp(gradient->limit, gradient->least, gradient->most);
}

static void note(struct gradient *gradient, uint64_t latency_us)
{
	uint64_t fastest = atomic_load_explicit(&gradient->fastest_us, memory_order_relaxed);

	while (latency_us < fastest && !atomic_compare_exchange_weak_explicit(
					       &gradient->fastest_us, &fastest, latency_us,
					       memory_order_relaxed, memory_order_relaxed))
		;
	atomic_fetch_add_explicit(&gradient->sum_us, latency_us, memory_order_relaxed);
	atomic_fetch_add_explicit(&gradient->count, 1, memory_order_relaxed);
}

bool gradient_add(struct gradient *gradient, int64_t now_ms, uint64_t latency_us,
		  uint32_t in_use, uint32_t *limit)
{
	note(gradient, latency_us);
	if (now_ms < atomic_load_explicit(&gradient->window_end_ms, memory_order_relaxed) ||
	    atomic_load_explicit(&gradient->count, memory_order_relaxed) < WINDOW_CALLS ||
	    atomic_flag_test_and_set_explicit(&gradient->busy, memory_order_acquire))
		return false;
	end_window(gradient, now_ms, in_use);
	*limit = (uint32_t)gradient->limit;
	atomic_store_explicit(&gradient->window_end_ms, now_ms + WINDOW_MS,
			      memory_order_relaxed);
	atomic_flag_clear_explicit(&gradient->busy, memory_order_release);
	return true;
}
