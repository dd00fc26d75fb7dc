/*
 * A million random calls that enter a bulkhead, leave it and give up waiting, against a model that
 * keeps who waits in one list in the order of their coming and looks through all of it. SEED repeats
 * a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rand.h"
#include "guard/bulkhead.h"
#include "io/loop.h"

#define ROUNDS 500
#define STEPS 2000
#define CALLERS 48
#define FLOWS 64 /* as bulkhead.h says */
#define USERS 6

/* What a caller, or the model of it, is at. */
enum stage { STAGE_NONE, STAGE_WAITING, STAGE_ENTERED, STAGE_FULL, STAGE_CANCELLED };

struct caller {
	struct bulkhead *bulkhead;
	enum guard_class class;
	uint64_t user;
	struct fiber *fiber; /* NULL: it has ended */
	enum stage stage;
	bool leave;
};

struct waiting {
	size_t caller;
	unsigned class, flow;
};

struct model {
	uint32_t limit, queue, in_use;
	struct waiting list[CALLERS]; /* oldest first */
	size_t count;
	unsigned turn[GUARD_CLASSES];
	enum stage stages[CALLERS];
};

static uint64_t seed;
static struct caller callers[CALLERS];
static struct model model;

static uint64_t next_random(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static size_t below(uint64_t *x, size_t bound)
{
	return (size_t)(next_random(x) % bound);
}

/* --- the model --- */

static void take_out(size_t at)
{
	model.count--;
	for (size_t i = at; i < model.count; i++)
		model.list[i] = model.list[i + 1];
}

static unsigned flow_count(unsigned class, unsigned flow)
{
	unsigned count = 0;

	for (size_t i = 0; i < model.count; i++)
		count += model.list[i].class == class && model.list[i].flow == flow;
	return count;
}

/* Whom a newcomer pushes out: the youngest of the longest flow of the lowest class that waits. */
static bool make_room(unsigned class, unsigned flow)
{
	unsigned lowest = 0, longest = 0, most = 0;
	size_t youngest = model.count;

	for (size_t i = 0; i < model.count; i++)
		if (model.list[i].class > lowest)
			lowest = model.list[i].class;
	for (unsigned i = 0; i < FLOWS; i++)
		if (flow_count(lowest, i) > most) {
			most = flow_count(lowest, i);
			longest = i;
		}
	if (most == 0 || lowest < class ||
	    (lowest == class && most <= flow_count(class, flow) + 1))
		return false;
	for (size_t i = 0; i < model.count; i++)
		if (model.list[i].class == lowest && model.list[i].flow == longest)
			youngest = i;
	model.stages[model.list[youngest].caller] = STAGE_FULL;
	take_out(youngest);
	return true;
}

static void model_enter(size_t caller, unsigned class, unsigned flow)
{
	if (model.count == 0 && model.in_use < model.limit) {
		model.in_use++;
		model.stages[caller] = STAGE_ENTERED;
		return;
	}
	if (model.queue == 0 || (model.count >= model.queue && !make_room(class, flow))) {
		model.stages[caller] = STAGE_FULL;
		return;
	}
	model.list[model.count++] = (struct waiting){caller, class, flow};
	model.stages[caller] = STAGE_WAITING;
}

/* The highest class; in it the next flow whose turn it is; of that the oldest. */
static size_t next_in_line(void)
{
	unsigned highest = GUARD_CLASSES, nearest = FLOWS;
	size_t found = 0;

	for (size_t i = 0; i < model.count; i++)
		if (model.list[i].class < highest)
			highest = model.list[i].class;
	for (size_t i = model.count; i-- > 0;) {
		unsigned away =
			(model.list[i].flow + FLOWS - model.turn[highest] % FLOWS) % FLOWS;

		if (model.list[i].class == highest && away <= nearest) {
			nearest = away;
			found = i;
		}
	}
	return found;
}

static void model_leave(size_t caller)
{
	model.stages[caller] = STAGE_NONE;
	model.in_use--;
	while (model.count && model.in_use < model.limit) {
		size_t at = next_in_line();

		model.turn[model.list[at].class] = model.list[at].flow + 1;
		model.in_use++;
		model.stages[model.list[at].caller] = STAGE_ENTERED;
		take_out(at);
	}
}

static void model_cancel(size_t caller)
{
	for (size_t i = 0; i < model.count; i++)
		if (model.list[i].caller == caller) {
			take_out(i);
			break;
		}
	model.stages[caller] = STAGE_CANCELLED;
}

/* --- the real one --- */

static void caller_main(void *arg)
{
	struct caller *caller = arg;

	caller->stage = STAGE_WAITING;
	switch (bulkhead_enter(caller->bulkhead, caller->class, caller->user, FIBER_FOREVER)) {
	case BULKHEAD_ENTERED: caller->stage = STAGE_ENTERED; break;
	case BULKHEAD_FULL: caller->stage = STAGE_FULL; break;
	case BULKHEAD_CANCELLED: caller->stage = STAGE_CANCELLED; break;
	case BULKHEAD_TIMEOUT: fail_msg("nobody waits for less than for ever"); break;
	}
	if (caller->stage == STAGE_ENTERED) {
		while (!caller->leave)
			(void)fiber_park(FIBER_FOREVER);
		bulkhead_leave(caller->bulkhead, -1);
		caller->stage = STAGE_NONE;
	}
	caller->fiber = NULL;
}

static void run_ready(void)
{
	for (unsigned i = 0; i < 3; i++)
		loop_step(loop_current(), 0);
}

static void compare(const struct bulkhead *bulkhead)
{
	struct bulkhead_figures figures;

	for (size_t i = 0; i < CALLERS; i++)
		assert_int_equal(callers[i].stage, model.stages[i]);
	bulkhead_read(bulkhead, &figures);
	assert_int_equal(figures.in_use, model.in_use);
	assert_int_equal(figures.waiting, model.count);
	assert_true(figures.in_use <= model.limit && figures.waiting <= model.queue);
}

static void enter(struct bulkhead *bulkhead, size_t i, uint64_t *x)
{
	struct err err;

	callers[i] = (struct caller){.bulkhead = bulkhead,
				     .class = (enum guard_class)below(x, GUARD_CLASSES),
				     .user = below(x, USERS) * 11};
	callers[i].fiber = fiber_start(caller_main, &callers[i], &err);
	assert_non_null(callers[i].fiber);
	run_ready();
	model_enter(i, callers[i].class, (unsigned)(callers[i].user % FLOWS));
}

static void step(struct bulkhead *bulkhead, uint64_t *x)
{
	size_t i = below(x, CALLERS);
	struct caller *caller = &callers[i];

	if (!caller->fiber) {
		enter(bulkhead, i, x);
	} else if (caller->stage == STAGE_ENTERED) {
		caller->leave = true;
		fiber_wake(caller->fiber);
		run_ready();
		model_leave(i);
	} else if (below(x, 4) == 0) {
		fiber_cancel(caller->fiber);
		run_ready();
		model_cancel(i);
	}
	compare(bulkhead);
}

static void end(struct bulkhead *bulkhead)
{
	for (size_t i = 0; i < CALLERS; i++)
		if (callers[i].fiber) {
			callers[i].leave = true;
			if (callers[i].stage == STAGE_ENTERED)
				fiber_wake(callers[i].fiber);
			else
				fiber_cancel(callers[i].fiber);
			run_ready();
		}
	bulkhead_unref(bulkhead);
}

static void it_does_what_the_model_does(void **state)
{
	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t x = seed + round;
		struct bulkhead_options options = {.concurrent = (uint32_t)below(&x, 8) + 1,
						   .queue = (uint32_t)below(&x, 16),
						   .wait_ms = 3600000};
		struct bulkhead *bulkhead;

		memset(callers, 0, sizeof(callers));
		model = (struct model){.limit = options.concurrent, .queue = options.queue};
		bulkhead = bulkhead_new(&options, NULL);
		assert_non_null(bulkhead);
		for (unsigned i = 0; i < STEPS; i++)
			step(bulkhead, &x);
		end(bulkhead);
	}
}

static int setup(void **state)
{
	struct err err;

	*state = loop_new(&err);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	loop_free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_does_what_the_model_does, setup, teardown)};
	const char *given = getenv("SEED");

	seed = given ? strtoull(given, NULL, 10) : rand_u64();
	print_message("SEED=%llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
