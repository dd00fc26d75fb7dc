#include "contract/generate_internal.h"

#define DEPTH_MAX 12
#define LONG_MAX_BYTES ((size_t)64 << 10)

struct maker {
	struct contract *contract;
	struct arena *arena;
	unsigned depth;
};

static const struct json *make(struct maker *m, const struct json *schema);

const struct json *generate_follow(struct contract *c, const struct json *schema)
{
	for (unsigned i = 0; schema && i < 32; i++) {
		const struct document *from = document_of(c->documents, schema);
		struct span reference;

		if (!json_string(json_get(schema, SPAN("$ref")), &reference))
			return schema;
		schema = from ? document_resolve(c->documents, from, reference, NULL, NULL)
			      : NULL;
	}
	return NULL;
}

static const struct json *property_at(struct contract *c, const struct json *schema,
				      struct span name, unsigned depth)
{
	const struct json *found, *all;

	schema = generate_follow(c, schema);
	found = json_get(json_get(schema, SPAN("properties")), name);
	if (found || depth == DEPTH_MAX)
		return found;
	all = json_get(schema, SPAN("allOf"));
	for (size_t i = 0; json_at(all, i) && !found; i++)
		found = property_at(c, json_at(all, i), name, depth + 1);
	return found;
}

const struct json *generate_property(struct contract *c, const struct json *schema,
				     struct span name)
{
	return property_at(c, schema, name, 0);
}

/* ---- scalars --------------------------------------------------------------------------------- */

static const struct json *text_value(struct maker *m, enum json_type type, struct span text)
{
	struct json *value = arena_new(m->arena, struct json);

	if (!value)
		return NULL;
	value->type = type;
	value->text = arena_dup(m->arena, text);
	return value->text.ptr ? value : NULL;
}

static const struct json *integer_value(struct maker *m, int64_t number)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%lld", (long long)number);

	return text_value(m, JSON_NUMBER, span_of(text, (size_t)len));
}

static const struct json *bool_value(struct maker *m, bool boolean)
{
	struct json *value = arena_new(m->arena, struct json);

	if (value) {
		value->type = JSON_BOOL;
		value->boolean = boolean;
	}
	return value;
}

static bool keyword_int(const struct json *schema, const char *keyword, int64_t *value)
{
	return json_int(json_get(schema, span_cstr(keyword)), value);
}

static const struct json *repeated(struct maker *m, char byte, size_t len)
{
	char *text = len <= LONG_MAX_BYTES ? arena_alloc(m->arena, len + 1) : NULL;

	if (!text)
		return NULL;
	memset(text, byte, len);
	return text_value(m, JSON_STRING, span_of(text, len));
}

static const struct json *make_string(struct maker *m, const struct json *schema)
{
	static const struct {
		const char *format, *text;
	} samples[] = {
		{"date", "2024-02-29"},
		{"date-time", "2024-02-29T12:34:56Z"},
		{"time", "12:34:56Z"},
		{"duration", "P1D"},
		{"email", "somebody@mail.test"},
		{"idn-email", "somebody@mail.test"},
		{"hostname", "host.test"},
		{"idn-hostname", "host.test"},
		{"ipv4", "192.0.2.1"},
		{"ipv6", "2001:db8::1"},
		{"uri", "https://host.test/x"},
		{"uri-reference", "/x"},
		{"uuid", "3fa85f64-5717-4562-b3fc-2c963f66afa6"},
		{"byte", "dGV4dA=="},
		{"json-pointer", "/x"},
		{"regex", "x"},
	};
	struct span format;
	int64_t shortest = 1, longest = 8;

	if (json_string(json_get(schema, SPAN("format")), &format))
		for (size_t i = 0; i < COUNT_OF(samples); i++)
			if (span_eq(format, span_cstr(samples[i].format)))
				return text_value(m, JSON_STRING, span_cstr(samples[i].text));
	(void)keyword_int(schema, "minLength", &shortest);
	(void)keyword_int(schema, "maxLength", &longest);
	if (shortest < 0 || shortest > (int64_t)LONG_MAX_BYTES)
		return NULL;
	if (shortest == 0 && longest > 0)
		shortest = 1;
	return repeated(m, 'a', (size_t)shortest);
}

static const struct json *make_number(struct maker *m, const struct json *schema)
{
	int64_t low = 1, high = INT64_MAX, step = 0, bound;
	bool exclusive = false;

	if (keyword_int(schema, "maximum", &high) && high < low)
		low = high;
	if (keyword_int(schema, "exclusiveMaximum", &bound) && bound <= low)
		low = bound - 1;
	if (keyword_int(schema, "minimum", &bound))
		low = bound;
	if (json_bool(json_get(schema, SPAN("exclusiveMinimum")), &exclusive) && exclusive)
		low++;
	if (keyword_int(schema, "exclusiveMinimum", &bound))
		low = bound + 1;
	if (keyword_int(schema, "multipleOf", &step) && step > 0 && low % step)
		low += step - (low > 0 ? low % step : step + low % step);
	return integer_value(m, low);
}

/* ---- containers ------------------------------------------------------------------------------ */

static const struct json *make_array(struct maker *m, const struct json *schema)
{
	const struct json *item, *items = json_get(schema, SPAN("items"));
	struct json *value = arena_new(m->arena, struct json);
	struct json *list;
	int64_t least = 1;

	(void)keyword_int(schema, "minItems", &least);
	if (!value || least < 0 || least > 100)
		return NULL;
	*value = (struct json){.type = JSON_ARRAY};
	item = items ? make(m, items) : text_value(m, JSON_STRING, SPAN("a"));
	if (!item)
		return least <= 1 && !keyword_int(schema, "minItems", &least) ? value : NULL;
	list = arena_array(m->arena, struct json, (size_t)least);
	if (!list)
		return NULL;
	for (int64_t i = 0; i < least; i++)
		list[i] = *item;
	value->array.items = list;
	value->array.count = (size_t)least;
	return value;
}

static bool in_list(const struct json *list, struct span name)
{
	for (size_t i = 0; json_at(list, i); i++)
		if (json_is(json_at(list, i), name))
			return true;
	return false;
}

static bool is_read_only(struct maker *m, const struct json *schema)
{
	bool read_only = false;

	(void)json_bool(json_get(generate_follow(m->contract, schema), SPAN("readOnly")),
			&read_only);
	return read_only;
}

static bool add_member(struct json *object, struct json_member *members, struct span name,
		       const struct json *value)
{
	if (!value || json_get(object, name))
		return value != NULL;
	members[object->object.count++] = (struct json_member){name, *value};
	return true;
}

static size_t size_of(const struct json *value)
{
	if (!value)
		return 0;
	return value->type == JSON_OBJECT  ? value->object.count
	       : value->type == JSON_ARRAY ? value->array.count
					   : 0;
}

/* What is required, and what is optional as long as it can be made. */
static const struct json *make_object(struct maker *m, const struct json *schema)
{
	const struct json *properties = json_get(schema, SPAN("properties"));
	const struct json *required = json_get(schema, SPAN("required"));
	struct json *object = arena_new(m->arena, struct json);
	struct json_member *members = arena_array(m->arena, struct json_member,
						  size_of(properties) + size_of(required));

	if (!object || !members)
		return NULL;
	*object = (struct json){.type = JSON_OBJECT, .object = {members, 0}};
	for (size_t i = 0; i < size_of(properties); i++) {
		const struct json_member *p = &properties->object.members[i];
		bool needed = in_list(required, p->key);

		if (is_read_only(m, &p->value) || (!needed && m->depth > 4))
			continue;
		if (!add_member(object, members, p->key, make(m, &p->value)) && needed)
			return NULL;
	}
	for (size_t i = 0; i < size_of(required); i++) {
		struct span name;

		if (json_string(json_at(required, i), &name) && !json_get(properties, name))
			(void)add_member(object, members, name,
					 text_value(m, JSON_STRING, SPAN("a")));
	}
	return object;
}

/* The parts of allOf are objects mostly: one with the members of all. */
static const struct json *make_all(struct maker *m, const struct json *schema,
				   const struct json *all)
{
	struct json *object = arena_new(m->arena, struct json);
	struct json_member *members;
	const struct json *own = make_object(m, schema);
	size_t count = size_of(own);

	for (size_t i = 0; json_at(all, i); i++) {
		const struct json *part = make(m, json_at(all, i));

		if (!part || part->type != JSON_OBJECT)
			return part;
		count += size_of(part);
	}
	members = arena_array(m->arena, struct json_member, count);
	if (!object || !members || !own)
		return NULL;
	*object = (struct json){.type = JSON_OBJECT, .object = {members, 0}};
	for (size_t k = 0; k < size_of(own); k++)
		(void)add_member(object, members, own->object.members[k].key,
				 &own->object.members[k].value);
	for (size_t i = 0; json_at(all, i); i++) {
		const struct json *part = make(m, json_at(all, i));

		for (size_t k = 0; k < size_of(part); k++)
			(void)add_member(object, members, part->object.members[k].key,
					 &part->object.members[k].value);
	}
	return object;
}

static struct span type_of(const struct json *schema)
{
	const struct json *type = json_get(schema, SPAN("type"));
	struct span name = SPAN_NONE;

	if (type && type->type == JSON_ARRAY)
		type = json_at(type, json_is(json_at(type, 0), SPAN("null")) ? 1 : 0);
	if (!json_string(type, &name)) {
		if (json_get(schema, SPAN("properties")))
			return SPAN("object");
		if (json_get(schema, SPAN("items")))
			return SPAN("array");
	}
	return name;
}

static const struct json *given_value(const struct json *schema)
{
	static const char *const single[] = {"const", "example", "default"};
	static const char *const lists[] = {"examples", "enum"};

	for (size_t i = 0; i < COUNT_OF(single); i++)
		if (json_get(schema, span_cstr(single[i])))
			return json_get(schema, span_cstr(single[i]));
	for (size_t i = 0; i < COUNT_OF(lists); i++)
		if (json_at(json_get(schema, span_cstr(lists[i])), 0))
			return json_at(json_get(schema, span_cstr(lists[i])), 0);
	return NULL;
}

static const struct json *make_typed(struct maker *m, const struct json *schema)
{
	static const char *const branches[] = {"oneOf", "anyOf"};
	const struct json *given = given_value(schema);
	const struct json *all = json_get(schema, SPAN("allOf"));
	struct span type = type_of(schema);

	if (given)
		return given;
	if (json_at(all, 0))
		return make_all(m, schema, all);
	for (size_t i = 0; i < COUNT_OF(branches); i++) {
		const struct json *list = json_get(schema, span_cstr(branches[i]));

		for (size_t k = 0; json_at(list, k); k++) {
			const struct json *value = make(m, json_at(list, k));

			if (value)
				return value;
		}
	}
	if (span_eq(type, SPAN("object")))
		return make_object(m, schema);
	if (span_eq(type, SPAN("array")))
		return make_array(m, schema);
	if (span_eq(type, SPAN("integer")) || span_eq(type, SPAN("number")))
		return make_number(m, schema);
	if (span_eq(type, SPAN("boolean")))
		return bool_value(m, true);
	return make_string(m, schema);
}

static const struct json *make(struct maker *m, const struct json *schema)
{
	const struct json *value;

	schema = generate_follow(m->contract, schema);
	if (!schema || m->depth == DEPTH_MAX)
		return NULL;
	m->depth++;
	value = make_typed(m, schema);
	m->depth--;
	return value;
}

const struct json *generate_value(struct contract *c, struct arena *a,
				  const struct json *schema)
{
	struct maker m = {.contract = c, .arena = a};

	return make(&m, schema);
}

/* ---- what is wrong --------------------------------------------------------------------------- */

const struct json *generate_wrong(struct contract *c, struct arena *a,
				  const struct json *schema, unsigned kind, const char **why)
{
	struct maker m = {.contract = c, .arena = a};
	int64_t bound;

	schema = generate_follow(c, schema);
	switch (kind) {
	case 0:
		*why = "of another type";
		return span_eq(type_of(schema), SPAN("string"))
			       ? bool_value(&m, true)
			       : text_value(&m, JSON_STRING, SPAN("sallyport~"));
	case 1:
		*why = "too long";
		if (!keyword_int(schema, "maxLength", &bound) || bound < 0 ||
		    bound >= (int64_t)LONG_MAX_BYTES)
			return NULL;
		return repeated(&m, 'a', (size_t)bound + 1);
	case 2:
		*why = "too large";
		if (!keyword_int(schema, "maximum", &bound) || bound == INT64_MAX)
			return NULL;
		return integer_value(&m, bound + 1);
	case 3:
		*why = "too small";
		if (!keyword_int(schema, "minimum", &bound) || bound == INT64_MIN)
			return NULL;
		return integer_value(&m, bound - 1);
	case 4:
		*why = "not one of the enum";
		if (!json_get(schema, SPAN("enum")) && !json_get(schema, SPAN("const")))
			return NULL;
		return text_value(&m, JSON_STRING, SPAN("sallyport-none"));
	default: return NULL;
	}
}
