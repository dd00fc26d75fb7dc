/*
 * finding.h - what a check has to say about a place: a vulnerability, a misconfiguration, a defect
 * of a contract or of a rule file. One type for all, so that they are reported, waived and counted
 * alike. A finding owns nothing; its spans live in the arena of the list that holds it.
 */
#ifndef BASE_FINDING_H
#define BASE_FINDING_H

#include "base/arena.h"

/* In ascending order; the words of CVSS's qualitative scale, with `info` in place of "none". */
enum finding_severity {
	FINDING_INFO,
	FINDING_LOW,
	FINDING_MEDIUM,
	FINDING_HIGH,
	FINDING_CRITICAL,
};
#define FINDING_SEVERITIES 5

/* Lines and columns count from 1, in bytes; 0 means not known. */
struct finding_place {
	struct span file; /* as it was named to us, or relative to what was scanned */
	uint32_t line;
	uint32_t column;
	uint32_t end_line;
};

struct finding {
	struct span rule; /* stable: "dockerfile-root-user", "GHSA-..." */
	enum finding_severity severity;
	struct span message; /* one sentence: what is wrong */
	struct span advice; /* one sentence: what to do; may be empty */
	struct span link; /* where more is written; may be empty */
	struct span standards; /* what it breaks: "CIS Docker 5.5, CWE-250"; may be empty */
	struct span subject; /* the thing concerned: a purl, a JSON Pointer, an operation */
	struct finding_place place;
};

/* Findings in the order in which they were added. */
struct finding_list {
	struct arena *arena;
	struct finding *at;
	size_t count;
	size_t capacity;
	bool failed; /* memory ran out: the list is not complete */
};

/* Allocates nothing yet; everything will come from the arena. */
void finding_list_init(struct finding_list *list, struct arena *arena);
/*
 * Copies the finding and all its text into the list's arena. 0, or -1 when memory ran out; then
 * the list is marked failed too, so that a caller may look once at the end.
 */
int finding_list_add(struct finding_list *list, const struct finding *finding);
/* By severity (worst first), then file, line, column, rule and subject. */
void finding_list_sort(struct finding_list *list);
/* "info", "low", "medium", "high", "critical". */
const char *finding_severity_name(enum finding_severity severity);
/* False when the word is none of these. */
bool finding_severity_parse(struct span word, enum finding_severity *severity);

#endif
