/* What a schema looks like from outside. */
#include "contract/schema_program.h"

unsigned schema_types(const struct schema *schema)
{
	return schema->reach;
}

struct span schema_location(const struct schema *schema)
{
	return schema->location;
}

static bool looks_through(enum schema_apply apply)
{
	return apply == SCHEMA_APPLY_ALL || apply == SCHEMA_APPLY_ANY ||
	       apply == SCHEMA_APPLY_ONE;
}

/* All recursions here are as deep as SCHEMA_INPLACE_DEPTH_MAX. */
const struct schema *schema_property(const struct schema *schema, struct span name)
{
	const struct schema_object *object = schema->object;
	uint32_t index = object ? schema_names_find(&object->names, name, SCHEMA_NAME_NONE)
				: SCHEMA_NAME_NONE;

	if (index != SCHEMA_NAME_NONE && object->members[index].schema)
		return object->members[index].schema;
	for (uint32_t i = 0; i < schema->branch_count; i++) {
		const struct schema *found =
			looks_through(schema->branches[i].apply)
				? schema_property(schema->branches[i].schema, name)
				: NULL;

		if (found)
			return found;
	}
	return NULL;
}

const struct schema *schema_items(const struct schema *schema)
{
	if (schema->array && schema->array->items)
		return schema->array->items;
	for (uint32_t i = 0; i < schema->branch_count; i++) {
		const struct schema *found = looks_through(schema->branches[i].apply)
						     ? schema_items(schema->branches[i].schema)
						     : NULL;

		if (found)
			return found;
	}
	return NULL;
}

const struct schema *schema_item(const struct schema *schema, size_t index)
{
	const struct schema_array *array = schema->array;

	if (array && index < array->prefix_count)
		return array->prefix[index];
	if (array && array->items)
		return array->items;
	for (uint32_t i = 0; i < schema->branch_count; i++) {
		const struct schema *found =
			looks_through(schema->branches[i].apply)
				? schema_item(schema->branches[i].schema, index)
				: NULL;

		if (found)
			return found;
	}
	return NULL;
}

size_t schema_prefix_count(const struct schema *schema)
{
	size_t most = schema->array ? schema->array->prefix_count : 0;

	for (uint32_t i = 0; i < schema->branch_count; i++) {
		size_t count = looks_through(schema->branches[i].apply)
				       ? schema_prefix_count(schema->branches[i].schema)
				       : 0;

		if (count > most)
			most = count;
	}
	return most;
}

struct places {
	const struct schema *found;
	unsigned count;
};

static void add_place(struct places *places, const struct schema *schema)
{
	if (!schema || schema->always || schema->never)
		return;
	places->found = schema;
	places->count++;
}

static void find_property(const struct schema *schema, struct span name, struct places *places)
{
	const struct schema_object *object = schema->object;
	uint32_t index = object ? schema_names_find(&object->names, name, SCHEMA_NAME_NONE)
				: SCHEMA_NAME_NONE;

	if (object && index != SCHEMA_NAME_NONE && object->members[index].schema)
		add_place(places, object->members[index].schema);
	else if (object)
		add_place(places, object->additional);
	if (object)
		add_place(places, object->unevaluated);
	for (size_t i = 0; object && i < object->pattern_count; i++)
		add_place(places, object->patterns[i].schema);
	for (uint32_t i = 0; i < schema->branch_count; i++)
		find_property(schema->branches[i].schema, name, places);
}

static void find_items(const struct schema *schema, struct places *places)
{
	const struct schema_array *array = schema->array;

	if (array) {
		add_place(places, array->items);
		add_place(places, array->unevaluated);
		add_place(places, array->contains);
		places->count += array->prefix_count > 0 ? 2 : 0;
	}
	for (uint32_t i = 0; i < schema->branch_count; i++)
		find_items(schema->branches[i].schema, places);
}

const struct schema *schema_only_property(const struct schema *schema, struct span name)
{
	struct places places = {.count = 0};

	find_property(schema, name, &places);
	return places.count == 1 ? places.found : NULL;
}

const struct schema *schema_only_items(const struct schema *schema)
{
	struct places places = {.count = 0};

	find_items(schema, &places);
	return places.count == 1 ? places.found : NULL;
}

const struct schema *schema_additional(const struct schema *schema)
{
	if (schema->object && schema->object->additional)
		return schema->object->additional;
	for (uint32_t i = 0; i < schema->branch_count; i++) {
		const struct schema *found =
			looks_through(schema->branches[i].apply)
				? schema_additional(schema->branches[i].schema)
				: NULL;

		if (found)
			return found;
	}
	return NULL;
}

/* The name number *left; *left is less what was passed when it is not here. */
static bool nth_name(const struct schema *schema, size_t *left, struct span *name)
{
	const struct schema_object *object = schema->object;

	for (uint32_t i = 0; object && i < object->names.count; i++) {
		if (!object->members[i].schema)
			continue;
		if (*left == 0) {
			*name = object->names.entries[i];
			return true;
		}
		--*left;
	}
	for (uint32_t i = 0; i < schema->branch_count; i++)
		if (looks_through(schema->branches[i].apply) &&
		    nth_name(schema->branches[i].schema, left, name))
			return true;
	return false;
}

bool schema_property_next(const struct schema *schema, size_t *cursor, struct span *name)
{
	size_t left = *cursor;

	if (!nth_name(schema, &left, name))
		return false;
	++*cursor;
	return true;
}
