#include "contract/document_tree.h"

struct json_reader {
	struct tree_builder *b;
	struct json_tokens tokens;
	struct span text;
	/* How far lines have been counted. */
	size_t counted;
	size_t line_start;
	uint32_t line;
};

static struct tree_place place_at(struct json_reader *r, uint64_t offset)
{
	size_t to = offset < r->text.len ? (size_t)offset : r->text.len;

	while (r->counted < to) {
		const char *at = r->text.ptr + r->counted;
		const char *newline = memchr(at, '\n', to - r->counted);

		if (!newline) {
			r->counted = to;
			break;
		}
		r->counted = (size_t)(newline - r->text.ptr) + 1;
		r->line_start = r->counted;
		r->line++;
	}
	return (struct tree_place){r->line, (uint32_t)(to - r->line_start) + 1};
}

/* Text that was assembled in the tokenizer's scratch is copied; ptr NULL: no memory. */
static struct span keep(struct json_reader *r, struct span s)
{
	if (s.ptr >= r->text.ptr && s.ptr < r->text.ptr + r->text.len)
		return s;
	return arena_dup(r->b->arena, s);
}

static int add_scalar(struct json_reader *r, enum json_token token, struct tree_place place)
{
	struct json value = {.type = JSON_NULL};

	if (token == JSON_TOKEN_STRING || token == JSON_TOKEN_NUMBER) {
		value.type = token == JSON_TOKEN_STRING ? JSON_STRING : JSON_NUMBER;
		value.text = keep(r, r->tokens.text);
		if (!value.text.ptr)
			return tree_no_memory(r->b, place);
	} else if (token != JSON_TOKEN_NULL) {
		value.type = JSON_BOOL;
		value.boolean = token == JSON_TOKEN_TRUE;
	}
	return tree_value(r->b, &value, place, 1, 0);
}

static int add_key(struct json_reader *r, struct tree_place place)
{
	struct span key = keep(r, r->tokens.text);

	if (!key.ptr)
		return tree_no_memory(r->b, place);
	return tree_key(r->b, key, place, false);
}

static int fail(struct json_reader *r)
{
	enum json_error error = r->tokens.error;
	enum err_code code = ERR_SYNTAX;

	if (error == JSON_ERROR_MEMORY)
		code = ERR_MEMORY;
	else if (error == JSON_ERROR_DEPTH || error == JSON_ERROR_STRING_LONG ||
		 error == JSON_ERROR_NUMBER_LONG)
		code = ERR_LIMIT;
	return tree_error(r->b, place_at(r, r->tokens.error_offset), code, "%s",
			  json_error_text(error));
}

/* 1: go on; 0: the end; -1: failed. */
static int step(struct json_reader *r)
{
	enum json_token token = json_tokens_next(&r->tokens);
	struct tree_place place;
	int result = -1;

	if (token == JSON_TOKEN_MORE) {
		json_tokens_finish(&r->tokens);
		return 1;
	}
	if (token == JSON_TOKEN_END)
		return 0;
	if (token == JSON_TOKEN_ERROR)
		return fail(r);
	place = place_at(r, r->tokens.token_offset);
	switch (token) {
	case JSON_TOKEN_OBJECT_BEGIN:
	case JSON_TOKEN_ARRAY_BEGIN:
		result = tree_open(r->b, token == JSON_TOKEN_OBJECT_BEGIN, place, SPAN_NONE);
		break;
	case JSON_TOKEN_OBJECT_END:
	case JSON_TOKEN_ARRAY_END: result = tree_close(r->b) ? 0 : -1; break;
	case JSON_TOKEN_KEY: result = add_key(r, place); break;
	case JSON_TOKEN_STRING:
	case JSON_TOKEN_NUMBER:
	case JSON_TOKEN_TRUE:
	case JSON_TOKEN_FALSE:
	case JSON_TOKEN_NULL: result = add_scalar(r, token, place); break;
	case JSON_TOKEN_MORE:
	case JSON_TOKEN_END:
	case JSON_TOKEN_ERROR: break;
	}
	return result < 0 ? -1 : 1;
}

const struct json *document_read_json(struct tree_builder *b, struct span text)
{
	unsigned depth =
		b->limits->max_depth < JSON_DEPTH_MAX ? b->limits->max_depth : JSON_DEPTH_MAX;
	struct json_limits limits = {.max_depth = depth,
				     .max_string_bytes = b->limits->max_file_bytes,
				     .max_number_bytes = 4096};
	struct json_reader r = {.b = b, .text = text, .line = 1};
	struct buf scratch;
	int result;

	buf_init(&scratch, b->limits->max_file_bytes + 4096);
	json_tokens_init(&r.tokens, &limits, &scratch);
	json_tokens_feed(&r.tokens, text);
	do
		result = step(&r);
	while (result > 0);
	json_tokens_release(&r.tokens);
	buf_release(&scratch);
	return result < 0 ? NULL : tree_finish(b);
}
