/*
 * job_log.h - what a job prints, on its way to a file: up to a limit, and with secrets masked, and each
 * line of a secret of several, also where one comes in pieces. Private to src/runner.
 */
#ifndef RUNNER_JOB_LOG_H
#define RUNNER_JOB_LOG_H

#include "base/buf.h"

/* Shorter ones would mask what is none. */
#define JOB_LOG_SECRET_BYTES_MIN 6

struct job_log {
	int fd;
	const struct span *secrets;
	size_t secret_count;
	uint64_t limit_bytes;
	uint64_t written_bytes, dropped_bytes;
	struct span *masked; /* secrets and their lines */
	size_t masked_count;
	struct buf held; /* the end of what came, which may be the start of a secret */
	bool failed; /* of writing, or of memory */
	/* Also told what is written; may be NULL. */
	void (*output)(void *context, struct span bytes);
	void *context;
};

/* With fd, secrets, limit and output set. Without memory the log has failed, and takes nothing. */
void job_log_init(struct job_log *log);
void job_log_put(struct job_log *log, struct span bytes);
/* Writes what is held, and how much was dropped. The descriptor stays open. */
void job_log_end(struct job_log *log);

#endif
