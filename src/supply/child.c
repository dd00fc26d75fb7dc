#include "supply/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "io/sandbox.h"

#define PIECE_BYTES ((size_t)1 << 18)

/* What the child says first: how it went. */
struct report {
	int32_t result;
	uint32_t code;
	char message[sizeof(((struct err *)0)->message)];
};

static int limit(int resource, rlim_t value, struct err *err)
{
	const struct rlimit both = {value, value};

	if (setrlimit((__rlimit_resource_t)resource, &both) < 0)
		return err_set_errno(err, errno, "cannot limit the scan");
	return 0;
}

static int confine(const struct child_job *job, const struct child_limits *limits,
		   struct err *err)
{
	struct sandbox_path paths[CHILD_PATHS_MAX];
	size_t count = 0;
	int level;

#if !defined(HAVE_ASAN) && !defined(HAVE_TSAN)
	if (limit(RLIMIT_AS, limits->memory_bytes, err) < 0)
		return -1;
#endif
	if (limit(RLIMIT_CPU, limits->cpu_seconds, err) < 0 || limit(RLIMIT_CORE, 0, err) < 0)
		return -1;
	while (count < CHILD_PATHS_MAX && job->paths[count]) {
		paths[count] = (struct sandbox_path){job->paths[count], SANDBOX_READ, true};
		count++;
	}
	/* Where the kernel has no Landlock, the filter of system calls still holds. */
	if (sandbox_paths(paths, count, &level, err) < 0)
		return -1;
	return sandbox_syscalls(SANDBOX_READER, SANDBOX_DENIAL_ERROR, err);
}

const char *child_readable(const char *path, char *folder, size_t size)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;
	struct stat st;

	if (stat(path, &st) < 0 || S_ISDIR(st.st_mode) || length >= size)
		return path;
	if (!slash)
		return ".";
	memcpy(folder, path, length);
	folder[length] = '\0';
	return length ? folder : "/";
}

NORETURN static void be_child(int to, const struct child_job *job,
			      const struct child_limits *limits, size_t max_bytes)
{
	struct report report = {0};
	struct err err = {0};
	struct buf made;

	buf_init(&made, max_bytes);
	if (job->prepare)
		report.result = job->prepare(job->context, &err);
	if (report.result == 0)
		report.result = confine(job, limits, &err);
	if (report.result == 0)
		report.result = job->work(job->context, &made, &err);
	if (report.result == 0 && buf_failed(&made))
		report.result =
			err_set(&err, ERR_MEMORY, "what was found does not fit into memory");
	report.code = err.code;
	memcpy(report.message, err.message, sizeof(report.message));
	if (fd_write_all(to, span_of(&report, sizeof(report))) < 0 ||
	    (report.result == 0 && fd_write_all(to, buf_span(&made)) < 0))
		_exit(1);
	_exit(0);
}

int child_read(int from, int64_t deadline_ms, struct buf *to, struct err *err)
{
	for (;;) {
		struct pollfd ready = {.fd = from, .events = POLLIN};
		int64_t left_ms = deadline_ms - clock_ms();
		ssize_t n;
		int got = left_ms > 0
				  ? poll(&ready, 1, (int)(left_ms > 60000 ? 60000 : left_ms))
				  : 0;

		if (got == 0 && left_ms <= 60000)
			return err_set(err, ERR_LIMIT, "the scan took too long");
		if (got == 0 || (got < 0 && errno == EINTR))
			continue;
		if (got < 0)
			return err_set_errno(err, errno, "cannot wait for the scan");
		if (buf_reserve(to, PIECE_BYTES) < 0)
			return err_set(err, ERR_MEMORY,
				       "what was found does not fit into memory");
		n = read(from, to->ptr + to->len, PIECE_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(err, errno, "cannot read from the scan");
		if (n == 0)
			return 0;
		to->len += (size_t)n;
	}
}

static int take_report(struct buf *bytes, size_t start, int status, struct err *err)
{
	struct report report;
	size_t length = bytes->len - start;

	if (WIFSIGNALED(status))
		return err_set(err, ERR_LIMIT, "the scan was ended by a limit (signal %d)",
			       WTERMSIG(status));
	if (length < sizeof(report) || WEXITSTATUS(status) != 0)
		return err_set(err, ERR_LIMIT, "the scan ended early");
	memcpy(&report, bytes->ptr + start, sizeof(report));
	report.message[sizeof(report.message) - 1] = '\0';
	if (report.result < 0)
		return err_set(err,
			       report.code != ERR_NONE && report.code <= ERR_INTERNAL
				       ? (enum err_code)report.code
				       : ERR_INTERNAL,
			       "%s", report.message);
	memmove(bytes->ptr + start, bytes->ptr + start + sizeof(report),
		length - sizeof(report));
	bytes->len -= sizeof(report);
	return 0;
}

int child_run(const struct child_job *job, const struct child_limits *limits,
	      struct buf *result, struct err *err)
{
	int64_t deadline_ms = clock_ms() + (int64_t)limits->seconds * 1000;
	size_t start = result->len;
	int ends[2], status = 0, read;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set_errno(err, errno, "cannot make a pipe");
	child = fork();
	if (child == 0) {
		(void)close(ends[0]);
		be_child(ends[1], job, limits, result->max);
	}
	(void)close(ends[1]);
	if (child < 0) {
		(void)close(ends[0]);
		return err_set_errno(err, errno, "cannot start a process");
	}
	read = child_read(ends[0], deadline_ms, result, err);
	(void)close(ends[0]);
	if (read < 0)
		(void)kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return read < 0 ? -1 : take_report(result, start, status, err);
}
