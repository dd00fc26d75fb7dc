#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/journal.h"

static char path[64];
static struct pipeline pipeline;
static struct run_job jobs[2];
static struct arena arena;

static int set_up(void **state)
{
	static const struct span text =
		SPAN_INIT("pipeline: p\n"
			  "jobs: {a: {run: x}, b: {run: y, needs: a}}\n");
	struct config_problems problems = {0};

	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/journal-test-XXXXXX");
	close(mkstemp(path));
	unlink(path);
	arena_init(&arena, 1 << 20, 4096);
	memset(jobs, 0, sizeof(jobs));
	return pipeline_load_text(&pipeline, text, "p", &problems);
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	arena_release(&arena);
	pipeline_release(&pipeline);
	return 0;
}

static int open_it(struct journal *journal, bool make, struct err *err)
{
	return journal_open(journal, path, make, &pipeline, jobs, &arena, err);
}

/* started, a passed, b runs */
static void write_some(void)
{
	struct run_job passed = {.state = RUN_PASSED, .artifacts = SPAN("abc")};
	struct run_job runs = {.state = RUN_RUNS};
	struct journal journal;
	struct err err;

	assert_int_equal(open_it(&journal, true, &err), 0);
	memset(journal.digest, 'd', RUN_DIGEST_BYTES);
	journal.digest[RUN_DIGEST_BYTES] = '\0';
	journal.by = SPAN("alice \"a\"");
	journal.file = SPAN("/srv/p.yaml");
	journal.code = SPAN("c0de");
	assert_int_equal(journal_started(&journal, &pipeline, &err), 0);
	assert_int_equal(journal_job(&journal, SPAN("a"), &passed, &err), 0);
	assert_int_equal(journal_job(&journal, SPAN("b"), &runs, &err), 0);
	journal_close(&journal);
}

static void what_was_written_is_read_again(void **state)
{
	struct journal journal;
	struct err err;

	(void)state;
	write_some();
	assert_int_equal(open_it(&journal, false, &err), 0);
	assert_true(span_eq(journal.by, SPAN("alice \"a\"")));
	assert_true(span_eq(journal.code, SPAN("c0de")));
	assert_string_equal(journal.file.ptr, "/srv/p.yaml");
	assert_int_equal(jobs[0].state, RUN_PASSED);
	assert_true(span_eq(jobs[0].artifacts, SPAN("abc")));
	assert_int_equal(jobs[1].state, RUN_RUNS);
	assert_false(journal.finished);
	assert_int_equal(journal_finished(&journal, true, &err), 0);
	journal_close(&journal);
	assert_int_equal(open_it(&journal, false, &err), 0);
	assert_true(journal.finished);
	journal_close(&journal);
}

static void a_kill_at_any_byte_loses_the_last_line_at_most(void **state)
{
	struct journal journal;
	struct stat st;
	struct err err;

	(void)state;
	write_some();
	assert_int_equal(stat(path, &st), 0);
	for (off_t cut = st.st_size; cut >= 0; cut--) {
		assert_int_equal(truncate(path, cut), 0);
		memset(jobs, 0, sizeof(jobs));
		assert_int_equal(open_it(&journal, false, &err), 0);
		assert_int_equal(jobs[1].state, cut == st.st_size ? RUN_RUNS : RUN_WAITS);
		journal_close(&journal);
		arena_reset(&arena);
	}
}

static void a_cut_journal_is_mended_and_goes_on(void **state)
{
	struct run_job failed = {.state = RUN_FAILED, .exit_status = 7};
	struct journal journal;
	struct stat st;
	struct err err;

	(void)state;
	write_some();
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 5), 0);
	assert_int_equal(open_it(&journal, false, &err), 0);
	assert_int_equal(journal_job(&journal, SPAN("b"), &failed, &err), 0);
	journal_close(&journal);
	assert_int_equal(open_it(&journal, false, &err), 0);
	assert_int_equal(jobs[0].state, RUN_PASSED);
	assert_int_equal(jobs[1].state, RUN_FAILED);
	assert_int_equal(jobs[1].exit_status, 7);
	journal_close(&journal);
}

static void looking_changes_nothing(void **state)
{
	struct journal journal;
	struct stat before, after;
	struct err err;

	(void)state;
	write_some();
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(truncate(path, before.st_size - 5), 0);
	assert_int_equal(journal_look(&journal, path, &pipeline, jobs, &arena, &err), 0);
	assert_int_equal(jobs[0].state, RUN_PASSED);
	assert_int_equal(jobs[1].state, RUN_WAITS);
	journal_close(&journal);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_size, before.st_size - 5);
}

static void a_journal_that_was_changed_is_refused(void **state)
{
	static const char *const bad[] = {
		"nonsense\n",
		"{\"event\":\"job\",\"job\":\"c\",\"state\":\"passed\"}\n",
		"{\"event\":\"job\",\"job\":\"a\",\"state\":\"done\"}\n",
		"{\"event\":\"started\",\"by\":\"x\"}\n",
		"{}\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct journal journal;
		struct err err;
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		(void)fputs(bad[i], file);
		(void)fclose(file);
		assert_int_equal(open_it(&journal, false, &err), -1);
		assert_int_equal(err.code, ERR_SYNTAX);
	}
}

static void one_process_has_it_at_a_time(void **state)
{
	struct journal journal, other;
	struct err err;

	(void)state;
	write_some();
	assert_int_equal(open_it(&journal, false, &err), 0);
	assert_int_equal(open_it(&other, false, &err), -1);
	assert_int_equal(err.code, ERR_UNAVAILABLE);
	memset(jobs, 0, sizeof(jobs));
	assert_int_equal(journal_look(&other, path, &pipeline, jobs, &arena, &err), 0);
	assert_int_equal(jobs[0].state, RUN_PASSED);
	journal_close(&other);
	assert_int_equal(open_it(&other, false, &err), -1);
	journal_close(&journal);
	assert_int_equal(open_it(&other, false, &err), 0);
	journal_close(&other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_was_written_is_read_again),
		TEST(a_kill_at_any_byte_loses_the_last_line_at_most),
		TEST(a_cut_journal_is_mended_and_goes_on),
		TEST(looking_changes_nothing),
		TEST(a_journal_that_was_changed_is_refused),
		TEST(one_process_has_it_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
