#include "contract/document.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "contract/document_tree.h"
#include "parse/uri.h"

#define CHUNK_BYTES ((size_t)64 << 10)
#define READ_BYTES ((size_t)64 << 10)

struct document_set {
	struct document_limits limits;
	document_read_function *read;
	void *context;
	struct arena arena;
	struct span root; /* as it was named; ptr NULL: none */
	struct map by_name;
	const struct document **documents;
	size_t count;
	size_t cap;
	size_t nodes;
	struct tree_regions regions;
};

/* ---- sets ------------------------------------------------------------------------------------ */

struct document_set *document_set_new(const char *root, document_read_function *read,
				      void *context, const struct document_limits *limits,
				      struct err *err)
{
	struct document_set *set = mem_zalloc(1, sizeof(*set));

	if (!set) {
		(void)err_set(err, ERR_MEMORY, "no memory for documents");
		return NULL;
	}
	set->limits = limits ? *limits : DOCUMENT_LIMITS_DEFAULT;
	set->read = read;
	set->context = context;
	set->by_name = MAP_INIT;
	arena_init(&set->arena, set->limits.max_memory_bytes, CHUNK_BYTES);
	if (root) {
		set->root = arena_dup(&set->arena, span_cstr(root));
		if (!set->root.ptr) {
			(void)err_set(err, ERR_MEMORY, "no memory for documents");
			document_set_free(set);
			return NULL;
		}
	}
	return set;
}

void document_set_free(struct document_set *set)
{
	if (!set)
		return;
	map_release(&set->by_name);
	mem_free(set->regions.at);
	mem_free(set->documents);
	arena_release(&set->arena);
	mem_free(set);
}

size_t document_count(const struct document_set *set)
{
	return set->count;
}

const struct document *document_at(const struct document_set *set, size_t index)
{
	return index < set->count ? set->documents[index] : NULL;
}

/* ---- reading files --------------------------------------------------------------------------- */

/* True when `path`, links resolved, lies in `root`, links resolved. */
static bool lies_beneath(const char *root, const char *path)
{
	char real_root[PATH_MAX];
	char real_path[PATH_MAX];
	struct span folder;

	if (!realpath(root, real_root) || !realpath(path, real_path))
		return false;
	folder = span_cstr(real_root);
	if (span_eq(folder, SPAN("/")))
		return true;
	return span_starts_with(span_cstr(real_path), folder) && real_path[folder.len] == '/';
}

static int read_all(int fd, const char *path, struct buf *to, struct err *err)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return err_set_errno(err, errno, "cannot read '%s'", path);
	if (!S_ISREG(status.st_mode))
		return err_set(err, ERR_INVALID, "'%s' is not a file", path);
	for (;;) {
		size_t room = to->max - to->len < READ_BYTES ? to->max - to->len : READ_BYTES;
		ssize_t got;

		if (room == 0)
			return err_set(err, ERR_LIMIT, "'%s' is larger than %zu bytes", path,
				       to->max - 1);
		if (buf_reserve(to, room) < 0)
			return err_set(err, ERR_MEMORY, "no memory for '%s'", path);
		got = read(fd, to->ptr + to->len, room);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set_errno(err, errno, "cannot read '%s'", path);
		if (got == 0)
			return 0;
		to->len += (size_t)got;
	}
}

static int read_file(const char *root, const char *name, struct buf *to, struct err *err)
{
	char path[PATH_MAX];
	int length = snprintf(path, sizeof(path), "%s/%s", root, name);
	int result;
	int fd;

	if (length < 0 || (size_t)length >= sizeof(path))
		return err_set(err, ERR_INVALID, "the name of '%.64s...' is too long", name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_set_errno(err, errno, "cannot read '%s'", path);
	if (lies_beneath(root, path))
		result = read_all(fd, path, to, err);
	else
		result = err_set(err, ERR_DENIED, "'%s' leads out of the folder '%s'", path,
				 root);
	close(fd);
	return result;
}

/* ---- loading --------------------------------------------------------------------------------- */

static int no_memory(const struct document_set *set, struct err *err, struct span name)
{
	char words[TREE_MEMORY_WORDS];
	enum err_code code;

	tree_memory_words(&set->arena, words, &code);
	return err_set(err, code, "%.*s: %s", SPAN_ARG(name), words);
}

static struct document *add_document(struct document_set *set, struct span name,
				     struct err *err)
{
	struct document *document = arena_new(&set->arena, struct document);
	bool in_place = !set->root.ptr || span_eq(set->root, SPAN("."));
	bool at_root = span_ends_with(set->root, SPAN("/"));

	if (set->count == set->limits.max_files) {
		(void)err_set(err, ERR_LIMIT, "%.*s: more than %zu files", SPAN_ARG(name),
			      set->limits.max_files);
		return NULL;
	}
	if (set->count == set->cap) {
		size_t cap = set->cap ? set->cap * 2 : 8;
		const struct document **more = mem_realloc(set->documents, cap * sizeof(*more));

		if (!more) {
			(void)no_memory(set, err, name);
			return NULL;
		}
		set->documents = more;
		set->cap = cap;
	}
	if (document) {
		document->name = arena_dup(&set->arena, name);
		document->display =
			in_place ? document->name
				 : arena_printf(&set->arena, "%.*s%s%.*s", SPAN_ARG(set->root),
						at_root ? "" : "/", SPAN_ARG(name));
	}
	if (!document || !document->name.ptr || !document->display.ptr) {
		(void)no_memory(set, err, name);
		return NULL;
	}
	return document;
}

static bool looks_like_json(struct span text)
{
	struct span trimmed = span_trim(text);

	return trimmed.len > 0 && (trimmed.ptr[0] == '{' || trimmed.ptr[0] == '[');
}

static const struct json *read_tree(struct document_set *set, const struct document *document,
				    struct span text, bool json, struct err *err)
{
	struct tree_builder b = {.arena = &set->arena,
				 .regions = &set->regions,
				 .limits = &set->limits,
				 .document = document,
				 .nodes = &set->nodes,
				 .err = err};
	const struct json *root = NULL;

	if (tree_builder_init(&b) == 0)
		root = json ? document_read_json(&b, text) : document_read_yaml(&b, text);
	tree_builder_release(&b);
	return root;
}

/* `text` lives as long as the set's arena. */
static const struct document *parse_document(struct document_set *set, struct span name,
					     struct span text, struct err *err)
{
	struct document *document = add_document(set, name, err);
	bool json = looks_like_json(text);

	if (!document)
		return NULL;
	if (span_starts_with(text, SPAN("\xef\xbb\xbf")))
		text = span_slice(text, 3, text.len);
	/* YAML has a notation with braces too, which is not quite JSON. */
	if (json && !span_ends_with(name, SPAN(".json"))) {
		size_t nodes = set->nodes;
		struct err why = {.code = ERR_NONE};

		document->root = read_tree(set, document, text, true, &why);
		if (!document->root && why.code != ERR_SYNTAX) {
			if (err)
				*err = why;
			return NULL;
		}
		json = false;
		set->nodes = document->root ? set->nodes : nodes;
	}
	if (!document->root)
		document->root = read_tree(set, document, text, json, err);
	if (!document->root)
		return NULL;
	if (map_put(&set->by_name, document->name, document) != 0) {
		(void)no_memory(set, err, document->display);
		return NULL;
	}
	set->documents[set->count++] = document;
	return document;
}

const struct document *document_load_text(struct document_set *set, struct span name,
					  struct span text, struct err *err)
{
	struct span copy;

	if (text.len > set->limits.max_file_bytes) {
		(void)err_set(err, ERR_LIMIT, "'%.*s' is larger than %zu bytes", SPAN_ARG(name),
			      set->limits.max_file_bytes);
		return NULL;
	}
	copy = arena_dup(&set->arena, text);
	if (!copy.ptr) {
		(void)no_memory(set, err, name);
		return NULL;
	}
	return parse_document(set, name, copy, err);
}

/*
 * `path` seen from the folder of `base`, without "." and ".." and empty segments, NUL-terminated.
 * ptr NULL with *err when it leaves the root, or has bytes that no name has.
 */
static struct span normal_name(struct document_set *set, struct span base, struct span path,
			       struct err *err)
{
	struct span parts[2] = {base, path};
	struct span result = SPAN_NONE;
	struct buf name;

	while (parts[0].len && parts[0].ptr[parts[0].len - 1] != '/')
		parts[0].len--;
	buf_init(&name, PATH_MAX);
	for (size_t i = 0; i < 2; i++) {
		struct span rest = parts[i];

		while (rest.ptr) {
			struct span segment = span_cut(&rest, '/');

			if (segment.len == 0 || span_eq(segment, SPAN(".")))
				continue;
			if (!span_eq(segment, SPAN(".."))) {
				if (name.len)
					buf_append_byte(&name, '/');
				buf_append(&name, segment);
				continue;
			}
			if (name.len == 0) {
				(void)err_set(err, ERR_DENIED,
					      "'%.*s' leads out of the folder of documents",
					      SPAN_ARG(span_slice(path, 0, 200)));
				goto done;
			}
			while (name.len && name.ptr[name.len - 1] != '/')
				name.len--;
			if (name.len)
				name.len--;
		}
	}
	if (!buf_failed(&name))
		result = arena_dup(&set->arena, buf_span(&name));
	if (!result.ptr)
		(void)err_set(err, ERR_INVALID, "the name of a document is too long");
	else if (memchr(result.ptr, 0, result.len))
		result.ptr = NULL, (void)err_set(err, ERR_INVALID, "NUL in a document's name");
done:
	buf_release(&name);
	return result;
}

static const struct document *load_normal(struct document_set *set, struct span name,
					  struct err *err)
{
	const struct document *document = map_get(&set->by_name, name);
	struct buf text;
	int result;

	if (document)
		return document;
	buf_init(&text, set->limits.max_file_bytes + 1);
	if (set->read)
		result = set->read(set->context, name.ptr, &text, err);
	else if (set->root.ptr)
		result = read_file(set->root.ptr, name.ptr, &text, err);
	else
		result = err_set(err, ERR_NOT_FOUND, "there is no document '%s'", name.ptr);
	if (result == 0)
		document = document_load_text(set, name, buf_span(&text), err);
	buf_release(&text);
	return document;
}

const struct document *document_load(struct document_set *set, struct span name,
				     struct err *err)
{
	struct span normal = normal_name(set, SPAN_NONE, name, err);

	return normal.ptr ? load_normal(set, normal, err) : NULL;
}

/* ---- places ---------------------------------------------------------------------------------- */

const struct document *document_of(struct document_set *set, const struct json *node)
{
	const struct tree_region *region = tree_regions_find(&set->regions, node);

	return region ? region->document : NULL;
}

bool document_place_of(struct document_set *set, const struct json *node,
		       struct document_place *place)
{
	const struct tree_region *region = tree_regions_find(&set->regions, node);
	size_t index;

	*place = (struct document_place){.line = 0};
	if (!region)
		return false;
	index = (size_t)((const char *)node - region->first) / region->stride_bytes;
	place->file = region->document->display;
	place->line = region->places[index].line;
	place->column = region->places[index].column;
	return true;
}

int document_error(struct document_set *set, const struct json *node, struct err *err,
		   enum err_code code, const char *format, ...)
{
	struct document_place place;
	char text[320];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!document_place_of(set, node, &place))
		return err_set(err, code, "%s", text);
	return err_set(err, code, "%.*s:%u:%u: %s", SPAN_ARG(place.file), place.line,
		       place.column, text);
}

/* ---- references ------------------------------------------------------------------------------ */

/* The length of the scheme before ':' (RFC 3986 section 3.1), or 0. */
static size_t scheme_length(struct span reference)
{
	size_t colon = span_find_byte(reference, ':');
	size_t slash = span_find_byte(reference, '/');

	return colon < reference.len && colon < slash ? colon : 0;
}

const struct document *document_named(const struct document_set *set, struct span uri)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct json *root = set->documents[i]->root;

		if (json_is(json_get(root, SPAN("$self")), uri) ||
		    json_is(json_get(root, SPAN("$id")), uri))
			return set->documents[i];
	}
	return NULL;
}

static struct span decoded(struct document_set *set, struct span text, struct err *err)
{
	char *copy = arena_alloc(&set->arena, text.len + 1);
	size_t len = 0;

	if (!copy) {
		(void)err_set(err, ERR_MEMORY, "no memory for a reference");
		return SPAN_NONE;
	}
	if (uri_decode(text, false, copy, &len) != URI_OK) {
		(void)err_set(err, ERR_INVALID, "a reference is badly escaped");
		return SPAN_NONE;
	}
	copy[len] = '\0';
	return span_of(copy, len);
}

static const struct document *referred_document(struct document_set *set,
						const struct document *from,
						struct span location, struct err *err)
{
	const struct document *found;
	struct span path;

	if (location.len == 0)
		return from;
	if (scheme_length(location) || span_starts_with(location, SPAN("//"))) {
		found = document_named(set, location);
		if (!found)
			(void)err_set(err, ERR_DENIED,
				      "'%.*s' is not a file; nothing is fetched from elsewhere",
				      SPAN_ARG(span_slice(location, 0, 200)));
		return found;
	}
	path = decoded(set, location, err);
	if (!path.ptr)
		return NULL;
	if (path.ptr[0] == '/') {
		(void)err_set(err, ERR_DENIED, "'%.*s' leads out of the folder of documents",
			      SPAN_ARG(span_slice(path, 0, 200)));
		return NULL;
	}
	path = normal_name(set, from->name, path, err);
	return path.ptr ? load_normal(set, path, err) : NULL;
}

const struct json *document_resolve(struct document_set *set, const struct document *from,
				    struct span reference, const struct document **found_in,
				    struct err *err)
{
	size_t hash = span_find_byte(reference, '#');
	const struct document *document =
		referred_document(set, from, span_slice(reference, 0, hash), err);
	const struct json *node;
	struct span pointer;

	if (!document)
		return NULL;
	pointer = decoded(set, span_slice(reference, hash + 1, reference.len), err);
	if (!pointer.ptr)
		return NULL;
	node = json_pointer(document->root, pointer);
	if (!node)
		(void)err_set(err, ERR_NOT_FOUND, "'%.*s' points to nothing",
			      SPAN_ARG(span_slice(reference, 0, 200)));
	if (found_in && node)
		*found_in = document;
	return node;
}
