/* Gemfile.lock and gems.locked; gemspecs of installed gems. */
#include "base/map.h"
#include "supply/lock_parse.h"

struct wish {
	struct wish *next;
	struct span name;
	uint32_t from;
};

struct reader {
	const struct lock_input *in;
	struct map names;
	struct wish *wishes;
	struct span section; /* "GEM", "GIT", "PATH", "DEPENDENCIES", ... */
	struct span remote;
	struct span revision;
	bool in_specs;
	uint32_t current;
};

/* "name (1.2.3-x86_64-linux)" -> both; the platform is cut off. */
static void split_spec(struct span text, struct span *name, struct span *version)
{
	size_t open = span_find(text, SPAN(" ("));
	size_t dash;

	*name = span_slice(text, 0, open);
	*version = span_slice(text, open + 2, text.len);
	*version = span_slice(*version, 0, span_find_byte(*version, ')'));
	dash = span_find_byte(*version, '-');
	*version = span_slice(*version, 0, dash);
}

static void take_spec(struct reader *r, struct span text, uint32_t number)
{
	struct span name, version;
	struct component *c;

	split_spec(text, &name, &version);
	r->current = COMPONENT_NONE;
	if (!name.len || !version.len) {
		inventory_problem(r->in->inv, r->in->file, number, "a gem without a version");
		return;
	}
	c = lock_add(r->in, ECOSYSTEM_RUBYGEMS, name, version, number, &r->current);
	if (!c)
		return;
	c->local = span_eq(r->section, SPAN("PATH"));
	if (span_eq(r->section, SPAN("GIT")) && lock_is_commit(r->revision)) {
		c->commit = lock_text(r->in, r->revision);
		c->vcs_url = lock_text(r->in, r->remote);
	}
	lock_index_put(r->in, &r->names, name, r->current);
}

static void take_wish(struct reader *r, struct span text, uint32_t from)
{
	struct wish *w = arena_new(r->in->scratch, struct wish);

	if (!w) {
		r->in->inv->failed = true;
		return;
	}
	w->name = span_slice(text, 0, span_find(text, SPAN(" (")));
	if (span_ends_with(w->name, SPAN("!")))
		w->name.len--;
	w->from = from;
	w->next = r->wishes;
	r->wishes = w;
}

static void take_line(struct reader *r, struct span line, uint32_t number)
{
	size_t indent = lock_indent(line);
	struct span text = span_trim(line);

	if (indent == 0) {
		r->section = text;
		r->remote = SPAN("");
		r->revision = SPAN("");
		r->in_specs = false;
	} else if (span_eq(r->section, SPAN("DEPENDENCIES"))) {
		take_wish(r, text, COMPONENT_NONE);
	} else if (indent == 2) {
		r->in_specs = span_eq(text, SPAN("specs:"));
		if (span_starts_with(text, SPAN("remote: ")))
			r->remote = span_slice(text, 8, text.len);
		else if (span_starts_with(text, SPAN("revision: ")))
			r->revision = span_slice(text, 10, text.len);
	} else if (r->in_specs && indent == 4) {
		take_spec(r, text, number);
	} else if (r->in_specs && indent == 6 && r->current != COMPONENT_NONE) {
		take_wish(r, text, r->current);
	}
}

int lock_bundler(const struct lock_input *in, struct err *err)
{
	struct reader r = {.in = in, .names = MAP_INIT, .section = SPAN_INIT("")};
	struct lock_lines lines;
	struct span line;
	bool known = false;

	lock_lines_init(&lines, in->text);
	while (lock_lines_next(&lines, &line)) {
		if (span_trim(line).len == 0)
			continue;
		if (lock_indent(line) == 0) {
			/* Sections are words in capitals; a merge conflict's marks are not. */
			if (line.ptr[0] < 'A' || line.ptr[0] > 'Z') {
				map_release(&r.names);
				return err_set(err, ERR_SYNTAX,
					       "line %u: not a Bundler lock file",
					       lines.number);
			}
			known = true;
		}
		take_line(&r, line, lines.number);
	}
	for (const struct wish *w = r.wishes; w; w = w->next) {
		uint32_t to = lock_index_get(&r.names, w->name);

		inventory_edge(in->inv, w->from, to);
		if (w->from == COMPONENT_NONE && to != COMPONENT_NONE)
			in->inv->at[to].relation = RELATION_DIRECT;
	}
	map_release(&r.names);
	if (!known && lines.number)
		return err_set(err, ERR_SYNTAX, "line 1: not a Bundler lock file");
	return 0;
}

/* The text in quotes after `key` and "=", perhaps with ".freeze" behind. */
static bool assigned(struct span line, struct span key, struct span *value)
{
	size_t at = span_find(line, key), open;
	char quote;

	if (at == line.len)
		return false;
	line = span_slice(line, at + key.len, line.len);
	if (span_find_byte(line, '=') == line.len)
		return false;
	for (open = 0; open < line.len && line.ptr[open] != '"' && line.ptr[open] != '\'';)
		open++;
	if (open == line.len)
		return false;
	quote = line.ptr[open];
	line = span_slice(line, open + 1, line.len);
	*value = span_slice(line, 0, span_find_byte(line, quote));
	return value->len > 0;
}

/* s.add_runtime_dependency(%q<rack>.freeze, ["~> 2.0"]), as installed gemspecs have it. */
static void take_dependencies(const struct lock_input *in, uint32_t component)
{
	static const struct span calls[] = {SPAN_INIT(".add_runtime_dependency("),
					    SPAN_INIT(".add_dependency(")};
	struct lock_lines lines;
	struct span line;

	lock_lines_init(&lines, in->text);
	while (in->requires && lock_lines_next(&lines, &line)) {
		for (size_t i = 0; i < COUNT_OF(calls); i++) {
			size_t at = span_find(line, calls[i]);
			struct span name = span_slice(line, at + calls[i].len, line.len);
			size_t open = span_find(name, SPAN("%q<"));

			if (at == line.len || open != 0)
				continue;
			name = span_slice(name, 3, name.len);
			in->requires(in->context, component,
				     span_slice(name, 0, span_find_byte(name, '>')));
		}
	}
}

int lock_gemspec(const struct lock_input *in, struct err *err)
{
	struct span name = SPAN(""), version = SPAN(""), licence = SPAN("");
	struct lock_lines lines;
	struct span line;
	struct component *c;
	uint32_t number = 1, index;

	(void)err;
	lock_lines_init(&lines, in->text);
	while (lock_lines_next(&lines, &line)) {
		struct span value;

		if (!name.len && assigned(line, SPAN(".name"), &value)) {
			name = value;
			number = lines.number;
		} else if (!version.len && assigned(line, SPAN(".version"), &value)) {
			version = value;
		} else if (!licence.len && assigned(line, SPAN(".license"), &value)) {
			licence = value;
		}
	}
	/* A gemspec of sources computes its version; only those of installed gems have it. */
	if (!name.len || !version.len || version.ptr[0] < '0' || version.ptr[0] > '9')
		return 0;
	c = lock_add(in, ECOSYSTEM_RUBYGEMS, name, version, number, &index);
	if (c && licence.len)
		c->licence = lock_text(in, licence);
	if (c)
		take_dependencies(in, index);
	return 0;
}
