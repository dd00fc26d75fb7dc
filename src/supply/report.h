/*
 * report.h - what a scan has found, for people and for programs. All append to a buffer; look at
 * buf_failed() afterwards. The same scan gives the same bytes. Results that do not count are told
 * where the form has a place for them; what was known before (RESULT_KNOWN) never is.
 */
#ifndef SUPPLY_REPORT_H
#define SUPPLY_REPORT_H

#include "base/buf.h"
#include "supply/advisory_db.h"
#include "supply/result.h"

struct report {
	const struct inventory *inventory;
	const struct result_list *results; /* sorted */
	const struct advisory_db *db; /* NULL: there was none */
	struct span version; /* of the program */
	struct span target; /* what was scanned, as it was named */
	/*
	 * "services/a/": where the scanned folder is below the current one, for code hosts, which
	 * look for files from the top of a repository (report_path). Empty: it is that one.
	 */
	struct span folder;
	struct span only; /* the single file that was scanned, beside which there is no other */
	int64_t now_s;
	bool coloured; /* report_table only */
};

struct report_counts {
	size_t by_severity[FINDING_SEVERITIES]; /* of those that count */
	size_t by_silence[RESULT_SILENCES];
	size_t fails;
	size_t warns;
};

struct report_counts report_count(const struct report *r);
/* The file with the folder before it, in the arena; ptr NULL when memory ran out. */
struct span report_path(const struct report *r, struct span file, struct arena *a);
/* A line with the day and age of the advisories; nothing without a database. */
void report_put_age(const struct report *r, struct buf *to);

/* For terminals: by component, the most urgent first, then all else by kind and file. */
void report_table(const struct report *r, struct buf *to);
void report_json(const struct report *r, struct buf *to);
/* SARIF 2.1.0, a run a tool; what does not count is suppressed. -1 when memory ran out. */
int report_sarif(const struct report *r, struct buf *to) MUST_CHECK;
/* A section with tables, for comments on changes. */
void report_markdown(const struct report *r, struct buf *to);
/* JUnit's XML: a test case a result; warnings are passed, what does not count is skipped. */
void report_junit(const struct report *r, struct buf *to);
/* One page without anything from elsewhere, with a filter. */
void report_html(const struct report *r, struct buf *to);
/* GitLab's security report: of container scanning for images, else of dependency scanning. */
void report_gitlab(const struct report *r, struct buf *to);
/* GitLab's code quality report (the form of Code Climate). */
void report_gitlab_quality(const struct report *r, struct buf *to);

/* "LOW"; "UNKNOWN" for vulnerabilities of which none is known. */
const char *report_severity_word(const struct result *r);
/* The CVE among its names; empty when there is none. */
struct span report_cve(const struct vulnerability *v);

#endif
