#include "contract/openapi.h"

#include <limits.h>

#define FIELDS_MAX 1024

/* ---- media types ----------------------------------------------------------------------------- */

static bool is_one_of(struct span s, const char *const *words)
{
	for (; *words; words++)
		if (span_eq_nocase(s, span_cstr(*words)))
			return true;
	return false;
}

static bool ends_with_nocase(struct span s, struct span end)
{
	return s.len >= end.len && span_eq_nocase(span_slice(s, s.len - end.len, s.len), end);
}

static bool starts_with_nocase(struct span s, struct span start)
{
	return s.len >= start.len && span_eq_nocase(span_slice(s, 0, start.len), start);
}

enum openapi_kind openapi_kind_of(struct span type)
{
	static const char *const lines[] = {"application/jsonl", "application/x-ndjson",
					    "application/ndjson", "application/x-jsonlines",
					    NULL};
	static const char *const texts[] = {"application/yaml", "application/x-yaml",
					    "application/graphql", "application/javascript",
					    NULL};

	if (span_eq_nocase(type, SPAN("application/json")) ||
	    ends_with_nocase(type, SPAN("+json")))
		return OPENAPI_KIND_JSON;
	if (is_one_of(type, lines))
		return OPENAPI_KIND_LINES;
	if (span_eq_nocase(type, SPAN("application/json-seq")) ||
	    ends_with_nocase(type, SPAN("+json-seq")))
		return OPENAPI_KIND_SEQUENCE;
	if (span_eq_nocase(type, SPAN("text/event-stream")))
		return OPENAPI_KIND_EVENTS;
	if (span_eq_nocase(type, SPAN("application/x-www-form-urlencoded")))
		return OPENAPI_KIND_FORM;
	if (starts_with_nocase(type, SPAN("multipart/")))
		return OPENAPI_KIND_MULTIPART;
	if (span_eq_nocase(type, SPAN("application/xml")) ||
	    span_eq_nocase(type, SPAN("text/xml")) || ends_with_nocase(type, SPAN("+xml")))
		return OPENAPI_KIND_XML;
	if (starts_with_nocase(type, SPAN("text/")) || is_one_of(type, texts))
		return OPENAPI_KIND_TEXT;
	return OPENAPI_KIND_BINARY;
}

bool openapi_range_covers(struct span range, struct span type)
{
	if (span_eq(range, SPAN("*/*")) || span_eq(range, SPAN("*")))
		return true;
	if (span_ends_with(range, SPAN("/*")))
		return starts_with_nocase(type, span_slice(range, 0, range.len - 1));
	return span_eq_nocase(range, type);
}

/* ---- what is binary -------------------------------------------------------------------------- */

static size_t length_limit(const struct json *node, struct span keyword, size_t otherwise)
{
	int64_t value;

	if (!json_int(json_get(node, keyword), &value) || value < 0)
		return otherwise;
	return (size_t)value;
}

/* OpenAPI 3.0.3 section 4.7.14.2; 3.1: a contentMediaType that is not also encoded. */
static bool binary_of(const struct contract *c, const struct schema *schema, size_t *min,
		      size_t *max)
{
	const struct json *node = openapi_schema_source(c, schema);
	bool binary = json_is(json_get(node, SPAN("format")), SPAN("binary")) ||
		      (json_get(node, SPAN("contentMediaType")) &&
		       !json_get(node, SPAN("contentEncoding")));

	*min = length_limit(node, SPAN("minLength"), 0);
	*max = length_limit(node, SPAN("maxLength"), SIZE_MAX);
	return binary;
}

/* ---- fields of forms ------------------------------------------------------------------------- */

/* An Encoding Object; NULL: none. */
static int read_encoding(struct openapi_builder *b, const struct openapi_node *node,
			 struct openapi_field *field)
{
	static const struct {
		struct span name;
		enum openapi_style style;
	} known[] = {
		{SPAN_INIT("form"), OPENAPI_FORM},
		{SPAN_INIT("spaceDelimited"), OPENAPI_SPACE},
		{SPAN_INIT("pipeDelimited"), OPENAPI_PIPE},
		{SPAN_INIT("deepObject"), OPENAPI_DEEP},
	};
	struct span style = SPAN_NONE;

	field->style = OPENAPI_FORM;
	field->explode = true;
	if (!node)
		return 0;
	if (openapi_expect(b, node, JSON_OBJECT, "an encoding") < 0 ||
	    openapi_string(b, node, "contentType", &field->content_type) < 0 ||
	    openapi_read_headers(b, node, &field->headers, &field->header_count) < 0 ||
	    openapi_string(b, node, "style", &style) < 0)
		return -1;
	for (size_t i = 0; style.ptr && i <= COUNT_OF(known); i++) {
		if (i == COUNT_OF(known))
			return openapi_error(b, node, ERR_INVALID,
					     "unknown style of an encoding");
		if (span_eq(style, known[i].name)) {
			field->style = known[i].style;
			break;
		}
	}
	field->explode = field->style == OPENAPI_FORM;
	return openapi_bool(b, node, "explode", &field->explode);
}

static int add_field(struct openapi_builder *b, const struct openapi_node *encodings,
		     struct openapi_media *media, struct openapi_field *fields,
		     struct span name)
{
	struct openapi_field *field = &fields[media->field_count];
	const struct schema *items;
	struct openapi_node node;
	bool encoded;

	for (size_t i = 0; i < media->field_count; i++)
		if (span_eq(fields[i].name, name))
			return 0;
	*field = (struct openapi_field){.name = arena_dup(&b->contract->arena, name)};
	if (!field->name.ptr)
		return openapi_no_memory(b);
	field->schema = schema_property(media->schema, name);
	if (!field->schema)
		field->schema = schema_anything();
	field->types = schema_types(field->schema);
	items = (field->types & SCHEMA_ARRAY) ? schema_items(field->schema) : NULL;
	field->binary = binary_of(b->contract, items ? items : field->schema, &field->min_bytes,
				  &field->max_bytes);
	encoded = encodings->value && openapi_get(encodings, field->name, &node);
	if (read_encoding(b, encoded ? &node : NULL, field) < 0)
		return -1;
	media->field_count++;
	return 0;
}

static int read_fields(struct openapi_builder *b, const struct openapi_node *node,
		       struct openapi_media *media)
{
	struct openapi_node encodings = {.value = NULL};
	struct openapi_field *fields;
	struct span name;
	size_t cursor = 0;
	size_t count = 0;

	while (schema_property_next(media->schema, &cursor, &name))
		count++;
	if (count > FIELDS_MAX)
		return openapi_error(b, node, ERR_LIMIT, "a form of more than %d fields",
				     FIELDS_MAX);
	fields = arena_array(&b->contract->arena, struct openapi_field, count);
	if (!fields)
		return openapi_no_memory(b);
	if (openapi_get(node, SPAN("encoding"), &encodings) &&
	    openapi_expect(b, &encodings, JSON_OBJECT, "encoding") < 0)
		return -1;
	cursor = 0;
	while (schema_property_next(media->schema, &cursor, &name))
		if (add_field(b, &encodings, media, fields, name) < 0)
			return -1;
	media->fields = fields;
	return 0;
}

/* ---- parts by position ----------------------------------------------------------------------- */

/* What both `schema` and `itemSchema` say of a part. */
static void describe_part(const struct contract *c, const struct openapi_media *media,
			  size_t index, struct openapi_field *part)
{
	const struct schema *const schemas[] = {schema_item(media->schema, index), media->item};

	part->schema = schema_anything();
	part->types = SCHEMA_ANY_TYPE;
	part->max_bytes = SIZE_MAX;
	for (size_t i = 0; i < COUNT_OF(schemas); i++) {
		size_t min, max;

		if (!schemas[i])
			continue;
		part->types &= schema_types(schemas[i]);
		if (!binary_of(c, schemas[i], &min, &max))
			continue;
		part->binary = true;
		part->min_bytes = min > part->min_bytes ? min : part->min_bytes;
		if (max < part->max_bytes) {
			part->max_bytes = max;
			part->schema = schemas[i];
		}
	}
}

static int read_positions(struct openapi_builder *b, const struct openapi_node *node,
			  const struct openapi_node *prefix, const struct openapi_node *rest,
			  struct openapi_media *media)
{
	size_t encoded = prefix ? prefix->value->array.count : 0;
	size_t count = schema_prefix_count(media->schema);
	struct openapi_field *parts;

	if (encoded > count)
		count = encoded;
	if (count > FIELDS_MAX)
		return openapi_error(b, node, ERR_LIMIT, "more than %d parts by position",
				     FIELDS_MAX);
	parts = arena_array(&b->contract->arena, struct openapi_field, count + 1);
	if (!parts)
		return openapi_no_memory(b);
	for (size_t i = 0; i <= count; i++) {
		struct openapi_node at;
		const struct openapi_node *encoding = rest;

		if (i < encoded && openapi_item(prefix, i, &at))
			encoding = &at;
		parts[i] = (struct openapi_field){.name = SPAN("")};
		describe_part(b->contract, media, i, &parts[i]);
		if (read_encoding(b, encoding, &parts[i]) < 0)
			return -1;
	}
	media->parts = parts;
	media->part_count = count + 1;
	return 0;
}

/* OpenAPI 3.2, "Encoding By Position": parts are the items of an array. */
static int read_parts(struct openapi_builder *b, const struct openapi_node *node,
		      struct openapi_media *media)
{
	bool multipart = openapi_kind_of(media->range) == OPENAPI_KIND_MULTIPART;
	bool array = (schema_types(media->schema) & ~(unsigned)SCHEMA_NULL) == SCHEMA_ARRAY;
	struct openapi_node prefix, rest, named;
	bool has_prefix = openapi_get(node, SPAN("prefixEncoding"), &prefix);
	bool has_rest = openapi_get(node, SPAN("itemEncoding"), &rest);
	bool by_name = openapi_get(node, SPAN("encoding"), &named);

	if (!multipart && !openapi_range_covers(media->range, SPAN("multipart/mixed")))
		return 0;
	if ((has_prefix && openapi_expect(b, &prefix, JSON_ARRAY, "prefixEncoding") < 0) ||
	    (has_rest && openapi_expect(b, &rest, JSON_OBJECT, "itemEncoding") < 0))
		return -1;
	/* In a range of everything, itemSchema may be for other content than encoding is. */
	if (by_name && (has_prefix || has_rest || (multipart && media->item)))
		return openapi_error(b, &named, ERR_INVALID,
				     "encoding names parts, but %s has them by position",
				     has_prefix ? "prefixEncoding"
				     : has_rest ? "itemEncoding"
						: "itemSchema");
	if (by_name || (!has_prefix && !has_rest && !media->item && !array))
		return 0;
	return read_positions(b, node, has_prefix ? &prefix : NULL, has_rest ? &rest : NULL,
			      media);
}

/* ---- content --------------------------------------------------------------------------------- */

static int read_media(struct openapi_builder *b, struct openapi_node *node,
		      enum schema_direction direction, struct openapi_media *media)
{
	enum openapi_kind kind = openapi_kind_of(media->range);
	struct openapi_node schema;

	if (!memchr(media->range.ptr, '/', media->range.len))
		return openapi_error(b, node, ERR_INVALID, "\"%.*s\" is not a media type",
				     SPAN_ARG(span_slice(media->range, 0, 60)));
	if (openapi_follow(b, node) < 0 ||
	    openapi_expect(b, node, JSON_OBJECT, "a media type") < 0)
		return -1;
	media->node = node->value;
	media->schema = schema_anything();
	media->max_bytes = SIZE_MAX;
	if (openapi_get(node, SPAN("schema"), &schema)) {
		media->schema = openapi_schema(b, &schema, direction);
		if (!media->schema)
			return -1;
		media->binary = binary_of(b->contract, media->schema, &media->min_bytes,
					  &media->max_bytes);
	}
	if (b->contract->version >= 32 && openapi_get(node, SPAN("itemSchema"), &schema)) {
		media->item = openapi_schema(b, &schema, direction);
		if (!media->item)
			return -1;
	}
	if (b->contract->version >= 32 && read_parts(b, node, media) < 0)
		return -1;
	if (kind == OPENAPI_KIND_FORM || kind == OPENAPI_KIND_MULTIPART ||
	    memchr(media->range.ptr, '*', media->range.len))
		return read_fields(b, node, media);
	return 0;
}

/* Exact types before ranges, and these before any. */
static int compare_media(const void *left, const void *right)
{
	const struct openapi_media *a = left;
	const struct openapi_media *b = right;
	int rank_a =
		span_starts_with(a->range, SPAN("*")) ? 2 : span_ends_with(a->range, SPAN("*"));
	int rank_b =
		span_starts_with(b->range, SPAN("*")) ? 2 : span_ends_with(b->range, SPAN("*"));

	return rank_a != rank_b ? rank_a - rank_b : span_compare(a->range, b->range);
}

int openapi_read_content(struct openapi_builder *b, const struct openapi_node *owner,
			 enum schema_direction direction, struct openapi_content *content)
{
	struct openapi_media *list;
	struct openapi_node all;
	size_t count;

	if (!openapi_get(owner, SPAN("content"), &all))
		return 0;
	if (openapi_expect(b, &all, JSON_OBJECT, "content") < 0)
		return -1;
	count = all.value->object.count;
	list = arena_array(&b->contract->arena, struct openapi_media, count);
	if (!list)
		return openapi_no_memory(b);
	for (size_t i = 0; i < count; i++) {
		struct openapi_node node;

		openapi_member(&all, i, &node);
		list[i].range =
			span_trim(span_slice(node.key, 0, span_find_byte(node.key, ';')));
		if (read_media(b, &node, direction, &list[i]) < 0)
			return -1;
	}
	if (count)
		qsort(list, count, sizeof(*list), compare_media);
	*content = (struct openapi_content){list, count, true};
	return 0;
}
