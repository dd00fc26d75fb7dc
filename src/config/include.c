#include "config/include.h"

#include <fnmatch.h>
#include <stdlib.h>

#include "config/value.h"

#define FOLDER_BYTES_MAX ((size_t)1 << 20)
#define FOLDER_FILES_MAX 1024

/* `extra` more elements behind the `count` that are there; NULL when out of memory. */
static void *extend(struct reader *reader, const void *array, size_t count, size_t extra,
		    size_t size)
{
	void *larger = arena_alloc(reader->trees, (count + extra) * size + 1);

	if (!larger)
		reader->out_of_memory = true;
	else if (count > 0)
		memcpy(larger, array, count * size);
	return larger;
}

static void add_pair(struct reader *reader, struct tree_node *map, const struct tree_pair *pair)
{
	struct tree_pair *pairs =
		extend(reader, map->pairs, map->count, 1, sizeof(struct tree_pair));

	if (!pairs)
		return;
	pairs[map->count] = *pair;
	map->pairs = pairs;
	map->count++;
}

static void add_items(struct reader *reader, struct tree_node *list,
		      const struct tree_node *more)
{
	struct tree_node **items =
		extend(reader, list->items, list->count, more->count, sizeof(*items));

	if (!items)
		return;
	for (size_t i = 0; i < more->count; i++)
		items[list->count + i] = more->items[i];
	list->items = items;
	list->count += more->count;
}

static const struct tree_pair *find(const struct tree_node *map, struct span key)
{
	for (size_t i = 0; i < map->count; i++)
		if (span_eq(map->pairs[i].key, key))
			return &map->pairs[i];
	return NULL;
}

static void merge(struct reader *reader, struct tree_node *map, const struct tree_node *more,
		  bool top)
{
	for (size_t i = 0; i < more->count; i++) {
		const struct tree_pair *pair = &more->pairs[i];
		const struct tree_pair *before = find(map, pair->key);
		enum tree_kind kind = pair->value->kind;
		char room[PROBLEM_QUOTE_MAX];

		if (top && span_eq(pair->key, SPAN("include")))
			reader_error(reader, pair->where,
				     "an included file cannot include others");
		else if (!before)
			add_pair(reader, map, pair);
		else if (top && kind == TREE_LIST && before->value->kind == TREE_LIST)
			add_items(reader, before->value, pair->value);
		else if (top && kind == TREE_MAP && before->value->kind == TREE_MAP &&
			 (span_eq(pair->key, SPAN("services")) ||
			  span_eq(pair->key, SPAN("patches"))))
			merge(reader, before->value, pair->value, false);
		else
			reader_error(reader, pair->where, "key '%s' is there already (%s:%u)",
				     problem_quote(pair->key, room), before->where.file,
				     before->where.line);
	}
}

/* The parsed contents of the file that the node names; NULL after a problem was told. */
static struct tree_node *parse_file(struct reader *reader, const struct tree_node *name,
				    const char *key)
{
	struct tree_node *parsed = NULL;
	struct span path;
	struct buf bytes;
	struct err err;

	if (name->broken)
		return NULL;
	if (name->kind != TREE_SCALAR || !format_any.valid(name->text)) {
		reader_error(reader, name->where, "%s: expected the name of a file", key);
		return NULL;
	}
	path = reader_resolve(reader, name, name->text);
	if (!path.ptr)
		return NULL;
	if (!reader->source->read_file) {
		reader_error(reader, name->where, "files cannot be read here");
		return NULL;
	}
	buf_init(&bytes, TREE_BYTES_MAX);
	if (reader->source->read_file(reader->source->context, path.ptr, TREE_BYTES_MAX, &bytes,
				      &err) != 0)
		reader_error(reader, name->where, "%s", err.message);
	else
		parsed = tree_parse(buf_span(&bytes), path.ptr, reader->source, reader->trees,
				    reader->problems);
	if (bytes.ptr)
		secret_wipe(bytes.ptr, bytes.len);
	buf_release(&bytes);
	return parsed;
}

static void include_file(struct reader *reader, struct tree_node *root,
			 const struct tree_node *name)
{
	const struct tree_node *included = parse_file(reader, name, "include");

	if (included && included->kind == TREE_MAP)
		merge(reader, root, included, true);
	else if (included)
		reader_error(reader, included->where, "expected a mapping");
}

/* ---- folders --------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What starts with a dot is hidden, as in a shell; and no pattern: what is YAML by its name. */
static bool is_meant(const char *name, const char *pattern)
{
	if (pattern)
		return fnmatch(pattern, name, FNM_PERIOD) == 0;
	return fnmatch("*.yaml", name, FNM_PERIOD) == 0 ||
	       fnmatch("*.yml", name, FNM_PERIOD) == 0;
}

/* The names in `listed` that are meant; how many, or -1 when there are too many. */
static int choose(const struct buf *listed, const char *pattern,
		  const char *names[FOLDER_FILES_MAX])
{
	struct span rest = buf_span(listed);
	int count = 0;

	while (rest.len > 0) {
		struct span name = span_cut(&rest, '\0');

		if (!is_meant(name.ptr, pattern))
			continue;
		if (count == FOLDER_FILES_MAX)
			return -1;
		names[count++] = name.ptr;
	}
	qsort(names, (size_t)count, sizeof(*names), by_name);
	return count;
}

/* Those of a folder that is written as `folder`, which is empty or ends in '/'. */
static void include_chosen(struct reader *reader, struct tree_node *root,
			   const struct tree_node *node, struct span folder,
			   const struct buf *listed, const char *pattern)
{
	const char *names[FOLDER_FILES_MAX];
	int count = choose(listed, pattern, names);

	if (count < 0)
		reader_error(reader, node->where, "include: more than %d files",
			     FOLDER_FILES_MAX);
	for (int i = 0; i < count; i++) {
		struct tree_node file = *node;

		file.text = arena_printf(reader->trees, "%.*s%s", SPAN_ARG(folder), names[i]);
		if (!file.text.ptr) {
			reader->out_of_memory = true;
			return;
		}
		include_file(reader, root, &file);
	}
}

/* True when that was one, or a problem has been told. */
static bool include_folder(struct reader *reader, struct tree_node *root,
			   const struct tree_node *node, struct span folder,
			   const char *pattern)
{
	struct span path = reader_resolve(reader, node, folder);
	struct buf listed;
	struct err err;
	int result;

	if (!path.ptr)
		return true;
	buf_init(&listed, FOLDER_BYTES_MAX);
	result = reader->source->list_folder(reader->source->context, path.ptr, &listed, &err);
	if (result < 0)
		reader_error(reader, node->where, "%s", err.message);
	else if (result == 0)
		include_chosen(reader, root, node, folder, &listed, pattern);
	buf_release(&listed);
	return result <= 0;
}

static struct span terminated(struct reader *reader, struct span text)
{
	struct span copy = arena_printf(reader->trees, "%.*s", SPAN_ARG(text));

	if (!copy.ptr)
		reader->out_of_memory = true;
	return copy;
}

/* "patches/" + "*.yaml": patterns are in the last part only. */
static void include_pattern(struct reader *reader, struct tree_node *root,
			    const struct tree_node *node, size_t slash)
{
	struct span folder = terminated(reader, span_slice(node->text, 0, slash));
	struct span pattern = terminated(reader, span_slice(node->text, slash, node->text.len));

	if (!folder.ptr || !pattern.ptr)
		return;
	if (!include_folder(reader, root, node, folder.len ? folder : SPAN("./"), pattern.ptr))
		reader_error(reader, node->where, "include: there is no folder '%.*s'",
			     SPAN_ARG(folder));
}

static size_t find_pattern(struct span text)
{
	size_t at = 0;

	while (at < text.len && text.ptr[at] != '*' && text.ptr[at] != '?' &&
	       text.ptr[at] != '[')
		at++;
	return at;
}

/* A file, a folder, or the files of a folder that a pattern fits. */
static void include(struct reader *reader, struct tree_node *root, const struct tree_node *node)
{
	struct span folder;
	size_t slash = 0, pattern;

	if (node->broken || node->kind != TREE_SCALAR || !reader->source->list_folder ||
	    !format_any.valid(node->text)) {
		include_file(reader, root, node);
		return;
	}
	for (size_t i = 0; i < node->text.len; i++)
		if (node->text.ptr[i] == '/')
			slash = i + 1;
	pattern = find_pattern(node->text);
	if (pattern < slash) {
		reader_error(reader, node->where, "include: patterns are for names of files");
		return;
	}
	if (pattern < node->text.len) {
		include_pattern(reader, root, node, slash);
		return;
	}
	folder = arena_printf(reader->trees, "%.*s%s", SPAN_ARG(node->text),
			      slash == node->text.len ? "" : "/");
	if (!folder.ptr)
		reader->out_of_memory = true;
	else if (!include_folder(reader, root, node, folder, NULL))
		include_file(reader, root, node);
}

static void include_list(struct reader *reader, struct tree_node *service)
{
	const struct tree_node *name = tree_get(service, "endpoints_file");
	struct tree_pair pair = {.key = SPAN("endpoints")};

	if (!name)
		return;
	if (tree_get(service, "endpoints")) {
		reader_error(reader, name->where,
			     "give either 'endpoints' or 'endpoints_file'");
		return;
	}
	pair.value = parse_file(reader, name, "endpoints_file");
	if (pair.value && pair.value->kind != TREE_LIST) {
		reader_error(reader, pair.value->where, "expected a list of endpoints");
		return;
	}
	pair.where = name->where;
	if (pair.value)
		add_pair(reader, service, &pair);
}

void include_endpoints(struct reader *reader, const struct tree_node *root)
{
	const struct tree_node *services = tree_get(root, "services");

	for (size_t i = 0; services && services->kind == TREE_MAP && i < services->count; i++)
		if (services->pairs[i].value->kind == TREE_MAP)
			include_list(reader, services->pairs[i].value);
}

void include_files(struct reader *reader, struct tree_node *root)
{
	const struct tree_node *list = tree_get(root, "include");

	if (!list)
		return;
	if (list->kind == TREE_LIST)
		for (size_t i = 0; i < list->count; i++)
			include(reader, root, list->items[i]);
	else
		include(reader, root, list);
}
