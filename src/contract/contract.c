#include "contract/contract.h"

#include "base/mem.h"
#include "contract/openapi.h"

#define ARENA_MAX_BYTES ((size_t)1 << 30)
#define CHUNK_BYTES ((size_t)64 << 10)

static void contract_free(struct contract *c)
{
	schema_set_free(c->schemas);
	document_set_free(c->documents);
	map_release(&c->by_id);
	arena_release(&c->arena);
	mem_free(c);
}

static struct contract *contract_new(const char *folder, const struct contract_options *options,
				     struct err *err)
{
	struct contract *c = mem_zalloc(1, sizeof(*c));

	if (!c) {
		(void)err_set(err, ERR_MEMORY, "no memory for the contract");
		return NULL;
	}
	atomic_init(&c->references, 1);
	c->by_id = MAP_INIT;
	arena_init(&c->arena, ARENA_MAX_BYTES, CHUNK_BYTES);
	c->documents = document_set_new(folder, options->read, options->read_context,
					options->documents, err);
	if (!c->documents) {
		contract_free(c);
		return NULL;
	}
	return c;
}

static struct contract *build(struct contract *c, const struct contract_options *options,
			      struct err *err)
{
	if (c->main && openapi_build(c, options, err) == 0)
		return c;
	contract_free(c);
	return NULL;
}

struct contract *contract_load(const char *path, const struct contract_options *options,
			       struct err *err)
{
	static const struct contract_options none = {.base_path = {NULL, 0}};
	struct span whole = span_cstr(path);
	size_t slash = whole.len;
	struct contract *c;
	char *folder;

	while (slash > 0 && path[slash - 1] != '/')
		slash--;
	folder = mem_strdup(slash ? span_slice(whole, 0, slash) : SPAN("."));
	if (!folder) {
		(void)err_set(err, ERR_MEMORY, "no memory for the contract");
		return NULL;
	}
	options = options ? options : &none;
	c = contract_new(folder, options, err);
	mem_free(folder);
	if (!c)
		return NULL;
	c->main = document_load(c->documents, span_slice(whole, slash, whole.len), err);
	return build(c, options, err);
}

struct contract *contract_load_text(struct span text, struct span name,
				    const struct contract_options *options, struct err *err)
{
	static const struct contract_options none = {.base_path = {NULL, 0}};
	struct contract *c;

	options = options ? options : &none;
	c = contract_new(NULL, options, err);
	if (!c)
		return NULL;
	c->main = document_load_text(c->documents, name, text, err);
	return build(c, options, err);
}

struct contract *contract_ref(struct contract *c)
{
	atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
	return c;
}

void contract_unref(struct contract *c)
{
	if (c && atomic_fetch_sub_explicit(&c->references, 1, memory_order_acq_rel) == 1)
		contract_free(c);
}

/* ---- operations ------------------------------------------------------------------------------ */

size_t contract_operation_count(const struct contract *c)
{
	return c->operation_count;
}

const struct contract_operation *contract_operation_at(const struct contract *c, size_t index)
{
	return index < c->operation_count ? &c->operations[index].public : NULL;
}

const struct contract_operation *contract_operation_find(const struct contract *c,
							 struct span id)
{
	const struct openapi_operation *found = map_get(&c->by_id, id);

	return found ? &found->public : NULL;
}

struct span contract_base_path(const struct contract *c)
{
	return c->base_path;
}

static const struct openapi_operation *with_method(const struct path_entry *entry,
						   struct span method)
{
	for (size_t i = 0; i < entry->count; i++)
		if (span_eq(entry->operations[i]->public.method, method))
			return entry->operations[i];
	return NULL;
}

enum contract_match contract_match(const struct contract *c, struct span method,
				   struct span path, struct contract_route *route)
{
	const struct path_entry *entry;
	const struct openapi_operation *operation;

	route->operation = NULL;
	route->value_count = 0;
	route->allow = SPAN_NONE;
	entry = openapi_path_find(c->paths, path, route);
	if (!entry || entry->count == 0)
		return CONTRACT_NO_PATH;
	route->allow = entry->allow;
	operation = with_method(entry, method);
	if (!operation && c->head_as_get && span_eq(method, SPAN("HEAD")))
		operation = with_method(entry, SPAN("GET"));
	if (!operation)
		return CONTRACT_NO_METHOD;
	route->operation = &operation->public;
	return CONTRACT_FOUND;
}
