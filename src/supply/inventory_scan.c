#include "supply/inventory_scan.h"

#include "base/buf.h"

#define SCRATCH_CHUNK_BYTES ((size_t)1 << 20)
#define KEEP_CHUNK_BYTES ((size_t)64 << 10)
#define ARENA_BYTES_MAX ((size_t)8 << 30)

void scan_init(struct scan *s, struct inventory *inv, const struct inventory_options *options)
{
	*s = (struct scan){.inv = inv, .options = options, .root = -1};
	arena_init(&s->scratch, ARENA_BYTES_MAX, SCRATCH_CHUNK_BYTES);
	arena_init(&s->keep, ARENA_BYTES_MAX, KEEP_CHUNK_BYTES);
}

void scan_release(struct scan *s)
{
	arena_release(&s->scratch);
	arena_release(&s->keep);
	map_release(&s->included);
	map_release(&s->owned);
}

bool scan_count(struct scan *s)
{
	if (s->files == s->options->limits.max_files)
		inventory_problem(s->inv, SPAN(""), 0,
				  "more than %u files: the others were not looked at",
				  s->options->limits.max_files);
	if (s->files <= s->options->limits.max_files)
		s->files++;
	return s->files <= s->options->limits.max_files;
}

/* The number after "line ", which is cut off. */
static uint32_t cut_line(struct span *message)
{
	size_t colon = span_find_byte(*message, ':');
	uint64_t line;

	if (!span_starts_with(*message, SPAN("line ")) ||
	    !span_to_u64(span_slice(*message, 5, colon), &line) || line > UINT32_MAX)
		return 0;
	*message = span_trim(span_slice(*message, colon + 1, message->len));
	return (uint32_t)line;
}

void scan_problem(struct scan *s, struct span path, const struct err *err)
{
	struct span message = span_cstr(err->message);
	uint32_t line = cut_line(&message);

	inventory_problem(s->inv, path, line, "%.*s", SPAN_ARG(message));
}

/* "a/b/c" -> "a/b/" */
static struct span folder_of(struct span path)
{
	size_t cut = path.len;

	while (cut > 0 && path.ptr[cut - 1] != '/')
		cut--;
	return span_slice(path, 0, cut);
}

/* Drops "." and resolves ".."; empty when it leads out of the folder. In the arena. */
static struct span normalised(struct arena *a, struct span folder, struct span path)
{
	struct span whole = arena_printf(a, "%.*s%.*s", SPAN_ARG(folder), SPAN_ARG(path));
	struct span rest = whole;
	size_t length = 0;
	char *to;

	if (!whole.ptr || (path.len && path.ptr[0] == '/'))
		return SPAN("");
	to = arena_alloc(a, whole.len + 1);
	if (!to)
		return SPAN("");
	while (rest.ptr) {
		struct span part = span_cut(&rest, '/');

		if (part.len == 0 || span_eq(part, SPAN(".")))
			continue;
		if (span_eq(part, SPAN(".."))) {
			if (length == 0)
				return SPAN("");
			while (length > 0 && to[length - 1] != '/')
				length--;
			length -= length > 0;
			continue;
		}
		if (length)
			to[length++] = '/';
		memcpy(to + length, part.ptr, part.len);
		length += part.len;
	}
	return span_of(to, length);
}

static struct span beside(void *context, struct span path)
{
	struct scan *s = context;
	struct span whole = normalised(&s->scratch, folder_of(s->path), path);

	if (!whole.len || s->root < 0)
		return SPAN_NONE;
	return scan_read(s->root, whole, s->options->limits.max_file_bytes, &s->scratch, NULL);
}

static void include(void *context, struct span path)
{
	struct scan *s = context;
	struct scan_include *i = arena_new(&s->keep, struct scan_include);
	struct span whole = normalised(&s->keep, folder_of(s->path), path);

	if (!i) {
		s->inv->failed = true;
		return;
	}
	if (!whole.len || map_get(&s->included, whole))
		return;
	if (map_put(&s->included, whole, i) < 0)
		s->inv->failed = true;
	*i = (struct scan_include){s->includes, whole};
	s->includes = i;
}

/* --- Owners: OS packages come after the files that they may own. */

/* "a.jar!/b.jar" -> "a.jar": what is in an archive is owned with it. */
static struct span without_inner(struct span file)
{
	return span_slice(file, 0, span_find(file, SPAN("!/")));
}

static void owns(void *context, uint32_t package, struct span folder, struct span file)
{
	struct scan *s = context;
	char text[4096];
	struct span path = file;
	uint32_t index;

	if (folder.len) {
		if (folder.len + file.len + 1 > sizeof(text))
			return;
		memcpy(text, folder.ptr, folder.len);
		text[folder.len] = '/';
		memcpy(text + folder.len + 1, file.ptr, file.len);
		path = span_of(text, folder.len + 1 + file.len);
	}
	while (path.len && (path.ptr[0] == '/' || span_starts_with(path, SPAN("./"))))
		path = span_slice(path, 1, path.len);
	index = lock_index_get(&s->owned, path);
	/* "lib" is a link to "usr/lib" nowadays, and packages still say "lib". */
	if (index == COMPONENT_NONE && path.len + 4 < sizeof(text) &&
	    (span_starts_with(path, SPAN("lib")) || span_starts_with(path, SPAN("bin/")) ||
	     span_starts_with(path, SPAN("sbin/")))) {
		char merged[4096];

		memcpy(merged, "usr/", 4);
		memcpy(merged + 4, path.ptr, path.len);
		index = lock_index_get(&s->owned, span_of(merged, path.len + 4));
	}
	if (index == COMPONENT_NONE)
		return;
	path = without_inner(s->inv->at[index].file);
	for (uint32_t i = index;
	     i < s->inv->count && span_eq(without_inner(s->inv->at[i].file), path); i++)
		s->inv->at[i].owner = package;
}

static void collect_owned(struct scan *s)
{
	const struct lock_input in = {.inv = s->inv};
	struct span last = SPAN_NONE;

	for (uint32_t i = 0; i < s->inv->count; i++) {
		struct span file = s->inv->at[i].file;

		if (file.ptr == last.ptr)
			continue;
		last = file;
		lock_index_put(&in, &s->owned, without_inner(file), i);
	}
}

/* --- Parsing. */

static void parse_now(struct scan *s, const struct detector *d, struct span path,
		      struct span text, uint32_t layer)
{
	struct lock_input in = {
		.inv = s->inv,
		.scratch = &s->scratch,
		.file = inventory_text(s->inv, path),
		.text = text,
		.layer = layer,
		.beside = beside,
		.include = include,
		.owns = owns,
		.requires = scan_wish,
		.context = s,
	};
	struct err err = {0};

	s->path = in.file;
	if (d->kind == DETECT_ARCHIVE)
		archive_java(s, in.file, text, layer);
	else if (d->parse(&in, &err) < 0)
		scan_problem(s, path, &err);
	arena_reset(&s->scratch);
}

void scan_take(struct scan *s, const struct detector *detector, struct span path,
	       struct span text, uint32_t layer)
{
	struct scan_later *l;

	if (detector->kind == DETECT_FILE || detector->kind == DETECT_ARCHIVE ||
	    detector->kind == DETECT_BINARY || detector->kind == DETECT_SYSTEM) {
		parse_now(s, detector, path, text, layer);
		return;
	}
	l = arena_new(&s->keep, struct scan_later);
	if (!l) {
		s->inv->failed = true;
		return;
	}
	*l = (struct scan_later){s->later[detector->kind], detector, arena_dup(&s->keep, path),
				 arena_dup(&s->keep, text), layer};
	if (!l->path.ptr || !l->text.ptr) {
		s->inv->failed = true;
		return;
	}
	s->later[detector->kind] = l;
}

/* They were put in front, so that the last comes first: turned, so that paths are in order. */
static struct scan_later *in_order(struct scan_later *list)
{
	struct scan_later *turned = NULL;

	while (list) {
		struct scan_later *next = list->next;

		list->next = turned;
		turned = list;
		list = next;
	}
	return turned;
}

static void parse_later(struct scan *s, enum detect_kind kind)
{
	for (const struct scan_later *l = in_order(s->later[kind]); l; l = l->next)
		parse_now(s, l->detector, l->path, l->text, l->layer);
	s->later[kind] = NULL;
}

/* go.mod tells all modules since Go 1.17; where it is beside go.sum and new enough, it does. */
static bool go_mod_tells_all(struct scan *s, struct span path)
{
	struct span version = SPAN(""), rest;
	uint64_t major, minor;

	s->path = path;
	rest = beside(s, SPAN("go.mod"));
	while (rest.ptr && rest.len) {
		struct span line = span_trim(span_cut(&rest, '\n'));

		if (span_starts_with(line, SPAN("go ")))
			version = span_trim(span_slice(line, 3, line.len));
	}
	if (!span_to_u64(span_slice(version, 0, span_find_byte(version, '.')), &major))
		return false;
	version = span_slice(version, span_find_byte(version, '.') + 1, version.len);
	version = span_slice(version, 0, span_find_byte(version, '.'));
	return span_to_u64(version, &minor) && (major > 1 || minor >= 17);
}

static void parse_go_sums(struct scan *s)
{
	for (const struct scan_later *l = in_order(s->later[DETECT_GO_SUM]); l; l = l->next) {
		if (!go_mod_tells_all(s, l->path))
			parse_now(s, l->detector, l->path, l->text, l->layer);
		arena_reset(&s->scratch);
	}
	s->later[DETECT_GO_SUM] = NULL;
}

static void read_includes(struct scan *s)
{
	static const struct detector requirements = {DETECT_FILE, lock_requirements};

	while (s->includes) {
		struct span path = s->includes->path;
		const struct detector *d = detect_file(path, false);
		struct err err = {0};
		struct span text;

		s->includes = s->includes->next;
		/* The walk finds by itself what has the right name. */
		if (s->root < 0 || (d && d->parse == lock_requirements &&
				    s->options->source != INVENTORY_FILE))
			continue;
		text = scan_read(s->root, path, s->options->limits.max_file_bytes, &s->keep,
				 &err);
		if (text.ptr)
			parse_now(s, &requirements, path, text, COMPONENT_NONE);
		else
			scan_problem(s, path, &err);
	}
}

void scan_finish(struct scan *s)
{
	read_includes(s);
	parse_go_sums(s);
	collect_owned(s);
	parse_later(s, DETECT_PACKAGES);
	parse_later(s, DETECT_OWNERS);
	os_dpkg_share_licences(&(struct lock_input){.inv = s->inv});
	scan_link(s);
}
