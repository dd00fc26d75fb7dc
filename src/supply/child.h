/*
 * child.h - work on foreign files in a child process that can do nothing but read what it is given:
 * no network, no other files (Landlock), few system calls (seccomp), limited memory, processor time
 * and time. For single-threaded callers, such as commands: it forks.
 */
#ifndef SUPPLY_CHILD_H
#define SUPPLY_CHILD_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct child_limits {
	size_t memory_bytes; /* address space; ignored by builds with sanitizers */
	unsigned cpu_seconds;
	unsigned seconds; /* of the clock on the wall */
};

#define CHILD_LIMITS_DEFAULT                                                                   \
	((struct child_limits){                                                                \
		.memory_bytes = (size_t)16 << 30, .cpu_seconds = 3600, .seconds = 3600})

#define CHILD_PATHS_MAX 64

struct child_job {
	/* Files, or folders with all below them, that it may read; NULL ends early. */
	const char *paths[CHILD_PATHS_MAX];
	/*
	 * Both run in the child: `prepare` (may be NULL) before it gives up its rights, so it
	 * touches only what the user has written; `work` afterwards, with the result in `to`.
	 */
	int (*prepare)(void *context, struct err *err);
	int (*work)(void *context, struct buf *to, struct err *err);
	void *context;
};

/*
 * Appends what `work` has written to `result` (initialised by the caller, whose maximum counts).
 * -1: its error, or ERR_LIMIT when the child was ended by a limit or a signal, ERR_IO or
 * ERR_DENIED when it could not be confined.
 */
int child_run(const struct child_job *job, const struct child_limits *limits,
	      struct buf *result, struct err *err) MUST_CHECK;

/*
 * Appends what comes from a pipe until its end, or a time of clock_ms(). -1: ERR_LIMIT (too late),
 * ERR_MEMORY (more than the buffer's maximum), ERR_IO.
 */
int child_read(int from, int64_t deadline_ms, struct buf *to, struct err *err) MUST_CHECK;

/*
 * The folder of a file, for `paths`: what belongs to it is beside it. A folder stays as it is.
 * The result is `path`, in `folder` of `size` bytes, or a literal.
 */
const char *child_readable(const char *path, char *folder, size_t size);

#endif
