/*
 * prefilter_internal.h - how the prefilter is laid out; for its own files.
 *
 * A group is the rules that look at one kind of value: those of a list, or those of a list and of
 * one key in it (the field Referer). Groups with much the same rules share a database; the bits of
 * the group say which of its answers count.
 */
#ifndef WAF_PREFILTER_INTERNAL_H
#define WAF_PREFILTER_INTERNAL_H

#include <hs.h>

#include "base/buf.h"
#include "waf/prefilter.h"

#define NO_GROUP UINT16_MAX

/* A pattern in the syntax of Hyperscan, for the rule whose number is the id. */
struct prefilter_pattern {
	uint32_t rule;
	struct span text; /* NUL-terminated */
	unsigned flags;
	bool nullable; /* matches an empty value */
};

struct prefilter_rule {
	const struct rule *rule;
	uint32_t pattern_count;
	bool nullable;
	bool direct; /* its operator is asked for each text, in place of patterns */
};

struct prefilter_group {
	uint8_t *rules; /* bits by number */
	uint32_t rule_count;
	uint32_t database;
	uint16_t *chains; /* of its rules, all steps of multiMatch too; ascending */
	uint16_t chain_count;
	uint32_t *nullable; /* numbers of rules that match an empty value */
	uint32_t nullable_count;
	uint32_t *direct; /* numbers of rules that are direct */
	uint32_t direct_count;
};

struct prefilter_key {
	struct span key;
	uint16_t group;
};

struct prefilter_list {
	uint16_t list;
	uint16_t group; /* of values whose key is none of the keys; or NO_GROUP */
	uint8_t phases; /* bits: rules of which phases look at it */
	struct prefilter_key *keys;
	uint32_t key_count;
};

struct prefilter_database {
	hs_database_t *database; /* NULL: its rules are all direct */
	uint8_t *rules; /* bits */
	uint32_t rule_count;
};

struct prefilter {
	uint64_t serial; /* of this process: scratch space is made once for each */
	struct arena arena;
	struct prefilter_rule *rules;
	uint32_t rule_count;
	struct prefilter_pattern *patterns;
	uint32_t pattern_count;
	uint32_t pattern_cap;
	/*
	 * What Hyperscan says to each expression of the rules, in their order, as letters; asking
	 * it takes longer than all else at a start, so the answers are kept in the cache.
	 */
	struct buf answers;
	size_t answers_used; /* of those that were read from the cache */
	struct prefilter_list *lists;
	uint32_t list_count;
	struct prefilter_group *groups;
	uint32_t group_count;
	struct prefilter_database *databases;
	uint32_t database_count;
};

static inline bool bit_get(const uint8_t *bits, uint32_t i)
{
	return bits[i / 8] >> (i % 8) & 1;
}

static inline void bit_set(uint8_t *bits, uint32_t i)
{
	bits[i / 8] |= (uint8_t)(1 << (i % 8));
}

/* ---- patterns (prefilter_pattern.c) ------------------------------------------------------------ */

/* Hyperscan's answers. */
#define ANSWER_EXACT 'e'
#define ANSWER_EXACT_NULLABLE 'E' /* matches nothing at all, too */
#define ANSWER_ROUGH 'r' /* with HS_FLAG_PREFILTER */
#define ANSWER_ROUGH_NULLABLE 'R'
#define ANSWER_NO 'n'

/*
 * Adds the patterns of the rule under this number. 1, or 0 when Hyperscan cannot speak for the
 * rule, -1 without memory.
 */
int prefilter_add_patterns(struct prefilter *p, const struct rule *rule, uint32_t number);

/* ---- databases (prefilter_database.c) ---------------------------------------------------------- */

/* The answers for these rules, from the cache if they are there. */
void prefilter_answers_read(struct prefilter *p, const struct waf_rules *rules,
			    const struct waf_sources *sources);
void prefilter_answers_write(struct prefilter *p, const struct waf_rules *rules,
			     const struct waf_sources *sources);
/* Compiles the patterns of the database's rules, or takes them from the cache. */
int prefilter_compile(struct prefilter *p, struct prefilter_database *to,
		      const struct waf_sources *sources, struct waf_rules_info *info,
		      struct err *err);

#endif
