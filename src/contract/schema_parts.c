/* What schemas say of objects and arrays. */
#include "base/mem.h"
#include "contract/schema_compile.h"

#define HIDDEN_HOPS_MAX 16

static int bad(struct schema_compile *c, enum schema_keyword keyword, const char *what)
{
	const char *name = schema_keyword_info(keyword)->name;

	return schema_fail(c->set, c->place, name, c->err, "\"%s\" must be %s", name, what);
}

/* -- names -- */

struct collected {
	struct span *names;
	size_t count;
	struct map seen;
};

static int collect(struct schema_compile *c, struct collected *to, struct span name)
{
	if (map_get(&to->seen, name))
		return 0;
	if (map_put(&to->seen, name, to) < 0)
		return schema_no_memory(c->set, c->err);
	to->names[to->count++] = name;
	return 0;
}

/* A list of strings; draft 4 has `required: true` of older drafts in the wild: refused too. */
static int collect_list(struct schema_compile *c, struct collected *to, const struct json *list,
			enum schema_keyword keyword)
{
	if (list->type != JSON_ARRAY)
		return bad(c, keyword, "a list of names");
	for (size_t i = 0; i < list->array.count; i++) {
		struct span name;

		if (!json_string(&list->array.items[i], &name))
			return bad(c, keyword, "a list of names");
		if (collect(c, to, name) < 0)
			return -1;
	}
	return 0;
}

static int collect_map(struct schema_compile *c, struct collected *to,
		       enum schema_keyword keyword)
{
	const struct json *map = c->keywords[keyword];

	if (!map)
		return 0;
	if (map->type != JSON_OBJECT)
		return bad(c, keyword, "an object");
	for (size_t i = 0; i < map->object.count; i++) {
		const struct json_member *member = &map->object.members[i];
		bool list = keyword == KW_DEPENDENT_REQUIRED ||
			    (keyword == KW_DEPENDENCIES && member->value.type == JSON_ARRAY);

		if (collect(c, to, member->key) < 0 ||
		    (list && collect_list(c, to, &member->value, keyword) < 0))
			return -1;
	}
	return 0;
}

static size_t names_at_most(const struct json *value)
{
	size_t count = 0;

	if (!value)
		return 0;
	if (value->type == JSON_ARRAY)
		return value->array.count;
	if (value->type != JSON_OBJECT)
		return 0;
	for (size_t i = 0; i < value->object.count; i++) {
		const struct json *inner = &value->object.members[i].value;

		count += 1 + (inner->type == JSON_ARRAY ? inner->array.count : 0);
	}
	return count;
}

int schema_compile_names(struct schema_compile *c)
{
	static const enum schema_keyword sources[] = {KW_PROPERTIES, KW_DEPENDENT_REQUIRED,
						      KW_DEPENDENT_SCHEMAS, KW_DEPENDENCIES};
	struct collected to = {.seen = MAP_INIT};
	size_t most = names_at_most(c->keywords[KW_REQUIRED]);
	int result = 0;

	for (size_t i = 0; i < COUNT_OF(sources); i++)
		most += names_at_most(c->keywords[sources[i]]);
	if (most > UINT32_MAX / 8)
		return schema_no_memory(c->set, c->err);
	to.names = arena_array(&c->set->arena, struct span, most);
	if (!to.names)
		return schema_no_memory(c->set, c->err);
	for (size_t i = 0; i < COUNT_OF(sources) && result == 0; i++)
		result = collect_map(c, &to, sources[i]);
	if (result == 0 && c->keywords[KW_REQUIRED])
		result = collect_list(c, &to, c->keywords[KW_REQUIRED], KW_REQUIRED);
	map_release(&to.seen);
	if (result == 0 &&
	    schema_names_build(&c->names, &c->set->arena, to.names, (uint32_t)to.count) < 0)
		result = schema_no_memory(c->set, c->err);
	return result;
}

/* -- objects -- */

/* The schema of a property says, itself or through references, that it may not go this way. */
static bool is_hidden(struct schema_compile *c, const struct json *json)
{
	struct span keyword =
		c->direction == SCHEMA_REQUEST ? SPAN("readOnly") : SPAN("writeOnly");
	const struct schema_place *place = schema_place_find(c->set, json);

	if (c->direction == SCHEMA_EITHER)
		return false;
	for (unsigned hops = 0; place && hops < HIDDEN_HOPS_MAX; hops++) {
		const struct schema_anchor *anchor;
		struct span reference;
		struct err ignored = {0};
		bool hidden = false;

		if (json_bool(json_get(place->json, keyword), &hidden) && hidden)
			return true;
		if (!json_string(json_get(place->json, SPAN("$ref")), &reference))
			return false;
		/* What is wrong with the reference is said when it is compiled. */
		place = schema_resolve(c->set, place, "$ref", reference, &anchor, &ignored);
	}
	return false;
}

static bool is_plain(struct span name)
{
	bool high = false;

	return json_plain_length(name, &high) == name.len;
}

unsigned char schema_write_lexeme(struct span name, char to[SCHEMA_LEXEME_MAX])
{
	if (!is_plain(name) || name.len + 3 > SCHEMA_LEXEME_MAX)
		return 0;
	to[0] = '"';
	memcpy(to + 1, name.ptr, name.len);
	memcpy(to + 1 + name.len, "\":", 2);
	return (unsigned char)(name.len + 3);
}

static int compile_members(struct schema_compile *c, struct schema_object *object)
{
	const struct json *properties = c->keywords[KW_PROPERTIES];
	struct schema_member *members =
		arena_array(&c->set->arena, struct schema_member, c->names.count);

	if (!members)
		return schema_no_memory(c->set, c->err);
	for (size_t i = 0; properties && i < properties->object.count; i++) {
		const struct json_member *member = &properties->object.members[i];
		uint32_t index = schema_names_find(&c->names, member->key, (uint32_t)i);

		members[index].schema = schema_compile_sub(c, &member->value, "properties");
		if (!members[index].schema)
			return -1;
		members[index].hidden = is_hidden(c, &member->value);
	}
	for (uint32_t i = 0; i < c->names.count; i++) {
		members[i].plain_name = is_plain(c->names.entries[i]);
		members[i].lexeme_len =
			schema_write_lexeme(c->names.entries[i], members[i].lexeme);
	}
	object->members = members;
	return 0;
}

static const uint64_t *name_set(struct schema_compile *c, const struct json *list,
				const struct schema_member *members)
{
	uint64_t *set = arena_array(&c->set->arena, uint64_t, SCHEMA_WORDS(c->names.count) + 1);

	if (!set) {
		schema_no_memory(c->set, c->err);
		return NULL;
	}
	for (size_t i = 0; i < list->array.count; i++) {
		uint32_t index =
			schema_names_find(&c->names, list->array.items[i].text, (uint32_t)i);

		if (!members[index].hidden)
			set[index / 64] |= UINT64_C(1) << (index % 64);
	}
	return set;
}

static int compile_dependencies(struct schema_compile *c, struct schema_object *object)
{
	static const enum schema_keyword keywords[] = {KW_DEPENDENT_REQUIRED, KW_DEPENDENCIES};
	size_t most = names_at_most(c->keywords[KW_DEPENDENT_REQUIRED]) +
		      names_at_most(c->keywords[KW_DEPENDENCIES]);
	struct schema_dependency *list =
		arena_array(&c->set->arena, struct schema_dependency, most);

	if (!list)
		return schema_no_memory(c->set, c->err);
	for (size_t k = 0; k < COUNT_OF(keywords); k++) {
		const struct json *map = c->keywords[keywords[k]];

		for (size_t i = 0; map && i < map->object.count; i++) {
			const struct json_member *member = &map->object.members[i];
			struct schema_dependency *to = &list[object->dependency_count];

			if (member->value.type != JSON_ARRAY)
				continue;
			to->name = schema_names_find(&c->names, member->key, SCHEMA_NAME_NONE);
			to->needs = name_set(c, &member->value, object->members);
			if (!to->needs)
				return -1;
			object->dependency_count++;
		}
	}
	object->dependencies = list;
	return 0;
}

static int compile_patterns(struct schema_compile *c, struct schema_object *object)
{
	const struct json *map = c->keywords[KW_PATTERN_PROPERTIES];
	struct schema_pattern *patterns;

	if (!map)
		return 0;
	if (map->type != JSON_OBJECT)
		return bad(c, KW_PATTERN_PROPERTIES, "an object");
	patterns = arena_array(&c->set->arena, struct schema_pattern, map->object.count);
	if (!patterns)
		return schema_no_memory(c->set, c->err);
	for (size_t i = 0; i < map->object.count; i++) {
		const struct json_member *member = &map->object.members[i];

		patterns[i].expression =
			schema_compile_regex(c, member->key, "patternProperties");
		patterns[i].schema =
			patterns[i].expression
				? schema_compile_sub(c, &member->value, "patternProperties")
				: NULL;
		if (!patterns[i].schema)
			return -1;
	}
	object->patterns = patterns;
	object->pattern_count = map->object.count;
	return 0;
}

static int optional_schema(struct schema_compile *c, enum schema_keyword keyword,
			   const struct schema **to)
{
	if (!c->keywords[keyword])
		return 0;
	*to = schema_compile_one(c, keyword);
	return *to ? 0 : -1;
}

static int compile_object(struct schema_compile *c, struct schema *schema)
{
	const struct json **k = c->keywords;
	struct schema_object object = {.names = c->names};
	struct schema_object *copy;

	if (compile_members(c, &object) < 0 || compile_dependencies(c, &object) < 0 ||
	    compile_patterns(c, &object) < 0 ||
	    optional_schema(c, KW_ADDITIONAL_PROPERTIES, &object.additional) < 0 ||
	    optional_schema(c, KW_UNEVALUATED_PROPERTIES, &object.unevaluated) < 0 ||
	    optional_schema(c, KW_PROPERTY_NAMES, &object.property_names) < 0 ||
	    schema_compile_count(c, KW_MIN_PROPERTIES, 0, &object.min) < 0 ||
	    schema_compile_count(c, KW_MAX_PROPERTIES, UINT64_MAX, &object.max) < 0)
		return -1;
	if (k[KW_REQUIRED] && k[KW_REQUIRED]->array.count) {
		object.required = name_set(c, k[KW_REQUIRED], object.members);
		if (!object.required)
			return -1;
	}
	object.says_names = k[KW_PROPERTIES] || object.pattern_count || object.additional ||
			    object.unevaluated;
	if (!object.says_names && !object.names.count && !object.property_names &&
	    !object.min && object.max == UINT64_MAX)
		return 0;
	copy = arena_new(&c->set->arena, struct schema_object);
	if (!copy)
		return schema_no_memory(c->set, c->err);
	*copy = object;
	schema->object = copy;
	return 0;
}

/* -- arrays -- */

static int compile_prefix(struct schema_compile *c, struct schema_array *array,
			  enum schema_keyword keyword)
{
	const struct json *list = c->keywords[keyword];
	const char *name = schema_keyword_info(keyword)->name;
	const struct schema **prefix;

	if (list->type != JSON_ARRAY)
		return bad(c, keyword, "a list of schemas");
	prefix = arena_alloc(&c->set->arena, (list->array.count + 1) * sizeof(*prefix));
	if (!prefix)
		return schema_no_memory(c->set, c->err);
	for (size_t i = 0; i < list->array.count; i++) {
		prefix[i] = schema_compile_sub(c, &list->array.items[i], name);
		if (!prefix[i])
			return -1;
	}
	array->prefix = prefix;
	array->prefix_count = list->array.count;
	return 0;
}

static int compile_items(struct schema_compile *c, struct schema_array *array)
{
	const struct json *items = c->keywords[KW_ITEMS];
	bool lists = c->dialect != SCHEMA_2020_12 && c->dialect != SCHEMA_OPENAPI30;

	array->items_keyword = "items";
	if (c->keywords[KW_PREFIX_ITEMS] && compile_prefix(c, array, KW_PREFIX_ITEMS) < 0)
		return -1;
	if (!items)
		return 0;
	if (items->type != JSON_ARRAY)
		return optional_schema(c, KW_ITEMS, &array->items);
	if (!lists)
		return bad(c, KW_ITEMS, "a schema");
	array->items_keyword = "additionalItems";
	if (compile_prefix(c, array, KW_ITEMS) < 0)
		return -1;
	return optional_schema(c, KW_ADDITIONAL_ITEMS, &array->items);
}

static int compile_array(struct schema_compile *c, struct schema *schema)
{
	struct schema_array array = {.contains_evaluates = c->dialect == SCHEMA_2020_12};
	struct schema_array *copy;

	if (compile_items(c, &array) < 0 ||
	    optional_schema(c, KW_CONTAINS, &array.contains) < 0 ||
	    optional_schema(c, KW_UNEVALUATED_ITEMS, &array.unevaluated) < 0 ||
	    schema_compile_count(c, KW_MIN_CONTAINS, 1, &array.min_contains) < 0 ||
	    schema_compile_count(c, KW_MAX_CONTAINS, UINT64_MAX, &array.max_contains) < 0 ||
	    schema_compile_count(c, KW_MIN_ITEMS, 0, &array.min) < 0 ||
	    schema_compile_count(c, KW_MAX_ITEMS, UINT64_MAX, &array.max) < 0 ||
	    schema_compile_flag(c, KW_UNIQUE_ITEMS, &array.unique) < 0)
		return -1;
	if (!array.prefix_count && !array.items && !array.contains && !array.unevaluated &&
	    !array.unique && !array.min && array.max == UINT64_MAX)
		return 0;
	copy = arena_new(&c->set->arena, struct schema_array);
	if (!copy)
		return schema_no_memory(c->set, c->err);
	*copy = array;
	schema->array = copy;
	return 0;
}

int schema_compile_parts(struct schema_compile *c, struct schema *schema)
{
	if (schema_compile_types(c, schema) < 0 || schema_compile_values(c, schema) < 0 ||
	    schema_compile_string(c, schema) < 0 || schema_compile_number(c, schema) < 0 ||
	    compile_object(c, schema) < 0 || compile_array(c, schema) < 0)
		return -1;
	schema->unevaluated = (schema->object && schema->object->unevaluated) ||
			      (schema->array && schema->array->unevaluated);
	return 0;
}
