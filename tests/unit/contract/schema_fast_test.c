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

#define JOINED                                                                                 \
	"{\"type\":\"object\",\"allOf\":[{\"properties\":{\"id\":{\"minimum\":5}},"            \
	"\"required\":[\"id\"]},{\"$ref\":\"#/$defs/"                                          \
	"n\"}],\"properties\":{\"id\":{\"maximum\":10},"                                       \
	"\"own\":true},\"dependentRequired\":{\"card\":[\"own\"]},\"unevaluatedProperties\":"  \
	"false,"                                                                               \
	"\"$defs\":{\"n\":{\"properties\":{\"name\":{\"type\":\"string\"},\"card\":true},"     \
	"\"required\":[\"name\"]}}}"
#define PICKED                                                                                 \
	"{\"properties\":{\"id\":{\"type\":\"integer\"}},\"unevaluatedProperties\":false,"     \
	"\"oneOf\":["                                                                          \
	"{\"properties\":{\"kind\":{\"const\":\"a\"},\"x\":{}},\"required\":[\"kind\"]},"      \
	"{\"properties\":{\"kind\":{\"const\":\"b\"},\"y\":{}},\"required\":[\"kind\"]}]}"

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
	/* Branches over scalars, and what is said beside them. */
	{"{\"items\":{\"anyOf\":[{\"type\":\"string\",\"maxLength\":2},{\"type\":\"null\"},"
	 "{\"type\":\"array\"},{\"type\":\"integer\"}]}}",
	 "[\"ab\",null,[true],5,-7,1.0]", SCHEMA_VALID},
	{"{\"items\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}}", "[1.5]",
	 SCHEMA_INVALID},
	{"{\"items\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}}", "[true]",
	 SCHEMA_INVALID},
	{"{\"items\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}],\"minimum\":3}}",
	 "[3,\"a\"]", SCHEMA_VALID},
	{"{\"items\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}],\"minimum\":3}}",
	 "[2]", SCHEMA_INVALID},
	{"{\"items\":{\"oneOf\":[{\"maxLength\":3},{\"minLength\":3}]}}", "[\"ab\",\"abcd\"]",
	 SCHEMA_VALID},
	{"{\"items\":{\"oneOf\":[{\"maxLength\":3},{\"minLength\":3}]}}", "[\"abc\"]",
	 SCHEMA_INVALID},
	{"{\"items\":{\"oneOf\":[{\"maxLength\":3},{\"minLength\":3}]}}", "[1]",
	 SCHEMA_INVALID},
	{"{\"items\":{\"not\":{\"enum\":[\"a\",1,null]}}}", "[\"b\",2,true,[],{}]",
	 SCHEMA_VALID},
	{"{\"items\":{\"not\":{\"enum\":[\"a\",1,null]}}}", "[null]", SCHEMA_INVALID},
	{"{\"items\":{\"not\":{\"type\":\"string\"}}}", "[1,\"a\\x\"]", SCHEMA_MALFORMED},
	{"{\"items\":{\"not\":{\"type\":\"array\"}}}", "[01]", SCHEMA_MALFORMED},
	{"{\"items\":{\"if\":{\"type\":\"string\"},\"then\":{\"maxLength\":1},\"else\":{"
	 "\"maximum\":1}}}",
	 "[\"a\",1,null]", SCHEMA_VALID},
	{"{\"items\":{\"if\":{\"type\":\"string\"},\"then\":{\"maxLength\":1},\"else\":{"
	 "\"maximum\":1}}}",
	 "[2]", SCHEMA_INVALID},
	{"{\"items\":{\"const\":1,\"allOf\":[{\"type\":\"integer\"}]}}", "[1,1.0]",
	 SCHEMA_VALID},
	{"{\"items\":{\"const\":true,\"allOf\":[{\"type\":\"boolean\"}]}}", "[false]",
	 SCHEMA_INVALID},
	{"{\"items\":{\"dependentSchemas\":{\"a\":false},\"anyOf\":[{},{\"minimum\":1}]}}",
	 "[0,\"a\"]", SCHEMA_VALID},
	/* Members in another order than the schema's, the same each time. */
	{"{\"items\":{\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"},"
	 "\"c\":{\"type\":\"null\"}},\"required\":[\"a\"]}}",
	 "[{\"c\":null,\"b\":\"\",\"a\":1},{\"c\":null,\"b\":\"\",\"a\":2},{\"c\":null,\"b\":"
	 "\"\",\"a\":3}]",
	 SCHEMA_VALID},
	{"{\"items\":{\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"},"
	 "\"c\":{\"type\":\"null\"}}}}",
	 "[{\"c\":null,\"b\":\"\",\"a\":1},{\"c\":null,\"b\":\"\",\"a\":2},{\"c\":null,\"b\":"
	 "\"\",\"a\":\"3\"}]",
	 SCHEMA_INVALID},
	{"{\"items\":{\"properties\":{\"a\":{},\"b\":{},\"c\":{}}}}",
	 "[{\"c\":1,\"b\":1},{\"c\":1,\"b\":1,\"c\":1}]", SCHEMA_MALFORMED},
	/* More keys and items than are compared one by one. */
	{"{\"additionalProperties\":{\"type\":\"integer\"}}",
	 "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,"
	 "\"longer name 1\":1,\"longer name 2, longer than 16\":1,\"longer name 3, longer than "
	 "16\":1}",
	 SCHEMA_VALID},
	{"{}",
	 "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,"
	 "\"b\":1}",
	 SCHEMA_MALFORMED},
	{"{}",
	 "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":{\"a\":1,"
	 "\"b\":1,"
	 "\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1},\"j\":1,\"k\":1,"
	 "\"j\":1}",
	 SCHEMA_MALFORMED},
	{"{\"uniqueItems\":true}", "[1,2,3,4,5,6,7,8,9,10,11,12,-1,\"1\",true,null,false]",
	 SCHEMA_VALID},
	{"{\"uniqueItems\":true}", "[1,2,3,4,5,6,7,8,9,10,11,12,11]", SCHEMA_INVALID},
	{"{\"uniqueItems\":true}", "[0,1,-0]", SCHEMA_INVALID},
	{"{\"uniqueItems\":true}", "[100,1e2]", SCHEMA_INVALID},
	{"{\"uniqueItems\":true}", "[{\"a\":1,\"b\":2},{\"b\":2,\"a\":1}]", SCHEMA_INVALID},
	/* contains, dependentSchemas, unevaluated. */
	{"{\"contains\":{\"minimum\":5},\"minContains\":2,\"maxContains\":3}", "[5,6,1,7]",
	 SCHEMA_VALID},
	{"{\"contains\":{\"minimum\":5},\"minContains\":2,\"maxContains\":3}", "[5,6,7,8]",
	 SCHEMA_INVALID},
	{"{\"contains\":{\"minimum\":5},\"minContains\":2}", "[5,1,\"a\"]", SCHEMA_VALID},
	{"{\"contains\":{\"required\":[\"a\"]}}", "[{\"b\":1},{\"a\":[1]}]", SCHEMA_VALID},
	{"{\"contains\":{\"required\":[\"a\"]}}", "[{\"b\":1},{\"c\":1}]", SCHEMA_INVALID},
	{"{\"contains\":{\"const\":1},\"unevaluatedItems\":{\"type\":\"string\"}}", "[1,\"a\"]",
	 SCHEMA_VALID},
	{"{\"prefixItems\":[{}],\"unevaluatedItems\":{\"type\":\"string\"}}", "[1,\"a\",2]",
	 SCHEMA_INVALID},
	{"{\"items\":{},\"unevaluatedItems\":false}", "[1]", SCHEMA_VALID},
	{"{\"dependentSchemas\":{\"a\":{\"required\":[\"b\"]},\"b\":{\"minProperties\":3}}}",
	 "{\"a\":1,\"b\":2,\"c\":3}", SCHEMA_VALID},
	{"{\"dependentSchemas\":{\"a\":{\"required\":[\"b\"]},\"b\":{\"minProperties\":3}}}",
	 "{\"a\":1,\"b\":2}", SCHEMA_INVALID},
	{"{\"dependentSchemas\":{\"a\":false}}", "[\"a\"]", SCHEMA_VALID},
	{"{\"properties\":{\"a\":{}},\"patternProperties\":{\"^x\":{}},"
	 "\"unevaluatedProperties\":{\"type\":\"null\"}}",
	 "{\"a\":1,\"x1\":2,\"b\":null}", SCHEMA_VALID},
	/* Schemas that are joined into one. */
	{JOINED, "{\"id\":7,\"name\":\"n\",\"own\":1}", SCHEMA_VALID},
	{JOINED, "{\"id\":7,\"name\":\"n\",\"own\":1,\"more\":1}", SCHEMA_INVALID},
	{JOINED, "{\"id\":3,\"name\":\"n\"}", SCHEMA_INVALID},
	{JOINED, "{\"id\":11,\"name\":\"n\"}", SCHEMA_INVALID},
	{JOINED, "{\"id\":7}", SCHEMA_INVALID},
	{JOINED, "{\"id\":7,\"name\":\"n\",\"card\":1}", SCHEMA_INVALID},
	{JOINED, "{\"id\":7,\"name\":\"n\",\"card\":1,\"own\":2}", SCHEMA_VALID},
	{JOINED, "[]", SCHEMA_INVALID},
	{PICKED, "{\"id\":1,\"kind\":\"a\",\"x\":1}", SCHEMA_VALID},
	{PICKED, "{\"x\":1,\"kind\":\"a\",\"id\":1}", SCHEMA_VALID},
	{PICKED, "{\"id\":1,\"kind\":\"a\",\"y\":1}", SCHEMA_INVALID},
	{PICKED, "{\"id\":1,\"kind\":\"b\",\"y\":\"\"}", SCHEMA_VALID},
	{PICKED, "{\"id\":1,\"kind\":\"c\"}", SCHEMA_INVALID},
	{PICKED, "{\"id\":1}", SCHEMA_INVALID},
	{PICKED, "{\"id\":\"\",\"kind\":\"a\"}", SCHEMA_INVALID},
	/* Strings with escapes, at all places of blocks of 16 bytes. */
	{"{\"items\":{\"type\":\"string\"}}",
	 "[\"0123456789abcd\\n\",\"0123456789abcde\\\\f\","
	 "\"0123456789abcdef\\\"\\\"\\\"\\\"\\\"\\\"\\\"\","
	 "\"\\ud83d\\ude00\\u00e4\\/\\b\\f\\r\\t 0123456789 0123456789 0123456789\"]",
	 SCHEMA_VALID},
	{"{\"items\":{\"type\":\"string\"}}", "[\"0123456789abcde\\x 0123456789abcdef\"]",
	 SCHEMA_MALFORMED},
	{"{\"items\":{\"type\":\"string\"}}", "[\"0123456789\\ud83d\\u0041 0123456789abcdef\"]",
	 SCHEMA_MALFORMED},
	{"{\"items\":{\"type\":\"string\"}}", "[\"0123456789\\udc00 0123456789abcdef\"]",
	 SCHEMA_MALFORMED},
	{"{\"items\":{\"type\":\"string\"}}", "[\"0123456789\\u00g0 0123456789abcdef\"]",
	 SCHEMA_MALFORMED},
	{"{\"items\":{\"const\":\"0123456789abcde\\\" \xc3\xa4\xf0\x9f\x98\x80/\"}}",
	 "[\"0123456789abcde\\\"\\u0020\\u00E4\\ud83d\\ude00\\/\"]", SCHEMA_VALID},
	{"{\"items\":{\"minLength\":20,\"maxLength\":20}}",
	 "[\"\\n123456789\xc3\xa4\xc3\xa4\xc3\xa4 123456\",\"\xc3\xa4\xc3\xa4\xc3\xa4 "
	 "1234567890123456\"]",
	 SCHEMA_VALID},
	/* Numbers of any length, listed ones, and parts of divisors. */
	{"{\"items\":{\"minimum\":1,\"maximum\":123456789012345678}}",
	 "[1,12,123,1234567,12345678,123456789,1234567890123456,123456789012345678]",
	 SCHEMA_VALID},
	{"{\"items\":{\"maximum\":99999999}}", "[100000000]", SCHEMA_INVALID},
	{"{\"items\":{\"enum\":[1,2.0,3e2,-5,9007199254740993]}}",
	 "[1,2,2.00,300,-5,9007199254740993,3.0e2]", SCHEMA_VALID},
	{"{\"items\":{\"enum\":[1,2.0,3e2,-5,9007199254740993]}}", "[9007199254740992]",
	 SCHEMA_INVALID},
	{"{\"items\":{\"enum\":[1,2.0,3e2,-5]}}", "[5]", SCHEMA_INVALID},
	{"{\"items\":{\"enum\":[1,2.0,3e2,-5]}}", "[301]", SCHEMA_INVALID},
	{"{\"items\":{\"type\":\"number\"}}", "[1e5,-2.5E-3,123456789012345678901234567890]",
	 SCHEMA_VALID},
	{"{\"items\":{\"const\":0.5}}", "[0.50,5e-1]", SCHEMA_VALID},
	{"{\"items\":{\"multipleOf\":0.25}}", "[1,0.5,0.750,-2.25,1e1]", SCHEMA_VALID},
	{"{\"items\":{\"multipleOf\":0.25}}", "[0.3]", SCHEMA_INVALID},
	{"{\"items\":{\"multipleOf\":0.000000000000000001}}", "[999999999999999999.1,1]",
	 SCHEMA_VALID},
	{"{\"items\":{\"multipleOf\":4294967297}}", "[8589934594,0]", SCHEMA_VALID},
	{"{\"items\":{\"multipleOf\":4294967297}}", "[1]", SCHEMA_INVALID},
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

/* `count` members or items of which the last is the same as one in the middle, if it is to be. */
static void write_many(struct buf *to, bool object, unsigned count, bool twice)
{
	buf_clear(to);
	buf_append_byte(to, object ? '{' : '[');
	for (unsigned i = 0; i < count; i++) {
		unsigned number = twice && i == count - 1 ? count / 2 : i;

		buf_printf(to, object ? "%s\"key %u\":[1]" : "%s%u", i ? "," : "", number);
	}
	buf_append_byte(to, object ? '}' : ']');
}

static void many_keys_and_items_are_told_apart(void **state)
{
	static const unsigned counts[] = {8, 9, 10, 31, 32, 33, 64, 65, 3000};
	struct buf text;
	struct fixture f;

	(void)state;
	buf_init(&text, 1 << 20);
	fixture_init(&f, "{\"uniqueItems\":true,\"items\":{\"type\":\"integer\"}}");
	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		write_many(&text, true, counts[i], false);
		assert_int_equal(fixture_check(&f, buf_cstr(&text)), SCHEMA_VALID);
		write_many(&text, true, counts[i], true);
		assert_int_equal(fixture_check(&f, buf_cstr(&text)), SCHEMA_MALFORMED);
		write_many(&text, false, counts[i], false);
		assert_int_equal(fixture_check(&f, buf_cstr(&text)), SCHEMA_VALID);
		write_many(&text, false, counts[i], true);
		assert_int_equal(fixture_check(&f, buf_cstr(&text)), SCHEMA_INVALID);
	}
	buf_release(&text);
	fixture_release(&f);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_piece_is_checked_as_its_bytes_are),
		cmocka_unit_test(any_cut_gives_the_same),
		cmocka_unit_test(what_is_nested_deep_is_checked_too),
		cmocka_unit_test(many_keys_and_items_are_told_apart),
		cmocka_unit_test(properties_known_by_one_branch_only_stay_unknown_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
