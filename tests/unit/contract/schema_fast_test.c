/*
 * A text in one piece is checked at once where it can be, one that comes byte by byte never is: both
 * must come to the same result, with the same problems and cuts. Results are given too, so that
 * both cannot be wrong together.
 */
#include "schema_test_set.h"

#define SHAPES                                                                                 \
	"{\"oneOf\":[{\"type\":\"null\"},"                                                     \
	"{\"required\":[\"k\"],\"properties\":{\"k\":{\"const\":\"a\"},\"n\":{\"minimum\":1}}" \
	","                                                                                    \
	"\"additionalProperties\":false},"                                                     \
	"{\"allOf\":[{\"$ref\":\"#/$defs/b\"}],\"properties\":{\"m\":{\"type\":\"string\"}}}," \
	"{\"properties\":{\"k\":{\"enum\":[\"c\",\"d\",7]}},\"required\":[\"k\",\"x\"]}],"     \
	"\"$defs\":{\"b\":{\"properties\":{\"k\":{\"const\":\"b\"}},\"required\":[\"k\"]}}}"

static const struct {
	const char *schema;
	const char *text;
	enum schema_result result;
} cases[] = {
	/* Branches that a property tells apart, wherever it stands. */
	{SHAPES, "{\"k\":\"a\",\"n\":1}", SCHEMA_VALID},
	{SHAPES, "{\"n\":1,\"k\":\"a\"}", SCHEMA_VALID},
	{SHAPES, "{\"k\":\"a\",\"n\":0}", SCHEMA_INVALID},
	{SHAPES, "{\"k\":\"a\",\"z\":1}", SCHEMA_INVALID},
	{SHAPES, "{ \"m\" : \"\" , \"k\" : \"b\" }", SCHEMA_VALID},
	{SHAPES, "{\"k\":\"b\",\"m\":1}", SCHEMA_INVALID},
	{SHAPES, "{\"x\":{\"y\":[{}]},\"k\":\"d\"}", SCHEMA_VALID},
	{SHAPES, "{\"k\":\"d\"}", SCHEMA_INVALID},
	{SHAPES, "{\"k\":7,\"x\":1}", SCHEMA_VALID},
	{SHAPES, "{\"k\":\"e\",\"x\":1}", SCHEMA_INVALID},
	{SHAPES, "{\"\\u006b\":\"\\u0062\"}", SCHEMA_VALID},
	{SHAPES, "{\"k\":\"a\",\"k\":\"a\"}", SCHEMA_MALFORMED},
	{SHAPES, "{\"k\":\"b\",\"q\":1,\"q\":2}", SCHEMA_MALFORMED},
	{SHAPES, "{}", SCHEMA_INVALID},
	{SHAPES, "[]", SCHEMA_INVALID},
	{SHAPES, "{\"k\":\"b\"", SCHEMA_MALFORMED},
	{SHAPES, "{\"k\":\"b\"}}", SCHEMA_MALFORMED},
	/* One group is told apart, the other is not. */
	{"{\"oneOf\":[{\"properties\":{\"k\":{\"const\":\"a\"}}},"
	 "{\"properties\":{\"k\":{\"const\":\"b\"}}}],\"anyOf\":[{\"required\":[\"x\"]}]}",
	 "{\"k\":\"a\"}", SCHEMA_INVALID},
	{"{\"anyOf\":[{\"properties\":{\"k\":{\"const\":\"a\"}}},"
	 "{\"properties\":{\"k\":{\"const\":\"b\"}}}]}",
	 "{\"j\":1}", SCHEMA_VALID},
	{"{\"oneOf\":[{\"properties\":{\"k\":{\"const\":\"a\"}}},"
	 "{\"properties\":{\"k\":{\"const\":\"b\"}}}]}",
	 "{\"j\":1}", SCHEMA_INVALID},
	/* Branches that nothing tells apart. */
	{"{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}", "{\"b\":[1,{}]}",
	 SCHEMA_VALID},
	{"{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}]}", "{\"b\":1,\"a\":1}",
	 SCHEMA_INVALID},
	{"{\"not\":{\"required\":[\"a\"]}}", "{\"a\":[}", SCHEMA_MALFORMED},
	{"{\"not\":{\"required\":[\"a\"]}}", "{\"b\":[]}", SCHEMA_VALID},
	{"{\"not\":{\"required\":[\"a\"]}}", "{\"a\":[]}", SCHEMA_INVALID},
	{"{\"if\":{\"required\":[\"a\"]},\"then\":{\"required\":[\"b\"]},"
	 "\"else\":{\"maxProperties\":1}}",
	 "{\"a\":1,\"b\":2}", SCHEMA_VALID},
	{"{\"if\":{\"required\":[\"a\"]},\"then\":{\"required\":[\"b\"]},"
	 "\"else\":{\"maxProperties\":1}}",
	 "{\"b\":1,\"c\":2}", SCHEMA_INVALID},
	{"{\"allOf\":[{\"required\":[\"a\"]}],\"maxProperties\":2}",
	 "{\"a\":1,\"b\":2,\"c\":3}", SCHEMA_INVALID},
	{"{\"dependentSchemas\":{\"a\":{\"required\":[\"b\"]}}}", "{\"a\":1}", SCHEMA_INVALID},
	{"{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"a\":1}", SCHEMA_INVALID},
	{"{\"dependentRequired\":{\"a\":[\"b\"]}}", "{\"b\":1}", SCHEMA_VALID},
	/* Members that properties do not name. */
	{"{\"patternProperties\":{\"^a\":{\"type\":\"array\"},\"b$\":{\"maxItems\":1}},"
	 "\"additionalProperties\":{\"type\":\"null\"}}",
	 "{\"a\":[1,2],\"ab\":[1],\"b\":3,\"c\":null}", SCHEMA_VALID},
	{"{\"patternProperties\":{\"^a\":{\"type\":\"array\"},\"b$\":{\"maxItems\":1}},"
	 "\"additionalProperties\":{\"type\":\"null\"}}",
	 "{\"ab\":[1,2]}", SCHEMA_INVALID},
	/* The key is decoded, and so is the value, before patterns look at the key. */
	{"{\"properties\":{\"ab\":{\"type\":\"string\"}},"
	 "\"patternProperties\":{\"b$\":{\"maxLength\":1}}}",
	 "{\"a\\u0062\":\"\\u0063de\"}", SCHEMA_INVALID},
	{"{\"propertyNames\":{\"maxLength\":2}}", "{\"aa\":1,\"abc\":2}", SCHEMA_INVALID},
	{"{\"properties\":{\"a\":{}},\"unevaluatedProperties\":false}", "{\"b\":1}",
	 SCHEMA_INVALID},
	{"{}", "{\"a\":{\"b\":1,\"b\":1}}", SCHEMA_MALFORMED},
	{"{}", "{\"a\":{\"b\":1,\"\\u0062\":1}}", SCHEMA_MALFORMED},
	{"{}", "{\"\\u0061\":1,\"\\u0062\":1}", SCHEMA_VALID},
	/* Items. */
	{"{\"uniqueItems\":true}", "[\"a\",\"b\",\"aa\"]", SCHEMA_VALID},
	{"{\"uniqueItems\":true}", "[\"a\",\"b\",\"\\u0061\"]", SCHEMA_INVALID},
	{"{\"uniqueItems\":true}", "[1,1.0]", SCHEMA_INVALID},
	{"{\"contains\":{\"const\":2}}", "[1,2]", SCHEMA_VALID},
	{"{\"prefixItems\":[{\"type\":\"string\"}],\"items\":false}", "[\"a\",1]",
	 SCHEMA_INVALID},
	{"{\"prefixItems\":[{\"type\":\"string\"}],\"items\":{\"type\":\"integer\"}}",
	 "[\"a\",1,-2,3e1]", SCHEMA_VALID},
	{"{\"enum\":[[1],{\"a\":2}]}", "{\"a\":2.0}", SCHEMA_VALID},
	/* Scalars. */
	{"{\"items\":{\"minimum\":-1,\"exclusiveMaximum\":2}}", "[-1,-0.5,1.99,0,1.0]",
	 SCHEMA_VALID},
	{"{\"items\":{\"minimum\":-1,\"exclusiveMaximum\":2}}", "[2.0]", SCHEMA_INVALID},
	{"{\"items\":{\"minimum\":-1,\"exclusiveMaximum\":2}}", "[-1.0000000000000000001]",
	 SCHEMA_INVALID},
	{"{\"items\":{\"type\":\"integer\"}}", "[1.0000000000000000000000]", SCHEMA_VALID},
	{"{\"items\":{\"type\":\"integer\"}}", "[1.0000000000000000000001]", SCHEMA_INVALID},
	{"{\"items\":{\"type\":\"integer\",\"multipleOf\":3}}", "[9,-3,99999999999999999999]",
	 SCHEMA_VALID},
	{"{\"items\":{}}", "[01]", SCHEMA_MALFORMED},
	{"{\"items\":{}}", "[1.]", SCHEMA_MALFORMED},
	{"{\"items\":{}}", "[1e]", SCHEMA_MALFORMED},
	{"{\"items\":{}}", "[-]", SCHEMA_MALFORMED},
	{"{\"items\":{}}", "[+1]", SCHEMA_MALFORMED},
	{"{\"items\":{}}", "[truE]", SCHEMA_MALFORMED},
	{"{\"items\":{}}", "[1 2]", SCHEMA_MALFORMED},
	{"{\"items\":{}}", "[1,]", SCHEMA_MALFORMED},
	{"{\"items\":{}}", "{\"a\":1,}", SCHEMA_MALFORMED},
	{"{\"items\":{}}", "[\"a\tb\"]", SCHEMA_MALFORMED},
	{"{\"items\":{}}", "[\"\xc3\x28\"]", SCHEMA_MALFORMED},
	{"{\"items\":{}}", "[\"\\ud800\"]", SCHEMA_MALFORMED},
	{"{\"items\":{\"maxLength\":2,\"minLength\":2}}",
	 "[\"ab\",\"\xc3\xa4\xc3\xb6\",\"\\n\\u00e4\",\"\\ud83d\\ude00a\"]", SCHEMA_VALID},
	{"{\"items\":{\"maxLength\":1}}", "[\"\\n\\n\"]", SCHEMA_INVALID},
	{"{\"items\":{\"pattern\":\"^a\"}}", "[\"a\",\"\\u0061\"]", SCHEMA_VALID},
	{"{\"items\":{\"enum\":[\"a\",1,null,true]}}", "[\"a\",1.0,null,true]", SCHEMA_VALID},
	{"{\"items\":{\"enum\":[\"a\",1,null,true]}}", "[false]", SCHEMA_INVALID},
	{"{\"items\":{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":3}]}}", "[\"a\",3,null]",
	 SCHEMA_VALID},
	{"{\"items\":{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":3}]}}", "[2]",
	 SCHEMA_INVALID},
	{"{\"items\":false}", "[]", SCHEMA_VALID},
	{"{\"items\":false}", "[0]", SCHEMA_INVALID},
};

static void feed_bytes(struct fixture *f, const struct schema_run_options *options,
		       struct span text)
{
	schema_run_start(f->run, f->schema, options);
	for (size_t i = 0; i < text.len; i++)
		(void)schema_run_feed(f->run, span_slice(text, i, i + 1));
}

/* The problems and cuts of the last check, as text. */
static void describe(struct fixture *f, struct buf *to)
{
	const struct schema_problem *problems;
	const struct schema_cut *cuts;
	size_t count = schema_run_problems(f->run, &problems);

	for (size_t i = 0; i < count; i++) {
		buf_append(to, problems[i].instance);
		buf_append(to, problems[i].keyword);
		buf_append(to, problems[i].schema);
		buf_append(to, problems[i].detail);
		buf_append_u64(to, problems[i].offset);
	}
	count = schema_run_cuts(f->run, &cuts);
	for (size_t i = 0; i < count; i++) {
		buf_append_u64(to, cuts[i].start);
		buf_append_byte(to, '-');
		buf_append_u64(to, cuts[i].end);
	}
}

static void agree(struct fixture *f, const struct schema_run_options *options, const char *text)
{
	struct buf whole;
	struct buf bytes;
	enum schema_result result;

	buf_init(&whole, 1 << 16);
	buf_init(&bytes, 1 << 16);
	result = schema_run_whole(f->run, f->schema, options, span_cstr(text));
	describe(f, &whole);
	feed_bytes(f, options, span_cstr(text));
	if (schema_run_finish(f->run) != result)
		fail_msg("%s: whole %d", text, (int)result);
	describe(f, &bytes);
	if (!span_eq(buf_span(&whole), buf_span(&bytes)))
		fail_msg("%s: \"%.*s\", \"%.*s\"", text, SPAN_ARG(buf_span(&whole)),
			 SPAN_ARG(buf_span(&bytes)));
	buf_release(&whole);
	buf_release(&bytes);
}

static void a_piece_is_checked_as_its_bytes_are(void **state)
{
	static const struct schema_run_options options[] = {
		{.unknown = SCHEMA_UNKNOWN_ALLOW},
		{.unknown = SCHEMA_UNKNOWN_REFUSE},
		{.unknown = SCHEMA_UNKNOWN_STRIP},
		{.allow_duplicate_keys = true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fixture f;

		fixture_init(&f, cases[i].schema);
		if (fixture_check(&f, cases[i].text) != cases[i].result)
			fail_msg("%s: %s", cases[i].schema, cases[i].text);
		for (size_t o = 0; o < COUNT_OF(options); o++)
			agree(&f, &options[o], cases[i].text);
		fixture_release(&f);
	}
}

/* Cut at each place, so that pieces begin and end anywhere in the text. */
static void any_cut_gives_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fixture f;
		struct buf text;
		enum schema_result expected;

		buf_init(&text, 4096);
		buf_append_cstr(&text, " ");
		buf_append_cstr(&text, cases[i].text);
		fixture_init(&f, cases[i].schema);
		expected = schema_run_whole(f.run, f.schema, NULL, buf_span(&text));
		for (size_t at = 0; at <= text.len; at++) {
			schema_run_start(f.run, f.schema, NULL);
			(void)schema_run_feed(f.run, span_slice(buf_span(&text), 0, at));
			(void)schema_run_feed(f.run, span_slice(buf_span(&text), at, text.len));
			assert_int_equal(schema_run_finish(f.run), expected);
		}
		fixture_release(&f);
		buf_release(&text);
	}
}

/* Deeper than is checked at once, and many branches over the same text, in linear time. */
static void what_is_nested_deep_is_checked_too(void **state)
{
	static const char schema[] = "{\"anyOf\":[{\"items\":{\"$ref\":\"#\"},\"maxItems\":1},"
				     "{\"items\":{\"$ref\":\"#\"},\"maxItems\":2},"
				     "{\"items\":{\"$ref\":\"#\"},\"maxItems\":3}]}";
	struct schema_run_limits limits = {.max_depth = 200};
	char text[401];
	struct fixture f;

	(void)state;
	memset(text, '[', 200);
	memset(text + 200, ']', 200);
	text[400] = '\0';
	fixture_init_with(&f, schema, SCHEMA_2020_12, SCHEMA_EITHER, &limits);
	agree(&f, NULL, text);
	assert_int_equal(fixture_check(&f, text), SCHEMA_VALID);
	fixture_release(&f);
}

static void properties_known_by_one_branch_only_stay_unknown_elsewhere(void **state)
{
	struct schema_run_options refuse = {.unknown = SCHEMA_UNKNOWN_REFUSE};
	struct fixture f;

	(void)state;
	fixture_init(&f, SHAPES);
	assert_int_equal(
		schema_run_whole(f.run, f.schema, &refuse, SPAN("{\"k\":\"b\",\"m\":\"x\"}")),
		SCHEMA_VALID);
	assert_int_equal(
		schema_run_whole(f.run, f.schema, &refuse, SPAN("{\"k\":\"b\",\"n\":1}")),
		SCHEMA_INVALID);
	fixture_release(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_piece_is_checked_as_its_bytes_are),
		cmocka_unit_test(any_cut_gives_the_same),
		cmocka_unit_test(what_is_nested_deep_is_checked_too),
		cmocka_unit_test(properties_known_by_one_branch_only_stay_unknown_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
