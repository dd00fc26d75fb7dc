/* What evaluations come to at the end of an array or object. */
#include "contract/schema_run.h"

void run_eval_failed(struct schema_run *run, uint32_t index)
{
	while (index != EVAL_NONE) {
		struct eval *e = &run->evals[index];
		uint32_t end = e->end ? e->end : run->eval_count;

		if (e->flags & EVAL_FAILED)
			return;
		if (!(e->flags & EVAL_QUIET)) {
			/* Problems have been told; all others are still looked for. */
			e->flags |= EVAL_FAILED;
			return;
		}
		for (uint32_t i = index; i < end; i++)
			run->evals[i].flags |= EVAL_FAILED;
		run->died = true;
		/* Takes along those that cannot be met any more. With several askers it shows at
		   the end. */
		if (e->role == ROLE_BRANCH ? e->branch->apply == SCHEMA_APPLY_ALL
					   : e->role == ROLE_PART && !e->links)
			index = e->asker;
		else
			return;
	}
}

void run_tell(struct schema_run *run, uint32_t asker, enum eval_role role, bool met)
{
	struct level *level;
	struct eval *e;

	if (role == ROLE_ROOT)
		return;
	if (role == ROLE_PART) {
		if (!met)
			run_eval_failed(run, asker);
		return;
	}
	level = &run->levels[run->level_count - 1];
	if (asker < level->first)
		level--;
	e = &run->evals[asker];
	if (role == ROLE_UNEVALUATED) {
		if (!met)
			word_set(run->words + level->track + level->track_words,
				 asker - level->first);
	} else if (met) {
		if (e->contained < UINT32_MAX)
			e->contained++;
		if (e->schema->array->contains_evaluates && level->track_words)
			word_set(run->words + level->track, asker - level->first);
	}
}

void run_tell_branch(struct schema_run *run, uint32_t index, const struct schema_branch *branch,
		     bool met)
{
	struct eval *e = &run->evals[index];

	switch (branch->apply) {
	case SCHEMA_APPLY_ALL:
		if (!met)
			run_eval_failed(run, index);
		break;
	case SCHEMA_APPLY_ANY:
		if (met)
			e->flags |= EVAL_ANY;
		break;
	case SCHEMA_APPLY_ONE: e->one += met; break;
	case SCHEMA_APPLY_NOT:
		if (met)
			e->flags |= EVAL_NOT;
		break;
	case SCHEMA_APPLY_IF:
		if (met)
			e->flags |= EVAL_IF;
		break;
	case SCHEMA_APPLY_THEN:
		if (!met)
			e->flags |= EVAL_THEN_FAILED;
		break;
	case SCHEMA_APPLY_ELSE:
		if (!met)
			e->flags |= EVAL_ELSE_FAILED;
		break;
	case SCHEMA_APPLY_DEPENDENT:
		if (met || !e->schema->object || !word_bit(run->words + e->words, branch->name))
			break;
		if (!(e->flags & EVAL_QUIET))
			run_problem(run, run->level_count - 1, e->schema, "dependentSchemas",
				    e->schema->object->names.entries[branch->name]);
		run_eval_failed(run, index);
		break;
	}
}

/* -- one evaluation -- */

struct closing {
	struct schema_run *run;
	struct level *level;
	struct eval *e;
	bool quiet;
	bool met;
};

/* True when there is no point in looking further. */
static bool fails(struct closing *c, const char *keyword, struct span detail)
{
	c->met = false;
	if (!c->quiet)
		run_problem(c->run, c->run->level_count - 1, c->e->schema, keyword, detail);
	return c->quiet;
}

static bool fails_count(struct closing *c, const char *keyword, const char *words,
			uint64_t count)
{
	c->met = false;
	if (!c->quiet)
		run_problem_count(c->run, c->run->level_count - 1, c->e->schema, keyword, words,
				  count);
	return c->quiet;
}

/* Tells each name of the set that was not seen. */
static bool names_missing(struct closing *c, const uint64_t *needed, const char *keyword)
{
	const struct schema_names *names = &c->e->schema->object->names;
	const uint64_t *seen = c->run->words + c->e->words;

	for (uint32_t w = 0; w < SCHEMA_WORDS(names->count); w++) {
		uint64_t missing = needed[w] & ~seen[w];

		for (; missing; missing &= missing - 1) {
			uint32_t bit = w * 64 + (uint32_t)__builtin_ctzll(missing);

			if (fails(c, keyword, names->entries[bit]))
				return true;
		}
	}
	return false;
}

static bool object_fails(struct closing *c)
{
	const struct schema_object *object = c->e->schema->object;
	const uint64_t *seen = c->run->words + c->e->words;

	if (object->required && names_missing(c, object->required, "required"))
		return true;
	if (c->level->members < object->min &&
	    fails_count(c, "minProperties", "at least ", object->min))
		return true;
	if (c->level->members > object->max &&
	    fails_count(c, "maxProperties", "at most ", object->max))
		return true;
	for (size_t i = 0; i < object->dependency_count; i++) {
		const struct schema_dependency *d = &object->dependencies[i];

		if (word_bit(seen, d->name) && names_missing(c, d->needs, "dependentRequired"))
			return true;
	}
	return false;
}

static bool array_fails(struct closing *c)
{
	const struct schema_array *array = c->e->schema->array;

	if (c->level->members < array->min &&
	    fails_count(c, "minItems", "at least ", array->min))
		return true;
	if (c->level->members > array->max &&
	    fails_count(c, "maxItems", "at most ", array->max))
		return true;
	if (array->unique && c->level->repeated && fails(c, "uniqueItems", SPAN("")))
		return true;
	if (!array->contains)
		return false;
	if (c->e->contained < array->min_contains &&
	    (array->min_contains == 1
		     ? fails(c, "contains", SPAN(""))
		     : fails_count(c, "minContains", "at least ", array->min_contains)))
		return true;
	return c->e->contained > array->max_contains &&
	       fails_count(c, "maxContains", "at most ", array->max_contains);
}

static bool values_fail(struct closing *c, uint64_t hash)
{
	for (size_t i = 0; i < COUNT_OF(c->e->schema->values); i++) {
		const struct schema_values *values = c->e->schema->values[i];
		bool listed = values == NULL;

		for (size_t k = 0; !listed && k < values->hash_count; k++)
			listed = values->hashes[k] == hash;
		if (!listed && fails(c, values->keyword, SPAN("")))
			return true;
	}
	return false;
}

static bool branches_fail(struct closing *c)
{
	const struct schema *schema = c->e->schema;
	unsigned flags = c->e->flags;

	if (schema->has_any && !(flags & EVAL_ANY) && fails(c, "anyOf", SPAN("")))
		return true;
	if (schema->has_one && c->e->one != 1 &&
	    fails(c, "oneOf", c->e->one ? SPAN("more than one is met") : SPAN("none is met")))
		return true;
	if ((flags & EVAL_NOT) && fails(c, "not", SPAN("")))
		return true;
	if (flags & EVAL_IF)
		return (flags & EVAL_THEN_FAILED) && fails(c, "then", SPAN(""));
	return (flags & EVAL_ELSE_FAILED) && fails(c, "else", SPAN(""));
}

/* Whether the evaluation is met, and so are all between it and `above`, and count. */
static bool holds_below(const struct schema_run *run, uint32_t index, uint32_t above)
{
	while (index != above) {
		const struct eval *e = &run->evals[index];

		if (!run_branch_holds(run, e))
			return false;
		index = e->asker;
	}
	return true;
}

/* What unevaluated* refuses unless a branch that holds has evaluated it. */
static bool unevaluated_fails(struct closing *c, uint32_t index)
{
	const struct schema_run *run = c->run;
	uint32_t size = 1 + c->level->track_words;

	for (uint32_t at = c->level->records_before; at < run->record_count; at += size) {
		bool evaluated = false;

		if (run->records[at] != index)
			continue;
		for (uint32_t i = index + 1; i < c->e->end && !evaluated; i++)
			evaluated = word_bit(run->records + at + 1, i - c->level->first) &&
				    holds_below(run, i, index);
		if (!evaluated)
			return fails(c,
				     c->level->object ? "unevaluatedProperties"
						      : "unevaluatedItems",
				     SPAN(""));
	}
	return false;
}

static bool close_eval(struct schema_run *run, struct level *level, uint32_t index,
		       uint64_t hash)
{
	struct eval *e = &run->evals[index];
	const struct schema *schema = e->schema;
	struct closing c = {run, level, e, e->flags & EVAL_QUIET, !(e->flags & EVAL_FAILED)};

	if (eval_is_dead(e))
		return false;
	if (level->object && schema->object && object_fails(&c))
		return false;
	if (!level->object && schema->array && array_fails(&c))
		return false;
	if ((schema->values[0] || schema->values[1]) && values_fail(&c, hash))
		return false;
	if (schema->branch_count && branches_fail(&c))
		return false;
	if (schema->unevaluated && run->record_count > level->records_before &&
	    unevaluated_fails(&c, index))
		return false;
	return c.met;
}

void run_close_evals(struct schema_run *run, struct level *level, uint64_t hash)
{
	for (uint32_t i = level->first + level->count; i-- > level->first && !run_ended(run);) {
		struct eval *e = &run->evals[i];
		bool met = close_eval(run, level, i, hash);

		if (!met)
			e->flags |= EVAL_FAILED;
		if (e->role == ROLE_BRANCH) {
			run_tell_branch(run, e->asker, e->branch, met);
			continue;
		}
		run_tell(run, e->asker, (enum eval_role)e->role, met);
		for (uint32_t link = e->links; link; link = run->links[link - 1].next)
			run_tell(run, run->links[link - 1].asker, run->links[link - 1].role,
				 met);
	}
}
