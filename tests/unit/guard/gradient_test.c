/* gradient_test.c - a limit that follows a simulated service, whose latency grows by its queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "guard/gradient.h"

#define BASE_US 10000

/* A service with `servers` places: beyond them calls wait for each other. */
static uint64_t latency_us(uint32_t in_use, uint32_t servers)
{
	return in_use <= servers ? BASE_US : (uint64_t)BASE_US * in_use / servers;
}

static uint32_t run(struct gradient *gradient, uint32_t limit, uint32_t servers,
		    int64_t from_ms, int64_t for_ms, double load)
{
	for (int64_t ms = from_ms; ms < from_ms + for_ms; ms++) {
		uint32_t used = (uint32_t)((double)limit * load);

		(void)gradient_add(gradient, ms, latency_us(used, servers), used, &limit);
	}
	return limit;
}

static void it_finds_what_the_service_can_do(void **state)
{
	struct gradient gradient;
	uint32_t limit;

	(void)state;
	gradient_init(&gradient, 4, 1000, 0);
	limit = run(&gradient, 500, 40, 0, 1, 1.0);
	/* Light load first: the latency without a queue is known. */
	limit = run(&gradient, limit, 1000, 1, 500, 1.0);
	limit = run(&gradient, limit, 40, 501, 30000, 1.0);
	/* Around the places of the service, with room for the jitter that is tolerated. */
	assert_in_range(limit, 30, 120);
	limit = run(&gradient, limit, 400, 30501, 25000, 1.0);
	assert_in_range(limit, 300, 1000);
}

static void it_keeps_within_its_bounds(void **state)
{
	struct gradient gradient;
	uint32_t limit;

	(void)state;
	gradient_init(&gradient, 8, 64, 0);
	limit = run(&gradient, 32, 1000, 0, 20000, 1.0);
	assert_int_equal(limit, 64);
	limit = run(&gradient, limit, 1, 20000, 20000, 1.0);
	assert_int_equal(limit, 8);
}

static void it_does_not_grow_while_half_of_it_is_not_used(void **state)
{
	struct gradient gradient;

	(void)state;
	gradient_init(&gradient, 8, 1000, 0);
	assert_int_equal(run(&gradient, 500, 1000, 0, 20000, 0.3), 500);
}

static void the_fastest_latency_is_measured_anew_with_half_the_limit(void **state)
{
	struct gradient gradient;
	uint32_t limit, lowest = UINT32_MAX;

	(void)state;
	gradient_init(&gradient, 4, 100, 0);
	limit = run(&gradient, 50, 1000, 0, 59000, 1.0);
	assert_int_equal(limit, 100);
	for (int64_t ms = 59000; ms < 62000; ms++) {
		/* The service has become slower for good. */
		(void)gradient_add(&gradient, ms, 3 * BASE_US, limit, &limit);
		if (limit < lowest)
			lowest = limit;
	}
	assert_true(lowest <= 50);
	for (int64_t ms = 62000; ms < 90000; ms++)
		(void)gradient_add(&gradient, ms, 3 * BASE_US, limit, &limit);
	assert_int_equal(limit, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_finds_what_the_service_can_do),
		cmocka_unit_test(it_keeps_within_its_bounds),
		cmocka_unit_test(it_does_not_grow_while_half_of_it_is_not_used),
		cmocka_unit_test(the_fastest_latency_is_measured_anew_with_half_the_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
