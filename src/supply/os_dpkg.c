/* dpkg's status, status.d of images without dpkg, and lists of installed files. */
#include "base/map.h"
#include "supply/lock_parse.h"

struct paragraph {
	uint32_t line;
	struct span package;
	struct span status;
	struct span version;
	struct span architecture;
	struct span source;
	struct span depends;
	struct span pre_depends;
	struct span provides;
	bool any;
};

struct wish {
	struct wish *next;
	struct span depends;
	uint32_t from;
};

struct reader {
	const struct lock_input *in;
	struct map names;
	struct wish *wishes;
	struct paragraph p;
};

static bool is_installed(struct span status)
{
	/* Files of status.d have no Status at all. */
	return !status.len || span_ends_with(status, SPAN(" installed"));
}

/* "name (>= 1)" -> "name"; "name:any" too. */
static struct span bare_name(struct span text)
{
	text = span_trim(text);
	text = span_slice(text, 0, span_find_byte(text, ' '));
	text = span_slice(text, 0, span_find_byte(text, '('));
	return span_slice(text, 0, span_find_byte(text, ':'));
}

static void wish(struct reader *r, struct span depends, uint32_t from)
{
	struct wish *w;

	if (!depends.len)
		return;
	w = arena_new(r->in->scratch, struct wish);
	if (!w) {
		r->in->inv->failed = true;
		return;
	}
	*w = (struct wish){r->wishes, depends, from};
	r->wishes = w;
}

static void finish(struct reader *r)
{
	const struct paragraph p = r->p;
	struct inventory *inv = r->in->inv;
	struct component *c;
	struct span rest;
	uint32_t index;

	r->p = (struct paragraph){0};
	if (!p.any || !is_installed(p.status))
		return;
	if (!p.package.len || !p.version.len) {
		inventory_problem(inv, r->in->file, p.line, "a paragraph without %s%.*s",
				  p.package.len ? "Version: " : "Package", SPAN_ARG(p.package));
		return;
	}
	c = lock_add(r->in, ECOSYSTEM_DPKG, p.package, p.version, p.line, &index);
	if (!c)
		return;
	c->arch = lock_text(r->in, p.architecture);
	c->distro = inv->distro;
	c->distro_version = inv->distro_version;
	if (p.source.len) {
		size_t open = span_find_byte(p.source, '(');
		struct span version = span_slice(p.source, open + 1, p.source.len);

		c->source_name = lock_text(r->in, bare_name(p.source));
		c->source_version =
			lock_text(r->in, span_slice(version, 0, span_find_byte(version, ')')));
	} else {
		c->source_name = c->name;
	}
	if (!c->source_version.len)
		c->source_version = c->version;
	lock_index_put(r->in, &r->names, c->name, index);
	rest = p.provides;
	while (rest.ptr && rest.len)
		lock_index_put(r->in, &r->names, bare_name(span_cut(&rest, ',')), index);
	wish(r, p.pre_depends, index);
	wish(r, p.depends, index);
}

static bool take_field(struct paragraph *p, struct span line, uint32_t number)
{
	const struct {
		struct span key;
		struct span *value;
	} fields[] = {{SPAN("Package"), &p->package},
		      {SPAN("Status"), &p->status},
		      {SPAN("Version"), &p->version},
		      {SPAN("Architecture"), &p->architecture},
		      {SPAN("Source"), &p->source},
		      {SPAN("Depends"), &p->depends},
		      {SPAN("Pre-Depends"), &p->pre_depends},
		      {SPAN("Provides"), &p->provides}};
	size_t colon = span_find_byte(line, ':');
	struct span key = span_slice(line, 0, colon);

	if (colon == line.len || span_find_byte(key, ' ') < key.len || !key.len)
		return false;
	if (!p->any)
		p->line = number;
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		if (!span_eq_nocase(key, fields[i].key))
			continue;
		p->any = true;
		*fields[i].value = span_trim(span_slice(line, colon + 1, line.len));
		if (i == 0)
			p->line = number;
	}
	return true;
}

static void link_all(struct reader *r)
{
	for (const struct wish *w = r->wishes; w; w = w->next) {
		struct span rest = w->depends;

		while (rest.ptr && rest.len) {
			struct span alternatives = span_cut(&rest, ',');

			/* Of alternatives, the first that is installed. */
			while (alternatives.ptr && alternatives.len) {
				struct span name = bare_name(span_cut(&alternatives, '|'));
				uint32_t to = lock_index_get(&r->names, name);

				inventory_edge(r->in->inv, w->from, to);
				if (to != COMPONENT_NONE)
					break;
			}
		}
	}
}

int os_dpkg(const struct lock_input *in, struct err *err)
{
	struct reader r = {.in = in, .names = MAP_INIT};
	uint32_t first = in->inv->count, bad_line = 0;
	struct lock_lines lines;
	struct span line;

	lock_lines_init(&lines, in->text);
	while (lock_lines_next(&lines, &line)) {
		if (span_trim(line).len == 0)
			finish(&r);
		else if (line.ptr[0] != ' ' && line.ptr[0] != '\t' &&
			 !take_field(&r.p, line, lines.number) && !bad_line)
			bad_line = lines.number;
	}
	finish(&r);
	link_all(&r);
	map_release(&r.names);
	if (bad_line && in->inv->count == first)
		return err_set(err, ERR_SYNTAX, "line %u: not a dpkg status file", bad_line);
	if (bad_line)
		inventory_problem(in->inv, in->file, bad_line, "a line that is no field");
	return 0;
}

int os_dpkg_list(const struct lock_input *in, struct err *err)
{
	bool sums = span_ends_with(in->file, SPAN(".md5sums"));
	struct span name = in->file, architecture;
	uint32_t package = COMPONENT_NONE;
	struct lock_lines lines;
	struct span line;
	size_t cut;

	(void)err;
	for (cut = name.len; cut > 0 && name.ptr[cut - 1] != '/'; cut--)
		;
	name = span_slice(name, cut, name.len - (sums ? 8 : 5));
	cut = span_find_byte(name, ':');
	architecture = span_slice(name, cut + 1, name.len);
	name = span_slice(name, 0, cut);
	for (uint32_t i = in->inv->count; i > 0 && package == COMPONENT_NONE; i--) {
		const struct component *c = &in->inv->at[i - 1];

		if (c->ecosystem == ECOSYSTEM_DPKG && span_eq(c->name, name) &&
		    (!architecture.len || span_eq(c->arch, architecture)))
			package = i - 1;
	}
	if (package == COMPONENT_NONE || !in->owns)
		return 0;
	lock_lines_init(&lines, in->text);
	while (lock_lines_next(&lines, &line)) {
		if (sums)
			line = span_slice(line, 34, line.len);
		if (line.len)
			in->owns(in->context, package, SPAN(""), line);
	}
	return 0;
}

int os_release(const struct lock_input *in, struct err *err)
{
	struct lock_lines lines;
	struct span line;

	(void)err;
	if (in->inv->distro.len)
		return 0;
	lock_lines_init(&lines, in->text);
	while (lock_lines_next(&lines, &line)) {
		size_t equals = span_find_byte(line, '=');
		struct span key = span_slice(line, 0, equals);
		struct span value = span_trim(span_slice(line, equals + 1, line.len));

		if (value.len >= 2 && (value.ptr[0] == '"' || value.ptr[0] == '\'') &&
		    value.ptr[value.len - 1] == value.ptr[0])
			value = span_slice(value, 1, value.len - 1);
		if (span_eq(key, SPAN("ID")))
			in->inv->distro = lock_text(in, value);
		else if (span_eq(key, SPAN("VERSION_ID")))
			in->inv->distro_version = lock_text(in, value);
		else if (span_eq(key, SPAN("PRETTY_NAME")))
			in->inv->distro_name = lock_text(in, value);
	}
	return 0;
}
