/*
 * container.h - a locked-down place in which a job runs, made by bubblewrap (bwrap): namespaces of its
 * own for processes, users, mounts, network, IPC and names; no capabilities and no way to get any; a
 * filter on system calls; a read-only system; limits on time, memory, processes and files. Jobs are run
 * in it or not at all.
 *
 * Blocks; for commands, which have no threads.
 */
#ifndef RUNNER_CONTAINER_H
#define RUNNER_CONTAINER_H

#include <sys/types.h>

#include "runner/pipeline.h"

/* Something of ours that the job sees, read only. */
struct container_mount {
	const char *from;
	const char *to;
};

struct container {
	const struct pipeline_job *job;
	const char *workspace; /* the only folder that it can write to: /workspace */
	const struct container_mount *mounts;
	size_t mount_count;
	/* In /secrets, by name; `secrets` and job->secrets are parallel. */
	const struct span *secrets;
	/* Root becomes this user and group first; both -1 where the caller is not root. */
	uid_t uid;
	gid_t gid;
};

/* What a job prints, a piece at a time. */
typedef void container_output(void *context, struct span bytes);

struct container_exit {
	int status; /* exit status of the shell, 128 and the signal that ended it, or -1 */
	bool timed_out;
};

/*
 * 0 when it was run, however it ended: nothing of it is left. -1: ERR_NOT_FOUND without bwrap,
 * ERR_UNAVAILABLE where this system makes no such place, ERR_IO, ERR_MEMORY.
 */
int container_run(const struct container *container, container_output *output, void *context,
		  struct container_exit *how, struct err *err) MUST_CHECK;
/*
 * A program of ours outside of any container, with the same output and deadline: argv[0] is its path.
 */
int container_run_outside(const char *const *argv, int64_t timeout_ms, container_output *output,
			  void *context, struct container_exit *how,
			  struct err *err) MUST_CHECK;

/* Can containers be made here at all? Runs /bin/true in one. -1 with the reason. */
int container_try(uid_t uid, gid_t gid, struct err *err) MUST_CHECK;

#endif
