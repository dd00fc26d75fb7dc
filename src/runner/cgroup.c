#include "runner/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rand.h"
#include "base/span.h"

#define MOUNT "/sys/fs/cgroup"
#define TEXT_BYTES 8192
#define MARK_BYTES 4

static bool read_text(const char *path, char text[TEXT_BYTES], struct span *all)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, TEXT_BYTES);

	if (fd >= 0)
		(void)close(fd);
	*all = span_of(text, len < 0 ? 0 : (size_t)len);
	return len >= 0;
}

static bool write_text(const char *folder, const char *name, const char *text)
{
	char path[PATH_MAX + 64];
	ssize_t put;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	put = write(fd, text, strlen(text));
	(void)close(fd);
	return put == (ssize_t)strlen(text);
}

static bool names_memory(struct span list, char separator)
{
	while (list.ptr)
		if (span_eq(span_trim(span_cut(&list, separator)), SPAN("memory")))
			return true;
	return false;
}

/* Our group of version 2 hands the memory controller on to groups below it. */
static bool is_handed_down(struct span path)
{
	char name[PATH_MAX], text[TEXT_BYTES];
	struct span all;

	(void)snprintf(name, sizeof(name), MOUNT "%.*s/cgroup.subtree_control", SPAN_ARG(path));
	return read_text(name, text, &all) && names_memory(all, ' ');
}

/* A line of /proc/self/cgroup, "4:memory:/path" or "0::/path": the folder of a group below ours. */
static bool use_line(struct cgroup *group, struct span line)
{
	char mark[2 * MARK_BYTES];
	struct span number = span_cut(&line, ':'), controllers = span_cut(&line, ':');
	const char *hierarchy = "/memory";
	int len;

	if (!line.ptr)
		return false;
	if (span_eq(number, SPAN("0")) && controllers.len == 0 && is_handed_down(line))
		hierarchy = "";
	else if (!names_memory(controllers, ','))
		return false;
	rand_hex(mark, MARK_BYTES);
	len = snprintf(group->folder, sizeof(group->folder), MOUNT "%s%.*s/sallyport-%.*s",
		       hierarchy, SPAN_ARG(line), (int)sizeof(mark), mark);
	return len > 0 && (size_t)len < sizeof(group->folder);
}

static bool set_limit(const struct cgroup *group, uint64_t memory_bytes)
{
	char bytes[32];

	(void)snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)memory_bytes);
	/* Swap is limited where it is counted. */
	if (write_text(group->folder, "memory.max", bytes)) {
		(void)write_text(group->folder, "memory.swap.max", "0");
		return true;
	}
	if (!write_text(group->folder, "memory.limit_in_bytes", bytes))
		return false;
	(void)write_text(group->folder, "memory.memsw.limit_in_bytes", bytes);
	return true;
}

int cgroup_make(struct cgroup *group, uint64_t memory_bytes, struct err *err)
{
	char text[TEXT_BYTES];
	struct span rest;
	bool found = false;

	group->folder[0] = '\0';
	if (!read_text("/proc/self/cgroup", text, &rest))
		return err_set_errno(err, errno, "/proc/self/cgroup");
	while (rest.ptr && !found)
		found = use_line(group, span_cut(&rest, '\n'));
	if (found && mkdir(group->folder, 0755) == 0) {
		if (set_limit(group, memory_bytes))
			return 0;
		cgroup_remove(group);
	}
	group->folder[0] = '\0';
	return err_set(err, ERR_UNAVAILABLE,
		       "'memory_total' needs a control group for memory, and none can be made "
		       "here");
}

bool cgroup_enter(const struct cgroup *group)
{
	return !group->folder[0] || write_text(group->folder, "cgroup.procs", "0");
}

void cgroup_remove(const struct cgroup *group)
{
	if (group->folder[0])
		(void)rmdir(group->folder);
}
