#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "parse/json.h"
#include "parse/json_write.h"

static int make_arena(void **state)
{
	static struct arena a;

	arena_init(&a, 1 << 20, 4096);
	*state = &a;
	return 0;
}

static int drop_arena(void **state)
{
	arena_release(*state);
	return 0;
}

static void values_are_found(void **state)
{
	const struct json *root = json_parse(
		*state,
		SPAN("{\"s\":\"te\\u0078t\",\"i\":-42,\"d\":2.5,\"e\":1e2,\"t\":true,\"n\":"
		     "null,"
		     "\"a\":[10,{\"x/y\":\"slash\",\"~\":\"tilde\"}],\"\":1,\"o\":{}}"),
		NULL, NULL);
	struct span s;
	int64_t i;
	double d;
	bool b;

	assert_non_null(root);
	assert_true(json_string(json_get(root, SPAN("s")), &s) && span_eq(s, SPAN("text")));
	assert_true(json_is(json_get(root, SPAN("s")), SPAN("text")));
	assert_true(json_int(json_get(root, SPAN("i")), &i) && i == -42);
	assert_true(json_double(json_get(root, SPAN("d")), &d) && d == 2.5);
	assert_false(json_int(json_get(root, SPAN("e")), &i));
	assert_true(json_double(json_get(root, SPAN("e")), &d) && d == 100);
	assert_true(json_bool(json_get(root, SPAN("t")), &b) && b);
	assert_int_equal(json_get(root, SPAN("n"))->type, JSON_NULL);
	assert_int_equal(json_get(root, SPAN("o"))->object.count, 0);
	assert_null(json_get(root, SPAN("absent")));
	assert_null(json_get(json_get(root, SPAN("absent")), SPAN("x")));
	assert_null(json_get(json_get(root, SPAN("s")), SPAN("x")));
	assert_false(json_string(json_get(root, SPAN("i")), &s));
	assert_null(json_at(json_get(root, SPAN("a")), 2));
	assert_true(json_int(json_at(json_get(root, SPAN("a")), 0), &i) && i == 10);
}

static void pointers_go_down(void **state)
{
	const struct json *root = json_parse(
		*state,
		SPAN("{\"a\":[10,{\"x/y\":\"slash\",\"~\":\"tilde\",\"~1\":0}],\"\":1}"), NULL,
		NULL);

	assert_ptr_equal(json_pointer(root, SPAN("")), root);
	assert_true(json_is(json_pointer(root, SPAN("/a/1/x~1y")), SPAN("slash")));
	assert_true(json_is(json_pointer(root, SPAN("/a/1/~0")), SPAN("tilde")));
	assert_int_equal(json_pointer(root, SPAN("/a/1/~01"))->type, JSON_NUMBER);
	assert_int_equal(json_pointer(root, SPAN("/"))->type, JSON_NUMBER);
	assert_null(json_pointer(root, SPAN("a")));
	assert_null(json_pointer(root, SPAN("/a/2")));
	assert_null(json_pointer(root, SPAN("/a/01")));
	assert_null(json_pointer(root, SPAN("/a/-")));
	assert_null(json_pointer(root, SPAN("/a/0/b")));
	assert_null(json_pointer(root, SPAN("/a/1/~2")));
	assert_null(json_pointer(root, SPAN("/a/1/~")));
}

static void problems_have_line_and_column(void **state)
{
	struct json_problem p;
	struct err err;

	assert_null(
		json_parse_problem(*state, SPAN("{\n  \"a\": 1,\n  \"b\": x\n}"), NULL, &p));
	assert_int_equal(p.error, JSON_ERROR_SYNTAX);
	assert_int_equal(p.line, 3);
	assert_int_equal(p.column, 8);
	assert_null(json_parse(*state, SPAN("[1,"), NULL, &err));
	assert_int_equal(err.code, ERR_SYNTAX);
	assert_string_equal(err.message, "line 1, column 4: the text ends too early");
	assert_null(
		json_parse(*state, SPAN("[[[1]]]"), &(struct json_limits){2, 10, 10, 0}, &err));
	assert_int_equal(err.code, ERR_LIMIT);
}

static void duplicate_keys_are_refused_in_small_and_large_objects(void **state)
{
	struct buf text;

	for (int count = 1; count < 40; count++) {
		buf_init(&text, 10000);
		buf_append_byte(&text, '{');
		for (int i = 0; i < count; i++)
			buf_printf(&text, "\"k%d\":{\"k0\":%d},", i, i);
		buf_printf(&text, "\"last\":[{}]}");
		assert_non_null(json_parse(*state, buf_span(&text), NULL, NULL));
		text.len -= 1;
		buf_printf(&text, ",\"k\\u00%02x\":0}", '0' + count % 10);
		/* k0 to k9 exist once count is high enough; others are new. */
		if (count % 10 < count)
			assert_null(json_parse(*state, buf_span(&text), NULL, NULL));
		else
			assert_non_null(json_parse(*state, buf_span(&text), NULL, NULL));
		buf_release(&text);
		arena_reset(*state);
	}
}

static void integers_do_not_overflow(void **state)
{
	const struct json *root = json_parse(*state,
					     SPAN("[9223372036854775807,9223372036854775808,-"
						  "9223372036854775808,1e400,1.0]"),
					     NULL, NULL);
	int64_t i;
	double d;

	assert_true(json_int(json_at(root, 0), &i) && i == INT64_MAX);
	assert_false(json_int(json_at(root, 1), &i));
	assert_true(json_int(json_at(root, 2), &i) && i == INT64_MIN);
	assert_false(json_double(json_at(root, 3), &d));
	assert_false(json_int(json_at(root, 4), &i));
}

static void a_tree_written_and_read_again_is_the_same(void **state)
{
	static const struct span texts[] = {
		SPAN_INIT("{\"a\":[1,2.50,{\"b\":null}],\"c\":\"x\\n\\\"\\u0001\",\"d\":true,"
			  "\"e\":[]}"),
		SPAN_INIT("[[],{},\"\",[[1]],false]"),
		SPAN_INIT("\"\xf0\x9f\x98\x80\""),
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct buf out;
		struct json_writer w;

		buf_init(&out, 1000);
		json_writer_init(&w, &out);
		json_put_tree(&w, json_parse(*state, texts[i], NULL, NULL));
		assert_true(span_eq(buf_span(&out), texts[i]));
		buf_release(&out);
	}
}

static void the_writer_sets_the_commas(void **state)
{
	struct buf out;
	struct json_writer w;

	(void)state;
	buf_init(&out, 1000);
	json_writer_init(&w, &out);
	json_begin_object(&w);
	json_member_string(&w, SPAN("s"), SPAN("a\"b"));
	json_member_int(&w, SPAN("i"), -1);
	json_member_bool(&w, SPAN("b"), false);
	json_key(&w, SPAN("a"));
	json_begin_array(&w);
	json_put_uint(&w, UINT64_MAX);
	json_put_double(&w, 0.1);
	json_put_double(&w, 1.0 / 0.0);
	json_put_null(&w);
	json_begin_object(&w);
	json_end_object(&w);
	json_put_raw(&w, SPAN("{\"x\":1}"));
	json_end_array(&w);
	json_end_object(&w);
	assert_false(buf_failed(&out));
	assert_true(span_eq(
		buf_span(&out),
		SPAN("{\"s\":\"a\\\"b\",\"i\":-1,\"b\":false,\"a\":[18446744073709551615,0.1,"
		     "null,null,{},{\"x\":1}]}")));
	buf_release(&out);
}

/* Text that needs no escapes takes another way than text that does: both fill a buffer to its end. */
static void text_is_written_whole_or_fails(void **state)
{
	static const struct span texts[] = {SPAN_INIT("plain"), SPAN_INIT("a\nb"),
					    SPAN_INIT("")};
	static const char *const written[] = {"{\"k\":\"plain\"}", "{\"k\":\"a\\nb\"}",
					      "{\"k\":\"\"}"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		size_t len = strlen(written[i]);

		for (size_t max = 1; max <= len; max++) {
			struct json_writer w;
			struct buf out;

			buf_init(&out, max);
			json_writer_init(&w, &out);
			json_begin_object(&w);
			json_member_string(&w, SPAN("k"), texts[i]);
			json_end_object(&w);
			assert_int_equal(buf_failed(&out), max < len);
			if (max == len)
				assert_true(span_eq(buf_span(&out), span_cstr(written[i])));
			buf_release(&out);
		}
	}
}

static void keys_are_escaped(void **state)
{
	struct json_writer w;
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	json_writer_init(&w, &out);
	json_begin_object(&w);
	json_member_int(&w, SPAN("a\"b"), 1);
	json_member_int(&w, SPAN("\xff"), 2);
	json_end_object(&w);
	assert_true(span_eq(buf_span(&out), SPAN("{\"a\\\"b\":1,\"\xEF\xBF\xBD\":2}")));
	buf_release(&out);
}

static void failing_allocations_are_an_error(void **state)
{
	struct buf text;
	bool failed = true;

	(void)state;
	buf_init(&text, 10000);
	buf_append_byte(&text, '[');
	for (int i = 0; i < 60; i++)
		buf_printf(&text, "{\"\\u0061%d\":[%d]},", i, i);
	buf_append_byte(&text, '{');
	for (int i = 0; i < 30; i++)
		buf_printf(&text, "%s\"k%d\":[]", i ? "," : "", i);
	buf_printf(&text, "}]");
	for (unsigned long n = 1; failed && n < 500; n++) {
		struct arena a;
		struct err err = {0};
		const struct json *root;

		arena_init(&a, 1 << 20, 256);
		mem_fail_at(n);
		root = json_parse(&a, buf_span(&text), NULL, &err);
		failed = mem_fail_happened();
		mem_fail_at(0);
		assert_true((root == NULL) == failed);
		if (failed)
			assert_int_equal(err.code, ERR_MEMORY);
		arena_release(&a);
	}
	assert_false(failed);
	buf_release(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(values_are_found, make_arena, drop_arena),
		cmocka_unit_test_setup_teardown(pointers_go_down, make_arena, drop_arena),
		cmocka_unit_test_setup_teardown(problems_have_line_and_column, make_arena,
						drop_arena),
		cmocka_unit_test_setup_teardown(
			duplicate_keys_are_refused_in_small_and_large_objects, make_arena,
			drop_arena),
		cmocka_unit_test_setup_teardown(integers_do_not_overflow, make_arena,
						drop_arena),
		cmocka_unit_test_setup_teardown(a_tree_written_and_read_again_is_the_same,
						make_arena, drop_arena),
		cmocka_unit_test(the_writer_sets_the_commas),
		cmocka_unit_test(text_is_written_whole_or_fails),
		cmocka_unit_test(keys_are_escaped),
		cmocka_unit_test(failing_allocations_are_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
