#include "supply/check_sshd.h"

struct reader {
	struct arena *arena;
	struct err *err;
	struct node *settings;
	struct span match;
	uint32_t line;
};

static int no_memory(struct reader *r)
{
	return err_set(r->err, ERR_MEMORY, "line %u: out of memory", r->line);
}

static bool add_text(struct reader *r, struct node *to, struct span key, struct span text)
{
	struct node *n = node_add(r->arena, to, NODE_STRING, key, r->line);

	if (n)
		n->text = text.len ? text : SPAN("");
	return n != NULL;
}

/* Words with quotes around them lose these; a comment ends the line. -1: a quote is open. */
static int add_args(struct reader *r, struct node *list, struct span value)
{
	while ((value = span_trim(value)).len && value.ptr[0] != '#') {
		size_t end = 0;

		if (value.ptr[0] == '"') {
			end = 1 + span_find_byte(span_slice(value, 1, value.len), '"');
			if (end == value.len)
				return err_set(r->err, ERR_SYNTAX,
					       "line %u: a quote that is not closed", r->line);
			if (!add_text(r, list, SPAN_NONE, span_slice(value, 1, end)))
				return no_memory(r);
			end++;
		} else {
			while (end < value.len && value.ptr[end] != ' ' &&
			       value.ptr[end] != '\t')
				end++;
			if (!add_text(r, list, SPAN_NONE, span_slice(value, 0, end)))
				return no_memory(r);
		}
		value = span_slice(value, end, value.len);
	}
	return 0;
}

/* "Keyword value", "Keyword=value" */
static size_t keyword_length(struct span line)
{
	size_t n = 0;

	while (n < line.len && line.ptr[n] != ' ' && line.ptr[n] != '\t' && line.ptr[n] != '=')
		n++;
	return n;
}

static int read_setting(struct reader *r, struct span line)
{
	size_t n = keyword_length(line);
	struct span value = span_trim(span_slice(line, n, line.len));
	char *name = arena_alloc(r->arena, n + 1);
	struct node *map = node_add(r->arena, r->settings, NODE_MAP, SPAN_NONE, r->line);
	struct node *args =
		map ? node_add(r->arena, map, NODE_LIST, SPAN("args"), r->line) : NULL;
	struct span lower;

	if (!name || !args)
		return no_memory(r);
	for (size_t i = 0; i < n; i++)
		name[i] = ascii_lower(line.ptr[i]);
	lower = span_of(name, n);
	if (value.len && value.ptr[0] == '=')
		value = span_trim(span_slice(value, 1, value.len));
	if (span_eq(lower, SPAN("match")))
		r->match = value.len ? value : SPAN("nobody");
	if (!add_text(r, map, SPAN("name"), lower) || !add_text(r, map, SPAN("value"), value) ||
	    !add_text(r, map, SPAN("match"), r->match))
		return no_memory(r);
	return add_args(r, args, value);
}

struct node *sshd_read(struct arena *a, struct span text, struct err *err)
{
	struct reader r = {.arena = a, .err = err, .match = SPAN("")};
	struct node *root = node_add(a, NULL, NODE_MAP, SPAN_NONE, 1);
	struct span rest = text;
	int result = 0;

	if (root)
		r.settings = node_add(a, root, NODE_LIST, SPAN("settings"), 1);
	if (!r.settings) {
		(void)no_memory(&r);
		return NULL;
	}
	while (rest.ptr && result == 0) {
		struct span line = span_trim(span_cut(&rest, '\n'));

		r.line++;
		if (line.len == 0 || line.ptr[0] == '#')
			continue;
		if (keyword_length(line) == 0 || memchr(line.ptr, '\0', line.len))
			result = err_set(err, ERR_SYNTAX, "line %u: no keyword", r.line);
		else
			result = read_setting(&r, line);
	}
	return result < 0 ? NULL : root;
}
