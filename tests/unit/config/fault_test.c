/* fault_test.c - every allocation fails once, and loading says so and loses nothing. */
#include "support.h"

#include "base/mem.h"
#include "full.h"

static void try_each(const char *text, const struct fake_file *list)
{
	struct fake_files files = {list};
	struct config_source source = fake_source(&files);
	struct config *cfg = NULL;
	unsigned long n = 1;

	for (;; n++) {
		struct config_problems problems = {0};
		int result;

		mem_fail_at(n);
		result = config_load_text(span_cstr(text), "conf/sallyport.yaml", &source, &cfg,
					  &problems);
		if (!mem_fail_happened())
			break;
		mem_fail_at(0);
		if (result == 0) {
			fail_msg("allocation %lu failed and nobody noticed", n);
		} else {
			assert_null(cfg);
			assert_true(problems.errors > 0);
		}
	}
	mem_fail_at(0);
	if (n == 1)
		skip(); /* not a build with -Dfaults=true */
	assert_non_null(cfg);
	config_unref(cfg);
}

static void each_allocation_may_fail(void **state)
{
	(void)state;
	try_each(full_config, full_files);
}

static void each_allocation_for_an_included_folder_may_fail(void **state)
{
	static const struct fake_file list[] = {
		{"conf/more/b.yaml", "services: {b: {endpoints: http://b}}\n"},
		{"conf/more/a.yaml", "services: {a: {endpoints: http://a}}\n"},
		{NULL, NULL}};

	(void)state;
	try_each("include: [more/, \"more/*.yml\"]\nlisten: 127.0.0.1:8080\n"
		 "routes: [{path: /, service: a, auth: none}, {path: /b, service: b, "
		 "auth: none}]\n",
		 list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_may_fail),
		cmocka_unit_test(each_allocation_for_an_included_folder_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
