/*
 * journal.h - what has happened in a run, an event a line (JSON), each on the disk before the next step:
 * a run that was killed goes on where it was. Private to src/runner.
 */
#ifndef RUNNER_JOURNAL_H
#define RUNNER_JOURNAL_H

#include "base/arena.h"
#include "base/err.h"
#include "runner/run.h"

struct journal {
	int fd;
	struct span by; /* who has started it */
	struct span
		file; /* where the pipeline was read: names in it are relative to its folder */
	struct span code; /* backup of what the jobs were given */
	char digest[RUN_DIGEST_BYTES + 1]; /* of the pipeline's text */
	int64_t started_unix_ms;
	bool finished;
	bool is_ours; /* it is locked, and can be written to */
};

/*
 * Opens a run's journal for one process alone, makes it where `make`, and reads it: states of jobs (a
 * state for each of the pipeline's, or NULL) are filled in. -1: ERR_UNAVAILABLE when another process has
 * it, ERR_NOT_FOUND, ERR_SYNTAX, ERR_IO. Text lives in the arena.
 */
int journal_open(struct journal *journal, const char *path, bool make,
		 const struct pipeline *pipeline, struct run_job *jobs, struct arena *arena,
		 struct err *err) MUST_CHECK;
/* Only reads it, also while another process is at work on the run: what had happened a moment ago. */
int journal_look(struct journal *journal, const char *path, const struct pipeline *pipeline,
		 struct run_job *jobs, struct arena *arena, struct err *err) MUST_CHECK;
void journal_close(struct journal *journal);

/* Appends a line and waits until it is on the disk. */
int journal_started(struct journal *journal, const struct pipeline *pipeline,
		    struct err *err) MUST_CHECK;
int journal_job(struct journal *journal, struct span name, const struct run_job *job,
		struct err *err) MUST_CHECK;
int journal_finished(struct journal *journal, bool passed, struct err *err) MUST_CHECK;

#endif
