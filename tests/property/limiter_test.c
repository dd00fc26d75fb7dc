/*
 * A million random events at a limiter, against a leaky bucket a key: what was poured in drains
 * evenly, and an event fits while no more than the tolerance is in it. And against what a limit is
 * for: in no stretch of time more than the burst and what drains in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "guard/limiter.h"

#define EVENTS 1000000
#define KEYS 32
#define REMEMBERED 64

static uint64_t state_of_random;

static uint64_t draw(uint64_t below)
{
	state_of_random ^= state_of_random << 13;
	state_of_random ^= state_of_random >> 7;
	state_of_random ^= state_of_random << 17;
	return state_of_random % below;
}

struct bucket {
	struct limiter_rate rate;
	int64_t filled_ns; /* what it would take to drain; below 0 after something was given back */
	int64_t seen_ns;
	int64_t allowed_at_ns[REMEMBERED]; /* the last ones */
	uint64_t allowed;
};

static void drain(struct bucket *b, int64_t now_ns)
{
	b->filled_ns -= now_ns - b->seen_ns;
	b->seen_ns = now_ns;
}

/* Of the last n that were allowed: burst at once, and one for each interval that has passed. */
static void check_window(const struct bucket *b, int64_t now_ns)
{
	uint64_t known = b->allowed < REMEMBERED ? b->allowed : REMEMBERED;

	for (uint64_t n = 1; n <= known; n++) {
		int64_t first_ns = b->allowed_at_ns[(b->allowed - n) % REMEMBERED];
		uint64_t most =
			b->rate.burst + (uint64_t)((now_ns - first_ns) / b->rate.interval_ns);

		assert_true(n <= most);
	}
}

static void take(struct limiter *limiter, uint64_t key, struct bucket *b, int64_t now_ns)
{
	struct limiter_result got = limiter_take(limiter, key, &b->rate, now_ns);
	bool fits;

	drain(b, now_ns);
	if (b->filled_ns < 0)
		b->filled_ns = 0;
	fits = b->filled_ns <= b->rate.tolerance_ns;
	assert_int_equal(got.allowed, fits);
	if (!fits) {
		assert_int_equal(got.retry_after_ns, b->filled_ns - b->rate.tolerance_ns);
		return;
	}
	b->filled_ns += b->rate.interval_ns;
	b->allowed_at_ns[b->allowed++ % REMEMBERED] = now_ns;
}

static void a_limiter_is_a_leaky_bucket_a_key(void **unused)
{
	const char *given = getenv("SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : 0;
	uint64_t allowed = 0, refused = 0;
	struct bucket buckets[KEYS] = {0};
	struct limiter *limiter;
	int64_t now_ns = 1000000000;
	struct err err;

	(void)unused;
	if (!seed)
		seed = (uint64_t)(uintptr_t)&seed >> 4 | 1;
	printf("SEED=%llu\n", (unsigned long long)seed);
	state_of_random = seed;
	/* Room enough that no key is ever forgotten: key i has a set of its own. */
	limiter = limiter_new((size_t)KEYS * 4, &err);
	assert_non_null(limiter);
	for (size_t i = 0; i < KEYS; i++) {
		buckets[i].rate =
			limiter_rate_of(1 + draw(1000), 1 + draw(60000), 1 + draw(50));
		buckets[i].seen_ns = now_ns;
	}
	for (long event = 0; event < EVENTS; event++) {
		size_t i = draw(KEYS);
		struct bucket *b = &buckets[i];
		uint64_t before = b->allowed;

		/* Mostly less than an interval, sometimes long, sometimes none. */
		now_ns += (int64_t)draw(draw(64) ? (uint64_t)b->rate.interval_ns / 16 + 1
						 : (uint64_t)b->rate.interval_ns * 64 + 1);
		take(limiter, i + 1, b, now_ns);
		if (b->allowed > before)
			allowed++;
		else
			refused++;
		if (event % 64 == 0)
			check_window(b, now_ns);
		/* Another limit of the request has refused it. */
		if (b->allowed > before && draw(20) == 0) {
			limiter_give_back(limiter, i + 1, &b->rate);
			b->filled_ns -= b->rate.interval_ns;
			b->allowed--;
		}
	}
	limiter_free(limiter);
	/* Both have been seen; how often is the seed's affair. */
	assert_true(allowed > 100 && refused > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_limiter_is_a_leaky_bucket_a_key)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
