/* fault_test.c - every allocation fails once, and loading says so and loses nothing. */
#include "support.h"

#include "base/mem.h"
#include "full.h"

static void each_allocation_may_fail(void **state)
{
	struct fake_files files = {full_files};
	struct config_source source = fake_source(&files);
	struct config *cfg = NULL;
	unsigned long n = 1;

	(void)state;
	for (;; n++) {
		struct config_problems problems = {0};
		int result;

		mem_fail_at(n);
		result = config_load_text(span_cstr(full_config), "conf/sallyport.yaml",
					  &source, &cfg, &problems);
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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_allocation_may_fail)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
