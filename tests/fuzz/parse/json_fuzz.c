/*
 * The first byte says how the rest is cut. However it is cut, the tokens are the same; the tree
 * and the tokenizer agree on what is well-formed; a tree that is written and read again gives the
 * same text.
 */
#include <assert.h>

#include "base/mem.h"
#include "parse/json.h"
#include "parse/json_write.h"
#include "parse/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct json_limits limits = {
	.max_depth = 40, .max_string_bytes = 300, .max_number_bytes = 30};

/* What came, as bytes; returns the error. Each piece is a copy of its own. */
static enum json_error trace(struct buf *to, struct span text, size_t piece_size,
			     size_t max_open_keys)
{
	struct json_limits used = limits;
	struct json_tokens t;
	struct buf scratch;
	char *piece = NULL;
	size_t at = 0;
	enum json_token token;

	used.max_open_keys = max_open_keys;
	buf_init(&scratch, 300);
	json_tokens_init(&t, &used, &scratch);
	for (;;) {
		token = json_tokens_next(&t);
		if (token == JSON_TOKEN_MORE && at == text.len) {
			json_tokens_finish(&t);
		} else if (token == JSON_TOKEN_MORE) {
			struct span cut = span_slice(text, at, at + piece_size);

			mem_free(piece);
			piece = mem_alloc(cut.len);
			assert(piece);
			memcpy(piece, cut.ptr, cut.len);
			json_tokens_feed(&t, span_of(piece, cut.len));
			at += cut.len;
		} else if (token < JSON_TOKEN_OBJECT_BEGIN) {
			break;
		} else {
			buf_printf(to, "%d@%llu:", (int)token,
				   (unsigned long long)t.token_offset);
			if (token >= JSON_TOKEN_KEY && token <= JSON_TOKEN_NUMBER) {
				assert(utf8_valid(t.text) && t.text.len <= 300);
				buf_append(to, t.text);
			}
		}
	}
	if (token == JSON_TOKEN_ERROR) {
		assert(t.error != JSON_OK && t.error_offset <= text.len);
		buf_printf(to, "!%d@%llu", (int)t.error, (unsigned long long)t.error_offset);
	} else {
		assert(json_tokens_done(&t) && t.depth == 0);
	}
	json_tokens_release(&t);
	buf_release(&scratch);
	mem_free(piece);
	return token == JSON_TOKEN_ERROR ? t.error : JSON_OK;
}

static void write_tree(struct buf *to, const struct json *root)
{
	struct json_writer w;

	json_writer_init(&w, to);
	json_put_tree(&w, root);
	assert(!buf_failed(to));
}

static void check_tree(struct span text, enum json_error error)
{
	struct json_problem problem;
	struct buf once, twice;
	struct arena a;
	const struct json *root;

	arena_init(&a, (size_t)64 << 20, 4096);
	root = json_parse_problem(&a, text, &limits, &problem);
	assert(problem.error == error);
	assert((root != NULL) == (error == JSON_OK));
	if (root) {
		const struct json_limits wide = {
			.max_depth = 40, .max_string_bytes = 3000, .max_number_bytes = 30};

		buf_init(&once, (size_t)64 << 20);
		buf_init(&twice, (size_t)64 << 20);
		write_tree(&once, root);
		root = json_parse_problem(&a, buf_span(&once), &wide, &problem);
		assert(root);
		write_tree(&twice, root);
		assert(span_eq(buf_span(&once), buf_span(&twice)));
		buf_release(&once);
		buf_release(&twice);
	} else {
		assert(problem.line >= 1 && problem.column >= 1);
	}
	arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text;
	struct buf whole, cut;
	enum json_error error;

	if (size < 1 || size > 4096)
		return 0;
	text = span_of(data + 1, size - 1);
	buf_init(&whole, (size_t)4 << 20);
	buf_init(&cut, (size_t)4 << 20);
	trace(&whole, text, SIZE_MAX / 2, 0);
	trace(&cut, text, 1 + data[0] % 32, 0);
	assert(span_eq(buf_span(&whole), buf_span(&cut)));
	buf_clear(&cut);
	error = trace(&cut, text, 1 + data[0] / 8, 10000);
	check_tree(text, error);
	buf_release(&whole);
	buf_release(&cut);
	return 0;
}
