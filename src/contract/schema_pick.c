/* What tells the branches of oneOf and anyOf apart: see struct schema_pick. */
#include "base/mem.h"
#include "contract/schema_build.h"

/* Properties of the first branch that are tried. */
#define TRIED_MAX 8
#define BRANCHES_MAX 1000
/* Schemas in allOf and the like, in one another, that are looked through. */
#define LOOK_DEPTH_MAX 8

struct group {
	const struct schema *schema;
	enum schema_apply apply;
};

static bool takes_objects(const struct schema *schema)
{
	return !schema->never && (schema->reach & SCHEMA_OBJECT);
}

static bool in_group(const struct group *g, const struct schema_branch *branch)
{
	return branch->apply == g->apply && takes_objects(branch->schema);
}

/* The strings that the schema, which allows no others, lists; NULL when it does not list any. */
static const struct schema_names *strings_of(const struct schema *schema)
{
	const struct schema_values *values =
		schema->values[1] ? schema->values[1] : schema->values[0];

	return values && values->strings.count ? &values->strings : NULL;
}

/* The strings of which an object that meets the schema has one in its property `name`, if any. */
static const struct schema_names *strings_for(const struct schema *schema, struct span name,
					      unsigned depth)
{
	const struct schema_names *strings = NULL;

	if (depth > LOOK_DEPTH_MAX)
		return NULL;
	if (schema->object) {
		const struct schema_object *object = schema->object;
		uint32_t i = schema_names_find(&object->names, name, SCHEMA_NAME_NONE);

		if (i != SCHEMA_NAME_NONE && object->members[i].schema &&
		    !object->members[i].hidden)
			strings = strings_of(object->members[i].schema);
	}
	for (uint32_t i = 0; !strings && i < schema->branch_count; i++)
		if (schema->branches[i].apply == SCHEMA_APPLY_ALL)
			strings = strings_for(schema->branches[i].schema, name, depth + 1);
	return strings;
}

/* Whether no two branches share a string; *total is how many strings there are. */
static bool apart(const struct group *g, struct span name, struct map *seen, uint32_t *total,
		  struct err *err)
{
	*total = 0;
	for (uint32_t b = 0; b < g->schema->branch_count; b++) {
		const struct schema_branch *branch = &g->schema->branches[b];
		const struct schema_names *strings;

		if (!in_group(g, branch))
			continue;
		strings = strings_for(branch->schema, name, 0);
		if (!strings)
			return false;
		for (uint32_t i = 0; i < strings->count; i++) {
			if (map_get(seen, strings->entries[i]))
				return false;
			if (map_put(seen, strings->entries[i], seen) < 0) {
				err_set(err, ERR_MEMORY, "out of memory");
				return false;
			}
		}
		*total += strings->count;
	}
	return true;
}

static int write_pick(struct schema_set *set, struct schema *schema, const struct group *g,
		      struct span name, uint32_t total, struct err *err)
{
	struct schema_pick *pick = arena_new(&set->arena, struct schema_pick);
	struct span *entries = arena_array(&set->arena, struct span, total);
	const struct schema **schemas = arena_alloc(&set->arena, total * sizeof(*schemas));
	uint32_t count = 0;

	if (!pick || !entries || !schemas)
		return schema_no_memory(set, err);
	for (uint32_t b = 0; b < schema->branch_count; b++) {
		const struct schema_branch *branch = &schema->branches[b];
		const struct schema_names *strings;

		if (!in_group(g, branch))
			continue;
		strings = strings_for(branch->schema, name, 0);
		for (uint32_t i = 0; i < strings->count; i++) {
			entries[count] = strings->entries[i];
			schemas[count++] = branch->schema;
		}
	}
	*pick = (struct schema_pick){.apply = g->apply, .name = name, .schemas = schemas};
	pick->lexeme_len = schema_write_lexeme(name, pick->lexeme);
	if (schema_names_build(&pick->values, &set->arena, entries, count) < 0)
		return schema_no_memory(set, err);
	schema->pick = pick;
	return 0;
}

static int try_name(struct schema_set *set, struct schema *schema, const struct group *g,
		    struct span name, struct err *err)
{
	struct map seen = MAP_INIT;
	struct err inner = {.code = ERR_NONE};
	uint32_t total;
	bool found = apart(g, name, &seen, &total, &inner);

	map_release(&seen);
	if (inner.code != ERR_NONE)
		return schema_no_memory(set, err);
	return found ? write_pick(set, schema, g, name, total, err) : 0;
}

/* Tries the names that the branch `from` lists strings for. */
static int try_names_of(struct schema_set *set, struct schema *schema, const struct group *g,
			const struct schema *from, unsigned depth, unsigned *tried,
			struct err *err)
{
	const struct schema_object *object = from->object;

	if (depth > LOOK_DEPTH_MAX)
		return 0;
	for (uint32_t i = 0; object && i < object->names.count && !schema->pick; i++) {
		const struct schema_member *member = &object->members[i];

		if (!member->schema || !strings_of(member->schema))
			continue;
		if (++*tried > TRIED_MAX)
			return 0;
		if (try_name(set, schema, g, object->names.entries[i], err) < 0)
			return -1;
	}
	for (uint32_t i = 0; i < from->branch_count && !schema->pick; i++)
		if (from->branches[i].apply == SCHEMA_APPLY_ALL &&
		    try_names_of(set, schema, g, from->branches[i].schema, depth + 1, tried,
				 err) < 0)
			return -1;
	return 0;
}

int schema_pick_find(struct schema_set *set, struct schema *schema, struct err *err)
{
	struct group g = {schema, schema->has_one ? SCHEMA_APPLY_ONE : SCHEMA_APPLY_ANY};
	const struct schema *first = NULL;
	unsigned count = 0;
	unsigned tried = 0;

	if (schema->pick || (!schema->has_one && !schema->has_any) ||
	    schema->branch_count > BRANCHES_MAX)
		return 0;
	for (uint32_t i = 0; i < schema->branch_count; i++)
		if (in_group(&g, &schema->branches[i])) {
			first = first ? first : schema->branches[i].schema;
			count++;
		}
	if (count < 2)
		return 0;
	return try_names_of(set, schema, &g, first, 0, &tried, err);
}
