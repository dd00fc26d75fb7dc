/*
 * usr/share/doc/PACKAGE/copyright of Debian and what comes from it: the licences of a package. Most
 * are written for machines (copyright-format 1.0), with short names of Debian's own; of the others
 * only the texts that they point to are known.
 */
#include "base/buf.h"
#include "base/map.h"
#include "supply/licence.h"
#include "supply/lock_parse.h"

#define LICENCES_MAX 32
#define LICENCE_BYTES_MAX 1024
#define COMMON "/usr/share/common-licenses/"

struct licences {
	const struct lock_input *in;
	struct span declared[LICENCES_MAX]; /* each once */
	size_t count;
	bool public_domain; /* some of it is */
};

/* Where Debian's short names are not those of SPDX in another case. */
static const struct {
	struct span debian;
	struct span spdx;
} names[] = {
	{SPAN_INIT("Expat"), SPAN_INIT("MIT")},
	{SPAN_INIT("Apache-2"), SPAN_INIT("Apache-2.0")},
	{SPAN_INIT("Artistic"), SPAN_INIT("Artistic-1.0-Perl")},
	{SPAN_INIT("Artistic-2"), SPAN_INIT("Artistic-2.0")},
	{SPAN_INIT("Boost-1.0"), SPAN_INIT("BSL-1.0")},
	{SPAN_INIT("BSD-2"), SPAN_INIT("BSD-2-Clause")},
	{SPAN_INIT("BSD-3"), SPAN_INIT("BSD-3-Clause")},
	{SPAN_INIT("BSD-4"), SPAN_INIT("BSD-4-Clause")},
	{SPAN_INIT("CDDL-1"), SPAN_INIT("CDDL-1.0")},
	{SPAN_INIT("CC0"), SPAN_INIT("CC0-1.0")},
	{SPAN_INIT("MIT/X11"), SPAN_INIT("MIT")},
	{SPAN_INIT("MPL-2"), SPAN_INIT("MPL-2.0")},
	{SPAN_INIT("PSF-2"), SPAN_INIT("PSF-2.0")},
	{SPAN_INIT("SIL-1.1"), SPAN_INIT("OFL-1.1")},
	{SPAN_INIT("WTFPL-2"), SPAN_INIT("WTFPL")},
	{SPAN_INIT("Zope-2.1"), SPAN_INIT("ZPL-2.1")},
};

/* "GPL-3+ with Bison exception" and the like. */
static const struct {
	struct span debian;
	struct span spdx;
} exceptions[] = {
	{SPAN_INIT("Autoconf"), SPAN_INIT("Autoconf-exception-3.0")},
	{SPAN_INIT("Bison"), SPAN_INIT("Bison-exception-2.2")},
	{SPAN_INIT("Classpath"), SPAN_INIT("Classpath-exception-2.0")},
	{SPAN_INIT("Font"), SPAN_INIT("Font-exception-2.0")},
	{SPAN_INIT("GCC"), SPAN_INIT("GCC-exception-3.1")},
	{SPAN_INIT("GCC-Runtime-Library"), SPAN_INIT("GCC-exception-3.1")},
	{SPAN_INIT("Libtool"), SPAN_INIT("Libtool-exception")},
	{SPAN_INIT("Linux-syscall-note"), SPAN_INIT("Linux-syscall-note")},
	{SPAN_INIT("LLVM"), SPAN_INIT("LLVM-exception")},
};

static void add(struct licences *l, struct span licence)
{
	licence = span_trim(licence);
	/* What has no conditions changes nothing for the rest. */
	if (span_eq_nocase(licence, SPAN("public-domain"))) {
		l->public_domain = true;
		return;
	}
	for (size_t i = 0; i < l->count; i++) {
		if (span_eq(l->declared[i], licence))
			return;
	}
	if (licence.len && licence.len <= LICENCE_BYTES_MAX && l->count < LICENCES_MAX)
		l->declared[l->count++] = licence;
}

/* "GPL-2+" -> "GPL-2.0-or-later", "LGPL-2.1" -> "LGPL-2.1-only". */
static struct span gnu_id(struct span name)
{
	char text[48];
	size_t dash = span_find_byte(name, '-');
	struct span family = span_slice(name, 0, dash);
	struct span version = span_slice(name, dash + 1, name.len);
	bool later = span_ends_with(version, SPAN("+"));
	int length;

	if (!span_ends_with(family, SPAN("GPL")) || !version.len || version.len > 8 ||
	    version.ptr[0] < '0' || version.ptr[0] > '9')
		return SPAN("");
	version.len -= later;
	length = snprintf(text, sizeof(text), "%.*s-%.*s%s-%s",
			  SPAN_ARG(span_slice(family, 0, 8)), SPAN_ARG(version),
			  span_find_byte(version, '.') == version.len ? ".0" : "",
			  later ? "or-later" : "only");
	return licence_id(span_of(text, (size_t)length));
}

static struct span spdx_id(struct span name)
{
	struct span id = gnu_id(name);

	if (id.len)
		return id;
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (span_eq_nocase(name, names[i].debian))
			return names[i].spdx;
	}
	return licence_id(name);
}

/* Words of "GPL-2+ or Expat, and ISC", as an expression is made of them. */
struct words {
	const struct lock_input *in;
	struct span rest;
	struct span made;
	struct span last; /* operator */
	bool comma; /* behind the last word */
};

static struct span next_word(struct words *w)
{
	struct span word = span_slice(w->rest, 0, span_find_byte(w->rest, ' '));

	w->rest = span_trim(span_slice(w->rest, word.len, w->rest.len));
	w->comma = span_ends_with(word, SPAN(","));
	word.len -= w->comma;
	return word;
}

static bool append(struct words *w, struct span more)
{
	struct span made =
		arena_printf(w->in->scratch, "%.*s%.*s", SPAN_ARG(w->made), SPAN_ARG(more));

	if (made.ptr)
		w->made = made;
	else
		w->in->inv->failed = true;
	return made.ptr != NULL;
}

/* A name, and perhaps "with Bison exception". */
static bool take_name(struct words *w)
{
	struct span id = spdx_id(next_word(w)), name;

	if (!id.len || !append(w, id))
		return false;
	if (!span_starts_with(w->rest, SPAN("with ")))
		return true;
	(void)next_word(w);
	name = next_word(w);
	if (!span_eq_nocase(next_word(w), SPAN("exception")))
		return false;
	for (size_t i = 0; i < COUNT_OF(exceptions); i++) {
		if (span_eq_nocase(name, exceptions[i].debian))
			return append(w, SPAN(" WITH ")) && append(w, exceptions[i].spdx);
	}
	return false;
}

/* A comma before the operator binds less: all before it is one operand. */
static bool take_operator(struct words *w)
{
	bool comma = w->comma;
	struct span word = next_word(w), next;

	if (!span_eq_nocase(word, SPAN("and")) && !span_eq_nocase(word, SPAN("or")))
		return false;
	next = span_eq_nocase(word, SPAN("and")) ? SPAN(" AND ") : SPAN(" OR ");
	/* Without a comma AND binds more, as it does in SPDX. */
	if (comma && w->last.len && !span_eq(w->last, next)) {
		struct span inner = w->made;

		w->made = SPAN("(");
		if (!append(w, inner) || !append(w, SPAN(")")))
			return false;
	}
	w->last = next;
	return append(w, next);
}

/* Empty when a name is not known, or it is no expression. */
static struct span to_expression(const struct lock_input *in, struct span text)
{
	struct words w = {.in = in, .rest = text, .made = SPAN_INIT(""), .last = SPAN_INIT("")};

	for (;;) {
		if (!take_name(&w))
			return SPAN("");
		if (!w.rest.len)
			return w.made;
		if (!take_operator(&w) || !w.rest.len)
			return SPAN("");
	}
}

/* All of them hold, each for a part of the package. */
static struct span join(const struct licences *l)
{
	struct arena *a = l->in->scratch;
	struct span made[LICENCES_MAX] = {{NULL, 0}}, all = SPAN("");
	size_t kept = 0;
	bool known = l->count > 0;

	for (size_t i = 0; i < l->count && known; i++) {
		struct span one = to_expression(l->in, l->declared[i]);
		bool twice = false;

		known = one.len > 0;
		for (size_t k = 0; k < kept; k++)
			twice = twice || span_eq(made[k], one);
		if (!twice)
			made[kept++] = one;
	}
	for (size_t i = 0; i < (known ? kept : l->count); i++) {
		struct span one = known ? made[i] : l->declared[i];
		bool group = known && kept > 1 && span_find(one, SPAN(" OR ")) < one.len;
		const char *between = i == 0 ? "" : known ? " AND " : ", ";

		all = arena_printf(a, "%.*s%s%s%.*s%s", SPAN_ARG(all), between,
				   group ? "(" : "", SPAN_ARG(one), group ? ")" : "");
		if (!all.ptr) {
			l->in->inv->failed = true;
			return SPAN("");
		}
	}
	return all;
}

/* What stands behind "License:" or "Files:", if the line is that field. */
static bool field(struct span line, struct span name, struct span *value)
{
	if (line.len <= name.len || line.ptr[name.len] != ':' ||
	    !span_eq_nocase(span_slice(line, 0, name.len), name))
		return false;
	*value = span_trim(span_slice(line, name.len + 1, line.len));
	return true;
}

/* A paragraph of Files counts, but for the packaging's own; so does the header. */
static void read_format(struct licences *l)
{
	struct span files = SPAN(""), licence = SPAN("");
	bool first = true, more = true;
	struct lock_lines lines;
	struct span line;

	lock_lines_init(&lines, l->in->text);
	while (more) {
		more = lock_lines_next(&lines, &line);
		/* Most lines are of texts, and are indented. */
		if (more && line.len && line.ptr[0] == ' ' && span_trim(line).len)
			continue;
		if (!more || span_trim(line).len == 0) {
			if ((files.len || first) && !span_eq(files, SPAN("debian/*")))
				add(l, licence);
			first = first && !files.len && !licence.len;
			files = licence = SPAN("");
		} else if (field(line, SPAN("Files"), &files)) {
			/* "Files:" alone has its patterns in the lines below. */
			if (!files.len)
				files = SPAN("*");
		} else {
			(void)field(line, SPAN("License"), &licence);
		}
	}
}

static bool is_name_char(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
	       c == '-' || c == '.';
}

/*
 * Whether later versions may be chosen too is said in words, so that the narrower reading counts.
 * "…can be found in /usr/share/common-licenses/GPL-2."
 */
static void read_prose(struct licences *l)
{
	static const struct span folder = SPAN_INIT(COMMON);
	struct span rest = l->in->text;

	for (;;) {
		size_t at = span_find(rest, folder), end = 0;

		if (at >= rest.len)
			return;
		rest = span_slice(rest, at + folder.len, rest.len);
		while (end < rest.len && is_name_char(rest.ptr[end]))
			end++;
		while (end > 0 && rest.ptr[end - 1] == '.')
			end--;
		add(l, span_slice(rest, 0, end));
	}
}

int os_dpkg_copyright(const struct lock_input *in, struct err *err)
{
	struct licences l = {.in = in};
	struct span folder = span_slice(in->file, 0, in->file.len - (sizeof("/copyright") - 1));
	struct span package, licence = SPAN(""), text = span_trim(in->text);
	size_t cut;
	bool made = false;

	(void)err;
	for (cut = folder.len; cut > 0 && folder.ptr[cut - 1] != '/'; cut--)
		;
	package = span_slice(folder, cut, folder.len);
	/* Packages of the system come behind all else. */
	for (uint32_t i = in->inv->count; i > 0; i--) {
		struct component *c = &in->inv->at[i - 1];

		if (c->ecosystem != ECOSYSTEM_DPKG)
			break;
		/* The same package may be there for several architectures. */
		if (!span_eq(c->name, package) || c->licence.len)
			continue;
		if (!made) {
			if (span_eq_nocase(span_slice(text, 0, 6), SPAN("Format")))
				read_format(&l);
			else
				read_prose(&l);
			licence = lock_text(in, l.count || !l.public_domain
							? join(&l)
							: SPAN("public-domain"));
			made = true;
		}
		c->licence = licence;
	}
	return 0;
}

void os_dpkg_share_licences(const struct lock_input *in)
{
	struct map sources = MAP_INIT;

	for (uint32_t i = 0; i < in->inv->count; i++) {
		const struct component *c = &in->inv->at[i];

		if (c->ecosystem == ECOSYSTEM_DPKG && c->licence.len)
			lock_index_put(in, &sources, c->source_name, i);
	}
	for (uint32_t i = 0; i < in->inv->count; i++) {
		struct component *c = &in->inv->at[i];
		uint32_t from = c->ecosystem == ECOSYSTEM_DPKG && !c->licence.len
					? lock_index_get(&sources, c->source_name)
					: COMPONENT_NONE;

		if (from != COMPONENT_NONE)
			c->licence = in->inv->at[from].licence;
	}
	map_release(&sources);
}
