#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "registry/protocol.h"

#define SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void expect_target(const char *path, enum registry_kind kind, const char *package,
			  const char *file)
{
	struct registry_target target;
	struct arena arena;

	arena_init(&arena, 65536, 4096);
	assert_int_equal(registry_pypi.read_target(&arena, span_cstr(path), &target), 0);
	if (target.kind != kind)
		fail_msg("%s: %d", path, (int)target.kind);
	if (package)
		assert_true(span_eq(target.package, span_cstr(package)));
	if (file)
		assert_true(span_eq(target.file, span_cstr(file)));
	arena_release(&arena);
}

static void each_path_asks_for_what_it_says_and_all_else_is_unknown(void **state)
{
	(void)state;
	expect_target("/simple/left/", REGISTRY_INDEX, "left", NULL);
	expect_target("/simple/Left__Pad.x/", REGISTRY_INDEX, "left-pad-x", NULL);
	expect_target("/files/left/left-1.0.tar.gz", REGISTRY_FILE, "left", "left-1.0.tar.gz");
	expect_target("/files/left/left-1!1.0+x-py3-none-any.whl", REGISTRY_FILE, "left",
		      "left-1!1.0+x-py3-none-any.whl");
	expect_target("", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/simple/", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/simple/-left/", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/simple/left./", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/simple/le%20ft/", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/simple/left/more", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/other/left/", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/files/left/", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/files/left/../x", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/files/left/.x", REGISTRY_UNKNOWN, NULL, NULL);
	expect_target("/files/left/a\"b.whl", REGISTRY_UNKNOWN, NULL, NULL);
}

/* The version that the file counts as; NULL: it is left out. */
static void expect_version(const char *file, const char *version)
{
	struct registry_index index;
	struct arena arena;
	struct span text;
	struct err err;

	arena_init(&arena, 1 << 20, 4096);
	text = arena_printf(&arena,
			    "{\"name\":\"Left_Pad\",\"files\":[{\"filename\":\"%s\",\"url\":"
			    "\"https://files.test/x\",\"hashes\":{\"sha256\":\"" SHA256
			    "\"}}]}",
			    file);
	assert_int_equal(registry_pypi.read_index(&arena, SPAN("left-pad"), text, &index, &err),
			 0);
	if (index.file_count != (version ? 1 : 0) || index.count != index.file_count)
		fail_msg("%s: %zu files", file, index.file_count);
	if (version && !span_eq(index.releases[0].version, span_cstr(version)))
		fail_msg("%s: %.*s", file, SPAN_ARG(index.releases[0].version));
	arena_release(&arena);
}

static void a_file_counts_as_the_version_in_its_name(void **state)
{
	(void)state;
	expect_version("left_pad-1.0-py3-none-any.whl", "1.0");
	expect_version("Left.Pad-1!2.0+x-1-cp311-abi3-linux_x86_64.whl", "1!2.0+x");
	expect_version("left_pad-1.0.tar.gz", "1.0");
	expect_version("left-pad-1.0rc1.zip", "1.0rc1");
	expect_version("left-pad-1.0.tar.bz2", "1.0");
}

static void a_file_that_does_not_tell_its_version_is_left_out(void **state)
{
	(void)state;
	expect_version("left_pad-1.0.whl", NULL);
	expect_version("left_pad--py3-none-any.whl", NULL);
	expect_version("left_pad-.tar.gz", NULL);
	expect_version("left_pad-1.0.exe", NULL);
	expect_version("left_pad.tar.gz", NULL);
	expect_version("right_pad-1.0.tar.gz", NULL);
	expect_version("../left_pad-1.0.tar.gz", NULL);
	expect_version("", NULL);
}

static void what_is_no_index_of_the_package_is_an_error(void **state)
{
	static const struct {
		const char *text;
		enum err_code code;
	} cases[] = {
		{"<!DOCTYPE html><a href=x>x</a>", ERR_SYNTAX},
		{"", ERR_SYNTAX},
		{"[]", ERR_INVALID},
		{"{\"files\":[]}", ERR_INVALID},
		{"{\"name\":\"-\",\"files\":[]}", ERR_INVALID},
		{"{\"name\":\"b\",\"files\":[]}", ERR_INVALID},
		{"{\"name\":\"a\"}", ERR_INVALID},
		{"{\"name\":\"a\",\"files\":{}}", ERR_INVALID},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct registry_index index;
		struct arena arena;
		struct err err = {.code = ERR_NONE};

		arena_init(&arena, 1 << 20, 4096);
		assert_int_equal(registry_pypi.read_index(&arena, SPAN("a"),
							  span_cstr(cases[i].text), &index,
							  &err),
				 -1);
		assert_int_equal(err.code, cases[i].code);
		arena_release(&arena);
	}
}

static const char index_text[] =
	"{\"name\":\"a\",\"files\":["
	"{\"filename\":\"a-1.0.tar.gz\",\"url\":\"https://files.test/1\","
	"\"hashes\":{\"sha256\":\"" SHA256 "\"},\"yanked\":\"<b>\"},"
	"{\"filename\":\"a-1.1.tar.gz\",\"url\":\"https://files.test/2\","
	"\"hashes\":{\"sha256\":\"" SHA256 "\"},\"requires-python\":\">=3\"}]}";

static void expect_written(bool brief, const char *has)
{
	static const struct judgement second_refused[2] = {{.refused = false},
							   {.refused = true}};
	const struct registry_view view = {.judgements = second_refused,
					   .base = SPAN("https://gate.test/pypi"),
					   .brief = brief};
	struct registry_index index;
	struct arena arena;
	struct err err;
	struct buf out;

	arena_init(&arena, 1 << 20, 4096);
	buf_init(&out, 65536);
	assert_int_equal(registry_pypi.read_index(&arena, SPAN("a"), span_cstr(index_text),
						  &index, &err),
			 0);
	registry_pypi.write_index(&index, &view, &out);
	buf_append_byte(&out, '\0');
	assert_false(buf_failed(&out));
	assert_non_null(strstr(buf_span(&out).ptr, has));
	assert_null(strstr(buf_span(&out).ptr, "1.1.tar.gz"));
	assert_null(strstr(buf_span(&out).ptr, "files.test"));
	buf_release(&out);
	arena_release(&arena);
}

static void both_forms_leave_out_what_is_refused_and_lead_to_us(void **state)
{
	(void)state;
	expect_written(true, "\"https://gate.test/pypi/files/a/a-1.0.tar.gz\"");
	expect_written(false,
		       "\"https://gate.test/pypi/files/a/a-1.0.tar.gz#sha256=" SHA256 "\"");
	expect_written(false, "data-yanked=\"&lt;b&gt;\"");
}

static void without_memory_reading_and_writing_fail(void **state)
{
	static const struct judgement none[2] = {{.refused = false}};
	bool failed = true;

	(void)state;
	for (unsigned long n = 1; failed; n++) {
		const struct registry_view view = {
			.judgements = none, .base = SPAN("https://gate.test"), .brief = n % 2};
		struct registry_index index;
		struct arena arena;
		struct err err = {.code = ERR_NONE};
		struct buf out;

		arena_init(&arena, 1 << 20, 64);
		buf_init(&out, 65536);
		mem_fail_at(n);
		if (registry_pypi.read_index(&arena, SPAN("a"), span_cstr(index_text), &index,
					     &err) == 0) {
			registry_pypi.write_index(&index, &view, &out);
			failed = mem_fail_happened();
			assert_true(!failed || buf_failed(&out));
		} else {
			failed = mem_fail_happened();
			assert_int_equal(err.code, ERR_MEMORY);
		}
		mem_fail_at(0);
		buf_release(&out);
		arena_release(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_path_asks_for_what_it_says_and_all_else_is_unknown),
		cmocka_unit_test(a_file_counts_as_the_version_in_its_name),
		cmocka_unit_test(a_file_that_does_not_tell_its_version_is_left_out),
		cmocka_unit_test(what_is_no_index_of_the_package_is_an_error),
		cmocka_unit_test(both_forms_leave_out_what_is_refused_and_lead_to_us),
		cmocka_unit_test(without_memory_reading_and_writing_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
