/*
 * sandbox.h - giving up rights for good: user, capabilities, file system, system calls. Order:
 * sandbox_drop_root, sandbox_paths, then threads may start, then sandbox_syscalls, which covers
 * all of them.
 */
#ifndef IO_SANDBOX_H
#define IO_SANDBOX_H

#include <sys/types.h>

#include "base/err.h"
#include "base/span.h"

/*
 * Becomes this user and group with no supplementary groups and no capability, for good
 * (no_new_privs too). When not root: only gives up capabilities and sets no_new_privs, and asks
 * that uid and gid are those it has already. Before threads start. On failure the process must
 * end: it may have given up only a part.
 */
int sandbox_drop_root(uid_t uid, gid_t gid, struct err *err) MUST_CHECK;

/*
 * No core dump of this process, nor of those it starts, and nobody but root reads its memory: keys and
 * tokens are in there. In builds with sanitizers it does nothing, for they look at the memory so.
 */
int sandbox_hide_memory(struct err *err) MUST_CHECK;

enum sandbox_access {
	SANDBOX_READ, /* read files and list folders */
	SANDBOX_WRITE, /* also create, change and remove; no devices, no execution */
	SANDBOX_EXECUTE, /* read and execute */
};
struct sandbox_path {
	const char *path; /* file, or folder with all below it */
	enum sandbox_access access;
	bool optional; /* not there: no error */
};

/*
 * Restricts the calling thread, and those it starts, to these paths by Landlock. Open descriptors
 * keep working. *level: the version of Landlock that was applied, 0 when this kernel has none: the
 * caller decides whether to go on, and says so in its log.
 */
int sandbox_paths(const struct sandbox_path *paths, size_t count, int *level,
		  struct err *err) MUST_CHECK;

enum sandbox_profile {
	/* Sockets, files, threads, signals of its own; no new programs, no processes. */
	SANDBOX_SERVER,
	/* A single-threaded child that reads and writes open descriptors, and computes. */
	SANDBOX_PARSER,
	/* The same, and it may open files and list folders, where sandbox_paths lets it. */
	SANDBOX_READER,
	/*
	 * Any program with children of its own, as long as it keeps to files, pipes and time: no
	 * sockets, no signals to others, no tracing, no mounts, no namespaces, no kernel interfaces
	 * that few programs need. What is not named as forbidden is allowed.
	 */
	SANDBOX_COMMAND,
};
enum sandbox_denial {
	SANDBOX_DENIAL_ERROR, /* other calls fail with EPERM */
	SANDBOX_DENIAL_KILL, /* other calls end the process with SIGSYS */
};
/* Seccomp filter for all threads of the process; sets no_new_privs. */
int sandbox_syscalls(enum sandbox_profile profile, enum sandbox_denial denial,
		     struct err *err) MUST_CHECK;
/*
 * A filter for a program and its children in namespaces of their own, where sockets and signals reach
 * nobody else. Allowed is what compilers, interpreters and tests need, with sockets of Unix, IPv4, IPv6
 * and routing netlink; EPERM for tracing, mounts, further namespaces and rare kernel interfaces; ENOSYS
 * for all else. ioctl is allowed: there must be no terminal of ours. As a program (struct
 * sock_filter[]) for others to load, such as bubblewrap: a descriptor without close-on-exec that is to be
 * closed, or -1.
 */
int sandbox_job_filter(struct err *err) MUST_CHECK;

#endif
