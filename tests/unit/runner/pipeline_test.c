#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "runner/pipeline.h"

static const struct span text = SPAN_INIT(
	"pipeline: shop\n"
	"timeout: 5m\n"
	"image: /srv/image\n"
	"jobs:\n"
	"  deploy: {run: ./deploy, needs: [test, build], network: host, image: host}\n"
	"  test: {run: make test, needs: build, timeout: 1m, processes: 8, env: [A=b]}\n"
	"  build: {run: [make, make all], artifacts: [out/]}\n");

static void jobs_come_after_what_they_need_and_inherit_what_they_do_not_say(void **state)
{
	struct config_problems problems = {0};
	struct pipeline p;

	(void)state;
	assert_int_equal(pipeline_load_text(&p, text, "/srv/ci/pipeline.yaml", &problems), 0);
	assert_int_equal(p.jobs.count, 3);
	assert_int_equal(p.order[0], 2);
	assert_int_equal(p.order[1], 1);
	assert_int_equal(p.order[2], 0);
	assert_int_equal(p.jobs.at[0].needed[0], 1);
	assert_int_equal(p.jobs.at[0].needed[1], 2);
	assert_true(span_eq(p.jobs.at[0].image, SPAN("host")));
	assert_int_equal(p.jobs.at[0].network, PIPELINE_NETWORK_HOST);
	assert_int_equal(p.jobs.at[0].limits.timeout_ms, 300000);
	assert_true(span_eq(p.jobs.at[1].image, SPAN("/srv/image")));
	assert_int_equal(p.jobs.at[1].network, PIPELINE_NETWORK_NONE);
	assert_int_equal(p.jobs.at[1].limits.timeout_ms, 60000);
	assert_int_equal(p.jobs.at[1].limits.processes, 8);
	assert_int_equal(p.jobs.at[2].limits.processes, 256);
	assert_true(span_eq(p.text, text));
	assert_int_equal(pipeline_find(&p, SPAN("test")), 1);
	assert_int_equal(pipeline_find(&p, SPAN("tes")), 3);
	pipeline_release(&p);
}

static void names_that_are_other_folders_are_refused(void **state)
{
	static const char *const bad[] = {
		"pipeline: p\njobs: {'..': {run: x}}\n",
		"pipeline: p\njobs: {'.': {run: x}}\n",
		"pipeline: p\njobs: {'-a': {run: x}}\n",
		"pipeline: p\njobs: {'a/b': {run: x}}\n",
		"pipeline: p\nsecrets: {'..': /dev/null}\njobs: {a: {run: x}}\n",
		"pipeline: p\njobs: {a: {run: x, artifacts: [../b]}}\n",
		"pipeline: p\njobs: {a: {run: x, artifacts: [/b]}}\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		struct config_problems problems = {0};
		struct pipeline p;

		assert_int_equal(pipeline_load_text(&p, span_cstr(bad[i]), "p", &problems), -1);
		assert_true(problems.errors > 0);
		pipeline_release(&p);
	}
}

static void an_unknown_job_is_told_with_its_place_and_the_nearest(void **state)
{
	static const struct span wrong = SPAN_INIT("pipeline: p\n"
						   "jobs:\n"
						   "  build: {run: x}\n"
						   "  test: {run: x, needs: biuld}\n");
	struct config_problems problems = {0};
	struct pipeline p;

	(void)state;
	assert_int_equal(pipeline_load_text(&p, wrong, "p", &problems), -1);
	assert_int_equal(problems.at[0].line, 4);
	assert_non_null(strstr(problems.at[0].message,
			       "test needs 'biuld', which is no job (did you mean 'build'?)"));
	pipeline_release(&p);
}

static void without_memory_a_pipeline_is_refused(void **state)
{
	(void)state;
	for (unsigned long n = 1;; n++) {
		struct config_problems problems = {0};
		struct pipeline p;
		bool happened;
		int result;

		mem_fail_at(n);
		result = pipeline_load_text(&p, text, "/srv/ci/pipeline.yaml", &problems);
		happened = mem_fail_happened();
		mem_fail_at(0);
		pipeline_release(&p);
		if (!happened) {
			assert_int_equal(result, 0);
			break;
		}
		assert_int_equal(result, -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			jobs_come_after_what_they_need_and_inherit_what_they_do_not_say),
		cmocka_unit_test(names_that_are_other_folders_are_refused),
		cmocka_unit_test(an_unknown_job_is_told_with_its_place_and_the_nearest),
		cmocka_unit_test(without_memory_a_pipeline_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
