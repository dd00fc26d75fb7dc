/*
 * Schemas that all apply to the same object (allOf, $ref with something beside it, the branch of a
 * oneOf that a property has picked) joined into one without branches, which schema_fast.c checks in
 * one pass. The schemas themselves stay as they are: they tell what is wrong, and where.
 */
#include "contract/schema_build.h"

#define PARTS_MAX 16
#define NAMES_MAX 256
/* Joined schemas may take one part in so many of the set's memory. */
#define BUDGET_PART 16

/* What applies to the object, the schema that asks for it first. */
struct parts {
	const struct schema *at[PARTS_MAX];
	size_t count;
	size_t names;
};

struct joined {
	struct schema_set *set;
	struct schema_object object;
	struct span *entries;
	struct schema_member *members;
	uint64_t *required;
	struct schema_dependency *dependencies;
	bool evaluates_all; /* additionalProperties is there */
};

/* Nothing that the names of other parts would matter to. */
static bool may_join(const struct schema_object *object, bool first)
{
	return !object->pattern_count && !object->property_names &&
	       (!object->additional || object->additional->always) &&
	       (!object->unevaluated || first);
}

static bool collect(struct parts *parts, const struct schema *schema,
		    const struct schema_pick *except)
{
	if (parts->count == PARTS_MAX || schema->never || !(schema->types & SCHEMA_OBJECT) ||
	    schema->values[0] || schema->values[1])
		return false;
	if (schema->object) {
		if (!may_join(schema->object, parts->count == 0))
			return false;
		parts->names += schema->object->names.count;
	}
	parts->at[parts->count++] = schema;
	for (uint32_t i = 0; i < schema->branch_count; i++) {
		const struct schema_branch *branch = &schema->branches[i];

		if (except && branch->apply == except->apply)
			continue;
		if (branch->apply != SCHEMA_APPLY_ALL || !collect(parts, branch->schema, NULL))
			return false;
	}
	return true;
}

/* A schema that is met when both are. */
static const struct schema *both(struct schema_set *set, const struct schema *a,
				 const struct schema *b)
{
	struct schema *schema;
	struct schema_branch *branches;
	unsigned height = a->height > b->height ? a->height : b->height;

	if (a == b || b->always)
		return a;
	if (a->always)
		return b;
	if (a->width + b->width >= set->options.max_width || height >= SCHEMA_INPLACE_DEPTH_MAX)
		return NULL;
	schema = arena_new(&set->arena, struct schema);
	branches = arena_array(&set->arena, struct schema_branch, 2);
	if (!schema || !branches)
		return NULL;
	branches[0] = (struct schema_branch){a, SCHEMA_APPLY_ALL, 0};
	branches[1] = (struct schema_branch){b, SCHEMA_APPLY_ALL, 0};
	schema->types = SCHEMA_ANY_TYPE;
	schema->reach = a->reach & b->reach;
	schema->branches = branches;
	schema->branch_count = 2;
	schema->width = a->width + b->width + 1;
	schema->height = (unsigned char)(height + 1);
	schema->location = a->location;
	return schema;
}

/* The index of the name, which is added when it is new. False: this cannot be joined. */
static bool join_name(struct joined *j, struct span name, const struct schema_member *from,
		      uint32_t *index)
{
	struct schema_member *member;

	for (*index = 0; *index < j->object.names.count; ++*index)
		if (span_eq(j->entries[*index], name))
			break;
	member = &j->members[*index];
	if (*index == j->object.names.count) {
		j->entries[j->object.names.count++] = name;
		*member = *from;
		return true;
	}
	member->hidden = member->hidden || from->hidden;
	if (member->schema && from->schema)
		member->schema = both(j->set, member->schema, from->schema);
	else if (from->schema)
		member->schema = from->schema;
	else
		return true;
	return member->schema != NULL;
}

/* `set` speaks of a part's names, whose new indices are in `map`. */
static void join_set(const uint64_t *set, uint32_t count, const uint32_t *map, uint64_t *to)
{
	for (uint32_t i = 0; i < count; i++)
		if (set[i / 64] >> (i % 64) & 1)
			to[map[i] / 64] |= UINT64_C(1) << (map[i] % 64);
}

static bool join_object(struct joined *j, const struct schema_object *o)
{
	uint32_t map[NAMES_MAX];

	for (uint32_t i = 0; i < o->names.count; i++)
		if (!join_name(j, o->names.entries[i], &o->members[i], &map[i]))
			return false;
	if (o->required)
		join_set(o->required, o->names.count, map, j->required);
	for (size_t i = 0; i < o->dependency_count; i++) {
		uint64_t *needs =
			arena_array(&j->set->arena, uint64_t, SCHEMA_WORDS(NAMES_MAX));

		if (!needs)
			return false;
		join_set(o->dependencies[i].needs, o->names.count, map, needs);
		j->dependencies[j->object.dependency_count++] = (struct schema_dependency){
			.name = map[o->dependencies[i].name], .needs = needs};
	}
	j->object.min = o->min > j->object.min ? o->min : j->object.min;
	j->object.max = o->max < j->object.max ? o->max : j->object.max;
	j->object.says_names = j->object.says_names || o->says_names;
	j->evaluates_all = j->evaluates_all || o->additional;
	return true;
}

static bool join_parts(struct joined *j, const struct parts *parts)
{
	struct arena *arena = &j->set->arena;
	size_t dependencies = 0;

	for (size_t i = 0; i < parts->count; i++)
		if (parts->at[i]->object)
			dependencies += parts->at[i]->object->dependency_count;
	j->object.max = UINT64_MAX;
	j->entries = arena_array(arena, struct span, parts->names + 1);
	j->members = arena_array(arena, struct schema_member, parts->names + 1);
	j->required = arena_array(arena, uint64_t, SCHEMA_WORDS(NAMES_MAX));
	j->dependencies = arena_array(arena, struct schema_dependency, dependencies + 1);
	if (!j->entries || !j->members || !j->required || !j->dependencies)
		return false;
	for (size_t i = 0; i < parts->count; i++)
		if (parts->at[i]->object && !join_object(j, parts->at[i]->object))
			return false;
	j->object.members = j->members;
	j->object.required = j->required;
	j->object.dependencies = j->dependencies;
	if (parts->at[0]->object && !j->evaluates_all)
		j->object.unevaluated = parts->at[0]->object->unevaluated;
	return schema_names_build(&j->object.names, arena, j->entries, j->object.names.count) ==
	       0;
}

static const struct schema *join(struct schema_set *set, const struct parts *parts)
{
	struct joined j = {.set = set};
	struct schema *schema;
	struct schema_object *object;

	size_t bytes = sizeof(*schema) + sizeof(*object) +
		       parts->names * (sizeof(*j.entries) + sizeof(*j.members));

	/* It only saves time: what has room without it must have room with it. */
	if (parts->names > NAMES_MAX ||
	    set->joined_bytes + bytes > set->options.max_bytes / BUDGET_PART)
		return NULL;
	set->joined_bytes += bytes;
	if (!join_parts(&j, parts))
		return NULL;
	schema = arena_new(&set->arena, struct schema);
	object = arena_new(&set->arena, struct schema_object);
	if (!schema || !object)
		return NULL;
	*object = j.object;
	schema->types = schema->reach = SCHEMA_OBJECT;
	schema->object = object;
	schema->width = parts->at[0]->width;
	schema->height = 1;
	schema->location = parts->at[0]->location;
	return schema;
}

static void join_picked(struct schema_set *set, struct schema *schema)
{
	struct schema_pick *pick = (struct schema_pick *)(uintptr_t)schema->pick;
	struct parts own = {.count = 0};
	const struct schema **joined;

	if (!collect(&own, schema, pick))
		return;
	joined = arena_zalloc(&set->arena, pick->values.count, sizeof(*joined));
	for (uint32_t i = 0; joined && i < pick->values.count; i++) {
		struct parts parts = own;

		if (i && pick->schemas[i] == pick->schemas[i - 1])
			joined[i] = joined[i - 1];
		else if (collect(&parts, pick->schemas[i], NULL))
			joined[i] = join(set, &parts);
	}
	pick->joined = joined;
}

void schema_join(struct schema_set *set, struct schema *schema)
{
	struct parts parts = {.count = 0};

	if (!schema->branch_count || !(schema->reach & SCHEMA_OBJECT))
		return;
	if (schema->pick)
		join_picked(set, schema);
	else if (collect(&parts, schema, NULL))
		schema->joined = join(set, &parts);
}
