/* requirements.txt as pip reads it, and the metadata of installed Python packages. */
#include "base/buf.h"
#include "base/map.h"
#include "supply/lock_parse.h"

static bool is_name_byte(char c)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
	       c == '.';
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

/* A '#' at the start or after a space begins a comment. */
static struct span without_comment(struct span line)
{
	for (size_t i = 0; i < line.len; i++) {
		if (line.ptr[i] == '#' && (i == 0 || is_space(line.ptr[i - 1])))
			return span_slice(line, 0, i);
	}
	return line;
}

/* A logical line: pip joins lines that end with backslashes, unless they are comments. */
static bool next_line(const struct lock_input *in, struct lock_lines *lines, struct buf *joined,
		      struct span *line, uint32_t *number)
{
	struct span piece;

	if (!lock_lines_next(lines, &piece))
		return false;
	*number = lines->number;
	*line = piece;
	if (!span_ends_with(piece, SPAN("\\")) || span_starts_with(span_trim(piece), SPAN("#")))
		return true;
	buf_clear(joined);
	for (;;) {
		bool more = span_ends_with(piece, SPAN("\\"));

		while (span_ends_with(piece, SPAN("\\")))
			piece.len--;
		buf_append(joined, piece);
		if (!more || !lock_lines_next(lines, &piece))
			break;
	}
	if (buf_failed(joined))
		in->inv->failed = true;
	*line = buf_span(joined);
	return true;
}

/* The value of an option: "-r file", "--requirement=file". */
static bool option_value(struct span line, struct span name, struct span *value)
{
	if (!span_starts_with(line, name) || line.len == name.len)
		return false;
	*value = span_slice(line, name.len, line.len);
	if (value->ptr[0] != ' ' && value->ptr[0] != '\t' && value->ptr[0] != '=' &&
	    name.len > 2)
		return false;
	if (value->ptr[0] == '=')
		*value = span_slice(*value, 1, value->len);
	*value = span_trim(*value);
	return true;
}

static struct component *add(const struct lock_input *in, struct span name, struct span version,
			     uint32_t line)
{
	return lock_add(in, ECOSYSTEM_PYPI, lock_python_name(in, name), version, line, NULL);
}

/* "name-1.2.3-py3-none-any.whl", "name-1.2.3.tar.gz" */
static bool split_archive(struct span path, struct span *name, struct span *version)
{
	static const struct span endings[] = {SPAN_INIT(".tar.gz"), SPAN_INIT(".zip"),
					      SPAN_INIT(".tar.bz2")};
	size_t cut;

	for (cut = path.len; cut > 0 && path.ptr[cut - 1] != '/'; cut--)
		;
	path = span_slice(path, cut, path.len);
	if (span_ends_with(path, SPAN(".whl"))) {
		*name = span_cut(&path, '-');
		*version = path.ptr ? span_cut(&path, '-') : SPAN("");
		return name->len && version->len;
	}
	for (size_t i = 0; i < COUNT_OF(endings); i++) {
		if (!span_ends_with(path, endings[i]))
			continue;
		path.len -= endings[i].len;
		for (cut = path.len; cut > 0 && path.ptr[cut - 1] != '-'; cut--)
			;
		*name = span_slice(path, 0, cut ? cut - 1 : 0);
		*version = span_slice(path, cut, path.len);
		return name->len && version->len;
	}
	return false;
}

/* A URL or path, with the name in front when there is one ("name @ url"). */
static void take_address(const struct lock_input *in, struct span name, struct span address,
			 uint32_t line)
{
	size_t hash = span_find_byte(address, '#');
	struct span fragment = span_slice(address, hash + 1, address.len);
	struct span url = span_slice(address, 0, hash);
	size_t egg = span_find(fragment, SPAN("egg="));
	struct span version = SPAN(""), from_file = SPAN("");
	struct component *c;
	size_t at;

	if (!split_archive(url, &from_file, &version))
		version = SPAN("");
	if (!name.len && egg < fragment.len) {
		name = span_slice(fragment, egg + 4, fragment.len);
		name = span_slice(name, 0, span_find_byte(name, '&'));
		name = span_slice(name, 0, span_find_byte(name, '['));
	}
	if (!name.len)
		name = from_file;
	if (!name.len)
		return; /* a folder: the project itself, mostly */
	c = add(in, name, version, line);
	if (!c)
		return;
	c->local = span_find(url, SPAN("://")) == url.len;
	for (at = url.len; at > 0 && url.ptr[at - 1] != '@'; at--)
		;
	if (at && span_starts_with(url, SPAN("git+")) &&
	    lock_is_commit(span_slice(url, at, url.len))) {
		c->commit = lock_text(in, span_slice(url, at, url.len));
		c->vcs_url = lock_text(in, span_slice(url, 4, at - 1));
	}
}

/* The version of "==1.2" among ">=1,==1.2": one that says exactly which. */
static struct span pinned(struct span specifiers)
{
	struct span rest = specifiers;

	while (rest.ptr) {
		struct span one = span_trim(span_cut(&rest, ','));

		if (!span_starts_with(one, SPAN("==")))
			continue;
		one = span_slice(one, span_starts_with(one, SPAN("===")) ? 3 : 2, one.len);
		one = span_trim(one);
		if (span_find_byte(one, '*') == one.len)
			return one;
	}
	return SPAN("");
}

static void take_requirement(const struct lock_input *in, struct span line, uint32_t number)
{
	struct span name, rest;
	size_t end = 0;

	if (line.ptr[0] == '.' || line.ptr[0] == '/' || span_starts_with(line, SPAN("file:")) ||
	    span_find(line, SPAN("://")) < span_find_byte(line, ' ')) {
		take_address(in, SPAN(""), span_slice(line, 0, span_find_byte(line, ' ')),
			     number);
		return;
	}
	while (end < line.len && is_name_byte(line.ptr[end]))
		end++;
	name = span_slice(line, 0, end);
	rest = span_trim(span_slice(line, end, line.len));
	if (rest.len && rest.ptr[0] == '[') {
		size_t close = span_find_byte(rest, ']');

		rest = span_trim(span_slice(rest, close + 1, rest.len));
	}
	if (rest.len && rest.ptr[0] == '@') {
		rest = span_trim(span_slice(rest, 1, rest.len));
		take_address(in, name, span_slice(rest, 0, span_find_byte(rest, ' ')), number);
		return;
	}
	rest = span_slice(rest, 0, span_find_byte(rest, ';'));
	rest = span_trim(span_slice(rest, 0, span_find(rest, SPAN(" --"))));
	if (rest.len >= 2 && rest.ptr[0] == '(' && rest.ptr[rest.len - 1] == ')')
		rest = span_slice(rest, 1, rest.len - 1);
	if (!name.len || !is_name_byte(name.ptr[0]) ||
	    (rest.len && span_find_byte(SPAN("=<>!~"), rest.ptr[0]) == 5)) {
		inventory_problem(in->inv, in->file, number, "not a requirement: %.*s",
				  SPAN_ARG(span_slice(line, 0, 80)));
		return;
	}
	(void)add(in, name, pinned(rest), number);
}

static void take_line(const struct lock_input *in, struct span line, uint32_t number)
{
	static const struct span includes[] = {SPAN_INIT("-r"), SPAN_INIT("--requirement")};
	static const struct span editables[] = {SPAN_INIT("-e"), SPAN_INIT("--editable")};
	struct span value;

	line = span_trim(without_comment(line));
	if (!line.len)
		return;
	if (line.ptr[0] != '-') {
		take_requirement(in, line, number);
		return;
	}
	for (size_t i = 0; i < COUNT_OF(includes); i++) {
		if (option_value(line, includes[i], &value) && in->include)
			in->include(in->context, value);
		if (option_value(line, editables[i], &value))
			take_address(in, SPAN(""), value, number);
	}
}

/* --- Who asked for it, as pip-compile and uv write it in comments: "# via flask". */

struct via {
	struct via *next;
	struct span name;
	uint32_t of;
};

struct reasons {
	const struct lock_input *in;
	struct via *first;
	uint32_t current; /* the requirement above, or COMPONENT_NONE */
	bool open; /* the next comment goes on with the list */
};

/* "-r requirements.in" and "shop (pyproject.toml)" are not packages of the list. */
static void take_reason(struct reasons *r, struct span text)
{
	struct via *v;

	text = span_trim(text);
	if (!text.len)
		return;
	if (text.ptr[0] == '-' || span_find_byte(text, '(') < text.len) {
		r->in->inv->at[r->current].relation = RELATION_DIRECT;
		return;
	}
	v = arena_new(r->in->scratch, struct via);
	if (!v) {
		r->in->inv->failed = true;
		return;
	}
	*v = (struct via){r->first, lock_python_name(r->in, text), r->current};
	r->first = v;
}

/* What stands behind '#' in a line, and whether the line is nothing else. */
static void take_comment(struct reasons *r, struct span line)
{
	struct span code = without_comment(line);
	struct span comment = span_trim(span_slice(line, code.len + 1, line.len));
	bool alone = span_trim(code).len == 0;

	if (!alone)
		r->open = false;
	if (code.len == line.len || r->current == COMPONENT_NONE)
		return;
	if (span_eq(comment, SPAN("via")) || span_starts_with(comment, SPAN("via "))) {
		r->open = true;
		comment = span_slice(comment, 3, comment.len);
	} else if (!r->open || !alone) {
		return;
	}
	while (comment.ptr && comment.len)
		take_reason(r, span_cut(&comment, ','));
}

/* What nobody is said to need, or something outside of the file, is what the project asks for. */
static void apply_reasons(struct reasons *r, uint32_t first)
{
	struct inventory *inv = r->in->inv;
	struct map names = MAP_INIT;

	for (uint32_t i = first; i < inv->count; i++)
		lock_index_put(r->in, &names, inv->at[i].name, i);
	for (const struct via *v = r->first; v; v = v->next) {
		uint32_t from = lock_index_get(&names, v->name);
		struct component *c = &inv->at[v->of];

		inventory_edge(inv, from, v->of);
		if (from == COMPONENT_NONE)
			c->relation = RELATION_DIRECT;
		else if (c->relation == RELATION_UNKNOWN)
			c->relation = RELATION_TRANSITIVE;
	}
	for (uint32_t i = first; i < inv->count; i++) {
		if (inv->at[i].relation == RELATION_UNKNOWN)
			inv->at[i].relation = RELATION_DIRECT;
	}
	map_release(&names);
}

int lock_requirements(const struct lock_input *in, struct err *err)
{
	struct reasons reasons = {.in = in, .current = COMPONENT_NONE};
	uint32_t first = in->inv->count;
	struct lock_lines lines;
	struct buf joined;
	struct span line;
	uint32_t number;

	if (span_find_byte(in->text, '\0') < in->text.len)
		return err_set(err, ERR_SYNTAX, "line 1: not a text file");
	buf_init(&joined, 1 << 20);
	lock_lines_init(&lines, in->text);
	while (next_line(in, &lines, &joined, &line, &number)) {
		uint32_t before = in->inv->count;

		take_line(in, line, number);
		if (in->inv->count > before)
			reasons.current = before;
		take_comment(&reasons, line);
	}
	buf_release(&joined);
	apply_reasons(&reasons, first);
	return 0;
}

/* --- METADATA and PKG-INFO: mail-like headers. */

/* Requires-Dist: name[extra] (>=1); marker. What only an extra asks for need not be there. */
static void take_wishes(const struct lock_input *in, uint32_t component)
{
	static const struct span key = SPAN_INIT("Requires-Dist:");
	struct lock_lines lines;
	struct span line;

	lock_lines_init(&lines, in->text);
	while (in->requires && lock_lines_next(&lines, &line) && line.len) {
		struct span value = span_trim(span_slice(line, key.len, line.len));
		struct span marker = span_slice(value, span_find_byte(value, ';'), value.len);
		size_t end = 0;

		if (!span_starts_with(line, key) ||
		    span_find(marker, SPAN("extra")) < marker.len)
			continue;
		while (end < value.len && is_name_byte(value.ptr[end]))
			end++;
		in->requires(in->context, component,
			     lock_python_name(in, span_slice(value, 0, end)));
	}
}

int lock_dist_info(const struct lock_input *in, struct err *err)
{
	struct span name = SPAN(""), version = SPAN(""), licence = SPAN("");
	struct span expression = SPAN(""), classified = SPAN("");
	struct lock_lines lines;
	struct span line;
	struct component *c;
	uint32_t number = 0, index;

	lock_lines_init(&lines, in->text);
	while (lock_lines_next(&lines, &line) && line.len) {
		size_t colon = span_find_byte(line, ':');
		struct span key = span_slice(line, 0, colon);
		struct span value = span_trim(span_slice(line, colon + 1, line.len));

		if (is_space(line.ptr[0]) || colon == line.len)
			continue;
		if (span_eq_nocase(key, SPAN("Name"))) {
			name = value;
			number = lines.number;
		} else if (span_eq_nocase(key, SPAN("Version"))) {
			version = value;
		} else if (span_eq_nocase(key, SPAN("License-Expression"))) {
			expression = value;
		} else if (span_eq_nocase(key, SPAN("License"))) {
			licence = value;
		} else if (span_eq_nocase(key, SPAN("Classifier")) &&
			   span_starts_with(value, SPAN("License :: OSI Approved :: "))) {
			classified = span_slice(value, 27, value.len);
		}
	}
	if (!name.len || !version.len)
		return err_set(err, ERR_SYNTAX, "line %u: no Name and Version",
			       lines.number ? lines.number : 1);
	c = lock_add(in, ECOSYSTEM_PYPI, lock_python_name(in, name), version, number, &index);
	if (!c)
		return 0;
	take_wishes(in, index);
	if (expression.len)
		c->licence = lock_text(in, expression);
	else if (licence.len && licence.len < 100 && !span_eq(licence, SPAN("UNKNOWN")))
		c->licence = lock_text(in, licence);
	else
		c->licence = lock_text(in, classified);
	return 0;
}
