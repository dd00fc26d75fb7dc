/*
 * run.h - a pipeline is run: each job in a container of its own (container.h), on a fresh copy of the
 * code as it was when the run began, with the artifacts of the jobs that it needs. Critical jobs wait
 * until people have approved them (guard/approval.h).
 *
 *	STATE/ID/pipeline.yaml	the file, as it was
 *	STATE/ID/journal	what has happened (journal.h)
 *	STATE/ID/log/JOB	what a job has printed
 *	STATE/ID/kept/JOB/	its artifacts
 *	STATE/ID/work/JOB/	its workspace, while it runs
 *
 * Blocks; for commands, which have no threads.
 */
#ifndef RUNNER_RUN_H
#define RUNNER_RUN_H

#include "guard/approval.h"
#include "runner/backup.h"
#include "runner/pipeline.h"

#define RUN_ID_BYTES 24 /* "20270131-235959-0a1b2c3d" */
#define RUN_DIGEST_BYTES 64 /* SHA-256 in hexadecimal digits */

enum run_state {
	RUN_WAITS, /* for jobs that it needs, or its turn */
	RUN_ASKS, /* for approval */
	RUN_RUNS, /* or did when the run was killed: it is begun anew */
	RUN_PASSED,
	RUN_FAILED,
	RUN_REFUSED, /* by its gate, or by people */
	RUN_SKIPPED, /* a job that it needs has not passed */
};
#define RUN_STATES 7

struct run_job {
	enum run_state state;
	int exit_status; /* of RUN_FAILED; -1: it was killed */
	struct span why; /* for people; may be empty */
	struct span approval; /* id; empty: none was asked for */
	struct span artifacts; /* backup; empty: there are none */
};

enum run_outcome { RUN_OUTCOME_PASSED, RUN_OUTCOME_FAILED, RUN_OUTCOME_ASKS };

struct run_options {
	const char *state; /* folder of all runs; made where it is not */
	const char *backups; /* store for code and artifacts */
	const char *program; /* this one, for the scans of gates */
	uid_t uid; /* of jobs, where the caller is root; else -1 */
	gid_t gid;
	struct span by; /* who starts it, and may not approve */
	struct store *store; /* of approvals; NULL: no critical job can be run */
	bool wait; /* for approvals; else it ends, and is resumed later */
	/* A job's state has changed. */
	void (*tell)(void *context, struct span job, const struct run_job *state);
	/* Masked output of a job; may be NULL. */
	void (*output)(void *context, struct span bytes);
	void *context;
};

struct run_info {
	char id[RUN_ID_BYTES + 1];
	char code[BACKUP_ID_CHARS + 1];
	char digest[RUN_DIGEST_BYTES + 1]; /* of the pipeline's text */
	enum run_outcome outcome;
	bool finished;
};

/* A new one, on the code in `source`. 0 with *info, however it ended; -1 when it could not be run. */
int run_start(const struct run_options *options, const char *pipeline_path, const char *source,
	      struct run_info *info, struct err *err) MUST_CHECK;
/*
 * Goes on with one that was killed, or that asks for approval. What has ended is not run again. -1 also
 * for one that has finished, and for one that another process is at work on.
 */
int run_resume(const struct run_options *options, const char *id, struct run_info *info,
	       struct err *err) MUST_CHECK;
/* How it is: calls tell for each job. */
int run_show(const struct run_options *options, const char *id, struct run_info *info,
	     struct err *err) MUST_CHECK;

/* "waits", "asks", "runs", "passed", "failed", "refused", "skipped". */
const char *run_state_name(enum run_state state);
/* Could it be an id? Then it is a name of one folder. */
bool run_id_valid(struct span id);

#endif
