/* body_json.c - scalars of JSON bodies, under the names that libmodsecurity gives them. */
#include "base/buf.h"
#include "parse/json_token.h"
#include "waf/body_internal.h"

/* The longest name of an argument. */
#define NAME_BYTES_MAX ((size_t)64 << 10)

struct level {
	size_t prefix; /* bytes of the path up to "." or ".array_" */
	size_t items; /* of an array, so far */
	bool is_array;
};

struct reader {
	struct arena *arena;
	struct span body;
	const struct body_limits *limits;
	struct body_pairs *pairs;
	struct body_error *error;
	struct json_tokens tokens;
	struct buf scratch;
	struct buf path;
	struct level levels[JSON_DEPTH_MAX];
	unsigned depth;
	size_t arguments;
};

/*
 * Puts what comes next behind the path of the innermost container: the number of the item, or the
 * key as it is in the path already.
 */
static void put_place(struct reader *r)
{
	const struct level *l;

	if (r->depth == 0) {
		buf_clear(&r->path);
		buf_append_cstr(&r->path, "json");
		return;
	}
	l = &r->levels[r->depth - 1];
	if (!l->is_array)
		return;
	r->path.len = l->prefix;
	buf_append_u64(&r->path, l->items);
}

static void put_key(struct reader *r, struct span key)
{
	r->path.len = r->levels[r->depth - 1].prefix;
	if (key.len == 0)
		key = SPAN("empty-key");
	buf_append(&r->path, key);
}

static void open_level(struct reader *r, bool is_array)
{
	put_place(r);
	buf_append_cstr(&r->path, is_array ? ".array_" : ".");
	r->levels[r->depth++] = (struct level){.prefix = r->path.len, .is_array = is_array};
}

/* After a scalar or a container: the array around it has one more. */
static void count_item(struct reader *r)
{
	if (r->depth > 0 && r->levels[r->depth - 1].is_array)
		r->levels[r->depth - 1].items++;
}

/* 1 for the next token, 0 when the limit is reached, -1 when memory is. */
static int add_argument(struct reader *r, struct span value)
{
	struct span name;

	if (r->arguments++ >= r->limits->max_arguments) {
		r->error->arguments_exceeded = true;
		return body_fail(r->arena, r->error,
				 "JSON parsing error: more than %zu arguments",
				 r->limits->max_arguments);
	}
	put_place(r);
	if (buf_failed(&r->path)) {
		buf_clear(&r->path);
		return body_fail(r->arena, r->error, "JSON parsing error: a name is too long");
	}
	name = arena_dup(r->arena, buf_span(&r->path));
	/* The tokenizer's own copies do not last. */
	if (value.ptr < r->body.ptr || value.ptr > r->body.ptr + r->body.len)
		value = arena_dup(r->arena, value);
	if (!name.ptr || !value.ptr || body_pairs_add(r->pairs, r->arena, name, value) < 0)
		return -1;
	count_item(r);
	return 1;
}

static int take(struct reader *r, enum json_token token)
{
	switch (token) {
	case JSON_TOKEN_OBJECT_BEGIN: open_level(r, false); return 1;
	case JSON_TOKEN_ARRAY_BEGIN: open_level(r, true); return 1;
	case JSON_TOKEN_OBJECT_END:
	case JSON_TOKEN_ARRAY_END:
		r->depth--;
		count_item(r);
		return 1;
	case JSON_TOKEN_KEY: put_key(r, r->tokens.text); return 1;
	case JSON_TOKEN_STRING:
	case JSON_TOKEN_NUMBER: return add_argument(r, r->tokens.text);
	case JSON_TOKEN_TRUE: return add_argument(r, SPAN("true"));
	case JSON_TOKEN_FALSE: return add_argument(r, SPAN("false"));
	case JSON_TOKEN_NULL: return add_argument(r, SPAN(""));
	case JSON_TOKEN_MORE: json_tokens_finish(&r->tokens); return 1;
	case JSON_TOKEN_ERROR:
		if (r->tokens.error == JSON_ERROR_MEMORY)
			return -1;
		return body_fail(r->arena, r->error, "JSON parsing error: %s at byte %llu",
				 json_error_text(r->tokens.error),
				 (unsigned long long)r->tokens.error_offset);
	case JSON_TOKEN_END: break;
	}
	return 0;
}

int body_json(struct arena *arena, struct span body, const struct body_limits *limits,
	      struct body_pairs *pairs, struct body_error *error)
{
	struct json_limits json_limits = JSON_LIMITS_DEFAULT;
	struct reader r = {
		.arena = arena, .body = body, .limits = limits, .pairs = pairs, .error = error};
	int result;

	if (body.len > limits->max_no_files_bytes) {
		error->no_files_exceeded = true;
		return body_fail(arena, error, "Request body is longer than %zu bytes",
				 limits->max_no_files_bytes);
	}
	if (body.len == 0)
		return 0;
	json_limits.max_depth =
		limits->max_depth < JSON_DEPTH_MAX ? limits->max_depth : JSON_DEPTH_MAX;
	json_limits.max_string_bytes = limits->max_string_bytes;
	json_limits.max_number_bytes = limits->max_string_bytes;
	buf_init(&r.scratch, limits->max_string_bytes);
	buf_init(&r.path, NAME_BYTES_MAX);
	json_tokens_init(&r.tokens, &json_limits, &r.scratch);
	json_tokens_feed(&r.tokens, body);
	do
		result = take(&r, json_tokens_next(&r.tokens));
	while (result > 0);
	json_tokens_release(&r.tokens);
	buf_release(&r.scratch);
	buf_release(&r.path);
	return result;
}
