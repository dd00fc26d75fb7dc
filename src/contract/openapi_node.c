#include <stdarg.h>

#include "contract/openapi.h"
#include "parse/uri.h"

#define REFERENCES_MAX 32
/* A document of 10 MB with a thousand operations takes some 130 MB, once for each direction. */
#define SCHEMA_BYTES_DEFAULT ((size_t)256 << 20)
#define SCHEMA_NODES_MAX 2000000
#define URI_PREFIX "file:///"

bool openapi_get(const struct openapi_node *from, struct span key, struct openapi_node *to)
{
	const struct json *value = json_get(from->value, key);

	if (!value)
		return false;
	*to = (struct openapi_node){
		.value = value, .document = from->document, .parent = from, .key = key};
	return true;
}

bool openapi_item(const struct openapi_node *from, size_t index, struct openapi_node *to)
{
	const struct json *value = json_at(from->value, index);

	if (!value)
		return false;
	*to = (struct openapi_node){
		.value = value, .document = from->document, .parent = from, .index = index};
	return true;
}

void openapi_member(const struct openapi_node *from, size_t index, struct openapi_node *to)
{
	const struct json_member *member = &from->value->object.members[index];

	*to = (struct openapi_node){.value = &member->value,
				    .document = from->document,
				    .parent = from,
				    .key = member->key};
}

static void append_pointer(struct buf *to, const struct openapi_node *node)
{
	if (!node->parent) {
		buf_append(to, node->base);
		return;
	}
	append_pointer(to, node->parent);
	buf_append_byte(to, '/');
	if (!node->key.ptr)
		buf_append_u64(to, node->index);
	for (size_t i = 0; node->key.ptr && i < node->key.len; i++) {
		char c = node->key.ptr[i];

		if (c == '~')
			buf_append_cstr(to, "~0");
		else if (c == '/')
			buf_append_cstr(to, "~1");
		else
			buf_append_byte(to, c);
	}
}

struct span openapi_pointer(struct openapi_builder *b, const struct openapi_node *node)
{
	struct span result = SPAN_NONE;
	struct buf text;

	buf_init(&text, 1 << 20);
	append_pointer(&text, node);
	if (!buf_failed(&text))
		result = arena_dup(&b->contract->arena, buf_span(&text));
	buf_release(&text);
	if (!result.ptr)
		(void)openapi_no_memory(b);
	return result;
}

int openapi_no_memory(struct openapi_builder *b)
{
	return err_set(b->err, ERR_MEMORY, "no memory for the contract");
}

int openapi_error(struct openapi_builder *b, const struct openapi_node *node,
		  enum err_code code, const char *format, ...)
{
	char text[320];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return document_error(b->contract->documents, node->value, b->err, code, "%s", text);
}

/* Puts the place of the node before an error that has none. */
static int wrap(struct openapi_builder *b, const struct json *value)
{
	struct document_place place;

	if (document_place_of(b->contract->documents, value, &place))
		return err_wrap(b->err, "%.*s:%u:%u", SPAN_ARG(place.file), place.line,
				place.column);
	return -1;
}

int openapi_follow(struct openapi_builder *b, struct openapi_node *node)
{
	for (unsigned steps = 0;; steps++) {
		const struct json *reference = json_get(node->value, SPAN("$ref"));
		const struct document *document;
		const struct json *value;
		struct span text;
		size_t hash;
		char *pointer;
		size_t len = 0;

		if (!reference)
			return 0;
		if (!json_string(reference, &text))
			return document_error(b->contract->documents, reference, b->err,
					      ERR_INVALID, "\"$ref\" must be a string");
		if (steps == REFERENCES_MAX)
			return document_error(b->contract->documents, reference, b->err,
					      ERR_INVALID, "references lead to each other");
		value = document_resolve(b->contract->documents, node->document, text,
					 &document, b->err);
		if (!value)
			return wrap(b, reference);
		hash = span_find_byte(text, '#');
		text = span_slice(text, hash + 1, text.len);
		pointer = arena_alloc(&b->contract->arena, text.len + 1);
		if (!pointer || uri_decode(text, false, pointer, &len) != URI_OK)
			return openapi_no_memory(b);
		*node = (struct openapi_node){
			.value = value, .document = document, .base = span_of(pointer, len)};
	}
}

int openapi_expect(struct openapi_builder *b, const struct openapi_node *node,
		   enum json_type type, const char *what)
{
	static const char *const names[] = {
		[JSON_NULL] = "null",	    [JSON_BOOL] = "true or false",
		[JSON_NUMBER] = "a number", [JSON_STRING] = "a string",
		[JSON_ARRAY] = "an array",  [JSON_OBJECT] = "an object",
	};

	if (node->value->type == type)
		return 0;
	return openapi_error(b, node, ERR_INVALID, "%s must be %s", what, names[type]);
}

int openapi_string(struct openapi_builder *b, const struct openapi_node *node, const char *key,
		   struct span *value)
{
	struct openapi_node member;

	if (!openapi_get(node, span_cstr(key), &member))
		return 0;
	if (openapi_expect(b, &member, JSON_STRING, key) < 0)
		return -1;
	*value = member.value->text;
	return 0;
}

int openapi_bool(struct openapi_builder *b, const struct openapi_node *node, const char *key,
		 bool *value)
{
	struct openapi_node member;

	if (!openapi_get(node, span_cstr(key), &member))
		return 0;
	if (openapi_expect(b, &member, JSON_BOOL, key) < 0)
		return -1;
	*value = member.value->boolean;
	return 0;
}

/* ---- schemas --------------------------------------------------------------------------------- */

static struct span uri_of(struct contract *contract, const struct document *document)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
	struct span result;
	struct buf uri;

	buf_init(&uri, 1 << 16);
	buf_append_cstr(&uri, URI_PREFIX);
	for (size_t i = 0; i < document->name.len; i++) {
		char c = document->name.ptr[i];

		if (c && strchr(plain, c))
			buf_append_byte(&uri, c);
		else
			buf_printf(&uri, "%%%02X", (unsigned)(unsigned char)c);
	}
	result = buf_failed(&uri) ? SPAN_NONE : arena_dup(&contract->arena, buf_span(&uri));
	buf_release(&uri);
	return result;
}

/* A file that is one schema, and not a collection of things to refer to. */
static bool is_schema(const struct json *root)
{
	static const char *const marks[] = {"$schema", "$id",	"$ref",	 "$defs",
					    "allOf",   "anyOf", "oneOf", "enum"};

	for (size_t i = 0; i < COUNT_OF(marks); i++)
		if (json_get(root, span_cstr(marks[i])))
			return !json_get(root, SPAN("openapi"));
	return false;
}

static enum schema_dialect dialect_of(const struct contract *contract)
{
	const struct json *stated = json_get(contract->main->root, SPAN("jsonSchemaDialect"));
	struct span uri;

	if (contract->version < 31)
		return SCHEMA_OPENAPI30;
	if (!json_string(stated, &uri))
		return SCHEMA_2020_12;
	if (span_find(uri, SPAN("draft-04")) < uri.len)
		return SCHEMA_DRAFT4;
	if (span_find(uri, SPAN("draft-06")) < uri.len ||
	    span_find(uri, SPAN("draft-07")) < uri.len)
		return SCHEMA_DRAFT7;
	if (span_find(uri, SPAN("2019-09")) < uri.len)
		return SCHEMA_2019_09;
	return SCHEMA_2020_12;
}

static struct schema_document *schemas_of(struct contract *contract,
					  const struct document *document, struct err *err)
{
	struct schema_source source = {.dialect = dialect_of(contract),
				       .is_schema = is_schema(document->root)};
	struct span uri = uri_of(contract, document);
	struct schema_document *found;

	if (!uri.ptr) {
		(void)err_set(err, ERR_MEMORY, "no memory for the contract");
		return NULL;
	}
	found = schema_set_find(contract->schemas, uri);
	return found ? found
		     : schema_set_add(contract->schemas, uri, document->root, &source, err);
}

/* Puts the line of a fault in a schema before its message. */
static void locate_fault(struct openapi_builder *b, const struct openapi_node *node)
{
	struct schema_fault fault;

	if (b->err && b->err->code == ERR_MEMORY)
		return;
	if (!schema_set_fault(b->contract->schemas, &fault) || !fault.value)
		fault.value = node->value;
	(void)wrap(b, fault.value);
}

const struct schema *openapi_schema(struct openapi_builder *b, const struct openapi_node *node,
				    enum schema_direction direction)
{
	struct span pointer = openapi_pointer(b, node);
	struct schema_document *document;
	const struct schema *schema;

	if (!pointer.ptr)
		return NULL;
	document = schemas_of(b->contract, node->document, b->err);
	if (!document) {
		locate_fault(b, node);
		return NULL;
	}
	schema = schema_set_compile(b->contract->schemas, document, pointer, direction, b->err);
	if (!schema)
		locate_fault(b, node);
	return schema;
}

int openapi_index_schema(struct openapi_builder *b, const struct openapi_node *node)
{
	struct span pointer = openapi_pointer(b, node);
	struct schema_document *document;

	if (!pointer.ptr)
		return -1;
	document = schemas_of(b->contract, node->document, b->err);
	if (!document ||
	    schema_set_index(b->contract->schemas, document, pointer, b->err) < 0) {
		locate_fault(b, node);
		return -1;
	}
	return 0;
}

/* struct schema_set_options.load */
static int load_schemas(void *context, struct schema_set *set, struct span uri, struct err *err)
{
	struct contract *contract = context;
	const struct document *document;
	struct schema_source source = {.dialect = dialect_of(contract)};
	char name[1024];
	size_t len;

	document = document_named(contract->documents, uri);
	/* The name of a schema (`$id`) is the set's matter. */
	if (document && !is_schema(document->root))
		return schema_set_add(set, uri, document->root, &source, err) ? 0 : -1;
	if (!span_starts_with(uri, SPAN(URI_PREFIX)) || uri.len >= sizeof(name))
		return err_set(err, ERR_DENIED,
			       "'%.*s' is not a file; nothing is fetched from elsewhere",
			       SPAN_ARG(span_slice(uri, 0, 200)));
	uri = span_slice(uri, sizeof(URI_PREFIX) - 1, uri.len);
	if (uri_decode(uri, false, name, &len) != URI_OK)
		return err_set(err, ERR_INVALID, "a reference is badly escaped");
	document = document_load(contract->documents, span_of(name, len), err);
	if (!document)
		return -1;
	source.is_schema = is_schema(document->root);
	uri = span_of(uri.ptr - (sizeof(URI_PREFIX) - 1), uri.len + sizeof(URI_PREFIX) - 1);
	return schema_set_add(set, uri, document->root, &source, err) ? 0 : -1;
}

int openapi_make_schemas(struct contract *contract, const struct contract_options *options,
			 struct err *err)
{
	struct schema_set_options set = {
		.assert_formats = options->assert_formats,
		.max_bytes = options->max_schema_bytes ? options->max_schema_bytes
						       : SCHEMA_BYTES_DEFAULT,
		.max_nodes = SCHEMA_NODES_MAX,
		.load = load_schemas,
		.load_context = contract,
	};

	contract->schemas = schema_set_new(&set, err);
	return contract->schemas ? 0 : -1;
}

const struct json *openapi_schema_source(const struct contract *contract,
					 const struct schema *schema)
{
	struct span location = schema_location(schema);
	size_t hash = span_find_byte(location, '#');
	struct span uri = span_slice(location, 0, hash);

	if (!span_starts_with(uri, SPAN(URI_PREFIX)) || hash == location.len)
		return NULL;
	uri = span_slice(uri, sizeof(URI_PREFIX) - 1, uri.len);
	for (size_t i = 0; i < document_count(contract->documents); i++) {
		const struct document *document = document_at(contract->documents, i);

		if (span_eq(document->name, uri))
			return json_pointer(document->root,
					    span_slice(location, hash + 1, location.len));
	}
	return NULL;
}
