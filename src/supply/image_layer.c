#include "supply/image_layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

#include "base/buf.h"
#include "supply/image_tar.h"

#define PIECE_BYTES ((size_t)65536)
#define BINARY_BYTES_MIN 65536
#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"

enum {
	MARK_FILE = 1, /* anything that is no folder */
	MARK_GONE = 2, /* a whiteout */
	MARK_OPAQUE = 4, /* a folder that shows nothing of the layers below */
};

struct layer_mark {
	struct layer_mark *next; /* of the same layer */
	struct span path;
	unsigned flags;
};

struct layer_marks {
	struct layer_mark *first;
};

void layers_init(struct layers *l, struct scan *scan)
{
	*l = (struct layers){.scan = scan, .upper = MAP_INIT};
}

void layers_release(struct layers *l)
{
	map_release(&l->upper);
}

/* --- What is hidden. */

static unsigned mark_at(const struct layers *l, struct span path)
{
	const struct layer_mark *m = map_get(&l->upper, path);

	return m ? m->flags : 0;
}

/* The flags that hide the path: of itself, or of a folder above it. */
static unsigned hidden_by(const struct layers *l, struct span path)
{
	unsigned flags = mark_at(l, path) & (MARK_FILE | MARK_GONE);

	for (size_t i = path.len; flags == 0 && i > 0; i--) {
		if (path.ptr[i - 1] == '/' && mark_at(l, span_slice(path, 0, i - 1)))
			flags = MARK_GONE;
	}
	return flags;
}

static void mark(struct layers *l, struct layer_marks *own, struct span path, unsigned flags)
{
	struct layer_mark *m = arena_new(&l->scan->keep, struct layer_mark);

	if (m)
		m->path = path.len ? arena_dup(&l->scan->keep, path) : SPAN("");
	if (!m || !m->path.ptr) {
		l->scan->inv->failed = true;
		return;
	}
	m->flags = flags;
	m->next = own->first;
	own->first = m;
}

/* A layer hides only what is in those below it, so its marks count when it has been read. */
static void publish(struct layers *l, struct layer_marks *own)
{
	struct layer_mark *m = own->first;

	while (m) {
		struct layer_mark *next = m->next;
		struct layer_mark *known = map_get(&l->upper, m->path);

		if (known)
			known->flags |= m->flags;
		else if (map_put(&l->upper, m->path, m) < 0)
			l->scan->inv->failed = true;
		m = next;
	}
	own->first = NULL;
}

/* --- Entries. */

/* The content, up to the limit; false with *too_large, or a broken archive. */
static bool read_content(struct layers *l, struct archive *a, bool only_elf, struct buf *to,
			 bool *too_large)
{
	size_t max = l->scan->options->limits.max_file_bytes;

	buf_clear(to);
	*too_large = false;
	for (;;) {
		la_ssize_t got;

		if (to->len > max) {
			*too_large = true;
			return false;
		}
		/* There is room for a piece below its maximum: it is memory that ran out. */
		if (buf_reserve(to, PIECE_BYTES) < 0) {
			l->scan->inv->failed = true;
			return false;
		}
		got = archive_read_data(a, to->ptr + to->len, PIECE_BYTES);
		if (got <= 0)
			return got == 0;
		to->len += (size_t)got;
		if (only_elf && !span_starts_with(buf_span(to), SPAN("\x7f"
								     "ELF")))
			return false;
	}
}

static void keep_older(struct layers *l, const struct detector *d, struct span path,
		       struct span text, uint32_t index)
{
	struct older_database *older = arena_new(&l->scan->keep, struct older_database);

	if (!older) {
		l->scan->inv->failed = true;
		return;
	}
	*older = (struct older_database){l->older, d, arena_dup(&l->scan->keep, path),
					 arena_dup(&l->scan->keep, text), index};
	if (older->text.ptr && older->path.ptr)
		l->older = older;
}

/* Does the inventory look into it? */
static bool is_wanted(const struct detector *d, struct archive_entry *entry, unsigned hidden)
{
	if (!d || (hidden && (hidden != MARK_FILE || d->kind != DETECT_PACKAGES)))
		return false;
	return d->kind != DETECT_BINARY || ((archive_entry_perm(entry) & 0111) &&
					    archive_entry_size(entry) >= BINARY_BYTES_MIN);
}

static bool is_visited(const struct scan *s, struct archive_entry *entry, struct span path)
{
	const struct inventory_visitor *v = s->options->visitor;
	la_int64_t bytes = archive_entry_size(entry);

	return v && v->wants(v->context, path, bytes < 0 ? UINT64_MAX : (uint64_t)bytes);
}

static void take_file(struct layers *l, struct archive *a, struct archive_entry *entry,
		      struct span path, uint32_t index, struct buf *content)
{
	struct scan *s = l->scan;
	const struct detector *d = detect_file(path, true);
	unsigned hidden = hidden_by(l, path);
	bool visited = is_visited(s, entry, path), binary, too_large;

	if (!is_wanted(d, entry, hidden))
		d = NULL;
	if (!d && !visited)
		return;
	binary = d && d->kind == DETECT_BINARY;
	if (!read_content(l, a, binary && !visited, content, &too_large)) {
		if (too_large)
			inventory_problem(s->inv, path, 0, "larger than %zu bytes",
					  s->options->limits.max_file_bytes);
		return;
	}
	if (visited) {
		const struct inventory_visit visit = {path, buf_span(content), index,
						      hidden != 0};

		s->options->visitor->file(s->options->visitor->context, &visit);
	}
	if (!d || (binary && !span_starts_with(buf_span(content), SPAN("\x7f"
								       "ELF"))))
		return;
	if (hidden)
		keep_older(l, d, path, buf_span(content), index);
	else
		scan_take(s, d, path, buf_span(content), index);
}

static void take_entry(struct layers *l, struct layer_marks *own, struct archive *a,
		       struct archive_entry *entry, uint32_t index, struct buf *content)
{
	struct span path =
		tar_path(&l->scan->scratch, span_cstr(archive_entry_pathname(entry)));
	size_t cut = path.len;
	struct span folder, name;

	if (!path.len || archive_entry_filetype(entry) == AE_IFDIR)
		return;
	while (cut > 0 && path.ptr[cut - 1] != '/')
		cut--;
	folder = span_slice(path, 0, cut ? cut - 1 : 0);
	name = span_slice(path, cut, path.len);
	if (span_eq(name, SPAN(OPAQUE))) {
		mark(l, own, folder, MARK_OPAQUE);
	} else if (span_starts_with(name, SPAN(WHITEOUT))) {
		char text[4096];

		name = span_slice(name, sizeof(WHITEOUT) - 1, name.len);
		if (path.len >= sizeof(text))
			return;
		memcpy(text, path.ptr, cut);
		memcpy(text + cut, name.ptr, name.len);
		mark(l, own, span_of(text, cut + name.len), MARK_GONE);
	} else {
		mark(l, own, path, MARK_FILE);
		if (archive_entry_filetype(entry) == AE_IFREG && !archive_entry_hardlink(entry))
			take_file(l, a, entry, path, index, content);
	}
}

static struct archive *open_layer(struct span bytes)
{
	struct archive *a = archive_read_new();

	if (!a)
		return NULL;
	if (archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
	    archive_read_support_filter_zstd(a) != ARCHIVE_OK ||
	    archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_support_format_empty(a) != ARCHIVE_OK ||
	    archive_read_open_memory(a, bytes.ptr, bytes.len) != ARCHIVE_OK) {
		(void)archive_read_free(a);
		return NULL;
	}
	return a;
}

static size_t unpacked_now(struct archive *a)
{
	la_int64_t bytes = archive_filter_bytes(a, 0);

	return bytes > 0 ? (size_t)bytes : 0;
}

/* What is left of an entry, in pieces, so that a bomb is noticed while it goes off. */
static bool skip_rest(const struct scan *s, struct archive *a)
{
	size_t max = s->options->limits.max_unpacked_bytes;
	const void *block;
	la_int64_t offset;
	size_t size;

	while (s->unpacked_bytes <= max && unpacked_now(a) <= max - s->unpacked_bytes)
		if (archive_read_data_block(a, &block, &size, &offset) != ARCHIVE_OK)
			return true; /* its end; what is broken shows at the next head */
	return false;
}

void layers_read(struct layers *l, struct span bytes, uint32_t index, struct span name)
{
	struct scan *s = l->scan;
	struct archive *a = open_layer(bytes);
	struct layer_marks own = {NULL};
	struct archive_entry *entry;
	struct buf content;
	int result = ARCHIVE_OK;

	if (!a) {
		inventory_problem(s->inv, name, 0, "a layer that is no tar archive");
		return;
	}
	buf_init(&content, s->options->limits.max_file_bytes + 2 * PIECE_BYTES);
	while (scan_count(s) && ((result = archive_read_next_header(a, &entry)) == ARCHIVE_OK ||
				 result == ARCHIVE_WARN)) {
		take_entry(l, &own, a, entry, index, &content);
		arena_reset(&s->scratch);
		if (!skip_rest(s, a)) {
			inventory_problem(s->inv, name, 0, "a layer that unpacks to too much");
			break;
		}
	}
	s->unpacked_bytes += unpacked_now(a);
	if (result == ARCHIVE_FATAL && archive_errno(a) == ENOMEM)
		s->inv->failed = true;
	if (result == ARCHIVE_FATAL || result == ARCHIVE_FAILED)
		inventory_problem(s->inv, name, 0, "a broken layer: %s",
				  archive_error_string(a));
	buf_release(&content);
	(void)archive_read_free(a);
	publish(l, &own);
}

/* --- Which layer brought a package. */

static struct span package_key(struct arena *a, const struct component *c)
{
	return arena_printf(a, "%.*s\n%.*s\n%.*s", SPAN_ARG(c->name), SPAN_ARG(c->version),
			    SPAN_ARG(c->arch));
}

static void attribute(struct layers *l, const struct older_database *older)
{
	struct scan *s = l->scan;
	struct inventory old;
	struct map packages = MAP_INIT;
	const struct lock_input in = {.inv = &old,
				      .scratch = &s->scratch,
				      .file = older->path,
				      .text = older->text,
				      .layer = older->layer};

	inventory_init(&old, INVENTORY_TEXT_BYTES);
	(void)older->detector->parse(&in, NULL);
	for (uint32_t i = 0; i < old.count; i++)
		lock_index_put(&in, &packages, package_key(&old.arena, &old.at[i]), i);
	for (uint32_t i = 0; i < s->inv->count; i++) {
		struct component *c = &s->inv->at[i];

		if (!span_eq(c->file, older->path) || c->layer == COMPONENT_NONE ||
		    c->layer < older->layer)
			continue;
		if (lock_index_get(&packages, package_key(&s->scratch, c)) != COMPONENT_NONE)
			c->layer = older->layer;
	}
	map_release(&packages);
	inventory_release(&old);
	arena_reset(&s->scratch);
}

void layers_attribute(struct layers *l)
{
	/* The lowest comes first, and what it has given is not given again. */
	for (const struct older_database *o = l->older; o; o = o->next)
		attribute(l, o);
}
