/* Which program stands for a schema: references, dynamic scope, branches, and their bounds. */
#include "contract/schema_compile.h"
#include "base/mem.h"

#define HOPS_MAX 100

/* -- dynamic scope -- */

static const struct schema_binding *find_binding(const struct schema_context *context,
						 struct span name)
{
	for (size_t i = 0; i < context->count; i++)
		if (span_eq(context->bindings[i].name, name))
			return &context->bindings[i];
	return NULL;
}

static const struct schema_context *intern(struct schema_set *set,
					   const struct schema_binding *bindings, size_t count)
{
	struct schema_context *context;
	struct schema_binding *copy;

	for (context = set->contexts; context; context = context->next) {
		size_t same = 0;

		if (context->count != count)
			continue;
		while (same < count && context->bindings[same].place == bindings[same].place &&
		       span_eq(context->bindings[same].name, bindings[same].name))
			same++;
		if (same == count)
			return context;
	}
	context = arena_new(&set->arena, struct schema_context);
	copy = arena_array(&set->arena, struct schema_binding, count);
	if (!context || !copy)
		return NULL;
	memcpy(copy, bindings, count * sizeof(*copy));
	*context = (struct schema_context){set->contexts, copy, count};
	set->contexts = context;
	return context;
}

/*
 * The context within a resource: names that mean nothing yet mean its anchors from now on, so that
 * the outermost resource wins (2020-12 core section 8.2.3.2). NULL when out of memory.
 */
static const struct schema_context *enter(struct schema_set *set,
					  const struct schema_context *context,
					  const struct schema_resource *resource)
{
	size_t extra = resource->recursive_anchor;
	size_t count = context->count;
	struct schema_binding *bindings;
	const struct schema_context *inner;

	for (const struct schema_anchor *a = resource->dynamic; a; a = a->next)
		extra++;
	if (!extra)
		return context;
	bindings = mem_zalloc(count + extra, sizeof(*bindings));
	if (!bindings)
		return NULL;
	if (count)
		memcpy(bindings, context->bindings, count * sizeof(*bindings));
	for (const struct schema_anchor *a = resource->dynamic; a; a = a->next)
		if (!find_binding(context, a->name))
			bindings[count++] = (struct schema_binding){a->name, a->place};
	if (resource->recursive_anchor && !find_binding(context, SPAN("")))
		bindings[count++] = (struct schema_binding){SPAN(""), resource->place};
	inner = count == context->count ? context : intern(set, bindings, count);
	mem_free(bindings);
	return inner;
}

/* -- references -- */

/* The place that the reference in `keyword` leads to in this context. */
static struct schema_place *follow(struct schema_set *set, struct schema_place *place,
				   enum schema_keyword keyword, const struct json *value,
				   const struct schema_context *context, struct err *err)
{
	const char *name = schema_keyword_info(keyword)->name;
	const struct schema_anchor *anchor;
	const struct schema_binding *binding = NULL;
	struct schema_place *target;
	struct span reference;

	if (!json_string(value, &reference)) {
		schema_fail(set, place, name, err, "\"%s\" must be a string", name);
		return NULL;
	}
	target = schema_resolve(set, place, name, reference, &anchor, err);
	if (!target)
		return NULL;
	if (keyword == KW_DYNAMIC_REF && anchor)
		binding = find_binding(context, anchor->name);
	else if (keyword == KW_RECURSIVE_REF && target->resource->recursive_anchor &&
		 target == target->resource->place)
		binding = find_binding(context, SPAN(""));
	return binding ? binding->place : target;
}

/* Says nothing about values. */
static bool is_annotation(enum schema_keyword keyword)
{
	return keyword == KW_SCHEMA || keyword == KW_DEFS || keyword == KW_DEFINITIONS ||
	       keyword == KW_READ_ONLY || keyword == KW_WRITE_ONLY || keyword == KW_ID ||
	       keyword == KW_ID_OLD || keyword == KW_ANCHOR || keyword == KW_DYNAMIC_ANCHOR ||
	       keyword == KW_RECURSIVE_ANCHOR || keyword == KW_CONTENT_SCHEMA;
}

/* The reference that is all that the schema says, or NULL. */
static const struct json *only_reference(const struct schema_place *place,
					 enum schema_keyword *which)
{
	enum schema_dialect dialect = place->resource->dialect;
	const struct json *found = NULL;

	if (place->json->type != JSON_OBJECT)
		return NULL;
	/* Up to draft 7, what stands beside a reference is not looked at. */
	if (dialect < SCHEMA_2019_09) {
		*which = KW_REF;
		return json_get(place->json, SPAN("$ref"));
	}
	for (size_t i = 0; i < place->json->object.count; i++) {
		const struct json_member *member = &place->json->object.members[i];
		enum schema_keyword keyword;

		if (!schema_keyword_find(member->key, dialect, &keyword) ||
		    is_annotation(keyword))
			continue;
		if (found || (keyword != KW_REF && keyword != KW_DYNAMIC_REF &&
			      keyword != KW_RECURSIVE_REF))
			return NULL;
		found = &member->value;
		*which = keyword;
	}
	return found;
}

static int push_job(struct schema_set *set, const struct schema_job *job)
{
	if (set->job_count == set->job_cap) {
		size_t cap = set->job_cap ? set->job_cap * 2 : 64;
		struct schema_job *more = mem_realloc(set->jobs, cap * sizeof(*more));

		if (!more)
			return -1;
		set->jobs = more;
		set->job_cap = cap;
	}
	if (set->fresh_count == set->fresh_cap) {
		size_t cap = set->fresh_cap ? set->fresh_cap * 2 : 64;
		struct schema **more = mem_realloc(set->fresh, cap * sizeof(struct schema *));

		if (!more)
			return -1;
		set->fresh = more;
		set->fresh_cap = cap;
	}
	set->fresh[set->fresh_count++] = job->schema;
	set->jobs[set->job_count++] = *job;
	return 0;
}

static struct schema *new_program(struct schema_set *set, struct schema_place *place,
				  const struct schema_memo_key *key, struct err *err)
{
	struct schema_memo *memo = arena_new(&set->arena, struct schema_memo);
	struct schema *schema = arena_new(&set->arena, struct schema);
	struct schema_job job = {place, key->context, (enum schema_direction)key->direction,
				 schema};

	if (++set->nodes > set->options.max_nodes) {
		schema_fail(set, place, NULL, err, "there are more than %zu schemas",
			    set->options.max_nodes);
		return NULL;
	}
	if (!memo || !schema) {
		schema_no_memory(set, err);
		return NULL;
	}
	*memo = (struct schema_memo){*key, schema};
	schema->location =
		arena_printf(&set->arena, "%.*s#%.*s", SPAN_ARG(place->resource->document->uri),
			     SPAN_ARG(place->pointer));
	if (!schema->location.ptr ||
	    map_put(&set->memos, span_of(&memo->key, sizeof(memo->key)), memo) < 0 ||
	    push_job(set, &job) < 0) {
		schema_no_memory(set, err);
		return NULL;
	}
	return schema;
}

const struct schema *schema_program(struct schema_set *set, struct schema_place *place,
				    const struct schema_context *context,
				    enum schema_direction direction, struct err *err)
{
	for (unsigned hops = 0; hops < HOPS_MAX; hops++) {
		struct schema_memo_key key;
		const struct schema_memo *memo;
		enum schema_keyword keyword = KW_REF;
		const struct json *reference;

		context = enter(set, context, place->resource);
		if (!context) {
			schema_no_memory(set, err);
			return NULL;
		}
		key = (struct schema_memo_key){place->json, context, direction};
		memo = map_get(&set->memos, span_of(&key, sizeof(key)));
		if (memo)
			return memo->schema;
		reference = only_reference(place, &keyword);
		if (!reference)
			return new_program(set, place, &key, err);
		place = follow(set, place, keyword, reference, context, err);
		if (!place)
			return NULL;
	}
	schema_fail(set, place, NULL, err, "references lead only to each other");
	return NULL;
}

const struct schema *schema_compile_sub(struct schema_compile *c, const struct json *json,
					const char *keyword)
{
	struct schema_place *place = schema_place_find(c->set, json);

	if (!place) {
		schema_fail(c->set, c->place, keyword, c->err, "there must be a schema");
		return NULL;
	}
	return schema_program(c->set, place, c->context, c->direction, c->err);
}

const struct schema *schema_compile_one(struct schema_compile *c, enum schema_keyword keyword)
{
	const char *name = schema_keyword_info(keyword)->name;

	return schema_compile_sub(c, c->keywords[keyword], name);
}

/* -- branches -- */

static int add_branch(struct schema_compile *c, const struct schema *schema,
		      enum schema_apply apply, uint32_t name)
{
	if (!schema)
		return -1;
	c->branches[c->branch_count++] = (struct schema_branch){schema, apply, name};
	return 0;
}

static int add_list(struct schema_compile *c, enum schema_keyword keyword,
		    enum schema_apply apply)
{
	const struct json *list = c->keywords[keyword];
	const char *name = schema_keyword_info(keyword)->name;

	if (!list)
		return 0;
	if (list->type != JSON_ARRAY || !list->array.count)
		return schema_fail(c->set, c->place, name, c->err,
				   "\"%s\" must be a list of schemas, and not empty", name);
	for (size_t i = 0; i < list->array.count; i++)
		if (add_branch(c, schema_compile_sub(c, &list->array.items[i], name), apply,
			       0) < 0)
			return -1;
	return 0;
}

static int add_one(struct schema_compile *c, enum schema_keyword keyword,
		   enum schema_apply apply)
{
	if (!c->keywords[keyword])
		return 0;
	return add_branch(c, schema_compile_one(c, keyword), apply, 0);
}

static int add_references(struct schema_compile *c)
{
	static const enum schema_keyword kinds[] = {KW_REF, KW_DYNAMIC_REF, KW_RECURSIVE_REF};

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		const struct json *value = c->keywords[kinds[i]];
		struct schema_place *target;

		if (!value)
			continue;
		target = follow(c->set, c->place, kinds[i], value, c->context, c->err);
		if (!target ||
		    add_branch(c,
			       schema_program(c->set, target, c->context, c->direction, c->err),
			       SCHEMA_APPLY_ALL, 0) < 0)
			return -1;
	}
	return 0;
}

static size_t count_of(const struct json *value)
{
	if (!value)
		return 0;
	if (value->type == JSON_ARRAY)
		return value->array.count;
	return value->type == JSON_OBJECT ? value->object.count : 0;
}

static int dependent_schemas(struct schema_compile *c, enum schema_keyword keyword)
{
	const struct json *map = c->keywords[keyword];
	const char *name = schema_keyword_info(keyword)->name;

	if (!map)
		return 0;
	if (map->type != JSON_OBJECT)
		return schema_fail(c->set, c->place, name, c->err, "\"%s\" must be an object",
				   name);
	for (size_t i = 0; i < map->object.count; i++) {
		const struct json_member *member = &map->object.members[i];
		uint32_t index;

		if (member->value.type == JSON_ARRAY)
			continue;
		index = schema_names_find(&c->names, member->key, SCHEMA_NAME_NONE);
		if (add_branch(c, schema_compile_sub(c, &member->value, name),
			       SCHEMA_APPLY_DEPENDENT, index) < 0)
			return -1;
	}
	return 0;
}

/* At most so many; mostly none. */
static size_t count_branches(const struct schema_compile *c)
{
	static const enum schema_keyword single[] = {
		KW_REF, KW_DYNAMIC_REF, KW_RECURSIVE_REF, KW_NOT, KW_IF, KW_THEN, KW_ELSE};
	const struct json *const *k = c->keywords;
	size_t most = count_of(k[KW_ALL_OF]) + count_of(k[KW_ANY_OF]) + count_of(k[KW_ONE_OF]) +
		      count_of(k[KW_DEPENDENT_SCHEMAS]) + count_of(k[KW_DEPENDENCIES]);

	for (size_t i = 0; i < COUNT_OF(single); i++)
		most += k[single[i]] != NULL;
	return most;
}

static int compile_branches(struct schema_compile *c, struct schema *schema)
{
	const struct json **k = c->keywords;
	size_t most = count_branches(c);

	if (!most && !k[KW_ALL_OF] && !k[KW_ANY_OF] && !k[KW_ONE_OF])
		return 0;
	c->branches = arena_array(&c->set->arena, struct schema_branch, most);
	if (!c->branches)
		return schema_no_memory(c->set, c->err);
	if (add_references(c) < 0 || add_list(c, KW_ALL_OF, SCHEMA_APPLY_ALL) < 0 ||
	    add_list(c, KW_ANY_OF, SCHEMA_APPLY_ANY) < 0 ||
	    add_list(c, KW_ONE_OF, SCHEMA_APPLY_ONE) < 0 ||
	    add_one(c, KW_NOT, SCHEMA_APPLY_NOT) < 0 ||
	    dependent_schemas(c, KW_DEPENDENT_SCHEMAS) < 0 ||
	    dependent_schemas(c, KW_DEPENDENCIES) < 0)
		return -1;
	if (k[KW_IF] && (k[KW_THEN] || k[KW_ELSE] || c->wants_annotations) &&
	    (add_one(c, KW_IF, SCHEMA_APPLY_IF) < 0 ||
	     add_one(c, KW_THEN, SCHEMA_APPLY_THEN) < 0 ||
	     add_one(c, KW_ELSE, SCHEMA_APPLY_ELSE) < 0))
		return -1;
	schema->branches = c->branches;
	schema->branch_count = (uint32_t)c->branch_count;
	schema->has_any = k[KW_ANY_OF] != NULL;
	schema->has_one = k[KW_ONE_OF] != NULL;
	return 0;
}

/* -- one schema -- */

static void collect_keywords(struct schema_compile *c)
{
	const struct json *json = c->place->json;

	for (size_t i = 0; i < json->object.count; i++) {
		const struct json_member *member = &json->object.members[i];
		enum schema_keyword keyword;

		if (!schema_keyword_find(member->key, c->dialect, &keyword))
			continue;
		if (schema_keyword_info(keyword)->validation && !c->place->resource->validation)
			continue;
		c->keywords[keyword] = &member->value;
	}
	/* `if` alone still evaluates what it looks at. */
	c->wants_annotations = c->dialect >= SCHEMA_2019_09;
}

static bool says_nothing(const struct schema *schema)
{
	return schema->types == SCHEMA_ANY_TYPE && !schema->object && !schema->array &&
	       !schema->string && !schema->number && !schema->values[0] && !schema->values[1] &&
	       !schema->branch_count;
}

int schema_compile_job(struct schema_set *set, const struct schema_job *job, struct err *err)
{
	const struct json *json = job->place->json;
	struct schema *schema = job->schema;
	struct schema_compile c = {.set = set,
				   .place = job->place,
				   .context = job->context,
				   .direction = job->direction,
				   .dialect = job->place->resource->dialect,
				   .err = err};

	schema->types = SCHEMA_ANY_TYPE;
	if (json->type == JSON_BOOL) {
		schema->always = json->boolean;
		schema->never = !json->boolean;
		return 0;
	}
	if (json->type != JSON_OBJECT)
		return schema_fail(set, job->place, NULL, err, "a schema must be an object%s",
				   c.dialect >= SCHEMA_DRAFT7 ? ", true or false" : "");
	collect_keywords(&c);
	if (schema_compile_names(&c) < 0 || schema_compile_parts(&c, schema) < 0 ||
	    compile_branches(&c, schema) < 0)
		return -1;
	schema->always = says_nothing(schema);
	return 0;
}

/* -- what schemas apply to one value -- */

static unsigned reach_of_values(const struct schema *schema)
{
	unsigned reach = SCHEMA_ANY_TYPE;

	for (size_t i = 0; i < COUNT_OF(schema->values); i++) {
		const struct schema_values *values = schema->values[i];
		unsigned types = 0;

		if (!values)
			continue;
		if (values->strings.count)
			types |= SCHEMA_STRING;
		if (values->number_count)
			types |= SCHEMA_INTEGER | SCHEMA_NUMBER;
		if (values->has_true || values->has_false)
			types |= SCHEMA_BOOLEAN;
		if (values->has_null)
			types |= SCHEMA_NULL;
		if (values->hash_count)
			types |= SCHEMA_ARRAY | SCHEMA_OBJECT;
		reach &= types;
	}
	return reach;
}

static void set_reach(struct schema *schema)
{
	unsigned reach = schema->never ? 0 : schema->types & reach_of_values(schema);
	unsigned any = 0;
	unsigned one = 0;

	for (uint32_t i = 0; i < schema->branch_count; i++) {
		const struct schema_branch *branch = &schema->branches[i];

		if (branch->apply == SCHEMA_APPLY_ALL)
			reach &= branch->schema->reach;
		else if (branch->apply == SCHEMA_APPLY_ANY)
			any |= branch->schema->reach;
		else if (branch->apply == SCHEMA_APPLY_ONE)
			one |= branch->schema->reach;
	}
	if (schema->has_any)
		reach &= any;
	if (schema->has_one)
		reach &= one;
	schema->reach = (unsigned char)reach;
}

/* See schema_scan.h. When the schemas that it refers to are written, too. */
static void set_plain(struct schema *schema)
{
	const struct schema_object *object = schema->object;
	const struct schema_array *array = schema->array;
	bool plain = !schema->never && !schema->branch_count && !schema->values[0] &&
		     !schema->values[1];

	schema->plain_scalar = plain && !schema->strict_integers;
	schema->plain_members =
		!schema->unevaluated &&
		(!object || (!object->pattern_count && !object->property_names)) &&
		(!array || (!array->contains && !array->unique &&
			    !(array->items && array->items->never)));
	schema->plain_container = plain && schema->plain_members;
}

static int too_much(struct schema_set *set, const struct schema *schema, struct err *err,
		    const char *what)
{
	set->has_fault = false;
	return err_set(err, ERR_INVALID, "%.*s: %s",
		       schema->location.len > 300 ? 300 : (int)schema->location.len,
		       schema->location.ptr, what);
}

/* The recursion is as deep as SCHEMA_INPLACE_DEPTH_MAX at most. */
static int measure(struct schema_set *set, struct schema *schema, unsigned depth,
		   struct err *err)
{
	size_t width = 1;
	unsigned height = 1;

	if (schema->height)
		return 0;
	if (schema->measuring)
		return too_much(set, schema, err, "it applies to the same value without end");
	if (depth > SCHEMA_INPLACE_DEPTH_MAX)
		return too_much(set, schema, err, "too many schemas apply one another");
	schema->measuring = true;
	for (uint32_t i = 0; i < schema->branch_count; i++) {
		/* All of them were made by this set. */
		struct schema *inner = (struct schema *)(uintptr_t)schema->branches[i].schema;

		if (measure(set, inner, depth + 1, err) < 0)
			return -1;
		width += inner->width;
		height = inner->height + 1u > height ? inner->height + 1u : height;
		if (width > set->options.max_width || height > SCHEMA_INPLACE_DEPTH_MAX)
			return too_much(set, schema, err,
					"too many schemas apply to the same value");
	}
	schema->measuring = false;
	schema->width = (uint32_t)width;
	schema->height = (unsigned char)height;
	set_reach(schema);
	set_plain(schema);
	return 0;
}

int schema_measure(struct schema_set *set, struct schema *root, struct err *err)
{
	return measure(set, root, 0, err);
}
