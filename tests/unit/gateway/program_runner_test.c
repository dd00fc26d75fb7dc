/*
 * program_runner_test.c - programs for rules of the firewall, through a real helper process: what they
 * are given, what they answer, and how what goes wrong is told.
 */
#include "../io/support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "gateway/program_runner.h"

static const char script[] = "#!/bin/sh\n"
			     "case ${1-none} in\n"
			     "  /*) echo \"file $(basename \"$1\") $(cat \"$1\")\" ;;\n"
			     "  none) [ \"$SAY\" = fail ] && exit 127; exit 0 ;;\n"
			     "  input) cat ;;\n"
			     "  say) echo \"$SAY ${HOME:+home} $SALLYPORT_SECRET\" ;;\n"
			     "  long) yes | head -c 100000 ;;\n"
			     "  sleep) sleep 60 ;;\n"
			     "  where) echo \"$HOME\" >\"$NOTES/new\"\n"
			     "         mv \"$NOTES/new\" \"$NOTES/where\"; sleep 60 ;;\n"
			     "  die) kill -9 $$ || exit 126 ;;\n"
			     "  shell*) echo \"1 $1\" ;;\n"
			     "esac\n";

static char path[] = "/tmp/sallyport-program-XXXXXX";
static struct span allowed[1];
static struct config_waf waf;
static struct config cfg;
static struct program_helper *helper;
static struct program_runner *runner;
static struct span writable; /* empty: nothing */
static unsigned failures;

static void on_failure(void *context, const char *why)
{
	assert_ptr_equal(context, &failures);
	assert_true(strlen(why) > 0);
	failures++;
}

struct question {
	struct waf_program_call call;
	char output[256];
	size_t len;
	int result;
	bool ended;
	struct err err;
};

static void ask(void *arg)
{
	struct question *q = arg;

	q->result = program_runner_ask(runner, &q->call, q->output, sizeof(q->output), &q->len,
				       &q->err);
	q->ended = true;
}

/* The answer to a value, or with a name to a file; fails the test without one. */
static struct span answer(struct question *q, struct span content, struct span name)
{
	q->call.content = content;
	q->call.file_name = name;
	start_fiber(ask, q);
	run_fibers();
	if (q->result < 0)
		fail_msg("%s", q->err.message);
	return span_trim(span_of(q->output, q->len));
}

/* That a helper has ended may be heard of a moment after nothing can be sent to it any more. */
static void refuses(struct question *q, const char *reason)
{
	for (int i = 0; i < 300; i++) {
		start_fiber(ask, q);
		run_fibers();
		assert_int_equal(q->result, -1);
		if (!strstr(q->err.message, "cannot send"))
			break;
		loop_step(loop_current(), 10);
	}
	if (!strstr(q->err.message, reason))
		fail_msg("%s, and not %s", q->err.message, reason);
}

static int start(void **state, uint64_t timeout_ms, uint32_t at_once)
{
	struct err err;

	if (loop_setup(state) < 0)
		return -1;
	allowed[0] = span_cstr(path);
	waf = (struct config_waf){.programs = {.allow = {allowed, 1},
					       .write = {&writable, writable.len > 0},
					       .timeout_ms = timeout_ms,
					       .at_once = at_once}};
	cfg = (struct config){.waf = &waf};
	failures = 0;
	if (program_helper_new(&helper, &cfg, 2, &err) < 0)
		return -1;
	runner = program_runner_new(helper, 1, on_failure, &failures, &err);
	return runner ? 0 : -1;
}

static int setup(void **state)
{
	return start(state, 15000, 4);
}

static int setup_short(void **state)
{
	return start(state, 1000, 1);
}

static int teardown(void **state)
{
	program_runner_free(runner);
	program_helper_free(helper);
	return loop_teardown(state);
}

static void a_value_is_an_argument_and_never_a_command(void **state)
{
	struct question q = {.call = {.program = 0}};

	(void)state;
	assert_true(span_eq(answer(&q, SPAN("shell; $(id) `id` \"x"), SPAN("")),
			    SPAN("1 shell; $(id) `id` \"x")));
	assert_true(span_eq(answer(&q, SPAN("input"), SPAN("")), SPAN("input")));
}

static void a_file_has_its_name_and_its_content(void **state)
{
	struct question q = {.call = {.program = 0}};
	struct span large;
	char *bytes = mem_alloc(3 << 20);

	(void)state;
	assert_non_null(bytes);
	assert_true(span_eq(answer(&q, SPAN("the body"), SPAN("upload-0")),
			    SPAN("file upload-0 the body")));
	/* Longer than any argument could be. */
	memset(bytes, 'x', 3 << 20);
	large = answer(&q, span_of(bytes, 3 << 20), SPAN("upload-1"));
	assert_true(span_starts_with(large, SPAN("file upload-1 xxxx")));
	assert_int_equal(q.len, sizeof(q.output));
	mem_free(bytes);
}

static void programs_see_what_they_are_given_and_nothing_of_ours(void **state)
{
	struct question q = {.call = {.environment = SPAN("A=1\0SAY=hello\0")}};

	(void)state;
	q.call.environment.len = sizeof("A=1\0SAY=hello");
	assert_true(span_eq(answer(&q, SPAN("say"), SPAN("")), SPAN("hello home")));
}

static void what_cannot_be_given_is_not_asked(void **state)
{
	static char many[1024], long_argument[128 << 10];
	struct question q = {
		.call = {.content = span_of(long_argument, sizeof(long_argument))}};
	size_t len = 0;

	(void)state;
	memset(long_argument, 'a', sizeof(long_argument));
	refuses(&q, "too long");
	q.call.content = SPAN("a\0b");
	refuses(&q, "could not be run");
	q.call.content = SPAN("a");
	q.call.file_name = SPAN("../escape");
	refuses(&q, "could not be run");
	q.call.file_name = SPAN("");
	q.call.program = 1;
	refuses(&q, "could not be run");
	q.call.program = 0;
	for (int i = 0; i < COMMAND_VARIABLES_MAX + 1; i++, len += 4)
		memcpy(many + len, "A=1", 4);
	q.call.environment = span_of(many, len);
	refuses(&q, "could not be run");
}

static void one_that_a_signal_ends_has_not_answered(void **state)
{
	struct question q = {.call = {.content = SPAN("die")}};

	(void)state;
	/* The sandbox lets nobody send signals, so that it says that it could not be run. */
	refuses(&q, "could not be run");
}

static void one_that_takes_too_long_is_killed(void **state)
{
	struct question q = {.call = {.content = SPAN("sleep")}};

	(void)state;
	refuses(&q, "killed after its time");
}

static void no_more_are_under_way_than_may_be(void **state)
{
	struct question q[3] = {{.call = {.content = SPAN("sleep")}},
				{.call = {.content = SPAN("sleep")}},
				{.call = {.content = SPAN("sleep")}}};
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(q); i++)
		start_fiber(ask, &q[i]);
	loop_step(loop_current(), 0);
	assert_true(q[2].ended && q[2].result == -1);
	assert_non_null(strstr(q[2].err.message, "too many"));
	assert_int_equal(program_runner_tell(runner, &q[0].call, &err), -1);
	run_fibers();
	/* And once they have ended there is room again. */
	q[0].call.content = SPAN("shell");
	assert_true(span_eq(answer(&q[0], SPAN("shell"), SPAN("")), SPAN("1 shell")));
}

static void who_is_only_told_is_heard_of_when_it_fails(void **state)
{
	struct waf_program_call call = {.environment = SPAN_NONE};
	struct question q = {.call = {.program = 0}};
	struct err err;

	(void)state;
	assert_int_equal(program_runner_tell(runner, &call, &err), 0);
	call.environment = span_of("SAY=fail", sizeof("SAY=fail"));
	assert_int_equal(program_runner_tell(runner, &call, &err), 0);
	for (int i = 0; i < 200 && failures == 0; i++)
		loop_step(loop_current(), 100);
	assert_int_equal(failures, 1);
	assert_true(span_eq(answer(&q, SPAN("shell"), SPAN("")), SPAN("1 shell")));
	assert_int_equal(failures, 1);
}

/* The only child of this process. */
static void kill_helper(void)
{
	FILE *children = fopen("/proc/thread-self/children", "r");
	int pid = 0;

	assert_non_null(children);
	assert_int_equal(fscanf(children, "%d", &pid), 1);
	assert_int_equal(fclose(children), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
}

static void who_waits_is_told_when_the_helper_ends(void **state)
{
	struct question q = {.call = {.content = SPAN("sleep")}};

	(void)state;
	start_fiber(ask, &q);
	loop_step(loop_current(), 0);
	kill_helper();
	run_fibers();
	assert_int_equal(q.result, -1);
	assert_int_equal(q.err.code, ERR_UNAVAILABLE);
	refuses(&q, "takes no more");
}

/* Also then its folder is removed. */
static void a_program_does_not_outlive_the_helper(void **state)
{
	char notes[] = "/tmp/sallyport-notes-XXXXXX";
	char file[64], folder[64] = "", environment[64];
	struct question q = {.call = {.content = SPAN("where")}};
	FILE *where = NULL;
	int len;

	assert_non_null(mkdtemp(notes));
	len = snprintf(environment, sizeof(environment), "NOTES=%s", notes);
	(void)snprintf(file, sizeof(file), "%s/where", notes);
	/* One that may write there. */
	assert_int_equal(teardown(state), 0);
	writable = span_cstr(notes);
	assert_int_equal(setup(state), 0);
	q.call.environment = span_of(environment, (size_t)len + 1);
	start_fiber(ask, &q);
	for (int i = 0; i < 300 && !where; i++) {
		loop_step(loop_current(), 100);
		where = fopen(file, "r");
	}
	assert_non_null(where);
	assert_int_equal(fscanf(where, "%63s", folder), 1);
	assert_int_equal(fclose(where), 0);
	assert_int_equal(access(folder, F_OK), 0);
	kill_helper();
	run_fibers();
	for (int i = 0; i < 400 && access(folder, F_OK) == 0; i++)
		usleep(50000);
	assert_int_equal(access(folder, F_OK), -1);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(notes), 0);
	writable = SPAN_NONE;
}

static void a_wait_that_is_broken_off_leaves_nothing(void **state)
{
	struct question q = {.call = {.content = SPAN("sleep")}};
	struct fiber *fiber;
	struct err err;

	(void)state;
	fiber = fiber_start(ask, &q, &err);
	assert_non_null(fiber);
	loop_step(loop_current(), 0);
	fiber_cancel(fiber);
	run_fibers();
	assert_int_equal(q.result, -1);
	assert_int_equal(q.err.code, ERR_TIMEOUT);
}

static void without_memory_nothing_is_asked_and_nothing_is_lost(void **state)
{
	bool done = false;

	(void)state;
	for (unsigned n = 1; n < 50 && !done; n++) {
		struct question q = {.call = {.content = SPAN("shell")}};

		start_fiber(ask, &q);
		mem_fail_at(n);
		loop_step(loop_current(), 0);
		done = !mem_fail_happened();
		mem_fail_at(0);
		run_fibers();
		assert_true(q.ended);
		assert_int_equal(q.result, done ? 0 : -1);
	}
	assert_true(done);
}

static void a_helper_needs_memory_and_something_to_run(void **state)
{
	struct program_helper *none;
	struct err err;
	bool done = false;

	(void)state;
	waf.programs.allow.count = 0;
	assert_int_equal(program_helper_new(&none, &cfg, 2, &err), 0);
	assert_null(none);
	waf.programs.allow.count = 1;
	for (unsigned n = 1; n < 20 && !done; n++) {
		struct program_runner *one = NULL;
		int made;

		mem_fail_at(n);
		made = program_helper_new(&none, &cfg, 2, &err);
		if (made == 0)
			one = program_runner_new(none, 0, NULL, NULL, &err);
		done = !mem_fail_happened();
		mem_fail_at(0);
		assert_true(!done || one);
		program_runner_free(one);
		if (made == 0)
			program_helper_free(none);
	}
	assert_true(done);
}

static int make_program(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	setenv("SALLYPORT_SECRET", "secret", 1);
	if (fd < 0 || write(fd, script, sizeof(script) - 1) != sizeof(script) - 1 ||
	    fchmod(fd, 0755) < 0)
		return -1;
	return close(fd);
}

static int remove_program(void **state)
{
	(void)state;
	return unlink(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_SHORT(name) cmocka_unit_test_setup_teardown(name, setup_short, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_value_is_an_argument_and_never_a_command),
		TEST(a_file_has_its_name_and_its_content),
		TEST(programs_see_what_they_are_given_and_nothing_of_ours),
		TEST(what_cannot_be_given_is_not_asked),
		TEST(one_that_a_signal_ends_has_not_answered),
		TEST_SHORT(one_that_takes_too_long_is_killed),
		TEST_SHORT(no_more_are_under_way_than_may_be),
		TEST(who_is_only_told_is_heard_of_when_it_fails),
		TEST(who_waits_is_told_when_the_helper_ends),
		TEST(a_program_does_not_outlive_the_helper),
		TEST(a_wait_that_is_broken_off_leaves_nothing),
		TEST(without_memory_nothing_is_asked_and_nothing_is_lost),
		TEST(a_helper_needs_memory_and_something_to_run),
	};

	return cmocka_run_group_tests(tests, make_program, remove_program);
}
