/* mix.lock: an Elixir map of tuples. Only this form of Elixir is read. */
#include "base/map.h"
#include "supply/lock_parse.h"

#define DEPTH_MAX 32

struct reader {
	const struct lock_input *in;
	struct span text;
	size_t at;
	uint32_t line;
};

struct term {
	char kind; /* '"' text, ':' atom, 0 anything else */
	struct span text;
};

static char peek(struct reader *r)
{
	while (r->at < r->text.len) {
		char c = r->text.ptr[r->at];

		if (c == '#') {
			r->at += span_find_byte(span_slice(r->text, r->at, r->text.len), '\n');
			continue;
		}
		if (c != ' ' && c != '\t' && c != '\r' && c != '\n')
			return c;
		r->line += c == '\n';
		r->at++;
	}
	return '\0';
}

static bool accept(struct reader *r, char c)
{
	if (peek(r) != c || r->at == r->text.len)
		return false;
	r->at++;
	return true;
}

static bool is_word(char c)
{
	char l = ascii_lower(c);

	return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '@' ||
	       c == '.' || c == '?' || c == '!' || c == '-';
}

/* Text in quotes; escapes stay as they are, versions and names have none. */
static bool read_text(struct reader *r, struct span *text)
{
	size_t start = ++r->at;

	while (r->at < r->text.len && r->text.ptr[r->at] != '"') {
		r->line += r->text.ptr[r->at] == '\n';
		r->at += r->text.ptr[r->at] == '\\' ? 2 : 1;
	}
	if (r->at >= r->text.len)
		return false;
	*text = span_slice(r->text, start, r->at++);
	return true;
}

/* Any term; of lists and tuples, each is told to `each` with its place and depth. */
static bool read_term(struct reader *r, struct term *t, unsigned depth);

static bool read_items(struct reader *r, char close, unsigned depth)
{
	struct term ignored;

	while (!accept(r, close)) {
		if (!read_term(r, &ignored, depth))
			return false;
		(void)accept(r, ',');
	}
	return true;
}

static bool read_term(struct reader *r, struct term *t, unsigned depth)
{
	char c = peek(r);
	size_t start;

	*t = (struct term){0, SPAN("")};
	if (depth > DEPTH_MAX)
		return false;
	if (c == '"') {
		t->kind = '"';
		if (!read_text(r, &t->text))
			return false;
		/* "key": value */
		return !accept(r, ':') || read_term(r, &(struct term){0}, depth + 1);
	}
	if (accept(r, '{'))
		return read_items(r, '}', depth + 1);
	if (accept(r, '['))
		return read_items(r, ']', depth + 1);
	if (c == ':') {
		r->at++;
		t->kind = ':';
		if (r->at < r->text.len && r->text.ptr[r->at] == '"')
			return read_text(r, &t->text);
	}
	start = r->at;
	while (r->at < r->text.len && is_word(r->text.ptr[r->at]))
		r->at++;
	t->text = span_slice(r->text, start, r->at);
	if (!t->text.len)
		return false;
	/* key: value */
	if (t->kind == 0 && accept(r, ':'))
		return read_term(r, &(struct term){0}, depth + 1);
	return true;
}

struct wish {
	struct wish *next;
	struct span name;
	uint32_t from;
};

/* The list of {:name, ">= 1.0", [...]}. */
static bool read_wishes(struct reader *r, struct wish **wishes, uint32_t from)
{
	if (!accept(r, '['))
		return false;
	while (!accept(r, ']')) {
		struct term t;
		struct wish *w;

		if (!accept(r, '{') || !read_term(r, &t, 0))
			return false;
		w = arena_new(r->in->scratch, struct wish);
		if (!w) {
			r->in->inv->failed = true;
			return false;
		}
		*w = (struct wish){*wishes, t.text, from};
		*wishes = w;
		(void)accept(r, ',');
		if (!read_items(r, '}', 0))
			return false;
		(void)accept(r, ',');
	}
	return true;
}

/* {:hex, :name, "1.2.3", "hash", [:mix], [wishes], ...} and {:git, "url", "commit", []} */
static bool read_package(struct reader *r, struct span key, uint32_t line, struct wish **wishes,
			 struct map *names)
{
	struct term kind, first, second;
	struct component *c;
	uint32_t index;

	if (!accept(r, '{') || !read_term(r, &kind, 0) || !accept(r, ',') ||
	    !read_term(r, &first, 0))
		return false;
	second = (struct term){0, SPAN("")};
	if (accept(r, ',') && !read_term(r, &second, 0))
		return false;
	if (span_eq(kind.text, SPAN("hex"))) {
		(void)lock_add(r->in, ECOSYSTEM_HEX, first.text.len ? first.text : key,
			       second.text, line, &index);
		lock_index_put(r->in, names, key, index);
		/* The checksum and the build tools, then what it requires. */
		for (unsigned i = 0; i < 2 && accept(r, ','); i++) {
			if (!read_term(r, &first, 0))
				return false;
		}
		if (accept(r, ',') && peek(r) == '[' && !read_wishes(r, wishes, index))
			return false;
	} else {
		c = lock_add(r->in, ECOSYSTEM_HEX, key, SPAN(""), line, &index);
		lock_index_put(r->in, names, key, index);
		if (c && span_eq(kind.text, SPAN("git")) && lock_is_commit(second.text)) {
			c->commit = lock_text(r->in, second.text);
			c->vcs_url = lock_text(r->in, first.text);
		}
		if (c && span_eq(kind.text, SPAN("path")))
			c->local = true;
	}
	(void)accept(r, ',');
	return read_items(r, '}', 0);
}

static bool read_map(struct reader *r, struct wish **wishes, struct map *names)
{
	if (!accept(r, '%') || !accept(r, '{'))
		return false;
	while (!accept(r, '}')) {
		struct span key;
		uint32_t line;

		if (peek(r) != '"')
			return false;
		line = r->line;
		if (!read_text(r, &key))
			return false;
		if (!accept(r, ':') && !(accept(r, '=') && accept(r, '>')))
			return false;
		if (!read_package(r, key, line, wishes, names))
			return false;
		(void)accept(r, ',');
	}
	return peek(r) == '\0' && r->at == r->text.len;
}

int lock_mix(const struct lock_input *in, struct err *err)
{
	struct reader r = {.in = in, .text = in->text, .line = 1};
	struct map names = MAP_INIT;
	struct wish *wishes = NULL;
	uint32_t first = in->inv->count;
	bool good = read_map(&r, &wishes, &names);

	lock_mark_named(in, SPAN("mix.exs"), first, "{:", ", ");
	for (; wishes; wishes = wishes->next)
		inventory_edge(in->inv, wishes->from, lock_index_get(&names, wishes->name));
	map_release(&names);
	return good ? 0 : err_set(err, ERR_SYNTAX, "line %u: not a mix lock file", r.line);
}
