/* report_import.h - reports read back: those of other tools (SARIF), and earlier ones of ours. */
#ifndef SUPPLY_REPORT_IMPORT_H
#define SUPPLY_REPORT_IMPORT_H

#include "base/map.h"
#include "supply/result.h"

/*
 * Adds the results of a SARIF 2.1.0 log, as RESULT_IMPORTED with the names of their tools. Left out
 * are those that are suppressed, absent, or no failures. Severity is "security-severity" of the
 * result or its rule, else the level. Everything is copied. -1: ERR_SYNTAX, ERR_INVALID, ERR_MEMORY.
 */
int report_import_sarif(struct result_list *results, struct span name, struct span text,
			struct err *err) MUST_CHECK;

/* How often each fingerprint occurs. */
struct baseline {
	struct arena arena;
	struct map counts;
};

void baseline_init(struct baseline *b);
void baseline_release(struct baseline *b);
/* A JSON report of ours, or a SARIF log that we have written. -1 as above. */
int baseline_read(struct baseline *b, struct span name, struct span text,
		  struct err *err) MUST_CHECK;
int baseline_add(struct baseline *b, const struct result_list *results) MUST_CHECK;
/* Marks as RESULT_KNOWN as many of each fingerprint as the baseline has. -1: out of memory. */
int baseline_apply(struct baseline *b, struct result_list *results) MUST_CHECK;

#endif
