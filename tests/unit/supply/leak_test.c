#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "supply/check.h"
#include "supply/leak.h"

static struct checker *checker;
static struct arena arena;

static int set_up(void **state)
{
	(void)state;
	checker = checker_new(NULL);
	arena_init(&arena, (size_t)1 << 26, (size_t)1 << 14);
	return checker ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	checker_free(checker);
	arena_release(&arena);
	return 0;
}

/* Values are made, so that this file holds none. */
static struct span made(const char *how)
{
	struct span text = leak_example(&arena, span_cstr(how), SPAN("seed"));

	assert_non_null(text.ptr);
	return text;
}

static struct finding_list scan_named(const char *path, struct span text)
{
	const struct leak_text leak = {.path = span_cstr(path), .text = text};
	struct finding_list list;
	struct err err = {0};

	finding_list_init(&list, &arena);
	if (check_secrets(checker, &leak, &list, &err) < 0)
		fail_msg("%s", err.message);
	return list;
}

static void there_are_eighty_kinds_at_least(void **state)
{
	size_t kinds = 0;

	(void)state;
	for (size_t i = 0; i < checker_rule_count(checker); i++)
		kinds += checker_rule(checker, i)->kind == CHECK_SECRET;
	assert_true(kinds >= 80);
}

static void a_secret_has_file_line_and_column_and_is_masked(void **state)
{
	struct span text = made("# settings\n\nkey = ghp_{{alnum:30}}{{crc32}}\n");
	struct span secret = span_slice(text, span_find(text, SPAN("ghp_")), text.len - 1);
	struct finding_list list = scan_named("a/app.conf", text);
	const struct finding *f = list.at;

	(void)state;
	assert_int_equal(list.count, 1);
	assert_true(span_eq(f->rule, SPAN("secret-github-token")));
	assert_true(span_eq(f->place.file, SPAN("a/app.conf")));
	assert_int_equal(f->place.line, 3);
	assert_int_equal(f->place.column, 7);
	assert_int_equal(f->severity, FINDING_CRITICAL);
	/* Its public beginning is shown, and no more. */
	assert_true(span_find(f->message, SPAN("ghp_****")) < f->message.len);
	assert_true(span_find(f->message, span_slice(secret, 4, 8)) == f->message.len);
}

static void a_specific_rule_takes_the_place_of_generic_ones(void **state)
{
	struct span text = made("API_TOKEN=\"ghp_{{alnum:30}}{{crc32}}\"\n");
	struct finding_list list = scan_named("x.env", text);

	(void)state;
	assert_int_equal(list.count, 1);
	assert_true(span_eq(list.at[0].rule, SPAN("secret-github-token")));
}

static void several_secrets_of_a_line_are_all_found(void **state)
{
	struct span text = made("a=ghp_{{alnum:30}}{{crc32}} b=ghp_{{alnum:30}}{{crc32}}");

	(void)state;
	assert_int_equal(scan_named("x", text).count, 2);
}

static void a_secret_far_behind_in_a_long_line_is_found(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	for (size_t i = 0; i < 20000; i++)
		buf_append_cstr(&text, "token; ");
	buf_append(&text, made("x=sk_live_{{alnum:24}}"));
	assert_int_equal(scan_named("x.js", buf_span(&text)).count, 1);
	buf_release(&text);
}

static void what_comments_allow_is_not_told(void **state)
{
	(void)state;
	assert_int_equal(
		scan_named("x", made("a=sk_live_{{alnum:24}} # sallyport:allow")).count, 0);
	assert_int_equal(
		scan_named("x", made("// sallyport:allow: for tests\na=sk_live_{{alnum:24}}"))
			.count,
		0);
	/* Another rule, and a mark that stands in code of the line before, allow nothing. */
	assert_int_equal(
		scan_named("x", made("a=sk_live_{{alnum:24}} # sallyport:allow secret-jwt"))
			.count,
		1);
	assert_int_equal(
		scan_named("x", made("b = 1 # sallyport:allow\na=sk_live_{{alnum:24}}")).count,
		1);
}

static void placeholders_are_no_secrets(void **state)
{
	static const char *const values[] = {
		"AKIAIOSFODNN7EXAMPLE", "xxxxxxxxxxxxxxxx", "${PASSWORD}",  "{{ .Values.key }}",
		"aaaaaaaaaaaaaaaa",	"$(cat /run/pw)",   "abcdefghijkl", "1234567890123",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++)
		if (!leak_is_placeholder(span_cstr(values[i]), false))
			fail_msg("%s", values[i]);
	assert_true(leak_is_placeholder(SPAN("<your password>"), true));
	assert_true(leak_is_placeholder(SPAN("my-test-value"), true));
	assert_false(leak_is_placeholder(made("{{alnum:20}}"), true));
}

static void a_wrong_checksum_is_no_token(void **state)
{
	struct span good = made("npm_{{alnum:30}}{{crc32}}");
	char bad[40];

	(void)state;
	assert_int_equal(good.len, sizeof(bad));
	assert_true(leak_holds(LEAK_VERIFY_CRC32, good));
	memcpy(bad, good.ptr, sizeof(bad));
	bad[10] = bad[10] == 'a' ? 'b' : 'a';
	assert_false(leak_holds(LEAK_VERIFY_CRC32, span_of(bad, sizeof(bad))));
}

static void the_checksum_is_crc32_in_base_62(void **state)
{
	(void)state;
	assert_true(
		leak_holds(LEAK_VERIFY_CRC32, SPAN("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1yLcDB")));
}

static void entropy_is_bits_a_character(void **state)
{
	(void)state;
	assert_true(leak_entropy(SPAN("aaaa")) < 0.01);
	assert_true(leak_entropy(SPAN("abab")) > 0.99 && leak_entropy(SPAN("abab")) < 1.01);
	assert_true(leak_entropy(SPAN("abcd")) > 1.99 && leak_entropy(SPAN("abcd")) < 2.01);
}

static void files_that_tools_write_are_passed_over(void **state)
{
	(void)state;
	assert_false(leak_wants(SPAN("a/package-lock.json")));
	assert_false(leak_wants(SPAN("b.PNG")));
	assert_true(leak_wants(SPAN(".npmrc")));
	assert_true(leak_wants(SPAN("src/main.c")));
	assert_false(leak_is_text(SPAN("\x7f"
				       "ELF\0\0")));
	assert_true(leak_is_text(SPAN("text")));
}

/* Nothing that comes out of a scan holds a secret, whichever rule finds it. */
static void no_finding_shows_its_secret(void **state)
{
	struct finding_list list;

	(void)state;
	for (size_t i = 0; i < checker_rule_count(checker); i++) {
		const struct check_rule *rule = checker_rule(checker, i);
		const struct node *bad = rule->bad;
		struct span text;

		if (rule->kind != CHECK_SECRET)
			continue;
		if (bad->kind == NODE_LIST)
			bad = node_first(bad);
		text = leak_example(&arena, node_text(bad), rule->id);
		list = scan_named("a.env", text);
		for (size_t k = 0; k < list.count; k++) {
			struct span message = list.at[k].message;
			size_t stars = span_find(message, SPAN("****"));

			/* After the prefix only the length follows. */
			assert_true(stars < message.len);
			assert_true(span_starts_with(span_slice(message, stars, message.len),
						     SPAN("**** (")));
			assert_true(list.at[k].subject.len == 0);
		}
	}
}

static void rules_of_the_user_count_too(void **state)
{
	static const char rule[] =
		"- id: mine\n  kind: secret\n  severity: low\n  what: mine\n"
		"  keywords: [acme_]\n  pattern: '\\bacme_([0-9a-f]{8})\\b'\n"
		"  bad: 'acme_{{hex:8}}'\n  good: 'acme_x'\n";
	struct checker *c = checker_new(NULL);
	struct err err = {0};

	(void)state;
	assert_non_null(c);
	assert_int_equal(checker_add_rules(c, SPAN("a"), span_cstr(rule), &err), 0);
	assert_int_equal(check_examples(c, checker_rule_count(c) - 1, &err), 0);
	checker_free(c);
}

static void broken_rules_are_refused_with_their_line(void **state)
{
	static const char *const rules[] = {
		"\n- {id: a, kind: secret, severity: low, what: a, pattern: a}",
		"\n- {id: a, kind: secret, severity: low, what: a, keywords: [ab]}",
		"\n- {id: a, kind: secret, severity: low, what: a, pattern: a, keywords: [a]}",
		"\n- {id: a, kind: secret, severity: low, what: a, pattern: a, keywords: [ab], "
		"entropy: 9.12}",
		"\n- {id: a, kind: secret, severity: low, what: a, pattern: a, keywords: [ab], "
		"verify: luck}",
		"\n- {id: a, kind: nothing, severity: low, what: a, jq: .}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rules); i++) {
		struct checker *c = checker_new(NULL);
		struct err err = {0};

		assert_non_null(c);
		assert_int_equal(checker_add_rules(c, SPAN("f"), span_cstr(rules[i]), &err),
				 -1);
		assert_int_equal(err.code, ERR_INVALID);
		assert_non_null(strstr(err.message, "line 2"));
		checker_free(c);
	}
}

static void a_pattern_that_does_not_compile_is_told(void **state)
{
	static const char rule[] = "- {id: mine, kind: secret, severity: low, what: a, "
				   "pattern: 'a(', keywords: [acme]}";
	const struct leak_text text = {.path = SPAN("x"), .text = SPAN("acme")};
	struct checker *c = checker_new(NULL);
	struct finding_list list;
	struct err err = {0};

	(void)state;
	assert_non_null(c);
	finding_list_init(&list, &arena);
	assert_int_equal(checker_add_rules(c, SPAN("a"), span_cstr(rule), &err), 0);
	assert_int_equal(check_secrets(c, &text, &list, &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(strstr(err.message, "rule mine"));
	checker_free(c);
}

/* An expression that would run for ever gives up; the other rules have their findings. */
static void a_rule_that_takes_too_long_is_told(void **state)
{
	static const char rule[] = "- {id: mine, kind: secret, severity: low, what: a, "
				   "pattern: '(?:a+)+!', keywords: [aaaaaaaaaaaa]}";
	struct leak_text text = {.path = SPAN("x")};
	struct checker *c = checker_new(NULL);
	struct finding_list list;
	struct err err = {0};

	(void)state;
	assert_non_null(c);
	finding_list_init(&list, &arena);
	text.text = made("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b!\n"
			 "sk_live_{{alnum:24}}\n");
	assert_int_equal(checker_add_rules(c, SPAN("a"), span_cstr(rule), &err), 0);
	assert_int_equal(check_secrets(c, &text, &list, &err), -1);
	assert_int_equal(err.code, ERR_LIMIT);
	assert_int_equal(list.count, 1);
	checker_free(c);
}

/* Whichever allocation fails: an error, or all that there is to find. */
static void memory_may_run_out_anywhere(void **state)
{
	const struct leak_text text = {.path = SPAN("x"),
				       .text = made("a=sk_live_{{alnum:24}}")};
	bool failed = true;

	(void)state;
	for (unsigned long n = 1; failed; n++) {
		struct checker *c = checker_new(NULL);
		struct finding_list list;
		struct arena own;
		struct err err = {0};
		int result;

		assert_non_null(c);
		arena_init(&own, 1 << 20, 4096);
		finding_list_init(&list, &own);
		mem_fail_at(n);
		result = check_secrets(c, &text, &list, &err);
		failed = mem_fail_happened();
		mem_fail_at(0);
		assert_true(result == 0 ? list.count == 1 : err.code != ERR_NONE);
		arena_release(&own);
		checker_free(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_are_eighty_kinds_at_least),
		cmocka_unit_test(a_secret_has_file_line_and_column_and_is_masked),
		cmocka_unit_test(a_specific_rule_takes_the_place_of_generic_ones),
		cmocka_unit_test(several_secrets_of_a_line_are_all_found),
		cmocka_unit_test(a_secret_far_behind_in_a_long_line_is_found),
		cmocka_unit_test(what_comments_allow_is_not_told),
		cmocka_unit_test(placeholders_are_no_secrets),
		cmocka_unit_test(a_wrong_checksum_is_no_token),
		cmocka_unit_test(the_checksum_is_crc32_in_base_62),
		cmocka_unit_test(entropy_is_bits_a_character),
		cmocka_unit_test(files_that_tools_write_are_passed_over),
		cmocka_unit_test(no_finding_shows_its_secret),
		cmocka_unit_test(rules_of_the_user_count_too),
		cmocka_unit_test(broken_rules_are_refused_with_their_line),
		cmocka_unit_test(a_pattern_that_does_not_compile_is_told),
		cmocka_unit_test(a_rule_that_takes_too_long_is_told),
		cmocka_unit_test(memory_may_run_out_anywhere),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
