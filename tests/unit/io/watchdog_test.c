#include "support.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/watchdog.h"

static char log_path[] = "/tmp/sallyport-watchdog-XXXXXX";
static int log_fd;

static int setup(void **state)
{
	struct err err;

	log_fd = mkstemp(log_path);
	if (log_fd < 0 || loop_setup(state) < 0)
		return -1;
	log_setup(log_fd, LOG_WARN, LOG_FORMAT_JSON);
	return watchdog_start(20, &err) < 0 || watchdog_add(*state, &err) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	watchdog_remove(*state);
	watchdog_stop();
	log_setup(STDERR_FILENO, LOG_INFO, LOG_FORMAT_JSON);
	close(log_fd);
	unlink(log_path);
	memcpy(log_path + sizeof(log_path) - 7, "XXXXXX", 6);
	return loop_teardown(state);
}

static size_t read_log(char *to, size_t size)
{
	ssize_t n = pread(log_fd, to, size - 1, 0);

	assert_true(n >= 0);
	to[n] = '\0';
	return (size_t)n;
}

/* Until the watchdog has seen it: no time is assumed but that of a slow machine. */
static void compute_until_seen(void *arg)
{
	uint64_t before = watchdog_stuck_count();
	int64_t give_up_ms = clock_ms() + 10000;

	while (watchdog_stuck_count() == before && clock_ms() < give_up_ms)
		*(volatile int *)arg += 1;
	/* Still the same step: not logged again. */
	before = clock_ms() > give_up_ms ? 0 : (uint64_t)clock_ms() + 80;
	while ((uint64_t)clock_ms() < before)
		*(volatile int *)arg += 1;
}

static size_t count_words(const char *text, const char *word)
{
	size_t count = 0;

	while ((text = strstr(text, word))) {
		count++;
		text++;
	}
	return count;
}

static void test_stuck_step_is_logged_once_with_its_stack(void **state)
{
	char text[8192];
	int work = 0;

	(void)state;
	if (!watchdog_is_supported()) {
		print_message("the watchdog is off in this build\n");
		skip();
	}
	start_fiber(compute_until_seen, &work);
	run_fibers();
	assert_true(work > 0);
	read_log(text, sizeof(text));
	assert_int_equal(count_words(text, "\"event\":\"loop.stuck\""), 1);
	/* This program's own code is in the stack. */
	if (!strstr(text, "watchdog_test+0x"))
		print_error("%s\n", text);
	assert_non_null(strstr(text, "watchdog_test+0x"));
	assert_null(strstr(text, "unknown"));
	start_fiber(compute_until_seen, &work);
	run_fibers();
	read_log(text, sizeof(text));
	assert_int_equal(count_words(text, "\"event\":\"loop.stuck\""), 2);
}

static void test_waiting_for_events_is_not_stuck(void **state)
{
	char text[1024];

	for (int i = 0; i < 4; i++)
		loop_step(*state, 30);
	assert_int_equal(read_log(text, sizeof(text)), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_stuck_step_is_logged_once_with_its_stack),
		TEST(test_waiting_for_events_is_not_stuck),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
