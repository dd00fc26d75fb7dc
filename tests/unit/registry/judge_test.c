#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "registry/decision.h"
#include "registry/judge.h"

#define MAX 8

/* A '!' before a version: it is refused. */
static size_t read_versions(const char *const *versions, struct release *releases,
			    struct judgement *judgements)
{
	size_t count = 0;

	for (; versions[count]; count++) {
		struct span version = span_cstr(versions[count]);

		judgements[count] = (struct judgement){.refused = version.ptr[0] == '!'};
		releases[count] = (struct release){
			.version = span_slice(version, version.ptr[0] == '!', version.len)};
	}
	return count;
}

static void expect_instead(enum ecosystem ecosystem, const char *const *versions, size_t at,
			   const char *instead)
{
	struct release releases[MAX];
	struct judgement judgements[MAX];
	size_t count = read_versions(versions, releases, judgements);
	size_t found = judge_instead(ecosystem, releases, judgements, count, at);

	if (!instead) {
		assert_int_equal(found, count);
		return;
	}
	assert_true(found < count);
	if (!span_eq(releases[found].version, span_cstr(instead)))
		fail_msg("%.*s in place of %s", SPAN_ARG(releases[found].version), instead);
}

#define LIST(...)                                                                              \
	(const char *const[])                                                                  \
	{                                                                                      \
		__VA_ARGS__, NULL                                                              \
	}

static void the_newest_of_the_same_major_version_is_proposed(void **state)
{
	(void)state;
	expect_instead(ECOSYSTEM_NPM, LIST("!1.0.0", "1.0.1", "1.2.0", "2.0.0"), 0, "1.2.0");
	expect_instead(ECOSYSTEM_NPM, LIST("1.0.0", "!1.0.1", "2.0.0", "2.1.0"), 1, "2.1.0");
	/* Where nothing newer is allowed, what is older. */
	expect_instead(ECOSYSTEM_NPM, LIST("1.0.0", "1.1.0", "!1.2.0"), 2, "1.1.0");
	expect_instead(ECOSYSTEM_NPM, LIST("!1.0.0", "!1.1.0"), 0, NULL);
	expect_instead(ECOSYSTEM_PYPI, LIST("!1.9", "1.10", "1.11rc1"), 0, "1.10");
	expect_instead(ECOSYSTEM_MAVEN, LIST("!1.0", "1.0.1", "1.1-SNAPSHOT"), 0, "1.0.1");
}

static void what_is_not_final_is_proposed_only_in_place_of_its_like(void **state)
{
	(void)state;
	expect_instead(ECOSYSTEM_NPM, LIST("!1.0.0", "1.1.0-rc.1"), 0, NULL);
	expect_instead(ECOSYSTEM_NPM, LIST("!1.0.0-rc.1", "1.0.0-rc.2"), 0, "1.0.0-rc.2");
	expect_instead(ECOSYSTEM_NPM, LIST("!1.0.0", "1.1.0+build-7"), 0, "1.1.0+build-7");
	expect_instead(ECOSYSTEM_PYPI, LIST("!1.0", "2.0.dev3", "2.0a1"), 0, NULL);
}

static void the_newest_is_final_if_there_is_a_final_one(void **state)
{
	struct release releases[MAX];
	struct judgement judgements[MAX];
	size_t count;

	(void)state;
	count = read_versions(LIST("1.0.0", "!1.1.0", "2.0.0-rc.1"), releases, judgements);
	assert_int_equal(judge_newest(ECOSYSTEM_NPM, releases, judgements, count), 0);
	assert_int_equal(judge_newest(ECOSYSTEM_NPM, releases, NULL, count), 1);
	count = read_versions(LIST("!1.0.0", "2.0.0-rc.1", "2.0.0-beta.7"), releases,
			      judgements);
	assert_int_equal(judge_newest(ECOSYSTEM_NPM, releases, judgements, count), 1);
	count = read_versions(LIST("!1.0.0"), releases, judgements);
	assert_int_equal(judge_newest(ECOSYSTEM_NPM, releases, judgements, count), count);
}

static void the_decision_that_names_more_counts(void **state)
{
	struct decision all[] = {
		{.purl = SPAN("pkg:npm/left"), .approved = true},
		{.purl = SPAN("pkg:npm/left@1.0.0"), .approved = false},
		{.purl = SPAN("pkg:npm/left@1.2.0"), .approved = true},
		{.purl = SPAN("pkg:npm/left-pad"), .approved = false},
	};
	struct decision_list list = {all, 4};

	(void)state;
	assert_ptr_equal(decision_for(&list, SPAN("pkg:npm/left@1.0.0")), &all[1]);
	assert_ptr_equal(decision_for(&list, SPAN("pkg:npm/left@1.1.0")), &all[0]);
	all[0].approved = false;
	assert_ptr_equal(decision_for(&list, SPAN("pkg:npm/left@1.2.0")), &all[2]);
	assert_null(decision_for(&list, SPAN("pkg:npm/right@1.0.0")));
}

static void an_approval_makes_nothing_else_good(void **state)
{
	struct decision one = {.purl = SPAN("pkg:npm/left"), .approved = true};
	struct decision_list list = {&one, 1}, none = {NULL, 0};
	struct judgement refused = {.refused = true, .why = SPAN("GHSA-1")}, j = {0};
	struct arena arena;

	(void)state;
	arena_init(&arena, 65536, 4096);
	assert_int_equal(decision_apply(&list, SPAN("pkg:npm/left@1"), true, &arena, &refused),
			 0);
	assert_true(refused.refused && span_eq(refused.why, SPAN("GHSA-1")));
	assert_int_equal(decision_apply(&list, SPAN("pkg:npm/left@1"), true, &arena, &j), 0);
	assert_false(j.refused);
	assert_int_equal(decision_apply(&none, SPAN("pkg:npm/left@1"), false, &arena, &j), 0);
	assert_false(j.refused);
	assert_int_equal(decision_apply(&none, SPAN("pkg:npm/left@1"), true, &arena, &j), 0);
	assert_true(j.refused && span_eq(j.why, SPAN("nobody has approved it")));
	arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_newest_of_the_same_major_version_is_proposed),
		cmocka_unit_test(what_is_not_final_is_proposed_only_in_place_of_its_like),
		cmocka_unit_test(the_newest_is_final_if_there_is_a_final_one),
		cmocka_unit_test(the_decision_that_names_more_counts),
		cmocka_unit_test(an_approval_makes_nothing_else_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
