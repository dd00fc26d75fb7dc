/* Regular expressions: what long texts are searched with finds the same, and ends in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "parse/regex.h"

#define LONG_NS INT64_C(10000000000)

static struct regex_scratch *scratch;

/* With time as the only limit that matters. */
static struct regex_scratch *new_scratch(void)
{
	return regex_scratch_new(&(struct regex_limits){.matches = UINT32_MAX,
							.depth = 20000,
							.heap_kib = 20480,
							.jit_stack_bytes = 512 << 10,
							.pairs = 8,
							.time_ns = LONG_NS});
}

static int set_up(void **state)
{
	(void)state;
	scratch = new_scratch();
	return scratch ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	regex_scratch_free(scratch);
	return 0;
}

static struct regex *compile(const char *text, uint32_t flags)
{
	struct err err = {0};
	struct regex *r =
		regex_new(span_cstr(text), &(struct regex_options){.flags = flags}, &err);

	if (!r)
		fail_msg("%s: %s", text, err.message);
	return r;
}

/* `text` behind as many dots as make it long. */
static struct span behind_dots(char *to, size_t dots, struct span text)
{
	memset(to, '.', dots);
	memcpy(to + dots, text.ptr, text.len);
	return span_of(to, dots + text.len);
}

static void matches_in_long_texts_are_those_in_short_ones(void **state)
{
	static const struct {
		const char *expression;
		const char *text;
		uint32_t flags;
	} cases[] = {
		{"a+(b|c)*d", "xaabcbd!", 0},
		{"(a+)+(b)?$", "aaab", 0},
		{"(?<n>[0-9]+)-(?:[a-z]{2,3}|x*)(y)", "12-abcy", 0},
		{"(?=a+b)a(?!c)", "aab", 0},
		{"(?<=x{2})y*+z", "xxyyz", 0},
		{"(?(?=a+)a(b+)|c)", "abb", 0},
		{"(a+)(?(1)b|c)", "aab", 0},
		{"(?>a+|b)c|d*?e", "aac dde", 0},
		{"(a|b(?1)*c)+", "bbacac", 0},
		{"(['\"])[^'\"]*\\1", "\"it\"", 0},
		{"(?i)ab+  (?#a comment)c", "ABB  c", 0},
		{"(?x) a+ # a comment: b+\n b", "aab", 0},
		{"\\Qa+b\\Ec+", "a+bcc", 0},
		{"[*+?}]{2}[)(]+", "*?)(", 0},
		{"\\*\\+x*\\}", "*+xx}", 0},
		{"x{,3}y{2}z{1,}", "x{,3}yyz", 0},
		{"a(*SKIP)(*FAIL)|b+", "abb", 0},
		{"(?C7)a+(?C)b", "aab", 0},
		{"\xc3\xa4+\\w*", "\xc3\xa4\xc3\xa4x", PCRE2_UTF},
	};
	static char text[2000];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct regex *r = compile(cases[i].expression, cases[i].flags);
		struct span near = behind_dots(text, 1, span_cstr(cases[i].text));
		int short_pairs = regex_search(r, scratch, near, 0, 0, REGEX_PAIRS_ALL);
		size_t from[8] = {0}, to[8] = {0};

		if (short_pairs <= 0)
			fail_msg("%s does not match", cases[i].expression);
		assert_null(atomic_load(&r->watched));
		for (int k = 0; k < short_pairs; k++) {
			struct span pair =
				regex_pair(scratch, REGEX_PAIRS_ALL, near, (size_t)k);

			from[k] = pair.ptr ? (size_t)(pair.ptr - near.ptr) : SIZE_MAX;
			to[k] = pair.len;
		}
		near = behind_dots(text, 1001, span_cstr(cases[i].text));
		assert_int_equal(regex_search(r, scratch, near, 0, 0, REGEX_PAIRS_ALL),
				 short_pairs);
		assert_non_null(atomic_load(&r->watched));
		for (int k = 0; k < short_pairs; k++) {
			struct span pair =
				regex_pair(scratch, REGEX_PAIRS_ALL, near, (size_t)k);

			assert_int_equal(pair.ptr ? (size_t)(pair.ptr - near.ptr) - 1000
						  : SIZE_MAX,
					 from[k]);
			assert_int_equal(pair.len, to[k]);
		}
		assert_int_equal(
			regex_search(r, scratch, near, 0, PCRE2_ANCHORED, REGEX_PAIRS_WHOLE),
			REGEX_NONE);
		regex_free(r);
	}
}

/* From the first byte on alone, from each byte on, and in what refers back. */
static void a_search_is_broken_off_in_time(void **state)
{
	static const struct {
		const char *expression;
		char filler;
	} cases[] = {{"^\\s*(?:\\(|\\s*\\[)*\\s*[yz]", ' '},
		     {"(?:a.)*[0-9][xz]", 'a'},
		     {"(?:a|b|ab){1,9}[xz]", 'a'},
		     {"(a+)\\1[xz]", 'a'},
		     {"^(?:a*b?){2}[xz]", 'a'}};
	static char text[200000];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct regex *r = compile(cases[i].expression, 0);
		struct span all = span_of(text, sizeof(text));

		memset(text, cases[i].filler, sizeof(text));
		text[sizeof(text) - 1] = '!';
		regex_scratch_set_left_ns(scratch, 1000000);
		if (regex_search(r, scratch, all, 0, 0, REGEX_PAIRS_WHOLE) != REGEX_TOO_HARD)
			fail_msg("%s was done", cases[i].expression);
		assert_true(regex_scratch_left_ns(scratch) <= 0);
		/* None is left for another one; short texts need none. */
		assert_int_equal(regex_search(r, scratch, all, 0, 0, REGEX_PAIRS_WHOLE),
				 REGEX_TOO_HARD);
		assert_true(regex_search(r, scratch, SPAN("  aaaax2y"), 0, 0,
					 REGEX_PAIRS_WHOLE) >= REGEX_NONE);
		regex_scratch_set_left_ns(scratch, LONG_NS);
		regex_free(r);
	}
}

/* What PCRE2 does for expressions that start with a repetition must not get lost. */
static void a_search_that_is_linear_stays_linear(void **state)
{
	static const char *const expressions[] = {"[0-9]+[-/][0-9]+", "[0-9]+$"};
	static char text[400000];

	(void)state;
	memset(text, '1', sizeof(text) - 1);
	text[sizeof(text) - 1] = '!';
	for (size_t i = 0; i < COUNT_OF(expressions); i++) {
		struct regex *r = compile(expressions[i], 0);

		regex_scratch_set_left_ns(scratch, LONG_NS / 10);
		assert_int_equal(regex_search(r, scratch, span_of(text, sizeof(text)), 0, 0,
					      REGEX_PAIRS_WHOLE),
				 REGEX_NONE);
		regex_free(r);
	}
	regex_scratch_set_left_ns(scratch, LONG_NS);
}

static void a_text_that_is_not_utf8_is_told(void **state)
{
	static char text[1000];
	struct regex *r = compile("a+", PCRE2_UTF);

	(void)state;
	assert_int_equal(regex_search(r, scratch, SPAN("\xff"), 0, 0, REGEX_PAIRS_WHOLE),
			 REGEX_NOT_UTF8);
	memset(text, 0xff, sizeof(text));
	assert_int_equal(
		regex_search(r, scratch, span_of(text, sizeof(text)), 0, 0, REGEX_PAIRS_WHOLE),
		REGEX_NOT_UTF8);
	regex_free(r);
}

static void what_is_no_expression_is_refused(void **state)
{
	static const struct regex_options options = {.groups_deep = 3};
	struct err err = {0};

	(void)state;
	assert_null(regex_new(SPAN("ab(c"), &options, &err));
	assert_int_equal(err.code, ERR_SYNTAX);
	assert_string_equal(err.message, "at byte 4: missing closing parenthesis");
	assert_null(regex_new(SPAN("((((a))))"), &options, &err));
}

static void every_failing_allocation_is_an_error(void **state)
{
	static const struct regex_options options = {.flags = 0};
	static char text[1000];
	bool done = false;

	(void)state;
	memset(text, 'a', sizeof(text));
	for (unsigned long n = 1; !done; n++) {
		struct err err = {0};
		struct regex_scratch *s;
		struct regex *r;
		int result = REGEX_NO_MEMORY;

		assert_true(n < 200);
		mem_fail_at(n);
		s = new_scratch();
		r = s ? regex_new(SPAN("(a+)+b"), &options, &err) : NULL;
		if (r)
			result = regex_search(r, s, span_of(text, sizeof(text)), 0,
					      PCRE2_ANCHORED | PCRE2_NOTEMPTY, REGEX_PAIRS_ALL);
		done = !mem_fail_happened();
		mem_fail_at(0);
		if (s && !r)
			assert_int_equal(err.code, ERR_MEMORY);
		assert_true(result == REGEX_NONE || (!done && result == REGEX_NO_MEMORY));
		regex_free(r);
		regex_scratch_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(matches_in_long_texts_are_those_in_short_ones),
		cmocka_unit_test(a_search_is_broken_off_in_time),
		cmocka_unit_test(a_search_that_is_linear_stays_linear),
		cmocka_unit_test(a_text_that_is_not_utf8_is_told),
		cmocka_unit_test(what_is_no_expression_is_refused),
		cmocka_unit_test(every_failing_allocation_is_an_error),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
