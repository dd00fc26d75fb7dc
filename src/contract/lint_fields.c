/* Words that mean nothing in their place: misspelt, what they say is not checked. */
#include "contract/lint_internal.h"

/* An object of OpenAPI: its fields, and what some of them hold. */
struct shape {
	const char *what;
	const struct field *fields;
};

struct field {
	const char *name; /* NULL ends */
	const struct shape *shape; /* NULL: not looked into */
	enum { ONE, LIST, MAP } many;
};

static const struct shape header, media, path_item;

static const struct field encoding_fields[] = {
	{"contentType", NULL, ONE},    {"headers", &header, MAP},    {"style", NULL, ONE},
	{"explode", NULL, ONE},	       {"allowReserved", NULL, ONE}, {"encoding", NULL, ONE},
	{"prefixEncoding", NULL, ONE}, {"itemEncoding", NULL, ONE},  {NULL, NULL, ONE},
};
static const struct shape encoding = {"an encoding", encoding_fields};

static const struct field media_fields[] = {
	{"schema", NULL, ONE},
	{"itemSchema", NULL, ONE},
	{"example", NULL, ONE},
	{"examples", NULL, ONE},
	{"encoding", &encoding, MAP},
	{"prefixEncoding", &encoding, LIST},
	{"itemEncoding", &encoding, ONE},
	{NULL, NULL, ONE},
};
static const struct shape media = {"a media type", media_fields};

static const struct field header_fields[] = {
	{"description", NULL, ONE},	{"required", NULL, ONE},  {"deprecated", NULL, ONE},
	{"allowEmptyValue", NULL, ONE}, {"style", NULL, ONE},	  {"explode", NULL, ONE},
	{"allowReserved", NULL, ONE},	{"schema", NULL, ONE},	  {"example", NULL, ONE},
	{"examples", NULL, ONE},	{"content", &media, MAP}, {NULL, NULL, ONE},
};
static const struct shape header = {"a header", header_fields};

static const struct field parameter_fields[] = {
	{"name", NULL, ONE},	  {"in", NULL, ONE},	     {"description", NULL, ONE},
	{"required", NULL, ONE},  {"deprecated", NULL, ONE}, {"allowEmptyValue", NULL, ONE},
	{"style", NULL, ONE},	  {"explode", NULL, ONE},    {"allowReserved", NULL, ONE},
	{"schema", NULL, ONE},	  {"example", NULL, ONE},    {"examples", NULL, ONE},
	{"content", &media, MAP}, {NULL, NULL, ONE},
};
static const struct shape parameter = {"a parameter", parameter_fields};

static const struct field body_fields[] = {
	{"description", NULL, ONE},
	{"content", &media, MAP},
	{"required", NULL, ONE},
	{NULL, NULL, ONE},
};
static const struct shape body = {"a request body", body_fields};

static const struct field response_fields[] = {
	{"summary", NULL, ONE},	  {"description", NULL, ONE}, {"headers", &header, MAP},
	{"content", &media, MAP}, {"links", NULL, ONE},	      {NULL, NULL, ONE},
};
static const struct shape response = {"a response", response_fields};

static const struct field operation_fields[] = {
	{"tags", NULL, ONE},	     {"summary", NULL, ONE},
	{"description", NULL, ONE},  {"externalDocs", NULL, ONE},
	{"operationId", NULL, ONE},  {"parameters", &parameter, LIST},
	{"requestBody", &body, ONE}, {"responses", &response, MAP},
	{"callbacks", NULL, ONE},    {"deprecated", NULL, ONE},
	{"security", NULL, ONE},     {"servers", NULL, ONE},
	{NULL, NULL, ONE},
};
static const struct shape operation = {"an operation", operation_fields};

static const struct field path_item_fields[] = {
	{"summary", NULL, ONE},
	{"description", NULL, ONE},
	{"get", &operation, ONE},
	{"put", &operation, ONE},
	{"post", &operation, ONE},
	{"delete", &operation, ONE},
	{"options", &operation, ONE},
	{"head", &operation, ONE},
	{"patch", &operation, ONE},
	{"trace", &operation, ONE},
	{"query", &operation, ONE},
	{"servers", NULL, ONE},
	{"parameters", &parameter, LIST},
	{"additionalOperations", &operation, MAP},
	{NULL, NULL, ONE},
};
static const struct shape path_item = {"a path item", path_item_fields};

static const struct field scheme_fields[] = {
	{"type", NULL, ONE},
	{"description", NULL, ONE},
	{"name", NULL, ONE},
	{"in", NULL, ONE},
	{"scheme", NULL, ONE},
	{"bearerFormat", NULL, ONE},
	{"flows", NULL, ONE},
	{"openIdConnectUrl", NULL, ONE},
	{"oauth2MetadataUrl", NULL, ONE},
	{"deprecated", NULL, ONE},
	{NULL, NULL, ONE},
};
static const struct shape scheme = {"a security scheme", scheme_fields};

static const struct field components_fields[] = {
	{"schemas", NULL, ONE},
	{"responses", &response, MAP},
	{"parameters", &parameter, MAP},
	{"examples", NULL, ONE},
	{"requestBodies", &body, MAP},
	{"headers", &header, MAP},
	{"securitySchemes", &scheme, MAP},
	{"links", NULL, ONE},
	{"callbacks", NULL, ONE},
	{"pathItems", &path_item, MAP},
	{"mediaTypes", &media, MAP},
	{NULL, NULL, ONE},
};
static const struct shape components = {"components", components_fields};

static const struct field root_fields[] = {
	{"openapi", NULL, ONE},	       {"$self", NULL, ONE},
	{"info", NULL, ONE},	       {"jsonSchemaDialect", NULL, ONE},
	{"servers", NULL, ONE},	       {"paths", &path_item, MAP},
	{"webhooks", &path_item, MAP}, {"components", &components, ONE},
	{"security", NULL, ONE},       {"tags", NULL, ONE},
	{"externalDocs", NULL, ONE},   {NULL, NULL, ONE},
};
static const struct shape root = {"the document", root_fields};

static const struct field *find_field(const struct shape *shape, struct span name)
{
	for (const struct field *f = shape->fields; f->name; f++)
		if (span_eq(span_cstr(f->name), name))
			return f;
	return NULL;
}

static void add(struct lint *l, const struct shape *shape, const struct json_member *member)
{
	static const struct lint_rule rule = {
		"openapi-unknown-field", FINDING_MEDIUM, "",
		"Correct the word, or begin it with \"x-\" when it is an extension."};
	const char *nearest = NULL;
	unsigned best = 4;
	char message[300];

	for (const struct field *f = shape->fields; f->name; f++) {
		unsigned distance = span_distance(span_cstr(f->name), member->key);

		if (distance >= best)
			continue;
		best = distance;
		nearest = f->name;
	}
	snprintf(message, sizeof(message), "\"%.*s\" means nothing in %s%s%s%s.",
		 SPAN_ARG(span_slice(member->key, 0, 100)), shape->what,
		 nearest ? "; did you mean \"" : "", nearest ? nearest : "",
		 nearest ? "\"?" : "");
	if (nearest)
		message[strlen(message) - 1] = '\0';
	lint_add_message(l, &rule, span_cstr(message), &member->value,
			 span_slice(member->key, 0, 100));
}

static void visit(struct lint *l, const struct shape *shape, const struct json *value);

static void visit_field(struct lint *l, const struct field *field, const struct json *value)
{
	if (field->many == ONE)
		visit(l, field->shape, value);
	for (size_t i = 0; field->many == LIST && json_at(value, i); i++)
		visit(l, field->shape, json_at(value, i));
	if (field->many != MAP || value->type != JSON_OBJECT)
		return;
	for (size_t i = 0; i < value->object.count; i++)
		if (!span_starts_with(value->object.members[i].key, SPAN("x-")))
			visit(l, field->shape, &value->object.members[i].value);
}

/* As deep as the tables are. */
static void visit(struct lint *l, const struct shape *shape, const struct json *value)
{
	if (value->type != JSON_OBJECT || json_get(value, SPAN("$ref")))
		return;
	for (size_t i = 0; i < value->object.count && !l->no_memory; i++) {
		const struct json_member *member = &value->object.members[i];
		const struct field *field = find_field(shape, member->key);

		if (field && field->shape)
			visit_field(l, field, &member->value);
		else if (!field && !span_starts_with(member->key, SPAN("x-")))
			add(l, shape, member);
	}
}

void lint_fields(struct lint *l, const struct document *document)
{
	if (json_get(document->root, SPAN("openapi")))
		visit(l, &root, document->root);
}
