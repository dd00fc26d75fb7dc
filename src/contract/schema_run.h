/*
 * schema_run.h - the state of a check; for the files of the engine only.
 *
 * Each open array or object is a level. At a level, an evaluation is one schema applied to that
 * array or object: first the ones that its surroundings ask for (properties, items ...; "top"), each
 * followed by those that it applies to the same value in turn (allOf, oneOf, $ref ...), in the
 * order of a depth-first walk, so that an evaluation and all below it are neighbours. When the
 * container ends, evaluations are closed from the last to the first, and each tells its result to
 * the one that asked for it.
 *
 * An evaluation is quiet when its failure may be in order (a branch of anyOf, what `not` holds);
 * others report problems at once. A quiet one that fails is dead, with all below it: nothing of it
 * is looked at any more.
 *
 * Scalars have no level: they are checked by recursion where they stand.
 */
#ifndef CONTRACT_SCHEMA_RUN_H
#define CONTRACT_SCHEMA_RUN_H

#include "contract/schema_fast_seen.h"
#include "contract/schema_program.h"

#define EVAL_NONE UINT32_MAX

enum eval_flag {
	EVAL_QUIET = 1,
	EVAL_FAILED = 2, /* quiet and failed: dead */
	EVAL_ANY = 4, /* a branch of anyOf is met */
	EVAL_IF = 8, /* `if` is met */
	EVAL_THEN_FAILED = 16,
	EVAL_ELSE_FAILED = 32,
	EVAL_NOT = 64, /* the schema of `not` is met */
};

/* What an evaluation's result means to the one that asked for it. */
enum eval_role {
	ROLE_ROOT,
	ROLE_PART, /* a property, an item: must be met */
	ROLE_CONTAINS,
	ROLE_UNEVALUATED,
	ROLE_BRANCH, /* applied to the same value; `branch` tells how */
};

struct eval {
	const struct schema *schema;
	const struct schema_branch *branch; /* of the schema of `asker` */
	uint32_t
		asker; /* at the same level for branches, else at the one around; or EVAL_NONE */
	uint32_t links; /* further askers: index in links, plus 1 */
	uint32_t end; /* after those below it */
	uint32_t words; /* which names were seen: index in words */
	uint32_t likely; /* the name that may come next */
	uint32_t contained; /* items that met `contains` */
	uint32_t one; /* branches of oneOf that are met */
	uint8_t flags;
	uint8_t role;
};

/* A further asker of an evaluation. */
struct link {
	uint32_t asker;
	uint32_t next; /* plus 1 */
	enum eval_role role;
};

/* A schema that the value that comes next must be checked against. */
struct child {
	const struct schema *schema;
	uint32_t asker;
	enum eval_role role;
};

struct level {
	uint32_t first; /* evaluations */
	uint32_t count;
	/* How much of each stack there was before. */
	uint32_t words_before;
	uint32_t links_before;
	uint32_t records_before;
	uint32_t distinct_before;
	size_t keys_before;
	/*
	 * With `track`: three sets of evaluations in words, one after the other, each of
	 * `track_words`: which ones have evaluated the member that is being read, whose
	 * unevaluated* refuses it, and which ones know it (SCHEMA_UNKNOWN_STRIP).
	 */
	uint32_t track;
	uint32_t track_words;
	bool object;
	bool tracks; /* some schema here has unevaluated* */
	bool watches; /* unknown properties are looked for */
	bool hashes; /* the value's hash is needed */
	bool unique;
	bool repeated; /* two items are equal */
	/* The only live evaluation that asks anything of members, if it is simple: schema_scan.h. */
	uint32_t solo;
	bool plain; /* and it is the only one at all, so that the level may end simply too */
	uint64_t members; /* begun */
	struct span key; /* of the member that is being read */
	uint64_t key_hash;
	uint64_t hash;
	uint64_t id; /* keeps what `distinct` holds apart */
	/* Offsets. */
	uint64_t start;
	uint64_t key_start;
	uint64_t previous_end; /* of the member before, or of the bracket */
	uint32_t unknown; /* record of the current member, plus 1 */
	uint32_t unknown_before; /* record of the member before, plus 1 */
	uint32_t pending; /* records that are not settled, plus 1 */
};

enum unknown_state { UNKNOWN_PENDING, UNKNOWN_NO, UNKNOWN_YES };

/* A property that may be unknown. */
struct unknown {
	uint64_t object_start;
	uint64_t index; /* of the member */
	uint64_t key_start;
	uint64_t end;
	uint64_t previous_end;
	uint64_t next_start; /* of the next key; 0 when there is none */
	/* Evaluations of the level it hangs on, relative; the last bit stands for all others. */
	uint64_t known;
	uint64_t says; /* which ones name properties at all */
	bool says_for_certain;
	enum unknown_state state;
	uint32_t next; /* of the level's pending ones, plus 1 */
	uint32_t pointer; /* in text, for problems */
	uint32_t pointer_len;
};

/* The spans of problems as offsets, because text moves while it grows. */
struct problem {
	struct span keyword;
	struct span schema;
	uint32_t instance;
	uint32_t instance_len;
	uint32_t detail;
	uint32_t detail_len;
	uint64_t offset;
};

/* A set of hashes, to which is added and from which the latest are removed. */
struct distinct {
	uint64_t *slots; /* 0: free */
	uint32_t size; /* 0 or a power of two */
	uint64_t *entries; /* in order of adding */
	uint32_t count;
	uint32_t cap;
};

struct scalar {
	enum json_type type;
	unsigned bit; /* enum schema_type */
	struct span text; /* of strings and numbers */
	bool boolean;
	bool is_small; /* a number with the value `small` */
	bool has_decimal;
	bool has_hash;
	int64_t small;
	struct decimal decimal;
	uint64_t hash;
};

/* Where run_fast() did not know, in this piece: a table of which later entries displace earlier. */
#define FAST_FAILED 32

/* Guesses of which name comes next; any number may stand there. */
#define FAST_AFTER 64

/* What run_fast() keeps. */
struct fast_memory {
	const char *failed[FAST_FAILED];
	bool any_failed;
	unsigned penalty; /* grows while it is of no use ... */
	unsigned skip; /* ... so many values are left to the general functions */
	struct fast_seen seen; /* of all that is open */
	uint64_t unique; /* how many of them are items */
	uint32_t after[FAST_AFTER];
	struct buf text; /* a string with escapes, decoded */
};

struct schema_run {
	struct schema_run_limits limits;
	struct schema_run_options options;
	const struct schema *root;
	enum schema_result result;
	bool failed; /* some problem was found */
	bool truncated;
	bool root_read;
	bool died; /* some evaluation, since levels were looked at for a solo */
	const char *limit;
	enum json_error json_error;
	uint64_t error_offset;
	uint64_t steps;
	uint64_t next_id;
	uint64_t open_keys;
	/* Of the token that is being looked at. */
	uint64_t token_start;
	uint64_t token_end;

	struct eval *evals;
	uint32_t eval_count;
	uint32_t eval_cap;
	struct level *levels;
	uint32_t level_count;
	uint32_t level_cap;
	struct child *children;
	uint32_t child_count;
	uint32_t child_cap;
	struct link *links;
	uint32_t link_count;
	uint32_t link_cap;
	uint64_t *words;
	uint32_t word_count;
	uint32_t word_cap;
	/* What unevaluated* refuses unless branches hold: an evaluation, then a set of them. */
	uint64_t *records;
	uint32_t record_count;
	uint32_t record_cap;
	struct unknown *unknowns;
	uint32_t unknown_count;
	uint32_t unknown_cap;
	struct problem *problems;
	uint32_t problem_count;
	uint32_t problem_cap;
	struct schema_problem *told;
	uint32_t told_cap;
	struct schema_cut *cuts;
	uint32_t cut_cap;
	struct distinct distinct;
	struct buf keys; /* of open objects, where no schema has the same bytes */
	struct buf text; /* of problems */
	struct buf scratch;
	struct ecma_matcher *matcher;
	bool shares_pattern_time; /* with the checks before */
	bool tokens_used;
	struct json_tokens tokens;
	struct fast_memory fast;
};

/* All that end the check return false, so that `return run_limit(...)` reads well. */
bool run_limit(struct schema_run *run, const char *limit);
bool run_no_memory(struct schema_run *run);
bool run_malformed(struct schema_run *run, enum json_error error, uint64_t offset);
/* Room for `more` items. `max` items at most, or it is the limit of that name. */
bool run_reserve(struct schema_run *run, void *items_ptr, uint32_t *cap, uint32_t count,
		 uint32_t more, size_t item_size, uint64_t max, const char *limit);
/*
 * Tells a problem of the value that is being read, or, with `depth`, of the innermost container but
 * with so many levels of path; RUN_HERE is all.
 */
#define RUN_HERE UINT32_MAX
void run_problem(struct schema_run *run, uint32_t depth, const struct schema *schema,
		 const char *keyword, struct span detail);
void run_problem_count(struct schema_run *run, uint32_t depth, const struct schema *schema,
		       const char *keyword, const char *words, uint64_t count);
/* The pointer of the member that is being read, into text. */
bool run_pointer(struct schema_run *run, uint32_t depth, uint32_t *start, uint32_t *len);

/* schema_scalar.c: true when the value meets the schema; reports unless quiet. */
bool run_check_scalar(struct schema_run *run, const struct schema *schema, struct scalar *s,
		      bool quiet);
bool schema_length_fits(const struct schema_string *string, struct span text);
void scalar_number(struct scalar *s, struct span text);
uint64_t scalar_hash(struct scalar *s);
void run_report_type(struct schema_run *run, uint32_t depth, const struct schema *schema);

/* schema_level.c: the events of one value. */
void run_key(struct schema_run *run, struct span key);
void run_scalar(struct schema_run *run, struct scalar *s);
void run_begin(struct schema_run *run, bool object);
void run_end(struct schema_run *run);
/* The second half of run_begin(): the children are there. */
void run_open(struct schema_run *run, bool object);
/* One more child. */
bool run_add_part(struct schema_run *run, const struct schema *schema, uint32_t asker);
/* Sets `children` for the value that comes next; keys have done so for members. */
bool run_expect(struct schema_run *run);
/* The value is over; `hash` counts where the level hashes or wants items to differ. */
void run_member_done(struct schema_run *run, uint64_t hash);

/* schema_close.c: the end of a level. */
void run_close_evals(struct schema_run *run, struct level *level, uint64_t hash);
/* Tells `met` to the evaluation that asked. */
void run_tell(struct schema_run *run, uint32_t asker, enum eval_role role, bool met);
/* The evaluation fails; quiet ones die. */
void run_eval_failed(struct schema_run *run, uint32_t index);
/* Tells the result of a branch to the evaluation that has it. */
void run_tell_branch(struct schema_run *run, uint32_t index, const struct schema_branch *branch,
		     bool met);

/* schema_unknown.c */
/* The member at hand: decides at once, or leaves a record. */
void run_unknown_member(struct schema_run *run, struct level *level);
/* At the end of a level, when results are known and before it goes. */
void run_unknown_settle(struct schema_run *run, struct level *level);

/* schema_distinct.c: false when the hash is there already, or the check has ended. */
bool run_distinct_add(struct schema_run *run, uint64_t hash, uint64_t max, const char *limit);
void run_distinct_drop(struct schema_run *run, uint32_t count);

static inline bool run_ended(const struct schema_run *run)
{
	return run->result != SCHEMA_MORE;
}

/* Quiet and failed: nothing of it is looked at any more. */
static inline bool eval_is_dead(const struct eval *e)
{
	return (e->flags & (EVAL_QUIET | EVAL_FAILED)) == (EVAL_QUIET | EVAL_FAILED);
}

static inline bool word_bit(const uint64_t *set, uint32_t bit)
{
	return set[bit / 64] >> (bit % 64) & 1;
}

/* Whether what a branch says counts for the one that has it: `e` is met, and applies. */
static inline bool run_branch_holds(const struct schema_run *run, const struct eval *e)
{
	const struct eval *asker = &run->evals[e->asker];
	bool condition = asker->flags & EVAL_IF;

	if (e->flags & EVAL_FAILED)
		return false;
	switch (e->branch->apply) {
	case SCHEMA_APPLY_NOT: return false;
	case SCHEMA_APPLY_THEN: return condition;
	case SCHEMA_APPLY_ELSE: return !condition;
	case SCHEMA_APPLY_DEPENDENT:
		return word_bit(run->words + asker->words, e->branch->name);
	case SCHEMA_APPLY_ALL:
	case SCHEMA_APPLY_ANY:
	case SCHEMA_APPLY_ONE:
	case SCHEMA_APPLY_IF: break;
	}
	return true;
}

static inline void word_set(uint64_t *set, uint32_t bit)
{
	set[bit / 64] |= UINT64_C(1) << (bit % 64);
}

#endif
