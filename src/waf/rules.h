/*
 * rules.h - rules as compiled: what the engine walks through. Immutable once built; everything
 * lies in the arena of the rules or of the document they were read from.
 */
#ifndef WAF_RULES_H
#define WAF_RULES_H

#include <stdatomic.h>

#include "waf/collection.h"
#include "waf/seclang.h"
#include "waf/waf.h"

/* ---- TX -------------------------------------------------------------------------------------- */

/*
 * Variables of TX whose names stand in the rules have slots; slots 0 to 9 are the captures. Names
 * that are made while rules run are kept beside.
 */
#define TX_CAPTURES 10
#define TX_NO_SLOT UINT32_MAX

/* ---- macros ---------------------------------------------------------------------------------- */

struct macro_piece {
	enum variable variable; /* VAR_NONE: the text */
	struct span text;
	struct span key; /* of a collection; lower case for TX */
	uint32_t tx; /* the slot, when variable is VAR_TX */
};

/* "%{tx.score} points": pieces that are joined. One piece of text: constant. */
struct macro {
	const struct macro_piece *pieces;
	uint32_t count;
};

static inline bool macro_is_constant(const struct macro *m)
{
	return m->count == 0 || (m->count == 1 && m->pieces[0].variable == VAR_NONE);
}

static inline struct span macro_text(const struct macro *m)
{
	return m->count == 0 ? SPAN("") : m->pieces[0].text;
}

/* ---- transformation chains ------------------------------------------------------------------- */

/* A chain is a node of a tree: the chain of its parent, and one transformation more. 0 is none. */
struct chain {
	uint16_t parent; /* smaller than the own number */
	uint8_t transform; /* enum transform */
	uint8_t length;
};

#define CHAINS_MAX 4096

/* ---- rules ----------------------------------------------------------------------------------- */

/*
 * Values are found in lists: a variable has the list of its number, but the parts of ARGS share
 * its list (arguments of the query come first), and each XPath expression has one of its own
 * after those of the variables.
 */
enum pattern_kind {
	PATTERN_ANY, /* asks the operator */
	PATTERN_PREFIX, /* /^literal/ */
	PATTERN_SUBSTRING, /* /literal/ */
};

struct selector {
	uint16_t variable; /* enum variable */
	uint16_t list;
	uint8_t select; /* enum sec_select */
	bool count;
	uint32_t tx; /* the slot of TX:key */
	struct span key;
	struct operator* pattern; /* of SEC_PATTERN */
	/* Most patterns are plain text, which is compared faster. */
	enum pattern_kind pattern_kind;
	struct span literal; /* lower case */
	/* Of patterns on TX: the slots whose names match; other names are asked. */
	const uint32_t *tx_slots;
	uint32_t tx_slot_count;
};

struct setvar {
	uint16_t variable;
	uint8_t operation; /* enum sec_operation */
	bool never_slot; /* the name is made at run time and starts as no slot's name does */
	bool score; /* adds to an anomaly score of the Core Rule Set */
	bool outbound; /* to that of responses */
	uint32_t tx; /* the slot, when the name is constant */
	struct macro name;
	struct macro value;
};

struct step {
	uint8_t kind; /* enum sec_step_kind */
	uint32_t first;
	uint32_t last;
	uint64_t value;
	struct span tag; /* or message */
	struct macro text;
	struct macro name; /* of expirevar */
	struct selector target;
};

#define NO_PREFILTER UINT32_MAX
#define NO_SKIP UINT32_MAX

struct rule {
	uint32_t id; /* of links: that of the first */
	uint32_t number; /* of firsts: counts all that are active */
	uint32_t prefilter; /* the number by which the prefilter knows it, or NO_PREFILTER */
	uint8_t phase;
	bool unconditional; /* SecAction */
	bool capture;
	bool multi_match;
	bool log;
	bool observe; /* reports, and never blocks */
	bool special; /* its operator looks at the document, or asks outside, not at values alone */
	uint16_t chain;
	uint16_t selector_count;
	uint16_t exclusion_count;
	uint16_t setvar_count;
	uint16_t step_count;
	const struct selector *selectors;
	const struct selector *exclusions;
	struct operator* op;
	const struct macro *parameter; /* NULL unless it has macros */
	const struct rule *link; /* of the chain */
	const struct rule *first; /* of the chain */
	const struct setvar *setvars;
	const struct step *steps;
	uint8_t disruptive; /* enum sec_disruptive, block resolved */
	uint16_t status; /* 0: none given */
	struct macro redirect;
	uint32_t skip; /* rules to skip after a match */
	uint32_t skip_to; /* index in the phase to go on at, or NO_SKIP */
	int16_t severity; /* -1: none given */
	bool has_message;
	bool has_data;
	struct macro message;
	struct macro data;
	const struct span *tags;
	size_t tag_count;
	struct span rev;
	struct span ver;
	struct span source_message; /* msg: as written, for removals by message */
	struct sec_place place;
};

struct phase_rules {
	const struct rule **at;
	uint32_t count;
};

/* A variable of TX that is set before the first rule runs. */
struct tx_initial {
	uint32_t slot;
	struct span value;
};

struct prefilter;

struct waf_rules {
	atomic_uint references;
	struct sec_document document;
	struct arena arena;
	struct phase_rules phases[SEC_PHASES + 1];
	uint32_t number_count; /* rules in all phases, links not counted */
	struct chain *chains;
	uint32_t chain_count;
	struct span *tx_names; /* by slot, as first written */
	uint32_t tx_count;
	struct tx_initial *tx_initial;
	size_t tx_initial_count;
	struct span *xpaths; /* NUL-terminated */
	uint32_t xpath_count;
	uint32_t list_count; /* VAR_COUNT + xpath_count */
	const struct sec_xmlns *xmlns;
	size_t xmlns_count;
	bool uses[VAR_COUNT]; /* some rule looks at it */
	bool wants_response; /* rules of phases 3 to 5 look at responses */
	bool wants_response_body;
	struct unicode_map *unicode_map;
	struct libinjection *libinjection;
	struct geo_db *geo; /* SecGeoLookupDb; NULL: none is needed */
	struct operator** operators; /* all, to free */
	size_t operator_count;
	size_t operator_cap;
	struct prefilter *prefilter; /* NULL: none */
	struct waf_rules_info info;
	/* Slots that policies and events look at; TX_NO_SLOT when no rule names them. */
	uint32_t tx_inbound_threshold;
	uint32_t tx_outbound_threshold;
};

/* The list of a variable's values. */
uint16_t variable_list(enum variable variable);
/* The slot of a name (any case), or TX_NO_SLOT. */
uint32_t rules_tx_slot(const struct waf_rules *rules, struct span name);

/* Finds out whether the key of a SEC_PATTERN is plain text. -1 without memory. */
int selector_simplify(struct arena *arena, struct selector *selector);

#endif
