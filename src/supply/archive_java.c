/* Java archives: pom.properties tell what is in them, else the manifest and the file's name. */
#include <archive.h>
#include <archive_entry.h>

#include "base/buf.h"
#include "base/mem.h"
#include "supply/inventory_scan.h"
#include "supply/licence.h"

#define SMALL_BYTES_MAX ((size_t)1 << 20)
#define PIECE_BYTES ((size_t)65536)

/* What pom.xml and pom.properties of one folder tell, in either order. */
struct jar_part {
	struct jar_part *next;
	struct span folder;
	uint32_t component; /* or COMPONENT_NONE */
	struct span licence;
};

/* Of one archive. */
struct jar {
	struct scan *scan;
	struct span path;
	uint32_t layer;
	unsigned depth;
	bool has_pom;
	struct span title; /* of the manifest */
	struct span version;
	struct span vendor;
	struct span bundle;
	struct span licence;
	struct jar_part *parts;
	uint32_t own; /* the last component of this archive, those in it aside */
	unsigned own_count;
};

static void read_jar(struct scan *s, struct span path, struct span bytes, uint32_t layer,
		     unsigned depth);

/* "key=value" lines, of pom.properties; "Key: value", of manifests. */
static struct span value_of(struct span text, struct span key, char separator)
{
	struct lock_lines lines;
	struct span line;

	lock_lines_init(&lines, text);
	while (lock_lines_next(&lines, &line)) {
		size_t cut = span_find_byte(line, separator);

		if (cut < line.len && span_eq(span_trim(span_slice(line, 0, cut)), key))
			return span_trim(span_slice(line, cut + 1, line.len));
	}
	return SPAN("");
}

static struct jar_part *part_of(struct jar *j, struct span name)
{
	struct jar_part *p;
	size_t cut = name.len;

	while (cut > 0 && name.ptr[cut - 1] != '/')
		cut--;
	name = span_slice(name, 0, cut);
	for (p = j->parts; p; p = p->next) {
		if (span_eq(p->folder, name))
			return p;
	}
	p = arena_new(&j->scan->scratch, struct jar_part);
	if (!p) {
		j->scan->inv->failed = true;
		return NULL;
	}
	*p = (struct jar_part){j->parts, arena_dup(&j->scan->scratch, name), COMPONENT_NONE,
			       SPAN("")};
	j->parts = p;
	return p;
}

/* The SPDX identifier, where the name is one that is known; several are a choice. */
static struct span add_licence(struct inventory *inv, struct span all, struct span name)
{
	struct span id = licence_id(name);

	if (!id.len)
		id = span_slice(span_trim(name), 0, 100);
	if (!id.len)
		return all;
	return all.len ? inventory_join(inv, all, SPAN(" OR "), id) : inventory_text(inv, id);
}

static struct span licence_of_pom(struct jar *j, struct span text)
{
	const struct node *root = lock_parse_xml(&j->scan->scratch, text, NULL);
	struct span all = SPAN("");

	node_for_each(licence, node_get(root, SPAN("licenses")))
	{
		all = add_licence(j->scan->inv, all, node_text_at(licence, SPAN("name")));
	}
	return all;
}

static uint32_t add(struct jar *j, struct span group, struct span artifact, struct span version)
{
	struct inventory *inv = j->scan->inv;
	struct component c = {
		.ecosystem = ECOSYSTEM_MAVEN,
		.name = group.len ? inventory_join(inv, group, SPAN(":"), artifact)
				  : inventory_text(inv, artifact),
		.version = inventory_text(inv, version),
		.file = j->path,
		.layer = j->layer,
		.owner = COMPONENT_NONE,
	};

	j->own = inventory_add(inv, &c);
	j->own_count += j->own != COMPONENT_NONE;
	return j->own;
}

static void take_pom(struct jar *j, struct span name, struct span text)
{
	struct jar_part *part = part_of(j, name);
	struct span group = value_of(text, SPAN("groupId"), '=');
	struct span artifact = value_of(text, SPAN("artifactId"), '=');
	struct span version = value_of(text, SPAN("version"), '=');

	if (!group.len || !artifact.len) {
		inventory_problem(j->scan->inv, j->path, 0,
				  "pom.properties without groupId and artifactId");
		return;
	}
	j->has_pom = true;
	if (part)
		part->component = add(j, group, artifact, version);
}

static void take_project(struct jar *j, struct span name, struct span text)
{
	struct jar_part *part = part_of(j, name);

	if (part)
		part->licence = licence_of_pom(j, text);
}

static void take_manifest(struct jar *j, struct span text)
{
	struct inventory *inv = j->scan->inv;
	struct span bundle = value_of(text, SPAN("Bundle-SymbolicName"), ':');
	struct span licence = value_of(text, SPAN("Bundle-License"), ':');

	licence = span_slice(licence, 0, span_find_byte(licence, ';'));
	j->title = inventory_text(inv, value_of(text, SPAN("Implementation-Title"), ':'));
	j->version = inventory_text(inv, value_of(text, SPAN("Implementation-Version"), ':'));
	if (!j->version.len)
		j->version = inventory_text(inv, value_of(text, SPAN("Bundle-Version"), ':'));
	j->vendor = inventory_text(inv, value_of(text, SPAN("Implementation-Vendor-Id"), ':'));
	j->bundle = inventory_text(inv, span_slice(bundle, 0, span_find_byte(bundle, ';')));
	/* "Apache-2.0;link=\"...\"", or an address of the text, which says nothing here. */
	if (span_find(licence, SPAN("://")) == licence.len)
		j->licence = add_licence(inv, SPAN(""), licence);
}

/* "a/b/name-1.2.3.jar" -> name and version; false when no part looks like a version. */
static bool split_name(struct span path, struct span *name, struct span *version)
{
	size_t cut = path.len;

	while (cut > 0 && path.ptr[cut - 1] != '/')
		cut--;
	path = span_slice(path, cut, path.len);
	for (cut = path.len; cut > 0 && path.ptr[cut - 1] != '.'; cut--)
		;
	path = span_slice(path, 0, cut ? cut - 1 : path.len);
	*name = path;
	*version = SPAN("");
	for (size_t i = 1; i + 1 < path.len; i++) {
		if (path.ptr[i] == '-' && path.ptr[i + 1] >= '0' && path.ptr[i + 1] <= '9') {
			*name = span_slice(path, 0, i);
			*version = span_slice(path, i + 1, path.len);
			return true;
		}
	}
	return false;
}

/* Without pom.properties: the file's name, and what the manifest says. */
static void guess(struct jar *j)
{
	struct span name, version, group = j->vendor;
	bool named = split_name(j->path, &name, &version);

	if (!named)
		version = j->version;
	if (!version.len || !name.len)
		return;
	/* "org.example.name" of a bundle: the group is mostly what stands before the name. */
	if (!group.len && span_ends_with(j->bundle, name) && j->bundle.len > name.len + 1)
		group = span_slice(j->bundle, 0, j->bundle.len - name.len - 1);
	(void)add(j, group, name, version);
}

/* Of what pom.xml says nothing, the manifest's licence is that of the whole archive. */
static void set_licences(const struct jar *j)
{
	struct inventory *inv = j->scan->inv;

	for (const struct jar_part *p = j->parts; p; p = p->next) {
		if (p->component != COMPONENT_NONE)
			inv->at[p->component].licence = p->licence;
	}
	if (j->own_count == 1 && !inv->at[j->own].licence.len && j->licence.len)
		inv->at[j->own].licence = j->licence;
}

/* The entry's content into the scratch arena; SPAN_NONE when it is larger, or broken. */
static struct span content(struct jar *j, struct archive *a, size_t max_bytes)
{
	struct span text = SPAN_NONE;
	struct buf b;
	la_ssize_t got;

	buf_init(&b, max_bytes + PIECE_BYTES);
	while (b.len <= max_bytes && buf_reserve(&b, PIECE_BYTES) == 0) {
		got = archive_read_data(a, b.ptr + b.len, PIECE_BYTES);
		if (got == 0)
			text = b.len ? arena_dup(&j->scan->scratch, buf_span(&b)) : SPAN("");
		if (got <= 0)
			break;
		b.len += (size_t)got;
		j->scan->unpacked_bytes += (size_t)got;
		if (j->scan->unpacked_bytes > j->scan->options->limits.max_unpacked_bytes)
			break;
	}
	buf_release(&b);
	return text;
}

static bool is_inner_archive(struct span name)
{
	const struct detector *d = detect_file(name, false);

	return d && d->kind == DETECT_ARCHIVE;
}

static void take_entry(struct jar *j, struct archive *a, struct archive_entry *entry)
{
	struct scan *s = j->scan;
	struct span name = span_cstr(archive_entry_pathname(entry));
	bool maven = span_starts_with(name, SPAN("META-INF/maven/"));
	bool pom = maven && span_ends_with(name, SPAN("/pom.properties"));
	bool project = maven && span_ends_with(name, SPAN("/pom.xml"));
	bool manifest = span_eq(name, SPAN("META-INF/MANIFEST.MF"));
	struct span bytes;

	if (archive_entry_filetype(entry) != AE_IFREG)
		return;
	if (pom || project || manifest) {
		bytes = content(j, a, SMALL_BYTES_MAX);
		if (!bytes.ptr)
			inventory_problem(s->inv, j->path, 0, "%.*s cannot be read",
					  SPAN_ARG(name));
		else if (pom)
			take_pom(j, name, bytes);
		else if (project)
			take_project(j, name, bytes);
		else
			take_manifest(j, bytes);
	} else if (is_inner_archive(name)) {
		struct span path = inventory_join(s->inv, j->path, SPAN("!/"), name);

		if (j->depth >= s->options->limits.max_archive_depth) {
			inventory_problem(s->inv, path, 0, "archives nested too deeply");
			return;
		}
		bytes = content(j, a, s->options->limits.max_file_bytes);
		if (bytes.ptr)
			read_jar(s, path, bytes, j->layer, j->depth + 1);
		else
			inventory_problem(s->inv, path, 0, "cannot be read, or is too large");
	}
}

static void read_jar(struct scan *s, struct span path, struct span bytes, uint32_t layer,
		     unsigned depth)
{
	struct jar j = {.scan = s, .path = path, .layer = layer, .depth = depth};
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	int result;

	if (!a || archive_read_support_format_zip_seekable(a) != ARCHIVE_OK ||
	    archive_read_open_memory(a, bytes.ptr, bytes.len) != ARCHIVE_OK) {
		inventory_problem(s->inv, path, 0, "not a zip archive: %s",
				  a ? archive_error_string(a) : "no memory");
		(void)archive_read_free(a);
		return;
	}
	while ((result = archive_read_next_header(a, &entry)) == ARCHIVE_OK ||
	       result == ARCHIVE_WARN) {
		if (!scan_count(s))
			break;
		take_entry(&j, a, entry);
		if (s->unpacked_bytes > s->options->limits.max_unpacked_bytes) {
			inventory_problem(s->inv, path, 0, "unpacks to too much");
			break;
		}
	}
	if (result != ARCHIVE_EOF && result != ARCHIVE_OK && result != ARCHIVE_WARN)
		inventory_problem(s->inv, path, 0, "a broken archive: %s",
				  archive_error_string(a));
	(void)archive_read_free(a);
	if (!j.has_pom)
		guess(&j);
	set_licences(&j);
}

void archive_java(struct scan *s, struct span path, struct span bytes, uint32_t layer)
{
	read_jar(s, path, bytes, layer, 0);
}
