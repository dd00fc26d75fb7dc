#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "contract/document.h"
#include "parse/json_write.h"

static struct document_set *new_set(const struct document_limits *limits)
{
	struct document_set *set = document_set_new(NULL, NULL, NULL, limits, NULL);

	assert_non_null(set);
	return set;
}

static void reads_as(const char *name, const char *text, const char *expected)
{
	struct document_set *set = new_set(NULL);
	struct err err = {.code = ERR_NONE};
	const struct document *document =
		document_load_text(set, span_cstr(name), span_cstr(text), &err);
	struct json_writer w;
	struct buf out;

	if (!document)
		fail_msg("%s", err.message);
	buf_init(&out, 1 << 16);
	json_writer_init(&w, &out);
	json_put_tree(&w, document->root);
	assert_string_equal(buf_cstr(&out), expected);
	buf_release(&out);
	document_set_free(set);
}

static void refused(const struct document_limits *limits, const char *text, enum err_code code,
		    const char *message)
{
	struct document_set *set = new_set(limits);
	struct err err = {.code = ERR_NONE};

	assert_null(document_load_text(set, SPAN("a.yaml"), span_cstr(text), &err));
	assert_string_equal(err.message, message);
	assert_int_equal(err.code, code);
	document_set_free(set);
}

static void yaml_scalars_have_the_types_of_the_core_schema(void **state)
{
	(void)state;
	reads_as("a.yaml",
		 "a: [1, +1, -0x, 0x1F, 0o17, 007, .5, 1., 1e3, -1.50, yes, on, true, ~, null,"
		 " 2020-01-02, 3.0.0, '1', \"true\", 1_000, -, +]\n",
		 "{\"a\":[1,1,\"-0x\",31,15,7,0.5,1,1e3,-1.50,\"yes\",\"on\",true,null,null,"
		 "\"2020-01-02\",\"3.0.0\",\"1\",\"true\",\"1_000\",\"-\",\"+\"]}");
	reads_as("a.yaml", "a:\n", "{\"a\":null}");
	reads_as("a.yaml", "!!str 12", "\"12\"");
	reads_as("a.yaml", "!!int '12'", "12");
}

static void yaml_keys_are_text(void **state)
{
	(void)state;
	reads_as("a.yaml", "200: ok\ntrue: x\n~: y\n",
		 "{\"200\":\"ok\",\"true\":\"x\",\"~\":\"y\"}");
}

static void yaml_aliases_and_merge_keys_are_written_out(void **state)
{
	(void)state;
	reads_as("a.yaml", "a: &x {b: 1, c: 2}\nd: *x\ne:\n  <<: *x\n  c: 3\n",
		 "{\"a\":{\"b\":1,\"c\":2},\"d\":{\"b\":1,\"c\":2},\"e\":{\"c\":3,\"b\":1}}");
	reads_as("a.yaml", "a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne: {<<: [*x, *y]}\n",
		 "{\"a\":{\"b\":1},\"c\":{\"b\":2,\"d\":3},\"e\":{\"b\":1,\"d\":3}}");
}

static void braces_are_json_or_else_yaml(void **state)
{
	(void)state;
	reads_as("a.yaml", "{\"a\": \"\\u00e9\\/\", \"b\": [1e5]}",
		 "{\"a\":\"\xc3\xa9/\",\"b\":[1e5]}");
	reads_as("a.yaml", "{a: b, c: [d]}", "{\"a\":\"b\",\"c\":[\"d\"]}");
	reads_as("a.json", "\xef\xbb\xbf[]", "[]");
}

static void problems_have_file_line_and_column(void **state)
{
	(void)state;
	refused(NULL, "a: 1\nb: 2\na: 3\n", ERR_INVALID,
		"a.yaml:3:1: key \"a\" is there twice");
	refused(NULL, "a: *b\n", ERR_INVALID,
		"a.yaml:1:4: an alias of something that is not there yet");
	refused(NULL, "a: &b\n  c: *b\n", ERR_INVALID,
		"a.yaml:2:6: an alias of something that is not there yet");
	refused(NULL, "a: .inf\n", ERR_INVALID,
		"a.yaml:1:4: JSON has no number \".inf\"; quote it if it is text");
	refused(NULL, "[a]: b\n", ERR_INVALID, "a.yaml:1:1: a key must be text");
	refused(NULL, "a: !foo b\n", ERR_INVALID, "a.yaml:1:4: unknown tag");
	refused(NULL, "a: 1\n---\nb: 1\n", ERR_INVALID,
		"a.yaml:2:1: a second document: only one is allowed");
	refused(NULL, "", ERR_SYNTAX, "a.yaml:1:1: the file is empty");
	refused(NULL, "<<: 1\n", ERR_INVALID, "a.yaml:1:1: \"<<\" takes objects only");
	refused(NULL, "{\n \"a\": 1,\n \"a\": 2}", ERR_INVALID,
		"a.yaml:3:2: key \"a\" is there twice");
	refused(NULL, "a: \"\xff\"\n", ERR_SYNTAX, "a.yaml:1:5: invalid leading UTF-8 octet");
}

static void broken_json_is_located(void **state)
{
	struct document_set *set = new_set(NULL);
	struct err err;

	(void)state;
	assert_null(document_load_text(set, SPAN("a.json"), SPAN("{\n \"a\": tru\n}"), &err));
	assert_string_equal(err.message, "a.json:2:10: unexpected character");
	document_set_free(set);
}

static void alias_bombs_and_deep_or_large_documents_are_refused(void **state)
{
	struct document_limits limits = DOCUMENT_LIMITS_DEFAULT;
	struct buf bomb;

	(void)state;
	buf_init(&bomb, 1 << 16);
	buf_append_cstr(&bomb, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 9; i++) {
		buf_printf(&bomb, "a%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++)
			buf_printf(&bomb, "%s*a%d", k ? "," : "", i - 1);
		buf_append_cstr(&bomb, "]\n");
	}
	refused(NULL, buf_cstr(&bomb), ERR_LIMIT,
		"a.yaml:7:34: more than 8000000 nodes with all aliases written out");
	buf_release(&bomb);
	limits.max_depth = 3;
	refused(&limits, "a: [[[1]]]\n", ERR_LIMIT,
		"a.yaml:1:6: nested more than 3 levels deep");
	refused(&limits, "a: &a [[1]]\nb: [*a]\n", ERR_LIMIT,
		"a.yaml:2:5: nested more than 3 levels deep");
	limits.max_file_bytes = 4;
	refused(&limits, "a: [1]\n", ERR_LIMIT, "'a.yaml' is larger than 4 bytes");
	limits = DOCUMENT_LIMITS_DEFAULT;
	limits.max_memory_bytes = 100;
	refused(&limits, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: [1, 2, 3]\n", ERR_LIMIT,
		"a.yaml: documents take more than 0 MiB: raise 'memory' of the contract");
}

static void every_node_has_a_place(void **state)
{
	struct document_set *set = new_set(NULL);
	const struct document *document = document_load_text(
		set, SPAN("x.yaml"), SPAN("a:\n  b: 1\n  c:\n    - d\n    - e: f\n"), NULL);
	struct document_place place;

	(void)state;
	assert_non_null(document);
	assert_true(
		document_place_of(set, json_pointer(document->root, SPAN("/a/c/1/e")), &place));
	assert_int_equal(place.line, 5);
	assert_int_equal(place.column, 7);
	assert_true(
		document_place_of(set, json_pointer(document->root, SPAN("/a/c/0")), &place));
	assert_int_equal(place.line, 4);
	assert_true(document_place_of(set, document->root, &place));
	assert_int_equal(place.line, 1);
	assert_ptr_equal(document_of(set, json_pointer(document->root, SPAN("/a/b"))),
			 document);
	assert_false(document_place_of(set, (const struct json *)(const void *)&place, &place));
	document_set_free(set);
}

/* ---- files ----------------------------------------------------------------------------------- */

static char folder[] = "/tmp/sallyport-document-XXXXXX";

static void put_file(const char *name, const char *text)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static int make_folder(void **state)
{
	char path[256];

	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/root", folder);
	if (mkdir(path, 0700) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/root/sub", folder);
	return mkdir(path, 0700);
}

static int remove_folder(void **state)
{
	static const char *const names[] = {"root/sub/b.yaml",
					    "root/a.yaml",
					    "root/link.yaml",
					    "secret.yaml",
					    "root/sub",
					    "root",
					    ""};
	char path[256];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		if (remove(path) < 0)
			return -1;
	}
	return 0;
}

static void references_cross_files_within_the_folder(void **state)
{
	char root[256], path[256];
	struct document_set *set;
	const struct document *a, *found;
	const struct json *node;
	struct err err;

	(void)state;
	put_file("root/a.yaml", "x: {a/b: 1}\n");
	put_file("root/sub/b.yaml", "y: {'c d': text}\n");
	put_file("secret.yaml", "secret: 1\n");
	snprintf(root, sizeof(root), "%s/secret.yaml", folder);
	snprintf(path, sizeof(path), "%s/root/link.yaml", folder);
	assert_int_equal(symlink(root, path), 0);
	snprintf(root, sizeof(root), "%s/root", folder);
	set = document_set_new(root, NULL, NULL, NULL, NULL);
	a = document_load(set, SPAN("./a.yaml"), NULL);
	assert_non_null(a);
	assert_ptr_equal(document_load(set, SPAN("sub/../a.yaml"), NULL), a);
	node = document_resolve(set, a, SPAN("#/x/a~1b"), NULL, NULL);
	assert_non_null(node);
	assert_int_equal(node->type, JSON_NUMBER);
	node = document_resolve(set, a, SPAN("sub/b.yaml#/y/c%20d"), &found, NULL);
	assert_true(json_is(node, SPAN("text")));
	assert_string_equal(found->name.ptr, "sub/b.yaml");
	node = document_resolve(set, found, SPAN("../a.yaml"), NULL, NULL);
	assert_ptr_equal(node, a->root);
	assert_int_equal(document_count(set), 2);
	assert_null(document_resolve(set, found, SPAN("../../secret.yaml"), NULL, &err));
	assert_int_equal(err.code, ERR_DENIED);
	assert_null(document_resolve(set, found, SPAN("..%2f..%2fsecret.yaml"), NULL, &err));
	assert_int_equal(err.code, ERR_DENIED);
	assert_null(document_resolve(set, a, SPAN("link.yaml"), NULL, &err));
	assert_int_equal(err.code, ERR_DENIED);
	assert_null(document_resolve(set, a, SPAN("/etc/passwd"), NULL, &err));
	assert_int_equal(err.code, ERR_DENIED);
	assert_null(document_resolve(set, a, SPAN("http://other.test/x"), NULL, &err));
	assert_int_equal(err.code, ERR_DENIED);
	assert_null(document_resolve(set, a, SPAN("none.yaml"), NULL, &err));
	assert_int_equal(err.code, ERR_IO);
	assert_null(document_resolve(set, a, SPAN("sub"), NULL, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_null(document_resolve(set, a, SPAN("#/nothing"), NULL, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	document_set_free(set);
}

static void a_document_is_found_by_the_name_it_gives_itself(void **state)
{
	struct document_set *set = new_set(NULL);
	const struct document *a = document_load_text(set, SPAN("a"), SPAN("x: 1\n"), NULL);
	const struct json *node;

	(void)state;
	assert_non_null(document_load_text(set, SPAN("b"),
					   SPAN("$self: https://b.test/api\ny: 2\n"), NULL));
	node = document_resolve(set, a, SPAN("https://b.test/api#/y"), NULL, NULL);
	assert_non_null(node);
	assert_true(span_eq(node->text, SPAN("2")));
	document_set_free(set);
}

static void failing_allocations_are_errors(void **state)
{
	static const char text[] = "a: &x [1, {b: c}]\nd: *x\ne: {<<: {g: h}, i: 'j'}\n";
	bool failed = true;

	(void)state;
	for (unsigned long n = 1; failed; n++) {
		struct document_set *set;
		const struct document *document = NULL;
		struct err err = {.code = ERR_NONE};

		mem_fail_at(n);
		set = document_set_new("folder", NULL, NULL, NULL, &err);
		if (set)
			document =
				document_load_text(set, SPAN("a.yaml"), span_cstr(text), &err);
		failed = mem_fail_happened();
		mem_fail_at(0);
		assert_true(document ? !failed : err.code == ERR_MEMORY);
		document_set_free(set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(yaml_scalars_have_the_types_of_the_core_schema),
		cmocka_unit_test(yaml_keys_are_text),
		cmocka_unit_test(yaml_aliases_and_merge_keys_are_written_out),
		cmocka_unit_test(braces_are_json_or_else_yaml),
		cmocka_unit_test(problems_have_file_line_and_column),
		cmocka_unit_test(broken_json_is_located),
		cmocka_unit_test(alias_bombs_and_deep_or_large_documents_are_refused),
		cmocka_unit_test(every_node_has_a_place),
		cmocka_unit_test_setup_teardown(references_cross_files_within_the_folder,
						make_folder, remove_folder),
		cmocka_unit_test(a_document_is_found_by_the_name_it_gives_itself),
		cmocka_unit_test(failing_allocations_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
