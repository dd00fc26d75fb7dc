#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "guard/fair_share.h"

static struct fair_share fair;

static int setup(void **state)
{
	(void)state;
	memset(&fair, 0, sizeof(fair));
	return 0;
}

static uint64_t client(unsigned number)
{
	return hash_span(span_of(&number, sizeof(number)));
}

/* How many of the client's requests are taken. */
static unsigned ask(unsigned number, unsigned requests)
{
	unsigned taken = 0;

	for (unsigned i = 0; i < requests; i++)
		taken += fair_share_takes(&fair, client(number));
	return taken;
}

static void nobody_is_shed_while_there_is_nothing_to_shed(void **state)
{
	(void)state;
	fair_share_step(&fair, false);
	assert_false(fair_share_is_active(&fair));
	assert_int_equal(ask(1, 100000), 100000);
}

static void who_asks_for_most_is_shed_and_others_do_not_notice(void **state)
{
	unsigned greedy = 0, others = 0;

	(void)state;
	fair_share_step(&fair, true);
	assert_true(fair_share_is_active(&fair));
	/* Too much are more than 1000 taken in a step. */
	for (unsigned step = 0; step < 100; step++) {
		greedy = others = 0;
		for (unsigned i = 1; i <= 10; i++)
			greedy += ask(i, 1000);
		for (unsigned i = 101; i <= 110; i++)
			others += ask(i, 20);
		fair_share_step(&fair, greedy + others > 1000);
		if (step >= 20) {
			assert_int_equal(others, 200);
			assert_in_range(greedy, 400, 1300);
		}
	}
}

static void when_it_is_over_nobody_is_shed_again(void **state)
{
	unsigned steps = 0;

	(void)state;
	fair_share_step(&fair, true);
	for (unsigned step = 0; step < 10; step++) {
		ask(1, 1000);
		fair_share_step(&fair, true);
	}
	assert_true(ask(1, 1000) < 200);
	while (fair_share_is_active(&fair)) {
		assert_true(steps++ < 20);
		ask(1, 1000);
		fair_share_step(&fair, false);
	}
	assert_int_equal(ask(1, 1000), 1000);
}

static void a_client_keeps_a_little_however_bad_it_is(void **state)
{
	(void)state;
	for (unsigned step = 0; step < 100; step++) {
		ask(1, 10);
		fair_share_step(&fair, true);
	}
	assert_int_equal(ask(1, 100), 16);
}

static void counts_of_a_step_do_not_reach_into_another(void **state)
{
	(void)state;
	fair_share_step(&fair, true);
	ask(1, 20);
	fair_share_step(&fair, true);
	for (unsigned step = 0; step < 5000; step++) {
		assert_true(ask(1, 13) == 13);
		fair_share_step(&fair, true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nobody_is_shed_while_there_is_nothing_to_shed, setup),
		cmocka_unit_test_setup(who_asks_for_most_is_shed_and_others_do_not_notice,
				       setup),
		cmocka_unit_test_setup(when_it_is_over_nobody_is_shed_again, setup),
		cmocka_unit_test_setup(a_client_keeps_a_little_however_bad_it_is, setup),
		cmocka_unit_test_setup(counts_of_a_step_do_not_reach_into_another, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
