/*
 * What programs tell of themselves: Go's build information (section .go.buildinfo, or found by its
 * magic), and the list of crates that cargo-auditable adds (section .dep-v0, zlib over JSON).
 */
#include <elf.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "parse/coding.h"
#include "supply/lock_parse.h"

#define AUDIT_BYTES_MAX ((size_t)16 << 20)
#define SECTIONS_MAX 4096

struct elf {
	struct span text;
	bool is64;
	bool big;
	uint64_t section_at;
	uint32_t section_count;
	uint32_t section_bytes;
	struct span names;
	uint64_t segment_at;
	uint32_t segment_count;
	uint32_t segment_bytes;
};

/* An unsigned field of 2, 4 or 8 bytes; 0 outside of the file. */
static uint64_t field(const struct elf *e, uint64_t at, unsigned bytes)
{
	uint64_t value = 0;

	if (at > e->text.len || e->text.len - at < bytes)
		return 0;
	for (unsigned i = 0; i < bytes; i++) {
		unsigned char b = (unsigned char)e->text.ptr[at + (e->big ? i : bytes - 1 - i)];

		value = value << 8 | b;
	}
	return value;
}

static uint64_t address(const struct elf *e, uint64_t base, unsigned offset32,
			unsigned offset64)
{
	return e->is64 ? field(e, base + offset64, 8) : field(e, base + offset32, 4);
}

struct section {
	struct span name;
	struct span bytes;
};

static bool section_at(const struct elf *e, uint32_t index, struct section *s)
{
	uint64_t at = e->section_at + (uint64_t)index * e->section_bytes;
	uint64_t offset, size;

	if (index >= e->section_count || at > e->text.len ||
	    e->text.len - at < e->section_bytes)
		return false;
	s->name = span_slice(e->names, field(e, at, 4), e->names.len);
	s->name = span_slice(s->name, 0, span_find_byte(s->name, '\0'));
	offset = address(e, at, 16, 24);
	size = address(e, at, 20, 32);
	if (field(e, at + 4, 4) == SHT_NOBITS || offset > e->text.len ||
	    e->text.len - offset < size)
		s->bytes = SPAN("");
	else
		s->bytes = span_slice(e->text, offset, offset + size);
	return true;
}

static bool elf_open(struct elf *e, struct span text)
{
	struct section names;
	uint32_t names_index;

	*e = (struct elf){.text = text};
	if (text.len < 52 || memcmp(text.ptr, ELFMAG, SELFMAG) != 0)
		return false;
	e->is64 = text.ptr[EI_CLASS] == ELFCLASS64;
	e->big = text.ptr[EI_DATA] == ELFDATA2MSB;
	e->segment_at = address(e, 0, 28, 32);
	e->section_at = address(e, 0, 32, 40);
	e->segment_bytes = (uint32_t)field(e, e->is64 ? 54 : 42, 2);
	e->segment_count = (uint32_t)field(e, e->is64 ? 56 : 44, 2);
	e->section_bytes = (uint32_t)field(e, e->is64 ? 58 : 46, 2);
	e->section_count = (uint32_t)field(e, e->is64 ? 60 : 48, 2);
	names_index = (uint32_t)field(e, e->is64 ? 62 : 50, 2);
	if (e->section_bytes < (e->is64 ? 64 : 40))
		e->section_count = 0;
	if (e->section_count > SECTIONS_MAX)
		e->section_count = SECTIONS_MAX;
	e->names = SPAN("");
	if (section_at(e, names_index, &names))
		e->names = names.bytes;
	return true;
}

static bool find_section(const struct elf *e, struct span name, struct span *bytes)
{
	struct section s;

	for (uint32_t i = 0; section_at(e, i, &s); i++) {
		if (span_eq(s.name, name)) {
			*bytes = s.bytes;
			return s.bytes.len > 0;
		}
	}
	return false;
}

/* The bytes from a virtual address on, to the end of its segment. */
static struct span at_address(const struct elf *e, uint64_t wanted)
{
	for (uint32_t i = 0; i < e->segment_count; i++) {
		uint64_t at = e->segment_at + (uint64_t)i * e->segment_bytes;
		uint64_t offset = address(e, at, 4, 8);
		uint64_t start = address(e, at, 8, 16);
		uint64_t size = address(e, at, 16, 32);

		if (wanted < start || wanted - start >= size || offset > e->text.len)
			continue;
		if (size > e->text.len - offset)
			size = e->text.len - offset;
		if (wanted - start < size)
			return span_slice(e->text, offset + (wanted - start), offset + size);
	}
	return SPAN("");
}

/* --- Go. */

static const char go_magic[] = "\xff Go buildinf:";

/* A varint length, then so many bytes. */
static struct span inline_string(struct span *rest)
{
	uint64_t length = 0;
	struct span text;
	size_t at = 0;

	for (unsigned shift = 0; at < rest->len && shift < 63; shift += 7) {
		unsigned char b = (unsigned char)rest->ptr[at++];

		length |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			break;
	}
	if (length > rest->len - at)
		length = rest->len - at;
	text = span_slice(*rest, at, at + length);
	*rest = span_slice(*rest, at + length, rest->len);
	return text;
}

/* Before Go 1.18: the address of a string header (address and length). */
static struct span pointed_string(const struct elf *e, uint64_t pointer, unsigned size,
				  bool big)
{
	struct elf as = *e;
	struct span header;
	uint64_t start, length, base;

	as.big = big;
	header = at_address(e, pointer);
	if (header.len < 2 * (size_t)size)
		return SPAN("");
	base = (uint64_t)(header.ptr - e->text.ptr);
	start = field(&as, base, size);
	length = field(&as, base + size, size);
	header = at_address(e, start);
	return span_slice(header, 0, length < header.len ? length : header.len);
}

static struct span plain_version(struct span v)
{
	return v.len > 1 && v.ptr[0] == 'v' ? span_slice(v, 1, v.len) : v;
}

static struct component *add_module(const struct lock_input *in, struct span line,
				    uint32_t *index)
{
	struct span path = span_cut(&line, '\t');
	struct span version = line.ptr ? span_cut(&line, '\t') : SPAN("");

	return lock_add(in, ECOSYSTEM_GO, path, plain_version(version), 0, index);
}

/* "path\t…", "mod\t…", "dep\tpath\tversion\tsum", "=>\tpath\tversion\tsum" lines */
static void take_modules(const struct lock_input *in, struct span text, uint32_t standard)
{
	uint32_t main_module = COMPONENT_NONE, last = COMPONENT_NONE;
	struct lock_lines lines;
	struct span line;

	/* A marker of 16 bytes stands before and after. */
	if (text.len >= 33 && text.ptr[text.len - 17] == '\n')
		text = span_slice(text, 16, text.len - 16);
	lock_lines_init(&lines, text);
	while (lock_lines_next(&lines, &line)) {
		struct component *c;

		if (span_starts_with(line, SPAN("mod\t"))) {
			c = add_module(in, span_slice(line, 4, line.len), &main_module);
			/* "(devel)" is what a build outside of a release says. */
			if (c && c->version.len && c->version.ptr[0] == '(')
				c->version = SPAN("");
			if (c)
				c->local = c->version.len == 0;
			inventory_edge(in->inv, main_module, standard);
			last = main_module;
		} else if (span_starts_with(line, SPAN("dep\t"))) {
			(void)add_module(in, span_slice(line, 4, line.len), &last);
			inventory_edge(in->inv, main_module, last);
		} else if (span_starts_with(line, SPAN("=>\t")) && last != COMPONENT_NONE) {
			struct span rest = span_slice(line, 3, line.len);
			struct span path = span_cut(&rest, '\t');

			c = &in->inv->at[last];
			c->name = lock_text(in, path);
			c->version = lock_text(
				in, plain_version(rest.ptr ? span_cut(&rest, '\t') : SPAN("")));
			c->local = c->version.len == 0;
		}
	}
}

static void take_go(const struct lock_input *in, const struct elf *e, struct span info)
{
	struct span version, modules;
	struct component *c;
	uint32_t standard = COMPONENT_NONE;
	unsigned char flags, size;

	if (info.len < 32)
		return;
	size = (unsigned char)info.ptr[14];
	flags = (unsigned char)info.ptr[15];
	if (flags & 2) {
		struct span rest = span_slice(info, 32, info.len);

		version = inline_string(&rest);
		modules = inline_string(&rest);
	} else {
		struct elf as = *e;
		uint64_t base = (uint64_t)(info.ptr - e->text.ptr) + 16;

		as.big = flags & 1;
		if (size != 4 && size != 8)
			return;
		version = pointed_string(e, field(&as, base, size), size, as.big);
		modules = pointed_string(e, field(&as, base + size, size), size, as.big);
	}
	if (span_starts_with(version, SPAN("go"))) {
		version = span_slice(version, 2, version.len);
		version = span_slice(version, 0, span_find_byte(version, ' '));
		c = lock_add(in, ECOSYSTEM_GO, SPAN("stdlib"), version, 0, &standard);
		if (c)
			c->relation = RELATION_DIRECT;
	}
	take_modules(in, modules, standard);
}

static struct span find_go(const struct elf *e)
{
	struct span section;
	size_t at;

	if (!find_section(e, SPAN(".go.buildinfo"), &section))
		return SPAN("");
	at = span_find(section, span_of(go_magic, sizeof(go_magic) - 1));
	/* The strings may lie behind the section's end; the file's end is the limit. */
	return at < section.len ? span_slice(e->text, (size_t)(section.ptr - e->text.ptr) + at,
					     e->text.len)
				: SPAN("");
}

/* --- cargo-auditable. */

static void take_crates(const struct lock_input *in, const struct node *packages)
{
	uint32_t first = in->inv->count, index = first;

	node_for_each(package, packages)
	{
		struct component *c =
			lock_add(in, ECOSYSTEM_CARGO, node_text_at(package, SPAN("name")),
				 node_text_at(package, SPAN("version")), 0, NULL);

		if (!c)
			return;
		c->local = span_eq(node_text_at(package, SPAN("source")), SPAN("local")) ||
			   node_true(node_get(package, SPAN("root")));
		if (span_eq(node_text_at(package, SPAN("kind")), SPAN("build")))
			c->scope = SCOPE_DEV;
	}
	node_for_each(package, packages)
	{
		node_for_each(required, node_get(package, SPAN("dependencies")))
		{
			uint64_t to;

			if (!span_to_u64(node_text(required), &to) || to >= packages->count)
				continue;
			inventory_edge(in->inv, index, first + (uint32_t)to);
			if (in->inv->at[index].local)
				in->inv->at[first + (uint32_t)to].relation = RELATION_DIRECT;
		}
		index++;
	}
}

static int take_audit(const struct lock_input *in, struct span section, struct err *err)
{
	const struct node *root = NULL;
	struct span text;
	struct buf json;
	int result;

	buf_init(&json, AUDIT_BYTES_MAX);
	result = 0;
	if (coding_decode(CODING_DEFLATE, section, &json) != CODING_OK)
		result = err_set(err, ERR_SYNTAX, "the list of crates is broken");
	if (result == 0) {
		text = arena_dup(in->scratch, buf_span(&json));
		root = text.ptr ? node_parse_json(in->scratch, text, err) : NULL;
		result = root ? 0 : -1;
	}
	buf_release(&json);
	if (root)
		take_crates(in, node_get(root, SPAN("packages")));
	return result;
}

int lock_binary(const struct lock_input *in, struct err *err)
{
	struct span section;
	struct elf e;

	if (!elf_open(&e, in->text))
		return 0;
	section = find_go(&e);
	if (section.len)
		take_go(in, &e, section);
	if (find_section(&e, SPAN(".dep-v0"), &section))
		return take_audit(in, section, err);
	return 0;
}
