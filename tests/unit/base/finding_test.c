#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/finding.h"

static struct finding made(const char *rule, enum finding_severity severity, const char *file,
			   uint32_t line)
{
	return (struct finding){.rule = span_cstr(rule),
				.severity = severity,
				.message = SPAN("something is wrong"),
				.place = {.file = span_cstr(file), .line = line}};
}

static void findings_keep_their_own_copy_of_the_text(void **state)
{
	struct arena arena;
	struct finding_list list;
	char rule[] = "rule-a";
	struct finding finding = made(rule, FINDING_LOW, "a", 1);

	(void)state;
	arena_init(&arena, 1 << 20, 4096);
	finding_list_init(&list, &arena);
	assert_int_equal(finding_list_add(&list, &finding), 0);
	memset(rule, 'x', sizeof(rule) - 1);
	assert_true(span_eq(list.at[0].rule, SPAN("rule-a")));
	assert_int_equal(list.at[0].advice.len, 0);
	arena_release(&arena);
}

static void findings_sort_by_severity_then_by_place(void **state)
{
	struct arena arena;
	struct finding_list list;
	struct finding findings[] = {
		made("r1", FINDING_LOW, "a", 1),      made("r2", FINDING_CRITICAL, "b", 9),
		made("r3", FINDING_CRITICAL, "b", 2), made("r4", FINDING_CRITICAL, "a", 30),
		made("r0", FINDING_CRITICAL, "b", 2),
	};
	static const char *const expected[] = {"r4", "r0", "r3", "r2", "r1"};

	(void)state;
	arena_init(&arena, 1 << 20, 4096);
	finding_list_init(&list, &arena);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(finding_list_add(&list, &findings[i]), 0);
	finding_list_sort(&list);
	for (size_t i = 0; i < 5; i++)
		assert_true(span_eq(list.at[i].rule, span_cstr(expected[i])));
	arena_release(&arena);
}

static void a_list_without_memory_says_so(void **state)
{
	struct arena arena;
	struct finding_list list;
	struct finding finding = made("r", FINDING_LOW, "a", 1);
	int result = 0;

	(void)state;
	arena_init(&arena, 8192, 1024);
	finding_list_init(&list, &arena);
	for (int i = 0; i < 1000 && result == 0; i++)
		result = finding_list_add(&list, &finding);
	assert_int_equal(result, -1);
	assert_true(list.failed);
	assert_true(list.count > 0);
	arena_release(&arena);
}

static void severities_have_names_that_read_back(void **state)
{
	enum finding_severity severity;

	(void)state;
	for (unsigned i = 0; i < FINDING_SEVERITIES; i++) {
		const char *name = finding_severity_name((enum finding_severity)i);

		assert_true(finding_severity_parse(span_cstr(name), &severity));
		assert_int_equal(severity, i);
	}
	assert_false(finding_severity_parse(SPAN("fatal"), &severity));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(findings_keep_their_own_copy_of_the_text),
		cmocka_unit_test(findings_sort_by_severity_then_by_place),
		cmocka_unit_test(a_list_without_memory_says_so),
		cmocka_unit_test(severities_have_names_that_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
