#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "parse/json_token.h"

/* Writes the tokens as text, cutting the input as told; ends with the error, if any. */
static void trace(struct buf *to, struct span text, const struct json_limits *limits,
		  const size_t *cuts, size_t cut_count)
{
	static const char *const names[] = {
		[JSON_TOKEN_OBJECT_BEGIN] = "{", [JSON_TOKEN_OBJECT_END] = "}",
		[JSON_TOKEN_ARRAY_BEGIN] = "[",	 [JSON_TOKEN_ARRAY_END] = "]",
		[JSON_TOKEN_KEY] = "K",		 [JSON_TOKEN_STRING] = "S",
		[JSON_TOKEN_NUMBER] = "N",	 [JSON_TOKEN_TRUE] = "T",
		[JSON_TOKEN_FALSE] = "F",	 [JSON_TOKEN_NULL] = "0",
	};
	struct json_tokens t;
	struct buf scratch;
	size_t from = 0;
	size_t part = 0;
	char *piece = NULL;

	buf_init(&scratch, 1 << 20);
	json_tokens_init(&t, limits, &scratch);
	for (;;) {
		enum json_token token = json_tokens_next(&t);

		if (token == JSON_TOKEN_MORE && part <= cut_count) {
			size_t until = part < cut_count ? cuts[part] : text.len;

			/* A heap copy, so that ASan sees a read past the piece or after its use. */
			mem_free(piece);
			piece = mem_alloc(until - from);
			assert_non_null(piece);
			if (until > from)
				memcpy(piece, text.ptr + from, until - from);
			json_tokens_feed(&t, span_of(piece, until - from));
			from = until;
			part++;
			continue;
		}
		if (token == JSON_TOKEN_MORE) {
			json_tokens_finish(&t);
			continue;
		}
		if (token == JSON_TOKEN_END)
			break;
		if (token == JSON_TOKEN_ERROR) {
			assert_int_equal(json_tokens_next(&t), JSON_TOKEN_ERROR);
			buf_printf(to, "!%s@%llu", json_error_text(t.error),
				   (unsigned long long)t.error_offset);
			break;
		}
		buf_printf(to, "%s%llu", names[token], (unsigned long long)t.token_offset);
		if (token == JSON_TOKEN_KEY || token == JSON_TOKEN_STRING ||
		    token == JSON_TOKEN_NUMBER) {
			buf_append_byte(to, '(');
			buf_append(to, t.text);
			buf_append_byte(to, ')');
		}
		buf_append_byte(to, ' ');
	}
	json_tokens_release(&t);
	buf_release(&scratch);
	mem_free(piece);
}

static const struct json_limits limits = {
	.max_depth = 8, .max_string_bytes = 64, .max_number_bytes = 20, .max_open_keys = 30};

static void expect_trace(const char *text, const char *wanted)
{
	struct buf got;

	buf_init(&got, 1 << 20);
	trace(&got, span_cstr(text), &limits, NULL, 0);
	if (!span_eq(buf_span(&got), span_cstr(wanted)))
		fail_msg("%s\n  gave  %.*s\n  not   %s", text, SPAN_ARG(buf_span(&got)),
			 wanted);
	buf_release(&got);
}

static void tokens_come_with_text_and_offset(void **state)
{
	(void)state;
	expect_trace("{}", "{0 }1 ");
	expect_trace(" [ ] ", "[1 ]3 ");
	expect_trace("{\"a\":[1,-2.5e+3,true,false,null,\"x\"]}",
		     "{0 K1(a) [5 N6(1) N8(-2.5e+3) T16 F21 0"
		     "27 S32(x) ]35 }36 ");
	expect_trace("\"\\u00e9\\n\\/\\ud83d\\ude00\"", "S0(\xc3\xa9\n/\xf0\x9f\x98\x80) ");
	expect_trace("0", "N0(0) ");
	expect_trace("-0", "N0(-0) ");
	expect_trace("\t\"\"\n", "S1() ");
}

static const char *const bad_texts[][2] = {
	{"", "!the text ends too early@0"},
	{" ", "!the text ends too early@1"},
	{"\xef\xbb\xbf{}", "!unexpected character@0"},
	{"[1,]", "[0 N1(1) !unexpected character@3"},
	{"[,1]", "[0 !unexpected character@1"},
	{"[1 2]", "[0 N1(1) !unexpected character@3"},
	{"{\"a\" 1}", "{0 K1(a) !unexpected character@5"},
	{"{\"a\":1,}", "{0 K1(a) N5(1) !unexpected character@7"},
	{"{a:1}", "{0 !unexpected character@1"},
	{"{\"a\":}", "{0 K1(a) !unexpected character@5"},
	{"{1:2}", "{0 !unexpected character@1"},
	{"[1}", "[0 N1(1) !unexpected character@2"},
	{"]", "!unexpected character@0"},
	{"{}{}", "{0 }1 !unexpected character@2"},
	{"1 2", "N0(1) !unexpected character@2"},
	{"tru", "!the text ends too early@3"},
	{"trux", "!unexpected character@3"},
	{"truex", "T0 !unexpected character@4"},
	{"NaN", "!unexpected character@0"},
	{"Infinity", "!unexpected character@0"},
	{"'a'", "!unexpected character@0"},
	{"// x", "!unexpected character@0"},
	{"01", "!malformed number@1"},
	{"-01", "!malformed number@2"},
	{"-", "!malformed number@1"},
	{"+1", "!unexpected character@0"},
	{".5", "!unexpected character@0"},
	{"1.", "!malformed number@2"},
	{"[1.]", "[0 !malformed number@3"},
	{"1.e1", "!malformed number@2"},
	{"1e", "!malformed number@2"},
	{"1e+", "!malformed number@3"},
	{"1e5.2", "!malformed number@3"},
	{"1-2", "!malformed number@1"},
	{"--1", "!malformed number@1"},
	{"0x1", "N0(0) !unexpected character@1"},
	{"123456789012345678901", "!number too long@0"},
	{"\"abc", "!the text ends too early@4"},
	{"\"a\tb\"", "!control character in a string@2"},
	{"\"a\\", "!the text ends too early@3"},
	{"\"\\x\"", "!invalid escape@2"},
	{"\"\\u12g4\"", "!invalid escape@5"},
	{"\"\\u12", "!the text ends too early@5"},
	{"\"\\ud800\"", "!half of a surrogate pair@7"},
	{"\"\\ud800x\"", "!half of a surrogate pair@7"},
	{"\"\\ud800\\n\"", "!half of a surrogate pair@8"},
	{"\"\\ud800\\ud800\"", "!half of a surrogate pair@13"},
	{"\"\\udc00\"", "!half of a surrogate pair@7"},
	{"\"a\xff\"", "!invalid UTF-8 in a string@0"},
	{"\"\xc3\\u00a9\"", "!invalid UTF-8 in a string@0"},
	{"\"\xed\xa0\x80\"", "!invalid UTF-8 in a string@0"},
	{"[[[[[[[[[1]]]]]]]]]", "[0 [1 [2 [3 [4 [5 [6 [7 !nested too deep@8"},
	{"\"12345678901234567890123456789012345678901234567890123456789012345\"",
	 "!string too long@0"},
	{"{\"a\":1,\"\\u0061\":2}", "{0 K1(a) N5(1) K7(a) N16(2) !duplicate key@17"},
	{"{\"a\":{\"a\":1},\"b\":2,\"b\":3}",
	 "{0 K1(a) {5 K6(a) N10(1) }11 K13(b) N17(2) K19(b) N23(3) !duplicate key@24"},
};

static void bad_texts_are_refused_with_the_place(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad_texts); i++)
		expect_trace(bad_texts[i][0], bad_texts[i][1]);
}

static void nul_bytes_are_no_end(void **state)
{
	struct buf got;

	(void)state;
	buf_init(&got, 1000);
	trace(&got, SPAN("1\0"), &limits, NULL, 0);
	assert_true(span_eq(buf_span(&got), SPAN("N0(1) !unexpected character@1")));
	buf_clear(&got);
	trace(&got, SPAN("\"\\u0000\""), &limits, NULL, 0);
	assert_true(span_eq(buf_span(&got), SPAN("S0(\0) ")));
	buf_release(&got);
}

static void expect_same_however_cut(struct span text)
{
	struct buf whole, cut;
	size_t every[512];

	buf_init(&whole, 1 << 20);
	buf_init(&cut, 1 << 20);
	trace(&whole, text, &limits, NULL, 0);
	for (size_t i = 0; i <= text.len; i++) {
		for (size_t k = i; k <= text.len; k++) {
			size_t two[2] = {i, k};

			buf_clear(&cut);
			trace(&cut, text, &limits, two, 2);
			if (!span_eq(buf_span(&whole), buf_span(&cut)))
				fail_msg("%.*s cut at %zu and %zu gives %.*s", SPAN_ARG(text),
					 i, k, SPAN_ARG(buf_span(&cut)));
		}
	}
	for (size_t i = 0; i < text.len; i++)
		every[i] = i;
	buf_clear(&cut);
	trace(&cut, text, &limits, every, text.len);
	assert_true(span_eq(buf_span(&whole), buf_span(&cut)));
	buf_release(&whole);
	buf_release(&cut);
}

static void every_cut_gives_the_same_tokens(void **state)
{
	static const char *const good[] = {
		" { \"key\" : [ 1 , -2.5e+3 , true , false , null ] , \"x\" : { } } ",
		("{\"esc\\u00e9\\ud83d\\ude00\\n\\\\\":\"\xc3\xa9 \xf0\x9f\x98\x80 text\"}"),
		"[\"a string of more than sixteen bytes \xe2\x82\xac\",\"\\\"\",0.0,-0,1E5]",
		"\"\"",
		"123.5e-7",
		"true",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		expect_same_however_cut(span_cstr(good[i]));
	for (size_t i = 0; i < COUNT_OF(bad_texts); i++)
		expect_same_however_cut(span_cstr(bad_texts[i][0]));
}

static void strings_in_one_piece_are_not_copied(void **state)
{
	struct span text = SPAN("[\"zero copy\",42,\"a\\nb\"]");
	struct json_tokens t;
	struct buf scratch;

	(void)state;
	buf_init(&scratch, 100);
	json_tokens_init(&t, &limits, &scratch);
	json_tokens_feed(&t, text);
	assert_int_equal(json_tokens_next(&t), JSON_TOKEN_ARRAY_BEGIN);
	assert_int_equal(json_tokens_next(&t), JSON_TOKEN_STRING);
	assert_ptr_equal(t.text.ptr, text.ptr + 2);
	assert_int_equal(json_tokens_next(&t), JSON_TOKEN_NUMBER);
	assert_ptr_equal(t.text.ptr, text.ptr + 13);
	assert_int_equal(json_tokens_next(&t), JSON_TOKEN_STRING);
	assert_ptr_equal(t.text.ptr, scratch.ptr);
	assert_false(json_tokens_done(&t));
	assert_int_equal(json_tokens_next(&t), JSON_TOKEN_ARRAY_END);
	assert_true(json_tokens_done(&t));
	json_tokens_release(&t);
	buf_release(&scratch);
}

static void every_byte_ends_a_plain_run_rightly(void **state)
{
	(void)state;
	for (unsigned byte = 0; byte < 256; byte++) {
		for (size_t at = 0; at < 40; at++) {
			char text[48];
			bool high = false;
			bool special = byte < 0x20 || byte == '"' || byte == '\\';

			memset(text, 'x', sizeof(text));
			text[at] = (char)byte;
			assert_int_equal(json_plain_length(span_of(text, 47), &high),
					 special ? at : 47);
			assert_true(high == (byte >= 0x80));
		}
	}
}

static void open_keys_are_limited(void **state)
{
	struct json_limits few = limits;
	struct json_tokens t;
	struct buf text, scratch;
	enum json_token token;

	(void)state;
	few.max_open_keys = 10;
	buf_init(&text, 1 << 20);
	buf_init(&scratch, 100);
	buf_append_byte(&text, '{');
	for (int i = 0; i < 2000; i++)
		buf_printf(&text, "%s\"k%d\":0", i ? "," : "", i);
	json_tokens_init(&t, &few, &scratch);
	json_tokens_feed(&t, buf_span(&text));
	while ((token = json_tokens_next(&t)) >= JSON_TOKEN_OBJECT_BEGIN)
		;
	assert_int_equal(token, JSON_TOKEN_ERROR);
	assert_int_equal(t.error, JSON_ERROR_MANY_KEYS);
	json_tokens_release(&t);
	buf_release(&scratch);
	buf_release(&text);
}

static void failing_allocations_are_an_error(void **state)
{
	struct span text = SPAN("{\"a\\n\":\"b\\n\",\"c\":1}");

	(void)state;
	for (unsigned long n = 1; n < 50; n++) {
		struct json_tokens t;
		struct buf scratch;
		enum json_token token;
		bool failed;

		buf_init(&scratch, 100);
		json_tokens_init(&t, &limits, &scratch);
		json_tokens_feed(&t, text);
		mem_fail_at(n);
		while ((token = json_tokens_next(&t)) >= JSON_TOKEN_OBJECT_BEGIN)
			;
		failed = mem_fail_happened();
		mem_fail_at(0);
		if (failed) {
			assert_int_equal(token, JSON_TOKEN_ERROR);
			assert_int_equal(t.error, JSON_ERROR_MEMORY);
		} else {
			assert_int_equal(token, JSON_TOKEN_MORE);
		}
		json_tokens_release(&t);
		buf_release(&scratch);
		if (!failed)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_come_with_text_and_offset),
		cmocka_unit_test(bad_texts_are_refused_with_the_place),
		cmocka_unit_test(nul_bytes_are_no_end),
		cmocka_unit_test(every_cut_gives_the_same_tokens),
		cmocka_unit_test(strings_in_one_piece_are_not_copied),
		cmocka_unit_test(every_byte_ends_a_plain_run_rightly),
		cmocka_unit_test(open_keys_are_limited),
		cmocka_unit_test(failing_allocations_are_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
