/*
 * A million random steps on breakers, against a model that keeps each call in a list and counts
 * from the beginning whenever it is asked. SEED repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rand.h"
#include "guard/breaker.h"

#define STEPS 5000
#define ROUNDS 200
#define HELD 16
#define BUCKETS 32 /* of a window of time, as breaker.h says */

struct result {
	int64_t at_ms;
	bool failed, slow;
};

struct model_permit {
	unsigned era;
	bool held;
};

struct model {
	struct breaker_options options;
	int64_t base_ms;
	enum breaker_state state;
	unsigned era; /* states so far */
	struct result results[STEPS]; /* of this era */
	unsigned count;
	unsigned issued;
	unsigned reopened;
	int64_t until_ms, since_ms;
	uint64_t refused, opened;
};

static uint64_t seed;

static uint64_t next_random(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t below(uint64_t *x, uint64_t bound)
{
	return next_random(x) % bound;
}

static void enter(struct model *m, enum breaker_state state, int64_t now_ms)
{
	m->state = state;
	m->era++;
	m->count = 0;
	m->issued = 0;
	m->since_ms = now_ms;
}

static void open(struct model *m, unsigned reopened, int64_t now_ms)
{
	uint64_t wait_ms = m->options.open_ms;

	for (unsigned i = 0; i < reopened; i++) {
		wait_ms = wait_ms * m->options.growth_percent / 100;
		if (m->options.open_max_ms && wait_ms >= m->options.open_max_ms) {
			wait_ms = m->options.open_max_ms;
			break;
		}
		if (wait_ms >= (uint64_t)1 << 34) {
			wait_ms = (uint64_t)1 << 34;
			break;
		}
	}
	enter(m, BREAKER_OPEN, now_ms);
	m->reopened = reopened;
	m->until_ms = now_ms + (int64_t)wait_ms;
	m->opened++;
}

static void look(const struct model *m, int64_t now_ms, unsigned *calls, unsigned *failed,
		 unsigned *slow)
{
	int64_t width_ms = (int64_t)m->options.window_ms / BUCKETS;
	unsigned first = 0;

	*calls = *failed = *slow = 0;
	if (width_ms == 0)
		width_ms = 1;
	if (m->state != BREAKER_HALF_OPEN && !m->options.window_ms &&
	    m->count > m->options.window)
		first = m->count - m->options.window;
	for (unsigned i = first; i < m->count; i++) {
		const struct result *r = &m->results[i];
		int64_t age =
			(now_ms - m->base_ms) / width_ms - (r->at_ms - m->base_ms) / width_ms;

		if (m->state != BREAKER_HALF_OPEN && m->options.window_ms && age >= BUCKETS)
			continue;
		++*calls;
		*failed += r->failed;
		*slow += r->slow;
	}
}

static bool model_acquire(struct model *m, int64_t now_ms, struct model_permit *permit,
			  int64_t *retry_after_ms)
{
	*retry_after_ms = 0;
	if (m->state == BREAKER_OPEN && now_ms >= m->until_ms)
		enter(m, BREAKER_HALF_OPEN, now_ms);
	if (m->state == BREAKER_HALF_OPEN && m->issued >= m->options.probes &&
	    m->options.half_open_max_ms &&
	    now_ms - m->since_ms >= (int64_t)m->options.half_open_max_ms)
		open(m, m->reopened + 1, now_ms);
	if (m->state == BREAKER_DISABLED)
		return true;
	if (m->state == BREAKER_OPEN)
		*retry_after_ms = m->until_ms - now_ms;
	if (m->state == BREAKER_OPEN || m->state == BREAKER_FORCED_OPEN ||
	    (m->state == BREAKER_HALF_OPEN && m->issued >= m->options.probes)) {
		m->refused++;
		return false;
	}
	m->issued += m->state == BREAKER_HALF_OPEN;
	permit->held = true;
	permit->era = m->era;
	return true;
}

static void model_record(struct model *m, struct model_permit *permit, int64_t now_ms,
			 int64_t duration_ms, bool failed)
{
	bool current = permit->held && permit->era == m->era;
	unsigned calls, failures, slow, minimum;
	bool exceeded;

	permit->held = false;
	if (!current)
		return;
	m->results[m->count++] = (struct result){
		now_ms, failed,
		m->options.slow_ms && duration_ms > (int64_t)m->options.slow_ms};
	if (m->state == BREAKER_FORCED_CLOSED)
		return;
	look(m, now_ms, &calls, &failures, &slow);
	minimum = m->options.minimum;
	if (!m->options.window_ms && minimum > m->options.window)
		minimum = m->options.window;
	if (m->state == BREAKER_HALF_OPEN)
		minimum = m->options.probes;
	exceeded = failures * 100 >= m->options.failure_percent * calls ||
		   (m->options.slow_ms && slow * 100 >= m->options.slow_percent * calls);
	if (calls < minimum)
		return;
	if (exceeded) {
		open(m, m->state == BREAKER_HALF_OPEN ? m->reopened + 1 : 0, now_ms);
	} else if (m->state == BREAKER_HALF_OPEN) {
		enter(m, BREAKER_CLOSED, now_ms);
		m->reopened = 0;
	}
}

static void model_release(struct model *m, struct model_permit *permit)
{
	if (permit->held && permit->era == m->era && m->state == BREAKER_HALF_OPEN)
		m->issued--;
	permit->held = false;
}

static void model_force(struct model *m, enum breaker_state state, int64_t now_ms)
{
	if (state == BREAKER_OPEN) {
		open(m, 0, now_ms);
		return;
	}
	enter(m, state, now_ms);
	if (state == BREAKER_CLOSED)
		m->reopened = 0;
}

static void compare(const struct breaker *breaker, const struct model *m, int64_t now_ms)
{
	unsigned calls = 0, failed = 0, slow = 0;
	struct breaker_figures figures;

	breaker_read(breaker, now_ms, &figures);
	if (m->state == BREAKER_CLOSED || m->state == BREAKER_FORCED_CLOSED ||
	    m->state == BREAKER_HALF_OPEN)
		look(m, now_ms, &calls, &failed, &slow);
	assert_int_equal(figures.state, m->state);
	assert_int_equal(figures.calls, calls);
	assert_int_equal(figures.failed, failed);
	assert_int_equal(figures.slow, slow);
	assert_int_equal(figures.refused, m->refused);
	assert_int_equal(figures.opened, m->opened);
	assert_int_equal(figures.since_ms, m->since_ms);
	if (m->state == BREAKER_HALF_OPEN)
		assert_int_equal(figures.probes_issued, m->issued);
	if (m->state == BREAKER_OPEN)
		assert_int_equal(figures.open_for_ms,
				 m->until_ms > now_ms ? m->until_ms - now_ms : 0);
}

static struct breaker_options random_options(uint64_t *x)
{
	struct breaker_options options = {
		.window = (uint32_t)below(x, 12) + 1,
		.window_ms = below(x, 2) ? (below(x, 20) + 1) * 32 : 0,
		.minimum = (uint32_t)below(x, 12) + 1,
		.failure_percent = (uint32_t)below(x, 102),
		.slow_percent = (uint32_t)below(x, 102),
		.slow_ms = below(x, 3) * 10,
		.open_ms = below(x, 50) + 1,
		.growth_percent = 100 + (uint32_t)below(x, 3) * 50,
		.open_max_ms = below(x, 2) ? 0 : 200,
		.probes = (uint32_t)below(x, 5) + 1,
		.half_open_max_ms = below(x, 2) ? 0 : below(x, 60) + 1,
	};

	/* Growth by percent stands still where rounding eats it. */
	if (options.open_ms < 2)
		options.growth_percent = 100;
	if (options.open_max_ms && options.open_max_ms < options.open_ms)
		options.open_max_ms = options.open_ms;
	return options;
}

static void run_round(uint64_t *x)
{
	static struct model m;
	struct breaker_permit permits[HELD] = {{.held = false}};
	struct model_permit held[HELD] = {{.held = false}};
	int64_t now_ms = 5000;
	struct err err;
	struct breaker *breaker;
	uint64_t failing = below(x, 101);

	m = (struct model){.options = random_options(x), .base_ms = now_ms, .since_ms = now_ms};
	breaker = breaker_new(&m.options, now_ms, &err);
	assert_non_null(breaker);
	for (unsigned step = 0; step < STEPS; step++) {
		size_t i = below(x, HELD);
		int64_t wait_ms = 0, model_wait_ms = 0;
		int64_t duration_ms = (int64_t)below(x, 25);
		bool failed = below(x, 100) < failing;

		now_ms += below(x, 8) ? 0 : (int64_t)below(x, 40);
		if (below(x, 200) == 0) {
			enum breaker_state state = (enum breaker_state)below(x, 6);

			breaker_force(breaker, state, now_ms);
			model_force(&m, state, now_ms);
		} else if (!held[i].held) {
			assert_int_equal(
				breaker_acquire(breaker, now_ms, &permits[i], &wait_ms),
				model_acquire(&m, now_ms, &held[i], &model_wait_ms));
			assert_int_equal(wait_ms, model_wait_ms);
			assert_int_equal(permits[i].held, held[i].held);
		} else if (below(x, 10) == 0) {
			breaker_release(breaker, &permits[i]);
			model_release(&m, &held[i]);
		} else {
			breaker_record(breaker, &permits[i], now_ms, duration_ms, failed);
			model_record(&m, &held[i], now_ms, duration_ms, failed);
		}
		compare(breaker, &m, now_ms);
	}
	breaker_unref(breaker);
}

static void it_does_what_the_model_does(void **state)
{
	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t x = seed + round;

		run_round(&x);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(it_does_what_the_model_does)};
	const char *given = getenv("SEED");

	seed = given ? strtoull(given, NULL, 10) : rand_u64();
	print_message("SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
