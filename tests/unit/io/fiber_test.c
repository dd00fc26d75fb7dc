#include "support.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static char trace[64];

static int setup(void **state)
{
	trace[0] = '\0';
	return loop_setup(state);
}

static void note(char c)
{
	size_t len = strlen(trace);

	assert_true(len + 1 < sizeof(trace));
	trace[len] = c;
	trace[len + 1] = '\0';
}

/* --- order --- */

static void note_twice(void *arg)
{
	const char *letters = arg;

	note(letters[0]);
	fiber_yield();
	note(letters[1]);
}

static void test_fibers_start_in_order_and_take_turns(void **state)
{
	char first[] = "ab", second[] = "xy";

	(void)state;
	start_fiber(note_twice, first);
	start_fiber(note_twice, second);
	assert_string_equal(trace, "");
	assert_int_equal(fiber_live_count(), 2);
	run_fibers();
	assert_string_equal(trace, "axby");
	assert_null(fiber_self());
}

/* --- gathering --- */

static void gather_between(void *arg)
{
	const char *letters = arg;

	note(letters[0]);
	fiber_gather();
	note(letters[1]);
	/* It has waited for the others of this round once. */
	fiber_gather();
	note(letters[2]);
}

static void test_gathered_fibers_go_on_when_the_others_have_come_as_far(void **state)
{
	char first[] = "abc", second[] = "xyz", third[] = "123";

	(void)state;
	start_fiber(gather_between, first);
	start_fiber(gather_between, second);
	start_fiber(gather_between, third);
	loop_step(loop_current(), 0);
	/* The last one has nobody to wait for. */
	assert_string_equal(trace, "ax123bcyz");
	assert_int_equal(fiber_live_count(), 0);
}

static void test_who_is_alone_does_not_gather(void **state)
{
	char alone[] = "abc";

	(void)state;
	start_fiber(gather_between, alone);
	run_fibers();
	assert_string_equal(trace, "abc");
}

static int begun, most_begun;

static void gather_in_a_crowd(void *arg)
{
	(void)arg;
	if (++begun > most_begun)
		most_begun = begun;
	fiber_gather();
	begun--;
}

static void test_few_wait_for_each_other(void **state)
{
	(void)state;
	begun = most_begun = 0;
	for (int i = 0; i < 100; i++)
		start_fiber(gather_in_a_crowd, NULL);
	loop_step(loop_current(), 0);
	assert_int_equal(fiber_live_count(), 0);
	assert_int_equal(begun, 0);
	assert_in_range(most_begun, 2, 16);
}

static struct fiber *gathering;
static bool was_cancelled;

static void gather_while_cancelled(void *arg)
{
	(void)arg;
	gathering = fiber_self();
	fiber_gather();
	was_cancelled = fiber_is_cancelled();
	note('g');
}

static void cancel_the_gathering(void *arg)
{
	(void)arg;
	fiber_cancel(gathering);
	fiber_wake(gathering);
	note('c');
}

static void test_a_gathering_fiber_may_be_cancelled(void **state)
{
	(void)state;
	was_cancelled = false;
	start_fiber(gather_while_cancelled, NULL);
	start_fiber(cancel_the_gathering, NULL);
	run_fibers();
	assert_string_equal(trace, "cg");
	assert_true(was_cancelled);
}

/* --- parking --- */

struct parker {
	struct fiber *fiber;
	int64_t wait_ms; /* < 0: for ever */
	enum fiber_wake woken;
	int parks;
	bool parked, again;
	int64_t woken_ms;
};

static void park(void *arg)
{
	struct parker *p = arg;

	p->fiber = fiber_self();
	do {
		p->parked = true;
		p->woken = fiber_park(loop_deadline_ms(p->wait_ms));
		p->woken_ms = loop_now_ms();
		p->parks++;
	} while (p->again && p->woken == FIBER_EVENT);
	p->parked = false;
}

static void test_wake_ends_a_park(void **state)
{
	struct parker p = {.wait_ms = -1};

	(void)state;
	start_fiber(park, &p);
	run_until(&p.parked);
	fiber_wake(p.fiber);
	fiber_wake(p.fiber);
	run_fibers();
	assert_int_equal(p.woken, FIBER_EVENT);
	assert_int_equal(p.parks, 1);
}

static void wake_then_park(void *arg)
{
	struct parker *p = arg;

	fiber_wake(fiber_self());
	p->woken = fiber_park(FIBER_FOREVER);
	/* It is used up. */
	p->parks = fiber_park(loop_deadline_ms(5)) == FIBER_TIMEOUT;
}

static void test_wake_before_park_is_not_lost(void **state)
{
	struct parker p = {.woken = FIBER_CANCELLED};

	(void)state;
	start_fiber(wake_then_park, &p);
	run_fibers();
	assert_int_equal(p.woken, FIBER_EVENT);
	assert_int_equal(p.parks, 1);
}

static void test_deadline_ends_a_park_and_is_never_early(void **state)
{
	struct parker p = {.wait_ms = 30};
	int64_t start_ms = loop_now_ms();

	(void)state;
	start_fiber(park, &p);
	run_fibers();
	assert_int_equal(p.woken, FIBER_TIMEOUT);
	assert_true(p.woken_ms >= start_ms + 30);
}

static void test_cancel_ends_this_and_later_parks(void **state)
{
	struct parker p = {.wait_ms = -1, .again = true};

	(void)state;
	start_fiber(park, &p);
	run_until(&p.parked);
	fiber_wake(p.fiber);
	loop_step(loop_current(), 0);
	fiber_cancel(p.fiber);
	run_fibers();
	assert_int_equal(p.woken, FIBER_CANCELLED);
	assert_int_equal(p.parks, 2);
}

static void cancelled_life(void *arg)
{
	bool *all_right = arg;

	fiber_cancel(fiber_self());
	*all_right = fiber_park(FIBER_FOREVER) == FIBER_CANCELLED &&
		     fiber_park(FIBER_FOREVER) == FIBER_CANCELLED && fiber_is_cancelled() &&
		     fiber_uncancel() && !fiber_is_cancelled() && !fiber_uncancel() &&
		     fiber_park(loop_deadline_ms(3)) == FIBER_TIMEOUT;
}

static void test_clean_up_can_wait_after_uncancel(void **state)
{
	bool all_right = false;

	(void)state;
	start_fiber(cancelled_life, &all_right);
	run_fibers();
	assert_true(all_right);
}

static void yield_while_cancelled(void *arg)
{
	fiber_cancel(fiber_self());
	note_twice(arg);
}

static void test_cancelled_fiber_still_yields(void **state)
{
	char first[] = "ab", second[] = "xy";

	(void)state;
	start_fiber(yield_while_cancelled, first);
	start_fiber(note_twice, second);
	run_fibers();
	assert_string_equal(trace, "axby");
}

static void yield_keeps_a_wake(void *arg)
{
	struct parker *p = arg;

	fiber_wake(fiber_self());
	fiber_yield();
	p->woken = fiber_park(loop_deadline_ms(5));
}

static void test_yield_uses_up_no_wake(void **state)
{
	struct parker p = {.woken = FIBER_TIMEOUT};

	(void)state;
	start_fiber(yield_keeps_a_wake, &p);
	run_fibers();
	assert_int_equal(p.woken, FIBER_EVENT);
}

static void sleep_a_little(void *arg)
{
	struct parker *p = arg;

	p->fiber = fiber_self();
	p->parked = true;
	p->woken = fiber_sleep_ms(20);
	p->woken_ms = loop_now_ms();
}

static void test_wakes_do_not_shorten_a_sleep(void **state)
{
	struct parker p = {.parked = false};
	int64_t start_ms = loop_now_ms();

	(void)state;
	start_fiber(sleep_a_little, &p);
	run_until(&p.parked);
	fiber_wake(p.fiber);
	run_fibers();
	assert_int_equal(p.woken, FIBER_TIMEOUT);
	assert_true(p.woken_ms >= start_ms + 20);
}

/* --- many --- */

#define MANY 5000

static int sum;

static void count_down(void *arg)
{
	unsigned turns = *(unsigned *)arg;

	for (unsigned i = 0; i < turns; i++)
		fiber_yield();
	sum++;
}

static void test_thousands_of_fibers(void **state)
{
	static unsigned turns[MANY];

	(void)state;
	sum = 0;
	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < MANY; i++) {
			turns[i] = i % 7;
			start_fiber(count_down, &turns[i]);
		}
		run_fibers();
	}
	assert_int_equal(sum, 3 * MANY);
}

static void start_a_child(void *arg)
{
	int *depth = arg;

	if (--*depth > 0)
		start_fiber(start_a_child, depth);
}

static void test_fibers_start_fibers(void **state)
{
	int depth = 100;

	(void)state;
	start_fiber(start_a_child, &depth);
	run_fibers();
	assert_int_equal(depth, 0);
}

/* --- stacks --- */

/* Each frame is read after the call below it, so that no compiler makes a loop of this. */
NOINLINE static unsigned dig(unsigned depth, const volatile char *above)
{
	volatile char frame[1024];
	unsigned below;

	frame[depth % sizeof(frame)] =
		above ? (char)(above[(depth + 1) % sizeof(frame)] ^ 1) : 1;
	if (depth == 0)
		return 0;
	below = dig(depth - 1, frame);
	return below + (frame[depth % sizeof(frame)] <= 1 ? 1 : 2);
}

static void dig_deep(void *arg)
{
	unsigned *depth = arg;

	*depth = dig(*depth, NULL);
}

static void test_deep_use_of_the_stack(void **state)
{
	unsigned depth = 40; /* of 1 KiB and a little more each, of 64 KiB */

	(void)state;
	start_fiber(dig_deep, &depth);
	run_fibers();
	assert_int_equal(depth, 40);
}

static void dies_of_segv(fiber_function *function, void *arg)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct loop *loop;

		/* A sanitizer's report is not what is tested. */
		signal(SIGSEGV, SIG_DFL);
		loop = loop_new(NULL);
		if (loop && fiber_start(function, arg, NULL))
			while (fiber_live_count())
				loop_step(loop, 0);
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

static void test_overflow_hits_the_guard(void **state)
{
	unsigned depth = 100000;

	(void)state;
	dies_of_segv(dig_deep, &depth);
}

/* Beyond the lowest byte of the stack, by less than the guard. */
__attribute__((no_sanitize("address", "thread"))) static void leap(void *arg)
{
	size_t stack_bytes = (size_t)64 * 1024;
	volatile char *here;

	(void)arg;
#if defined(HAVE_ASAN) || defined(HAVE_TSAN)
	stack_bytes = (size_t)256 * 1024;
#endif
	here = (volatile char *)__builtin_frame_address(0) - stack_bytes - 20000;
	*here = 1;
}

static void test_big_frames_do_not_leap_over_the_guard(void **state)
{
	(void)state;
	dies_of_segv(leap, NULL);
}

/* --- registers --- */

static double mixed(double seed, int64_t number)
{
	return seed * 3.25 + (double)number / 7.0;
}

static void calculate(void *arg)
{
	double *result = arg;
	double a = *result, b = a * 1.5;
	int64_t c = (int64_t)a * 77, d = c ^ 0x55;

	for (int i = 0; i < 50; i++) {
		a = mixed(a, c) / 4;
		fiber_yield();
		b = mixed(b, d) / 4;
		c = c * 31 + 1;
		fiber_yield();
		d = d * 17 + c;
		c %= 1000003;
		d %= 1000003;
	}
	*result = a + b + (double)(c + d);
}

static void test_registers_survive_switches(void **state)
{
	double alone[20], together[20];

	(void)state;
	for (int i = 0; i < 20; i++) {
		alone[i] = together[i] = i * 1.125;
		start_fiber(calculate, &alone[i]);
		run_fibers();
	}
	for (int i = 0; i < 20; i++)
		start_fiber(calculate, &together[i]);
	run_fibers();
	assert_memory_equal(alone, together, sizeof(alone));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, loop_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_fibers_start_in_order_and_take_turns),
		TEST(test_gathered_fibers_go_on_when_the_others_have_come_as_far),
		TEST(test_who_is_alone_does_not_gather),
		TEST(test_few_wait_for_each_other),
		TEST(test_a_gathering_fiber_may_be_cancelled),
		TEST(test_wake_ends_a_park),
		TEST(test_wake_before_park_is_not_lost),
		TEST(test_deadline_ends_a_park_and_is_never_early),
		TEST(test_cancel_ends_this_and_later_parks),
		TEST(test_clean_up_can_wait_after_uncancel),
		TEST(test_cancelled_fiber_still_yields),
		TEST(test_yield_uses_up_no_wake),
		TEST(test_wakes_do_not_shorten_a_sleep),
		TEST(test_thousands_of_fibers),
		TEST(test_fibers_start_fibers),
		TEST(test_deep_use_of_the_stack),
		TEST(test_overflow_hits_the_guard),
		TEST(test_big_frames_do_not_leap_over_the_guard),
		TEST(test_registers_survive_switches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
