#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "base/compiler.h"
#include "io/sandbox.h"
#include "io/sandbox_internal.h"

/*
 * What compilers, interpreters, tests and package managers need. What is not here is either refused
 * (sandbox_forbidden) or, new calls too, told not to exist: programs then do without.
 */
static const int job_calls[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(preadv),
	SCMP_SYS(pwritev),
	SCMP_SYS(preadv2),
	SCMP_SYS(pwritev2),
	SCMP_SYS(close),
	SCMP_SYS(close_range),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(statx),
	SCMP_SYS(statfs),
	SCMP_SYS(fstatfs),
	SCMP_SYS(lseek),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(mincore),
	SCMP_SYS(msync),
	SCMP_SYS(mlock),
	SCMP_SYS(mlock2),
	SCMP_SYS(munlock),
	SCMP_SYS(mlockall),
	SCMP_SYS(munlockall),
	SCMP_SYS(brk),
	SCMP_SYS(futex),
	SCMP_SYS(futex_waitv),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(sched_yield),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigpending),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(rt_sigsuspend),
	SCMP_SYS(rt_sigqueueinfo),
	SCMP_SYS(rt_tgsigqueueinfo),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(pause),
	SCMP_SYS(alarm),
	SCMP_SYS(getitimer),
	SCMP_SYS(setitimer),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(ioctl),
	SCMP_SYS(time),
	SCMP_SYS(times),
	SCMP_SYS(getrandom),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getresuid),
	SCMP_SYS(getresgid),
	SCMP_SYS(getgroups),
	SCMP_SYS(setuid),
	SCMP_SYS(setgid),
	SCMP_SYS(setreuid),
	SCMP_SYS(setregid),
	SCMP_SYS(setresuid),
	SCMP_SYS(setresgid),
	SCMP_SYS(setgroups),
	SCMP_SYS(setfsuid),
	SCMP_SYS(setfsgid),
	SCMP_SYS(capget),
	SCMP_SYS(capset),
	SCMP_SYS(getpgid),
	SCMP_SYS(getpgrp),
	SCMP_SYS(setpgid),
	SCMP_SYS(getsid),
	SCMP_SYS(setsid),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(wait4),
	SCMP_SYS(waitid),
	SCMP_SYS(kill),
	SCMP_SYS(tkill),
	SCMP_SYS(tgkill),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(pidfd_send_signal),
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(set_tid_address),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(get_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(membarrier),
	SCMP_SYS(arch_prctl),
	SCMP_SYS(prctl),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_setaffinity),
	SCMP_SYS(sched_getparam),
	SCMP_SYS(sched_setparam),
	SCMP_SYS(sched_getscheduler),
	SCMP_SYS(sched_setscheduler),
	SCMP_SYS(sched_getattr),
	SCMP_SYS(sched_setattr),
	SCMP_SYS(sched_get_priority_max),
	SCMP_SYS(sched_get_priority_min),
	SCMP_SYS(sched_rr_get_interval),
	SCMP_SYS(getpriority),
	SCMP_SYS(setpriority),
	SCMP_SYS(ioprio_get),
	SCMP_SYS(ioprio_set),
	SCMP_SYS(getcpu),
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(openat2),
	SCMP_SYS(creat),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents),
	SCMP_SYS(getdents64),
	SCMP_SYS(getcwd),
	SCMP_SYS(chdir),
	SCMP_SYS(fchdir),
	SCMP_SYS(fcntl),
	SCMP_SYS(flock),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(sync),
	SCMP_SYS(syncfs),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(truncate),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(fadvise64),
	SCMP_SYS(readahead),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(link),
	SCMP_SYS(linkat),
	SCMP_SYS(symlink),
	SCMP_SYS(symlinkat),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),
	SCMP_SYS(rmdir),
	SCMP_SYS(chmod),
	SCMP_SYS(fchmod),
	SCMP_SYS(fchmodat),
	SCMP_SYS(chown),
	SCMP_SYS(fchown),
	SCMP_SYS(lchown),
	SCMP_SYS(fchownat),
	SCMP_SYS(umask),
	SCMP_SYS(utime),
	SCMP_SYS(utimes),
	SCMP_SYS(utimensat),
	SCMP_SYS(futimesat),
	SCMP_SYS(getxattr),
	SCMP_SYS(lgetxattr),
	SCMP_SYS(fgetxattr),
	SCMP_SYS(listxattr),
	SCMP_SYS(llistxattr),
	SCMP_SYS(flistxattr),
	SCMP_SYS(setxattr),
	SCMP_SYS(lsetxattr),
	SCMP_SYS(fsetxattr),
	SCMP_SYS(removexattr),
	SCMP_SYS(lremovexattr),
	SCMP_SYS(fremovexattr),
	SCMP_SYS(sendfile),
	SCMP_SYS(copy_file_range),
	SCMP_SYS(splice),
	SCMP_SYS(tee),
	SCMP_SYS(vmsplice),
	SCMP_SYS(memfd_create),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(pipe),
	SCMP_SYS(pipe2),
	SCMP_SYS(inotify_init),
	SCMP_SYS(inotify_init1),
	SCMP_SYS(inotify_add_watch),
	SCMP_SYS(inotify_rm_watch),
	SCMP_SYS(connect),
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(sendto),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(shutdown),
	SCMP_SYS(epoll_create),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(eventfd),
	SCMP_SYS(eventfd2),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(timerfd_gettime),
	SCMP_SYS(timer_create),
	SCMP_SYS(timer_settime),
	SCMP_SYS(timer_gettime),
	SCMP_SYS(timer_getoverrun),
	SCMP_SYS(timer_delete),
	SCMP_SYS(signalfd),
	SCMP_SYS(signalfd4),
	SCMP_SYS(shmget),
	SCMP_SYS(shmat),
	SCMP_SYS(shmdt),
	SCMP_SYS(shmctl),
	SCMP_SYS(semget),
	SCMP_SYS(semop),
	SCMP_SYS(semctl),
	SCMP_SYS(semtimedop),
	SCMP_SYS(msgget),
	SCMP_SYS(msgsnd),
	SCMP_SYS(msgrcv),
	SCMP_SYS(msgctl),
	SCMP_SYS(mq_open),
	SCMP_SYS(mq_unlink),
	SCMP_SYS(mq_timedsend),
	SCMP_SYS(mq_timedreceive),
	SCMP_SYS(mq_notify),
	SCMP_SYS(mq_getsetattr),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
	SCMP_SYS(getrusage),
	SCMP_SYS(getrlimit),
	SCMP_SYS(setrlimit),
	SCMP_SYS(prlimit64),
	SCMP_SYS(landlock_create_ruleset),
	SCMP_SYS(landlock_add_rule),
	SCMP_SYS(landlock_restrict_self),
};

/* Children, but no namespaces for them. */
static int allow_clone(scmp_filter_ctx filter)
{
	const scmp_datum_t namespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC |
					CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUSER |
					CLONE_NEWCGROUP;
	const struct scmp_arg_cmp none = {0, SCMP_CMP_MASKED_EQ, namespaces, 0};
	/* clone3 has its flags in memory, where a filter cannot look: it does not exist. */
	return seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, none);
}

static int allow_family(scmp_filter_ctx filter, int call, scmp_datum_t family)
{
	const struct scmp_arg_cmp is = {0, SCMP_CMP_EQ, family, 0};

	return seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, call, 1, is);
}

/* Of the families, vsock would reach the machine around this one, whatever the network namespace. */
static int allow_sockets(scmp_filter_ctx filter)
{
	static const scmp_datum_t families[] = {AF_UNIX, AF_INET, AF_INET6};
	/* getaddrinfo asks it which addresses there are. */
	const struct scmp_arg_cmp routes[] = {{0, SCMP_CMP_EQ, AF_NETLINK, 0},
					      {2, SCMP_CMP_EQ, NETLINK_ROUTE, 0}};
	int result = allow_family(filter, SCMP_SYS(socketpair), AF_UNIX);

	for (size_t i = 0; i < COUNT_OF(families) && result == 0; i++)
		result = allow_family(filter, SCMP_SYS(socket), families[i]);
	if (result == 0)
		result = seccomp_rule_add_exact_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket),
						      COUNT_OF(routes), routes);
	return result;
}

/* Pipes with names; devices and sockets are made otherwise, or not at all. */
static int allow_fifos(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp second = {1, SCMP_CMP_MASKED_EQ, S_IFMT, S_IFIFO};
	const struct scmp_arg_cmp third = {2, SCMP_CMP_MASKED_EQ, S_IFMT, S_IFIFO};
	int result = 0;

	if (SCMP_SYS(mknod) >= 0)
		result = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, SCMP_SYS(mknod), 1,
						second);
	if (result == 0)
		result = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, SCMP_SYS(mknodat), 1,
						third);
	return result;
}

static int fill(scmp_filter_ctx filter)
{
	int result = allow_clone(filter);

	for (size_t i = 0; i < COUNT_OF(job_calls) && result == 0; i++)
		/* Calls that this architecture does not have are no loss. */
		if (job_calls[i] >= 0)
			result =
				seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, job_calls[i], 0);
	if (result == 0)
		result = allow_sockets(filter);
	if (result == 0)
		result = allow_fifos(filter);
	if (result == 0)
		result = sandbox_forbid(filter, sandbox_forbidden, sandbox_forbidden_count);
	return result;
}

int sandbox_job_filter(struct err *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int fd = memfd_create("seccomp", 0);
	int result = filter && fd >= 0 ? fill(filter) : -ENOMEM;

	if (result == 0)
		result = seccomp_export_bpf(filter, fd);
	if (filter)
		seccomp_release(filter);
	if (result == 0 && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return err_set_errno(err, -result, "seccomp");
}
