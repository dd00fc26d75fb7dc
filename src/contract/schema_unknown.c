/* Properties that are not in the contract: see SCHEMA_UNKNOWN_STRIP in schema.h. */
#include "base/mem.h"
#include "contract/schema_run.h"

/* Evaluations from here on share the last bit. */
#define LAST_BIT 63

static uint64_t bit_of(uint32_t relative)
{
	return UINT64_C(1) << (relative < LAST_BIT ? relative : LAST_BIT);
}

/* What an evaluation may say of names, by what it is for. */
enum say { SAY_NOTHING, SAY_KNOWN, SAY_ALL };

static enum say may_say(const struct schema_run *run, uint32_t index)
{
	enum say say = SAY_ALL;
	const struct eval *e = &run->evals[index];

	for (; e->role == ROLE_BRANCH; e = &run->evals[e->asker]) {
		if (e->branch->apply == SCHEMA_APPLY_NOT)
			return SAY_NOTHING;
		/* A condition looks at some of the properties only. */
		if (e->branch->apply == SCHEMA_APPLY_IF)
			say = SAY_KNOWN;
	}
	return e->role == ROLE_CONTAINS ? SAY_NOTHING : say;
}

static void report(struct schema_run *run, const struct level *level)
{
	const struct schema *schema = run->evals[level->first].schema;

	for (uint32_t i = level->first; i < level->first + level->count; i++)
		if (!(run->evals[i].flags & EVAL_QUIET) && run->evals[i].schema->object &&
		    run->evals[i].schema->object->says_names) {
			schema = run->evals[i].schema;
			break;
		}
	run_problem(run, RUN_HERE, schema, "unknownProperty", SPAN(""));
}

static struct unknown *add_record(struct schema_run *run, struct level *level)
{
	struct unknown *u;

	if (!run_reserve(run, (void *)&run->unknowns, &run->unknown_cap, run->unknown_count, 1,
			 sizeof(*u), run->limits.max_unknown, "unknown") ||
	    !run_reserve(run, (void *)&run->cuts, &run->cut_cap, run->unknown_count, 1,
			 sizeof(*run->cuts), run->limits.max_unknown, "unknown"))
		return NULL;
	u = &run->unknowns[run->unknown_count++];
	*u = (struct unknown){.object_start = level->start,
			      .index = level->members - 1,
			      .key_start = level->key_start,
			      .end = run->token_end,
			      .previous_end = level->previous_end,
			      .state = UNKNOWN_YES};
	level->unknown = run->unknown_count;
	return u;
}

static void wait_for_branches(struct schema_run *run, struct level *level, uint64_t known,
			      uint64_t says, bool says_for_certain)
{
	struct unknown *u = add_record(run, level);

	if (!u)
		return;
	u->state = UNKNOWN_PENDING;
	u->known = known;
	u->says = says;
	u->says_for_certain = says_for_certain;
	u->next = level->pending;
	level->pending = run->unknown_count;
	if (run->options.unknown == SCHEMA_UNKNOWN_REFUSE)
		run_pointer(run, RUN_HERE, &u->pointer, &u->pointer_len);
}

void run_unknown_member(struct schema_run *run, struct level *level)
{
	const uint64_t *known_set = run->words + level->track + 2 * level->track_words;
	uint64_t known = 0;
	uint64_t says = 0;
	bool certain = false;

	for (uint32_t i = level->first; i < level->first + level->count; i++) {
		const struct eval *e = &run->evals[i];
		bool knows = word_bit(known_set, i - level->first);
		bool names = e->schema->object && e->schema->object->says_names;
		enum say say;

		if (!(e->flags & EVAL_QUIET)) {
			if (knows)
				return;
			certain = certain || names;
			continue;
		}
		if (e->flags & EVAL_FAILED)
			continue;
		say = may_say(run, i);
		if (knows && say != SAY_NOTHING)
			known |= bit_of(i - level->first);
		if (names && say == SAY_ALL)
			says |= bit_of(i - level->first);
	}
	if (!known && !says && !certain)
		return;
	if (known || !certain)
		wait_for_branches(run, level, known, says, certain);
	else if (run->options.unknown == SCHEMA_UNKNOWN_REFUSE)
		report(run, level);
	else
		add_record(run, level);
}

/* -- when results are known -- */

/* What an evaluation that holds up to the top of its level means further out. */
struct outward {
	uint64_t bits; /* of the level around */
	bool certain;
};

static bool holds(const struct schema_run *run, uint32_t index, uint32_t *top)
{
	const struct eval *e = &run->evals[index];

	while (e->role == ROLE_BRANCH) {
		if (!run_branch_holds(run, e))
			return false;
		index = e->asker;
		e = &run->evals[index];
	}
	*top = index;
	return !(e->flags & EVAL_FAILED) || !(e->flags & EVAL_QUIET);
}

static struct outward outward_of(const struct schema_run *run, const struct level *level,
				 uint32_t index)
{
	struct outward out = {0, false};
	uint32_t top_index;
	const struct eval *top;

	if (!holds(run, index, &top_index))
		return out;
	top = &run->evals[top_index];
	out.certain = !(top->flags & EVAL_QUIET);
	if (out.certain || run->level_count < 2)
		return out;
	out.bits = bit_of(top->asker - level[-1].first);
	for (uint32_t link = top->links; link; link = run->links[link - 1].next)
		out.bits |= bit_of(run->links[link - 1].asker - level[-1].first);
	return out;
}

static void report_late(struct schema_run *run, const struct level *level,
			const struct unknown *u)
{
	struct problem *last;
	uint32_t before = run->problem_count;

	run_problem(run, run->level_count - 1, run->evals[level->first].schema,
		    "unknownProperty", SPAN(""));
	if (run->problem_count == before)
		return;
	last = &run->problems[run->problem_count - 1];
	last->instance = u->pointer;
	last->instance_len = u->pointer_len;
	last->offset = u->key_start;
}

/* Decides, or hangs the record on the level around. */
static void settle(struct schema_run *run, struct level *level, uint32_t record)
{
	struct unknown *u = &run->unknowns[record - 1];
	uint64_t known = 0;
	uint64_t says = 0;

	for (uint32_t i = 0; i < level->count; i++) {
		struct outward out;

		if (!((u->known | u->says) & bit_of(i)))
			continue;
		out = outward_of(run, level, level->first + i);
		if (u->known & bit_of(i)) {
			if (out.certain) {
				u->state = UNKNOWN_NO;
				return;
			}
			known |= out.bits;
		}
		if (u->says & bit_of(i)) {
			u->says_for_certain = u->says_for_certain || out.certain;
			says |= out.bits;
		}
	}
	if (!known && (u->says_for_certain || !says)) {
		u->state = u->says_for_certain ? UNKNOWN_YES : UNKNOWN_NO;
		if (u->state == UNKNOWN_YES && run->options.unknown == SCHEMA_UNKNOWN_REFUSE)
			report_late(run, level, u);
		return;
	}
	u->known = known;
	u->says = says;
	u->next = level[-1].pending;
	level[-1].pending = record;
}

void run_unknown_settle(struct schema_run *run, struct level *level)
{
	uint32_t record = level->pending;

	while (record && !run_ended(run)) {
		uint32_t next = run->unknowns[record - 1].next;

		settle(run, level, record);
		record = next;
	}
}

/* -- cuts -- */

static int by_object(const void *left, const void *right)
{
	const struct unknown *a = left;
	const struct unknown *b = right;

	if (a->object_start != b->object_start)
		return a->object_start < b->object_start ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static int by_start(const void *left, const void *right)
{
	const struct schema_cut *a = left;
	const struct schema_cut *b = right;

	return a->start < b->start ? -1 : a->start > b->start;
}

size_t schema_run_cuts(struct schema_run *run, const struct schema_cut **cuts)
{
	uint32_t count = 0;
	uint32_t kept = 0;
	uint32_t before = 0; /* cut of the same object so far */

	*cuts = run->cuts;
	if (run->result != SCHEMA_VALID || !run->unknown_count)
		return 0;
	qsort(run->unknowns, run->unknown_count, sizeof(*run->unknowns), by_object);
	for (uint32_t i = 0; i < run->unknown_count; i++) {
		const struct unknown *u = &run->unknowns[i];
		struct schema_cut *cut = &run->cuts[count];

		if (i && u->object_start != run->unknowns[i - 1].object_start)
			before = 0;
		if (u->state != UNKNOWN_YES)
			continue;
		/* With the comma before it, or, when nothing before is left, the one after it. */
		if (u->index > before)
			*cut = (struct schema_cut){u->previous_end, u->end};
		else
			*cut = (struct schema_cut){u->key_start,
						   u->next_start ? u->next_start : u->end};
		before++;
		count++;
	}
	qsort(run->cuts, count, sizeof(*run->cuts), by_start);
	/* What lies in one that is cut is cut already; what touches becomes one. */
	for (uint32_t i = 0; i < count; i++) {
		struct schema_cut cut = run->cuts[i];

		if (kept && cut.start <= run->cuts[kept - 1].end) {
			if (cut.end > run->cuts[kept - 1].end)
				run->cuts[kept - 1].end = cut.end;
			continue;
		}
		run->cuts[kept++] = cut;
	}
	return kept;
}
