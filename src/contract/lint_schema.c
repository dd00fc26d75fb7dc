/* Bounds: what a request may hold without limit. */
#include "contract/lint_internal.h"

struct visit {
	struct span subject;
	unsigned depth;
};

static void visit(struct lint *l, const struct json *schema, struct visit at);

/* True the first time that this node is asked about. */
static bool first_time(struct lint *l, const struct json *node)
{
	struct span key = span_of(&node, sizeof(node));

	if (map_get(&l->seen, key))
		return false;
	key = arena_dup(&l->arena, key);
	if (!key.ptr || map_put(&l->seen, key, l) != 0) {
		l->no_memory = true;
		return false;
	}
	return true;
}

static bool has_type(const struct json *schema, struct span name)
{
	const struct json *type = json_get(schema, SPAN("type"));

	for (size_t i = 0; json_at(type, i); i++)
		if (json_is(json_at(type, i), name))
			return true;
	return json_is(type, name);
}

static bool has(const struct json *schema, const char *keyword)
{
	return json_get(schema, span_cstr(keyword)) != NULL;
}

/* All its texts are short. */
static bool has_bounded_format(const struct json *schema)
{
	static const char *const formats[] = {"date",  "date-time", "time",   "uuid",
					      "ipv4",  "ipv6",	    "binary", "byte",
					      "int64", "duration",  NULL};
	struct span format;

	if (!json_string(json_get(schema, SPAN("format")), &format))
		return false;
	for (size_t i = 0; formats[i]; i++)
		if (span_eq(format, span_cstr(formats[i])))
			return true;
	return false;
}

static void check_string(struct lint *l, const struct json *schema, struct span subject)
{
	static const struct lint_rule rule = {
		"openapi-string-unbounded", FINDING_LOW, "The string may be of any length.",
		"Set maxLength, an enum, or a format whose texts are short."};

	if (has_type(schema, SPAN("string")) && !has(schema, "maxLength") &&
	    !has(schema, "enum") && !has(schema, "const") && !has_bounded_format(schema))
		lint_add(l, &rule, schema, subject);
}

static void check_array(struct lint *l, const struct json *schema, struct span subject)
{
	static const struct lint_rule rule = {"openapi-array-unbounded", FINDING_MEDIUM,
					      "The array may have any number of items.",
					      "Set maxItems."};

	if (has_type(schema, SPAN("array")) && !has(schema, "maxItems") &&
	    !has(schema, "enum") && !has(schema, "const"))
		lint_add(l, &rule, schema, subject);
}

static void check_integer(struct lint *l, const struct json *schema, struct span subject)
{
	static const struct lint_rule rule = {
		"openapi-integer-unbounded", FINDING_LOW,
		"The integer may be of any size, larger than services can hold.",
		"Set minimum and maximum, or the format int32 or int64."};
	bool low = has(schema, "minimum") || has(schema, "exclusiveMinimum");
	bool high = has(schema, "maximum") || has(schema, "exclusiveMaximum");
	const struct json *format = json_get(schema, SPAN("format"));

	if (has_type(schema, SPAN("integer")) && !(low && high) && !has(schema, "enum") &&
	    !has(schema, "const") && !json_is(format, SPAN("int32")) &&
	    !json_is(format, SPAN("int64")))
		lint_add(l, &rule, schema, subject);
}

static void check_object(struct lint *l, const struct json *schema, struct span subject)
{
	static const struct lint_rule rule = {
		"openapi-object-open", FINDING_LOW,
		"The object may have properties that the contract does not name.",
		"Set additionalProperties or unevaluatedProperties to false, or let the "
		"gateway "
		"refuse or strip the unknown."};

	if (has(schema, "properties") && !has(schema, "additionalProperties") &&
	    !has(schema, "unevaluatedProperties"))
		lint_add(l, &rule, schema, subject);
}

static void visit_all(struct lint *l, const struct json *holder, struct visit at)
{
	if (!holder)
		return;
	for (size_t i = 0; holder->type == JSON_ARRAY && i < holder->array.count; i++)
		visit(l, &holder->array.items[i], at);
	for (size_t i = 0; holder->type == JSON_OBJECT && i < holder->object.count; i++)
		visit(l, &holder->object.members[i].value, at);
}

static void visit(struct lint *l, const struct json *schema, struct visit at)
{
	static const char *const single[] = {"items",	 "additionalProperties",
					     "contains", "unevaluatedProperties",
					     "if",	 "then",
					     "else"};
	static const char *const many[] = {
		"properties", "patternProperties", "allOf",	      "anyOf",
		"oneOf",      "prefixItems",	   "dependentSchemas"};

	if (at.depth++ == LINT_DEPTH_MAX || l->no_memory)
		return;
	schema = lint_follow(l, schema);
	/* readOnly: it is not part of a request. */
	if (!schema || schema->type != JSON_OBJECT || !first_time(l, schema) ||
	    (json_get(schema, SPAN("readOnly")) && json_get(schema, SPAN("readOnly"))->boolean))
		return;
	check_string(l, schema, at.subject);
	check_array(l, schema, at.subject);
	check_integer(l, schema, at.subject);
	check_object(l, schema, at.subject);
	for (size_t i = 0; i < COUNT_OF(single); i++)
		if (has(schema, single[i]))
			visit(l, json_get(schema, span_cstr(single[i])), at);
	for (size_t i = 0; i < COUNT_OF(many); i++)
		visit_all(l, json_get(schema, span_cstr(many[i])), at);
}

void lint_request_schema(struct lint *l, const struct json *schema, struct span subject)
{
	visit(l, schema, (struct visit){.subject = subject});
}
