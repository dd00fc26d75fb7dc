/* Keys, scalars, and the beginnings of arrays and objects. */
#include <assert.h>

#include "base/hash.h"
#include "contract/schema_run.h"

static inline struct level *top_level(struct schema_run *run)
{
	return &run->levels[run->level_count - 1];
}

static bool add_child(struct schema_run *run, const struct schema *schema, uint32_t asker,
		      enum eval_role role)
{
	if (run->child_count == run->child_cap &&
	    !run_reserve(run, (void *)&run->children, &run->child_cap, run->child_count, 1,
			 sizeof(*run->children), run->limits.max_evaluations, "evaluations"))
		return false;
	run->children[run->child_count++] = (struct child){schema, asker, role};
	return true;
}

static inline uint64_t *tracked(struct schema_run *run, const struct level *level,
				unsigned which)
{
	return run->words + level->track + which * level->track_words;
}

/* -- what the next value must meet -- */

/* False when the member must not be there for this evaluation, which has then failed. */
static bool refuse_member(struct schema_run *run, uint32_t index, const char *keyword)
{
	struct eval *e = &run->evals[index];
	bool quiet = e->flags & EVAL_QUIET;

	/* Where it is certain that the property will be cut out, it may be there. */
	if (!quiet && run->options.unknown == SCHEMA_UNKNOWN_STRIP)
		return true;
	if (!quiet)
		run_problem(run, RUN_HERE, e->schema, keyword, SPAN(""));
	run_eval_failed(run, index);
	return false;
}

static void check_name(struct schema_run *run, uint32_t index, struct span key)
{
	struct eval *e = &run->evals[index];
	struct scalar name = {.type = JSON_STRING, .bit = SCHEMA_STRING, .text = key};

	if (!run_check_scalar(run, e->schema->object->property_names, &name,
			      e->flags & EVAL_QUIET))
		run_eval_failed(run, index);
}

/* Whether patternProperties know the key; a match that is too hard fails the evaluation. */
static bool match_patterns(struct schema_run *run, uint32_t index, struct span key)
{
	const struct schema *schema = run->evals[index].schema;
	const struct schema_object *object = schema->object;
	bool known = false;

	for (size_t i = 0; i < object->pattern_count; i++) {
		const struct schema_pattern *pattern = &object->patterns[i];
		enum ecma_result result = ecma_match(run->matcher, pattern->expression, key);

		if (result == ECMA_TOO_HARD) {
			if (!(run->evals[index].flags & EVAL_QUIET))
				run_problem(run, RUN_HERE, schema, "patternProperties",
					    SPAN("too expensive to match"));
			run_eval_failed(run, index);
		}
		if (result != ECMA_MATCH)
			continue;
		known = true;
		if (!add_child(run, pattern->schema, index, ROLE_PART))
			return false;
	}
	return known;
}

/* What one evaluation asks of the member; returns the index of its name. */
static uint32_t member_of(struct schema_run *run, struct level *level, uint32_t index,
			  struct span key, bool *repeated)
{
	struct eval *e = &run->evals[index];
	const struct schema_object *object = e->schema->object;
	uint32_t name = schema_names_find(&object->names, key, e->likely);
	bool evaluated = false;
	bool known = false;

	e->likely = name + 1;
	if (name != SCHEMA_NAME_NONE) {
		const struct schema_member *member = &object->members[name];
		uint64_t *word = run->words + e->words + name / 64;
		uint64_t bit = UINT64_C(1) << (name % 64);

		*repeated = *word & bit;
		*word |= bit;
		if (member->schema) {
			evaluated = true;
			known = !member->hidden;
			if (!add_child(run, member->schema, index, ROLE_PART))
				return name;
		}
	}
	if (UNLIKELY(object->pattern_count) && match_patterns(run, index, key))
		evaluated = known = true;
	if (UNLIKELY(object->property_names != NULL))
		check_name(run, index, key);
	if (!evaluated && object->additional) {
		evaluated = true;
		known = !object->additional->never;
		if (object->additional->never)
			refuse_member(run, index, "additionalProperties");
		else if (!object->additional->always)
			add_child(run, object->additional, index, ROLE_PART);
	}
	if (level->track_words) {
		if (evaluated)
			word_set(tracked(run, level, 0), index - level->first);
		if (known)
			word_set(tracked(run, level, 2), index - level->first);
	}
	return name;
}

/*
 * True when, among an evaluation and those that it must meet without condition, one evaluates the
 * member. For quiet ones only the first is looked at: the rest shows at the end.
 */
static bool evaluated_for_certain(struct schema_run *run, const struct level *level,
				  uint32_t index)
{
	const uint64_t *set = tracked(run, level, 0);
	const struct eval *e = &run->evals[index];

	if (word_bit(set, index - level->first))
		return true;
	if (e->flags & EVAL_QUIET)
		return false;
	for (uint32_t i = index + 1; i < e->end; i++)
		if (word_bit(set, i - level->first) && !(run->evals[i].flags & EVAL_QUIET))
			return true;
	return false;
}

static const struct schema *unevaluated_of(const struct schema *schema, bool object)
{
	if (object)
		return schema->object ? schema->object->unevaluated : NULL;
	return schema->array ? schema->array->unevaluated : NULL;
}

/* After all evaluations have looked at the member. */
static void ask_unevaluated(struct schema_run *run, struct level *level)
{
	for (uint32_t i = level->first; i < level->first + level->count; i++) {
		const struct eval *e = &run->evals[i];
		const struct schema *inner;

		if (!e->schema->unevaluated || eval_is_dead(e))
			continue;
		inner = unevaluated_of(e->schema, level->object);
		if (!inner || evaluated_for_certain(run, level, i))
			continue;
		if (inner->never) {
			word_set(tracked(run, level, 1), i - level->first);
			continue;
		}
		word_set(tracked(run, level, 2), i - level->first);
		if (!inner->always && !add_child(run, inner, i, ROLE_UNEVALUATED))
			return;
	}
}

static bool start_member(struct schema_run *run, struct level *level)
{
	if (UNLIKELY(run->steps < level->count))
		return run_limit(run, "steps");
	run->steps -= level->count;
	level->members++;
	run->child_count = 0;
	if (level->track_words)
		memset(run->words + level->track, 0,
		       (size_t)3 * level->track_words * sizeof(uint64_t));
	return true;
}

/* Keeps a copy of the key, which no schema has, for the path: see run_pointer(). */
static void keep_key(struct schema_run *run, struct level *level)
{
	struct span key = level->key;

	if (run->keys.max - run->keys.len < key.len)
		run_limit(run, "string_bytes");
	else if (buf_append(&run->keys, key) < 0)
		run_no_memory(run);
	level->key = span_of(NULL, key.len);
}

/*
 * No live evaluation names the key, or its bit would have told. One that has died since may have
 * seen it; otherwise its hash is kept.
 */
static void check_repeated(struct schema_run *run, struct level *level, struct span key)
{
	bool repeated = false;

	for (uint32_t i = level->first; i < level->first + level->count; i++) {
		const struct eval *e = &run->evals[i];
		const struct schema_object *object = e->schema->object;
		uint32_t name;

		if (!object || !eval_is_dead(e))
			continue;
		name = schema_names_find(&object->names, key, SCHEMA_NAME_NONE);
		repeated = repeated ||
			   (name != SCHEMA_NAME_NONE && word_bit(run->words + e->words, name));
	}
	if (!repeated)
		repeated = !run_distinct_add(run, hash_mix(schema_hash_key(key), level->id),
					     UINT32_MAX, "keys");
	if (repeated && !run_ended(run))
		run_malformed(run, JSON_ERROR_DUPLICATE_KEY, run->token_start);
}

/* See schema_scan.h. */
static void find_solo(struct schema_run *run, struct level *level)
{
	uint32_t solo = EVAL_NONE;

	level->solo = EVAL_NONE;
	if (level->tracks || level->hashes || level->unique ||
	    run->options.unknown != SCHEMA_UNKNOWN_ALLOW)
		return;
	for (uint32_t i = level->first; i < level->first + level->count; i++) {
		const struct eval *e = &run->evals[i];
		bool asks =
			level->object ? e->schema->object != NULL : e->schema->array != NULL;

		if (!asks || eval_is_dead(e))
			continue;
		if (solo != EVAL_NONE || !e->schema->plain_members)
			return;
		solo = i;
	}
	level->solo = solo;
	level->plain = solo != EVAL_NONE && level->count == 1 &&
		       run->evals[solo].schema->plain_container;
}

void run_key(struct schema_run *run, struct span key)
{
	struct level *level = top_level(run);
	uint32_t end = level->first + level->count;
	bool named = false;
	bool repeated = false;

	run->keys.len = level->keys_before;
	level->key_start = run->token_start;
	level->key = key;
	if (UNLIKELY(level->unknown_before))
		run->unknowns[level->unknown_before - 1].next_start = run->token_start;
	if (UNLIKELY(++run->open_keys > run->limits.max_keys)) {
		run_limit(run, "keys");
		return;
	}
	if (!start_member(run, level))
		return;
	for (uint32_t i = level->first; i < end && !run_ended(run); i++) {
		const struct eval *e = &run->evals[i];
		bool again = false;
		uint32_t name;

		if (!e->schema->object || eval_is_dead(e))
			continue;
		name = member_of(run, level, i, key, &again);
		if (name == SCHEMA_NAME_NONE)
			continue;
		if (!named)
			level->key = e->schema->object->names.entries[name];
		named = true;
		repeated = repeated || again;
	}
	if (run_ended(run))
		return;
	if (level->tracks)
		ask_unevaluated(run, level);
	if (!named)
		keep_key(run, level);
	if (level->hashes)
		level->key_hash = schema_hash_key(key);
	if (!run->options.allow_duplicate_keys) {
		/* An evaluation that lives has seen all keys that it names. */
		if (!named)
			check_repeated(run, level, key);
		else if (repeated)
			run_malformed(run, JSON_ERROR_DUPLICATE_KEY, run->token_start);
	}
	if (level->watches && !run_ended(run))
		run_unknown_member(run, level);
}

/* -- items -- */

static void item_of(struct schema_run *run, struct level *level, uint32_t index)
{
	const struct schema *schema = run->evals[index].schema;
	const struct schema_array *array = schema->array;
	const struct schema *inner = array->items;

	if (level->members <= array->prefix_count)
		inner = array->prefix[level->members - 1];
	if (inner) {
		if (level->track_words)
			word_set(tracked(run, level, 0), index - level->first);
		if (inner->never && inner == array->items) {
			if (!(run->evals[index].flags & EVAL_QUIET))
				run_problem(run, RUN_HERE, schema, array->items_keyword,
					    SPAN(""));
			run_eval_failed(run, index);
		} else if (!inner->always && !add_child(run, inner, index, ROLE_PART)) {
			return;
		}
	}
	if (array->contains) {
		if (array->contains->always)
			run_tell(run, index, ROLE_CONTAINS, true);
		else
			add_child(run, array->contains, index, ROLE_CONTAINS);
	}
}

bool run_expect(struct schema_run *run)
{
	struct level *level;

	if (run->level_count == 0) {
		run->child_count = 0;
		return add_child(run, run->root, EVAL_NONE, ROLE_ROOT);
	}
	level = top_level(run);
	if (level->object)
		return !run_ended(run);
	if (!start_member(run, level))
		return false;
	for (uint32_t i = level->first; i < level->first + level->count; i++)
		if (run->evals[i].schema->array && !eval_is_dead(&run->evals[i]))
			item_of(run, level, i);
	if (level->tracks)
		ask_unevaluated(run, level);
	return !run_ended(run);
}

/* -- the end of a member or item -- */

/* Bits of `set` for evaluations below `e`. */
static bool any_below(const uint64_t *set, const struct level *level, const struct eval *e,
		      uint32_t index)
{
	for (uint32_t i = index + 1; i < e->end; i++)
		if (word_bit(set, i - level->first))
			return true;
	return false;
}

/* Whether unevaluated* refuses the member shows when the branches that evaluate it are known. */
static void leave_record(struct schema_run *run, struct level *level, uint32_t index)
{
	uint32_t size = 1 + level->track_words;
	const uint64_t *set = tracked(run, level, 0);

	for (uint32_t at = level->records_before; at < run->record_count; at += size)
		if (run->records[at] == index &&
		    memcmp(run->records + at + 1, set, level->track_words * sizeof(*set)) == 0)
			return;
	if (!run_reserve(run, (void *)&run->records, &run->record_cap, run->record_count, size,
			 sizeof(*run->records), run->limits.max_evaluations, "evaluations"))
		return;
	run->records[run->record_count] = index;
	memcpy(run->records + run->record_count + 1, set, level->track_words * sizeof(*set));
	run->record_count += size;
}

static void settle_unevaluated(struct schema_run *run, struct level *level)
{
	uint64_t *evaluated = tracked(run, level, 0);
	const uint64_t *refused = tracked(run, level, 1);

	/* From the innermost: one that is met has evaluated all there is. */
	for (uint32_t i = level->first + level->count; i-- > level->first;) {
		struct eval *e = &run->evals[i];
		bool loud = !(e->flags & EVAL_QUIET);
		bool cut = loud && level->object &&
			   run->options.unknown == SCHEMA_UNKNOWN_STRIP &&
			   unevaluated_of(e->schema, true) &&
			   unevaluated_of(e->schema, true)->never;

		if (!e->schema->unevaluated || !unevaluated_of(e->schema, level->object) ||
		    eval_is_dead(e))
			continue;
		if (word_bit(refused, i - level->first) && !cut &&
		    !word_bit(evaluated, i - level->first)) {
			if (any_below(evaluated, level, e, i)) {
				leave_record(run, level, i);
			} else {
				if (loud)
					run_problem(run, RUN_HERE, e->schema,
						    level->object ? "unevaluatedProperties"
								  : "unevaluatedItems",
						    SPAN(""));
				run_eval_failed(run, i);
			}
		}
		word_set(evaluated, i - level->first);
	}
}

void run_member_done(struct schema_run *run, uint64_t hash)
{
	struct level *level;

	if (run->level_count == 0) {
		run->root_read = true;
		return;
	}
	level = top_level(run);
	if (level->tracks)
		settle_unevaluated(run, level);
	if (level->unknown)
		run->unknowns[level->unknown - 1].end = run->token_end;
	level->unknown_before = level->unknown;
	level->unknown = 0;
	level->previous_end = run->token_end;
	if (run->died) {
		run->died = false;
		find_solo(run, level);
	}
	if (level->unique && !level->repeated &&
	    !run_distinct_add(run, hash_mix(hash, level->id), run->limits.max_unique_items,
			      "unique_items"))
		level->repeated = true;
	if (!level->hashes)
		return;
	if (level->object)
		level->hash += schema_hash_pair(level->key_hash, hash);
	else
		level->hash = schema_hash_pair(level->hash, hash);
}

void run_scalar(struct schema_run *run, struct scalar *s)
{
	uint64_t hash = 0;

	if (!run_expect(run))
		return;
	s->has_hash = false;
	for (uint32_t i = 0; i < run->child_count; i++) {
		struct child child = run->children[i];
		const struct eval *asker =
			child.asker == EVAL_NONE ? NULL : &run->evals[child.asker];
		bool quiet = child.role == ROLE_CONTAINS || child.role == ROLE_UNEVALUATED ||
			     (asker && (asker->flags & EVAL_QUIET));

		if (asker && eval_is_dead(asker))
			continue;
		if (!run_check_scalar(run, child.schema, s, quiet))
			run_tell(run, child.asker, child.role, false);
		else if (child.role == ROLE_CONTAINS)
			run_tell(run, child.asker, child.role, true);
	}
	if (run_ended(run))
		return;
	if (run->level_count && (top_level(run)->hashes || top_level(run)->unique))
		hash = scalar_hash(s);
	run_member_done(run, hash);
}

/* -- the beginning of an array or object -- */

static bool push_eval(struct schema_run *run, const struct eval *e)
{
	if (UNLIKELY(run->eval_count == run->eval_cap) &&
	    !run_reserve(run, (void *)&run->evals, &run->eval_cap, run->eval_count, 1,
			 sizeof(*run->evals), run->limits.max_evaluations, "evaluations"))
		return false;
	assert(run->evals);
	run->evals[run->eval_count++] = *e;
	return true;
}

/* False with the reason reported when the type alone says that the value does not meet it. */
static bool type_fits(struct schema_run *run, const struct schema *schema, bool object,
		      bool quiet)
{
	unsigned bit = object ? SCHEMA_OBJECT : SCHEMA_ARRAY;

	if (LIKELY((schema->types & bit) && !schema->never))
		return true;
	if (quiet)
		return false;
	if (schema->never)
		run_problem(run, run->level_count - 1, schema, "false", SPAN(""));
	else
		run_report_type(run, run->level_count - 1, schema);
	return false;
}

/* Adds evaluations for what the one at `index` applies to the same value; bounded in depth by
   SCHEMA_INPLACE_DEPTH_MAX. */
static bool expand(struct schema_run *run, uint32_t index, bool object)
{
	const struct schema *schema = run->evals[index].schema;

	for (uint32_t i = 0; i < schema->branch_count && !eval_is_dead(&run->evals[index]);
	     i++) {
		const struct schema_branch *branch = &schema->branches[i];
		bool depends = branch->apply == SCHEMA_APPLY_DEPENDENT;
		bool quiet = (run->evals[index].flags & EVAL_QUIET) ||
			     branch->apply != SCHEMA_APPLY_ALL;
		bool fits = type_fits(run, branch->schema, object, quiet);
		struct eval e = {.schema = branch->schema,
				 .branch = branch,
				 .asker = index,
				 .flags = quiet ? EVAL_QUIET : 0,
				 .role = ROLE_BRANCH};

		/* What depends on a property waits for the end; arrays have none. */
		if (depends && !object)
			continue;
		if (!depends && (!fits || branch->schema->always)) {
			run_tell_branch(run, index, branch, fits);
			continue;
		}
		if (!fits)
			e.flags |= EVAL_FAILED;
		if (!push_eval(run, &e))
			return false;
		if (fits && !expand(run, run->eval_count - 1, object))
			return false;
		run->evals[run->eval_count - 1].end = run->eval_count;
	}
	run->evals[index].end = run->eval_count;
	return true;
}

/* A schema that is evaluated here already, in the same way, is not evaluated twice. */
static bool join(struct schema_run *run, const struct level *level, const struct child *child,
		 bool quiet)
{
	assert(run->evals);
	for (uint32_t i = level->first; i < run->eval_count; i = run->evals[i].end) {
		struct eval *e = &run->evals[i];

		if (e->schema != child->schema || (bool)(e->flags & EVAL_QUIET) != quiet)
			continue;
		if (!run_reserve(run, (void *)&run->links, &run->link_cap, run->link_count, 1,
				 sizeof(*run->links), run->limits.max_evaluations,
				 "evaluations"))
			return true;
		run->links[run->link_count] =
			(struct link){child->asker, e->links, child->role};
		e->links = ++run->link_count;
		return true;
	}
	return false;
}

static bool start_top(struct schema_run *run, const struct level *level,
		      const struct child *child, bool object)
{
	const struct eval *asker = child->asker == EVAL_NONE ? NULL : &run->evals[child->asker];
	bool quiet = child->role == ROLE_CONTAINS || child->role == ROLE_UNEVALUATED ||
		     (asker && (asker->flags & EVAL_QUIET));
	struct eval e = {.schema = child->schema,
			 .asker = child->asker,
			 .flags = quiet ? EVAL_QUIET : 0,
			 .role = (uint8_t)child->role};

	if (asker && eval_is_dead(asker))
		return true;
	if (child->schema->always || !type_fits(run, child->schema, object, quiet)) {
		run_tell(run, child->asker, child->role, child->schema->always);
		return !run_ended(run);
	}
	if (run->child_count > 1 && join(run, level, child, quiet))
		return !run_ended(run);
	return push_eval(run, &e) && expand(run, run->eval_count - 1, object);
}

/* Sets of names and of evaluations, empty. */
static bool take_words(struct schema_run *run, struct level *level)
{
	uint32_t need = 0;

	for (uint32_t i = level->first; i < run->eval_count; i++) {
		struct eval *e = &run->evals[i];

		e->words = run->word_count + need;
		if (level->object && e->schema->object)
			need += SCHEMA_WORDS(e->schema->object->names.count);
	}
	if (level->tracks || level->watches) {
		level->track = run->word_count + need;
		level->track_words = SCHEMA_WORDS(level->count);
		need += 3 * level->track_words;
	}
	if (!need)
		return true;
	if (run->word_count + need > run->word_cap &&
	    !run_reserve(run, (void *)&run->words, &run->word_cap, run->word_count, need,
			 sizeof(*run->words), UINT32_MAX, "evaluations"))
		return false;
	memset(run->words + run->word_count, 0, need * sizeof(*run->words));
	run->word_count += need;
	return true;
}

static void look_at_evals(struct schema_run *run, struct level *level)
{
	level->count = run->eval_count - level->first;
	for (uint32_t i = level->first; i < run->eval_count; i++) {
		const struct schema *schema = run->evals[i].schema;

		level->tracks = level->tracks || schema->unevaluated;
		level->hashes = level->hashes || schema->needs_hash;
		if (!level->object && schema->array)
			level->unique = level->unique || schema->array->unique;
	}
	level->watches =
		level->object && level->count && run->options.unknown != SCHEMA_UNKNOWN_ALLOW;
	find_solo(run, level);
}

bool run_add_part(struct schema_run *run, const struct schema *schema, uint32_t asker)
{
	return add_child(run, schema, asker, ROLE_PART);
}

void run_begin(struct schema_run *run, bool object)
{
	if (run_expect(run))
		run_open(run, object);
}

void run_open(struct schema_run *run, bool object)
{
	const struct level *outer;
	struct level *level;

	if (run->level_count >= run->limits.max_depth) {
		run_limit(run, "depth");
		return;
	}
	if (run->level_count == run->level_cap &&
	    !run_reserve(run, (void *)&run->levels, &run->level_cap, run->level_count, 1,
			 sizeof(*run->levels), run->limits.max_depth, "depth"))
		return;
	assert(run->levels);
	level = &run->levels[run->level_count++];
	outer = run->level_count > 1 ? level - 1 : NULL;
	*level = (struct level){.first = run->eval_count,
				.words_before = run->word_count,
				.links_before = run->link_count,
				.records_before = run->record_count,
				.distinct_before = run->distinct.count,
				.keys_before = run->keys.len,
				.object = object,
				.hashes = outer && (outer->hashes || outer->unique),
				.id = run->next_id++,
				.start = run->token_start,
				.previous_end = run->token_end};
	for (uint32_t i = 0; i < run->child_count; i++) {
		struct child child = run->children[i];

		if (!start_top(run, level, &child, object))
			return;
	}
	look_at_evals(run, level);
	take_words(run, level);
}

void run_end(struct schema_run *run)
{
	struct level *level = top_level(run);
	uint64_t hash = 0;

	if (level->hashes)
		hash = schema_hash_container(level->object, level->hash, level->members);
	run_close_evals(run, level, hash);
	if (run_ended(run))
		return;
	if (level->watches)
		run_unknown_settle(run, level);
	run->eval_count = level->first;
	run->word_count = level->words_before;
	run->link_count = level->links_before;
	run->record_count = level->records_before;
	run->keys.len = level->keys_before;
	if (run->distinct.count != level->distinct_before)
		run_distinct_drop(run, level->distinct_before);
	if (level->object)
		run->open_keys -= level->members;
	run->level_count--;
	if (!run_ended(run))
		run_member_done(run, hash);
}
