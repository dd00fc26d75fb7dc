#include "schema_test_set.h"

static const char order_schema[] =
	"{\"type\":\"object\",\"required\":[\"id\",\"items\"],\"additionalProperties\":false,"
	"\"properties\":{\"id\":{\"type\":\"string\",\"pattern\":\"^[A-Z]+-[0-9]+$\"},"
	"\"when\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":4},"
	"\"state\":{\"enum\":[\"new\",\"old\",{\"a\":[1,2]}]},"
	"\"items\":{\"type\":\"array\",\"minItems\":1,\"uniqueItems\":true,"
	"\"items\":{\"$ref\":\"#/$defs/item\"}}},"
	"\"$defs\":{\"item\":{\"oneOf\":[{\"type\":\"integer\",\"minimum\":3},"
	"{\"properties\":{\"a~b/c\":{\"type\":\"null\"}},\"required\":[\"a~b/c\"],"
	"\"unevaluatedProperties\":false,\"type\":\"object\"}]}}}";

/* clang-format off */
static const char *const orders[] = {
	"{\"id\":\"AB-12\",\"items\":[3,4,{\"a~b/c\":null}],\"when\":\"\\u00e9t\\ud83d\\ude00\"}",
	"{ \"id\" : \"AB-12\" , \"items\" : [ 3 ] , \"state\" : { \"a\" : [ 1.0 , 2e0 ] } }",
	"{\"id\":\"AB-12x\",\"items\":[],\"state\":{\"a\":[1,3]},\"more\":{\"x\":[1,{}]}}",
	"{\"items\":[3,3.0,2,{\"a~b/c\":1},{\"a~b/c\":null,\"z\":1}],\"when\":\"\xc3\xa9\"}",
	"{\"id\":\"AB-1\",\"items\":[123456789012345678901234567890]}",
	"{\"id\":\"AB-1\",\"items\":[5],\"id\":\"AB-1\"}",
	"{\"id\":\"AB-1\",\"items\":[{\"a~b/c\":null,\"a~b/c\":null}]}",
	"{\"id\":\"AB-1\",\"items\":[5}",
	"{\"id\":\"AB-1\",\"items\":[5]} x",
	"[true,false,null,-0.5e1]",
	"12",
};
/* clang-format on */

static void problems_are_told_with_place_keyword_and_schema(void **state)
{
	static const struct {
		const char *instance;
		const char *keyword;
		const char *schema;
		const char *detail;
		uint64_t offset;
	} expected[] = {
		{"/id", "type", "/properties/id", "string", 6},
		{"/when", "minLength", "/properties/when", "at least 2", 15},
		{"/state", "enum", "/properties/state", "", 27},
		{"/items/1", "oneOf", "/$defs/item", "none is met", 40},
		{"/items", "uniqueItems", "/properties/items", "", 43},
		{"/mo~1re~0", "additionalProperties", "", "", 45},
	};
	const struct schema_problem *problems;
	struct fixture f;
	size_t count;

	(void)state;
	fixture_init(&f, order_schema);
	assert_int_equal(fixture_check(&f,
				       "{\"id\":1,\"when\":\"x\",\"state\":7,\"items\":[3,2,3],"
				       "\"mo/re~\":1}"),
			 SCHEMA_INVALID);
	count = schema_run_problems(f.run, &problems);
	for (size_t i = 0; i < count && i < COUNT_OF(expected); i++) {
		struct span location = problems[i].schema;

		assert_true(span_eq(problems[i].instance, span_cstr(expected[i].instance)));
		assert_true(span_eq(problems[i].keyword, span_cstr(expected[i].keyword)));
		assert_true(span_starts_with(location, SPAN("file:///t.json#")));
		assert_true(span_eq(span_slice(location, 15, location.len),
				    span_cstr(expected[i].schema)));
		assert_true(span_eq(problems[i].detail, span_cstr(expected[i].detail)));
		assert_int_equal(problems[i].offset, expected[i].offset);
	}
	assert_int_equal(count, COUNT_OF(expected));
	assert_false(schema_run_truncated(f.run));
	fixture_release(&f);
}

static void missing_names_are_told_each(void **state)
{
	const struct schema_problem *problems;
	struct fixture f;

	(void)state;
	fixture_init(&f, order_schema);
	assert_int_equal(fixture_check(&f, "{}"), SCHEMA_INVALID);
	assert_int_equal(schema_run_problems(f.run, &problems), 2);
	assert_true(span_eq(problems[0].instance, SPAN("")));
	assert_true(span_eq(problems[0].keyword, SPAN("required")));
	assert_true(span_eq(problems[1].keyword, SPAN("required")));
	assert_true((span_eq(problems[0].detail, SPAN("id")) &&
		     span_eq(problems[1].detail, SPAN("items"))) ||
		    (span_eq(problems[0].detail, SPAN("items")) &&
		     span_eq(problems[1].detail, SPAN("id"))));
	fixture_release(&f);
}

static void problems_end_at_their_limit(void **state)
{
	struct schema_run_limits limits = {.max_problems = 3};
	const struct schema_problem *problems;
	struct fixture f;

	(void)state;
	fixture_init_with(&f, "{\"items\":{\"type\":\"string\"}}", SCHEMA_2020_12,
			  SCHEMA_EITHER, &limits);
	assert_int_equal(fixture_check(&f, "[1,2,3]"), SCHEMA_INVALID);
	assert_false(schema_run_truncated(f.run));
	assert_int_equal(fixture_check(&f, "[1,2,3,4,5"), SCHEMA_INVALID);
	assert_true(schema_run_truncated(f.run));
	assert_int_equal(schema_run_problems(f.run, &problems), 3);
	assert_true(span_eq(problems[2].instance, SPAN("/2")));
	fixture_release(&f);
}

struct outcome {
	enum schema_result result;
	size_t count;
	uint64_t digest; /* of what was told */
	enum json_error error;
	uint64_t offset;
};

static uint64_t digest_of(uint64_t so_far, struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		so_far = (so_far ^ (unsigned char)s.ptr[i]) * 1099511628211u;
	return so_far * 31 + 1;
}

static struct outcome outcome_of(const struct schema_run *run, enum schema_result result)
{
	const struct schema_problem *problems;
	struct outcome o = {result, schema_run_problems(run, &problems), 1, JSON_OK, 0};

	for (size_t i = 0; i < o.count; i++) {
		o.digest = digest_of(o.digest, problems[i].instance);
		o.digest = digest_of(o.digest, problems[i].keyword);
		o.digest = digest_of(o.digest, problems[i].schema);
		o.digest = digest_of(o.digest, problems[i].detail) + problems[i].offset;
	}
	if (result == SCHEMA_MALFORMED)
		o.error = schema_run_json_error(run, &o.offset);
	return o;
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
	assert_int_equal(a->result, b->result);
	assert_int_equal(a->count, b->count);
	assert_true(a->digest == b->digest);
	assert_int_equal(a->error, b->error);
	assert_int_equal(a->offset, b->offset);
}

static void every_cut_gives_the_same_result(void **state)
{
	static const enum schema_result expected[] = {
		SCHEMA_VALID,	  SCHEMA_VALID,	    SCHEMA_INVALID,   SCHEMA_INVALID,
		SCHEMA_VALID,	  SCHEMA_MALFORMED, SCHEMA_MALFORMED, SCHEMA_MALFORMED,
		SCHEMA_MALFORMED, SCHEMA_INVALID,   SCHEMA_INVALID,
	};
	struct fixture f;

	(void)state;
	fixture_init(&f, order_schema);
	for (size_t i = 0; i < COUNT_OF(orders); i++) {
		struct span text = span_cstr(orders[i]);
		struct outcome whole =
			outcome_of(f.run, schema_run_whole(f.run, f.schema, NULL, text));

		assert_int_equal(whole.result, expected[i]);
		for (size_t a = 0; a <= text.len; a++)
			for (size_t b = a; b <= text.len; b += 1 + (a & 3)) {
				struct outcome cut;

				schema_run_start(f.run, f.schema, NULL);
				schema_run_feed(f.run, span_slice(text, 0, a));
				schema_run_feed(f.run, span_slice(text, a, b));
				schema_run_feed(f.run, span_slice(text, b, text.len));
				cut = outcome_of(f.run, schema_run_finish(f.run));
				assert_same(&whole, &cut);
			}
	}
	fixture_release(&f);
}

static void checks_allocate_nothing_once_warm(void **state)
{
	struct fixture f;

	(void)state;
	fixture_init(&f, order_schema);
	for (size_t i = 0; i < COUNT_OF(orders); i++)
		fixture_check(&f, orders[i]);
	for (size_t i = 0; i < COUNT_OF(orders); i++) {
		mem_fail_at(1);
		fixture_check(&f, orders[i]);
		assert_false(mem_fail_happened());
		mem_fail_at(0);
	}
	fixture_release(&f);
}

static void every_failing_allocation_is_told(void **state)
{
	struct fixture calm;

	(void)state;
	fixture_init(&calm, order_schema);
	for (size_t i = 0; i < COUNT_OF(orders); i++) {
		enum schema_result expected = fixture_check(&calm, orders[i]);
		bool done = false;

		for (unsigned long n = 1; !done; n++) {
			struct schema_source source = {SCHEMA_2020_12, .is_schema = true};
			struct err err = {0};
			struct fixture f;
			enum schema_result result = SCHEMA_MEMORY;

			assert_true(n < 1000);
			mem_fail_at(n);
			if (fixture_try(&f, order_schema, &source, NULL, SCHEMA_EITHER, NULL,
					&err) == 0)
				result = fixture_check(&f, orders[i]);
			done = !mem_fail_happened();
			mem_fail_at(0);
			if (!f.run)
				assert_int_equal(err.code, ERR_MEMORY);
			/* Without memory for JIT code, expressions are interpreted. */
			if (done || result != SCHEMA_MEMORY)
				assert_int_equal(result, f.run ? expected : SCHEMA_MEMORY);
			fixture_release(&f);
		}
	}
	fixture_release(&calm);
}

static void a_long_array_needs_little_memory(void **state)
{
	static char piece[65536];
	static const char item[] = "{\"sku\":\"ABC\",\"price\":12.5,\"tags\":[\"a\",\"b\"]},";
	const uint64_t wanted = UINT64_C(100) << 20;
	struct fixture f;
	size_t len = 0;

	(void)state;
	while (len + sizeof(item) < sizeof(piece)) {
		memcpy(piece + len, item, sizeof(item) - 1);
		len += sizeof(item) - 1;
	}
	fixture_init(&f,
		     "{\"type\":\"array\",\"items\":{\"oneOf\":[{\"required\":[\"x\"]},"
		     "{\"properties\":{\"sku\":{\"maxLength\":5},\"price\":{\"minimum\":1},"
		     "\"tags\":{\"items\":{\"type\":\"string\"},\"uniqueItems\":true}}}]}}");
	schema_run_start(f.run, f.schema, NULL);
	assert_int_equal(schema_run_feed(f.run, SPAN("[")), SCHEMA_MORE);
	for (uint64_t fed = 0; fed < wanted; fed += len)
		assert_int_equal(schema_run_feed(f.run, span_of(piece, len)), SCHEMA_MORE);
	assert_int_equal(schema_run_feed(f.run, SPAN("{}]")), SCHEMA_MORE);
	assert_int_equal(schema_run_finish(f.run), SCHEMA_VALID);
	assert_true(schema_run_bytes(f.run) < 1 << 20);
	fixture_release(&f);
}

static void each_limit_ends_a_check_by_name(void **state)
{
	static const struct {
		struct schema_run_limits limits;
		const char *schema;
		const char *text;
		const char *limit;
	} cases[] = {
		{{.max_depth = 3}, "{}", "[[[[]]]]", "depth"},
		{{.max_string_bytes = 4}, "{}", "\"12345\"", "string_bytes"},
		{{.max_string_bytes = 4}, "{}", "{\"12345\":1}", "string_bytes"},
		{{.max_number_bytes = 4}, "{}", "[12345]", "number_bytes"},
		{{.max_keys = 2}, "{}", "{\"a\":1,\"b\":{\"c\":1}}", "keys"},
		{{.max_keys = 2},
		 "{\"properties\":{\"a\":{},\"b\":{},\"c\":{}}}",
		 "{\"a\":1,\"b\":2,\"c\":3}",
		 "keys"},
		{{.max_unique_items = 2}, "{\"uniqueItems\":true}", "[1,2,3]", "unique_items"},
		{{.max_evaluations = 3},
		 "{\"anyOf\":[{\"items\":{}},{\"items\":{}},{\"items\":{}}]}",
		 "[1]",
		 "evaluations"},
		{{.max_steps = 4},
		 "{\"items\":{\"minimum\":1}}",
		 "[1.5e0,2e0,3e0,4e0,5e0,6e0]",
		 "steps"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct fixture f;

		fixture_init_with(&f, cases[i].schema, SCHEMA_2020_12, SCHEMA_EITHER,
				  &cases[i].limits);
		assert_int_equal(fixture_check(&f, cases[i].text), SCHEMA_LIMIT);
		assert_true(span_eq(schema_run_limit(f.run), span_cstr(cases[i].limit)));
		/* And the run can be used again. */
		assert_int_equal(fixture_check(&f, "1"), SCHEMA_VALID);
		fixture_release(&f);
	}
}

static void an_expensive_expression_is_a_problem(void **state)
{
	const struct schema_problem *problems;
	struct fixture f;

	(void)state;
	fixture_init(&f, "{\"pattern\":\"^(a+)+$\"}");
	assert_int_equal(
		fixture_check(&f, "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\""),
		SCHEMA_INVALID);
	assert_int_equal(schema_run_problems(f.run, &problems), 1);
	assert_true(span_eq(problems[0].detail, SPAN("too expensive to match")));
	fixture_release(&f);
}

static void branches_that_refer_to_each_other_stay_cheap(void **state)
{
	struct schema_run_limits limits = {.max_evaluations = 1000, .max_steps = 100000};
	struct fixture f;
	char text[512];
	size_t len = 0;

	(void)state;
	/* Without sharing, each level would double what is evaluated. */
	fixture_init_with(&f,
			  "{\"anyOf\":[{\"items\":{\"$ref\":\"#\"},\"maxItems\":3},"
			  "{\"items\":{\"$ref\":\"#\"},\"minItems\":1},{\"const\":[]}]}",
			  SCHEMA_2020_12, SCHEMA_EITHER, &limits);
	for (; len < 50; len++)
		text[len] = '[';
	for (; len < 100; len++)
		text[len] = ']';
	assert_int_equal(schema_run_whole(f.run, f.schema, NULL, span_of(text, len)),
			 SCHEMA_VALID);
	fixture_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(problems_are_told_with_place_keyword_and_schema),
		cmocka_unit_test(missing_names_are_told_each),
		cmocka_unit_test(problems_end_at_their_limit),
		cmocka_unit_test(every_cut_gives_the_same_result),
		cmocka_unit_test(checks_allocate_nothing_once_warm),
		cmocka_unit_test(every_failing_allocation_is_told),
		cmocka_unit_test(a_long_array_needs_little_memory),
		cmocka_unit_test(each_limit_ends_a_check_by_name),
		cmocka_unit_test(an_expensive_expression_is_a_problem),
		cmocka_unit_test(branches_that_refer_to_each_other_stay_cheap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
