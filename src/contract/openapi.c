#include "contract/openapi.h"

#include "parse/http_field.h"

#define OPERATIONS_MAX 100000

static const struct {
	struct span key;
	struct span method;
	unsigned since;
} methods[] = {
	{SPAN_INIT("get"), SPAN_INIT("GET"), 30},
	{SPAN_INIT("put"), SPAN_INIT("PUT"), 30},
	{SPAN_INIT("post"), SPAN_INIT("POST"), 30},
	{SPAN_INIT("delete"), SPAN_INIT("DELETE"), 30},
	{SPAN_INIT("options"), SPAN_INIT("OPTIONS"), 30},
	{SPAN_INIT("head"), SPAN_INIT("HEAD"), 30},
	{SPAN_INIT("patch"), SPAN_INIT("PATCH"), 30},
	{SPAN_INIT("trace"), SPAN_INIT("TRACE"), 30},
	{SPAN_INIT("query"), SPAN_INIT("QUERY"), 32},
};

/* An operation that was found in a path item, before it is read. */
struct found {
	struct openapi_node node;
	struct span method;
};

#define FOUND_MAX 64

static int find_additional(struct openapi_builder *b, const struct openapi_node *item,
			   struct found *found, size_t *count, struct openapi_node *all)
{
	if (b->contract->version < 32 || !openapi_get(item, SPAN("additionalOperations"), all))
		return 0;
	if (openapi_expect(b, all, JSON_OBJECT, "additionalOperations") < 0)
		return -1;
	for (size_t i = 0; i < all->value->object.count; i++) {
		struct openapi_node node;

		openapi_member(all, i, &node);
		if (!http_is_token(node.key))
			return openapi_error(b, &node, ERR_INVALID, "\"%.*s\" is not a method",
					     SPAN_ARG(span_slice(node.key, 0, 40)));
		for (size_t k = 0; k < COUNT_OF(methods); k++)
			if (span_eq(methods[k].method, node.key))
				return openapi_error(
					b, &node, ERR_INVALID,
					"the method has a field of its own: \"%.*s\"",
					SPAN_ARG(methods[k].key));
		if (*count == FOUND_MAX)
			return openapi_error(b, &node, ERR_LIMIT, "more than %d methods",
					     FOUND_MAX);
		found[(*count)++] = (struct found){node, node.key};
	}
	return 0;
}

static int find_operations(struct openapi_builder *b, const struct openapi_node *item,
			   struct found *found, size_t *count, struct openapi_node *additional)
{
	*count = 0;
	for (size_t i = 0; i < COUNT_OF(methods); i++) {
		struct openapi_node node;

		if (b->contract->version < methods[i].since ||
		    !openapi_get(item, methods[i].key, &node))
			continue;
		found[(*count)++] = (struct found){node, methods[i].method};
	}
	return find_additional(b, item, found, count, additional);
}

static int make_allow(struct openapi_builder *b, struct path_entry *entry)
{
	struct buf text;

	buf_init(&text, 1 << 16);
	for (size_t i = 0; i < entry->count; i++) {
		if (i)
			buf_append_cstr(&text, ", ");
		buf_append(&text, entry->operations[i]->public.method);
	}
	if (!buf_failed(&text))
		entry->allow = arena_dup(&b->contract->arena, buf_span(&text));
	buf_release(&text);
	return entry->allow.ptr ? 0 : openapi_no_memory(b);
}

/* The bases of the item, else of the document; each with the path into the tree. */
static int place_entry(struct openapi_builder *b, const struct openapi_node *item,
		       const struct span *bases, size_t base_count, struct path_entry *entry)
{
	struct span own[OPENAPI_BASES_MAX];
	struct openapi_node where = {.value = entry->node};
	size_t count;

	if (b->options->base_path.ptr) {
		own[0] = b->options->base_path;
		count = 1;
	} else if (openapi_read_bases(b, item, own, &count) < 0) {
		return -1;
	}
	if (count == 0) {
		memcpy(own, bases, base_count * sizeof(*own));
		count = base_count;
	}
	for (size_t i = 0; i < count; i++)
		if (openapi_path_add(b, &where, own[i], entry->template, entry) < 0)
			return -1;
	return 0;
}

/* An operation may have servers of its own; then all methods of the path are found there. */
static int place_own_servers(struct openapi_builder *b, const struct found *found, size_t count,
			     struct path_entry *entry)
{
	struct openapi_node where = {.value = entry->node};

	for (size_t i = 0; i < count && !b->options->base_path.ptr; i++) {
		struct span own[OPENAPI_BASES_MAX];
		size_t bases;

		if (openapi_read_bases(b, &found[i].node, own, &bases) < 0)
			return -1;
		for (size_t k = 0; k < bases; k++)
			if (openapi_path_add(b, &where, own[k], entry->template, entry) < 0)
				return -1;
	}
	return 0;
}

static int read_path(struct openapi_builder *b, struct openapi_node *item,
		     const struct span *bases, size_t base_count)
{
	struct contract *c = b->contract;
	struct path_entry *entry = arena_new(&c->arena, struct path_entry);
	struct found found[FOUND_MAX];
	struct openapi_node additional;
	struct span path = item->key;
	const struct json *place = item->value;

	if (!entry)
		return openapi_no_memory(b);
	if (path.len == 0 || path.ptr[0] != '/')
		return openapi_error(b, item, ERR_INVALID, "a path must begin with '/'");
	if (openapi_follow(b, item) < 0 ||
	    openapi_expect(b, item, JSON_OBJECT, "a path item") < 0 ||
	    find_operations(b, item, found, &entry->count, &additional) < 0)
		return -1;
	entry->operations =
		arena_array(&c->arena, const struct openapi_operation *, entry->count);
	if (!entry->operations)
		return openapi_no_memory(b);
	entry->template = path;
	entry->node = place;
	for (size_t i = 0; i < entry->count; i++) {
		struct openapi_operation *o = &c->operations[c->operation_count];

		o->public.index = c->operation_count;
		if (openapi_read_operation(b, item, &found[i].node, found[i].method, path, o) <
		    0)
			return -1;
		entry->operations[i] = o;
		c->operation_count++;
	}
	if (make_allow(b, entry) < 0 || place_entry(b, item, bases, base_count, entry) < 0)
		return -1;
	return place_own_servers(b, found, entry->count, entry);
}

/* How many operations there can be at most, so that they do not move. */
static int count_operations(struct openapi_builder *b, const struct openapi_node *paths,
			    size_t *count)
{
	*count = 0;
	for (size_t i = 0; i < paths->value->object.count; i++) {
		struct found found[FOUND_MAX];
		struct openapi_node item, additional;
		size_t here;

		openapi_member(paths, i, &item);
		if (span_starts_with(item.key, SPAN("x-")))
			continue;
		if (json_get(item.value, SPAN("$ref")) && item.value->object.count > 1)
			for (size_t k = 0; k < COUNT_OF(methods); k++)
				if (json_get(item.value, methods[k].key))
					return openapi_error(
						b, &item, ERR_INVALID,
						"a path item with \"$ref\" cannot have "
						"operations of its own");
		if (openapi_follow(b, &item) < 0 ||
		    find_operations(b, &item, found, &here, &additional) < 0)
			return -1;
		*count += here;
		if (*count > OPERATIONS_MAX)
			return openapi_error(b, &item, ERR_LIMIT, "more than %d operations",
					     OPERATIONS_MAX);
	}
	return 0;
}

static int read_paths(struct openapi_builder *b, const struct openapi_node *root)
{
	struct contract *c = b->contract;
	struct span bases[OPENAPI_BASES_MAX];
	struct openapi_node paths, item;
	size_t base_count, operations;

	c->paths = arena_new(&c->arena, struct path_node);
	if (!c->paths)
		return openapi_no_memory(b);
	if (!openapi_get(root, SPAN("paths"), &paths)) {
		if (c->version > 30)
			return 0;
		return openapi_error(b, root, ERR_INVALID, "the document must have \"paths\"");
	}
	if (openapi_expect(b, &paths, JSON_OBJECT, "paths") < 0 ||
	    openapi_read_bases(b, root, bases, &base_count) < 0 ||
	    count_operations(b, &paths, &operations) < 0)
		return -1;
	if (base_count == 0)
		bases[base_count++] = SPAN("");
	c->base_path = bases[0];
	if (b->options->base_path.ptr) {
		c->base_path = arena_dup(&c->arena, b->options->base_path);
		if (!c->base_path.ptr)
			return openapi_no_memory(b);
	}
	c->operations = arena_array(&c->arena, struct openapi_operation, operations);
	if (!c->operations)
		return openapi_no_memory(b);
	for (size_t i = 0; i < paths.value->object.count; i++) {
		openapi_member(&paths, i, &item);
		if (!span_starts_with(item.key, SPAN("x-")) &&
		    read_path(b, &item, bases, base_count) < 0)
			return -1;
	}
	openapi_paths_sort(c->paths);
	return 0;
}

/* ---- the document ---------------------------------------------------------------------------- */

static int read_version(struct openapi_builder *b, const struct openapi_node *root)
{
	struct openapi_node swagger;
	struct span text = SPAN_NONE;

	if (openapi_expect(b, root, JSON_OBJECT, "an OpenAPI document") < 0)
		return -1;
	if (openapi_get(root, SPAN("swagger"), &swagger))
		return openapi_error(b, &swagger, ERR_INVALID,
				     "Swagger 2.0 is not read; convert it to OpenAPI 3");
	if (openapi_string(b, root, "openapi", &text) < 0)
		return -1;
	if (!text.ptr)
		return openapi_error(b, root, ERR_INVALID,
				     "not an OpenAPI document: there is no \"openapi\"");
	if (span_starts_with(text, SPAN("3.0")))
		b->contract->version = 30;
	else if (span_starts_with(text, SPAN("3.1")))
		b->contract->version = 31;
	else if (span_starts_with(text, SPAN("3.2")))
		b->contract->version = 32;
	else
		return openapi_error(b, root, ERR_INVALID,
				     "OpenAPI \"%.*s\" is not one of 3.0, 3.1 and 3.2",
				     SPAN_ARG(span_slice(text, 0, 20)));
	return 0;
}

static int read_info(struct openapi_builder *b, const struct openapi_node *root)
{
	struct openapi_node info;
	struct span title;

	if (!openapi_get(root, SPAN("info"), &info))
		return openapi_error(b, root, ERR_INVALID, "the document must have \"info\"");
	if (openapi_expect(b, &info, JSON_OBJECT, "info") < 0)
		return -1;
	return openapi_string(b, &info, "title", &title);
}

/* Schemas may refer to each other by `$id` and `$anchor`, wherever they are first compiled. */
static int index_schemas(struct openapi_builder *b, const struct openapi_node *root)
{
	struct openapi_node components, schemas;

	if (b->contract->version < 31 || !openapi_get(root, SPAN("components"), &components) ||
	    !openapi_get(&components, SPAN("schemas"), &schemas))
		return 0;
	if (openapi_expect(b, &schemas, JSON_OBJECT, "schemas") < 0)
		return -1;
	for (size_t i = 0; i < schemas.value->object.count; i++) {
		struct openapi_node schema;

		openapi_member(&schemas, i, &schema);
		if (openapi_index_schema(b, &schema) < 0)
			return -1;
	}
	return 0;
}

int openapi_build(struct contract *contract, const struct contract_options *options,
		  struct err *err)
{
	struct openapi_builder b = {.contract = contract, .options = options, .err = err};
	struct openapi_node root = {
		.value = contract->main->root, .document = contract->main, .base = SPAN("")};

	contract->head_as_get = options->head_as_get;
	if (read_version(&b, &root) < 0 || openapi_make_schemas(contract, options, err) < 0 ||
	    read_info(&b, &root) < 0 || index_schemas(&b, &root) < 0 ||
	    openapi_read_security_schemes(&b, &root) < 0 ||
	    openapi_read_security(&b, &root, &b.security, &b.security_count,
				  &b.security_stated) < 0 ||
	    openapi_read_extensions(&b, &root, &b.extensions) < 0 || read_paths(&b, &root) < 0)
		return -1;
	return 0;
}
