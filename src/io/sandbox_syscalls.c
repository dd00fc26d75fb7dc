#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/compiler.h"
#include "io/sandbox.h"
#include "io/sandbox_internal.h"

/* What any program needs to compute, and to read and write what is open. */
static const int common_calls[] = {
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(lseek),
	SCMP_SYS(mmap),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(mprotect),
	SCMP_SYS(madvise),
	SCMP_SYS(brk),
	SCMP_SYS(futex),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(sched_yield),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(getrandom),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list),
};

static const int server_calls[] = {
	/* files: certificates, caches, SQLite, resolv.conf */
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx),
	SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(access), SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64),
	SCMP_SYS(getcwd), SCMP_SYS(fcntl), SCMP_SYS(flock), SCMP_SYS(fsync),
	SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fadvise64),
	SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlink),
	SCMP_SYS(unlinkat), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rmdir),
	SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(umask), SCMP_SYS(utimensat),
	SCMP_SYS(sendfile), SCMP_SYS(preadv), SCMP_SYS(pwritev), SCMP_SYS(memfd_create),
	SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(pipe2),
	/* sockets; the families are limited below */
	SCMP_SYS(connect), SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(bind),
	SCMP_SYS(listen), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg), SCMP_SYS(shutdown),
	/* waiting */
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(eventfd2), SCMP_SYS(select),
	SCMP_SYS(pselect6), SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(clock_getres), SCMP_SYS(time), SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime), SCMP_SYS(signalfd4), SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(rt_sigpending),
	/* threads */
	SCMP_SYS(set_tid_address), SCMP_SYS(membarrier), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
	SCMP_SYS(getcpu),
	/* who and where am I */
	SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
	SCMP_SYS(getegid), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(getrusage),
	SCMP_SYS(getrlimit)};

static const int reader_calls[] = {
	SCMP_SYS(open),		SCMP_SYS(openat),   SCMP_SYS(openat2),	SCMP_SYS(stat),
	SCMP_SYS(lstat),	SCMP_SYS(statx),    SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),	SCMP_SYS(getcwd),   SCMP_SYS(fcntl),	SCMP_SYS(fadvise64),
	SCMP_SYS(memfd_create), SCMP_SYS(fallocate)};

static int allow_all(scmp_filter_ctx filter, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int result;

		/* Calls that this architecture does not have are no loss. */
		if (calls[i] < 0)
			continue;
		result = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, calls[i], 0);
		if (result < 0)
			return result;
	}
	return 0;
}

/* Where the argument is this value. */
static int allow_if(scmp_filter_ctx filter, int call, unsigned arg, scmp_datum_t value)
{
	const struct scmp_arg_cmp condition = {arg, SCMP_CMP_EQ, value, 0};

	return seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, call, 1, condition);
}

/* No netlink, packet, vsock, key or other rarely used families, which are full of bugs. */
static int allow_sockets(scmp_filter_ctx filter)
{
	static const scmp_datum_t families[] = {AF_UNIX, AF_INET, AF_INET6};
	int result = 0;

	for (size_t i = 0; i < COUNT_OF(families) && result == 0; i++)
		result = allow_if(filter, SCMP_SYS(socket), 0, families[i]);
	if (result == 0)
		result = allow_if(filter, SCMP_SYS(socketpair), 0, AF_UNIX);
	return result;
}

/*
 * Threads, but not processes. The flags of clone3 are in memory, where a filter cannot look: the
 * C library falls back to clone when told that there is no clone3.
 */
static int allow_threads(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp is_thread = {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD,
					       CLONE_THREAD};
	int result =
		seccomp_rule_add_exact(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	if (result == 0)
		result = seccomp_rule_add_exact(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
						is_thread);
	/* Signals to ourselves only: abort and the watchdog. */
	if (result == 0)
		result = allow_if(filter, SCMP_SYS(tgkill), 0, (scmp_datum_t)getpid());
	/* Reading limits, not changing them. */
	if (result == 0)
		result = allow_if(filter, SCMP_SYS(prlimit64), 2, 0);
	return result;
}

static int allow_controls(scmp_filter_ctx filter)
{
	static const scmp_datum_t ioctls[] = {FIONREAD, FIONBIO, TCGETS, TIOCGWINSZ};
	static const scmp_datum_t prctls[] = {PR_SET_NAME, PR_GET_NAME, PR_SET_NO_NEW_PRIVS,
					      PR_GET_NO_NEW_PRIVS, PR_GET_DUMPABLE};
	int result = 0;

	for (size_t i = 0; i < COUNT_OF(ioctls) && result == 0; i++)
		result = allow_if(filter, SCMP_SYS(ioctl), 1, ioctls[i]);
	for (size_t i = 0; i < COUNT_OF(prctls) && result == 0; i++)
		result = allow_if(filter, SCMP_SYS(prctl), 0, prctls[i]);
	return result;
}

static int allow_server(scmp_filter_ctx filter)
{
	int result = allow_all(filter, server_calls, COUNT_OF(server_calls));

	if (result == 0)
		result = allow_sockets(filter);
	if (result == 0)
		result = allow_threads(filter);
	if (result == 0)
		result = allow_controls(filter);
	return result;
}

static int fill(scmp_filter_ctx filter, enum sandbox_profile profile)
{
	int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);

	if (result == 0)
		result = allow_all(filter, common_calls, COUNT_OF(common_calls));
	if (result == 0 && profile == SANDBOX_READER)
		result = allow_all(filter, reader_calls, COUNT_OF(reader_calls));
	if (result == 0 && profile == SANDBOX_SERVER)
		result = allow_server(filter);
	/* A binary tree instead of a list: about six comparisons a call. */
	if (result == 0)
		result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (result == 0)
		result = seccomp_load(filter);
	return result;
}

/* Beyond itself and its files: a command has no business there. */
static const int outward_calls[] = {
	/* the network, and talking to other programs */
	SCMP_SYS(socket),
	SCMP_SYS(connect),
	SCMP_SYS(bind),
	SCMP_SYS(listen),
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(kill),
	SCMP_SYS(tkill),
	SCMP_SYS(tgkill),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(pidfd_send_signal),
	SCMP_SYS(rt_sigqueueinfo),
	SCMP_SYS(rt_tgsigqueueinfo),
	SCMP_SYS(setpriority),
	SCMP_SYS(msgget),
	SCMP_SYS(semget),
	SCMP_SYS(shmget),
	SCMP_SYS(mq_open),
	SCMP_SYS(setxattr),
	SCMP_SYS(mknod),
	SCMP_SYS(mknodat)};

const int sandbox_forbidden[] = {
	/* other programs */
	SCMP_SYS(pidfd_getfd), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise), SCMP_SYS(kcmp),
	/* mounts and namespaces */
	SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot),
	SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(open_tree), SCMP_SYS(move_mount),
	SCMP_SYS(fsopen), SCMP_SYS(fsconfig), SCMP_SYS(fsmount), SCMP_SYS(fspick),
	SCMP_SYS(mount_setattr), SCMP_SYS(open_by_handle_at), SCMP_SYS(name_to_handle_at),
	/* the kernel */
	SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(add_key), SCMP_SYS(request_key),
	SCMP_SYS(keyctl), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register), SCMP_SYS(userfaultfd), SCMP_SYS(fanotify_init),
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(swapon),
	SCMP_SYS(swapoff), SCMP_SYS(acct), SCMP_SYS(quotactl), SCMP_SYS(syslog),
	SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime),
	SCMP_SYS(adjtimex), SCMP_SYS(sethostname), SCMP_SYS(setdomainname), SCMP_SYS(iopl),
	SCMP_SYS(ioperm), SCMP_SYS(personality), SCMP_SYS(seccomp), SCMP_SYS(vhangup),
	SCMP_SYS(lookup_dcookie), SCMP_SYS(nfsservctl), SCMP_SYS(uselib), SCMP_SYS(mbind),
	SCMP_SYS(move_pages), SCMP_SYS(migrate_pages)};

const size_t sandbox_forbidden_count = COUNT_OF(sandbox_forbidden);

int sandbox_forbid(scmp_filter_ctx filter, const int *calls, size_t count)
{
	int result = 0;

	for (size_t i = 0; i < count && result == 0; i++)
		if (calls[i] >= 0)
			result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0);
	return result;
}

/* Children, but no namespaces for them; typing into a terminal is as good as running commands. */
static int forbid(scmp_filter_ctx filter)
{
	static const scmp_datum_t flags[] = {CLONE_NEWNS,    CLONE_NEWUTS, CLONE_NEWIPC,
					     CLONE_NEWPID,   CLONE_NEWNET, CLONE_NEWUSER,
					     CLONE_NEWCGROUP};
	static const scmp_datum_t ioctls[] = {TIOCSTI, TIOCLINUX};
	const struct scmp_arg_cmp of_another = {0, SCMP_CMP_NE, 0, 0};
	int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	if (result == 0)
		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64), 1,
					  of_another);
	if (result == 0)
		result = sandbox_forbid(filter, sandbox_forbidden, sandbox_forbidden_count);
	for (size_t i = 0; i < COUNT_OF(flags) && result == 0; i++) {
		const struct scmp_arg_cmp has = {0, SCMP_CMP_MASKED_EQ, flags[i], flags[i]};

		result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
					  has);
	}
	for (size_t i = 0; i < COUNT_OF(ioctls) && result == 0; i++) {
		const struct scmp_arg_cmp is = {1, SCMP_CMP_MASKED_EQ, 0xffffffff, ioctls[i]};

		result =
			seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1, is);
	}
	return result;
}

static int forbid_command(scmp_filter_ctx filter)
{
	int result = sandbox_forbid(filter, outward_calls, COUNT_OF(outward_calls));

	if (result == 0)
		result = forbid(filter);
	return result == 0 ? seccomp_load(filter) : result;
}

int sandbox_syscalls(enum sandbox_profile profile, enum sandbox_denial denial, struct err *err)
{
	uint32_t other =
		denial == SANDBOX_DENIAL_KILL ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(EPERM);
	scmp_filter_ctx filter =
		seccomp_init(profile == SANDBOX_COMMAND ? SCMP_ACT_ALLOW : other);
	int result;

	if (!filter)
		return err_set(err, ERR_MEMORY, "no memory for a seccomp filter");
	result = profile == SANDBOX_COMMAND ? forbid_command(filter) : fill(filter, profile);
	seccomp_release(filter);
	if (result < 0)
		return err_set_errno(err, -result, "seccomp");
	return 0;
}
