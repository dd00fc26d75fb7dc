#include "contract/schema_fast.h"

#include "contract/schema_fast_scalar.h"

/* Names of an object that are told apart by bits here. */
#define NAME_WORDS 4
/* Members that are passed over in the search for the one that tells branches apart. */
#define PICK_MEMBERS 32
#define PENALTY_MAX 128

static const char *value(struct fast *f, const struct schema *s, const char *p);

/* -- arrays -- */

/* Equal when its bytes are: a string without escapes, an integer, a literal. */
static bool is_canonical(struct span text)
{
	if (text.ptr[0] == '"')
		return !memchr(text.ptr, '\\', text.len);
	if (text.ptr[0] != '-' && (unsigned char)(text.ptr[0] - '0') > 9)
		return text.ptr[0] != '{' && text.ptr[0] != '[';
	for (size_t i = 1; i < text.len; i++)
		if ((unsigned char)(text.ptr[i] - '0') > 9)
			return false;
	return text.ptr[0] != '-' || text.ptr[1] != '0';
}

/* False when the items so far are not known to differ from this one. */
static bool item_differs(struct fast *f, uint32_t seen_before, const char *p, const char *end)
{
	struct fast_memory *m = &f->run->fast;
	struct span text = span_of(p, (size_t)(end - p));

	if (f->run->distinct.count + ++m->unique > f->run->limits.max_unique_items)
		return false;
	return is_canonical(text) && fast_seen_add(&m->seen, seen_before, text);
}

/* Asks an item for `contains`, too, unless that can change nothing any more. */
static bool count_contained(struct fast *f, const struct schema_array *a, const char *p,
			    uint64_t *contained)
{
	if (*contained >= a->min_contains && a->max_contains == UINT64_MAX)
		return true;
	*contained += value(f, a->contains, p) != NULL;
	return !f->unsure;
}

INLINE const char *value_here(struct fast *f, const struct schema *s, const char *p);

static const char *items(struct fast *f, const struct schema_array *a, const char *p)
{
	uint32_t seen_before = f->run->fast.seen.count;
	const struct schema *inner = schema_anything();
	uint64_t contained = 0;
	uint64_t count = 0;

	if (a && a->contains && (a->unevaluated || f->watch))
		return unsure(f);
	if (a && (a->items || a->unevaluated))
		inner = a->items ? a->items : a->unevaluated;
	p = space(f, p + 1);
	if (UNLIKELY(p == f->end))
		return cut(f);
	while (*p != ']' || count) {
		const struct schema *item = inner;
		const char *start = p;

		if (a && UNLIKELY(count < a->prefix_count))
			item = a->prefix[count];
		count++;
		p = value_here(f, item, p);
		if (!p)
			return NULL;
		if (a && UNLIKELY(a->unique) && !item_differs(f, seen_before, start, p))
			return unsure(f);
		if (a && UNLIKELY(a->contains != NULL) &&
		    !count_contained(f, a, start, &contained))
			return NULL;
		p = space(f, p);
		if (UNLIKELY(p == f->end))
			return cut(f);
		if (*p == ']')
			break;
		if (UNLIKELY(*p != ','))
			return unsure(f);
		p = space(f, p + 1);
		if (UNLIKELY(p == f->end))
			return cut(f);
	}
	if (a && (count < a->min || count > a->max))
		return NULL;
	if (a && a->contains && (contained < a->min_contains || contained > a->max_contains))
		return NULL;
	return p + 1;
}

/* -- objects -- */

struct members {
	const struct schema_object *object; /* NULL: nothing is said */
	uint64_t count;
	uint32_t likely; /* the name that may come next */
	uint32_t seen_before;
	uint64_t seen[NAME_WORDS];
};

INLINE bool lexeme_at(const struct fast *f, const struct schema_member *member, const char *p)
{
	size_t len = member->lexeme_len;

	return len && (size_t)(f->end - p) >= len && schema_bytes_equal(p, member->lexeme, len);
}

/* The name that came last after the one before `likely`: peers write an object's members in the same
   order each time, though maybe not in that of the schema. */
INLINE uint32_t *after_slot(struct fast_memory *m, const struct schema_object *o,
			    uint32_t likely)
{
	return &m->after[((uintptr_t)o / 32 + likely * 5) % FAST_AFTER];
}

/* Any key, and the colon; *name is its index in the object's names. */
static const char *read_key(struct fast *f, struct members *m, const char *p, struct span *key,
			    uint32_t *name)
{
	struct text text;

	if (UNLIKELY(p == f->end))
		return cut(f);
	if (UNLIKELY(*p != '"'))
		return unsure(f);
	p = read_string(f, p, &text);
	if (!p || !decode(f, &text, key))
		return NULL;
	p = space(f, p);
	if (UNLIKELY(p == f->end))
		return cut(f);
	if (UNLIKELY(*p != ':'))
		return unsure(f);
	*name = m->object ? schema_names_find(&m->object->names, *key, m->likely)
			  : SCHEMA_NAME_NONE;
	return p + 1;
}

/* A key that no schema names, for the next ones to differ from. */
INLINE bool keep_key(struct fast *f, const struct members *m, struct span key)
{
	struct fast_memory *memory = &f->run->fast;

	/* A decoded one would not stay. */
	if (UNLIKELY(memory->text.ptr && key.ptr == memory->text.ptr))
		return false;
	return fast_seen_add(&memory->seen, m->seen_before, key);
}

/* The value of a member that neither properties nor patterns name. */
static const char *additional(struct fast *f, const struct schema_object *o, const char *p)
{
	const struct schema *inner = !o ? NULL : o->additional ? o->additional : o->unevaluated;

	if (inner && inner->never)
		return f->run->options.unknown == SCHEMA_UNKNOWN_STRIP ? unsure(f) : NULL;
	if (inner)
		return value(f, inner, p);
	if (f->watch && o && o->says_names)
		return unsure(f);
	return value(f, schema_anything(), p);
}

/* Where patterns and propertyNames have a say. */
static const char *odd_member(struct fast *f, const struct schema_object *o, struct span key,
			      const struct schema *inner, const char *p)
{
	struct scalar name = {.type = JSON_STRING, .bit = SCHEMA_STRING, .text = key};
	const char *end = NULL;

	if (o->property_names && !run_check_scalar(f->run, o->property_names, &name, true))
		return NULL;
	if (inner) {
		end = value(f, inner, p);
		if (!end)
			return NULL;
	}
	for (size_t i = 0; i < o->pattern_count; i++) {
		enum ecma_result result =
			ecma_match(f->run->matcher, o->patterns[i].expression, key);

		if (result == ECMA_NO_MATCH)
			continue;
		/* With two schemas for a value, who knows what in it is another's work. */
		if (result == ECMA_TOO_HARD || (f->watch && end))
			return unsure(f);
		end = value(f, o->patterns[i].schema, p);
		if (!end)
			return NULL;
	}
	return end ? end : additional(f, o, p);
}

INLINE const char *member(struct fast *f, struct members *m, const char *p)
{
	const struct schema_object *o = m->object;
	const struct schema *inner = NULL;
	uint32_t name = m->likely;
	struct span key = SPAN_NONE;

	if (LIKELY(o && name < o->names.count && lexeme_at(f, &o->members[name], p))) {
		p += o->members[name].lexeme_len;
	} else {
		uint32_t *learned = after_slot(&f->run->fast, o, m->likely);

		name = *learned;
		if (o && name < o->names.count && lexeme_at(f, &o->members[name], p)) {
			p += o->members[name].lexeme_len;
		} else {
			p = read_key(f, m, p, &key, &name);
			if (!p)
				return NULL;
			*learned = name;
		}
	}
	p = space(f, p);
	m->count++;
	if (UNLIKELY(++f->run->open_keys > f->run->limits.max_keys))
		return unsure(f);
	if (LIKELY(name != SCHEMA_NAME_NONE)) {
		uint64_t bit = UINT64_C(1) << (name % 64);

		if (UNLIKELY(m->seen[name / 64] & bit))
			return unsure(f);
		m->seen[name / 64] |= bit;
		m->likely = name + 1;
		/* The value may be decoded to where the key has been. */
		key = o->names.entries[name];
		inner = o->members[name].schema;
		if (UNLIKELY(f->watch && inner && o->members[name].hidden))
			return unsure(f);
	} else if (!keep_key(f, m, key)) {
		return unsure(f);
	}
	if (UNLIKELY(o && (o->pattern_count || o->property_names)))
		return odd_member(f, o, key, inner, p);
	return LIKELY(inner) ? value_here(f, inner, p) : additional(f, o, p);
}

static bool all_seen(const struct members *m, const uint64_t *needed)
{
	for (uint32_t w = 0; w < SCHEMA_WORDS(m->object->names.count); w++)
		if (needed[w] & ~m->seen[w])
			return false;
	return true;
}

INLINE const char *members_end(const struct members *m, const char *p)
{
	const struct schema_object *o = m->object;

	if (!o)
		return p;
	if (o->required && !all_seen(m, o->required))
		return NULL;
	if (m->count < o->min || m->count > o->max)
		return NULL;
	for (size_t i = 0; i < o->dependency_count; i++)
		if (word_bit(m->seen, o->dependencies[i].name) &&
		    !all_seen(m, o->dependencies[i].needs))
			return NULL;
	return p;
}

static const char *members(struct fast *f, const struct schema_object *o, const char *p,
			   uint64_t *seen)
{
	struct members m = {.object = o, .seen_before = f->run->fast.seen.count};

	if (UNLIKELY(o && o->names.count > NAME_WORDS * 64))
		return unsure(f);
	p = space(f, p + 1);
	if (UNLIKELY(p == f->end))
		return cut(f);
	while (*p != '}' || m.count) {
		p = member(f, &m, p);
		if (!p)
			return NULL;
		p = space(f, p);
		if (UNLIKELY(p == f->end))
			return cut(f);
		if (*p == '}')
			break;
		if (UNLIKELY(*p != ','))
			return unsure(f);
		p = space(f, p + 1);
		if (UNLIKELY(p == f->end))
			return cut(f);
	}
	if (seen)
		memcpy(seen, m.seen, sizeof(m.seen));
	return members_end(&m, p + 1);
}

/* -- containers, and values of all kinds -- */

static const char **failed_slot(struct fast_memory *m, const char *p)
{
	return &m->failed[(uintptr_t)p % FAST_FAILED];
}

/* What the schema itself says, without its branches. `seen` (or NULL) receives which of its names
   an object has. */
static const char *container(struct fast *f, const struct schema *s, const char *p,
			     uint64_t *seen)
{
	bool object = *p == '{';
	uint32_t seen_before = f->run->fast.seen.count;
	uint64_t unique_before = f->run->fast.unique;
	uint64_t keys_before = f->run->open_keys;
	const char *end;

	if (UNLIKELY(!(s->types & (object ? SCHEMA_OBJECT : SCHEMA_ARRAY)) || s->never))
		return NULL;
	if (UNLIKELY(f->depth >= f->run->limits.max_depth || f->frames >= FAST_FRAMES ||
		     s->values[0] || s->values[1] || (s->unevaluated && s->branch_count)))
		return unsure(f);
	f->depth++;
	f->frames++;
	end = object ? members(f, s->object, p, seen) : items(f, s->array, p);
	f->depth--;
	f->frames--;
	f->run->open_keys = keys_before;
	f->run->fast.unique = unique_before;
	fast_seen_drop(&f->run->fast.seen, seen_before);
	if (UNLIKELY(!end)) {
		*failed_slot(&f->run->fast, p) = p;
		f->run->fast.any_failed = true;
	}
	return end;
}

static uint32_t picked_value(struct fast *f, const struct schema_pick *pick, const char *p,
			     bool *known)
{
	struct text raw;
	struct span text;

	if (p == f->end || *p != '"' || !read_string(f, p, &raw) || !decode(f, &raw, &text))
		return SCHEMA_NAME_NONE;
	*known = true;
	return schema_names_find(&pick->values, text, SCHEMA_NAME_NONE);
}

/*
 * The index of the value that the property has which tells the branches apart; SCHEMA_NAME_NONE with
 * *known: the object meets none of them.
 */
static uint32_t pick(struct fast *f, const struct schema_pick *pick, const char *p, bool *known)
{
	struct text raw;
	struct span text;

	*known = false;
	p = space(f, p + 1);
	/* Mostly it comes first. */
	if (LIKELY(pick->lexeme_len && f->end - p >= pick->lexeme_len &&
		   schema_bytes_equal(p, pick->lexeme, pick->lexeme_len)))
		return picked_value(f, pick, space(f, p + pick->lexeme_len), known);
	for (unsigned i = 0; i < PICK_MEMBERS && p < f->end && *p == '"'; i++) {
		bool it;

		p = read_string(f, p, &raw);
		if (!p || !decode(f, &raw, &text))
			return SCHEMA_NAME_NONE;
		it = text.len == pick->name.len &&
		     schema_bytes_equal(text.ptr, pick->name.ptr, text.len);
		p = space(f, p);
		if (p == f->end || *p != ':')
			return SCHEMA_NAME_NONE;
		p = space(f, p + 1);
		if (p == f->end)
			return SCHEMA_NAME_NONE;
		if (it)
			return picked_value(f, pick, p, known);
		p = value(f, schema_anything(), p);
		p = p ? space(f, p) : f->end;
		if (p == f->end || *p != ',')
			return SCHEMA_NAME_NONE;
		p = space(f, p + 1);
	}
	return SCHEMA_NAME_NONE;
}

struct outcome {
	const char *end; /* of the value, once it was read */
	bool any;
	bool condition;
	bool depends;
	unsigned one;
};

/* The types that a value may have which begins so. */
INLINE unsigned types_of(char first)
{
	switch (first) {
	case '{': return SCHEMA_OBJECT;
	case '[': return SCHEMA_ARRAY;
	case '"': return SCHEMA_STRING;
	case 't':
	case 'f': return SCHEMA_BOOLEAN;
	case 'n': return SCHEMA_NULL;
	default: return SCHEMA_INTEGER | SCHEMA_NUMBER;
	}
}

/* False when the schema that has the branch is not met; `types` as the value has them. */
static bool take_branch(struct fast *f, const struct schema_branch *branch, struct outcome *o,
			const char *p, unsigned types)
{
	const char *end = NULL;

	/* What it depends on is known when the members have been read. */
	if (branch->apply == SCHEMA_APPLY_DEPENDENT) {
		o->depends = true;
		return true;
	}
	if ((branch->apply == SCHEMA_APPLY_ANY && o->any) ||
	    (branch->apply == SCHEMA_APPLY_THEN && !o->condition) ||
	    (branch->apply == SCHEMA_APPLY_ELSE && o->condition))
		return true;
	if (branch->schema->reach & types)
		end = value(f, branch->schema, p);
	if (f->unsure)
		return false;
	o->end = end ? end : o->end;
	switch (branch->apply) {
	case SCHEMA_APPLY_ANY: o->any = end != NULL; return true;
	case SCHEMA_APPLY_ONE: return (o->one += end != NULL) < 2;
	case SCHEMA_APPLY_IF: o->condition = end != NULL; return true;
	case SCHEMA_APPLY_NOT: return !end;
	case SCHEMA_APPLY_ALL:
	case SCHEMA_APPLY_THEN:
	case SCHEMA_APPLY_ELSE:
	case SCHEMA_APPLY_DEPENDENT: break;
	}
	return end != NULL;
}

/* With unknown properties looked for, only one schema may say what is known. */
static bool may_watch(const struct schema *s, const struct schema_pick *by)
{
	if (s->object || s->array)
		return false;
	for (uint32_t i = 0; i < s->branch_count; i++) {
		enum schema_apply apply = s->branches[i].apply;

		if (by ? apply != by->apply
		       : apply != SCHEMA_APPLY_ONE &&
				    !(apply == SCHEMA_APPLY_ALL && s->branch_count == 1))
			return false;
	}
	return true;
}

/* The branches that are told apart: false when the schema is not met; *by becomes NULL when they are
   not told apart here. */
static bool take_picked(struct fast *f, const struct schema_pick **by, struct outcome *o,
			const char *p)
{
	bool known = false;
	uint32_t chosen = *by ? pick(f, *by, p, &known) : SCHEMA_NAME_NONE;

	if (!known) {
		*by = NULL;
		return !f->unsure;
	}
	o->end = chosen == SCHEMA_NAME_NONE ? NULL : value(f, (*by)->schemas[chosen], p);
	if ((*by)->apply == SCHEMA_APPLY_ANY)
		o->any = o->end != NULL;
	else
		o->one = o->end != NULL;
	return o->end != NULL;
}

/* The members, then the schemas that depend on some of them. */
static const char *take_dependent(struct fast *f, const struct schema *s, const char *p)
{
	uint64_t seen[NAME_WORDS];
	const char *end = container(f, s, p, seen);

	for (uint32_t i = 0; end && i < s->branch_count; i++) {
		const struct schema_branch *branch = &s->branches[i];

		if (branch->apply == SCHEMA_APPLY_DEPENDENT && word_bit(seen, branch->name))
			end = value(f, branch->schema, p);
	}
	return end;
}

static const char *take_branches(struct fast *f, const struct schema *s, const char *p)
{
	bool object = *p == '{';
	const struct schema_pick *by = object ? s->pick : NULL;
	struct outcome o = {.end = NULL};

	if (s->unevaluated)
		return unsure(f);
	if (!take_picked(f, &by, &o, p))
		return NULL;
	if (f->watch && !may_watch(s, by))
		return unsure(f);
	for (uint32_t i = 0; i < s->branch_count; i++) {
		if (by && s->branches[i].apply == by->apply)
			continue;
		if (!take_branch(f, &s->branches[i], &o, p, types_of(*p)))
			return NULL;
	}
	if ((s->has_any && !o.any) || (s->has_one && o.one != 1))
		return NULL;
	if (object && o.depends)
		return take_dependent(f, s, p);
	if (!o.end || (object ? s->object != NULL : s->array != NULL))
		return container(f, s, p, NULL);
	return o.end;
}

/* An object, for a schema all of which may have been joined into one. */
static const char *take_joined(struct fast *f, const struct schema *s, const char *p)
{
	const struct schema *joined = s->joined;
	bool known = false;

	if (!joined) {
		uint32_t index = pick(f, s->pick, p, &known);

		if (f->unsure || (known && index == SCHEMA_NAME_NONE))
			return NULL;
		if (known)
			joined = s->pick->joined[index];
	}
	return joined ? container(f, joined, p, NULL) : take_branches(f, s, p);
}

INLINE const char *scalar_here(struct fast *f, const struct schema *s, const char *p);

static const char *branched_scalar(struct fast *f, const struct schema *s, const char *p)
{
	unsigned types = types_of(*p);
	struct outcome o = {.end = NULL};
	bool says_more = s->types != SCHEMA_ANY_TYPE || s->string || s->number ||
			 s->values[0] || s->values[1];

	if (!(s->reach & types))
		return NULL;
	for (uint32_t i = 0; i < s->branch_count; i++)
		if (s->branches[i].apply != SCHEMA_APPLY_DEPENDENT &&
		    !take_branch(f, &s->branches[i], &o, p, types))
			return NULL;
	if ((s->has_any && !o.any) || (s->has_one && o.one != 1))
		return NULL;
	return o.end && !says_more ? o.end : scalar_here(f, s, p);
}

static const char *branched(struct fast *f, const struct schema *s, const char *p)
{
	bool object = *p == '{';
	const char *end;

	if (!object && *p != '[') {
		if (f->frames >= FAST_FRAMES)
			return whole_scalar(f, s, p);
		f->frames++;
		end = branched_scalar(f, s, p);
		f->frames--;
		return end;
	}
	if (UNLIKELY(!(s->types & (object ? SCHEMA_OBJECT : SCHEMA_ARRAY))))
		return NULL;
	if (UNLIKELY(f->frames >= FAST_FRAMES || s->values[0] || s->values[1] ||
		     f->evals + s->width > f->run->limits.max_evaluations))
		return unsure(f);
	f->frames++;
	f->evals += s->width;
	end = object && (s->joined || (s->pick && s->pick->joined)) ? take_joined(f, s, p)
								    : take_branches(f, s, p);
	f->frames--;
	f->evals -= s->width;
	return end;
}

/* What the schema itself says of a scalar, without its branches. */
INLINE const char *scalar_here(struct fast *f, const struct schema *s, const char *p)
{
	struct text text;
	const char *end;

	switch (*p) {
	case '"':
		end = read_string(f, p, &text);
		return end && string_meets(f, s, &text) ? end : NULL;
	case 't':
	case 'f':
	case 'n': return literal(f, s, p);
	default: return number(f, s, p);
	}
}

INLINE const char *value_here(struct fast *f, const struct schema *s, const char *p)
{
	if (UNLIKELY(p == f->end))
		return cut(f);
	if (UNLIKELY(f->fuel-- == 0)) {
		f->fuel = 0;
		return unsure(f);
	}
	if (UNLIKELY(s->branch_count))
		return branched(f, s, p);
	if (*p == '{' || *p == '[')
		return container(f, s, p, NULL);
	return scalar_here(f, s, p);
}

static const char *value(struct fast *f, const struct schema *s, const char *p)
{
	return value_here(f, s, p);
}

const char *run_fast(struct schema_run *run, const struct schema *schema, const char *p,
		     const char *end, unsigned depth)
{
	struct fast f = {.run = run,
			 .end = end,
			 .fuel = (uint64_t)(end - p) * 4 + 64,
			 .depth = depth,
			 .evals = run->eval_count,
			 .watch = run->options.unknown != SCHEMA_UNKNOWN_ALLOW};
	uint64_t steps = run->steps;
	const char *after;

	if (run->fast.skip) {
		run->fast.skip--;
		return NULL;
	}
	if (run->fast.any_failed && *failed_slot(&run->fast, p) == p)
		return NULL;
	if (f.fuel > steps)
		f.fuel = steps;
	after = value(&f, schema, p);
	/* A limit that was met on the way is for the general functions to find. */
	if (UNLIKELY(run_ended(run))) {
		run->result = SCHEMA_MORE;
		run->limit = NULL;
		after = NULL;
	}
	if (after) {
		run->fast.penalty /= 2;
		return after;
	}
	run->steps = steps;
	if (!f.cut) {
		run->fast.penalty = run->fast.penalty * 2 + 1;
		if (run->fast.penalty > PENALTY_MAX)
			run->fast.penalty = PENALTY_MAX;
		run->fast.skip = run->fast.penalty;
	}
	return after;
}
