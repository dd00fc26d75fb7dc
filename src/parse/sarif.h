/*
 * sarif.h - findings as a SARIF 2.1.0 log (OASIS standard), for code hosts and editors. One run of
 * each tool; rules are collected from the findings. The text depends on nothing but what is given.
 */
#ifndef PARSE_SARIF_H
#define PARSE_SARIF_H

#include "base/buf.h"
#include "base/finding.h"

struct sarif_tool {
	struct span name;
	struct span version;
	struct span uri; /* where the tool is described; may be empty */
};

/*
 * Appends the log. Findings should be sorted, so that the log is the same each time. A place
 * without file, or whose file is absolute, gives a result without location or with a file URI.
 * Failure shows in buf_failed().
 */
void sarif_write(struct buf *to, const struct sarif_tool *tool, const struct finding *findings,
		 size_t count);

struct sarif_run {
	struct sarif_tool tool;
	const struct finding *findings;
	/* NULL, or one a finding: why it is not to be acted on (empty: it is), section 3.27.23. */
	const struct span *suppressions;
	/* NULL, or one a finding, in place of a hash of its rule, subject and file. */
	const struct span *fingerprints;
	size_t count;
};

/* As sarif_write, for several tools. */
void sarif_write_runs(struct buf *to, const struct sarif_run *runs, size_t count);

#endif
