/*
 * report.h - what a scan has found, for people and for programs. All append to a buffer; look at
 * buf_failed() afterwards. The same scan gives the same bytes.
 */
#ifndef SUPPLY_REPORT_H
#define SUPPLY_REPORT_H

#include "base/buf.h"
#include "supply/rank.h"

struct report {
	const struct inventory *inventory;
	const struct vulnerability_list *vulnerabilities;
	const struct finding *findings; /* misconfigurations, sorted */
	size_t finding_count;
	const struct advisory_db *db; /* NULL: there was none */
	struct span version; /* of the program */
	bool coloured; /* report_table only */
	bool hide_unfixed; /* vulnerabilities without a fixing version are not shown */
};

/* Is it to be shown and counted? Not when it is waived, or unfixed and those are hidden. */
bool report_counts(const struct report *r, const struct vulnerability *v);
/* The worst of all that counts; false when nothing does. */
bool report_worst(const struct report *r, enum finding_severity *worst);

/* For terminals: by component, the most urgent first, then misconfigurations by file. */
void report_table(const struct report *r, struct buf *to);
void report_json(const struct report *r, struct buf *to);
/* SARIF 2.1.0. -1 when memory ran out. */
int report_sarif(const struct report *r, struct buf *to) MUST_CHECK;
/* A section with tables, for comments on changes. */
void report_markdown(const struct report *r, struct buf *to);
/* JUnit's XML: a test case a finding. */
void report_junit(const struct report *r, struct buf *to);

#endif
