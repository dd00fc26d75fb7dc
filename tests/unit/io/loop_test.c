#include "support.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/rand.h"
#include "io/loop_internal.h"

/* --- the timer wheel against a plain model, in made-up time --- */

#define TIMERS 400

static struct timer_wheel wheel;

struct model {
	struct timer timer;
	bool armed;
	int64_t at_ms;
	int chain; /* arm or clear another one when firing */
};

static struct model models[TIMERS];
static int64_t previous_ms;
static uint64_t fired;

static void model_set(struct model *m, int64_t at_ms)
{
	wheel_set(&wheel, &m->timer, at_ms);
	m->armed = true;
	m->at_ms = at_ms;
}

static void model_clear(struct model *m)
{
	if (m->timer.armed)
		wheel_remove(&wheel, &m->timer);
	m->armed = false;
}

static void model_stop(struct model *m)
{
	timer_stop(&m->timer);
	m->armed = false;
}

static int64_t random_distance(void)
{
	static const uint64_t spans[] = {3,	255,	 260,	   16384,
					 20000, 1048576, 70000000, 200000000};

	return (int64_t)rand_below(spans[rand_below(COUNT_OF(spans))]) + 1;
}

static void on_fire(struct timer *timer)
{
	struct model *m = CONTAINER_OF(timer, struct model, timer);
	struct model *other = &models[rand_below(TIMERS)];

	assert_true(m->armed);
	assert_false(timer->armed);
	m->armed = false;
	fired++;
	/* To the tick, and so in order. */
	assert_true(wheel.now_ms == m->at_ms);
	assert_true(wheel.now_ms >= previous_ms);
	previous_ms = wheel.now_ms;
	if (m->chain == 1)
		model_clear(other);
	else if (m->chain == 2)
		model_set(other, wheel.now_ms + random_distance());
	else if (m->chain == 3)
		model_set(m, wheel.now_ms + random_distance());
}

static void check_models(void)
{
	int64_t first_ms = INT64_MAX;
	unsigned armed = 0;

	for (int i = 0; i < TIMERS; i++) {
		/* A stopped timer may be in the wheel still. */
		assert_true(models[i].timer.armed || !models[i].armed);
		if (!models[i].armed)
			continue;
		armed++;
		if (models[i].at_ms < first_ms)
			first_ms = models[i].at_ms;
	}
	assert_true(wheel.count >= armed);
	assert_true(wheel.count == 0 ? wheel_next_ms(&wheel) == INT64_MAX
				     : wheel_next_ms(&wheel) <= first_ms);
	if (wheel.count)
		assert_true(wheel_next_ms(&wheel) > wheel.now_ms);
}

static void test_timers_fire_as_the_model_says(void **state)
{
	(void)state;
	wheel_init(&wheel, (int64_t)rand_below((uint64_t)1 << 30));
	previous_ms = 0;
	fired = 0;
	for (int i = 0; i < TIMERS; i++) {
		timer_init(&models[i].timer, on_fire);
		models[i].armed = false;
		models[i].chain = (int)rand_below(8);
	}
	for (int step = 0; step < 60000; step++) {
		struct model *m = &models[rand_below(TIMERS)];
		unsigned action = (unsigned)rand_below(8);
		int64_t to_ms = wheel.now_ms +
				(step % 16 ? (int64_t)rand_below(300) : random_distance() / 8);

		if (action < 4)
			model_set(m, wheel.now_ms + random_distance());
		else if (action == 4)
			model_clear(m);
		else if (action == 5)
			model_stop(m);
		wheel_advance(&wheel, to_ms);
		assert_true(wheel.now_ms == to_ms);
		for (int i = 0; i < TIMERS; i++)
			assert_true(!models[i].armed || models[i].at_ms > to_ms);
		check_models();
	}
	assert_true(fired > 1000);
}

static void test_deadlines_beyond_the_wheel(void **state)
{
	const int64_t far_ms = (int64_t)5 * 24 * 3600 * 1000;

	(void)state;
	wheel_init(&wheel, 12345);
	timer_init(&models[0].timer, on_fire);
	models[0].chain = 0;
	previous_ms = 0;
	fired = 0;
	model_set(&models[0], 12345 + far_ms);
	wheel_advance(&wheel, 12345 + far_ms - 1);
	assert_int_equal(fired, 0);
	wheel_advance(&wheel, 12345 + far_ms);
	assert_int_equal(fired, 1);
	model_set(&models[0], INT64_MAX);
	wheel_advance(&wheel, 12345 + 3 * far_ms);
	assert_int_equal(fired, 1);
	model_clear(&models[0]);
}

/* Two timers of one outer slot: the first to fire clears or moves the second. */
static struct timer first_timer, second_timer;
static int second_fired;

static void clear_second(struct timer *timer)
{
	(void)timer;
	wheel_remove(&wheel, &second_timer);
}

static void move_second(struct timer *timer)
{
	(void)timer;
	wheel_remove(&wheel, &second_timer);
	wheel_add(&wheel, &second_timer, wheel.now_ms + 1000);
}

static void count_second(struct timer *timer)
{
	(void)timer;
	second_fired++;
}

static void test_callback_may_clear_a_timer_that_is_being_moved_down(void **state)
{
	(void)state;
	wheel_init(&wheel, 0);
	second_fired = 0;
	timer_init(&first_timer, clear_second);
	timer_init(&second_timer, count_second);
	wheel_add(&wheel, &first_timer, 512);
	wheel_add(&wheel, &second_timer, 520);
	wheel_advance(&wheel, 600);
	assert_int_equal(second_fired, 0);
	assert_int_equal(wheel.count, 0);
	timer_init(&first_timer, move_second);
	wheel_add(&wheel, &first_timer, 1024);
	wheel_add(&wheel, &second_timer, 1030);
	wheel_advance(&wheel, 2023);
	assert_int_equal(second_fired, 0);
	wheel_advance(&wheel, 2024);
	assert_int_equal(second_fired, 1);
}

static int64_t fired_at_ms;
static bool timer_done;

static void note_time(struct timer *timer)
{
	(void)timer;
	fired_at_ms = clock_ms();
	timer_done = true;
}

static void test_real_timers_are_never_early(void **state)
{
	struct timer timer;

	(void)state;
	for (int i = 0; i < 20; i++) {
		int64_t due_ms = loop_now_ms() + i;

		timer_done = false;
		timer_init(&timer, note_time);
		timer_set(&timer, due_ms);
		run_until(&timer_done);
		assert_true(fired_at_ms >= due_ms);
	}
	timer_set(&timer, loop_now_ms() + 5);
	timer_clear(&timer);
	timer_clear(&timer);
	timer_done = false;
	for (int i = 0; i < 4; i++)
		loop_step(loop_current(), 5);
	assert_false(timer_done);
}

/* --- watches --- */

static struct watch left, right;
static int pair[2];
static uint32_t seen;
static int events_count;

static void open_pair(void)
{
	small_socketpair(pair);
	seen = 0;
	events_count = 0;
}

static void note_event(struct watch *watch, uint32_t events)
{
	(void)watch;
	seen |= events;
	events_count++;
}

static void close_pair(void)
{
	watch_remove(&left);
	watch_remove(&right);
	close(pair[0]);
	close(pair[1]);
}

static void test_watch_tells_edges(void **state)
{
	(void)state;
	open_pair();
	assert_int_equal(watch_add(&left, pair[0], note_event, NULL), 0);
	right.fd = -1;
	loop_step(loop_current(), 0);
	assert_int_equal(seen, EPOLLOUT);
	assert_int_equal(write(pair[1], "x", 1), 1);
	loop_step(loop_current(), 0);
	assert_int_equal(left.ready & EPOLLIN, EPOLLIN);
	events_count = 0;
	loop_step(loop_current(), 0); /* no new edge, though the byte is still there */
	assert_int_equal(events_count, 0);
	assert_int_equal(write(pair[1], "y", 1), 1);
	loop_step(loop_current(), 0);
	assert_int_equal(events_count, 1);
	shutdown(pair[1], SHUT_WR);
	loop_step(loop_current(), 0);
	assert_int_equal(left.ready & EPOLLRDHUP, EPOLLRDHUP);
	close_pair();
}

static int removals;

static void remove_both(struct watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
	watch_remove(&left);
	watch_remove(&right);
	/* What is freed must not be touched: make that visible. */
	memset(&left, 0xff, sizeof(left));
	memset(&right, 0xff, sizeof(right));
	removals++;
}

static void test_callback_may_remove_watches_with_pending_events(void **state)
{
	(void)state;
	open_pair();
	removals = 0;
	assert_int_equal(watch_add(&left, pair[0], remove_both, NULL), 0);
	assert_int_equal(watch_add(&right, pair[1], remove_both, NULL), 0);
	loop_step(loop_current(), 0);
	loop_step(loop_current(), 0);
	assert_int_equal(removals, 1);
	left.fd = right.fd = -1;
	close_pair();
}

struct waiter {
	struct watch *watch;
	uint32_t events;
	int64_t wait_ms;
	enum fiber_wake woken;
	bool waiting, done;
};

static void wait_for(void *arg)
{
	struct waiter *w = arg;

	w->waiting = true;
	w->woken = watch_wait(w->watch, w->events, loop_deadline_ms(w->wait_ms));
	w->done = true;
}

static void test_waiting_fibers_are_woken(void **state)
{
	struct waiter reader = {.watch = &left, .events = EPOLLIN, .wait_ms = 10000};
	struct waiter late = {.watch = &left, .events = EPOLLIN, .wait_ms = 5};
	struct waiter other = {.watch = &left, .events = EPOLLIN, .wait_ms = 10000};

	(void)state;
	open_pair();
	assert_int_equal(watch_add(&left, pair[0], NULL, NULL), 0);
	right.fd = -1;
	start_fiber(wait_for, &late);
	run_fibers();
	assert_int_equal(late.woken, FIBER_TIMEOUT);
	start_fiber(wait_for, &reader);
	start_fiber(wait_for, &other);
	run_until(&other.waiting);
	assert_int_equal(write(pair[1], "x", 1), 1);
	run_fibers();
	assert_int_equal(reader.woken, FIBER_EVENT);
	assert_int_equal(other.woken, FIBER_EVENT);
	/* Removal wakes too: the fiber then sees that fd is gone. */
	left.ready = 0;
	reader.waiting = false;
	start_fiber(wait_for, &reader);
	run_until(&reader.waiting);
	watch_remove(&left);
	run_fibers();
	assert_int_equal(reader.woken, FIBER_EVENT);
	close_pair();
}

/* --- deferred work --- */

static struct deferred once, chained, next;
static int once_count, chained_count, next_count;

static void run_once(struct deferred *deferred)
{
	(void)deferred;
	once_count++;
	loop_defer(&chained);
}

static void run_chained(struct deferred *deferred)
{
	(void)deferred;
	chained_count++;
}

static void run_next(struct deferred *deferred)
{
	next_count++;
	loop_defer_next(deferred);
}

static void test_deferred_work_runs_once_at_the_end_of_the_round(void **state)
{
	(void)state;
	once_count = chained_count = 0;
	deferred_init(&once, run_once);
	deferred_init(&chained, run_chained);
	loop_defer(&once);
	loop_defer(&once);
	loop_step(loop_current(), 1000);
	assert_int_equal(once_count, 1);
	assert_int_equal(chained_count, 1);
	loop_defer(&once);
	loop_undefer(&once);
	loop_undefer(&once);
	loop_step(loop_current(), 0);
	assert_int_equal(once_count, 1);
}

static void test_work_for_the_next_round_takes_turns(void **state)
{
	(void)state;
	next_count = 0;
	deferred_init(&next, run_next);
	loop_defer_next(&next);
	for (int i = 1; i <= 5; i++) {
		loop_step(loop_current(), 1000);
		assert_int_equal(next_count, i);
	}
	loop_undefer(&next);
	loop_step(loop_current(), 0);
	assert_int_equal(next_count, 5);
}

/* --- mailbox --- */

#define SENDERS 4
#define MESSAGES 20000

struct letter {
	struct loop_message message;
	int sender, number;
};

static struct letter *letters[SENDERS];
static int received, last_number[SENDERS];
static bool all_received;
static struct loop *receiver;

static void receive(struct loop_message *message)
{
	struct letter *letter = CONTAINER_OF(message, struct letter, message);

	assert_int_equal(letter->number, last_number[letter->sender] + 1);
	last_number[letter->sender] = letter->number;
	all_received = ++received == SENDERS * MESSAGES;
}

static void *send_letters(void *arg)
{
	int sender = *(int *)arg;

	for (int i = 0; i < MESSAGES; i++) {
		struct letter *letter = &letters[sender][i];

		letter->message.run = receive;
		letter->sender = sender;
		letter->number = i;
		loop_post(receiver, &letter->message);
	}
	return NULL;
}

static void test_mailbox_takes_letters_of_many_threads_in_order(void **state)
{
	pthread_t threads[SENDERS];
	int numbers[SENDERS];

	receiver = *state;
	received = 0;
	all_received = false;
	for (int i = 0; i < SENDERS; i++) {
		letters[i] = test_calloc(MESSAGES, sizeof(*letters[i]));
		last_number[i] = -1;
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, send_letters, &numbers[i]),
				 0);
	}
	run_until(&all_received);
	for (int i = 0; i < SENDERS; i++) {
		pthread_join(threads[i], NULL);
		test_free(letters[i]);
	}
}

static void *stop_soon(void *arg)
{
	usleep(5000);
	loop_stop(arg);
	return NULL;
}

static void test_another_thread_stops_the_loop(void **state)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, stop_soon, *state), 0);
	loop_run(*state);
	pthread_join(thread, NULL);
}

static void test_step_counter_is_even_between_steps(void **state)
{
	uint64_t before = loop_step_counter(*state);

	deferred_init(&chained, run_chained);
	loop_defer(&chained);
	loop_step(*state, 0);
	assert_int_equal(loop_step_counter(*state), before + 2);
	assert_int_equal(loop_step_counter(*state) % 2, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, loop_setup, loop_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timers_fire_as_the_model_says),
		cmocka_unit_test(test_deadlines_beyond_the_wheel),
		cmocka_unit_test(test_callback_may_clear_a_timer_that_is_being_moved_down),
		TEST(test_real_timers_are_never_early),
		TEST(test_watch_tells_edges),
		TEST(test_callback_may_remove_watches_with_pending_events),
		TEST(test_waiting_fibers_are_woken),
		TEST(test_deferred_work_runs_once_at_the_end_of_the_round),
		TEST(test_work_for_the_next_round_takes_turns),
		TEST(test_mailbox_takes_letters_of_many_threads_in_order),
		TEST(test_another_thread_stops_the_loop),
		TEST(test_step_counter_is_even_between_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
