#include "parse/toml.h"

#include "base/buf.h"
#include "base/map.h"
#include "parse/utf8.h"

enum {
	FLAG_HEADER = 1, /* a table with a [header] of its own */
	FLAG_CLOSED = 2, /* an inline table or a literal array: nothing can be added */
	FLAG_TABLES = 4, /* an array of [[tables]] */
	FLAG_DOTTED = 8, /* a table made by a dotted key: no [header] may open it */
	FLAG_INDEXED = 16, /* its keys are in the index */
};

/* Tables with more keys than this are looked up by hash. */
#define LINEAR_KEYS 16
#define STRING_BYTES_MAX ((size_t)8 << 20)

struct reader {
	struct arena *arena;
	const char *at;
	const char *end;
	uint32_t line;
	unsigned depth;
	struct map index; /* table and key -> node */
	struct buf scratch; /* of strings with escapes, and of keys of the index */
	struct err *err;
};

static struct node *parse_value(struct reader *r, struct node *parent, struct span key,
				uint32_t line);

static bool fail(struct reader *r, const char *what)
{
	(void)err_set(r->err, ERR_SYNTAX, "line %u: not TOML: %s", r->line, what);
	return false;
}

static void *no_memory(struct reader *r)
{
	(void)err_set(r->err, ERR_MEMORY, "the document does not fit into memory");
	return NULL;
}

/* --- Tables and keys. */

/* The key of the index, in the scratch buffer; false when memory ran out. */
static bool index_key(struct reader *r, const struct node *table, struct span key)
{
	buf_clear(&r->scratch);
	buf_append_bytes(&r->scratch, &table, sizeof(table));
	return buf_append(&r->scratch, key) == 0;
}

static struct node *find(struct reader *r, const struct node *table, struct span key)
{
	if (!(table->flags & FLAG_INDEXED)) {
		for (struct node *n = table->first; n; n = n->next) {
			if (span_eq(n->key, key))
				return n;
		}
		return NULL;
	}
	return index_key(r, table, key) ? map_get(&r->index, buf_span(&r->scratch)) : NULL;
}

static bool index_add(struct reader *r, const struct node *table, struct node *child)
{
	struct span key;

	if (!index_key(r, table, child->key))
		return false;
	key = arena_dup(r->arena, buf_span(&r->scratch));
	return key.ptr && map_put(&r->index, key, child) == 0;
}

static struct node *add(struct reader *r, struct node *parent, enum node_kind kind,
			struct span key, uint32_t line)
{
	struct node *n = node_add(r->arena, parent, kind, key, line);

	if (!n)
		return no_memory(r);
	if (!parent || parent->kind != NODE_MAP || parent->count <= LINEAR_KEYS)
		return n;
	if (parent->flags & FLAG_INDEXED)
		return index_add(r, parent, n) ? n : no_memory(r);
	parent->flags |= FLAG_INDEXED;
	for (struct node *child = parent->first; child; child = child->next) {
		if (!index_add(r, parent, child))
			return no_memory(r);
	}
	return n;
}

/* --- Characters. */

static bool done(const struct reader *r)
{
	return r->at == r->end;
}

static char peek(const struct reader *r)
{
	return done(r) ? '\0' : *r->at;
}

static bool accept(struct reader *r, char c)
{
	if (done(r) || *r->at != c)
		return false;
	r->at++;
	return true;
}

static bool accept_three(struct reader *r, char c)
{
	if (r->end - r->at < 3 || r->at[0] != c || r->at[1] != c || r->at[2] != c)
		return false;
	r->at += 3;
	return true;
}

static void skip_blanks(struct reader *r)
{
	while (!done(r) && (*r->at == ' ' || *r->at == '\t'))
		r->at++;
}

/* A line end, when there is one. */
static bool accept_newline(struct reader *r)
{
	if (r->end - r->at >= 2 && r->at[0] == '\r' && r->at[1] == '\n')
		r->at += 2;
	else if (!accept(r, '\n'))
		return false;
	r->line++;
	return true;
}

static bool is_control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

static bool skip_comment(struct reader *r)
{
	const char *from = r->at;

	if (!accept(r, '#'))
		return true;
	while (!done(r) && *r->at != '\n' && *r->at != '\r') {
		if (is_control(*r->at))
			return fail(r, "a control character in a comment");
		r->at++;
	}
	if (!utf8_valid(span_of(from, (size_t)(r->at - from))))
		return fail(r, "a comment that is not UTF-8");
	return true;
}

/* Blanks, comments and line ends. */
static bool skip_lines(struct reader *r)
{
	do {
		skip_blanks(r);
		if (!skip_comment(r))
			return false;
	} while (accept_newline(r));
	return true;
}

static bool end_of_line(struct reader *r)
{
	skip_blanks(r);
	if (!skip_comment(r))
		return false;
	if (done(r) || accept_newline(r))
		return true;
	return fail(r, "more on the line than belongs there");
}

/* --- Strings. */

static bool read_unicode(struct reader *r, unsigned digits)
{
	uint32_t code = 0;
	char bytes[4];

	for (unsigned i = 0; i < digits; i++) {
		char c = ascii_lower(peek(r));

		if (c >= '0' && c <= '9')
			code = code * 16 + (uint32_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			code = code * 16 + (uint32_t)(c - 'a') + 10;
		else
			return fail(r, "a broken escape");
		r->at++;
	}
	if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return fail(r, "an escape that is no character");
	buf_append_bytes(&r->scratch, bytes, utf8_encode(bytes, code));
	return true;
}

static bool read_escape(struct reader *r, bool multiline)
{
	static const char from[] = "btnfr\"\\";
	static const char to[] = "\b\t\n\f\r\"\\";
	char c = peek(r);

	for (size_t i = 0; i < sizeof(from) - 1; i++) {
		if (c == from[i]) {
			buf_append_byte(&r->scratch, to[i]);
			r->at++;
			return true;
		}
	}
	if (accept(r, 'u'))
		return read_unicode(r, 4);
	if (accept(r, 'U'))
		return read_unicode(r, 8);
	if (!multiline)
		return fail(r, "an unknown escape");
	/* A backslash at the end of a line eats all white space up to the next text. */
	skip_blanks(r);
	if (!accept_newline(r))
		return fail(r, "an unknown escape");
	do
		skip_blanks(r);
	while (accept_newline(r));
	return true;
}

/* True when the string ends here; up to two quotes may stand before the closing three. */
static bool closes(struct reader *r, char quote, bool multiline)
{
	if (!multiline)
		return accept(r, quote);
	if (!accept_three(r, quote))
		return false;
	for (unsigned i = 0; i < 2 && accept(r, quote); i++)
		buf_append_byte(&r->scratch, quote);
	return true;
}

static bool read_quoted(struct reader *r, bool may_be_multiline, struct span *text)
{
	char quote = *r->at;
	bool multiline = may_be_multiline && accept_three(r, quote);

	if (!multiline)
		r->at++;
	else
		(void)accept_newline(r);
	buf_clear(&r->scratch);
	while (!closes(r, quote, multiline)) {
		if (done(r))
			return fail(r, "a string without its end");
		if (quote == '"' && accept(r, '\\')) {
			if (!read_escape(r, multiline))
				return false;
		} else if (multiline && accept_newline(r)) {
			buf_append_byte(&r->scratch, '\n');
		} else if (is_control(*r->at)) {
			return fail(r, "a control character in a string");
		} else {
			buf_append_byte(&r->scratch, *r->at++);
		}
	}
	if (buf_failed(&r->scratch))
		return no_memory(r) != NULL;
	if (!utf8_valid(buf_span(&r->scratch)))
		return fail(r, "a string that is not UTF-8");
	*text = r->scratch.len ? arena_dup(r->arena, buf_span(&r->scratch)) : SPAN("");
	return text->ptr || no_memory(r);
}

/* The common case without a copy: no escape, one line. */
static bool read_string(struct reader *r, bool may_be_multiline, struct span *text)
{
	const char quote = *r->at;
	const char *at = r->at + 1;

	while (at < r->end && *at != quote && (*at != '\\' || quote == '\'') &&
	       !is_control(*at))
		at++;
	if (at < r->end && *at == quote && (at > r->at + 1 || !may_be_multiline)) {
		*text = span_of(r->at + 1, (size_t)(at - r->at - 1));
		r->at = at + 1;
		return utf8_valid(*text) || fail(r, "a string that is not UTF-8");
	}
	return read_quoted(r, may_be_multiline, text);
}

static bool is_bare(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_';
}

static bool read_key_part(struct reader *r, struct span *part)
{
	const char *from = r->at;

	if (peek(r) == '"' || peek(r) == '\'')
		return read_string(r, false, part);
	while (!done(r) && is_bare(*r->at))
		r->at++;
	*part = span_of(from, (size_t)(r->at - from));
	return part->len > 0 || fail(r, "a key is missing");
}

/* --- Values. */

static bool is_number_byte(char c)
{
	return is_bare(c) || c == '+' || c == '.' || c == ':';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* True, false, numbers, dates: told apart by their characters. */
static struct node *parse_plain(struct reader *r, struct node *parent, struct span key,
				uint32_t line)
{
	const char *from = r->at;
	struct span text;
	struct node *n;
	bool number;

	while (!done(r) && is_number_byte(*r->at))
		r->at++;
	text = span_of(from, (size_t)(r->at - from));
	/* "1979-05-27 07:32:00" has a blank inside. */
	if (text.len == 10 && text.ptr[4] == '-' && r->end - r->at > 2 && *r->at == ' ' &&
	    is_digit(r->at[1])) {
		r->at++;
		while (!done(r) && is_number_byte(*r->at))
			r->at++;
		text.len = (size_t)(r->at - from);
	}
	if (span_eq(text, SPAN("true")) || span_eq(text, SPAN("false"))) {
		n = add(r, parent, NODE_BOOL, key, line);
		if (n)
			n->boolean = text.len == 4;
		return n;
	}
	number = text.len &&
		 (is_digit(text.ptr[0]) || text.ptr[0] == '+' || text.ptr[0] == '-' ||
		  span_eq(text, SPAN("inf")) || span_eq(text, SPAN("nan")));
	if (!number) {
		fail(r, "a value is missing, or text without quotes");
		return NULL;
	}
	n = add(r, parent,
		text.len > 4 && (text.ptr[4] == '-' || text.ptr[2] == ':') ? NODE_STRING
									   : NODE_NUMBER,
		key, line);
	if (n)
		n->text = text;
	return n;
}

static struct node *parse_array(struct reader *r, struct node *parent, struct span key,
				uint32_t line)
{
	struct node *list = add(r, parent, NODE_LIST, key, line);

	if (!list)
		return NULL;
	list->flags = FLAG_CLOSED;
	for (;;) {
		if (!skip_lines(r))
			return NULL;
		if (accept(r, ']'))
			return list;
		if (!parse_value(r, list, SPAN(""), r->line) || !skip_lines(r))
			return NULL;
		if (accept(r, ']'))
			return list;
		if (!accept(r, ',')) {
			fail(r, "an array needs a comma or its end here");
			return NULL;
		}
	}
}

static bool parse_pair(struct reader *r, struct node *table);

static struct node *parse_inline(struct reader *r, struct node *parent, struct span key,
				 uint32_t line)
{
	struct node *table = add(r, parent, NODE_MAP, key, line);

	if (!table)
		return NULL;
	skip_blanks(r);
	if (!accept(r, '}')) {
		for (;;) {
			skip_blanks(r);
			if (!parse_pair(r, table))
				return NULL;
			skip_blanks(r);
			if (accept(r, '}'))
				break;
			if (!accept(r, ',')) {
				fail(r, "an inline table needs a comma or its end here");
				return NULL;
			}
		}
	}
	table->flags |= FLAG_CLOSED;
	return table;
}

static struct node *parse_value(struct reader *r, struct node *parent, struct span key,
				uint32_t line)
{
	struct node *n = NULL;
	struct span text;

	if (r->depth >= NODE_DEPTH_MAX) {
		(void)err_set(r->err, ERR_LIMIT, "line %u: nested too deeply", r->line);
		return NULL;
	}
	r->depth++;
	if (peek(r) == '"' || peek(r) == '\'') {
		if (read_string(r, true, &text))
			n = add(r, parent, NODE_STRING, key, line);
		if (n)
			n->text = text;
	} else if (accept(r, '[')) {
		n = parse_array(r, parent, key, line);
	} else if (accept(r, '{')) {
		n = parse_inline(r, parent, key, line);
	} else {
		n = parse_plain(r, parent, key, line);
	}
	r->depth--;
	return n;
}

/* A table on the way of a dotted key. */
static struct node *step_dotted(struct reader *r, struct node *table, struct span part)
{
	struct node *next = find(r, table, part);

	if (!next) {
		next = add(r, table, NODE_MAP, part, r->line);
		if (next)
			next->flags = FLAG_DOTTED;
		return next;
	}
	if (next->kind != NODE_MAP || (next->flags & (FLAG_CLOSED | FLAG_HEADER))) {
		fail(r, "a dotted key goes into something that is complete");
		return NULL;
	}
	return next;
}

/* key = value, and a.b.c = value */
static bool parse_pair(struct reader *r, struct node *table)
{
	uint32_t line = r->line;
	unsigned steps = 0;
	struct span part;

	if (!read_key_part(r, &part))
		return false;
	skip_blanks(r);
	while (accept(r, '.')) {
		table = step_dotted(r, table, part);
		if (!table)
			return false;
		if (++steps >= NODE_DEPTH_MAX)
			return fail(r, "nested too deeply");
		skip_blanks(r);
		if (!read_key_part(r, &part))
			return false;
		skip_blanks(r);
	}
	if (!accept(r, '='))
		return fail(r, "'=' is missing after a key");
	if (find(r, table, part))
		return fail(r, "a key comes twice");
	skip_blanks(r);
	return parse_value(r, table, part, line) != NULL;
}

/* --- Headers. */

/* A table on the way of a header: of an array of tables, its last. */
static struct node *step_header(struct reader *r, struct node *table, struct span part)
{
	struct node *next = find(r, table, part);

	if (!next)
		return add(r, table, NODE_MAP, part, r->line);
	if (next->kind == NODE_LIST && (next->flags & FLAG_TABLES))
		return next->last;
	if (next->kind != NODE_MAP || (next->flags & FLAG_CLOSED)) {
		fail(r, "a table's name is taken by something else");
		return NULL;
	}
	return next;
}

static struct node *open_table(struct reader *r, struct node *parent, struct span part)
{
	struct node *table = find(r, parent, part);

	if (!table) {
		table = add(r, parent, NODE_MAP, part, r->line);
	} else if (table->kind != NODE_MAP ||
		   (table->flags & (FLAG_CLOSED | FLAG_HEADER | FLAG_DOTTED))) {
		fail(r, "a table comes twice, or its name is taken");
		return NULL;
	}
	if (table)
		table->flags |= FLAG_HEADER;
	return table;
}

static struct node *open_array_table(struct reader *r, struct node *parent, struct span part)
{
	struct node *list = find(r, parent, part);

	if (!list) {
		list = add(r, parent, NODE_LIST, part, r->line);
		if (!list)
			return NULL;
		list->flags = FLAG_TABLES;
	} else if (list->kind != NODE_LIST || !(list->flags & FLAG_TABLES)) {
		fail(r, "an array of tables has a name that is taken");
		return NULL;
	}
	return add(r, list, NODE_MAP, SPAN(""), r->line);
}

static struct node *parse_header(struct reader *r, struct node *root)
{
	bool array = accept(r, '[');
	struct node *table = root;
	unsigned steps = 0;
	struct span part;

	skip_blanks(r);
	if (!read_key_part(r, &part))
		return NULL;
	skip_blanks(r);
	while (accept(r, '.')) {
		table = step_header(r, table, part);
		if (!table)
			return NULL;
		if (++steps >= NODE_DEPTH_MAX) {
			fail(r, "nested too deeply");
			return NULL;
		}
		skip_blanks(r);
		if (!read_key_part(r, &part))
			return NULL;
		skip_blanks(r);
	}
	if (!accept(r, ']') || (array && !accept(r, ']'))) {
		fail(r, "a table's header does not end");
		return NULL;
	}
	table = array ? open_array_table(r, table, part) : open_table(r, table, part);
	return table && end_of_line(r) ? table : NULL;
}

static struct node *parse_document(struct reader *r)
{
	struct node *root = node_add(r->arena, NULL, NODE_MAP, SPAN(""), 1);
	struct node *table = root;

	if (!root)
		return no_memory(r);
	for (;;) {
		if (!skip_lines(r))
			return NULL;
		if (done(r))
			return root;
		if (accept(r, '[')) {
			table = parse_header(r, root);
			if (!table)
				return NULL;
		} else if (!parse_pair(r, table) || !end_of_line(r)) {
			return NULL;
		}
	}
}

struct node *toml_parse(struct arena *a, struct span text, struct err *err)
{
	struct reader r = {.arena = a, .line = 1, .index = MAP_INIT, .err = err};
	struct node *root;

	if (span_starts_with(text, SPAN("\xef\xbb\xbf")))
		text = span_slice(text, 3, text.len);
	if (!text.ptr)
		text = SPAN("");
	r.at = text.ptr;
	r.end = text.ptr + text.len;
	buf_init(&r.scratch, STRING_BYTES_MAX);
	root = parse_document(&r);
	buf_release(&r.scratch);
	map_release(&r.index);
	return root;
}
