#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "io/process.h"
#include "io/stream.h"

struct run {
	const char *script;
	const char *const *env;
	int64_t wait_ms;
	int64_t kill_after_ms; /* < 0: not */
	char output[256];
	size_t output_len;
	int result;
	struct process_exit how;
	struct err err;
	struct fiber *fiber;
	pid_t pid;
	bool started;
};

static void read_output(struct run *run, int fd)
{
	struct stream stream;
	size_t got;

	assert_int_equal(stream_init(&stream, fd, NULL, NULL), 0);
	while (run->output_len < sizeof(run->output) - 1 &&
	       stream_read(&stream, run->output + run->output_len,
			   sizeof(run->output) - 1 - run->output_len, &got,
			   loop_deadline_ms(10000)) == IO_OK)
		run->output_len += got;
	stream_close(&stream);
}

static void run_script(void *arg)
{
	struct run *run = arg;
	const char *const argv[] = {"sh", "-c", run->script, NULL};
	struct process process;
	int fds[2];

	run->fiber = fiber_self();
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	run->result = process_start(
		&process,
		&(struct process_options){
			.path = "/bin/sh",
			.argv = argv,
			.env = run->env,
			.fds = (const struct process_fd[]){{fds[1], 1}, {fds[1], 5}},
			.fd_count = 2},
		&run->err);
	assert_int_equal(run->result, 0);
	run->pid = process.pid;
	run->started = true;
	close(fds[1]);
	if (run->kill_after_ms < 0) {
		read_output(run, fds[0]);
	} else {
		/* Let it say that it is ready. */
		struct stream stream;
		size_t got;

		assert_int_equal(stream_init(&stream, fds[0], NULL, NULL), 0);
		stream_read(&stream, run->output, 1, &got, loop_deadline_ms(10000));
		stream_close(&stream);
	}
	run->result =
		process_wait(&process, loop_deadline_ms(run->wait_ms), &run->how, &run->err);
	if (run->result < 0)
		process_kill(&process, run->kill_after_ms, &run->how);
	assert_int_equal(process.pid, 0);
	assert_int_equal(process_wait(&process, loop_deadline_ms(10), &run->how, NULL), -1);
}

static void finish(struct run *run)
{
	start_fiber(run_script, run);
	run_fibers();
}

static void test_output_and_status_come_back(void **state)
{
	static const char *const env[] = {"NAME=value", NULL};
	struct run run = {.script = "echo $NAME; echo more >&5; exit 7",
			  .env = env,
			  .wait_ms = 10000,
			  .kill_after_ms = -1};

	(void)state;
	finish(&run);
	assert_int_equal(run.result, 0);
	assert_string_equal(run.output, "value\nmore\n");
	assert_int_equal(run.how.code, 7);
	assert_int_equal(run.how.signal, 0);
}

static void test_death_by_signal_is_told(void **state)
{
	struct run run = {.script = "kill -9 $$", .wait_ms = 10000, .kill_after_ms = -1};

	(void)state;
	finish(&run);
	assert_int_equal(run.result, 0);
	assert_int_equal(run.how.code, -1);
	assert_int_equal(run.how.signal, SIGKILL);
}

static void test_child_inherits_only_what_is_named(void **state)
{
	struct run run = {.script = "ls /proc/self/fd | tr '\\n' ' '; env | grep -v ^PWD",
			  .wait_ms = 10000,
			  .kill_after_ms = -1};
	int leak = fcntl(0, F_DUPFD, 20); /* without close-on-exec */

	(void)state;
	finish(&run);
	close(leak);
	/* 3 is the folder that ls reads. */
	if (strncmp(run.output, "0 1 2 3 5 ", 10) != 0)
		print_error("output: %s\n", run.output);
	assert_int_equal(strncmp(run.output, "0 1 2 3 5 ", 10), 0);
	assert_null(strstr(run.output, "HOME"));
}

static void test_deadline_then_polite_kill(void **state)
{
	struct run run = {.script = "trap 'exit 3' TERM; echo; while :; do sleep 0.01; done",
			  .wait_ms = 20,
			  .kill_after_ms = 10000};

	(void)state;
	finish(&run);
	assert_int_equal(run.result, -1);
	assert_int_equal(run.err.code, ERR_TIMEOUT);
	assert_int_equal(run.how.code, 3);
}

static void test_stubborn_group_is_killed(void **state)
{
	struct run run = {.script = "trap '' TERM; sleep 1000 & echo; wait; sleep 1000",
			  .wait_ms = 20,
			  .kill_after_ms = 30};

	(void)state;
	finish(&run);
	assert_int_equal(run.how.signal, SIGKILL);
	/* Nobody of its group is left, once init has reaped the orphans. */
	for (int i = 0; i < 1000 && kill(-run.pid, 0) == 0; i++)
		usleep(5000);
	assert_int_equal(kill(-run.pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static void test_cancelled_fiber_still_reaps(void **state)
{
	struct run run = {.script = "echo; exec sleep 1000", .wait_ms = 10000};

	(void)state;
	start_fiber(run_script, &run);
	run_until(&run.started);
	while (!run.output[0])
		loop_step(loop_current(), 10);
	fiber_cancel(run.fiber);
	run_fibers();
	assert_int_equal(run.err.code, ERR_CANCELLED);
	assert_int_equal(run.how.signal, SIGKILL);
}

static void start_nothing(void *arg)
{
	struct err *err = arg;
	const char *const argv[] = {"x", NULL};
	struct process process;

	assert_int_equal(process_start(&process,
				       &(struct process_options){.path = "/nonexistent/program",
								 .argv = argv},
				       err),
			 -1);
	assert_int_equal(
		process_start(&process,
			      &(struct process_options){
				      .path = "/bin/true",
				      .argv = argv,
				      .fds = (const struct process_fd[]){{0, 3}, {0, 3}},
				      .fd_count = 2},
			      NULL),
		-1);
}

static void test_missing_program_is_an_error(void **state)
{
	struct err err;

	(void)state;
	start_fiber(start_nothing, &err);
	run_fibers();
	assert_non_null(strstr(err.message, "/nonexistent/program"));
	assert_non_null(strstr(err.message, "No such file"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, loop_setup, loop_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_output_and_status_come_back),
		TEST(test_death_by_signal_is_told),
		TEST(test_child_inherits_only_what_is_named),
		TEST(test_deadline_then_polite_kill),
		TEST(test_stubborn_group_is_killed),
		TEST(test_cancelled_fiber_still_reaps),
		TEST(test_missing_program_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
