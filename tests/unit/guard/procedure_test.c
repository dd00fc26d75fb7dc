#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "guard/procedure.h"

#define SECOND ((int64_t)1000)

static const struct config_service replica = {.index = 3};

/* Two conditions: one that has to hold for 5 s, one that counts at once. */
static struct config_procedure_condition conditions[] = {
	{.error_percent = 20, .minimum = 10, .window_ms = 2000, .for_ms = 5000},
	{.healthy_percent = 50},
};
static struct config_procedure_step steps[] = {
	{.notify = SPAN_INIT("ops")},
	{.shift_name = SPAN_INIT("replica"), .shift = &replica, .share_percent = 80},
	{.shed = CONFIG_SHED_LOW},
	{.page = SPAN_INIT("duty"), .after_ms = 60000},
};
static const struct config_procedure config = {
	.name = SPAN_INIT("sick"),
	.when = {conditions, COUNT_OF(conditions)},
	.steps = {steps, COUNT_OF(steps)},
	.recovery = {.after_ms = 10000,
		     .canary_percent = 10,
		     .hold_ms = 20000,
		     .ramp_ms = 40000},
};

/* Looks each second from `from` up to, not including, `to`; the last event that was not nothing. */
static struct procedure_change look_until(struct procedure *p, uint32_t holds, int64_t from,
					  int64_t to)
{
	struct procedure_change all = {PROCEDURE_NOTHING, 0};

	for (int64_t now = from; now < to; now += SECOND) {
		struct procedure_change change = procedure_look(p, holds, now);

		if (change.event != PROCEDURE_NOTHING)
			all.event = change.event;
		all.steps |= change.steps;
	}
	return all;
}

static void a_condition_has_to_hold_for_its_time(void **state)
{
	struct procedure p;
	struct procedure_change change;

	(void)state;
	procedure_init(&p, &config, 0);
	assert_int_equal(look_until(&p, 1, 0, 5 * SECOND).event, PROCEDURE_NOTHING);
	/* Once not: from the start. */
	assert_int_equal(look_until(&p, 0, 5 * SECOND, 6 * SECOND).event, PROCEDURE_NOTHING);
	assert_int_equal(look_until(&p, 1, 6 * SECOND, 11 * SECOND).event, PROCEDURE_NOTHING);
	change = procedure_look(&p, 1, 11 * SECOND);
	assert_int_equal(change.event, PROCEDURE_BEGAN);
	assert_int_equal(change.steps, 7);
	assert_int_equal(p.cause, 0);
	procedure_init(&p, &config, 0);
	assert_int_equal(procedure_look(&p, 2, 0).event, PROCEDURE_BEGAN);
	assert_int_equal(p.cause, 1);
}

static void steps_start_once_when_they_are_due(void **state)
{
	struct procedure p;

	(void)state;
	procedure_init(&p, &config, 0);
	assert_int_equal(procedure_look(&p, 2, 0).steps, 7);
	assert_int_equal(look_until(&p, 2, SECOND, 60 * SECOND).steps, 0);
	assert_int_equal(procedure_look(&p, 2, 60 * SECOND).steps, 8);
	assert_int_equal(look_until(&p, 2, 61 * SECOND, 100 * SECOND).steps, 0);
}

static void a_late_step_does_not_start_once_it_is_over(void **state)
{
	struct procedure p;

	(void)state;
	procedure_init(&p, &config, 0);
	procedure_look(&p, 2, 0);
	assert_int_equal(look_until(&p, 0, SECOND, 200 * SECOND).steps, 0);
	assert_int_equal(p.state, PROCEDURE_WATCHING);
}

static void requests_come_back_by_canary_and_ramp(void **state)
{
	struct procedure p;
	struct tally_control control;

	(void)state;
	procedure_init(&p, &config, 0);
	procedure_look(&p, 2, 0);
	control = procedure_control(&p, 0);
	assert_int_equal(control.withheld_percent, 80);
	assert_int_equal(control.shift, 4);
	assert_int_equal(control.shed, CONFIG_SHED_LOW);
	assert_int_equal(look_until(&p, 0, SECOND, 11 * SECOND).event, PROCEDURE_NOTHING);
	assert_int_equal(procedure_look(&p, 0, 11 * SECOND).event, PROCEDURE_CANARY_BEGAN);
	/* 80 % were withheld, so that 20 % went there: a canary of 10 % is no reason for fewer. */
	assert_int_equal(procedure_control(&p, 11 * SECOND).withheld_percent, 80);
	assert_int_equal(look_until(&p, 0, 12 * SECOND, 31 * SECOND).event, PROCEDURE_NOTHING);
	assert_int_equal(procedure_look(&p, 0, 31 * SECOND).event, PROCEDURE_RAMP_BEGAN);
	assert_int_equal(procedure_control(&p, 51 * SECOND).withheld_percent, 45);
	assert_int_equal(procedure_control(&p, 70 * SECOND).withheld_percent, 3);
	assert_int_equal(look_until(&p, 0, 32 * SECOND, 71 * SECOND).event, PROCEDURE_NOTHING);
	assert_int_equal(procedure_look(&p, 0, 71 * SECOND).event, PROCEDURE_RECOVERED);
	control = procedure_control(&p, 71 * SECOND);
	assert_int_equal(control.withheld_percent, 0);
	assert_int_equal(control.shed, CONFIG_SHED_NONE);
}

static void a_relapse_takes_everything_back_and_the_next_try_later(void **state)
{
	struct procedure p;
	int64_t now = 0;

	(void)state;
	procedure_init(&p, &config, 0);
	procedure_look(&p, 2, 0);
	for (unsigned relapse = 0; relapse < 6; relapse++) {
		int64_t wait = (relapse < 3 ? (int64_t)1 << relapse : 8) * 10 * SECOND;

		now += SECOND; /* the first look without a condition */
		assert_int_equal(look_until(&p, 0, now, now + wait).event, PROCEDURE_NOTHING);
		now += wait;
		assert_int_equal(procedure_look(&p, 0, now).event, PROCEDURE_CANARY_BEGAN);
		now += SECOND;
		/* At once, whatever `for` says. */
		assert_int_equal(procedure_look(&p, 1, now).event, PROCEDURE_RELAPSED);
		assert_int_equal(procedure_control(&p, now).withheld_percent, 80);
	}
	/* The next time that it begins is not the fault of the last. */
	now += SECOND;
	look_until(&p, 0, now, now + 1000 * SECOND);
	assert_int_equal(p.state, PROCEDURE_WATCHING);
	now += 1000 * SECOND;
	assert_int_equal(procedure_look(&p, 2, now).event, PROCEDURE_BEGAN);
	assert_int_equal(p.relapses, 0);
}

static void an_open_breaker_counts_until_it_lets_probes_through(void **state)
{
	static struct config_procedure_condition open[] = {
		{.breaker = CONFIG_PROCEDURE_BREAKER_OPEN}};
	const struct config_procedure one = {.when = {open, 1}};
	struct procedure_sample half_open = {.breaker_closed = false}, refusing = half_open;
	struct tally_window window = {.next = 0};
	struct procedure p;

	(void)state;
	refusing.breaker_refuses = true;
	procedure_init(&p, &one, 0);
	assert_true(procedure_holds(&p, &open[0], &half_open, &window));
	assert_true(procedure_holds(&p, &open[0], &refusing, &window));
	procedure_look(&p, 1, 0);
	assert_int_equal(p.state, PROCEDURE_ACTIVE);
	assert_false(procedure_holds(&p, &open[0], &half_open, &window));
	assert_true(procedure_holds(&p, &open[0], &refusing, &window));
}

static void rates_and_latencies_are_those_of_the_window(void **state)
{
	static struct config_procedure_condition latency = {
		.latency_ms = 1000, .percentile = 90, .minimum = 10, .window_ms = 2000};
	const struct procedure_sample sample = {.breaker_closed = true, .healthy_percent = 100};
	struct tally_window window;
	struct tally tally = {.failed = 0};
	struct procedure p;

	(void)state;
	procedure_init(&p, &config, 0);
	tally_window_reset(&window, &tally);
	for (int i = 0; i < 9; i++)
		tally_count(&tally, 2000, true);
	tally_window_look(&window, &tally);
	/* Too few. */
	assert_false(procedure_holds(&p, &conditions[0], &sample, &window));
	assert_false(procedure_holds(&p, &latency, &sample, &window));
	tally_count(&tally, 1, false);
	tally_window_look(&window, &tally);
	assert_true(procedure_holds(&p, &conditions[0], &sample, &window));
	assert_true(procedure_holds(&p, &latency, &sample, &window));
	/* 10 of 51 failed: under 20 %, and nine in ten were quick. */
	for (int i = 0; i < 41; i++)
		tally_count(&tally, 3, i == 0);
	tally_window_look(&window, &tally);
	assert_false(procedure_holds(&p, &conditions[0], &sample, &window));
	assert_false(procedure_holds(&p, &latency, &sample, &window));
	/* What is older than the window does not count. */
	for (int i = 0; i < 2; i++)
		tally_window_look(&window, &tally);
	assert_int_equal(tally_window_read(&window, 2).calls, 0);
	assert_int_equal(tally_window_read(&window, 60).calls, 51);
}

static void percentiles_are_within_half_an_octave(void **state)
{
	struct tally tally = {.failed = 0};
	struct tally_window window;

	(void)state;
	tally_window_reset(&window, &tally);
	for (int64_t ms = 0; ms < 70000; ms += 7)
		tally_count(&tally, ms, false);
	tally_window_look(&window, &tally);
	for (uint32_t percentile = 1; percentile <= 100; percentile++) {
		struct tally_figures figures = tally_window_read(&window, 1);
		int64_t got = tally_percentile_ms(&figures, percentile);
		int64_t exact = 700 * (int64_t)percentile;

		assert_true(got <= exact + 7);
		assert_true(got >= exact * 2 / 3 - 7 || got >= 49152);
	}
}

static void controls_survive_packing_and_the_stricter_of_two_holds(void **state)
{
	struct tally tally = {.failed = 0};
	struct tally_control a = {.withheld_percent = 100, .shift = 70000, .shed = 1};
	struct tally_control b = {.withheld_percent = 5, .fallback = true, .shed = 2};
	struct tally_control both = procedure_control_both(a, b);

	(void)state;
	assert_false(tally_interferes(&tally));
	tally_set(&tally, a);
	assert_true(tally_interferes(&tally));
	assert_memory_equal(&(uint32_t){tally_get(&tally).shift}, &a.shift, sizeof(a.shift));
	assert_int_equal(tally_get(&tally).withheld_percent, 100);
	assert_int_equal(tally_get(&tally).shed, 1);
	assert_false(tally_get(&tally).fallback);
	tally_set(&tally, b);
	assert_true(tally_get(&tally).fallback);
	assert_int_equal(both.withheld_percent, 100);
	assert_int_equal(both.shift, 70000);
	assert_int_equal(both.shed, 2);
	tally_set(&tally, (struct tally_control){.shed = 0});
	assert_false(tally_interferes(&tally));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_condition_has_to_hold_for_its_time),
		cmocka_unit_test(steps_start_once_when_they_are_due),
		cmocka_unit_test(a_late_step_does_not_start_once_it_is_over),
		cmocka_unit_test(requests_come_back_by_canary_and_ramp),
		cmocka_unit_test(a_relapse_takes_everything_back_and_the_next_try_later),
		cmocka_unit_test(an_open_breaker_counts_until_it_lets_probes_through),
		cmocka_unit_test(rates_and_latencies_are_those_of_the_window),
		cmocka_unit_test(percentiles_are_within_half_an_octave),
		cmocka_unit_test(controls_survive_packing_and_the_stricter_of_two_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
