/*
 * Parameters in every style: the table of OpenAPI 3.0.4 section 4.7.12.3, with the values
 * color = "blue", ["blue","black","brown"], {R: 100, G: 200, B: 150}.
 */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "contract/contract.h"

/* A document with one operation that has one parameter, and its check. */
struct one {
	struct contract *contract;
	struct contract_check *check;
};

static void make(struct one *one, const char *version, const char *in, const char *rest)
{
	bool path = strcmp(in, "path") == 0;
	struct err err = {.code = ERR_NONE};
	char text[2048];

	snprintf(text, sizeof(text),
		 "openapi: %s\ninfo: {title: t, version: '1'}\n"
		 "paths:\n  /p%s:\n    get:\n      parameters:\n"
		 "        - {name: %s, in: %s, required: true, %s}\n"
		 "      responses: {'200': {description: ok}}\n",
		 version, path ? "/{color}" : "",
		 strcmp(in, "header") == 0 ? "X-Color" : "color", in, rest);
	one->contract = contract_load_text(span_cstr(text), SPAN("a.yaml"), NULL, &err);
	if (!one->contract)
		fail_msg("%s\n%s", err.message, text);
	one->check = contract_check_new(NULL, NULL);
	assert_non_null(one->check);
}

static void drop(struct one *one)
{
	contract_check_free(one->check);
	contract_unref(one->contract);
}

/* "" when it is valid, else "keyword pointer" of the first problem. */
static const char *verdict(struct one *one, const char *in, const char *value,
			   const struct contract_policy *given, char out[200])
{
	static const struct contract_policy refuse = {.query = CONTRACT_UNKNOWN_REFUSE,
						      .properties = CONTRACT_UNKNOWN_REFUSE};
	struct contract_request request = {.query = SPAN_NONE};
	struct http_field field = {.value = span_cstr(value)};
	const struct contract_problem *problems;
	struct contract_route route;
	char path[200] = "/p";

	if (strcmp(in, "path") == 0)
		snprintf(path, sizeof(path), "/p/%s", value);
	else if (strcmp(in, "query") == 0 || strcmp(in, "querystring") == 0)
		request.query = span_cstr(value);
	field.name = strcmp(in, "cookie") == 0 ? SPAN("cookie") : SPAN("x-color");
	if (strcmp(in, "header") == 0 || strcmp(in, "cookie") == 0) {
		request.fields = &field;
		request.field_count = 1;
	}
	assert_int_equal(contract_match(one->contract, SPAN("GET"), span_cstr(path), &route),
			 CONTRACT_FOUND);
	(void)contract_check_request(one->check, one->contract, &route, &request,
				     given ? given : &refuse);
	if (contract_check_finish(one->check) == CONTRACT_VALID)
		return "";
	assert_true(contract_check_problems(one->check, &problems) > 0);
	snprintf(out, 200, "%.*s %.*s", SPAN_ARG(problems[0].keyword),
		 SPAN_ARG(problems[0].pointer));
	return out;
}

#define STRING "schema: {type: string, enum: ['blue', '']}"
#define ARRAY                                                                                  \
	"schema: {type: array, minItems: 3, maxItems: 3, items: {enum: [blue, black, brown]}}"
#define OBJECT                                                                                 \
	"schema: {type: object, additionalProperties: false, required: [R, G, B], "            \
	"properties: "                                                                         \
	"{R: {type: integer, const: 100}, G: {enum: [200]}, B: {type: number, minimum: 150}}}"

static const struct {
	const char *in, *style, *explode, *schema, *value;
} table[] = {
	{"path", "matrix", "false", STRING, ";color"},
	{"path", "matrix", "false", STRING, ";color=blue"},
	{"path", "matrix", "false", ARRAY, ";color=blue,black,brown"},
	{"path", "matrix", "false", OBJECT, ";color=R,100,G,200,B,150"},
	{"path", "matrix", "true", STRING, ";color"},
	{"path", "matrix", "true", STRING, ";color=blue"},
	{"path", "matrix", "true", ARRAY, ";color=blue;color=black;color=brown"},
	{"path", "matrix", "true", OBJECT, ";R=100;G=200;B=150"},
	{"path", "label", "false", STRING, "."},
	{"path", "label", "false", STRING, ".blue"},
	{"path", "label", "false", ARRAY, ".blue,black,brown"},
	{"path", "label", "false", OBJECT, ".R,100,G,200,B,150"},
	{"path", "label", "true", STRING, "."},
	{"path", "label", "true", STRING, ".blue"},
	{"path", "label", "true", ARRAY, ".blue.black.brown"},
	{"path", "label", "true", OBJECT, ".R=100.G=200.B=150"},
	{"path", "simple", "false", STRING, "blue"},
	{"path", "simple", "false", ARRAY, "blue,black,brown"},
	{"path", "simple", "false", OBJECT, "R,100,G,200,B,150"},
	{"path", "simple", "true", STRING, "blue"},
	{"path", "simple", "true", ARRAY, "blue,black,brown"},
	{"path", "simple", "true", OBJECT, "R=100,G=200,B=150"},
	{"header", "simple", "false", STRING, ""},
	{"header", "simple", "false", STRING, "blue"},
	{"header", "simple", "false", ARRAY, "blue,black, brown"},
	{"header", "simple", "false", OBJECT, "R,100,G,200,B,150"},
	{"header", "simple", "true", STRING, "blue"},
	{"header", "simple", "true", ARRAY, "blue, black,brown"},
	{"header", "simple", "true", OBJECT, "R=100,G=200, B=150"},
	{"query", "form", "false", STRING, "color="},
	{"query", "form", "false", STRING, "color=blue"},
	{"query", "form", "false", ARRAY, "color=blue,black,brown"},
	{"query", "form", "false", OBJECT, "color=R,100,G,200,B,150"},
	{"query", "form", "true", STRING, "color="},
	{"query", "form", "true", STRING, "color=blue"},
	{"query", "form", "true", ARRAY, "color=blue&color=black&color=brown"},
	{"query", "form", "true", OBJECT, "R=100&G=200&B=150"},
	{"query", "spaceDelimited", "false", ARRAY, "color=blue%20black%20brown"},
	{"query", "spaceDelimited", "false", ARRAY, "color=blue+black+brown"},
	{"query", "spaceDelimited", "false", OBJECT, "color=R%20100%20G%20200%20B%20150"},
	{"query", "spaceDelimited", "true", ARRAY, "color=blue&color=black&color=brown"},
	{"query", "pipeDelimited", "false", ARRAY, "color=blue%7Cblack%7cbrown"},
	{"query", "pipeDelimited", "false", ARRAY, "color=blue|black|brown"},
	{"query", "pipeDelimited", "false", OBJECT, "color=R%7C100%7CG%7C200%7CB%7C150"},
	{"query", "pipeDelimited", "true", ARRAY, "color=blue&color=black&color=brown"},
	{"query", "deepObject", "true", OBJECT,
	 "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"},
	{"query", "deepObject", "true", OBJECT, "color[R]=100&color[G]=200&color[B]=150"},
	{"cookie", "form", "false", STRING, "color=blue"},
	{"cookie", "form", "false", ARRAY, "other=1; color=blue,black,brown"},
	{"cookie", "form", "false", OBJECT, "color=R,100,G,200,B,150"},
	{"cookie", "form", "true", STRING, "color=blue"},
	{"cookie", "form", "true", ARRAY, "color=blue; color=black; color=brown"},
	{"cookie", "form", "true", OBJECT, "R=100; G=200; B=150"},
};

static void every_style_of_the_table_is_read(void **state)
{
	static const char *const versions[] = {"3.1.0", "3.2.0"};
	char rest[512], out[200];

	(void)state;
	for (size_t v = 0; v < COUNT_OF(versions); v++) {
		for (size_t i = 0; i < COUNT_OF(table); i++) {
			struct one one;

			snprintf(rest, sizeof(rest), "style: %s, explode: %s, %s",
				 table[i].style, table[i].explode, table[i].schema);
			make(&one, versions[v], table[i].in, rest);
			if (*verdict(&one, table[i].in, table[i].value, NULL, out))
				fail_msg("%s %s %s: %s", table[i].style, table[i].explode,
					 table[i].value, out);
			drop(&one);
		}
	}
}

static void the_cookie_style_of_3_2_has_no_escapes(void **state)
{
	struct one one;
	char out[200];

	(void)state;
	make(&one, "3.2.0", "cookie", "style: cookie, schema: {const: 'a%20b'}");
	assert_string_equal(verdict(&one, "cookie", "color=a%20b", NULL, out), "");
	drop(&one);
	make(&one, "3.1.0", "cookie", "schema: {const: 'a b'}");
	assert_string_equal(verdict(&one, "cookie", "color=a%20b", NULL, out), "");
	drop(&one);
}

static void version_3_0_reads_labels_the_old_way_too(void **state)
{
	struct one one;
	char out[200];

	(void)state;
	make(&one, "3.0.0", "path",
	     "style: label, schema: {type: array, minItems: 2, items: {type: string}}");
	assert_string_equal(verdict(&one, "path", ".a.b", NULL, out), "");
	assert_string_equal(verdict(&one, "path", ".a,b", NULL, out), "");
	drop(&one);
	make(&one, "3.1.0", "path",
	     "style: label, schema: {type: array, minItems: 2, items: {type: string}}");
	assert_string_equal(verdict(&one, "path", ".a.b", NULL, out), "minItems ");
	drop(&one);
}

struct expectation {
	const char *in, *rest, *value, *expected;
};

static void check_all(const struct expectation *list, size_t count)
{
	char out[200];

	for (size_t i = 0; i < count; i++) {
		struct one one;
		const char *got;

		make(&one, "3.1.0", list[i].in, list[i].rest);
		got = verdict(&one, list[i].in, list[i].value, NULL, out);
		if (strcmp(got, list[i].expected) != 0)
			fail_msg("%s {%s} %s: \"%s\", not \"%s\"", list[i].in, list[i].rest,
				 list[i].value, got, list[i].expected);
		drop(&one);
	}
}

static void values_are_what_the_schema_allows(void **state)
{
	static const struct expectation list[] = {
		{"query", "schema: {type: integer, maximum: 9}", "color=9", ""},
		{"query", "schema: {type: integer, maximum: 9}", "color=10", "maximum "},
		{"query", "schema: {type: integer}", "color=1.5", "type "},
		{"query", "schema: {type: integer}", "color=0x10", "type "},
		{"query", "schema: {type: integer}", "color=", "type "},
		{"query", "schema: {type: integer}", "color", "type "},
		{"query", "schema: {type: number}", "color=1e2", ""},
		{"query", "schema: {type: boolean}", "color=true", ""},
		{"query", "schema: {type: boolean}", "color=1", "type "},
		{"query", "schema: {type: string, maxLength: 3}", "color=%C3%A9%C3%A9%C3%A9",
		 ""},
		{"query", "schema: {type: string, pattern: '^[0-9]+$'}", "color=12", ""},
		{"query", "schema: {type: [string, 'null']}", "color=", ""},
		{"query", "schema: {anyOf: [{type: integer}, {enum: [all]}]}", "color=all", ""},
		{"query", "schema: {anyOf: [{type: integer}, {enum: [all]}]}", "color=7", ""},
		{"query", "schema: {anyOf: [{type: integer}, {enum: [all]}]}", "color=x",
		 "anyOf "},
		{"query", "schema: {type: array, items: {type: integer}}", "color=1&color=x",
		 "type /1"},
		{"query", "schema: {type: array, items: {type: string, minLength: 1}}",
		 "color=", "minLength /0"},
		{"query", "schema: {type: array, uniqueItems: true}", "color=1&color=1",
		 "uniqueItems "},
		{"header", "schema: {type: integer, minimum: 5}", "4", "minimum "},
		{"path", "schema: {type: string, format: uuid, maxLength: 3}", "abcd",
		 "maxLength "},
		{"cookie", "schema: {type: integer}", "color=x", "type "},
		{"query",
		 "content: {application/json: {schema: {type: object, required: [a]}}}",
		 "color=%7B%22a%22:1%7D", ""},
		{"query",
		 "content: {application/json: {schema: {type: object, required: [a]}}}",
		 "color=%7B%7D", "required "},
		{"query", "content: {application/json: {}}", "color=%7B", "syntax "},
		{"query", "allowEmptyValue: true, schema: {type: integer}", "color=", ""},
	};

	(void)state;
	check_all(list, COUNT_OF(list));
}

static void what_does_not_fit_the_style_is_refused(void **state)
{
	static const struct expectation list[] = {
		{"query", "schema: {type: integer}", "", "required "},
		{"query", "schema: {type: integer}", "color=1&color=2", "duplicate "},
		{"query", "schema: {type: string}", "color=%ff", "encoding "},
		{"query", "schema: {type: string}", "color=%4", "encoding "},
		{"query", "schema: {type: string}", "color=a&other=1", "unknown "},
		{"query", "schema: {type: array, items: {}}, explode: false", "color=1&color=2",
		 "duplicate "},
		{"query", "style: deepObject, " OBJECT, "color[R][x]=1", "style "},
		{"query", "style: deepObject, " OBJECT, "color[]=1", "style "},
		{"query", "style: deepObject, schema: {type: object}", "color[a]=1&color[a]=2",
		 "duplicate "},
		{"query", "explode: false, " OBJECT, "color=R,100,G", "style "},
		{"path", "explode: true, " OBJECT, "R=100,G", "style "},
		{"path", "style: label, " STRING, "blue", "style "},
		{"path", "style: matrix, " STRING, "blue", "style "},
		{"path", "style: matrix, " STRING, ";colour=blue", "style "},
		{"path", "style: matrix, explode: true, " ARRAY, ";color=blue;colour=black",
		 "style "},
		{"path", "style: matrix, " STRING, ";colors=blue", "style "},
		{"query", "explode: false, schema: {type: object}", "color=a,1,a,2", "syntax "},
		{"cookie", "schema: {type: integer}", "colour=1", "required "},
		{"cookie", "schema: {type: integer}", "color=1; color=2", "duplicate "},
		{"header", "schema: {type: string}", "\xff", "encoding "},
	};

	(void)state;
	check_all(list, COUNT_OF(list));
}

static void an_encoded_delimiter_is_part_of_a_value(void **state)
{
	static const struct expectation list[] = {
		{"query", "explode: false, schema: {type: array, items: {enum: ['a,b', c]}}",
		 "color=a%2Cb,c", ""},
		{"path", "schema: {type: array, items: {enum: ['a,b', c]}}", "a%2Cb,c", ""},
		{"query", "schema: {enum: ['a&b=c d+']}", "color=a%26b%3Dc+d%2B", ""},
		{"path", "schema: {enum: ['a+b']}", "a+b", ""},
	};

	(void)state;
	check_all(list, COUNT_OF(list));
}

static void unknown_query_parameters_are_by_policy(void **state)
{
	static const char value[] = "x=1&color=%61&y&color2=b";
	struct contract_policy policy = {.query = CONTRACT_UNKNOWN_ALLOW,
					 .properties = CONTRACT_UNKNOWN_ALLOW};
	struct one one;
	struct buf out;
	char text[200];

	(void)state;
	buf_init(&out, 1000);
	make(&one, "3.1.0", "query", "schema: {type: string}");
	assert_string_equal(verdict(&one, "query", value, &policy, text), "");
	assert_false(contract_check_cuts_query(one.check));
	policy.query = CONTRACT_UNKNOWN_STRIP;
	assert_string_equal(verdict(&one, "query", value, &policy, text), "");
	assert_true(contract_check_cuts_query(one.check));
	assert_int_equal(contract_check_write_query(one.check, &out), 0);
	assert_true(span_eq(buf_span(&out), SPAN("color=%61")));
	policy.query = CONTRACT_UNKNOWN_REFUSE;
	assert_string_equal(verdict(&one, "query", value, &policy, text), "unknown ");
	buf_release(&out);
	drop(&one);
}

static void a_querystring_is_one_value(void **state)
{
#define AS_FORM                                                                                \
	"content: {application/x-www-form-urlencoded: {schema: {type: object, required: [a], " \
	"properties: {a: {type: integer}, b: {type: array}}, additionalProperties: false}}}"
	static const struct {
		const char *rest, *value, *expected;
	} list[] = {
		{AS_FORM, "a=1&b=2&b=3", ""},
		{AS_FORM, "b=2", "required "},
		{AS_FORM, "a=x", "type /a"},
		{AS_FORM, "", "required "},
		{"content: {application/json: {schema: {type: array}}}", "%5B1%5D", ""},
		{"content: {application/json: {schema: {type: array}}}", "1", "type "},
	};
	char out[200];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(list); i++) {
		struct one one;

		make(&one, "3.2.0", "querystring", list[i].rest);
		assert_string_equal(verdict(&one, "querystring", list[i].value, NULL, out),
				    list[i].expected);
		drop(&one);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_style_of_the_table_is_read),
		cmocka_unit_test(the_cookie_style_of_3_2_has_no_escapes),
		cmocka_unit_test(version_3_0_reads_labels_the_old_way_too),
		cmocka_unit_test(values_are_what_the_schema_allows),
		cmocka_unit_test(what_does_not_fit_the_style_is_refused),
		cmocka_unit_test(an_encoded_delimiter_is_part_of_a_value),
		cmocka_unit_test(unknown_query_parameters_are_by_policy),
		cmocka_unit_test(a_querystring_is_one_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
