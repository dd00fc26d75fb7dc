/* tree_test.c - places, sharing, and documents that are made to hurt. */
#include "config/tree.h"

#include "support.h"

static struct tree_node *parse(const char *text, struct arena *arena,
			       struct config_problems *problems)
{
	struct config_source source = fake_source(NULL);

	arena_init(arena, (size_t)64 << 20, 16384);
	return tree_parse(span_cstr(text), "a.yaml", &source, arena, problems);
}

static void refuses(const char *text, const char *why)
{
	struct config_problems problems = {0};
	struct arena arena;

	assert_null(parse(text, &arena, &problems));
	assert_int_equal(problems.errors, 1);
	assert_string_equal(problems.at[0].message, why);
	arena_release(&arena);
}

static void nodes_know_where_they_are(void **state)
{
	struct config_problems problems = {0};
	struct arena arena;
	struct tree_node *root = parse("# first\n"
				       "a: 1\n"
				       "b:\n"
				       "  - \"x\"\n"
				       "  - {c: ~}\n",
				       &arena, &problems);
	const struct tree_node *b;

	(void)state;
	assert_non_null(root);
	assert_int_equal(root->kind, TREE_MAP);
	assert_int_equal(root->count, 2);
	assert_int_equal(root->pairs[1].where.line, 3);
	assert_int_equal(root->pairs[1].where.column, 1);
	assert_null(tree_get(root, "c"));
	assert_span(tree_get(root, "a")->text, "1");
	assert_false(tree_get(root, "a")->quoted);
	b = tree_get(root, "b");
	assert_int_equal(b->kind, TREE_LIST);
	assert_true(b->items[0]->quoted);
	assert_int_equal(b->items[0]->where.line, 4);
	assert_int_equal(b->items[0]->where.column, 5);
	assert_true(tree_is_null(tree_get(b->items[1], "c")));
	assert_string_equal(b->items[1]->where.file, "a.yaml");
	arena_release(&arena);
}

static void aliases_share_their_node(void **state)
{
	struct config_problems problems = {0};
	struct arena arena;
	struct tree_node *root =
		parse("a: &x {b: 1}\nc: *x\nd: &x 2\ne: *x\n", &arena, &problems);

	(void)state;
	assert_non_null(root);
	assert_ptr_equal(tree_get(root, "a"), tree_get(root, "c"));
	assert_span(tree_get(root, "e")->text, "2");
	arena_release(&arena);
}

static void what_comes_from_the_environment_is_marked(void **state)
{
	struct config_problems problems = {0};
	struct arena arena;
	struct tree_node *root =
		parse("a: ${NAME}\nb: ${NONE:-x}\nc: $${x}\nd: ${EMPTY}\n", &arena, &problems);

	(void)state;
	assert_non_null(root);
	assert_true(tree_get(root, "a")->tainted);
	assert_false(tree_get(root, "b")->tainted);
	assert_false(tree_get(root, "c")->tainted);
	assert_int_equal(tree_get(root, "d")->text.len, 0);
	arena_release(&arena);
}

static void a_billion_laughs_are_refused(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 16);
	buf_append_cstr(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
	for (unsigned i = 1; i < 10; i++) {
		buf_printf(&text, "a%u: &a%u [", i, i);
		for (unsigned j = 0; j < 10; j++)
			buf_printf(&text, "%s*a%u", j > 0 ? ", " : "", i - 1);
		buf_append_cstr(&text, "]\n");
	}
	refuses(buf_cstr(&text), "the document is too large with its aliases written out");
	buf_release(&text);
}

static void deep_nesting_is_refused(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 16);
	for (unsigned i = 0; i < 2000; i++)
		buf_append_byte(&text, '[');
	refuses(buf_cstr(&text), "nested too deeply");
	buf_clear(&text);
	for (unsigned i = 0; i < 500; i++)
		buf_append_cstr(&text, "{a: ");
	refuses(buf_cstr(&text), "nested too deeply");
	buf_release(&text);
}

static void too_much_is_refused(void **state)
{
	struct buf text;

	(void)state;
	buf_init(&text, TREE_BYTES_MAX + 16);
	assert_int_equal(buf_reserve(&text, TREE_BYTES_MAX + 1), 0);
	memset(text.ptr, ' ', TREE_BYTES_MAX + 1);
	text.len = TREE_BYTES_MAX + 1;
	refuses(buf_cstr(&text), "the file is larger than 8 MiB");
	buf_release(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_know_where_they_are),
		cmocka_unit_test(aliases_share_their_node),
		cmocka_unit_test(what_comes_from_the_environment_is_marked),
		cmocka_unit_test(a_billion_laughs_are_refused),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(too_much_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
