/*
 * Random lives of a service against what must hold of a procedure at every look, whatever
 * happened before: seen from outside, by a model that only knows the history.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/compiler.h"
#include "guard/procedure.h"

#define STEPS 1000000

static uint64_t state_of_random;

static uint64_t draw(uint64_t below)
{
	state_of_random ^= state_of_random << 13;
	state_of_random ^= state_of_random >> 7;
	state_of_random ^= state_of_random << 17;
	return state_of_random % below;
}

static const struct config_service replica = {.index = 0};
static struct config_procedure_condition conditions[2];
static struct config_procedure_step steps[3];
static struct config_procedure config = {.when = {conditions, 2}, .steps = {steps, 3}};

/* What is known from outside. */
struct model {
	bool active; /* anything but watching */
	int64_t begun_ms;
	int64_t held_ms[2]; /* for how long each has held without a break; -1: it does not */
	int64_t clear_ms; /* since the last look at which one held */
	uint32_t started;
	uint32_t last_withheld;
};

static void draw_config(void)
{
	for (size_t i = 0; i < COUNT_OF(conditions); i++)
		conditions[i] = (struct config_procedure_condition){.healthy_percent = 50,
								    .for_ms = draw(5) * 1000};
	steps[0] = (struct config_procedure_step){.shift_name = SPAN_INIT("r"),
						  .shift = &replica,
						  .share_percent = (uint32_t)draw(101),
						  .after_ms = draw(10) * 1000};
	steps[1] = (struct config_procedure_step){.shed = CONFIG_SHED_NORMAL,
						  .after_ms = draw(10) * 1000};
	steps[2] = (struct config_procedure_step){.notify = SPAN_INIT("n"),
						  .after_ms = draw(30) * 1000};
	config.recovery =
		(struct config_procedure_recovery){.after_ms = 1000 + draw(5) * 1000,
						   .canary_percent = (uint32_t)draw(101),
						   .hold_ms = 1000 + draw(5) * 1000,
						   .ramp_ms = draw(10) * 1000};
}

static void note(struct model *m, uint32_t holds, int64_t passed_ms)
{
	for (unsigned i = 0; i < 2; i++) {
		if (!(holds & (1u << i)))
			m->held_ms[i] = -1;
		else
			m->held_ms[i] = m->held_ms[i] < 0 ? 0 : m->held_ms[i] + passed_ms;
	}
	m->clear_ms = holds ? -1 : m->clear_ms < 0 ? 0 : m->clear_ms + passed_ms;
}

static bool must_begin(const struct model *m)
{
	for (unsigned i = 0; i < 2; i++)
		if (m->held_ms[i] >= 0 && m->held_ms[i] >= (int64_t)conditions[i].for_ms)
			return true;
	return false;
}

static void check_look(struct model *m, const struct procedure *p,
		       struct procedure_change change, uint32_t holds, int64_t now_ms)
{
	struct tally_control control = procedure_control(p, now_ms);

	/* It begins exactly when a condition has held for its time. */
	if (!m->active)
		assert_int_equal(change.event == PROCEDURE_BEGAN, must_begin(m));
	else
		assert_int_not_equal(change.event, PROCEDURE_BEGAN);
	if (change.event == PROCEDURE_BEGAN) {
		m->active = true;
		m->begun_ms = now_ms;
		m->started = 0;
	}
	/* A step starts once, not before its time, and never while no condition is in force. */
	assert_int_equal(change.steps & m->started, 0);
	for (unsigned i = 0; i < 3; i++)
		if (change.steps & (1u << i))
			assert_true(m->active &&
				    now_ms - m->begun_ms >= (int64_t)steps[i].after_ms);
	m->started |= change.steps;
	/* On the way back nothing may hold; it is over only after all of the time that it takes. */
	if (p->state == PROCEDURE_CANARY || p->state == PROCEDURE_RAMP ||
	    change.event == PROCEDURE_RECOVERED)
		assert_int_equal(holds, 0);
	if (change.event == PROCEDURE_CANARY_BEGAN)
		assert_true(m->clear_ms >= (int64_t)config.recovery.after_ms);
	if (change.event == PROCEDURE_RECOVERED) {
		assert_true(m->clear_ms >=
			    (int64_t)(config.recovery.after_ms + config.recovery.hold_ms +
				      config.recovery.ramp_ms));
		m->active = false;
	}
	assert_int_equal(m->active, p->state != PROCEDURE_WATCHING);
	/* Requests are withheld only while it lasts, never more than the step says; less and less. */
	if (!m->active) {
		assert_int_equal(control.withheld_percent, 0);
		assert_int_equal(control.shed, CONFIG_SHED_NONE);
	} else {
		assert_true(control.withheld_percent <=
			    (m->started & 1 ? steps[0].share_percent : 0));
		assert_int_equal(control.shed,
				 m->started & 2 ? CONFIG_SHED_NORMAL : CONFIG_SHED_NONE);
	}
	if (p->state == PROCEDURE_ACTIVE && m->started & 1)
		assert_int_equal(control.withheld_percent, steps[0].share_percent);
	if (p->state == PROCEDURE_CANARY || p->state == PROCEDURE_RAMP)
		assert_true(control.withheld_percent <= m->last_withheld);
	if (p->state == PROCEDURE_CANARY)
		assert_true(control.withheld_percent <= 100 - config.recovery.canary_percent);
	m->last_withheld = control.withheld_percent;
}

static void whatever_happens_a_procedure_keeps_its_promises(void **unused)
{
	const char *given = getenv("SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : 0;
	unsigned begun = 0, recovered = 0, relapsed = 0;
	struct procedure p;
	struct model m;
	int64_t now = 0;

	(void)unused;
	if (!seed)
		seed = (uint64_t)(uintptr_t)&seed >> 4 | 1;
	printf("SEED=%llu\n", (unsigned long long)seed);
	state_of_random = seed;
	for (long step = 0; step < STEPS; step++) {
		static uint32_t holds;
		int64_t passed = 500 + (int64_t)draw(1000);
		struct procedure_change change;

		if (step % 2000 == 0) {
			draw_config();
			procedure_init(&p, &config, now);
			m = (struct model){.held_ms = {-1, -1}, .clear_ms = -1};
		}
		/* Mostly it stays as it is. */
		if (draw(8) == 0)
			holds = draw(3) ? 0 : (uint32_t)draw(4);
		now += passed;
		note(&m, holds, passed);
		change = procedure_look(&p, holds, now);
		check_look(&m, &p, change, holds, now);
		begun += change.event == PROCEDURE_BEGAN;
		recovered += change.event == PROCEDURE_RECOVERED;
		relapsed += change.event == PROCEDURE_RELAPSED;
	}
	/* The test has seen what it is about. */
	assert_true(begun > 100 && recovered > 100 && relapsed > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_happens_a_procedure_keeps_its_promises)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
