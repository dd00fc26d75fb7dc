#include "parse/node.h"

#include "parse/json_token.h"

#define STRING_BYTES_MAX ((size_t)8 << 20)

const struct node *node_get(const struct node *map, struct span key)
{
	if (!map || map->kind != NODE_MAP)
		return NULL;
	for (const struct node *n = map->first; n; n = n->next) {
		if (span_eq(n->key, key))
			return n;
	}
	return NULL;
}

struct span node_text(const struct node *n)
{
	if (!n || (n->kind != NODE_STRING && n->kind != NODE_NUMBER) || !n->text.len)
		return SPAN("");
	return n->text;
}

struct span node_text_at(const struct node *map, struct span key)
{
	return node_text(node_get(map, key));
}

bool node_true(const struct node *n)
{
	return n && n->kind == NODE_BOOL && n->boolean;
}

bool node_is(const struct node *n, enum node_kind kind)
{
	return n && n->kind == kind;
}

struct node *node_add(struct arena *a, struct node *parent, enum node_kind kind,
		      struct span key, uint32_t line)
{
	struct node *n = arena_alloc(a, sizeof(*n));

	if (!n)
		return NULL;
	*n = (struct node){.kind = kind, .line = line, .key = key};
	if (!parent)
		return n;
	if (parent->last)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
	parent->count++;
	return n;
}

/* --- JSON. */

struct reader {
	struct arena *arena;
	struct span text;
	struct json_tokens tokens;
	struct node *open[NODE_DEPTH_MAX];
	unsigned depth;
	struct node *root;
	struct span key;
	uint32_t key_line;
	size_t counted; /* lines before this offset are in `line` */
	uint32_t line;
};

static uint32_t line_at(struct reader *r, uint64_t offset)
{
	const char *at = r->text.ptr + r->counted;
	const char *end = r->text.ptr + (offset < r->text.len ? offset : r->text.len);

	while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
		r->line++;
		at++;
	}
	r->counted = (size_t)(end - r->text.ptr);
	return r->line;
}

/* Text that lies in the document stays there; what was decoded is copied. */
static bool kept(struct reader *r, struct span *text)
{
	if (text->len == 0) {
		*text = SPAN("");
		return true;
	}
	if (text->ptr >= r->text.ptr && text->ptr < r->text.ptr + r->text.len)
		return true;
	*text = arena_dup(r->arena, *text);
	return text->ptr != NULL;
}

static struct node *add_value(struct reader *r, enum node_kind kind)
{
	struct node *parent = r->depth ? r->open[r->depth - 1] : NULL;
	uint32_t line = line_at(r, r->tokens.token_offset);
	bool keyed = parent && parent->kind == NODE_MAP;
	struct node *n = node_add(r->arena, parent, kind, keyed ? r->key : SPAN(""),
				  keyed ? r->key_line : line);

	if (!r->root)
		r->root = n;
	return n;
}

static bool take(struct reader *r, enum json_token token)
{
	struct span text = r->tokens.text;
	struct node *n = NULL;

	switch (token) {
	case JSON_TOKEN_KEY:
		r->key = text;
		r->key_line = line_at(r, r->tokens.token_offset);
		return kept(r, &r->key);
	case JSON_TOKEN_OBJECT_BEGIN:
	case JSON_TOKEN_ARRAY_BEGIN:
		n = add_value(r, token == JSON_TOKEN_OBJECT_BEGIN ? NODE_MAP : NODE_LIST);
		if (n)
			r->open[r->depth++] = n;
		return n != NULL;
	case JSON_TOKEN_OBJECT_END:
	case JSON_TOKEN_ARRAY_END: r->depth--; return true;
	case JSON_TOKEN_STRING:
	case JSON_TOKEN_NUMBER:
		n = add_value(r, token == JSON_TOKEN_STRING ? NODE_STRING : NODE_NUMBER);
		if (!n || !kept(r, &text))
			return false;
		n->text = text;
		return true;
	case JSON_TOKEN_TRUE:
	case JSON_TOKEN_FALSE:
		n = add_value(r, NODE_BOOL);
		if (n)
			n->boolean = token == JSON_TOKEN_TRUE;
		return n != NULL;
	case JSON_TOKEN_NULL: return add_value(r, NODE_NULL) != NULL;
	case JSON_TOKEN_MORE:
	case JSON_TOKEN_END:
	case JSON_TOKEN_ERROR: break;
	}
	return false;
}

static struct node *parse(struct reader *r, struct err *err)
{
	enum json_token token;

	json_tokens_feed(&r->tokens, r->text);
	for (;;) {
		token = json_tokens_next(&r->tokens);
		if (token == JSON_TOKEN_MORE) {
			json_tokens_finish(&r->tokens);
			continue;
		}
		if (token == JSON_TOKEN_END)
			return r->root;
		if (token == JSON_TOKEN_ERROR) {
			(void)err_set(
				err,
				r->tokens.error >= JSON_ERROR_DEPTH ? ERR_LIMIT : ERR_SYNTAX,
				"line %u: not JSON: %s", line_at(r, r->tokens.error_offset),
				json_error_text(r->tokens.error));
			return NULL;
		}
		if (!take(r, token)) {
			(void)err_set(err, ERR_MEMORY, "the document does not fit into memory");
			return NULL;
		}
	}
}

struct node *node_parse_json(struct arena *a, struct span text, struct err *err)
{
	const struct json_limits limits = {.max_depth = NODE_DEPTH_MAX,
					   .max_string_bytes = STRING_BYTES_MAX,
					   .max_number_bytes = 128};
	struct reader r = {.arena = a, .line = 1};
	struct buf scratch;
	struct node *root;

	if (span_starts_with(text, SPAN("\xef\xbb\xbf")))
		text = span_slice(text, 3, text.len);
	if (!text.ptr)
		text = SPAN("");
	r.text = text;
	buf_init(&scratch, STRING_BYTES_MAX);
	json_tokens_init(&r.tokens, &limits, &scratch);
	root = parse(&r, err);
	json_tokens_release(&r.tokens);
	buf_release(&scratch);
	return root;
}

/* --- JSON with comments and trailing commas: both become spaces, so that lines stay. */

static void blank(char *text, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		if (text[i] != '\n')
			text[i] = ' ';
	}
}

static size_t skip_string(struct span s, size_t at)
{
	for (at++; at < s.len && s.ptr[at] != '"'; at++) {
		if (s.ptr[at] == '\\')
			at++;
	}
	return at;
}

/* The end of the comment that starts at `at`; `at` when none does. */
static size_t comment_end(struct span s, size_t at)
{
	if (at + 1 < s.len && s.ptr[at + 1] == '/')
		return at + span_find_byte(span_slice(s, at, s.len), '\n');
	if (at + 1 < s.len && s.ptr[at + 1] == '*') {
		size_t end = span_find(span_slice(s, at + 2, s.len), SPAN("*/"));

		return at + 2 + end + 2 <= s.len ? at + 2 + end + 2 : at;
	}
	return at;
}

struct node *node_parse_jsonc(struct arena *a, struct span text, struct err *err)
{
	char *to = arena_alloc(a, text.len + 1);
	size_t comma = SIZE_MAX;

	if (!to) {
		(void)err_set(err, ERR_MEMORY, "the document does not fit into memory");
		return NULL;
	}
	if (text.len)
		memcpy(to, text.ptr, text.len);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '/' && comment_end(text, i) > i) {
			size_t end = comment_end(text, i);

			blank(to, i, end);
			i = end - 1;
		} else if (c == ',') {
			comma = i;
		} else if (c == ']' || c == '}') {
			if (comma != SIZE_MAX)
				blank(to, comma, comma + 1);
			comma = SIZE_MAX;
		} else if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
			comma = SIZE_MAX;
			if (c == '"')
				i = skip_string(text, i);
		}
	}
	return node_parse_json(a, span_of(to, text.len), err);
}
