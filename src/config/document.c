/* document.c - the JSON Schema of a file and the reference table, both from the schema. */
#include "config/config.h"

#include <assert.h>

#include "config/table.h"

#define OBJECTS_MAX 256

/* Objects in the order in which they are first met; each is defined once. */
struct objects {
	const struct schema_object *at[OBJECTS_MAX];
	size_t count;
};

static void collect(struct objects *objects, const struct schema_object *schema)
{
	for (size_t i = 0; i < objects->count; i++)
		if (objects->at[i] == schema)
			return;
	assert(objects->count < OBJECTS_MAX);
	objects->at[objects->count++] = schema;
	for (const struct schema_key *key = schema->keys; key->name; key++)
		if (key->object)
			collect(objects, key->object);
}

/* ---- JSON Schema ----------------------------------------------------------------------------- */

static void json_string(struct buf *out, const char *text)
{
	buf_append_byte(out, '"');
	buf_append_json(out, span_cstr(text));
	buf_append_byte(out, '"');
}

static void json_range(struct buf *out, const struct schema_key *key)
{
	buf_append_cstr(out, "\"anyOf\":[{\"type\":\"integer\",\"minimum\":");
	buf_append_u64(out, key->min);
	if (key->max > 0) {
		buf_append_cstr(out, ",\"maximum\":");
		buf_append_u64(out, key->max);
	}
	buf_append_cstr(out, "},{\"$ref\":\"#/$defs/variable\"}]");
}

static void json_enum(struct buf *out, const struct schema_key *key)
{
	const char *comma = "";

	buf_append_cstr(out, "\"enum\":[");
	for (const struct schema_name *n = key->names; n->name; n++) {
		struct span name = span_cstr(n->name);
		uint64_t number;

		buf_append_cstr(out, comma);
		json_string(out, n->name);
		comma = ",";
		/* Editors read what looks like a number or a switch as one. */
		if (span_to_u64(name, &number) || (name.len == 3 && name.ptr[1] == '.'))
			buf_printf(out, ",%s", n->name);
		else if (span_eq(name, SPAN("off")))
			buf_append_cstr(out, ",false");
	}
	buf_append_byte(out, ']');
}

static void json_text(struct buf *out, const struct schema_format *format)
{
	if (!format->pattern) {
		buf_append_cstr(out, "\"type\":[\"string\",\"number\",\"boolean\"]");
		return;
	}
	buf_append_cstr(out, "\"type\":\"string\",\"pattern\":\"");
	buf_append_json(out, span_cstr(format->pattern));
	buf_append_cstr(out, "|\\\\$\\\\{\"");
}

static void json_one_or_list(struct buf *out, const struct schema_key *key,
			     void (*item)(struct buf *, const struct schema_key *))
{
	buf_append_cstr(out, "\"anyOf\":[{");
	item(out, key);
	buf_append_cstr(out, "},{\"type\":\"array\",\"items\":{");
	item(out, key);
	buf_append_cstr(out, "}}]");
}

static void json_text_item(struct buf *out, const struct schema_key *key)
{
	json_text(out, key->format);
}

static void json_any_text(struct buf *out, const struct schema_key *key)
{
	(void)key;
	buf_append_cstr(out, "\"type\":\"string\"");
}

static void json_reference(struct buf *out, const struct schema_key *key)
{
	buf_printf(out, "\"$ref\":\"#/$defs/%s\"", key->object->name);
}

static void json_definition(struct buf *out, const char *name)
{
	buf_printf(out, "\"$ref\":\"#/$defs/%s\"", name);
}

static void json_type(struct buf *out, const struct schema_key *key)
{
	switch (key->type) {
	case SCHEMA_BOOL: json_definition(out, "switch"); break;
	case SCHEMA_COUNT: json_range(out, key); break;
	case SCHEMA_COUNTS: json_one_or_list(out, key, json_range); break;
	case SCHEMA_DURATION: json_definition(out, "duration"); break;
	case SCHEMA_SIZE: json_definition(out, "size"); break;
	case SCHEMA_PERCENT: json_definition(out, "percentage"); break;
	case SCHEMA_RATE: json_definition(out, "rate"); break;
	case SCHEMA_ENUM: json_enum(out, key); break;
	case SCHEMA_FLAGS: json_one_or_list(out, key, json_enum); break;
	case SCHEMA_TEXT: json_text(out, key->format); break;
	case SCHEMA_TEXTS: json_one_or_list(out, key, json_text_item); break;
	case SCHEMA_NETWORKS:
	case SCHEMA_CLAIM: json_one_or_list(out, key, json_any_text); break;
	case SCHEMA_FILE:
	case SCHEMA_OUTPUT:
	case SCHEMA_SECRET:
	case SCHEMA_ADDRESS: json_any_text(out, key); break;
	case SCHEMA_PAIRS:
		buf_append_cstr(out, "\"type\":\"object\",\"additionalProperties\":{\"type\":"
				     "[\"string\",\"number\",\"boolean\"]}");
		break;
	case SCHEMA_OBJECT:
	case SCHEMA_OPTIONAL: json_reference(out, key); break;
	case SCHEMA_LIST:
		if (key->flags & SCHEMA_ONE_OR_LIST) {
			json_one_or_list(out, key, json_reference);
			break;
		}
		buf_append_cstr(out, "\"type\":\"array\",\"items\":{");
		json_reference(out, key);
		buf_append_byte(out, '}');
		break;
	case SCHEMA_MAP:
		buf_append_cstr(out, "\"type\":\"object\",\"additionalProperties\":{");
		json_reference(out, key);
		buf_append_byte(out, '}');
		break;
	case SCHEMA_CUSTOM: buf_append_cstr(out, key->custom->json_schema); break;
	}
}

static void json_key(struct buf *out, const struct schema_key *key)
{
	json_type(out, key);
	if (key->initial) {
		buf_append_cstr(out, ",\"default\":");
		json_string(out, key->initial);
	}
	buf_append_cstr(out, ",\"description\":");
	json_string(out, key->text);
}

static const struct schema_key *find_key(const struct schema_object *schema, const char *name)
{
	const struct schema_key *key = schema->keys;

	while (!span_eq(span_cstr(key->name), span_cstr(name)))
		key++;
	return key;
}

static void json_members(struct buf *out, const struct schema_object *schema)
{
	const char *comma = "";

	buf_append_cstr(out, "\"type\":\"object\",\"additionalProperties\":false,"
			     "\"properties\":{");
	for (const struct schema_key *key = schema->keys; key->name; key++) {
		buf_printf(out, "%s\n    \"%s\":{", comma, key->name);
		json_key(out, key);
		buf_append_byte(out, '}');
		comma = ",";
	}
	buf_append_byte(out, '}');
	comma = ",\"required\":[";
	for (const struct schema_key *key = schema->keys; key->name; key++) {
		if (!(key->flags & SCHEMA_REQUIRED))
			continue;
		buf_printf(out, "%s\"%s\"", comma, key->name);
		comma = ",";
	}
	if (comma[1] == '\0')
		buf_append_byte(out, ']');
}

static void json_object(struct buf *out, const struct schema_object *schema)
{
	if (!schema->shorthand) {
		json_members(out, schema);
		return;
	}
	buf_append_cstr(out, "\"anyOf\":[{");
	json_type(out, find_key(schema, schema->shorthand));
	buf_append_cstr(out, "},{");
	json_members(out, schema);
	buf_append_cstr(out, "}]");
}

void table_write_json_schema(const struct schema_object *schema, const char *title,
			     struct buf *out)
{
	static const char fixed[] =
		"  \"variable\":{\"type\":\"string\",\"pattern\":\"\\\\$\\\\{\"},\n"
		"  \"switch\":{\"enum\":[true,false,\"on\",\"off\",\"yes\",\"no\"]},\n"
		"  \"duration\":{\"anyOf\":[{\"const\":0},{\"type\":\"string\",\"pattern\":"
		"\"^([0-9]+(ms|s|m|h|d)|0)$|\\\\$\\\\{\"}]},\n"
		"  "
		"\"size\":{\"anyOf\":[{\"type\":\"integer\",\"minimum\":0},{\"type\":"
		"\"string\","
		"\"pattern\":\"^[0-9]+([kKmMgGB]|KiB|MiB|GiB)?$|\\\\$\\\\{\"}]},\n"
		"  \"rate\":{\"type\":\"string\",\"pattern\":"
		"\"^[0-9]+/[0-9]*(ms|s|m|h|d)$|\\\\$\\\\{\"},\n"
		"  \"percentage\":{\"type\":\"string\",\"pattern\":"
		"\"^(100|[0-9]{1,2})%$|\\\\$\\\\{\"}";
	struct objects objects = {.count = 0};

	collect(&objects, schema);
	buf_append_cstr(out, "{\n"
			     "\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\n"
			     "\"title\":");
	json_string(out, title);
	buf_append_cstr(out, ",\n");
	json_object(out, schema);
	buf_append_cstr(out, ",\n\"$defs\":{\n");
	buf_append_cstr(out, fixed);
	for (size_t i = 1; i < objects.count; i++) {
		buf_printf(out, ",\n  \"%s\":{", objects.at[i]->name);
		json_object(out, objects.at[i]);
		buf_append_byte(out, '}');
	}
	buf_append_cstr(out, "}\n}\n");
}

void config_write_json_schema(struct buf *out)
{
	table_write_json_schema(&schema_config, "The configuration file of Sallyport", out);
}

/* ---- reference ------------------------------------------------------------------------------- */

static void reference_names(struct buf *out, const struct schema_key *key)
{
	for (const struct schema_name *n = key->names; n->name; n++)
		buf_printf(out, "%s`%s`", n > key->names ? ", " : "", n->name);
}

static void reference_type(struct buf *out, const struct schema_key *key)
{
	switch (key->type) {
	case SCHEMA_BOOL: buf_append_cstr(out, "`on` or `off`"); break;
	case SCHEMA_COUNT:
		buf_append_cstr(out, "number");
		if (key->max > 0)
			buf_printf(out, ", %llu to %llu", (unsigned long long)key->min,
				   (unsigned long long)key->max);
		break;
	case SCHEMA_COUNTS: buf_append_cstr(out, "numbers"); break;
	case SCHEMA_DURATION: buf_append_cstr(out, "duration"); break;
	case SCHEMA_SIZE: buf_append_cstr(out, "size"); break;
	case SCHEMA_PERCENT: buf_append_cstr(out, "percentage"); break;
	case SCHEMA_RATE: buf_append_cstr(out, "rate"); break;
	case SCHEMA_ENUM: reference_names(out, key); break;
	case SCHEMA_FLAGS:
		buf_append_cstr(out, "list of ");
		reference_names(out, key);
		break;
	case SCHEMA_TEXT: buf_append_cstr(out, key->format->what); break;
	case SCHEMA_TEXTS: buf_printf(out, "list of: %s", key->format->what); break;
	case SCHEMA_FILE:
	case SCHEMA_OUTPUT: buf_append_cstr(out, "file"); break;
	case SCHEMA_SECRET: buf_append_cstr(out, "secret"); break;
	case SCHEMA_ADDRESS: buf_append_cstr(out, "address"); break;
	case SCHEMA_NETWORKS: buf_append_cstr(out, "list of networks"); break;
	case SCHEMA_CLAIM: buf_append_cstr(out, "claim"); break;
	case SCHEMA_PAIRS: buf_append_cstr(out, "header fields and values"); break;
	case SCHEMA_OBJECT:
	case SCHEMA_OPTIONAL:
		buf_printf(out, "[%s](#%s)", key->object->name, key->object->name);
		break;
	case SCHEMA_LIST:
		buf_printf(out, "list of [%s](#%s)", key->object->name, key->object->name);
		break;
	case SCHEMA_MAP:
		buf_printf(out, "[%s](#%s) by name", key->object->name, key->object->name);
		break;
	case SCHEMA_CUSTOM: buf_append_cstr(out, key->custom->what); break;
	}
}

static void reference_object(struct buf *out, const struct schema_object *schema)
{
	buf_printf(out, "\n### %s\n", schema->name);
	if (schema->shorthand)
		buf_printf(out, "\nA single value in its place is its `%s`.\n",
			   schema->shorthand);
	buf_append_cstr(out, "\n| key | value | default | |\n|---|---|---|---|\n");
	for (const struct schema_key *key = schema->keys; key->name; key++) {
		buf_printf(out, "| `%s` | ", key->name);
		reference_type(out, key);
		buf_append_cstr(out, " | ");
		if (key->flags & SCHEMA_REQUIRED)
			buf_append_cstr(out, "required");
		else if (key->initial)
			buf_printf(out, "`%s`", key->initial);
		buf_printf(out, " | %s |\n", key->text);
	}
}

void table_write_reference(const struct schema_object *schema, struct buf *out)
{
	struct objects objects = {.count = 0};

	collect(&objects, schema);
	for (size_t i = 0; i < objects.count; i++)
		reference_object(out, objects.at[i]);
}

void config_write_reference(struct buf *out)
{
	table_write_reference(&schema_config, out);
}
