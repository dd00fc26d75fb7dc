/*
 * transaction.h - a transaction from the inside, for the parts of the engine.
 *
 * Values stand in lists, one a variable (rules.h says which). What transformations make of a value
 * is kept with it: most chains leave most values as they are, so the few different texts of a
 * value are kept once, and each chain has the number of its text.
 */
#ifndef WAF_TRANSACTION_H
#define WAF_TRANSACTION_H

#include "base/buf.h"
#include "waf/body.h"
#include "waf/policy.h"
#include "waf/rules.h"

#define TEXT_UNKNOWN UINT8_MAX
#define TEXTS_MAX 254

struct value_cache {
	uint8_t *ids; /* by chain: index into texts, or TEXT_UNKNOWN */
	struct span *texts; /* [0] is the value as it came */
	uint32_t *classes; /* of each text */
	uint8_t count;
	uint8_t cap;
};

struct value {
	struct span key;
	struct span text;
	struct value_cache *cache; /* NULL: nothing asked yet */
};

struct value_list {
	struct value *at;
	uint32_t count;
	uint32_t cap;
	uint32_t scanned; /* by the prefilter */
};

/* A value in which the prefilter has seen something for a rule. */
struct hit {
	struct hit *next; /* of the same rule, in the order of the values */
	uint32_t list;
	uint32_t index;
};

struct hits {
	struct hit *first;
	struct hit *last;
};

struct tx_value {
	struct span value; /* ptr NULL: not set */
	struct span name; /* as it was written */
};

struct matched {
	uint16_t variable;
	struct span key;
	struct span value;
};

struct removed_target {
	struct removed_target *next;
	const struct selector *selector;
};

struct collection_state {
	bool open; /* initcol has named the key */
	bool loaded;
	struct span key;
	struct value_list values;
};

enum transaction_step {
	STEP_START,
	STEP_REQUEST_HEADERS,
	STEP_REQUEST_BODY,
	STEP_RESPONSE_HEADERS,
	STEP_RESPONSE_BODY,
	STEP_FINISHED,
};

struct waf_transaction {
	struct waf_transaction *next_free;
	struct waf_worker *worker;
	struct waf_policy *policy;
	const struct waf_rules *rules;
	struct arena arena;
	bool failed; /* memory ran out, or a program is silent: nothing it says can be relied upon */
	struct err *why; /* of failed; NULL: it was memory */
	int64_t pattern_left_ns; /* that patterns may still take for long values */
	enum transaction_step step;
	unsigned phase;

	struct value_list *lists; /* rules->list_count */
	uint32_t query_arguments; /* of those in VAR_ARGS */
	uint64_t arguments_size;
	struct tx_value *tx; /* rules->tx_count */
	struct tx_value *tx_more; /* names that rules made */
	uint32_t tx_more_count;
	uint32_t tx_more_cap;
	struct matched *matched;
	uint32_t matched_count;
	uint32_t matched_cap;
	struct collection_state collections[COLLECTION_KINDS];
	struct value_list uploads; /* contents, by the names in FILES_TMPNAMES */
	struct value_list environment; /* by setenv; text.ptr NULL: taken away */

	const uint8_t *removed; /* bits by rule number; NULL: none */
	struct removed_target **removed_targets; /* by rule number; NULL: none */
	bool removed_targets_are_own;

	struct hits *hits; /* by prefilter number; NULL: every rule is tried */

	enum sec_engine engine;
	enum sec_disruptive allow; /* SEC_NOT_DISRUPTIVE, or one of SEC_ALLOW... */
	bool decided;
	struct waf_verdict verdict;
	bool would_decide;
	struct waf_verdict would;
	unsigned status; /* the status action; 200 when none was */
	int highest_severity; /* 255: none yet */
	int score_in;
	int score_out;
	int score_rule; /* of the rule that runs */
	struct matched seen; /* where the rule that runs has matched first */
	struct span piece;

	struct waf_match **matches;
	uint32_t match_count;
	uint32_t match_cap;

	struct span method;
	struct span target;
	struct span content_type;
	struct span processor; /* "JSON"... */
	bool body_wanted;
	bool response_body_wanted;
	struct span whole_response;
	bool has_whole_response;
	size_t body_limit;
	size_t response_limit;
	bool body_cut;
	bool response_cut;
	struct buf body;
	struct buf response_body;
	struct span whole_body;
	bool has_whole_body;
	struct body_xml *xml;
	int64_t started_ns;
	unsigned response_status;

	waf_trace_fn *trace;
	void *trace_context;
};

struct waf_worker {
	struct waf_collections *collections;
	struct regex_scratch *operator_scratch;
	struct waf_transaction *free;
	unsigned free_count;
	struct prefilter_scratch *prefilter_scratch;
	struct operator_match match;
	struct waf_hooks hooks;
};

/* Nothing that it says can be relied upon any more, for this reason (transaction.c). */
void transaction_fail(struct waf_transaction *t, const struct err *err);

/* ---- the request (transaction_body.c) ---------------------------------------------------------- */

void transaction_add_arguments(struct waf_transaction *t, const struct body_pairs *pairs);
/* Lets the body processor that was chosen take the body apart. */
void transaction_read_body(struct waf_transaction *t, struct span body,
			   const struct body_limits *limits);

/* ---- values (value.c) ------------------------------------------------------------------------ */

/* Adds a value; without memory the transaction has failed. */
void value_add(struct waf_transaction *t, uint32_t list, struct span key, struct span text);
/* Replaces all values of the variable by one. */
void value_set(struct waf_transaction *t, enum variable variable, struct span text);
void value_set_number(struct waf_transaction *t, enum variable variable, uint64_t number);
void list_add(struct waf_transaction *t, struct value_list *list, struct span key,
	      struct span text);
/*
 * The value after the chain of transformations. The number of the text tells equal texts of one
 * value apart; NULL or TEXT_UNKNOWN where it does not matter or there are too many.
 */
struct span value_text(struct waf_transaction *t, struct value *value, uint16_t chain,
		       uint8_t *number);
/* A copy in the transaction's memory; no span and failed without memory. */
struct span value_copy(struct waf_transaction *t, struct span text);
struct span value_number(struct waf_transaction *t, int64_t number);

/* ---- variables and macros (resolve.c) --------------------------------------------------------- */

/* A part of a list to look at. */
struct view {
	struct value *at;
	uint32_t count;
};

/* The values among which the selector chooses, its key not looked at yet. */
struct view resolve_view(struct waf_transaction *t, const struct rule *rule,
			 const struct selector *selector);
/* Whether the selector means a value with this key. */
bool selector_accepts(struct waf_transaction *t, const struct selector *selector,
		      struct span key);
/* The text with all macros replaced by the first value of their variables. */
struct span macro_expand(struct waf_transaction *t, const struct rule *rule,
			 const struct macro *macro);
/* "ARGS:name", "REQUEST_URI". */
struct span variable_full_name(struct waf_transaction *t, enum variable variable,
			       struct span key);

/* ---- TX (tx.c) ------------------------------------------------------------------------------- */

struct span tx_get(const struct waf_transaction *t, uint32_t slot, struct span name);
void tx_set(struct waf_transaction *t, uint32_t slot, struct span name, struct span value);
void tx_unset(struct waf_transaction *t, uint32_t slot, struct span name);
/* A name of which it is known that it is not that of a slot. */
void tx_set_more(struct waf_transaction *t, struct span name, struct span value);
/* Those that are set and that a selector of all, or of a pattern, means. */
struct view tx_some(struct waf_transaction *t, const struct selector *selector);

/* ---- actions (action.c) ---------------------------------------------------------------------- */

/* For each match: initcol and its like, then setvar. */
void actions_on_match(struct waf_transaction *t, const struct rule *rule);
/* When the whole chain has matched, for one rule of it: ctl, expirevar, and who blocks. */
void actions_after_match(struct waf_transaction *t, const struct rule *rule);
/* Removes rules, or a variable of rules, from here on. */
void remove_rules(struct waf_transaction *t, const struct step *step);
void remove_targets(struct waf_transaction *t, const struct step *step);

/* ---- the world outside (outside.c) ------------------------------------------------------------- */

/*
 * Whether the rule, of rbl or inspectFile, matches the value; the worker's match is filled in. *note
 * stays, or says why it does not.
 */
bool outside_test(struct waf_transaction *t, const struct rule *rule,
		  const struct selector *selector, struct span text, const char **note);
/* Whether setenv has set this variable, or taken it away. */
bool outside_has_variable(const struct waf_transaction *t, struct span name);
/* exec */
void outside_execute(struct waf_transaction *t, const struct rule *rule,
		     const struct step *step);
/* setenv */
void outside_set_environment(struct waf_transaction *t, const struct rule *rule,
			     const struct step *step);

/* ---- operators (resolve.c) ---------------------------------------------------------------------- */

/*
 * operator_match() with what the worker has for it. Where rules block, a transaction has failed when
 * its patterns have taken too long: what could not look must not pass for what has found nothing.
 */
bool operator_evaluate(struct waf_transaction *t, const struct operator* op,
		       struct span parameter, struct span value, struct operator_match *match);

/* ---- events (match.c) ------------------------------------------------------------------------ */

void match_add(struct waf_transaction *t, const struct rule *rule);

/* ---- the engine (engine.c) ------------------------------------------------------------------- */

/* Runs the rules of a phase. */
void engine_run(struct waf_transaction *t, unsigned phase);

/* ---- the prefilter (prefilter_scan.c) --------------------------------------------------------- */

/* Looks at all values that rules of this phase look at and that it has not seen. */
void prefilter_scan(struct waf_transaction *t, unsigned phase);
void prefilter_scratch_free(struct prefilter_scratch *scratch);

#endif
