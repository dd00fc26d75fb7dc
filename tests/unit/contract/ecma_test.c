#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "contract/ecma.h"

static struct ecma_matcher *matcher;

static int set_up(void **state)
{
	(void)state;
	matcher = ecma_matcher_new(0, 0);
	return matcher ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	ecma_matcher_free(matcher);
	return 0;
}

static enum ecma_result match(const char *expression, struct span subject)
{
	struct err err = {0};
	struct ecma *e = ecma_compile(span_cstr(expression), 4096, &err);
	enum ecma_result result;

	if (!e)
		fail_msg("%s", err.message);
	result = ecma_match(matcher, e, subject);
	ecma_free(e);
	/* However it is run. */
	e = ecma_compile_general(span_cstr(expression), 4096, &err);
	if (!e)
		fail_msg("%s", err.message);
	assert_int_equal(ecma_match(matcher, e, subject), result);
	ecma_free(e);
	return result;
}

static void expressions_mean_what_ecmascript_says(void **state)
{
	static const struct {
		const char *expression;
		struct span yes;
		struct span no;
	} cases[] = {
		{"^abc$", SPAN_INIT("abc"), SPAN_INIT("abc\n")},
		{"b+", SPAN_INIT("abbc"), SPAN_INIT("ac")},
		{"^.$", SPAN_INIT("\xc3\xa9"), SPAN_INIT("\xe2\x80\xa8")},
		{"^\\d$", SPAN_INIT("7"), SPAN_INIT("\xdf\x80")},
		{"^\\D$", SPAN_INIT("\xdf\x80"), SPAN_INIT("7")},
		{"^\\w$", SPAN_INIT("_"), SPAN_INIT("\xc3\xa9")},
		{"^\\s$", SPAN_INIT("\xef\xbb\xbf"), SPAN_INIT("\xe2\x80\x93")},
		{"^\\S$", SPAN_INIT("\xe2\x80\x93"), SPAN_INIT("\xc2\xa0")},
		{"^[\\s]$", SPAN_INIT("\xe3\x80\x80"), SPAN_INIT("x")},
		{"^[^\\S]$", SPAN_INIT("\x0b"), SPAN_INIT("x")},
		{"^[x\\S]$", SPAN_INIT("\xf0\x9f\x98\x80"), SPAN_INIT(" ")},
		{"^\\cJ$", SPAN_INIT("\n"), SPAN_INIT("J")},
		{"^\\x41\\u0042\\u{43}$", SPAN_INIT("ABC"), SPAN_INIT("AB")},
		{"^\\ud83d\\uDE00$", SPAN_INIT("\xf0\x9f\x98\x80"), SPAN_INIT("x")},
		{"^[\\ud83d\\ude00-\\u{1f64f}]$", SPAN_INIT("\xf0\x9f\x98\x81"),
		 SPAN_INIT("x")},
		{"^\\p{Letter}\\p{Nd}\\p{Script=Greek}$", SPAN_INIT("a1\xce\xb1"),
		 SPAN_INIT("a1a")},
		{"^\\P{L}$", SPAN_INIT("1"), SPAN_INIT("a")},
		{"^[\\b]$", SPAN_INIT("\b"), SPAN_INIT("b")},
		{"^[^]$", SPAN_INIT("\n"), SPAN_INIT("")},
		{"^([]|a)$", SPAN_INIT("a"), SPAN_INIT("")},
		{"^[[:alpha:]]$", SPAN_INIT("a]"), SPAN_INIT("z]")},
		{"^([]x]|y)", SPAN_INIT("y"), SPAN_INIT("]")},
		{"^[a\\]-]$", SPAN_INIT("-"), SPAN_INIT("b")},
		{"^[\\w-.]$", SPAN_INIT("-"), SPAN_INIT("+")},
		{"^a{2}{$", SPAN_INIT("aa{"), SPAN_INIT("aa")},
		{"^{}]$", SPAN_INIT("{}]"), SPAN_INIT("{}")},
		{"^a{,2}$", SPAN_INIT("a{,2}"), SPAN_INIT("aa")},
		{"^(?<year>\\d{4})-\\k<year>$", SPAN_INIT("2024-2024"), SPAN_INIT("2024-2025")},
		{"^(a)?\\1b$", SPAN_INIT("b"), SPAN_INIT("ab")},
		{"(?<=\\$)\\d+(?!\\.)$", SPAN_INIT("$42"), SPAN_INIT("42")},
		{"^\\bfoo\\b$", SPAN_INIT("foo"), SPAN_INIT("food")},
		{"^\\/\\-\\@\\#$", SPAN_INIT("/-@#"), SPAN_INIT("/")},
		{"^a # b$", SPAN_INIT("a # b"), SPAN_INIT("a")},
		{"^\\0$", SPAN_INIT("\0"), SPAN_INIT("0")},
		{"", SPAN_INIT("anything"), {NULL, 0}},
		/* What needs no search, and what only looks so. */
		{"^[A-Z]{2}-[0-9]{6}$", SPAN_INIT("AB-123456"), SPAN_INIT("AB-12345")},
		{"^[A-Z]{2}-[0-9]{6}$", SPAN_INIT("AB-123456"), SPAN_INIT("AB-1234567")},
		{"^[A-Z]{2}-[0-9]{6}", SPAN_INIT("AB-1234567"), SPAN_INIT("A-123456")},
		{"^[a-z]+$", SPAN_INIT("abc"), SPAN_INIT("ab\xc3\xa9")},
		{"^[a-z]+$", SPAN_INIT("a"), SPAN_INIT("")},
		{"^[a-z]*$", SPAN_INIT(""), SPAN_INIT("a\n")},
		{"^a{2,3}b?$", SPAN_INIT("aaab"), SPAN_INIT("aaaab")},
		{"^a{2,}$", SPAN_INIT("aaaa"), SPAN_INIT("a")},
		{"^a{1,2}a$", SPAN_INIT("aa"), SPAN_INIT("a")},
		{"^a?b*ac$", SPAN_INIT("ac"), SPAN_INIT("c")},
		{"^\\d{4}-\\d{2}$", SPAN_INIT("2024-02"), SPAN_INIT("2024-2")},
		{"^\\w+@\\w+\\.x$", SPAN_INIT("a_1@b.x"), SPAN_INIT("a@b,x")},
		{"^[\\d-]+$", SPAN_INIT("1-2"), SPAN_INIT("a")},
		{"^[+\\-*]$", SPAN_INIT("-"), SPAN_INIT(",")},
		{"^[-a]b$", SPAN_INIT("-b"), SPAN_INIT("bb")},
		{"^[a-]b$", SPAN_INIT("-b"), SPAN_INIT("bb")},
		{"^[a-c-e]$", SPAN_INIT("-"), SPAN_INIT("d")},
		{"^$", SPAN_INIT(""), SPAN_INIT("a")},
		{"^", SPAN_INIT("a"), {NULL, 0}},
		{"^a$b?", SPAN_INIT("a"), SPAN_INIT("ab")},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(match(cases[i].expression, cases[i].yes), ECMA_MATCH);
		if (cases[i].no.ptr)
			assert_int_equal(match(cases[i].expression, cases[i].no),
					 ECMA_NO_MATCH);
	}
}

static void what_ecmascript_or_pcre2_lacks_is_refused(void **state)
{
	static const char *const refused[] = {
		"^(abc]",
		"a)",
		"(",
		"[a",
		"*a",
		"a**",
		"a++",
		"(?i)a",
		"(?>a)",
		"(?P<n>a)",
		"(?#x)",
		"(*UTF)",
		"\\A",
		"\\Z",
		"\\a",
		"\\Qa\\E",
		"\\h",
		"\\x1",
		"\\u12",
		"\\u{110000}",
		"\\ud800",
		"\\udc00x",
		"\\p{Nonsense}",
		"\\p{a=b}",
		"\\pL",
		"[b-a]",
		"\\1",
		"(a)\\2",
		"\\k<x>",
		"\\c1",
		"\\01",
		"(?<=a*)b",
		"\\",
		"a{2,1}",
		"(?<1>a)",
		"\xff",
		"^*",
		"|+",
		"(?:{1})",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(refused); i++) {
		struct err err = {0};
		struct ecma *e = ecma_compile(span_cstr(refused[i]), 4096, &err);

		if (e)
			fail_msg("accepted: %s", refused[i]);
		assert_int_equal(err.code, ERR_INVALID);
		assert_true(span_find(span_cstr(err.message), SPAN("regular expression")) <
			    strlen(err.message));
	}
}

static void long_and_huge_expressions_are_refused(void **state)
{
	char deep[402];
	struct err err = {0};

	(void)state;
	assert_null(ecma_compile(SPAN("aaaaaaaaaa"), 9, &err));
	assert_int_equal(err.code, ERR_LIMIT);
	err.code = ERR_NONE;
	assert_null(ecma_compile(SPAN("(((a{900}){900}){900}){900}"), 4096, &err));
	assert_int_equal(err.code, ERR_INVALID);
	memset(deep, '(', 201);
	memset(deep + 201, ')', 201);
	assert_null(ecma_compile(span_of(deep, 402), 4096, &err));
}

static void an_expensive_match_ends_at_a_limit(void **state)
{
	struct span subject = SPAN("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!");

	(void)state;
	assert_int_equal(match("^(a+)+$", subject), ECMA_TOO_HARD);
}

/* At no start alone: it is the many starts of a long text that cost. */
static void so_do_many_matches_that_are_expensive_together(void **state)
{
	static char text[30005];

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text + 30000, "1y x", 5);
	ecma_matcher_start(matcher, 0);
	assert_int_equal(match("(?:a.)*[0-9]x", span_of(text, 30004)), ECMA_TOO_HARD);
	/* Short texts are matched all the same, and long ones of the next document. */
	assert_int_equal(match("(?:a.)*[0-9]x", SPAN("baaa1x")), ECMA_MATCH);
	ecma_matcher_start(matcher, 0);
	assert_int_equal(match("[0-9]y", span_of(text, 30004)), ECMA_MATCH);
}

/* Few steps for PCRE2, each of which runs over all of the text. */
static void so_does_one_that_is_slow_from_a_single_start(void **state)
{
	static char text[45000];

	(void)state;
	memset(text, 'a', sizeof(text));
	ecma_matcher_start(matcher, 1);
	assert_int_equal(match("^a*[ab]*[xz]", span_of(text, sizeof(text))), ECMA_TOO_HARD);
	ecma_matcher_start(matcher, 0);
	assert_int_equal(match("^a*[ab]*$", span_of(text, sizeof(text))), ECMA_MATCH);
}

static void long_texts_are_matched_from_each_character(void **state)
{
	static char text[9000];

	(void)state;
	for (size_t start = 0; start < 3; start++) {
		for (size_t at = start; at + 3 <= sizeof(text); at += 3)
			memcpy(text + at, "\xe2\x82\xac", 3);
		memset(text, 'a', start);
		for (size_t len = 500; len <= 8990; len += 997) {
			size_t whole = start + (len - start) / 3 * 3;

			memcpy(text + whole, "b", 1);
			assert_int_equal(match("(a|.)b$", span_of(text, whole + 1)),
					 ECMA_MATCH);
			assert_int_equal(match("(a|^)b", span_of(text, whole + 1)),
					 ECMA_NO_MATCH);
			assert_int_equal(match("\xe2\x82\xac$|c", span_of(text, whole)),
					 ECMA_MATCH);
			memcpy(text + whole, "\xe2", 1);
		}
	}
}

static void every_failing_allocation_is_an_error(void **state)
{
	bool done = false;

	(void)state;
	for (unsigned long n = 1; !done; n++) {
		struct err err = {0};
		struct ecma_matcher *m;
		struct ecma *e;

		assert_true(n < 100);
		mem_fail_at(n);
		m = ecma_matcher_new(0, 0);
		e = m ? ecma_compile(SPAN("^(a|b)+\\s$"), 4096, &err) : NULL;
		done = !mem_fail_happened();
		mem_fail_at(0);
		if (e)
			assert_int_equal(ecma_match(m, e, SPAN("ab ")), ECMA_MATCH);
		else if (m)
			assert_int_equal(err.code, ERR_MEMORY);
		ecma_free(e);
		ecma_matcher_free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expressions_mean_what_ecmascript_says),
		cmocka_unit_test(what_ecmascript_or_pcre2_lacks_is_refused),
		cmocka_unit_test(long_and_huge_expressions_are_refused),
		cmocka_unit_test(an_expensive_match_ends_at_a_limit),
		cmocka_unit_test(so_does_one_that_is_slow_from_a_single_start),
		cmocka_unit_test(so_do_many_matches_that_are_expensive_together),
		cmocka_unit_test(long_texts_are_matched_from_each_character),
		cmocka_unit_test(every_failing_allocation_is_an_error),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
