/* overload_test.c - actions begin and end with the pressure, and what cgroups say of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "guard/overload.h"

static const struct config_overload config = {.hysteresis_percent = 10,
					      .no_keep_alive_percent = 75,
					      .short_timeouts_percent = 80,
					      .shed_low_percent = 85,
					      .shed_normal_percent = 0,
					      .refuse_percent = 95};

static uint32_t step(uint32_t actions, uint32_t percent)
{
	uint32_t pressure[OVERLOAD_RESOURCES] = {0};

	/* The most pressed one decides. */
	pressure[percent % OVERLOAD_RESOURCES] = percent;
	return overload_step(&config, actions, pressure);
}

static void actions_begin_in_steps(void **state)
{
	uint32_t actions = 0;

	(void)state;
	assert_int_equal(actions = step(actions, 74), 0);
	assert_int_equal(actions = step(actions, 75), OVERLOAD_BIT(OVERLOAD_NO_KEEP_ALIVE));
	actions = step(actions, 85);
	assert_int_equal(actions, OVERLOAD_BIT(OVERLOAD_NO_KEEP_ALIVE) |
					  OVERLOAD_BIT(OVERLOAD_SHORT_TIMEOUTS) |
					  OVERLOAD_BIT(OVERLOAD_SHED_LOW));
	actions = step(actions, 1000);
	assert_true(actions & OVERLOAD_BIT(OVERLOAD_REFUSE));
	assert_false(actions & OVERLOAD_BIT(OVERLOAD_SHED_NORMAL)); /* 0: never */
}

static void they_end_well_below_where_they_began(void **state)
{
	uint32_t actions = step(0, 95);

	(void)state;
	actions = step(actions, 85);
	assert_true(actions & OVERLOAD_BIT(OVERLOAD_REFUSE));
	actions = step(actions, 84);
	assert_false(actions & OVERLOAD_BIT(OVERLOAD_REFUSE));
	assert_true(actions & OVERLOAD_BIT(OVERLOAD_SHED_LOW));
	assert_int_equal(step(actions, 64), 0);
	assert_int_equal(step(actions, 65), OVERLOAD_BIT(OVERLOAD_NO_KEEP_ALIVE));
}

static void percents_do_not_overflow(void **state)
{
	(void)state;
	assert_int_equal(overload_percent(1, 0), 0);
	assert_int_equal(overload_percent(50, 200), 25);
	assert_int_equal(overload_percent(UINT64_MAX, UINT64_MAX), 100);
	assert_int_equal(overload_percent(UINT64_MAX, 1), 1000);
}

static void cgroups_say_a_number_or_that_there_is_none(void **state)
{
	uint64_t number = 7;

	(void)state;
	assert_true(overload_cgroup_number(SPAN("1048576\n"), &number));
	assert_int_equal(number, 1048576);
	assert_false(overload_cgroup_number(SPAN("max\n"), &number));
	assert_false(overload_cgroup_number(SPAN("9223372036854771712\n"), &number));
	assert_false(overload_cgroup_number(SPAN_NONE, &number));
	assert_int_equal(number, 1048576);
}

static void what_can_be_given_up_does_not_count(void **state)
{
	(void)state;
	assert_int_equal(
		overload_cgroup_inactive(SPAN("anon 5\ninactive_file 4096\nactive_file 9\n")),
		4096);
	assert_int_equal(
		overload_cgroup_inactive(SPAN("inactive_file 1\ntotal_inactive_file 8192\n")),
		8192);
	assert_int_equal(overload_cgroup_inactive(SPAN("inactive_file\n x\n")), 0);
	assert_int_equal(overload_cgroup_inactive(SPAN_NONE), 0);
}

static void names_are_there_for_all(void **state)
{
	(void)state;
	for (int i = 0; i < OVERLOAD_ACTIONS; i++)
		assert_non_null(overload_action_name((enum overload_action)i));
	for (int i = 0; i < OVERLOAD_RESOURCES; i++)
		assert_non_null(overload_resource_name((enum overload_resource)i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(actions_begin_in_steps),
		cmocka_unit_test(they_end_well_below_where_they_began),
		cmocka_unit_test(percents_do_not_overflow),
		cmocka_unit_test(cgroups_say_a_number_or_that_there_is_none),
		cmocka_unit_test(what_can_be_given_up_does_not_count),
		cmocka_unit_test(names_are_there_for_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
