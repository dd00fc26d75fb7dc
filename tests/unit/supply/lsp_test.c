#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "supply/db_build.h"
#include "supply/db_input.h"
#include "supply/lsp.h"
#include "supply/lsp_text.h"

static char path[64];
static struct advisory_db *db;
static struct checker *checker;
static struct lsp_server *server;

static const char record[] =
	"{\"id\":\"GHSA-1\",\"summary\":\"one\",\"severity\":[{\"type\":\"CVSS_V3\",\"score\":"
	"\"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\"}],\"affected\":[{\"package\":"
	"{\"ecosystem\":\"npm\",\"name\":\"a\"},\"ranges\":[{\"type\":\"SEMVER\",\"events\":"
	"[{\"introduced\":\"0\"},{\"fixed\":\"1.2.4\"}]}]},{\"package\":{\"ecosystem\":\"Go\","
	"\"name\":\"example.test/m\"},\"ranges\":[{\"type\":\"SEMVER\",\"events\":"
	"[{\"introduced\":\"0\"},{\"fixed\":\"1.2.4\"}]}]},{\"package\":{\"ecosystem\":"
	"\"PyPI\","
	"\"name\":\"p\"},\"ranges\":[{\"type\":\"ECOSYSTEM\",\"events\":"
	"[{\"introduced\":\"0\"},{\"fixed\":\"2.0\"}]}]}]}";

static int make_database(void)
{
	struct db_input_counts counts = {0};
	struct db_builder *b = db_builder_new();
	struct db_input in;
	int result;

	if (!b)
		return -1;
	db_input_init(&in, b, &DB_INPUT_LIMITS_DEFAULT, &counts);
	result = db_input_feed(&in, span_cstr(record), NULL);
	if (result == 0)
		result = db_input_finish(&in, NULL);
	db_input_release(&in);
	if (result == 0)
		result = db_builder_write(b, path, NULL);
	db_builder_free(b);
	return result;
}

static int set_up_all(void **state)
{
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "/tmp/sallyport-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	(void)close(fd);
	if (make_database() < 0)
		return -1;
	db = advisory_db_open(path, NULL);
	checker = checker_new(NULL);
	return db && checker ? 0 : -1;
}

static int tear_down_all(void **state)
{
	(void)state;
	advisory_db_close(db);
	checker_free(checker);
	return unlink(path);
}

static int set_up(void **state)
{
	const struct lsp_options options = {.db = db,
					    .checker = checker,
					    .version = SPAN("1"),
					    .max_message_bytes = 1 << 20,
					    .max_text_bytes = 4096,
					    .max_documents = 2,
					    .debounce_ms = 100};

	(void)state;
	server = lsp_server_new(&options);
	return server ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	lsp_server_free(server);
	return 0;
}

static char *take(const char *message, int64_t now_ms)
{
	struct buf *out = lsp_server_output(server);
	struct err err = {0};
	const char *text;

	buf_clear(out);
	if (lsp_server_take(server, span_cstr(message), now_ms, &err) < 0)
		fail_msg("%s", err.message);
	text = buf_cstr(out);
	return (char *)(uintptr_t)(text ? text : "");
}

static const char *tick(int64_t now_ms)
{
	struct buf *out = lsp_server_output(server);
	const char *text;

	buf_clear(out);
	(void)lsp_server_tick(server, now_ms);
	text = buf_cstr(out);
	return text ? text : "";
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no %s in: %s", part, text);
}

static void initialize(const char *encodings)
{
	char message[300];

	snprintf(message, sizeof(message),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":"
		 "{\"capabilities\":{\"general\":{\"positionEncodings\":[%s]}}}}",
		 encodings);
	has(take(message, 0), "\"capabilities\"");
}

#define OPEN(name, text)                                                                       \
	"{\"jsonrpc\":\"2.0\",\"method\":\"textDocument/didOpen\",\"params\":"                 \
	"{\"textDocument\":{\"uri\":\"file:///w/" name                                         \
	"\",\"languageId\":\"x\",\"version\":1,"                                               \
	"\"text\":\"" text "\"}}}"
#define AT(method, name, more)                                                                 \
	"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"textDocument/" method "\",\"params\":"     \
	"{\"textDocument\":{\"uri\":\"file:///w/" name "\"}," more "}}"

static void messages_are_found_in_a_stream(void **state)
{
	struct span content;
	size_t taken;

	(void)state;
	assert_int_equal(
		lsp_frame(SPAN("Content-Length: 2\r\n\r\n{}Con"), 10, &content, &taken),
		LSP_FRAME_MESSAGE);
	assert_true(span_eq(content, SPAN("{}")));
	assert_int_equal(taken, 23);
	assert_int_equal(lsp_frame(SPAN("Content-Type: a\r\ncontent-length:0\r\n\r\n"), 10,
				   &content, &taken),
			 LSP_FRAME_MESSAGE);
	assert_int_equal(lsp_frame(SPAN("Content-Length: 2\r\n\r\n{"), 10, &content, &taken),
			 LSP_FRAME_MORE);
	assert_int_equal(lsp_frame(SPAN("Content-Length: 2\r\n"), 10, &content, &taken),
			 LSP_FRAME_MORE);
	assert_int_equal(lsp_frame(SPAN("Content-Length: 11\r\n\r\n{"), 10, &content, &taken),
			 LSP_FRAME_LARGE);
	assert_int_equal(lsp_frame(SPAN("Content-Length: x\r\n\r\n{"), 10, &content, &taken),
			 LSP_FRAME_BAD);
	assert_int_equal(lsp_frame(SPAN("A: 1\r\n\r\n{"), 10, &content, &taken), LSP_FRAME_BAD);
}

static void places_count_in_either_encoding(void **state)
{
	/* e-acute has two bytes, the second character of the second line four. */
	static const struct span text = SPAN_INIT("a\r\n\xc3\xa9\xf0\x9f\x98\x80x\nend");
	struct lsp_position at;

	(void)state;
	at = lsp_position(text, 9, false);
	assert_int_equal(at.line, 1);
	assert_int_equal(at.character, 3);
	at = lsp_position(text, 9, true);
	assert_int_equal(at.character, 6);
	assert_int_equal(lsp_offset(text, (struct lsp_position){1, 3}, false), 9);
	assert_int_equal(lsp_offset(text, (struct lsp_position){1, 6}, true), 9);
	/* Behind the ends. */
	assert_int_equal(lsp_offset(text, (struct lsp_position){0, 99}, false), 1);
	assert_int_equal(lsp_offset(text, (struct lsp_position){9, 0}, false), text.len);
}

/* The index of lines and the plain search tell the same, wherever lines end. */
static void lines_are_found_by_their_index(void **state)
{
	static const struct span texts[] = {
		SPAN_INIT(""),	   SPAN_INIT("a"),
		SPAN_INIT("\n"),   SPAN_INIT("a\r\n\r\rb\n\xc3\xa9x"),
		SPAN_INIT("\r\n"), SPAN_INIT("a\nb\r")};
	struct lsp_lines lines;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 16, 1024);
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		assert_true(lsp_lines_make(&lines, &arena, texts[i]));
		for (size_t at = 0; at <= texts[i].len + 1; at++) {
			struct lsp_position a = lsp_position(texts[i], at, false);
			struct lsp_position b = lsp_lines_position(&lines, texts[i], at, false);

			assert_int_equal(a.line, b.line);
			assert_int_equal(a.character, b.character);
		}
	}
	arena_release(&arena);
}

static void nothing_is_answered_before_initialize(void **state)
{
	(void)state;
	has(take("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"shutdown\"}", 0), "-32002");
	assert_string_equal(take(OPEN("package.json", "{}"), 0), "");
	assert_string_equal(tick(1000), "");
	initialize("");
	has(take("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"initialize\"}", 0), "-32600");
}

static void the_encoding_is_negotiated(void **state)
{
	(void)state;
	has(take("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{"
		 "\"capabilities"
		 "\":{\"general\":{\"positionEncodings\":[\"utf-32\",\"utf-8\"]}}}}",
		 0),
	    "\"positionEncoding\":\"utf-8\"");
}

static void without_a_choice_the_encoding_is_utf16(void **state)
{
	(void)state;
	has(take("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{}}", 0),
	    "\"positionEncoding\":\"utf-16\"");
}

static void a_manifest_has_diagnostics_hover_and_a_fix(void **state)
{
	const char *told;

	(void)state;
	initialize("");
	take(OPEN("package.json",
		  "{\\n \\\"dependencies\\\": {\\n  \\\"a\\\": \\\"^1.2.3\\\"}}"),
	     0);
	told = tick(0);
	has(told, "\"version\":1");
	has(told, "\"start\":{\"line\":2,\"character\":2}");
	has(told, "\"severity\":1");
	has(told, "\"code\":\"GHSA-1\"");
	has(take(AT("hover", "package.json", "\"position\":{\"line\":2,\"character\":0}"), 1),
	    "fixed in 1.2.4");
	has(take(AT("hover", "package.json", "\"position\":{\"line\":0,\"character\":0}"), 1),
	    "\"result\":null");
	told = take(AT("codeAction", "package.json",
		       "\"range\":{\"start\":{\"line\":2,\"character\":0},\"end\":{\"line\":2,"
		       "\"character\":0}},\"context\":{\"diagnostics\":[]}"),
		    1);
	has(told, "\"newText\":\"1.2.4\"");
	has(told,
	    "\"start\":{\"line\":2,\"character\":9},\"end\":{\"line\":2,\"character\":14}");
	told = take(AT("codeAction", "package.json",
		       "\"range\":{\"start\":{\"line\":2,\"character\":0},\"end\":{\"line\":2,"
		       "\"character\":0}},\"context\":{\"only\":[\"refactor\"]}"),
		    1);
	has(told, "\"result\":[]");
}

/* Each with its own way to write versions; the fix is written in the same. */
static void lock_files_and_manifests_of_all_kinds_have_a_fix(void **state)
{
	static const struct {
		const char *open;
		const char *action;
		const char *fixed;
	} cases[] = {
#define RANGE                                                                                  \
	"\"range\":{\"start\":{\"line\":0,\"character\":0},\"end\":{\"line\":20,"              \
	"\"character\":0}},\"context\":{}"
		{OPEN("go.mod", "module x\\ngo 1.20\\nrequire example.test/m v1.2.3\\n"),
		 AT("codeAction", "go.mod", RANGE), "\"newText\":\"1.2.4\""},
		{OPEN("requirements.txt", "p==1.5\\n"),
		 AT("codeAction", "requirements.txt", RANGE), "\"newText\":\"2.0\""},
		{OPEN("pyproject.toml",
		      "[project]\\ndependencies = [\\n\\\"p>=1.5,<3\\\",\\n]\\n"),
		 AT("codeAction", "pyproject.toml", RANGE), "\"newText\":\"2.0\""},
		{OPEN("package-lock.json",
		      "{\\\"lockfileVersion\\\":3,\\\"packages\\\":{\\\"\\\":{},\\n"
		      "\\\"node_modules/a\\\":{\\n\\\"version\\\":\\\"1.2.3\\\"}}}"),
		 AT("codeAction", "package-lock.json", RANGE), "\"newText\":\"1.2.4\""},
	};

	(void)state;
	initialize("");
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		take(cases[i].open, 0);
		has(take(cases[i].action, 0), cases[i].fixed);
		take("{\"jsonrpc\":\"2.0\",\"method\":\"textDocument/didClose\",\"params\":{}}",
		     0);
		tear_down(NULL);
		set_up(NULL);
		initialize("");
	}
}

#define CHANGE(changes)                                                                        \
	"{\"jsonrpc\":\"2.0\",\"method\":\"textDocument/"                                      \
	"didChange\",\"params\":{\"textDocument\":"                                            \
	"{\"uri\":\"file:///w/Dockerfile\",\"version\":2},\"contentChanges\":[" changes "]}}"

static void changes_wait_until_typing_rests(void **state)
{
	(void)state;
	initialize("");
	take(OPEN("Dockerfile", "FROM a:1\\nRUN id\\nUSER a\\n"), 0);
	assert_null(strstr(tick(0), "dockerfile-sudo"));
	take(CHANGE("{\"range\":{\"start\":{\"line\":1,\"character\":4},\"end\":{\"line\":1,"
		    "\"character\":6}},\"text\":\"sudo\"},{\"range\":{\"start\":{\"line\":1,"
		    "\"character\":8},\"end\":{\"line\":1,\"character\":8}},\"text\":\" id\"}"),
	     1000);
	assert_string_equal(tick(1050), "");
	assert_int_equal(lsp_server_tick(server, 1050), 1100);
	has(tick(1100), "dockerfile-sudo");
	take(CHANGE("{\"text\":\"FROM a:1\\nUSER a\\n\"}"), 2000);
	assert_null(strstr(tick(3000), "dockerfile-sudo"));
}

static void saving_publishes_at_once_and_closing_clears(void **state)
{
	(void)state;
	initialize("");
	take(OPEN("Dockerfile", "FROM a:1\\nUSER a\\n"), 0);
	tick(0);
	take(CHANGE("{\"text\":\"FROM a:1\\nRUN sudo id\\n\"}"), 1000);
	take("{\"jsonrpc\":\"2.0\",\"method\":\"textDocument/didSave\",\"params\":"
	     "{\"textDocument\":{\"uri\":\"file:///w/Dockerfile\"}}}",
	     1001);
	has(tick(1001), "dockerfile-sudo");
	has(take("{\"jsonrpc\":\"2.0\",\"method\":\"textDocument/didClose\",\"params\":"
		 "{\"textDocument\":{\"uri\":\"file:///w/Dockerfile\"}}}",
		 1002),
	    "\"diagnostics\":[]");
	has(take(AT("hover", "Dockerfile", "\"position\":{\"line\":0,\"character\":0}"), 1003),
	    "-32602");
}

static void a_secret_is_told_where_it_is_and_masked(void **state)
{
	struct arena arena;
	struct span text;
	const char *told;

	(void)state;
	arena_init(&arena, 1 << 16, 4096);
	initialize("");
	text = leak_example(&arena, SPAN(OPEN("a.env", "A=1\\nK=sk_live_{{alnum:24}}\\n")),
			    SPAN("seed"));
	take(text.ptr, 0);
	told = tick(0);
	has(told,
	    "\"start\":{\"line\":1,\"character\":2},\"end\":{\"line\":1,\"character\":34}");
	has(told, "sk_live_****");
	arena_release(&arena);
}

static void requests_that_were_taken_back_are_answered_so(void **state)
{
	(void)state;
	initialize("");
	lsp_server_cancel(server, SPAN("{\"jsonrpc\":\"2.0\",\"method\":\"$/cancelRequest\","
				       "\"params\":{\"id\":7}}"));
	has(take(AT("hover", "x", "\"position\":{}"), 0), "-32800");
	has(take(AT("hover", "x", "\"position\":{}"), 0), "-32602");
}

static void what_is_no_message_is_answered_with_an_error(void **state)
{
	(void)state;
	initialize("");
	has(take("{", 0), "-32700");
	has(take("[]", 0), "-32600");
	has(take("{\"id\":{},\"method\":\"a\"}", 0), "-32600");
	has(take("{\"id\":\"x\",\"method\":\"no/such\"}", 0), "\"id\":\"x\",\"error\"");
	assert_string_equal(take("{\"method\":\"$/unknown\"}", 0), "");
	assert_string_equal(
		take("{\"method\":\"textDocument/didOpen\",\"params\":{\"textDocument\":"
		     "{\"uri\":1}}}",
		     0),
		"");
	assert_string_equal(take("{\"method\":\"textDocument/didChange\",\"params\":1}", 0),
			    "");
}

static void too_large_and_too_many_documents_are_said(void **state)
{
	char message[8192];
	size_t n;

	(void)state;
	initialize("");
	n = (size_t)snprintf(message, sizeof(message), "%s", OPEN("Dockerfile", "@"));
	assert_true(n < 1000);
	/* The text is longer than the limit of these tests. */
	{
		char *at = strchr(message, '@');
		size_t rest = strlen(at + 1);

		assert_non_null(at);
		memmove(at + 5000, at + 1, rest + 1);
		memset(at, 'a', 5000);
	}
	take(message, 0);
	has(tick(0), "too large");
	take(OPEN("b", "x"), 0);
	has(take(OPEN("c", "x"), 0), "too many documents");
}

static void exit_tells_whether_it_was_announced(void **state)
{
	(void)state;
	initialize("");
	has(take("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"shutdown\"}", 0),
	    "\"result\":null");
	has(take(AT("hover", "x", "\"position\":{}"), 0), "-32600");
	assert_int_equal(lsp_server_exit(server), -1);
	take("{\"jsonrpc\":\"2.0\",\"method\":\"exit\"}", 0);
	assert_int_equal(lsp_server_exit(server), 0);
	tear_down(NULL);
	set_up(NULL);
	take("{\"jsonrpc\":\"2.0\",\"method\":\"exit\"}", 0);
	assert_int_equal(lsp_server_exit(server), 1);
}

/* Whichever allocation fails: it goes on or says so, and answers the next request. */
static void memory_may_run_out_anywhere(void **state)
{
	bool failed = true;

	(void)state;
	for (unsigned long n = 1; failed; n++) {
		struct span open =
			SPAN(OPEN("package.json", "{\\n \\\"dependencies\\\": {"
						  "\\n  \\\"a\\\": \\\"^1.2.3\\\"}}"));
		struct err err = {0};

		tear_down(NULL);
		assert_int_equal(set_up(NULL), 0);
		initialize("");
		mem_fail_at(n);
		if (lsp_server_take(server, open, 0, &err) == 0)
			(void)lsp_server_tick(server, 0);
		failed = mem_fail_happened();
		mem_fail_at(0);
		has(take("{\"id\":9,\"method\":\"shutdown\"}", 0), "\"id\":9");
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(messages_are_found_in_a_stream),
		CASE(places_count_in_either_encoding),
		CASE(lines_are_found_by_their_index),
		CASE(nothing_is_answered_before_initialize),
		CASE(the_encoding_is_negotiated),
		CASE(without_a_choice_the_encoding_is_utf16),
		CASE(a_manifest_has_diagnostics_hover_and_a_fix),
		CASE(lock_files_and_manifests_of_all_kinds_have_a_fix),
		CASE(changes_wait_until_typing_rests),
		CASE(saving_publishes_at_once_and_closing_clears),
		CASE(a_secret_is_told_where_it_is_and_masked),
		CASE(requests_that_were_taken_back_are_answered_so),
		CASE(what_is_no_message_is_answered_with_an_error),
		CASE(too_large_and_too_many_documents_are_said),
		CASE(exit_tells_whether_it_was_announced),
		CASE(memory_may_run_out_anywhere),
	};

	return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
