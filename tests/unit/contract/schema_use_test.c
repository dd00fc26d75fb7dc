#include "schema_test_set.h"

/* -- what cannot be compiled -- */

static void what_is_wrong_with_a_schema_is_told_with_its_place(void **state)
{
	static const struct {
		const char *schema;
		const char *pointer;
		const char *words;
	} cases[] = {
		{"{\"type\":\"text\"}", "/type", "must be one of"},
		{"{\"properties\":{\"a\":{\"minLength\":\"x\"}}}", "/properties/a/minLength",
		 "must be a whole number"},
		{"{\"properties\":{\"a\":7}}", "/properties/a", "a schema must be an object"},
		{"{\"items\":{\"$ref\":\"#/nowhere\"}}", "/items/$ref", "leads to nothing"},
		{"{\"$ref\":\"other.json#/x\"}", "/$ref", "leads to nothing"},
		{"{\"$ref\":\"#\"}", "", "only to each other"},
		{"{\"anyOf\":[]}", "/anyOf", "not empty"},
		{"{\"pattern\":\"(?i)a\"}", "/pattern", "cannot be used"},
		{"{\"patternProperties\":{\"[\":{}}}", "/patternProperties", "without end"},
		{"{\"multipleOf\":0}", "/multipleOf", "above 0"},
		{"{\"minItems\":-1}", "/minItems", "whole number"},
		{"{\"required\":[\"a\",1]}", "/required", "list of names"},
		{"{\"enum\":7}", "/enum", "a list of values"},
		{"{\"uniqueItems\":1}", "/uniqueItems", "true or false"},
		{"{\"items\":[{}]}", "/items", "must be a schema"},
		{"{\"$schema\":\"http://dialect.test/x\"}", "", "no known dialect"},
		{"{\"$defs\":{\"a\":{\"$anchor\":\"x\"},\"b\":{\"$anchor\":\"x\"}}}",
		 "/$defs/b", "two anchors"},
		{"{\"$defs\":{\"a\":{\"$id\":\"x\"},\"b\":{\"$id\":\"x\"}}}", "/$defs/b",
		 "two schemas with the id"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct schema_source source = {SCHEMA_2020_12, .is_schema = true};
		struct schema_fault fault;
		struct fixture f;
		struct err err = {0};

		assert_int_equal(fixture_try(&f, cases[i].schema, &source, NULL, SCHEMA_EITHER,
					     NULL, &err),
				 -1);
		assert_int_equal(err.code, ERR_INVALID);
		if (span_find(span_cstr(err.message), span_cstr(cases[i].words)) ==
		    strlen(err.message))
			fail_msg("%s: %s", cases[i].schema, err.message);
		assert_true(span_starts_with(span_cstr(err.message), SPAN("file:///t.json#")));
		assert_true(schema_set_fault(f.set, &fault));
		assert_true(span_eq(fault.uri, SPAN("file:///t.json")));
		if (!span_eq(fault.pointer, span_cstr(cases[i].pointer)))
			fail_msg("%s: %.*s", cases[i].schema, SPAN_ARG(fault.pointer));
		fixture_release(&f);
	}
}

static void bombs_are_refused_when_compiled(void **state)
{
	static const char *const bombs[] = {
		/* Ten times two to the power of levels. */
		"{\"$ref\":\"#/$defs/a\",\"$defs\":{"
		"\"a\":{\"allOf\":[{\"$ref\":\"#/$defs/b\"},{\"$ref\":\"#/$defs/"
		"b\"},{\"$ref\":\"#/$defs/b\"}]},"
		"\"b\":{\"allOf\":[{\"$ref\":\"#/$defs/c\"},{\"$ref\":\"#/$defs/"
		"c\"},{\"$ref\":\"#/$defs/c\"}]},"
		"\"c\":{\"allOf\":[{\"$ref\":\"#/$defs/d\"},{\"$ref\":\"#/$defs/"
		"d\"},{\"$ref\":\"#/$defs/d\"}]},"
		"\"d\":{\"anyOf\":[{\"minimum\":1},{\"minimum\":2}]}}}",
		"{\"allOf\":[{\"not\":{\"$ref\":\"#\"}}]}",
		"{\"if\":{\"$ref\":\"#/$defs/"
		"x\"},\"then\":true,\"$defs\":{\"x\":{\"oneOf\":[{\"$ref\":"
		"\"#\"},false]}}}",
		"{\"pattern\":"
		"\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
		"{\"prefixItems\":[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},"
		"{}]}",
	};
	struct schema_set_options options = {
		.max_width = 50, .max_nodes = 20, .max_regex_bytes = 64};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bombs); i++) {
		struct fixture f;
		struct err err = {0};

		if (fixture_try(&f, bombs[i], NULL, &options, SCHEMA_EITHER, NULL, &err) == 0)
			fail_msg("compiled: %s", bombs[i]);
		assert_int_equal(err.code, ERR_INVALID);
		fixture_release(&f);
	}
}

static int load_one(void *context, struct schema_set *set, struct span uri, struct err *err)
{
	const struct json *tree = context;

	if (!span_eq(uri, SPAN("file:///dir/common.json")))
		return err_set(err, ERR_NOT_FOUND, "no such file");
	return schema_set_add(set, uri, tree, NULL, err) ? 0 : -1;
}

static void other_documents_are_loaded_once_when_referred_to(void **state)
{
	struct arena arena;
	struct err err = {0};
	const struct json *common;
	const struct json *root;
	struct schema_set_options options = {.load = load_one};
	struct schema_source source = {SCHEMA_2020_12, .is_schema = false};
	struct schema_set *set;
	struct schema_document *document;
	const struct schema *schema;
	struct schema_run *run = schema_run_new(NULL, &err);

	(void)state;
	arena_init(&arena, 1 << 20, 4096);
	common = json_parse(&arena, SPAN("{\"$defs\":{\"id\":{\"maxLength\":2}}}"), NULL, &err);
	root = json_parse(&arena,
			  SPAN("{\"paths\":{\"/x\":{\"s\":{\"items\":{\"$ref\":"
			       "\"common.json#/$defs/id\"}},"
			       "\"t\":{\"$ref\":\"gone.json\"}}}}"),
			  NULL, &err);
	options.load_context = (void *)(uintptr_t)common;
	set = schema_set_new(&options, &err);
	document = schema_set_add(set, SPAN("file:///dir/api.json"), root, &source, &err);
	assert_non_null(document);
	schema = schema_set_compile(set, document, SPAN("/paths/~1x/s"), SCHEMA_EITHER, &err);
	assert_non_null(schema);
	assert_ptr_equal(schema, schema_set_compile(set, document, SPAN("/paths/~1x/s"),
						    SCHEMA_EITHER, &err));
	assert_int_equal(schema_run_whole(run, schema, NULL, SPAN("[\"ab\"]")), SCHEMA_VALID);
	assert_int_equal(schema_run_whole(run, schema, NULL, SPAN("[\"abc\"]")),
			 SCHEMA_INVALID);
	assert_non_null(schema_set_find(set, SPAN("file:///dir/common.json")));
	assert_null(
		schema_set_compile(set, document, SPAN("/paths/~1x/t"), SCHEMA_EITHER, &err));
	assert_true(span_find(span_cstr(err.message), SPAN("no such file")) <
		    strlen(err.message));
	assert_null(
		schema_set_compile(set, document, SPAN("/paths/~1x/u"), SCHEMA_EITHER, &err));
	schema_run_free(run);
	schema_set_free(set);
	arena_release(&arena);
}

/* -- OpenAPI 3.0 -- */

static void openapi_30_bends_draft_4(void **state)
{
	static const struct {
		const char *schema;
		const char *valid;
		const char *invalid;
	} cases[] = {
		{"{\"type\":\"string\",\"nullable\":true}", "null", "1"},
		{"{\"type\":\"string\"}", "\"\"", "null"},
		{"{\"minimum\":1,\"exclusiveMinimum\":true}", "1.5", "1"},
		{"{\"type\":\"integer\"}", "1.0", "1.5"},
		{"{\"type\":\"integer\",\"format\":\"int32\"}", "2147483647", "2147483648"},
		{"{\"type\":\"integer\",\"format\":\"int64\"}", "-9223372036854775808",
		 "-9223372036854775809"},
		{"{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/properties/b\","
		 "\"maxLength\":1},\"b\":{\"type\":\"string\"}}}",
		 "{\"a\":\"xyz\"}", "{\"a\":1}"},
		{"{\"const\":1,\"type\":\"integer\"}", "2", "\"1\""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fixture f;

		fixture_init_with(&f, cases[i].schema, SCHEMA_OPENAPI30, SCHEMA_EITHER, NULL);
		assert_int_equal(fixture_check(&f, cases[i].valid), SCHEMA_VALID);
		assert_int_equal(fixture_check(&f, cases[i].invalid), SCHEMA_INVALID);
		fixture_release(&f);
	}
}

static const char account[] =
	"{\"type\":\"object\",\"required\":[\"id\",\"password\"],\"properties\":{"
	"\"id\":{\"type\":\"integer\",\"readOnly\":true},"
	"\"password\":{\"type\":\"string\",\"writeOnly\":true},\"name\":{\"type\":\"string\"}}"
	"}";

static void the_direction_decides_what_is_required(void **state)
{
	static const struct {
		enum schema_direction direction;
		const char *text;
		enum schema_result result;
		enum schema_result refusing;
	} cases[] = {
		{SCHEMA_REQUEST, "{\"password\":\"x\"}", SCHEMA_VALID, SCHEMA_VALID},
		{SCHEMA_REQUEST, "{\"id\":1,\"password\":\"x\"}", SCHEMA_VALID, SCHEMA_INVALID},
		{SCHEMA_REQUEST, "{\"id\":1}", SCHEMA_INVALID, SCHEMA_INVALID},
		{SCHEMA_RESPONSE, "{\"id\":1}", SCHEMA_VALID, SCHEMA_VALID},
		{SCHEMA_RESPONSE, "{\"id\":1,\"password\":\"x\"}", SCHEMA_VALID,
		 SCHEMA_INVALID},
		{SCHEMA_EITHER, "{\"id\":1}", SCHEMA_INVALID, SCHEMA_INVALID},
		{SCHEMA_EITHER, "{\"id\":1,\"password\":\"x\"}", SCHEMA_VALID, SCHEMA_VALID},
	};
	struct schema_run_options refuse = {.unknown = SCHEMA_UNKNOWN_REFUSE};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fixture f;

		fixture_init_with(&f, account, SCHEMA_OPENAPI30, cases[i].direction, NULL);
		assert_int_equal(fixture_check(&f, cases[i].text), cases[i].result);
		assert_int_equal(
			schema_run_whole(f.run, f.schema, &refuse, span_cstr(cases[i].text)),
			cases[i].refusing);
		fixture_release(&f);
	}
}

/* -- unknown properties -- */

static void cut_out(struct fixture *f, const char *text, struct buf *to)
{
	struct schema_run_options strip = {.unknown = SCHEMA_UNKNOWN_STRIP};
	const struct schema_cut *cuts;
	struct span all = span_cstr(text);
	uint64_t at = 0;
	size_t count;

	buf_clear(to);
	if (schema_run_whole(f->run, f->schema, &strip, all) != SCHEMA_VALID) {
		buf_append_cstr(to, "invalid");
		return;
	}
	count = schema_run_cuts(f->run, &cuts);
	for (size_t i = 0; i < count; i++) {
		assert_true(cuts[i].start >= at && cuts[i].end > cuts[i].start);
		buf_append(to, span_slice(all, at, cuts[i].start));
		at = cuts[i].end;
	}
	buf_append(to, span_slice(all, at, all.len));
}

static void unknown_properties_are_cut_out(void **state)
{
#define KNOWS_AB "{\"properties\":{\"a\":{},\"b\":{\"properties\":{\"c\":{}}}}}"
	static const struct {
		const char *schema;
		const char *text;
		const char *left;
	} cases[] = {
		{KNOWS_AB, "{\"a\":1,\"x\":2}", "{\"a\":1}"},
		{KNOWS_AB, "{\"x\":2,\"a\":1}", "{\"a\":1}"},
		{KNOWS_AB, "{ \"x\" : {\"a\":[1,{}]} , \"y\":3, \"a\":1 }", "{ \"a\":1 }"},
		{KNOWS_AB, "{\"x\":1}", "{}"},
		{KNOWS_AB, "{\"x\":1,\"y\":2}", "{}"},
		{KNOWS_AB, "{\"a\":1,\"x\":1,\"b\":{\"x\":1,\"c\":2,\"y\":3},\"y\":2}",
		 "{\"a\":1,\"b\":{\"c\":2}}"},
		{KNOWS_AB, "{\"b\":{\"z\":{\"c\":1}}}", "{\"b\":{}}"},
		{"{\"type\":\"object\"}", "{\"x\":1}", "{\"x\":1}"},
		{"{\"properties\":{\"a\":{}},\"additionalProperties\":true}", "{\"x\":1}",
		 "{\"x\":1}"},
		{"{\"properties\":{\"a\":{}},\"additionalProperties\":false}",
		 "{\"a\":1,\"x\":1}", "{\"a\":1}"},
		{"{\"properties\":{\"a\":{}},\"patternProperties\":{\"^x-\":{}}}",
		 "{\"x-1\":1,\"y\":1}", "{\"x-1\":1}"},
		{"{\"allOf\":[{\"properties\":{\"a\":{}}},{\"properties\":{\"b\":{}}}],"
		 "\"unevaluatedProperties\":false}",
		 "{\"b\":1,\"x\":1,\"a\":1}", "{\"b\":1,\"a\":1}"},
		/* Only branches that hold name what is known. */
		{"{\"oneOf\":[{\"properties\":{\"k\":{\"const\":1},\"a\":{}}},"
		 "{\"properties\":{\"k\":{\"const\":2},\"b\":{}}}]}",
		 "{\"a\":1,\"b\":2,\"k\":2}", "{\"b\":2,\"k\":2}"},
		/* Also when the branch is decided further out. */
		{"{\"oneOf\":[{\"properties\":{\"in\":{\"properties\":{\"a\":{}}},\"k\":{"
		 "\"const\":1}}},"
		 "{\"properties\":{\"in\":{\"properties\":{\"b\":{}}},\"k\":{\"const\":2}}}]}",
		 "{\"in\":{\"a\":1,\"b\":2},\"k\":1}", "{\"in\":{\"a\":1},\"k\":1}"},
		{"{\"items\":" KNOWS_AB "}", "[{\"x\":1},{\"a\":{\"q\":1}}]",
		 "[{},{\"a\":{\"q\":1}}]"},
		{"{\"properties\":{\"a\":{\"type\":\"string\"}}}", "{\"a\":1,\"x\":1}",
		 "invalid"},
	};
	struct buf left;

	(void)state;
	buf_init(&left, 4096);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fixture f;

		fixture_init(&f, cases[i].schema);
		cut_out(&f, cases[i].text, &left);
		assert_string_equal(buf_cstr(&left), cases[i].left);
		fixture_release(&f);
	}
	buf_release(&left);
}

static void unknown_properties_are_refused_with_their_place(void **state)
{
	struct schema_run_options refuse = {.unknown = SCHEMA_UNKNOWN_REFUSE};
	const struct schema_problem *problems;
	struct fixture f;

	(void)state;
	fixture_init(&f,
		     "{\"anyOf\":[{\"properties\":{\"in\":{\"properties\":{\"a\":{}}},\"k\":{"
		     "\"const\":1}}},{\"properties\":{\"in\":{},\"k\":{\"const\":2}}}]}");
	assert_int_equal(schema_run_whole(f.run, f.schema, &refuse,
					  SPAN("{\"in\":{\"b\":1},\"k\":1,\"z\":1}")),
			 SCHEMA_INVALID);
	assert_int_equal(schema_run_problems(f.run, &problems), 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(span_eq(problems[i].keyword, SPAN("unknownProperty")));
		assert_true(span_eq(problems[i].instance, SPAN("/in/b")) ||
			    span_eq(problems[i].instance, SPAN("/z")));
	}
	assert_int_equal(
		schema_run_whole(f.run, f.schema, &refuse, SPAN("{\"in\":{\"b\":1},\"k\":2}")),
		SCHEMA_VALID);
	fixture_release(&f);
}

static void unknown_properties_are_told_up_to_a_limit(void **state)
{
	struct schema_run_limits limits = {.max_unknown = 2};
	struct schema_run_options strip = {.unknown = SCHEMA_UNKNOWN_STRIP};
	struct fixture f;

	(void)state;
	fixture_init_with(&f, KNOWS_AB, SCHEMA_2020_12, SCHEMA_EITHER, &limits);
	assert_int_equal(
		schema_run_whole(f.run, f.schema, &strip, SPAN("{\"x\":1,\"y\":1,\"z\":1}")),
		SCHEMA_LIMIT);
	assert_true(span_eq(schema_run_limit(f.run), SPAN("unknown")));
	fixture_release(&f);
}

/* -- parameters and forms -- */

static void text_becomes_what_the_schema_allows(void **state)
{
	static const struct {
		const char *schema;
		struct span text;
		enum schema_result result;
	} cases[] = {
		{"{\"type\":\"integer\",\"maximum\":9}", SPAN_INIT("7"), SCHEMA_VALID},
		{"{\"type\":\"integer\",\"maximum\":9}", SPAN_INIT("12"), SCHEMA_INVALID},
		{"{\"type\":\"integer\"}", SPAN_INIT("07"), SCHEMA_INVALID},
		{"{\"type\":\"integer\"}", SPAN_INIT("7x"), SCHEMA_INVALID},
		{"{\"type\":\"integer\"}", SPAN_INIT(""), SCHEMA_INVALID},
		{"{\"type\":\"number\"}", SPAN_INIT("-1.5e3"), SCHEMA_VALID},
		{"{\"type\":\"boolean\"}", SPAN_INIT("true"), SCHEMA_VALID},
		{"{\"type\":\"boolean\"}", SPAN_INIT("yes"), SCHEMA_INVALID},
		{"{\"type\":\"string\",\"maxLength\":2}", SPAN_INIT("12"), SCHEMA_VALID},
		{"{\"type\":[\"integer\",\"string\"],\"maximum\":5}", SPAN_INIT("7"),
		 SCHEMA_VALID},
		{"{\"enum\":[1,2]}", SPAN_INIT("2"), SCHEMA_VALID},
		{"{\"pattern\":\"^[0-9]{3}$\"}", SPAN_INIT("123"), SCHEMA_VALID},
		{"{\"pattern\":\"^[0-9]{3}$\"}", SPAN_INIT("12"), SCHEMA_INVALID},
		{"{\"allOf\":[{\"type\":\"integer\"},{\"minimum\":3}]}", SPAN_INIT("2"),
		 SCHEMA_INVALID},
		{"{\"type\":\"string\"}", SPAN_INIT("\xff"), SCHEMA_INVALID},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fixture f;

		fixture_init(&f, cases[i].schema);
		assert_int_equal(schema_run_scalar(f.run, f.schema, cases[i].text),
				 cases[i].result);
		fixture_release(&f);
	}
}

static void forms_are_checked_by_tokens_and_texts(void **state)
{
	static const char schema[] = "{\"type\":\"object\",\"properties\":{\"age\":{\"type\":"
				     "\"integer\"},\"tags\":{\"type\":\"array\",\"items\":{"
				     "\"type\":\"boolean\"}}}}";
	const struct schema_problem *problems;
	struct fixture f;

	(void)state;
	fixture_init(&f, schema);
	schema_run_start(f.run, f.schema, NULL);
	schema_run_token(f.run, JSON_TOKEN_OBJECT_BEGIN, SPAN(""));
	schema_run_token(f.run, JSON_TOKEN_KEY, SPAN("age"));
	schema_run_text(f.run, SPAN("42"));
	schema_run_token(f.run, JSON_TOKEN_KEY, SPAN("tags"));
	schema_run_token(f.run, JSON_TOKEN_ARRAY_BEGIN, SPAN(""));
	schema_run_text(f.run, SPAN("true"));
	schema_run_text(f.run, SPAN("maybe"));
	schema_run_token(f.run, JSON_TOKEN_ARRAY_END, SPAN(""));
	schema_run_token(f.run, JSON_TOKEN_OBJECT_END, SPAN(""));
	assert_int_equal(schema_run_finish(f.run), SCHEMA_INVALID);
	assert_int_equal(schema_run_problems(f.run, &problems), 1);
	assert_true(span_eq(problems[0].instance, SPAN("/tags/1")));
	/* A second value, or none, is no value. */
	schema_run_start(f.run, schema_anything(), NULL);
	schema_run_text(f.run, SPAN("a"));
	assert_int_equal(schema_run_text(f.run, SPAN("b")), SCHEMA_MALFORMED);
	schema_run_start(f.run, schema_anything(), NULL);
	schema_run_token(f.run, JSON_TOKEN_ARRAY_BEGIN, SPAN(""));
	assert_int_equal(schema_run_finish(f.run), SCHEMA_MALFORMED);
	fixture_release(&f);
}

static void a_schema_tells_how_to_decode(void **state)
{
	struct fixture f;
	struct span name;
	size_t cursor = 0;
	size_t names = 0;

	(void)state;
	fixture_init(&f,
		     "{\"allOf\":[{\"$ref\":\"#/$defs/x\"}],\"properties\":{\"a\":{\"type\":"
		     "\"array\",\"items\":{\"type\":\"integer\"}}},\"$defs\":{\"x\":{"
		     "\"type\":\"object\",\"properties\":{\"b\":{\"enum\":[1,\"x\"]}},"
		     "\"additionalProperties\":{\"type\":\"null\"}}}}");
	assert_int_equal(schema_types(f.schema), SCHEMA_OBJECT);
	assert_int_equal(schema_types(schema_property(f.schema, SPAN("a"))), SCHEMA_ARRAY);
	assert_int_equal(schema_types(schema_items(schema_property(f.schema, SPAN("a")))),
			 SCHEMA_INTEGER);
	assert_int_equal(schema_types(schema_property(f.schema, SPAN("b"))),
			 SCHEMA_INTEGER | SCHEMA_NUMBER | SCHEMA_STRING);
	assert_null(schema_property(f.schema, SPAN("c")));
	assert_int_equal(schema_types(schema_additional(f.schema)), SCHEMA_NULL);
	while (schema_property_next(f.schema, &cursor, &name))
		names += span_eq(name, SPAN("a")) || span_eq(name, SPAN("b"));
	assert_int_equal(names, 2);
	assert_int_equal(cursor, 2);
	fixture_release(&f);
}

static void keys_may_be_there_twice_when_allowed(void **state)
{
	struct schema_run_options allow = {.allow_duplicate_keys = true};
	static const char *const schemas[] = {
		"{}", "{\"properties\":{\"a\":{}}}",
		"{\"oneOf\":[{\"properties\":{\"a\":{\"const\":1}}},{\"required\":[\"b\"]}]}",
		"{\"anyOf\":[{\"properties\":{\"a\":{\"const\":2}}},{\"minProperties\":1}]}"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(schemas); i++) {
		struct fixture f;
		uint64_t offset;

		fixture_init(&f, schemas[i]);
		assert_int_equal(fixture_check(&f, "{\"a\":1,\"c\":1,\"a\":1}"),
				 SCHEMA_MALFORMED);
		assert_int_equal(schema_run_json_error(f.run, &offset),
				 JSON_ERROR_DUPLICATE_KEY);
		assert_int_equal(offset, 13);
		assert_int_equal(fixture_check(&f, "{\"x\":{\"y\":1,\"y\":1}}"),
				 SCHEMA_MALFORMED);
		assert_int_equal(fixture_check(&f, "{\"a\":1,\"c\":1,\"c\":1}"),
				 SCHEMA_MALFORMED);
		assert_int_equal(schema_run_whole(f.run, f.schema, &allow,
						  SPAN("{\"a\":1,\"c\":1,\"a\":1}")),
				 SCHEMA_VALID);
		fixture_release(&f);
	}
}

static void long_numbers_are_compared_exactly(void **state)
{
	static const struct {
		const char *text;
		enum schema_result result;
	} cases[] = {
		{"[999999999999999999]", SCHEMA_VALID},
		{"[1000000000000000000]", SCHEMA_VALID},
		{"[1000000000000000001]", SCHEMA_INVALID},
		{"[1000000000000000000.000000000000000000000000000001]", SCHEMA_INVALID},
		{"[9999999999999999999]", SCHEMA_INVALID},
		{"[99999999999999999999999999999999999999]", SCHEMA_INVALID},
		{"[1e18]", SCHEMA_VALID},
		{"[-0.5]", SCHEMA_VALID},
		{"[-0.50000000000000000000000000000000001]", SCHEMA_INVALID},
		{"[-999999999999999999]", SCHEMA_INVALID},
	};
	struct fixture f;

	(void)state;
	fixture_init(&f, "{\"items\":{\"minimum\":-0.5,\"maximum\":1000000000000000000}}");
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		assert_int_equal(fixture_check(&f, cases[i].text), cases[i].result);
	fixture_release(&f);
}

static void arrays_have_no_properties_to_depend_on(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, "{\"properties\":{\"a\":{}},\"dependentSchemas\":{\"a\":false,\"b\":{"
			 "\"minItems\":3}},\"items\":{\"type\":\"string\"}}");
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(fixture_check(&f, "{\"a\":1,\"b\":2}"), SCHEMA_INVALID);
		assert_int_equal(fixture_check(&f, "[\"x\"]"), SCHEMA_VALID);
		assert_int_equal(fixture_check(&f, "{\"b\":[]}"), SCHEMA_VALID);
	}
	fixture_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrong_with_a_schema_is_told_with_its_place),
		cmocka_unit_test(bombs_are_refused_when_compiled),
		cmocka_unit_test(other_documents_are_loaded_once_when_referred_to),
		cmocka_unit_test(openapi_30_bends_draft_4),
		cmocka_unit_test(the_direction_decides_what_is_required),
		cmocka_unit_test(unknown_properties_are_cut_out),
		cmocka_unit_test(unknown_properties_are_refused_with_their_place),
		cmocka_unit_test(unknown_properties_are_told_up_to_a_limit),
		cmocka_unit_test(text_becomes_what_the_schema_allows),
		cmocka_unit_test(forms_are_checked_by_tokens_and_texts),
		cmocka_unit_test(a_schema_tells_how_to_decode),
		cmocka_unit_test(keys_may_be_there_twice_when_allowed),
		cmocka_unit_test(long_numbers_are_compared_exactly),
		cmocka_unit_test(arrays_have_no_properties_to_depend_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
