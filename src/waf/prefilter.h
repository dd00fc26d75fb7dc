/*
 * prefilter.h - which rules may match a value, found for all rules at once by multi-pattern
 * databases (Hyperscan). It only ever answers "may": the engine asks the rule's own operator
 * afterwards. Rules that it cannot speak for (negated, of numbers, of variables that rules set)
 * have no number here and are always tried.
 */
#ifndef WAF_PREFILTER_H
#define WAF_PREFILTER_H

#include "waf/rules.h"

/* What a thread needs to scan. */
struct prefilter_scratch;

/*
 * Numbers the rules that can be prefiltered and compiles the databases, or reads them from the
 * cache folder. Takes seconds without a cache. 0, or -1 and err.
 */
int prefilter_build(struct waf_rules *rules, const struct waf_sources *sources,
		    struct err *err);
/* How many rules have numbers. */
uint32_t prefilter_rules(const struct prefilter *prefilter);
void prefilter_free(struct prefilter *prefilter);

#endif
