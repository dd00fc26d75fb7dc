#include <stdarg.h>

#include "base/mem.h"
#include "contract/schema_build.h"

#define DEFAULT_BYTES ((size_t)64 << 20)
#define DEFAULT_NODES 200000
#define DEFAULT_WIDTH 10000
#define DEFAULT_REGEX_BYTES 4096
#define ARENA_CHUNK_BYTES 8192

static size_t or_default(size_t value, size_t otherwise)
{
	return value ? value : otherwise;
}

struct schema_set *schema_set_new(const struct schema_set_options *options, struct err *err)
{
	struct schema_set *set = mem_zalloc(1, sizeof(*set));

	if (!set) {
		err_set(err, ERR_MEMORY, "out of memory for a set of schemas");
		return NULL;
	}
	if (options)
		set->options = *options;
	set->options.max_bytes = or_default(set->options.max_bytes, DEFAULT_BYTES);
	set->options.max_nodes = or_default(set->options.max_nodes, DEFAULT_NODES);
	set->options.max_width = or_default(set->options.max_width, DEFAULT_WIDTH);
	set->options.max_regex_bytes =
		or_default(set->options.max_regex_bytes, DEFAULT_REGEX_BYTES);
	arena_init(&set->arena, set->options.max_bytes, ARENA_CHUNK_BYTES);
	return set;
}

void schema_set_free(struct schema_set *set)
{
	if (!set)
		return;
	for (struct schema_regex *regex = set->regex_list; regex; regex = regex->next)
		ecma_free(regex->ecma);
	map_release(&set->documents);
	map_release(&set->resources);
	map_release(&set->anchors);
	map_release(&set->places);
	map_release(&set->memos);
	map_release(&set->regexes);
	map_release(&set->missing);
	mem_free(set->jobs);
	mem_free(set->fresh);
	arena_release(&set->arena);
	mem_free(set);
}

bool schema_set_fault(const struct schema_set *set, struct schema_fault *fault)
{
	if (set->has_fault)
		*fault = set->fault;
	return set->has_fault;
}

/* -- errors -- */

int schema_no_memory(struct schema_set *set, struct err *err)
{
	set->has_fault = false;
	/* Nearly: what was asked for is not known here. */
	if (set->arena.used_bytes + set->arena.chunk_bytes > set->arena.cap_bytes)
		return err_set(
			err, ERR_LIMIT,
			"schemas take more than %zu MiB once compiled: raise 'memory' of the "
			"contract",
			set->arena.cap_bytes >> 20);
	return err_set(err, ERR_MEMORY, "out of memory for schemas");
}

PRINTF_LIKE(6, 0)
static int fail_with(struct schema_set *set, const struct schema_document *document,
		     struct span pointer, const struct json *value, struct err *err,
		     const char *format, va_list args)
{
	char text[300];

	vsnprintf(text, sizeof(text), format, args);
	set->fault.uri = document->uri;
	set->fault.pointer = arena_dup(&set->arena, pointer);
	set->fault.value = value;
	set->has_fault = set->fault.pointer.ptr != NULL;
	return err_set(err, ERR_INVALID, "%.*s#%.*s: %s",
		       document->uri.len > 100 ? 100 : (int)document->uri.len,
		       document->uri.ptr, pointer.len > 100 ? 100 : (int)pointer.len,
		       pointer.len ? pointer.ptr : "", text);
}

int schema_fail_at(struct schema_set *set, const struct schema_document *document,
		   struct span pointer, const struct json *value, struct err *err,
		   const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fail_with(set, document, pointer, value, err, format, args);
	va_end(args);
	return -1;
}

int schema_fail(struct schema_set *set, const struct schema_place *place, const char *keyword,
		struct err *err, const char *format, ...)
{
	const struct json *value = place->json;
	struct span pointer = place->pointer;
	va_list args;

	if (keyword) {
		const struct json *inner = json_get(value, span_cstr(keyword));
		struct span longer = schema_pointer_add(set, pointer, span_cstr(keyword));

		value = inner ? inner : value;
		pointer = longer.ptr ? longer : pointer;
	}
	va_start(args, format);
	fail_with(set, place->resource->document, pointer, value, err, format, args);
	va_end(args);
	return -1;
}

/* -- pointers -- */

struct span schema_pointer_add(struct schema_set *set, struct span pointer, struct span key)
{
	size_t extra = 0;
	size_t at = pointer.len;
	char *text;

	for (size_t i = 0; i < key.len; i++)
		extra += key.ptr[i] == '~' || key.ptr[i] == '/';
	text = arena_alloc(&set->arena, pointer.len + 1 + key.len + extra);
	if (!text)
		return SPAN_NONE;
	if (pointer.len)
		memcpy(text, pointer.ptr, pointer.len);
	text[at++] = '/';
	for (size_t i = 0; i < key.len; i++) {
		char c = key.ptr[i];

		if (c == '~' || c == '/') {
			text[at++] = '~';
			c = c == '~' ? '0' : '1';
		}
		text[at++] = c;
	}
	return span_of(text, at);
}

struct span schema_pointer_add_index(struct schema_set *set, struct span pointer, size_t index)
{
	char digits[BUF_U64_DIGITS];

	return schema_pointer_add(set, pointer, buf_u64_digits(digits, index));
}

/* -- documents -- */

struct schema_document *schema_set_find(const struct schema_set *set, struct span uri)
{
	return map_get(&set->documents, uri);
}

/* The document's own resource; an `$id` at its root makes another one when it is indexed. */
static struct schema_resource *root_resource(struct schema_set *set,
					     struct schema_document *document)
{
	struct schema_resource *resource = arena_new(&set->arena, struct schema_resource);

	if (!resource)
		return NULL;
	resource->uri = document->uri;
	resource->root = document->root;
	resource->document = document;
	resource->pointer = SPAN("");
	resource->dialect = document->source.dialect;
	if (resource->dialect == SCHEMA_AUTO)
		resource->dialect = SCHEMA_2020_12;
	resource->validation = true;
	resource->assert_formats = set->options.assert_formats;
	return resource;
}

static int add(struct schema_set *set, struct schema_document *document, struct err *err)
{
	if (map_get(&set->resources, document->uri))
		return schema_fail_at(set, document, SPAN(""), document->root, err,
				      "there is a schema with this URI already");
	document->resource = root_resource(set, document);
	if (!document->resource || map_put(&set->documents, document->uri, document) < 0 ||
	    map_put(&set->resources, document->uri, document->resource) < 0)
		return schema_no_memory(set, err);
	if (document->source.is_schema &&
	    !schema_index(set, document->root, document->resource, SPAN(""), err))
		return -1;
	return 0;
}

/* Without a fragment: "http://example.test/schema#" is the same as without '#'. */
static struct span without_fragment(struct span uri)
{
	return span_slice(uri, 0, span_find_byte(uri, '#'));
}

struct schema_document *schema_set_add(struct schema_set *set, struct span uri,
				       const struct json *root,
				       const struct schema_source *source, struct err *err)
{
	struct schema_document *document = arena_new(&set->arena, struct schema_document);

	set->has_fault = false;
	if (!document) {
		schema_no_memory(set, err);
		return NULL;
	}
	document->uri = arena_dup(&set->arena, without_fragment(uri));
	document->root = root;
	document->source =
		source ? *source : (struct schema_source){SCHEMA_AUTO, .is_schema = true};
	if (!document->uri.ptr) {
		schema_no_memory(set, err);
		return NULL;
	}
	return add(set, document, err) < 0 ? NULL : document;
}

int schema_set_index(struct schema_set *set, struct schema_document *document,
		     struct span pointer, struct err *err)
{
	set->has_fault = false;
	return schema_place_at(set, document->resource, pointer, err) ? 0 : -1;
}

/* -- compilation -- */

/* Writes all that is waiting, then looks at the whole. */
static int compile_all(struct schema_set *set, struct err *err)
{
	while (set->job_count) {
		struct schema_job job = set->jobs[--set->job_count];

		if (schema_compile_job(set, &job, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < set->fresh_count; i++)
		if (schema_measure(set, set->fresh[i], err) < 0)
			return -1;
	for (size_t i = 0; i < set->fresh_count; i++)
		if (schema_pick_find(set, set->fresh[i], err) < 0)
			return -1;
	for (size_t i = 0; i < set->fresh_count; i++)
		schema_join(set, set->fresh[i]);
	set->fresh_count = 0;
	return 0;
}

const struct schema *schema_set_compile(struct schema_set *set,
					struct schema_document *document, struct span pointer,
					enum schema_direction direction, struct err *err)
{
	static const struct schema_context empty = {NULL, NULL, 0};
	struct schema_place *place;
	const struct schema *schema;

	set->has_fault = false;
	place = schema_place_at(set, document->resource, pointer, err);
	schema = place ? schema_program(set, place, &empty, direction, err) : NULL;
	if (schema && compile_all(set, err) == 0)
		return schema;
	/*
	 * What has been begun is of no use: it must not be found again. The places stay known, the
	 * memory goes with the set.
	 */
	set->job_count = 0;
	set->fresh_count = 0;
	map_release(&set->memos);
	set->memos = MAP_INIT;
	return NULL;
}

const struct schema *schema_anything(void)
{
	static const struct schema anything = {.types = SCHEMA_ANY_TYPE,
					       .reach = SCHEMA_ANY_TYPE,
					       .always = true,
					       .plain_scalar = true,
					       .width = 1,
					       .location = SPAN_INIT("about:anything#")};

	return &anything;
}
