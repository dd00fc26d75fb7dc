#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/compiler.h"
#include "supply/shellcheck.h"

static struct arena arena;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena, (size_t)64 << 20, (size_t)1 << 14);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

static void a_report_becomes_findings(void **state)
{
	static const char report[] =
		"{\"comments\":[{\"file\":\"./a/b.sh\",\"line\":3,\"endLine\":4,\"column\":5,"
		"\"level\":\"warning\",\"code\":2115,\"message\":\"Use it.\",\"fix\":null},"
		"{\"file\":\"c.sh\",\"line\":1,\"level\":\"style\",\"code\":2006,\"message\":"
		"\"x\"}]}";
	struct finding_list list;

	(void)state;
	finding_list_init(&list, &arena);
	assert_int_equal(shellcheck_read(span_cstr(report), &list, NULL), 0);
	assert_int_equal(list.count, 2);
	assert_true(span_eq(list.at[0].rule, SPAN("shellcheck-SC2115")));
	assert_true(span_eq(list.at[0].place.file, SPAN("a/b.sh")));
	assert_int_equal(list.at[0].place.line, 3);
	assert_int_equal(list.at[0].place.column, 5);
	assert_int_equal(list.at[0].severity, FINDING_LOW);
	assert_int_equal(list.at[1].severity, FINDING_INFO);
}

static void what_is_no_report_is_refused(void **state)
{
	static const char *const texts[] = {"", "{", "[]", "{\"comments\":1}",
					    "{\"comments\":[{\"file\":\"a\"}]}"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct finding_list list;
		struct err err = {0};

		finding_list_init(&list, &arena);
		assert_int_equal(shellcheck_read(span_cstr(texts[i]), &list, &err), -1);
		assert_int_not_equal(err.code, ERR_NONE);
	}
}

/* The real program, in its sandbox: many scripts, one with a name that looks like an option. */
static void the_program_is_asked_where_it_is_installed(void **state)
{
	static const char script[] = "#!/bin/sh\nrm -rf $1/*\n";
	char folder[] = "/tmp/sallyport-XXXXXX", path[64];
	struct shellcheck job = {.path = folder, .scripts = SPAN("-f\0a.sh"), .seconds = 60};
	static const char *const names[] = {"-f", "a.sh"};
	struct finding_list list;
	struct err err = {0};

	(void)state;
	if (access("/usr/bin/shellcheck", X_OK) != 0)
		skip();
	job.scripts.len++; /* the NUL behind the last name */
	assert_non_null(mkdtemp(folder));
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		FILE *file;

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		file = fopen(path, "w");
		assert_non_null(file);
		assert_true(fputs(script, file) >= 0);
		assert_int_equal(fclose(file), 0);
	}
	finding_list_init(&list, &arena);
	if (shellcheck_run(&job, &list, &err) < 0)
		fail_msg("%s", err.message);
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		unsigned found = 0;

		for (size_t k = 0; k < list.count; k++)
			found += span_eq(list.at[k].place.file, span_cstr(names[i])) &&
				 list.at[k].place.line == 2;
		assert_true(found >= 1);
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(folder), 0);
}

static void without_the_program_nothing_is_found(void **state)
{
	const struct shellcheck job = {.path = "/", .scripts = SPAN("a.sh\0"), .seconds = 60};
	const char *old = getenv("PATH");
	struct finding_list list;
	char kept[4096];

	(void)state;
	snprintf(kept, sizeof(kept), "%s", old ? old : "");
	finding_list_init(&list, &arena);
	assert_int_equal(setenv("PATH", "/nonexistent", 1), 0);
	assert_int_equal(shellcheck_run(&job, &list, NULL), 0);
	assert_int_equal(list.count, 0);
	assert_int_equal(setenv("PATH", kept, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_report_becomes_findings),
		cmocka_unit_test(what_is_no_report_is_refused),
		cmocka_unit_test(the_program_is_asked_where_it_is_installed),
		cmocka_unit_test(without_the_program_nothing_is_found),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
