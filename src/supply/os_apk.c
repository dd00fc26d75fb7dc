/* Alpine's lib/apk/db/installed. */
#include "base/map.h"
#include "supply/lock_parse.h"

struct wish {
	struct wish *next;
	struct span depends;
	uint32_t from;
};

struct paragraph {
	uint32_t line;
	struct span name;
	struct span version;
	struct span arch;
	struct span licence;
	struct span origin;
	struct span depends;
	struct span provides;
	struct span commit;
	bool any;
};

struct reader {
	const struct lock_input *in;
	struct map names; /* of packages, and of what they provide */
	struct wish *wishes;
	struct paragraph p;
	struct span files; /* from the first line of the paragraph on */
};

/* "so:libc.so.1=1", "name>=2", "name~3" -> up to the operator */
static struct span bare_name(struct span text)
{
	size_t end = 0;

	while (end < text.len && span_find_byte(SPAN("=<>~"), text.ptr[end]) == 4)
		end++;
	return span_slice(text, 0, end);
}

/* The lines F: (folder) and R: (file in it) of a paragraph. */
static void tell_files(const struct reader *r, struct span paragraph, uint32_t package)
{
	struct span folder = SPAN("");
	struct lock_lines lines;
	struct span line;

	if (!r->in->owns)
		return;
	lock_lines_init(&lines, paragraph);
	while (lock_lines_next(&lines, &line)) {
		if (span_starts_with(line, SPAN("F:")))
			folder = span_slice(line, 2, line.len);
		else if (span_starts_with(line, SPAN("R:")))
			r->in->owns(r->in->context, package, folder,
				    span_slice(line, 2, line.len));
	}
}

static void finish(struct reader *r, struct span text)
{
	const struct paragraph p = r->p;
	struct inventory *inv = r->in->inv;
	struct component *c;
	struct wish *w;
	struct span rest;
	uint32_t index;

	r->p = (struct paragraph){0};
	if (!p.any)
		return;
	if (!p.name.len || !p.version.len) {
		inventory_problem(inv, r->in->file, p.line, "a package without %s%.*s",
				  p.name.len ? "version: " : "name", SPAN_ARG(p.name));
		return;
	}
	c = lock_add(r->in, ECOSYSTEM_APK, p.name, p.version, p.line, &index);
	w = arena_new(r->in->scratch, struct wish);
	if (!c || !w) {
		inv->failed = true;
		return;
	}
	c->arch = lock_text(r->in, p.arch);
	c->licence = lock_text(r->in, p.licence);
	c->source_name = p.origin.len ? lock_text(r->in, p.origin) : c->name;
	c->source_version = c->version;
	c->distro = inv->distro;
	c->distro_version = inv->distro_version;
	lock_index_put(r->in, &r->names, c->name, index);
	rest = p.provides;
	while (rest.ptr && rest.len)
		lock_index_put(r->in, &r->names, bare_name(span_cut(&rest, ' ')), index);
	*w = (struct wish){r->wishes, p.depends, index};
	r->wishes = w;
	tell_files(r, text, index);
}

static bool take_field(struct reader *r, struct span line, uint32_t number)
{
	struct paragraph *p = &r->p;
	const struct {
		char key;
		struct span *value;
	} fields[] = {{'P', &p->name},	   {'V', &p->version}, {'A', &p->arch},
		      {'L', &p->licence},  {'o', &p->origin},  {'D', &p->depends},
		      {'p', &p->provides}, {'c', &p->commit}};

	if (line.len < 2 || line.ptr[1] != ':')
		return false;
	if (!p->any)
		p->line = number;
	p->any = true;
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		if (fields[i].key == line.ptr[0])
			*fields[i].value = span_slice(line, 2, line.len);
	}
	if (line.ptr[0] == 'P')
		p->line = number;
	return true;
}

int os_apk(const struct lock_input *in, struct err *err)
{
	struct reader r = {.in = in, .names = MAP_INIT};
	uint32_t first = in->inv->count, bad_line = 0;
	const char *start = in->text.ptr;
	struct lock_lines lines;
	struct span line;

	lock_lines_init(&lines, in->text);
	while (lock_lines_next(&lines, &line)) {
		if (line.len == 0) {
			finish(&r, span_of(start, (size_t)(line.ptr - start)));
			start = line.ptr;
		} else if (!take_field(&r, line, lines.number) && !bad_line) {
			bad_line = lines.number;
		}
	}
	if (in->text.len)
		finish(&r, span_of(start, (size_t)(in->text.ptr + in->text.len - start)));
	for (const struct wish *w = r.wishes; w; w = w->next) {
		struct span rest = w->depends;

		while (rest.ptr && rest.len) {
			struct span wanted = span_cut(&rest, ' ');

			if (wanted.len && wanted.ptr[0] != '!')
				inventory_edge(in->inv, w->from,
					       lock_index_get(&r.names, bare_name(wanted)));
		}
	}
	map_release(&r.names);
	if (bad_line && in->inv->count == first)
		return err_set(err, ERR_SYNTAX, "line %u: not an apk database", bad_line);
	if (bad_line)
		inventory_problem(in->inv, in->file, bad_line, "a line that is no field");
	return 0;
}
