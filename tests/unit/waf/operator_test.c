#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "waf/operator.h"
#include "waf/operator_geo.h"

static struct regex_scratch *scratch;
static struct libinjection *libinjection;

static int load(void *context, struct span name, struct buf *to, struct err *err)
{
	(void)context;
	if (span_eq(name, SPAN("missing.data")))
		return err_set(err, ERR_NOT_FOUND, "missing.data is not there");
	return buf_append(to, span_eq(name, SPAN("addresses.data"))
				      ? SPAN("10.0.0.0/8\n::1 # me\n")
				      : SPAN("# x\none two\nThree\n"));
}

static struct operator* compile(const char *text, bool dynamic, struct err *err)
{
	struct operator_options options = {
		.load = load, .libinjection = libinjection, .dynamic = dynamic};
	struct operator_text parts;

	if (operator_text_parse(span_cstr(text), &parts, err) < 0)
		return NULL;
	return operator_new(&parts, &options, err);
}

static bool matches(const char *text, struct span value, struct operator_match *match)
{
	struct err err = {0};
	struct operator* op = compile(text, false, &err);
	bool matched;

	if (!op)
		fail_msg("%s: %s", text, err.message);
	matched = operator_match(op, scratch, SPAN_NONE, value, match);
	operator_free(op);
	return matched;
}

static void texts_are_split_into_name_and_parameter(void **state)
{
	static const struct {
		const char *text;
		enum operator_kind kind;
		bool negated;
		const char *parameter;
	} examples[] = {
		{"abc", OPERATOR_RX, false, "abc"},
		{"!abc", OPERATOR_RX, true, "abc"},
		{"@", OPERATOR_RX, false, "@"},
		{"@1", OPERATOR_RX, false, "@1"},
		{"@rx  a b ", OPERATOR_RX, false, " a b "},
		{"!@EQ 5", OPERATOR_EQ, true, "5"},
		{"@pmf x.data", OPERATOR_PM_FROM_FILE, false, "x.data"},
		{"@ipMatchF x", OPERATOR_IP_MATCH_FROM_FILE, false, "x"},
		{"@detectSQLi", OPERATOR_DETECT_SQLI, false, ""},
		{"", OPERATOR_RX, false, ""},
	};
	struct operator_text parts;
	struct err err = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(examples); i++) {
		assert_int_equal(operator_text_parse(span_cstr(examples[i].text), &parts, &err),
				 0);
		assert_int_equal(parts.kind, examples[i].kind);
		assert_int_equal(parts.negated, examples[i].negated);
		assert_true(span_eq(parts.parameter, span_cstr(examples[i].parameter)));
	}
	assert_int_equal(operator_text_parse(SPAN("@regex a"), &parts, &err), -1);
	assert_non_null(strstr(err.message, "@regex"));
}

static void values_match_or_do_not(void **state)
{
	static const struct {
		const char *text;
		const char *yes;
		const char *no;
	} examples[] = {
		{"@rx ^a.b$", "x\na\nb", "aab c"},
		{"@beginsWith ab", "abc", "xab"},
		{"@endsWith ab", "cab", "abc"},
		{"@contains ab", "cabc", "acb"},
		{"@containsWord or", "1 or 1", "order"},
		{"@containsWord or", "or 1", "for"},
		{"@containsWord or", "x or", "xor"},
		{"@streq ab", "ab", "abc"},
		{"@strmatch ab", "cabc", "ba"},
		{"@within GET POST", "POST", "PUT"},
		{"@eq 5", " +5x", "50"},
		{"@eq 0", "word", "1"},
		{"@ge 5", "5", "4"},
		{"@gt 5", "6", "5"},
		{"@le 5", "5", "6"},
		{"@lt 5", "-99999999999999999999", "99999999999999999999"},
		{"@pm one \"two", "xTWOonE", "on e"},
		{"@pmFromFile x.data", "xxOne Twoxx", "one"},
		{"@ipMatch 10.1.2.3/8, ::1", "10.9.9.9", "11.0.0.1"},
		{"@ipMatchFromFile addresses.data", "::1", "::2"},
		{"@detectSQLi", "1' OR '1'='1", "O'Brien"},
		{"@detectXSS", "<script>alert(1)</script>", "a < b"},
		{"@validateByteRange 32-36,97", "b", "a $"},
		{"@validateUrlEncoding", "%4", "%41"},
		{"@validateUtf8Encoding", "\xc0\xaf", "\xc3\xa9"},
		{"@verifyCC \\d{16}", "x4111111111111111", "4111111111111112"},
		{"@verifyCPF [\\d.-]{14}", "529.982.247-25", "529.982.247-26"},
		{"@verifySSN \\d{3}-\\d\\d-\\d{4}", "078-05-1120", "666-12-3456"},
		{"@verifySVNR \\d{10}", "1237010180", "1238010180"},
		{"!@streq ab", "abc", "ab"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(examples); i++) {
		if (!matches(examples[i].text, span_cstr(examples[i].yes), NULL))
			fail_msg("%s does not match %s", examples[i].text, examples[i].yes);
		if (matches(examples[i].text, span_cstr(examples[i].no), NULL))
			fail_msg("%s matches %s", examples[i].text, examples[i].no);
	}
	assert_true(matches("@unconditionalMatch", SPAN(""), NULL));
	assert_false(matches("@noMatch", SPAN(""), NULL));
}

static void captures_and_pieces_are_given(void **state)
{
	struct operator_match m;

	(void)state;
	assert_true(matches("@rx b(x)?(c)", SPAN("abcd"), &m));
	assert_int_equal(m.capture_count, 2);
	assert_int_equal(m.captures[0].number, 0);
	assert_true(span_eq(m.captures[0].text, SPAN("bc")));
	assert_int_equal(m.captures[1].number, 2);
	assert_true(span_eq(m.captures[1].text, SPAN("c")));
	assert_true(span_eq(m.piece, SPAN("bc")));
	assert_true(matches("@rxGlobal [0-9](x)", SPAN("1x 2x"), &m));
	assert_int_equal(m.capture_count, 4);
	assert_int_equal(m.captures[3].number, 3);
	assert_true(matches("@contains bc", SPAN("abcd"), &m));
	assert_true(span_eq(m.piece, SPAN("bc")));
	assert_int_equal(m.capture_count, 0);
	assert_true(matches("@detectSQLi", SPAN("1' OR '1'='1"), &m));
	assert_string_equal(m.fingerprint, "s&sos");
	assert_true(span_eq(m.captures[0].text, SPAN("s&sos")));
	assert_false(matches("@rx b", SPAN("acd"), &m));
	assert_int_equal(m.capture_count, 0);
	assert_true(span_eq(m.piece, SPAN("acd")));
}

static void phrases_can_be_listed(void **state)
{
	struct err err = {0};
	struct operator* op = compile("@pm one two", false, &err);

	(void)state;
	assert_non_null(op);
	assert_true(span_eq(*operator_phrase(op, 0), SPAN("one")));
	assert_true(span_eq(*operator_phrase(op, 1), SPAN("two")));
	assert_null(operator_phrase(op, 2));
	operator_free(op);
}

static void dynamic_parameters_are_given_with_each_match(void **state)
{
	struct operator_match m;
	struct err err = {0};
	struct operator* op = compile("@ge %{tx.limit}", true, &err);

	(void)state;
	assert_non_null(op);
	assert_true(operator_match(op, scratch, SPAN("3"), SPAN("4"), NULL));
	assert_false(operator_match(op, scratch, SPAN("5"), SPAN("4"), NULL));
	operator_free(op);
	op = compile("@rx ^%{tx.pattern}$", true, &err);
	assert_non_null(op);
	assert_true(operator_match(op, scratch, SPAN("^a+$"), SPAN("aaa"), &m));
	assert_false(operator_match(op, scratch, SPAN("^(a"), SPAN("aaa"), &m));
	assert_int_equal(m.error, OPERATOR_ERROR_PATTERN);
	operator_free(op);
	assert_null(compile("@pm %{tx.words}", true, &err));
}

static void runaway_patterns_hit_a_limit(void **state)
{
	struct operator_limits limits = OPERATOR_LIMITS_DEFAULT;
	struct regex_scratch *small;
	struct operator_match m;
	struct err err = {0};
	struct operator* op = compile("@rx ^(a+)+$", false, &err);

	(void)state;
	limits.match_limit = 1000;
	small = operator_scratch_new(&limits, &err);
	assert_true(op && small);
	assert_false(operator_match(op, small, SPAN_NONE,
				    SPAN("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"), &m));
	assert_int_equal(m.error, OPERATOR_ERROR_LIMIT);
	regex_scratch_free(small);
	operator_free(op);
}

static void searches_in_long_values_hit_a_limit_of_time(void **state)
{
	/* Slow from each byte on, and slow from the first one on alone. */
	static const struct {
		const char *rule;
		char filler;
	} cases[] = {{"@rx (?:a.)*[0-9]x", 'a'}, {"@rx ^\\s*(?:\\(|\\s*\\[)*\\s*y", ' '}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		static char text[100000];
		struct regex_scratch *quick;
		struct operator_match m;
		struct err err = {0};
		struct operator* op = compile(cases[i].rule, false, &err);

		memset(text, cases[i].filler, sizeof(text));
		memcpy(text + sizeof(text) - 4, "1y_x", 4);
		quick = operator_scratch_new(&OPERATOR_LIMITS_DEFAULT, &err);
		assert_true(op && quick);
		assert_true(regex_scratch_left_ns(quick) > 0);
		regex_scratch_set_left_ns(quick, 1000000);
		for (int again = 0; again < 2; again++) {
			m.error = OPERATOR_OK;
			assert_false(operator_match(op, quick, SPAN_NONE,
						    span_of(text, sizeof(text)), &m));
			assert_int_equal(m.error, OPERATOR_ERROR_LIMIT);
			assert_true(regex_scratch_left_ns(quick) <= 0);
		}
		/* Short ones are still looked at. */
		assert_true(operator_match(op, quick, SPAN_NONE, SPAN("aa1x"), &m) || i == 1);
		assert_true(operator_match(op, quick, SPAN_NONE, SPAN("  y"), &m) || i == 0);
		regex_scratch_free(quick);
		operator_free(op);
	}
}

static void long_values_are_searched_from_every_byte(void **state)
{
	static const char *const patterns[] = {"@rx e(e*)d(?!x)", "@rx ^e+d$",
					       "@rx (?<=\\n)eed", "@rx (*ANYCRLF)eed",
					       "@rx \\Geed|eed"};
	static char text[5000];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(patterns); i++) {
		struct err err = {0};
		struct operator* op = compile(patterns[i], false, &err);

		assert_non_null(op);
		for (size_t at = 1; at + 4 < sizeof(text); at++) {
			struct operator_match m;

			memset(text, 'b', sizeof(text));
			assert_false(at == 1 &&
				     operator_match(op, scratch, SPAN_NONE,
						    span_of(text, sizeof(text)), &m));
			memcpy(text + at - 1, "\need\n", 5);
			assert_true(operator_match(op, scratch, SPAN_NONE,
						   span_of(text, sizeof(text)), &m));
			assert_ptr_equal(m.piece.ptr, text + at);
			assert_int_equal(m.piece.len, 3);
		}
		operator_free(op);
	}
}

static void broken_operators_are_refused_with_a_reason(void **state)
{
	static const struct {
		const char *text;
		const char *reason;
	} examples[] = {
		{"@rx (a", "at byte 2"},
		{"@verifySSN (a", "at byte 2"},
		{"@ipMatch 10.0.0.0/33", "prefix"},
		{"@ipMatch 10.0.0", "no address"},
		{"@validateByteRange 1-256", "no byte"},
		{"@validateByteRange 9-1", "goes down"},
		{"@validateByteRange x", "no byte"},
		{"@pmFromFile missing.data", "not there"},
		{"@rbl", "block list"},
		{"@inspectFile x.lua", "programs cannot be run"},
		{"@rsub s/a/b/", "ModSecurity 3"},
		{"@fuzzyHash", "FILE SCORE"},
		{"@fuzzyHash x", "FILE SCORE"},
		{"@fuzzyHash x 101", "score from 0 to 100"},
		{"@fuzzyHash x y", "score from 0 to 100"},
		{"@fuzzyHash words 50", "words:2: not a hash"},
		{"@validateSchema x.xsd", "cannot be read"},
		{"@geoLookup", "database"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(examples); i++) {
		struct err err = {0};

		assert_null(compile(examples[i].text, false, &err));
		if (!strstr(err.message, examples[i].reason))
			fail_msg("%s: %s", examples[i].text, err.message);
	}
}

static void a_file_that_is_no_database_is_refused(void **state)
{
	struct err err = {0};

	(void)state;
	assert_null(geo_open("/nonexistent/geo.mmdb", &err));
	assert_non_null(strstr(err.message, "geo.mmdb"));
}

static void a_library_without_detectors_is_refused(void **state)
{
	struct err err = {0};

	(void)state;
	assert_null(libinjection_open("libnone.so.9", &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	assert_null(libinjection_open("libm.so.6", &err));
	assert_non_null(strstr(err.message, "does not export"));
}

static void failing_allocations_are_told(void **state)
{
	static const char *const texts[] = {"@rx a", "@pm one two three", "@ipMatch 10.0.0.0/8",
					    "@pmFromFile x"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		for (unsigned long n = 1;; n++) {
			struct err err = {0};
			struct operator* op;

			mem_fail_at(n);
			op = compile(texts[i], false, &err);
			if (!mem_fail_happened()) {
				mem_fail_at(0);
				assert_non_null(op);
				operator_free(op);
				break;
			}
			/* A pattern does without machine code. */
			assert_true(!op || i == 0);
			assert_true(op || err.code != ERR_NONE);
			operator_free(op);
		}
	}
}

static int set_up(void **state)
{
	struct err err = {0};

	(void)state;
	scratch = operator_scratch_new(&OPERATOR_LIMITS_DEFAULT, &err);
	libinjection = libinjection_open(NULL, &err);
	return scratch && libinjection ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	regex_scratch_free(scratch);
	libinjection_close(libinjection);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_are_split_into_name_and_parameter),
		cmocka_unit_test(values_match_or_do_not),
		cmocka_unit_test(captures_and_pieces_are_given),
		cmocka_unit_test(phrases_can_be_listed),
		cmocka_unit_test(dynamic_parameters_are_given_with_each_match),
		cmocka_unit_test(runaway_patterns_hit_a_limit),
		cmocka_unit_test(searches_in_long_values_hit_a_limit_of_time),
		cmocka_unit_test(long_values_are_searched_from_every_byte),
		cmocka_unit_test(broken_operators_are_refused_with_a_reason),
		cmocka_unit_test(a_file_that_is_no_database_is_refused),
		cmocka_unit_test(a_library_without_detectors_is_refused),
		cmocka_unit_test(failing_allocations_are_told),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
