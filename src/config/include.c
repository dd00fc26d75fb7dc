#include "config/include.h"

#include "config/value.h"

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
	const struct tree_node *include = tree_get(root, "include");

	if (!include)
		return;
	if (include->kind == TREE_LIST)
		for (size_t i = 0; i < include->count; i++)
			include_file(reader, root, include->items[i]);
	else
		include_file(reader, root, include);
}
