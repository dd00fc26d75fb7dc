/* result_test.c - results from elsewhere: VEX statements, other tools, earlier reports, gateways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "supply/exposure.h"
#include "supply/report.h"
#include "supply/report_import.h"
#include "supply/vex.h"

struct scene {
	struct component c;
	struct inventory inv;
	struct span others[1];
	struct vulnerability v;
	struct result_list results;
};

static void scene_init(struct scene *s)
{
	*s = (struct scene){
		.c = {.ecosystem = ECOSYSTEM_NPM,
		      .name = SPAN("a"),
		      .version = SPAN("1.0.0"),
		      .purl = SPAN("pkg:npm/a@1.0.0"),
		      .file = SPAN("package-lock.json"),
		      .line = 7},
		.others = {SPAN("CVE-2020-1")},
		.v = {.id = SPAN("GHSA-1"), .severity = FINDING_HIGH, .other_count = 1},
	};
	s->inv = (struct inventory){.at = &s->c, .count = 1, .finished = true};
	s->v.others = s->others;
	result_list_init(&s->results, &s->inv);
	assert_int_equal(result_add_vulnerability(&s->results, &s->v), 0);
	s->results.at[0].fails = true;
}

#define VEX(statement)                                                                         \
	"{\"@context\":\"https://openvex.dev/ns/v0.2.0\",\"@id\":\"x\",\"author\":\"a\","      \
	"\"timestamp\":\"2026-01-01T00:00:00Z\",\"version\":1,\"statements\":[" statement "]}"
#define ABOUT(products)                                                                        \
	"{\"vulnerability\":{\"name\":\"CVE-2020-1\"},\"products\":[" products "],"
#define NOT_AFFECTED "\"status\":\"not_affected\",\"justification\":\"component_not_present\"}"
#define A "{\"@id\":\"pkg:npm/a@1.0.0\"}"

/* Is the result silenced by this document? `problems`: how many statements do not count. */
static bool silences(const char *document, const char *product, size_t problems)
{
	struct err err = {0};
	struct scene s;
	struct vex vex;
	bool silenced;

	scene_init(&s);
	vex_init(&vex);
	if (vex_read(&vex, SPAN("vex"), span_cstr(document), &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(vex_apply(&vex, span_cstr(product), &s.results), 0);
	assert_int_equal(vex.problem_count, problems);
	silenced = s.results.at[0].silence == RESULT_NOT_AFFECTED;
	assert_int_equal(silenced, s.results.at[0].why.len > 0);
	vex_release(&vex);
	result_list_release(&s.results);
	return silenced;
}

static void vex_statements_silence_what_they_say_is_not_affected_or_fixed(void **state)
{
	(void)state;
	assert_true(silences(VEX(ABOUT(A) NOT_AFFECTED), NULL, 0));
	assert_true(silences(VEX(ABOUT(A) "\"status\":\"fixed\"}"), NULL, 0));
	assert_false(silences(VEX(ABOUT(A) "\"status\":\"affected\"}"), NULL, 0));
	assert_false(silences(VEX(ABOUT(A) "\"status\":\"under_investigation\"}"), NULL, 0));
	/* Without a reason it says nothing. */
	assert_false(silences(VEX(ABOUT(A) "\"status\":\"not_affected\"}"), NULL, 1));
	assert_true(silences(VEX(ABOUT(A) "\"status\":\"not_affected\",\"impact_statement\":"
					  "\"not built in\"}"),
			     NULL, 0));
	assert_false(silences(VEX(ABOUT(A) "\"status\":\"not_affected\",\"justification\":"
					   "\"because\"}"),
			      NULL, 1));
	assert_false(silences(VEX(ABOUT(A) "\"status\":\"unknown\"}"), NULL, 1));
}

static void vex_products_are_matched_by_purl_and_subcomponent(void **state)
{
#define PART(part) "{\"@id\":\"pkg:oci/shop\",\"subcomponents\":[{\"@id\":\"" part "\"}]}"

	(void)state;
	assert_true(silences(VEX(ABOUT("{\"@id\":\"pkg:npm/a\"}") NOT_AFFECTED), NULL, 0));
	assert_false(silences(VEX(ABOUT("{\"@id\":\"pkg:npm/b\"}") NOT_AFFECTED), NULL, 0));
	assert_false(
		silences(VEX(ABOUT("{\"@id\":\"pkg:npm/a@2.0.0\"}") NOT_AFFECTED), NULL, 0));
	assert_true(silences(VEX(ABOUT("{\"@id\":\"x\",\"identifiers\":{\"purl\":"
				       "\"pkg:npm/a\"}}") NOT_AFFECTED),
			     NULL, 0));
	assert_true(silences(VEX(ABOUT(PART("pkg:npm/a")) NOT_AFFECTED), "pkg:oci/shop@1", 0));
	assert_false(silences(VEX(ABOUT(PART("pkg:npm/b")) NOT_AFFECTED), "pkg:oci/shop@1", 0));
	assert_false(silences(VEX(ABOUT(PART("pkg:npm/a")) NOT_AFFECTED), "pkg:oci/mill@1", 0));
	assert_false(silences(VEX(ABOUT(PART("pkg:npm/a")) NOT_AFFECTED), NULL, 0));
	/* Of the product as a whole. */
	assert_true(silences(VEX(ABOUT("{\"@id\":\"pkg:oci/shop\"}") NOT_AFFECTED),
			     "pkg:oci/shop@1", 0));
	/* The older form: texts. */
	assert_true(silences(VEX("{\"vulnerability\":\"CVE-2020-1\",\"products\":"
				 "[\"pkg:npm/a@1.0.0\"]," NOT_AFFECTED),
			     NULL, 0));
}

static void the_newest_vex_statement_holds(void **state)
{
#define AT(time) "\"timestamp\":\"" time "\","
#define STILL "\"status\":\"affected\"}"

	(void)state;
	assert_false(silences(VEX(ABOUT(A) AT("2026-01-02T00:00:00Z") STILL "," ABOUT(A)
					  AT("2026-01-01T00:00:00Z") NOT_AFFECTED),
			      NULL, 0));
	assert_true(silences(VEX(ABOUT(A) AT("2026-01-01T00:00:00Z") STILL "," ABOUT(A)
					 AT("2026-01-02T00:00:00Z") NOT_AFFECTED),
			     NULL, 0));
	assert_false(silences(VEX(ABOUT(A) NOT_AFFECTED "," ABOUT(A) STILL), NULL, 0));
}

static void what_is_no_vex_document_is_refused(void **state)
{
	static const char *const texts[] = {"", "[]", "{\"statements\":[]}",
					    "{\"@context\":\"https://openvex.dev/ns\"}"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct err err = {0};
		struct vex vex;

		vex_init(&vex);
		assert_int_equal(vex_read(&vex, SPAN("v"), span_cstr(texts[i]), &err), -1);
		assert_int_not_equal(err.code, ERR_NONE);
		vex_release(&vex);
	}
}

static void written_vex_says_the_same_when_it_is_read(void **state)
{
	struct vex_author author = {.name = SPAN("me"), .now_s = 1767225600};
	struct err err = {0};
	struct scene s, again;
	struct vex vex;
	struct buf out;

	(void)state;
	scene_init(&s);
	scene_init(&again);
	vex_init(&vex);
	buf_init(&out, 65536);
	assert_int_equal(vex_read(&vex, SPAN("v"), SPAN(VEX(ABOUT(A) NOT_AFFECTED)), &err), 0);
	assert_int_equal(vex_apply(&vex, SPAN_NONE, &s.results), 0);
	vex_write(&s.results, &author, &out);
	assert_true(span_find(buf_span(&out), SPAN("component_not_present")) < out.len);
	assert_true(silences(buf_cstr(&out), NULL, 0));
	buf_clear(&out);
	vex_write(&again.results, &author, &out);
	assert_false(silences(buf_cstr(&out), NULL, 0));
	buf_release(&out);
	vex_release(&vex);
	result_list_release(&s.results);
	result_list_release(&again.results);
}

/* ---- other tools ----------------------------------------------------------------------------- */

#define SARIF                                                                                  \
	"\xef\xbb\xbf{\"version\":\"2.1.0\",\"runs\":[{\"tool\":{\"driver\":{\"name\":"        \
	"\"lint\",\"rules\":[{\"id\":\"R1\",\"helpUri\":\"https://lint.example/R1\","          \
	"\"properties\":{\"security-severity\":\"9.1\"}},{\"id\":\"R2\","                      \
	"\"defaultConfiguration\":{\"level\":\"note\"}}]}},\"results\":["                      \
	"{\"ruleId\":\"R1\",\"message\":{\"text\":\"one\"},\"locations\":[{"                   \
	"\"physicalLocation\":{\"artifactLocation\":{\"uri\":\"src/a%20b.c\"},"                \
	"\"region\":{\"startLine\":3}}}]},"                                                    \
	"{\"ruleIndex\":1,\"message\":{\"text\":\"two\"}},"                                    \
	"{\"ruleId\":\"R2\",\"level\":\"error\",\"message\":{\"text\":\"three\"}},"            \
	"{\"ruleId\":\"R1\",\"message\":{\"text\":\"x\"},\"suppressions\":[{\"kind\":"         \
	"\"inSource\"}]},"                                                                     \
	"{\"ruleId\":\"R1\",\"kind\":\"pass\",\"message\":{\"text\":\"x\"}}]}]}"

static void results_of_other_tools_are_taken_in(void **state)
{
	struct inventory inv = {0};
	struct result_list list;
	struct err err = {0};

	(void)state;
	result_list_init(&list, &inv);
	if (report_import_sarif(&list, SPAN("x.sarif"), SPAN(SARIF), &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(list.count, 3);
	assert_true(span_eq(list.at[0].tool, SPAN("lint")));
	assert_int_equal(list.at[0].finding.severity, FINDING_CRITICAL);
	assert_true(span_eq(list.at[0].finding.place.file, SPAN("src/a b.c")));
	assert_int_equal(list.at[0].finding.place.line, 3);
	assert_true(span_eq(list.at[0].finding.link, SPAN("https://lint.example/R1")));
	assert_true(span_eq(list.at[1].finding.rule, SPAN("R2")));
	assert_int_equal(list.at[1].finding.severity, FINDING_LOW);
	assert_int_equal(list.at[2].finding.severity, FINDING_HIGH);
	assert_int_equal(report_import_sarif(&list, SPAN("x"), SPAN("{}"), &err), -1);
	result_list_release(&list);
}

/* ---- earlier reports ------------------------------------------------------------------------- */

static void add(struct result_list *list, const char *rule, const char *file, uint32_t line)
{
	struct finding f = {.rule = span_cstr(rule),
			    .message = SPAN("m"),
			    .severity = FINDING_LOW,
			    .place = {.file = span_cstr(file), .line = line}};

	assert_int_equal(result_add_finding(list, &f), 0);
}

static size_t new_ones(const struct result_list *list)
{
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++)
		count += result_counts(&list->at[i]);
	return count;
}

/* Against a base of two of rule r in file f, and the vulnerability of the scene. */
static void assert_new(struct result_list *list, bool sarif, size_t expected)
{
	struct report report = {.version = SPAN("0"), .target = SPAN("t")};
	struct err err = {0};
	struct baseline base;
	struct scene s;
	struct buf out;

	scene_init(&s);
	add(&s.results, "r", "f", 1);
	add(&s.results, "r", "f", 5);
	report.inventory = &s.inv;
	report.results = &s.results;
	buf_init(&out, 1 << 20);
	if (sarif)
		assert_int_equal(report_sarif(&report, &out), 0);
	else
		report_json(&report, &out);
	baseline_init(&base);
	if (baseline_read(&base, SPAN("report"), buf_span(&out), &err) < 0)
		fail_msg("%s", err.message);
	assert_int_equal(baseline_apply(&base, list), 0);
	assert_int_equal(new_ones(list), expected);
	baseline_release(&base);
	buf_release(&out);
	result_list_release(&s.results);
}

static void only_what_a_change_brings_is_new(void **state)
{
	(void)state;
	for (int sarif = 0; sarif < 2; sarif++) {
		struct scene s;

		/* Lines have moved, and the component was upgraded to another vulnerable one. */
		scene_init(&s);
		s.c.line = 99;
		result_list_release(&s.results);
		s.c.purl = SPAN("pkg:npm/a@1.0.1");
		result_list_init(&s.results, &s.inv);
		assert_int_equal(result_add_vulnerability(&s.results, &s.v), 0);
		add(&s.results, "r", "f", 41);
		add(&s.results, "r", "f", 45);
		assert_new(&s.results, sarif, 0);
		result_list_release(&s.results);

		scene_init(&s);
		add(&s.results, "r", "f", 1);
		add(&s.results, "r", "f", 5);
		add(&s.results, "r", "f", 9); /* one more of them */
		add(&s.results, "r", "g", 1); /* another file */
		add(&s.results, "q", "f", 1); /* another rule */
		assert_new(&s.results, sarif, 3);
		result_list_release(&s.results);
	}
}

/* ---- gateways -------------------------------------------------------------------------------- */

static void exposure_is_what_routes_ask_for(void **state)
{
	static const char text[] = "{\"services\":{\"a\":{},\"b\":{},\"c\":{}},\"routes\":["
				   "{\"service\":\"a\",\"auth\":\"required\",\"path\":\"/"
				   "a\"},{\"service\":\"b\",\"auth\":"
				   "\"required\",\"path\":\"/"
				   "b\"},{\"service\":\"b\",\"auth\":\"none\",\"path\":\"/"
				   "open\"},{\"respond\":{}}]}";
	struct exposure_map map;
	struct err err = {0};
	struct component c = {.relation = RELATION_TRANSITIVE};
	struct vulnerability v = {.score_tenths = 50};
	unsigned priorities[4];

	(void)state;
	exposure_init(&map);
	assert_int_equal(exposure_of(&map, SPAN("a")), EXPOSURE_UNKNOWN);
	assert_int_equal(exposure_read_json(&map, span_cstr(text), &err), 0);
	assert_int_equal(exposure_of(&map, SPAN("a")), EXPOSURE_AUTHENTICATED);
	assert_int_equal(exposure_of(&map, SPAN("b")), EXPOSURE_PUBLIC);
	assert_true(span_eq(exposure_route(&map, SPAN("a")), SPAN("/a")));
	assert_true(span_eq(exposure_route(&map, SPAN("b")), SPAN("/open")));
	assert_int_equal(exposure_route(&map, SPAN("c")).len, 0);
	assert_int_equal(exposure_of(&map, SPAN("c")), EXPOSURE_NONE);
	assert_int_equal(exposure_of(&map, SPAN("d")), EXPOSURE_NONE);
	assert_int_equal(exposure_of(&map, SPAN_NONE), EXPOSURE_UNKNOWN);
	assert_int_equal(exposure_read_json(&map, SPAN("{}"), &err), -1);
	exposure_release(&map);
	for (unsigned i = 0; i < 4; i++) {
		v.exposure = (enum exposure)i;
		priorities[i] = rank_priority(&v, &c);
	}
	assert_int_equal(priorities[0], priorities[1]);
	assert_true(priorities[1] < priorities[2] && priorities[2] < priorities[3]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vex_statements_silence_what_they_say_is_not_affected_or_fixed),
		cmocka_unit_test(vex_products_are_matched_by_purl_and_subcomponent),
		cmocka_unit_test(the_newest_vex_statement_holds),
		cmocka_unit_test(what_is_no_vex_document_is_refused),
		cmocka_unit_test(written_vex_says_the_same_when_it_is_read),
		cmocka_unit_test(results_of_other_tools_are_taken_in),
		cmocka_unit_test(only_what_a_change_brings_is_new),
		cmocka_unit_test(exposure_is_what_routes_ask_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
