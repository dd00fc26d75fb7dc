/*
 * process.h - child processes for fibers. A child leads its own process group, has default signal
 * handling, and inherits only the descriptors that are named.
 */
#ifndef IO_PROCESS_H
#define IO_PROCESS_H

#include <sys/types.h>

#include "io/loop.h"

struct process_fd {
	int from; /* in this process; stays open here */
	int to; /* in the child; each at most once, below 64 */
};

struct process_options {
	const char *path; /* absolute; not searched for */
	const char *const *argv; /* ends with NULL; argv[0] included */
	const char *const *env; /* ends with NULL; NULL: empty */
	const struct process_fd *fds; /* 0, 1 and 2 are /dev/null where not named */
	size_t fd_count;
};

struct process {
	pid_t pid; /* 0: not running, or waited for */
	struct watch watch; /* on a pidfd */
};

struct process_exit {
	int code; /* exit status, or -1 when a signal ended it */
	int signal; /* 0 when it exited */
};

/*
 * In the calling thread's loop. -1 with *err when the program cannot be started, also when exec
 * fails. The struct must not move until process_wait or process_kill has succeeded.
 */
int process_start(struct process *process, const struct process_options *options,
		  struct err *err) MUST_CHECK;
/*
 * Parks until the child has ended. -1 with ERR_TIMEOUT or ERR_CANCELLED: it runs on, and the
 * caller waits again or calls process_kill.
 */
int process_wait(struct process *process, int64_t deadline_ms, struct process_exit *how,
		 struct err *err) MUST_CHECK;
/* To the child and its process group; nothing when it has been waited for. */
void process_signal(struct process *process, int signal);
/*
 * SIGTERM to the group, SIGKILL to what is left of it after grace_ms, and waits, whether the
 * fiber is cancelled or not. Returns at once when the child has been waited for. grace_ms 0 kills
 * at once.
 */
void process_kill(struct process *process, int64_t grace_ms, struct process_exit *how);

#endif
