/*
 * pypi.c - the simple repository API of Python packages (PEP 503 and, as JSON, PEP 691 and 700). An
 * upstream must speak the JSON form; clients get what they accept. Metadata files (PEP 658) are not
 * offered: clients read the metadata in the file itself, whose digest is checked.
 */
#include "parse/json.h"
#include "parse/json_write.h"
#include "registry/protocol.h"

#define NAME_BYTES_MAX 214
#define FILE_BYTES_MAX 512
#define JSON_TYPE "application/vnd.pypi.simple.v1+json"

/* ---- requests -------------------------------------------------------------------------------- */

static bool is_name_byte(char c)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_separator(char c)
{
	return c == '-' || c == '_' || c == '.';
}

/* PEP 503: lower case, and one '-' for a run of '-', '_' and '.'. ptr NULL without memory. */
static struct span normalise(struct arena *arena, struct span name)
{
	char *to = arena_alloc(arena, name.len + 1);
	size_t len = 0;

	for (size_t i = 0; to && i < name.len; i++) {
		if (!is_separator(name.ptr[i]))
			to[len++] = ascii_lower(name.ptr[i]);
		else if (i == 0 || !is_separator(name.ptr[i - 1]))
			to[len++] = '-';
	}
	return to ? span_of(to, len) : SPAN_NONE;
}

/* PEP 508: letters and digits at both ends. */
static bool is_name(struct span name)
{
	if (name.len == 0 || name.len > NAME_BYTES_MAX || !is_name_byte(name.ptr[0]) ||
	    !is_name_byte(name.ptr[name.len - 1]))
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!is_name_byte(name.ptr[i]) && !is_separator(name.ptr[i]))
			return false;
	return true;
}

/* Of archives: nothing that means something in paths, HTML or addresses. */
static bool is_file(struct span file)
{
	if (file.len == 0 || file.len > FILE_BYTES_MAX || file.ptr[0] == '.')
		return false;
	for (size_t i = 0; i < file.len; i++)
		if (!is_name_byte(file.ptr[i]) && !memchr("-_.+!", file.ptr[i], 5))
			return false;
	return true;
}

/* "/simple/NAME/" and "/files/NAME/FILE". */
static int pypi_read_target(struct arena *arena, struct span path,
			    struct registry_target *target)
{
	struct span rest = path, kind, name;

	*target = (struct registry_target){.kind = REGISTRY_UNKNOWN};
	(void)span_cut(&rest, '/');
	kind = span_cut(&rest, '/');
	name = span_cut(&rest, '/');
	if (!is_name(name))
		return 0;
	target->package = normalise(arena, name);
	if (!target->package.ptr)
		return -1;
	if (span_eq(kind, SPAN("simple")) && rest.len == 0)
		target->kind = REGISTRY_INDEX;
	if (span_eq(kind, SPAN("files")) && is_file(rest)) {
		target->kind = REGISTRY_FILE;
		target->file = rest;
	}
	return 0;
}

static struct span pypi_index_path(struct arena *arena, struct span package)
{
	return arena_printf(arena, "/simple/%.*s/", SPAN_ARG(package));
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The document, and the member of "files" that each file was read from. */
struct simple_index {
	const struct json *root;
	const struct json **files;
};

/* PEP 440 as far as it tells a version from the rest of another name: "1!2.0.post1+local", "v1". */
static bool is_version(struct span version)
{
	size_t from = version.len && ascii_lower(version.ptr[0]) == 'v';

	if (version.len <= from || version.ptr[from] < '0' || version.ptr[from] > '9')
		return false;
	for (size_t i = from; i < version.len; i++)
		if (!is_name_byte(version.ptr[i]) && !memchr("._+!", version.ptr[i], 4))
			return false;
	return true;
}

/*
 * What a file's name says of its version: "name-1.0-py3-none-any.whl", "name-1.0.tar.gz". Empty when it
 * does not say it or is not one of this package; ptr NULL without memory.
 */
static struct span version_of(struct arena *arena, struct span package, struct span file)
{
	static const struct span endings[] = {SPAN_INIT(".tar.gz"), SPAN_INIT(".zip"),
					      SPAN_INIT(".tar.bz2"), SPAN_INIT(".tar.xz"),
					      SPAN_INIT(".tgz")};
	bool wheel = span_ends_with(file, SPAN(".whl"));

	/* Names of older source archives may hold '-' themselves: each place is tried. */
	for (size_t at = 0; at < file.len; at++) {
		struct span name;

		if (file.ptr[at] != '-')
			continue;
		name = normalise(arena, span_slice(file, 0, at));
		if (!name.ptr)
			return SPAN_NONE;
		if (!span_eq(name, package))
			continue;
		file = span_slice(file, at + 1, file.len);
		at = span_find_byte(file, '-');
		if (wheel) /* without tags the ending would be taken for the version's */
			return at < file.len ? span_slice(file, 0, at) : SPAN("");
		for (size_t i = 0; i < COUNT_OF(endings); i++)
			if (span_ends_with(file, endings[i]))
				return span_slice(file, 0, file.len - endings[i].len);
		return SPAN("");
	}
	return SPAN("");
}

static size_t release_of(struct registry_index *index, struct span version)
{
	size_t i = index->count;

	/* Files of a release stand together, mostly: from the end. */
	while (i > 0 && !span_eq(index->releases[i - 1].version, version))
		i--;
	if (i > 0)
		return i - 1;
	index->releases[index->count] = (struct release){
		.version = version, .licence = SPAN(""), .published = SPAN("")};
	return index->count++;
}

/* One that cannot be let through is passed over. -1 when memory ran out. */
static int read_file(struct arena *arena, const struct json *json, struct registry_index *index,
		     struct simple_index *simple)
{
	struct registry_file *file = &index->files[index->file_count];
	struct span version, sha256;

	if (!json_string(json_get(json, SPAN("filename")), &file->name) ||
	    !is_file(file->name) || !json_string(json_get(json, SPAN("url")), &file->url) ||
	    !json_string(json_get(json_get(json, SPAN("hashes")), SPAN("sha256")), &sha256) ||
	    !registry_digest_read(sha256, REGISTRY_SHA256, &file->digest))
		return 0;
	version = version_of(arena, index->package, file->name);
	if (!version.ptr)
		return -1;
	if (!is_version(version))
		return 0;
	file->release = release_of(index, version);
	if (!index->releases[file->release].published.len)
		(void)json_string(json_get(json, SPAN("upload-time")),
				  &index->releases[file->release].published);
	simple->files[index->file_count++] = json;
	return 0;
}

static int pypi_read_index(struct arena *arena, struct span package, struct span text,
			   struct registry_index *index, struct err *err)
{
	struct json_limits limits = JSON_LIMITS_DEFAULT;
	struct simple_index *simple = arena_new(arena, struct simple_index);
	const struct json *files;
	struct span name;
	size_t count;

	limits.max_string_bytes = text.len;
	if (!simple)
		return err_set(err, ERR_MEMORY, "out of memory");
	simple->root = json_parse(arena, text, &limits, err);
	if (!simple->root)
		return err_wrap(err, "not JSON (" JSON_TYPE " is asked for)");
	if (!json_string(json_get(simple->root, SPAN("name")), &name) || !is_name(name))
		return err_set(err, ERR_INVALID, "it has no name");
	name = normalise(arena, name);
	files = json_get(simple->root, SPAN("files"));
	if (name.ptr && !span_eq(name, package))
		return err_set(err, ERR_INVALID, "it is of another package");
	if (!files || files->type != JSON_ARRAY)
		return err_set(err, ERR_INVALID, "it has no files");
	count = files->array.count;
	*index = (struct registry_index){
		.package = package,
		.releases = arena_array(arena, struct release, count + 1),
		.files = arena_array(arena, struct registry_file, count + 1),
		.document = simple};
	simple->files = arena_array(arena, const struct json *, count + 1);
	if (!name.ptr || !index->releases || !index->files || !simple->files)
		return err_set(err, ERR_MEMORY, "out of memory");
	for (size_t i = 0; i < count; i++)
		if (read_file(arena, json_at(files, i), index, simple) < 0)
			return err_set(err, ERR_MEMORY, "out of memory");
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void put_address(struct buf *to, const struct registry_index *index,
			const struct registry_file *file, const struct registry_view *view)
{
	buf_append(to, view->base);
	buf_append_cstr(to, "/files/");
	buf_append(to, index->package);
	buf_append_byte(to, '/');
	buf_append(to, file->name);
}

static bool is_dropped(struct span key)
{
	static const struct span dropped[] = {SPAN_INIT("url"),
					      SPAN_INIT("core-metadata"),
					      SPAN_INIT("dist-info-metadata"),
					      SPAN_INIT("data-dist-info-metadata"),
					      SPAN_INIT("gpg-sig"),
					      SPAN_INIT("provenance")};

	for (size_t i = 0; i < COUNT_OF(dropped); i++)
		if (span_eq(key, dropped[i]))
			return true;
	return false;
}

static void put_file(struct json_writer *w, const struct registry_index *index, size_t at,
		     const struct registry_view *view)
{
	const struct simple_index *simple = index->document;
	const struct json *json = simple->files[at];
	struct buf url;

	buf_init(&url, view->base.len + NAME_BYTES_MAX + FILE_BYTES_MAX + 16);
	put_address(&url, index, &index->files[at], view);
	json_begin_object(w);
	for (size_t i = 0; i < json->object.count; i++)
		if (!is_dropped(json->object.members[i].key)) {
			json_key(w, json->object.members[i].key);
			json_put_tree(w, &json->object.members[i].value);
		}
	json_member_string(w, SPAN("url"), buf_span(&url));
	json_end_object(w);
	if (buf_failed(&url))
		w->to->failed = true;
	buf_release(&url);
}

static void write_json(const struct registry_index *index, const struct registry_view *view,
		       struct buf *to)
{
	struct json_writer w;

	json_writer_init(&w, to);
	json_begin_object(&w);
	json_key(&w, SPAN("meta"));
	json_begin_object(&w);
	json_member_string(&w, SPAN("api-version"), SPAN("1.1"));
	json_end_object(&w);
	json_member_string(&w, SPAN("name"), index->package);
	json_key(&w, SPAN("versions"));
	json_begin_array(&w);
	for (size_t i = 0; i < index->count; i++)
		if (!view->judgements[i].refused)
			json_put_string(&w, index->releases[i].version);
	json_end_array(&w);
	json_key(&w, SPAN("files"));
	json_begin_array(&w);
	for (size_t i = 0; i < index->file_count; i++)
		if (!view->judgements[index->files[i].release].refused)
			put_file(&w, index, i, view);
	json_end_array(&w);
	json_end_object(&w);
}

/* The attributes of PEP 503 and 592. */
static void put_anchor(struct buf *to, const struct registry_index *index, size_t at,
		       const struct registry_view *view)
{
	const struct simple_index *simple = index->document;
	const struct json *yanked = json_get(simple->files[at], SPAN("yanked"));
	struct span requires, why = SPAN("");
	bool is_yanked = json_string(yanked, &why);

	(void)json_bool(yanked, &is_yanked);
	buf_append_cstr(to, "<a href=\"");
	put_address(to, index, &index->files[at], view);
	buf_append_cstr(to, "#sha256=");
	for (size_t i = 0; i < 32; i++)
		buf_printf(to, "%02x", index->files[at].digest.bytes[i]);
	buf_append_byte(to, '"');
	if (json_string(json_get(simple->files[at], SPAN("requires-python")), &requires)) {
		buf_append_cstr(to, " data-requires-python=\"");
		buf_append_html(to, requires);
		buf_append_byte(to, '"');
	}
	if (is_yanked) {
		buf_append_cstr(to, " data-yanked=\"");
		buf_append_html(to, why);
		buf_append_byte(to, '"');
	}
	buf_append_byte(to, '>');
	buf_append_html(to, index->files[at].name);
	buf_append_cstr(to, "</a><br>\n");
}

static void write_html(const struct registry_index *index, const struct registry_view *view,
		       struct buf *to)
{
	buf_append_cstr(to,
			"<!DOCTYPE html>\n<html><head><meta name=\"pypi:repository-version\" "
			"content=\"1.1\"><title>");
	buf_append_html(to, index->package);
	buf_append_cstr(to, "</title></head><body>\n");
	for (size_t i = 0; i < index->file_count; i++)
		if (!view->judgements[index->files[i].release].refused)
			put_anchor(to, index, i, view);
	buf_append_cstr(to, "</body></html>\n");
}

static void pypi_write_index(const struct registry_index *index,
			     const struct registry_view *view, struct buf *to)
{
	if (view->brief)
		write_json(index, view, to);
	else
		write_html(index, view, to);
}

const struct registry_protocol registry_pypi = {
	.name = SPAN_INIT("pypi"),
	.ecosystem = ECOSYSTEM_PYPI,
	.read_target = pypi_read_target,
	.index_path = pypi_index_path,
	.read_index = pypi_read_index,
	.write_index = pypi_write_index,
	.upstream_accept = SPAN_INIT(JSON_TYPE),
	.index_type = SPAN_INIT("text/html; charset=utf-8"),
	.brief_type = SPAN_INIT(JSON_TYPE),
	.file_type = SPAN_INIT("application/octet-stream"),
};
