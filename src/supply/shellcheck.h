/*
 * shellcheck.h - what ShellCheck finds in scripts, where it is installed. It runs in a sandbox that
 * lets it read the scripts, and nothing else of ours. For single-threaded callers: it forks.
 */
#ifndef SUPPLY_SHELLCHECK_H
#define SUPPLY_SHELLCHECK_H

#include "base/err.h"
#include "base/finding.h"

struct shellcheck {
	const char *path; /* the folder or file that is scanned */
	struct span scripts; /* their names, relative to the folder; each ends in NUL */
	unsigned seconds; /* how long one run, of up to 200 scripts, may take */
};

/*
 * Adds its findings as "shellcheck-SC2086": its errors are of medium severity, its warnings low,
 * all else info. 0 also when there is no such program in $PATH. -1: ERR_LIMIT, ERR_IO, ERR_MEMORY,
 * ERR_INVALID for what is no report of it.
 */
int shellcheck_run(const struct shellcheck *job, struct finding_list *findings,
		   struct err *err) MUST_CHECK;
/* Adds the findings of a report of form "json1"; the same errors. */
int shellcheck_read(struct span report, struct finding_list *findings,
		    struct err *err) MUST_CHECK;

#endif
