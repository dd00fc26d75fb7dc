/*
 * compile.h - from a document to rules: inside of the compiler only. The steps: changes
 * (SecRuleRemove..., SecRuleUpdate...), folding of what is constant, and then rule by rule.
 */
#ifndef WAF_COMPILE_H
#define WAF_COMPILE_H

#include "base/map.h"
#include "waf/rules.h"

struct compiler {
	struct waf_rules *rules;
	const struct waf_sources *sources;
	struct err *err;
	struct map tx_slots; /* lower-case name -> slot + 1 */
	uint32_t tx_cap;
	/* The rules that are left, in the order of the document; markers too. */
	struct sec_rule **items;
	size_t item_count;
};

/* Links in one chain. */
#define CHAIN_LINKS_MAX 64

/* The slot of a variable of TX, a new one when there is none; TX_NO_SLOT without memory. */
uint32_t compile_tx_slot(struct compiler *c, struct span name);
/*
 * Takes a text with %{...} apart. `loose`: what is not a variable stays as text, as in patterns;
 * else it is an error.
 */
int compile_macro(struct compiler *c, struct span text, bool loose, struct macro *macro);
int compile_selector(struct compiler *c, const struct sec_target *target,
		     struct selector *selector);
/* Keeps the operator to be freed with the rules; frees it when memory is short. */
int compile_keep_operator(struct compiler *c, struct operator* op);
/*
 * The number of the program that a rule of this file names, which must be one that may be run.
 */
int compile_program(struct compiler *c, struct span file, struct span name, uint32_t *number,
		    struct err *err);
/* What operators are compiled with, for a rule of this file. */
struct operator* compile_operator(struct compiler *c, const struct operator_text *text,
				  bool dynamic, struct span file, struct err *err);
/* The actions of SecDefaultAction merged into those of rules, and changes applied. */
int compile_changes(struct compiler *c);
/*
 * Drops rules that cannot match, and those whose effect is the same for every transaction; the
 * latter become initial values of TX.
 */
int compile_fold(struct compiler *c);
/* The transformations of a rule, with those of SecDefaultAction. */
size_t compile_transforms(const struct compiler *c, const struct sec_rule *rule, unsigned phase,
			  enum transform to[2 * SEC_TRANSFORMS_MAX]);
unsigned compile_phase(const struct sec_rule *first);
/* All: the document of `rules` becomes its rules. */
int compile_rules(struct waf_rules *rules, const struct waf_sources *sources, struct err *err);
/* err with FILE:LINE before it. Returns -1. */
int compile_error(struct compiler *c, struct sec_place place);

#endif
