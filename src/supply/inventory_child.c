#include "supply/inventory_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/sandbox.h"

#define PACKED_BYTES_MAX ((size_t)4 << 30)

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

static int confine(const char *path, const struct inventory_child_limits *limits,
		   struct err *err)
{
	const char *temporary = getenv("TMPDIR");
	const struct sandbox_path paths[] = {
		{path, SANDBOX_READ, true},
		{temporary ? temporary : "/tmp", SANDBOX_WRITE, true},
	};
	int level;

#if !defined(HAVE_ASAN) && !defined(HAVE_TSAN)
	if (limit(RLIMIT_AS, limits->memory_bytes, err) < 0)
		return -1;
#endif
	if (limit(RLIMIT_CPU, limits->cpu_seconds, err) < 0 || limit(RLIMIT_CORE, 0, err) < 0)
		return -1;
	/* Where the kernel has no Landlock, the filter of system calls still holds. */
	if (sandbox_paths(paths, COUNT_OF(paths), &level, err) < 0)
		return -1;
	return sandbox_syscalls(SANDBOX_READER, SANDBOX_DENIAL_ERROR, err);
}

static bool write_all(int fd, struct span bytes)
{
	while (bytes.len) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes = span_slice(bytes, (size_t)n, bytes.len);
	}
	return true;
}

/* The folder of a file: files that belong to it are beside it. */
static const char *readable(const char *path, char *folder, size_t size)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;

	/* An archive or SBOM needs nothing beside it, but which it is shows only later. */
	if (access(path, R_OK) != 0 || length >= size)
		return path;
	if (!slash)
		return ".";
	memcpy(folder, path, length);
	folder[length] = '\0';
	return length ? folder : "/";
}

NORETURN static void be_child(int to, const char *path, const struct inventory_options *options,
			      const struct inventory_child_limits *limits)
{
	struct report report = {0};
	struct inventory inv;
	struct err err = {0};
	char folder[4096];
	struct buf packed;

	buf_init(&packed, PACKED_BYTES_MAX);
	inventory_init(&inv, INVENTORY_TEXT_BYTES);
	report.result = confine(readable(path, folder, sizeof(folder)), limits, &err);
	if (report.result == 0)
		report.result = inventory_scan(&inv, path, options, &err);
	if (report.result == 0)
		report.result = inventory_pack(&inv, &packed, &err);
	report.code = err.code;
	memcpy(report.message, err.message, sizeof(report.message));
	if (!write_all(to, span_of(&report, sizeof(report))) ||
	    (report.result == 0 && !write_all(to, buf_span(&packed))))
		_exit(1);
	_exit(0);
}

static int read_all(int from, struct buf *to, struct err *err)
{
	for (;;) {
		ssize_t n;

		if (buf_reserve(to, 1 << 18) < 0)
			return err_set(err, ERR_MEMORY,
				       "the inventory does not fit into memory");
		n = read(from, to->ptr + to->len, 1 << 18);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(err, errno, "cannot read from the scan");
		if (n == 0)
			return 0;
		to->len += (size_t)n;
	}
}

static int take_report(struct inventory *inv, struct span bytes, int status, struct err *err)
{
	struct report report;

	if (WIFSIGNALED(status))
		return err_set(err, ERR_LIMIT, "the scan was ended by a limit (signal %d)",
			       WTERMSIG(status));
	if (bytes.len < sizeof(report) || WEXITSTATUS(status) != 0)
		return err_set(err, ERR_LIMIT, "the scan ended early");
	memcpy(&report, bytes.ptr, sizeof(report));
	report.message[sizeof(report.message) - 1] = '\0';
	if (report.result < 0)
		return err_set(err,
			       report.code <= ERR_INTERNAL ? (enum err_code)report.code
							   : ERR_INTERNAL,
			       "%s", report.message);
	return inventory_unpack(inv, span_slice(bytes, sizeof(report), bytes.len), err);
}

int inventory_scan_child(struct inventory *inv, const char *path,
			 const struct inventory_options *options,
			 const struct inventory_child_limits *limits, struct err *err)
{
	int ends[2], status = 0, result;
	struct buf bytes;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set_errno(err, errno, "cannot make a pipe");
	child = fork();
	if (child == 0) {
		(void)close(ends[0]);
		be_child(ends[1], path, options, limits);
	}
	(void)close(ends[1]);
	if (child < 0) {
		(void)close(ends[0]);
		return err_set_errno(err, errno, "cannot start a process");
	}
	buf_init(&bytes, PACKED_BYTES_MAX);
	result = read_all(ends[0], &bytes, err);
	(void)close(ends[0]);
	if (result < 0)
		(void)kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (result == 0)
		result = take_report(inv, buf_span(&bytes), status, err);
	buf_release(&bytes);
	return result;
}
