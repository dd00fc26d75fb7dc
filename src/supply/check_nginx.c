#include "supply/check_nginx.h"

#include "base/buf.h"

#define DEPTH_MAX 64
#define WORD_MAX_BYTES ((size_t)1 << 20)

struct reader {
	struct arena *arena;
	struct err *err;
	struct span text;
	size_t at;
	uint32_t line;
	struct buf word;
};

enum token { TOKEN_WORD, TOKEN_END, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_EOF, TOKEN_BAD };

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_space(struct reader *r)
{
	while (r->at < r->text.len) {
		char c = r->text.ptr[r->at];

		if (c == '#') {
			r->at += span_find_byte(span_slice(r->text, r->at, r->text.len), '\n');
			continue;
		}
		if (!is_space(c))
			return;
		r->line += c == '\n';
		r->at++;
	}
}

static enum token read_quoted(struct reader *r, char quote)
{
	uint32_t line = r->line;

	for (r->at++; r->at < r->text.len; r->at++) {
		char c = r->text.ptr[r->at];

		if (c == quote) {
			r->at++;
			return TOKEN_WORD;
		}
		if (c == '\\' && r->at + 1 < r->text.len)
			c = r->text.ptr[++r->at];
		r->line += c == '\n';
		buf_append_byte(&r->word, c);
	}
	(void)err_set(r->err, ERR_SYNTAX, "line %u: a quote that is not closed", line);
	return TOKEN_BAD;
}

static void read_plain(struct reader *r)
{
	for (; r->at < r->text.len; r->at++) {
		char c = r->text.ptr[r->at];

		if (is_space(c) || c == ';')
			return;
		/* "${name}" is a variable, any other brace begins a block. */
		if (c == '{' && !(r->at > 0 && r->text.ptr[r->at - 1] == '$'))
			return;
		if (c == '\\' && r->at + 1 < r->text.len) {
			buf_append_byte(&r->word, c);
			c = r->text.ptr[++r->at];
			r->line += c == '\n';
		}
		buf_append_byte(&r->word, c);
	}
}

static enum token next(struct reader *r)
{
	char c;

	skip_space(r);
	if (r->at == r->text.len)
		return TOKEN_EOF;
	c = r->text.ptr[r->at];
	if (c == ';' || c == '{' || c == '}') {
		r->at++;
		return c == ';' ? TOKEN_END : c == '{' ? TOKEN_OPEN : TOKEN_CLOSE;
	}
	buf_clear(&r->word);
	if (c == '"' || c == '\'')
		return read_quoted(r, c);
	read_plain(r);
	return TOKEN_WORD;
}

static int no_memory(struct reader *r)
{
	return err_set(r->err, ERR_MEMORY, "line %u: out of memory", r->line);
}

static struct node *add_text(struct reader *r, struct node *to, struct span key,
			     struct span text, uint32_t line)
{
	struct node *n = node_add(r->arena, to, NODE_STRING, key, line);

	if (n)
		n->text = text.len ? text : SPAN("");
	return n;
}

/* Behind the opening brace: up to the one that closes it. */
static int skip_code(struct reader *r)
{
	uint32_t line = r->line;
	unsigned depth = 1;

	for (; r->at < r->text.len; r->at++) {
		char c = r->text.ptr[r->at];

		r->line += c == '\n';
		if (c == '{')
			depth++;
		if (c == '}' && --depth == 0) {
			r->at++;
			return 0;
		}
	}
	return err_set(r->err, ERR_SYNTAX, "line %u: a block of code that is not closed", line);
}

struct block {
	struct node *directives;
	struct span context;
};

static int read_block(struct reader *r, struct block into, unsigned depth);

static int enter(struct reader *r, struct node *map, struct span name, unsigned depth)
{
	struct block inner = {node_add(r->arena, map, NODE_LIST, SPAN("directives"), map->line),
			      name};

	if (!inner.directives)
		return no_memory(r);
	if (span_ends_with(name, SPAN("_by_lua_block")))
		return skip_code(r);
	if (depth == DEPTH_MAX)
		return err_set(r->err, ERR_LIMIT, "line %u: blocks are nested too deeply",
			       r->line);
	return read_block(r, inner, depth + 1);
}

/* The name is in r->word. */
static int read_directive(struct reader *r, struct block into, unsigned depth)
{
	uint32_t line = r->line;
	struct span name = arena_dup(r->arena, buf_span(&r->word)), value;
	struct node *map = node_add(r->arena, into.directives, NODE_MAP, SPAN_NONE, line);
	struct node *args = map ? node_add(r->arena, map, NODE_LIST, SPAN("args"), line) : NULL;
	struct buf joined;
	enum token token;
	bool good = name.ptr && args && add_text(r, map, SPAN("name"), name, line) &&
		    add_text(r, map, SPAN("context"), into.context, line);

	buf_init(&joined, WORD_MAX_BYTES);
	while (good && (token = next(r)) == TOKEN_WORD) {
		struct span word = arena_dup(r->arena, buf_span(&r->word));

		if (joined.len)
			buf_append_byte(&joined, ' ');
		buf_append(&joined, word);
		good = word.ptr && !buf_failed(&r->word) && !buf_failed(&joined) &&
		       add_text(r, args, SPAN_NONE, word, r->line);
	}
	value = good ? arena_dup(r->arena, buf_span(&joined)) : SPAN_NONE;
	buf_release(&joined);
	if (!value.ptr || !add_text(r, map, SPAN("value"), value, line))
		return no_memory(r);
	if (token == TOKEN_END)
		return 0;
	if (token == TOKEN_OPEN)
		return enter(r, map, name, depth);
	if (token == TOKEN_BAD)
		return -1;
	return err_set(r->err, ERR_SYNTAX, "line %u: \"%.*s\" does not end in ';' or a block",
		       line, (int)(name.len < 60 ? name.len : 60), name.ptr);
}

static int read_block(struct reader *r, struct block into, unsigned depth)
{
	for (;;) {
		switch (next(r)) {
		case TOKEN_WORD:
			if (read_directive(r, into, depth) < 0)
				return -1;
			break;
		case TOKEN_END: break; /* nginx refuses it, and nothing is unsafe in it */
		case TOKEN_CLOSE:
			if (depth > 0)
				return 0;
			return err_set(r->err, ERR_SYNTAX, "line %u: '}' closes nothing",
				       r->line);
		case TOKEN_EOF:
			if (depth == 0)
				return 0;
			return err_set(r->err, ERR_SYNTAX,
				       "line %u: the block of \"%.*s\" is not closed", r->line,
				       SPAN_ARG(span_slice(into.context, 0, 60)));
		case TOKEN_OPEN:
			return err_set(r->err, ERR_SYNTAX, "line %u: a block without a name",
				       r->line);
		case TOKEN_BAD: return -1;
		}
	}
}

struct node *nginx_read(struct arena *a, struct span text, struct err *err)
{
	struct reader r = {.arena = a, .err = err, .text = text, .line = 1};
	struct node *root = node_add(a, NULL, NODE_MAP, SPAN_NONE, 1);
	struct block top = {NULL, SPAN("")};
	int result;

	if (span_starts_with(text, SPAN("\xef\xbb\xbf")))
		r.at = 3;
	if (root)
		top.directives = node_add(a, root, NODE_LIST, SPAN("directives"), 1);
	if (!top.directives) {
		(void)no_memory(&r);
		return NULL;
	}
	buf_init(&r.word, WORD_MAX_BYTES);
	result = read_block(&r, top, 0);
	buf_release(&r.word);
	return result < 0 ? NULL : root;
}
