#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "supply/osv.h"
#include "supply/policy.h"

#define NOW "2026-06-15"

static void load(struct policy *policy, const char *text)
{
	struct config_problems problems = {0};

	if (policy_load_text(policy, span_cstr(text), "policy.yaml", &problems) < 0)
		fail_msg("%u: %s", problems.at[0].line, problems.at[0].message);
}

static void problems_have_a_place_and_the_nearest_key(void **state)
{
	static const struct {
		const char *text;
		uint32_t line;
		const char *message;
	} cases[] = {
		{"vulnerabilities:\n  fial: high\n", 2, "did you mean 'fail'?"},
		{"licenses: {}\n", 1, "did you mean 'licences'?"},
		{"vulnerabilities: {fail: awful}\n", 1, "critical"},
		{"components:\n  deny:\n    - {purl: lodash}\n", 3, "package URL"},
		{"components:\n  deny: {purl: \"pkg:npm/a\", versions: \"<<1\"}\n", 2,
		 "versions such as"},
		{"exceptions:\n  - {id: a}\n", 2, "'reason' is missing"},
		{"exceptions:\n  - {id: a, reason: b, versions: <1}\n", 2, "give 'component'"},
		{"champions:\n  - {name: a, key: AAAA}\n", 2, "32 bytes in base64"},
		{"champions:\n"
		 "  - {name: a, key: \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}\n"
		 "  - {name: a, key: \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}\n",
		 3, "listed already"},
		{"services:\n  - {name: a}\n", 2, "neither 'paths' nor 'images'"},
		{"exceptions:\n  - {id: a, reason: b, until: 2026-02-30}\n", 2,
		 "a day such as"},
		{"database: {max_age: \"${AGE}\"}\n", 1, "AGE"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct config_problems problems = {0};
		struct policy policy;

		assert_int_equal(
			policy_load_text(&policy, span_cstr(cases[i].text), "p", &problems),
			-1);
		policy_release(&policy);
		if (problems.at[0].line != cases[i].line ||
		    !strstr(problems.at[0].message, cases[i].message))
			fail_msg("%s: %u: %s", cases[i].text, problems.at[0].line,
				 problems.at[0].message);
	}
}

/* One result of what the test says. */
struct scene {
	struct component c;
	struct inventory inv;
	struct vulnerability v;
	struct result_list results;
	struct policy policy;
};

static void scene_init(struct scene *s, const char *policy)
{
	*s = (struct scene){
		.c = {.ecosystem = ECOSYSTEM_NPM,
		      .name = SPAN("a"),
		      .version = SPAN("1.0.0"),
		      .purl = SPAN("pkg:npm/a@1.0.0"),
		      .file = SPAN("services/orders/package-lock.json")},
		.v = {.id = SPAN("GHSA-1"),
		      .severity = FINDING_MEDIUM,
		      .severity_known = true,
		      .fix = SPAN("1.0.1")},
	};
	s->inv = (struct inventory){.at = &s->c, .count = 1};
	load(&s->policy, policy);
	result_list_init(&s->results, &s->inv);
}

static void scene_release(struct scene *s)
{
	result_list_release(&s->results);
	policy_release(&s->policy);
}

static void judge(struct scene *s)
{
	policy_find_services(&s->policy, &s->results);
	policy_judge(&s->policy, NULL, osv_time_s(SPAN(NOW)), &s->results);
}

enum verdict { IGNORED, WARNS, FAILS };

static enum verdict verdict(const struct result *r)
{
	if (!result_counts(r))
		return IGNORED;
	return r->fails ? FAILS : WARNS;
}

static enum verdict judge_vulnerability(const char *policy, void (*change)(struct scene *s))
{
	enum verdict result;
	struct scene s;

	scene_init(&s, policy);
	if (change)
		change(&s);
	assert_int_equal(result_add_vulnerability(&s.results, &s.v), 0);
	judge(&s);
	result = verdict(&s.results.at[0]);
	scene_release(&s);
	return result;
}

static void severities_decide_what_fails_and_what_warns(void **state)
{
	(void)state;
	assert_int_equal(judge_vulnerability("{}", NULL), FAILS);
	assert_int_equal(judge_vulnerability("vulnerabilities: high", NULL), WARNS);
	assert_int_equal(judge_vulnerability("vulnerabilities: {fail: medium}", NULL), FAILS);
	assert_int_equal(judge_vulnerability("vulnerabilities: {fail: high, warn: high}", NULL),
			 IGNORED);
	assert_int_equal(judge_vulnerability("vulnerabilities: none", NULL), WARNS);
}

static const struct db_kev exploited;

static void make_exploited(struct scene *s)
{
	s->v.kev = &exploited;
}

static void make_likely(struct scene *s)
{
	s->v.epss_ppm = 500000;
}

static void make_unfixed(struct scene *s)
{
	s->v.fix = SPAN_NONE;
}

static void make_development(struct scene *s)
{
	s->c.scope = SCOPE_DEV;
}

static void make_unexposed(struct scene *s)
{
	s->v.exposure = EXPOSURE_NONE;
}

static void what_is_known_of_a_vulnerability_changes_its_verdict(void **state)
{
	(void)state;
	assert_int_equal(judge_vulnerability("vulnerabilities: none", make_exploited), FAILS);
	assert_int_equal(judge_vulnerability("vulnerabilities: {fail: none, exploited: ignore}",
					     make_exploited),
			 WARNS);
	assert_int_equal(
		judge_vulnerability("vulnerabilities: {fail: none, epss: 50%}", make_likely),
		FAILS);
	assert_int_equal(
		judge_vulnerability("vulnerabilities: {fail: none, epss: 51%}", make_likely),
		WARNS);
	assert_int_equal(judge_vulnerability("vulnerabilities: {unfixed: warn}", make_unfixed),
			 WARNS);
	assert_int_equal(judge_vulnerability("vulnerabilities: {unfixed: warn}", NULL), FAILS);
	assert_int_equal(
		judge_vulnerability("vulnerabilities: {development: ignore}", make_development),
		IGNORED);
	assert_int_equal(
		judge_vulnerability("vulnerabilities: {unexposed: warn}", make_unexposed),
		WARNS);
}

static void exceptions_hold_for_their_scope_and_time(void **state)
{
	static const struct {
		const char *exception;
		enum verdict verdict;
	} cases[] = {
		{"id: GHSA-1", IGNORED},
		{"id: GHSA-2", FAILS},
		{"id: GHSA-1, component: \"pkg:npm/a\"", IGNORED},
		{"id: GHSA-1, component: \"pkg:npm/b\"", FAILS},
		{"id: GHSA-1, component: \"pkg:npm/a\", versions: <1", FAILS},
		{"id: GHSA-1, path: services", IGNORED},
		{"id: GHSA-1, path: \"**/package.json\"", FAILS},
		{"id: GHSA-1, service: orders", IGNORED},
		{"id: GHSA-1, service: billing", FAILS},
		{"id: GHSA-1, until: 2026-06-15", IGNORED},
		{"id: GHSA-1, until: 2026-06-14", FAILS},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		char text[256];

		snprintf(text, sizeof(text),
			 "services: [{name: orders, paths: services/orders}]\n"
			 "exceptions: [{%s, reason: it is so}]\n",
			 cases[i].exception);
		if (judge_vulnerability(text, NULL) != cases[i].verdict)
			fail_msg("%s", cases[i].exception);
	}
}

static void each_kind_has_its_own_levels(void **state)
{
	static const char policy[] = "misconfigurations: high\n"
				     "secrets: {fail: low}\n"
				     "imported: {fail: none, warn: critical}\n";
	struct finding finding = {.rule = SPAN("dockerfile-x"), .severity = FINDING_MEDIUM};
	struct result imported = {.kind = RESULT_IMPORTED, .component = COMPONENT_NONE};
	struct scene s;

	(void)state;
	scene_init(&s, policy);
	assert_int_equal(result_add_finding(&s.results, &finding), 0);
	finding.rule = SPAN("secret-x");
	assert_int_equal(result_add_finding(&s.results, &finding), 0);
	imported.finding = finding;
	assert_int_equal(result_add(&s.results, &imported), 0);
	judge(&s);
	assert_int_equal(verdict(&s.results.at[0]), WARNS);
	assert_int_equal(verdict(&s.results.at[1]), FAILS);
	assert_int_equal(verdict(&s.results.at[2]), IGNORED);
	scene_release(&s);
}

static void licences_are_judged_as_expressions(void **state)
{
	static const struct {
		const char *policy, *licence;
		enum licence_verdict verdict;
	} cases[] = {
		{"allow: [MIT, Apache-2.0]", "MIT", LICENCE_ALLOWED},
		{"allow: [MIT, Apache-2.0]", "mit", LICENCE_ALLOWED},
		{"allow: [MIT]", "GPL-3.0-only", LICENCE_DENIED},
		{"allow: [MIT]", "MIT OR GPL-3.0-only", LICENCE_ALLOWED},
		{"allow: [MIT]", "MIT AND GPL-3.0-only", LICENCE_DENIED},
		{"allow: [MIT, ISC]", "(GPL-3.0-only OR MIT) AND ISC", LICENCE_ALLOWED},
		{"allow: [MIT]", "GPL-3.0-only OR MIT AND ISC", LICENCE_DENIED},
		{"deny: [\"AGPL-*\"]", "AGPL-3.0-or-later", LICENCE_DENIED},
		{"deny: [\"AGPL-*\"]", "MIT", LICENCE_ALLOWED},
		{"deny: [GPL-2.0]", "GPL-2.0+", LICENCE_DENIED},
		{"deny: [GPL-2.0-only]", "GPL-2.0-only WITH Classpath-exception-2.0",
		 LICENCE_DENIED},
		{"deny: [GPL-2.0-only], allow: [\"GPL-2.0-only WITH Classpath-exception-2.0\"]",
		 "GPL-2.0-only WITH Classpath-exception-2.0", LICENCE_ALLOWED},
		{"allow: [\"GPL-*\"], deny: [GPL-3.0-only]", "GPL-3.0-only", LICENCE_DENIED},
		{"allow: [MIT]", "", LICENCE_UNKNOWN},
		{"allow: [MIT]", "see the file LICENSE", LICENCE_UNKNOWN},
		{"allow: [MIT]", "(MIT", LICENCE_UNKNOWN},
		{"allow: [MIT]", "MIT OR", LICENCE_UNKNOWN},
		{"allow: [MIT, \"see the file LICENSE\"]", "see the file LICENSE",
		 LICENCE_ALLOWED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct policy policy;
		char text[256];

		snprintf(text, sizeof(text), "licences: {%s}\n", cases[i].policy);
		load(&policy, text);
		if (policy_licence(&policy.licences, span_cstr(cases[i].licence)) !=
		    cases[i].verdict)
			fail_msg("%s: %s", cases[i].policy, cases[i].licence);
		policy_release(&policy);
	}
}

/* What the policy itself finds, as "rule rule". */
static void assert_finds(const char *policy, const struct component *c, const char *rules)
{
	char found[256] = "";
	struct scene s;

	scene_init(&s, policy);
	if (c)
		s.c = *c;
	s.inv.layer_count = 1;
	s.inv.labels = SPAN("maintainer=me\nempty=\n");
	assert_int_equal(policy_find(&s.policy, NULL, osv_time_s(SPAN(NOW)), &s.results), 0);
	judge(&s);
	for (size_t i = 0; i < s.results.count; i++) {
		size_t at = strlen(found);

		snprintf(found + at, sizeof(found) - at, "%s%.*s%s", i ? " " : "",
			 SPAN_ARG(s.results.at[i].finding.rule),
			 s.results.at[i].fails ? "!" : "");
	}
	assert_string_equal(found, rules);
	scene_release(&s);
}

static void a_policy_finds_what_it_does_not_take(void **state)
{
	struct component old = {.ecosystem = ECOSYSTEM_NPM,
				.name = SPAN("a"),
				.version = SPAN("1.0.0"),
				.purl = SPAN("pkg:npm/a@1.0.0"),
				.published = SPAN("2026-06-14T00:00:00Z")};
	struct component dev = {.ecosystem = ECOSYSTEM_NPM,
				.name = SPAN("a"),
				.version = SPAN("1.0.0"),
				.purl = SPAN("pkg:npm/a@1.0.0"),
				.licence = SPAN("GPL-3.0-only"),
				.scope = SCOPE_DEV};

	(void)state;
	assert_finds("{}", NULL, "");
	assert_finds("components: {deny: \"pkg:npm/a\"}", NULL, "component-denied!");
	assert_finds("components: {deny: {purl: \"pkg:npm/a\", action: warn}}", NULL,
		     "component-denied");
	assert_finds("components: {deny: {purl: \"pkg:npm/a\", versions: \">1\"}}", NULL, "");
	assert_finds("components: {min_age: 2d}", &old, "component-too-young!");
	assert_finds("components: {min_age: 1h}", &old, "");
	assert_finds("components: {max_age: 1h, age: warn}", &old, "component-too-old");
	assert_finds("components: {min_age: 2d}", NULL, "");
	assert_finds("licences: {allow: [MIT]}", NULL, "");
	assert_finds("licences: {allow: [MIT], unknown: warn}", NULL, "licence-unknown");
	assert_finds("licences: {deny: [GPL-3.0-only]}", &dev, "");
	assert_finds("licences: {deny: [GPL-3.0-only], development: on}", &dev,
		     "licence-denied!");
	assert_finds("labels: {required: [maintainer]}", NULL, "");
	assert_finds("labels: {required: [maintainer, empty, none]}", NULL,
		     "label-missing! label-missing!");
}

static void services_are_told_by_path_and_image(void **state)
{
	struct scene s;

	(void)state;
	scene_init(&s, "services:\n"
		       "  - {name: orders, paths: [services/orders]}\n"
		       "  - {name: billing, images: [\"registry.example/shop/billing*\"]}\n");
	assert_true(span_eq(policy_service_of(&s.policy, &s.inv, s.c.file), SPAN("orders")));
	assert_int_equal(policy_service_of(&s.policy, &s.inv, SPAN("x")).len, 0);
	s.inv.subject_name = SPAN("registry.example/shop/billing");
	assert_true(span_eq(policy_service_of(&s.policy, &s.inv, SPAN("usr/lib/x")),
			    SPAN("billing")));
	scene_release(&s);
}

static void expect_file(const char *path, struct span from, struct span text)
{
	FILE *file = fopen(path, "rb");
	struct buf have;

	assert_non_null(file);
	buf_init(&have, 1 << 20);
	assert_int_equal(buf_reserve(&have, 1 << 19), 0);
	have.len = fread(have.ptr, 1, 1 << 19, file);
	(void)fclose(file);
	if (from.len) {
		size_t at = span_find(buf_span(&have), from);

		assert_true(at < have.len);
		buf_consume(&have, at + from.len);
	}
	if (!span_eq(buf_span(&have), text)) {
		const char *update = getenv("SALLYPORT_UPDATE");

		if (!update || from.len)
			fail_msg("%s is not made from the schema of today", path);
		file = fopen(path, "wb");
		assert_non_null(file);
		assert_int_equal(fwrite(text.ptr, 1, text.len, file), text.len);
		assert_int_equal(fclose(file), 0);
	}
	buf_release(&have);
}

static void the_json_schema_in_docs_is_the_schema(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 18);
	table_write_json_schema(&policy_schema, "A policy of Sallyport", &out);
	expect_file(SOURCE_ROOT "/docs/policy.schema.json", SPAN_NONE, buf_span(&out));
	buf_release(&out);
}

static void the_reference_in_docs_is_the_schema(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 18);
	table_write_reference(&policy_schema, &out);
	expect_file(SOURCE_ROOT "/docs/policy.md", SPAN("<!-- made from the schema: -->\n"),
		    buf_span(&out));
	buf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(problems_have_a_place_and_the_nearest_key),
		cmocka_unit_test(severities_decide_what_fails_and_what_warns),
		cmocka_unit_test(what_is_known_of_a_vulnerability_changes_its_verdict),
		cmocka_unit_test(exceptions_hold_for_their_scope_and_time),
		cmocka_unit_test(each_kind_has_its_own_levels),
		cmocka_unit_test(licences_are_judged_as_expressions),
		cmocka_unit_test(a_policy_finds_what_it_does_not_take),
		cmocka_unit_test(services_are_told_by_path_and_image),
		cmocka_unit_test(the_json_schema_in_docs_is_the_schema),
		cmocka_unit_test(the_reference_in_docs_is_the_schema),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
