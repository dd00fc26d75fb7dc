/*
 * What an editor sends, as a stream; after an "initialize" of ours when the first byte is odd. All
 * that is answered are whole messages of JSON, and time goes on in jumps.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "parse/json.h"
#include "supply/lsp.h"
#include "supply/lsp_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libjq 1.6 loses some small texts when an expression fails. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libjq.so";
}

static void look(struct buf *out)
{
	struct span rest = buf_span(out), content;
	struct arena arena;
	size_t taken;

	arena_init(&arena, (size_t)64 << 20, 4096);
	while (rest.len) {
		assert(lsp_frame(rest, (size_t)64 << 20, &content, &taken) ==
		       LSP_FRAME_MESSAGE);
		assert(json_parse(&arena, content, NULL, NULL));
		rest = span_slice(rest, taken, rest.len);
	}
	buf_clear(out);
	arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct checker *checker;
	struct lsp_options options = {.version = SPAN("1"),
				      .max_message_bytes = 1 << 16,
				      .max_text_bytes = 2048,
				      .max_documents = 4,
				      .debounce_ms = 100};
	struct span rest = span_of(data + 1, size ? size - 1 : 0), content;
	struct lsp_server *server;
	int64_t now_ms = 0;
	size_t taken;

	if (size < 1 || size > 16384)
		return 0;
	if (!checker)
		checker = checker_new(NULL);
	options.checker = checker;
	server = lsp_server_new(&options);
	assert(checker && server);
	if (data[0] & 1)
		assert(lsp_server_take(
			       server,
			       SPAN("{\"id\":1,\"method\":\"initialize\",\"params\":{}}"), 0,
			       NULL) == 0);
	while (lsp_server_exit(server) < 0 &&
	       lsp_frame(rest, options.max_message_bytes, &content, &taken) ==
		       LSP_FRAME_MESSAGE) {
		lsp_server_cancel(server, content);
		assert(lsp_server_take(server, content, now_ms, NULL) == 0);
		look(lsp_server_output(server));
		now_ms += 60;
		(void)lsp_server_tick(server, now_ms);
		look(lsp_server_output(server));
		rest = span_slice(rest, taken, rest.len);
	}
	lsp_server_free(server);
	return 0;
}
