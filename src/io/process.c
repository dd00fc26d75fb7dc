#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_FDS_MAX 64

/* Where the descriptors are parked in this process, so that no dup2 overwrites a later source. */
struct parked {
	int fds[CHILD_FDS_MAX]; /* by number in the child; -1 none */
	int highest;
};

static void close_parked(struct parked *parked)
{
	for (int to = 0; to < CHILD_FDS_MAX; to++)
		if (parked->fds[to] >= 0)
			close(parked->fds[to]);
}

static int park_fds(struct parked *parked, const struct process_options *options,
		    struct err *err)
{
	parked->highest = 2;
	for (int to = 0; to < CHILD_FDS_MAX; to++)
		parked->fds[to] = -1;
	for (size_t i = 0; i < options->fd_count; i++) {
		int to = options->fds[i].to;

		if (to < 0 || to >= CHILD_FDS_MAX || parked->fds[to] >= 0)
			return err_set(err, ERR_INVALID,
				       "descriptor %d cannot be given to a child", to);
		parked->fds[to] = fcntl(options->fds[i].from, F_DUPFD_CLOEXEC, CHILD_FDS_MAX);
		if (parked->fds[to] < 0)
			return err_set_errno(err, errno, "descriptor %d", options->fds[i].from);
		if (to > parked->highest)
			parked->highest = to;
	}
	return 0;
}

static int add_actions(posix_spawn_file_actions_t *actions, const struct parked *parked)
{
	int error = 0;

	for (int to = 0; to <= parked->highest && error == 0; to++) {
		if (parked->fds[to] >= 0)
			error = posix_spawn_file_actions_adddup2(actions, parked->fds[to], to);
		else if (to <= 2)
			error = posix_spawn_file_actions_addopen(actions, to, "/dev/null",
								 O_RDWR, 0);
		else
			error = posix_spawn_file_actions_addclose(actions, to);
	}
	if (error == 0)
		error = posix_spawn_file_actions_addclosefrom_np(actions, parked->highest + 1);
	return error;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	if (posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP |
							 POSIX_SPAWN_SETSIGMASK |
							 POSIX_SPAWN_SETSIGDEF) != 0 ||
	    posix_spawnattr_setpgroup(attributes, 0) != 0 ||
	    posix_spawnattr_setsigmask(attributes, &none) != 0 ||
	    posix_spawnattr_setsigdefault(attributes, &all) != 0)
		return EINVAL;
	return 0;
}

static int spawn(pid_t *pid, const struct process_options *options, const struct parked *parked)
{
	static const char *const no_env[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int error = posix_spawn_file_actions_init(&actions);

	if (error)
		return error;
	error = posix_spawnattr_init(&attributes);
	if (error) {
		posix_spawn_file_actions_destroy(&actions);
		return error;
	}
	error = add_actions(&actions, parked);
	if (error == 0)
		error = set_attributes(&attributes);
	if (error == 0)
		error = posix_spawn(
			pid, options->path, &actions, &attributes,
			(char *const *)(uintptr_t)options->argv,
			(char *const *)(uintptr_t)(options->env ? options->env : no_env));
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return error;
}

/* The child cannot be watched: it must not go on unattended. */
static int give_up(pid_t pid, int fd, const char *what, struct err *err)
{
	err_set_errno(err, errno, "%s", what);
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (fd >= 0)
		close(fd);
	return -1;
}

int process_start(struct process *process, const struct process_options *options,
		  struct err *err)
{
	struct parked parked;
	int result = park_fds(&parked, options, err);
	pid_t pid = 0;
	int error, fd;

	*process = (struct process){.watch.fd = -1};
	if (result == 0) {
		error = spawn(&pid, options, &parked);
		if (error)
			result = err_set_errno(err, error, "cannot start %s", options->path);
	}
	close_parked(&parked);
	if (result < 0)
		return -1;
	/* Its number cannot be used again before we have waited for it. */
	fd = pidfd_open(pid, PIDFD_NONBLOCK);
	if (fd < 0)
		return give_up(pid, -1, "pidfd_open", err);
	if (watch_add(&process->watch, fd, NULL, err) < 0)
		return give_up(pid, fd, "cannot watch a child", err);
	process->pid = pid;
	return 0;
}

/* True when the child has ended and is reaped. */
static bool reap(struct process *process, struct process_exit *how)
{
	int fd = process->watch.fd;
	siginfo_t info = {.si_pid = 0};

	if (waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) < 0) {
		/* Somebody else has reaped it: nothing is known but that it is gone. */
		if (errno != ECHILD)
			return false;
		info.si_code = CLD_EXITED;
		info.si_status = -1;
	} else if (info.si_pid == 0) {
		return false;
	}
	*how = (struct process_exit){.code = -1};
	if (info.si_code == CLD_EXITED)
		how->code = info.si_status;
	else
		how->signal = info.si_status;
	watch_remove(&process->watch);
	close(fd);
	process->pid = 0;
	return true;
}

int process_wait(struct process *process, int64_t deadline_ms, struct process_exit *how,
		 struct err *err)
{
	if (!process->pid)
		return err_set(err, ERR_INVALID, "the child has been waited for");
	while (!reap(process, how)) {
		enum fiber_wake wake;

		process->watch.ready = 0;
		wake = watch_wait(&process->watch, EPOLLIN, deadline_ms);
		if (wake == FIBER_TIMEOUT)
			return err_set(err, ERR_TIMEOUT, "the child has not ended in time");
		if (wake == FIBER_CANCELLED)
			return err_set(err, ERR_CANCELLED, "cancelled while a child runs");
	}
	return 0;
}

void process_signal(struct process *process, int signal)
{
	if (process->pid)
		kill(-process->pid, signal);
}

void process_kill(struct process *process, int64_t grace_ms, struct process_exit *how)
{
	bool cancelled = fiber_uncancel();
	siginfo_t info = {.si_pid = 0};

	if (process->pid && grace_ms > 0) {
		int64_t deadline_ms = loop_deadline_ms(grace_ms);

		process_signal(process, SIGTERM);
		/* Not reaped yet: its number, and so that of its group, must stay ours. */
		while (waitid(P_PIDFD, (id_t)process->watch.fd, &info,
			      WEXITED | WNOHANG | WNOWAIT) == 0 &&
		       info.si_pid == 0) {
			process->watch.ready = 0;
			if (watch_wait(&process->watch, EPOLLIN, deadline_ms) == FIBER_TIMEOUT)
				break;
		}
	}
	process_signal(process, SIGKILL);
	while (process->pid && !reap(process, how)) {
		process->watch.ready = 0;
		watch_wait(&process->watch, EPOLLIN, loop_deadline_ms(1000));
	}
	if (cancelled)
		fiber_cancel(fiber_self());
}
