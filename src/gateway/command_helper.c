#include "gateway/command_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/server_process.h"
#include "io/sandbox.h"

#define MEMORY_MAX ((rlim_t)1 << 30)
#define FILE_MAX ((rlim_t)64 << 20)
#define PROCESSES_MAX 256
#define PATHS_MAX 64
/* Threads that ask; and so is the number of processors that are made use of. */
#define CHANNELS_MAX 1024

/* ---- a program ------------------------------------------------------------------------------- */

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	return remove(path);
}

bool command_folder_make(char folder[sizeof(COMMAND_FOLDER)])
{
	memcpy(folder, COMMAND_FOLDER, sizeof(COMMAND_FOLDER));
	return mkdtemp(folder) != NULL;
}

void command_folder_remove(const char *folder)
{
	nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void limit(int resource, rlim_t value)
{
	struct rlimit limit = {value, value};

	if (setrlimit((__rlimit_resource_t)resource, &limit) < 0)
		_exit(126);
}

static size_t add_paths(struct sandbox_path *paths, size_t count,
			const struct config_strings *texts, enum sandbox_access access)
{
	for (size_t i = 0; texts && i < texts->count && count < PATHS_MAX; i++)
		paths[count++] = (struct sandbox_path){texts->at[i].ptr, access, true};
	return count;
}

static void confine_command(const struct command *command)
{
	struct sandbox_path paths[PATHS_MAX] = {
		{"/usr", SANDBOX_EXECUTE, true},
		{"/bin", SANDBOX_EXECUTE, true},
		{"/sbin", SANDBOX_EXECUTE, true},
		{"/lib", SANDBOX_EXECUTE, true},
		{"/lib64", SANDBOX_EXECUTE, true},
		{"/opt", SANDBOX_EXECUTE, true},
		{"/etc", SANDBOX_READ, true},
		{"/dev/null", SANDBOX_WRITE, true},
		{"/dev/urandom", SANDBOX_READ, true},
		{command->argv[0], SANDBOX_EXECUTE, false},
		{command->folder, SANDBOX_WRITE, false},
	};
	size_t count = 11;
	struct err err;
	int level;

	count = add_paths(paths, count, command->read, SANDBOX_READ);
	count = add_paths(paths, count, command->write, SANDBOX_WRITE);
	if (sandbox_paths(paths, count, &level, &err) < 0 ||
	    sandbox_syscalls(SANDBOX_COMMAND, SANDBOX_DENIAL_ERROR, &err) < 0) {
		dprintf(STDERR_FILENO, "%s\n", err.message);
		_exit(126);
	}
}

/* Standard input, output and error, and nothing else. */
static bool set_files(const struct command *command, int output)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int input = command->input >= 0 ? command->input : null;

	return null >= 0 && dup2(input, STDIN_FILENO) >= 0 &&
	       dup2(output, STDOUT_FILENO) >= 0 &&
	       dup2(command->errors ? output : null, STDERR_FILENO) >= 0 &&
	       close_range(3, ~0U, 0) == 0;
}

/* In the child: does not return. */
static void become_command(const struct command *command, int output)
{
	char tmpdir[64], home[64];
	char *env[4 + COMMAND_VARIABLES_MAX + 1] = {
		(char[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, (char[]){"LC_ALL=C.UTF-8"},
		tmpdir, home};
	int64_t seconds = (command->until_ms - clock_ms()) / 1000 + 1;

	/* Not to outlive the helper, which does not outlive the server. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(126);
	snprintf(tmpdir, sizeof(tmpdir), "TMPDIR=%s", command->folder);
	snprintf(home, sizeof(home), "HOME=%s", command->folder);
	for (size_t i = 0; i < command->variable_count && i < COMMAND_VARIABLES_MAX; i++)
		env[4 + i] = command->variables[i];
	if (!set_files(command, output) || chdir(command->folder) < 0 || setpgid(0, 0) < 0)
		_exit(126);
	for (int i = 1; i < 32; i++)
		signal(i, SIG_DFL);
	umask(077);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_CPU, (rlim_t)(seconds > 0 ? seconds : 1));
	limit(RLIMIT_FSIZE, FILE_MAX);
	limit(RLIMIT_NOFILE, 256);
	if (getuid() != 0)
		limit(RLIMIT_NPROC, PROCESSES_MAX);
	confine_command(command);
	/* Last: until here it is our own memory that counts. */
	limit(RLIMIT_AS, command->memory_bytes ? (rlim_t)command->memory_bytes : MEMORY_MAX);
	execve(command->argv[0], (char *const *)(uintptr_t)command->argv, env);
	dprintf(STDERR_FILENO, "%s: errno %d\n", command->argv[0], errno);
	_exit(127);
}

/* What it writes, until it and all who could write have ended or the time is over. */
static void read_output(int fd, int64_t until_ms, struct command_result *result)
{
	char rest[4096] = {0};

	for (;;) {
		int64_t left_ms = until_ms - clock_ms();
		struct pollfd poll_fd = {fd, POLLIN, 0};
		size_t room = sizeof(result->output) - result->output_len;
		int ready = left_ms > 0 ? poll(&poll_fd, 1, (int)left_ms) : 0;
		ssize_t got;

		if (ready == 0) {
			result->timed_out = true;
			return;
		}
		if (ready < 0)
			continue;
		got = read(fd, room ? result->output + result->output_len : rest,
			   room ? room : sizeof(rest));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return;
		if (room)
			result->output_len += (size_t)got;
		else
			result->cut = true;
	}
}

/* It may have closed its output and go on. */
static void wait_for(pid_t pid, int64_t until_ms, struct command_result *result)
{
	unsigned pause_us = 200;
	int status = 0;

	while (!result->timed_out && waitpid(pid, &status, WNOHANG) == 0) {
		if (clock_ms() >= until_ms)
			result->timed_out = true;
		else
			usleep(pause_us);
		pause_us = pause_us < 20000 ? 2 * pause_us : 20000;
	}
	kill(-pid, SIGKILL);
	if (result->timed_out)
		waitpid(pid, &status, 0);
	result->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	result->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* Of the one program that a child of the helper runs. */
static volatile sig_atomic_t running_group;
static volatile sig_atomic_t helper_has_ended;

/* The helper has ended, and so does the program; its folder is still to be removed. */
static void on_helper_end(int signal)
{
	(void)signal;
	helper_has_ended = 1;
	if (running_group > 0)
		kill(-running_group, SIGKILL);
}

void command_run(const struct command *command, struct command_result *result)
{
	int fds[2];
	pid_t pid;

	result->code = -1;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0)
		become_command(command, fds[1]);
	close(fds[1]);
	if (pid > 0) {
		/* Both sides do it, so that it is done whoever comes first. */
		setpgid(pid, pid);
		running_group = pid;
		if (helper_has_ended)
			kill(-pid, SIGKILL);
		read_output(fds[0], command->until_ms, result);
		wait_for(pid, command->until_ms, result);
		running_group = 0;
	}
	close(fds[0]);
}

/* ---- the helper: a process of its own, without threads or a loop ----------------------------- */

/* -1: the other side has closed; 0: nothing after all. *passed is a descriptor that came, or -1. */
static ssize_t receive(int fd, char *question, int *passed)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.room = {0}};
	struct iovec part = {question, COMMAND_QUESTION_MAX};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.room,
				 .msg_controllen = sizeof(control.room)};
	const struct cmsghdr *head;
	ssize_t got;

	*passed = -1;
	got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (got < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -1;
	head = CMSG_FIRSTHDR(&message);
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
		memcpy(passed, CMSG_DATA(head), sizeof(*passed));
	return got > 0 ? got : -1;
}

static void answer_question(const struct command_helper_options *options, int fd,
			    struct span question, int passed)
{
	struct command_answer answer = {.result = {.code = -1}};
	const struct sigaction action = {.sa_handler = on_helper_end};

	if (sigaction(SIGTERM, &action, NULL) < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		_exit(1);
	memcpy(&answer.id, question.ptr, sizeof(answer.id));
	options->serve(options->cfg, question, passed, &answer.result);
	(void)send(fd, &answer, sizeof(answer), MSG_NOSIGNAL);
	_exit(0);
}

/* Without a child to answer it. */
static void answer_failed(int fd, const char *question)
{
	struct command_answer answer = {.result = {.code = -1}};

	memcpy(&answer.id, question, sizeof(answer.id));
	(void)send(fd, &answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
}

struct helper {
	const struct command_helper_options *options;
	char *question;
	unsigned running;
};

static void take_question(struct helper *helper, struct pollfd *channel)
{
	unsigned at_once = helper->options->at_once;
	int passed;
	ssize_t got = receive(channel->fd, helper->question, &passed);
	pid_t pid;

	if (got < 0)
		channel->fd = -1; /* that side has ended; poll passes it over */
	if (got < (ssize_t)sizeof(uint32_t)) {
		if (passed >= 0)
			close(passed);
		return;
	}
	while (helper->running > 0 &&
	       waitpid(-1, NULL, helper->running < at_once ? WNOHANG : 0) > 0)
		helper->running--;
	pid = fork();
	if (pid == 0)
		answer_question(helper->options, channel->fd,
				span_of(helper->question, (size_t)got), passed);
	if (pid > 0)
		helper->running++;
	else
		answer_failed(channel->fd, helper->question);
	if (passed >= 0)
		close(passed);
}

static void helper_main(const struct command_helper_options *options, const int *fds,
			size_t count)
{
	struct helper helper = {.options = options,
				.question = mem_alloc(COMMAND_QUESTION_MAX)};
	struct pollfd *channels = mem_zalloc(count, sizeof(*channels));
	size_t open = count;

	for (int i = 1; i < 32; i++)
		signal(i, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (!channels || !helper.question)
		_exit(1);
	for (size_t i = 0; i < count; i++)
		channels[i] = (struct pollfd){fds[i], POLLIN, 0};
	while (open) {
		if (poll(channels, count, -1) < 0 && errno != EINTR)
			break;
		open = 0;
		for (size_t i = 0; i < count; i++) {
			if (channels[i].revents)
				take_question(&helper, &channels[i]);
			channels[i].revents = 0;
			open += channels[i].fd >= 0;
		}
	}
	_exit(0);
}

static int by_number(const void *a, const void *b)
{
	int left = *(const int *)a, right = *(const int *)b;

	return (left > right) - (left < right);
}

/* All but these, and what is 0 to 2. */
static int close_others(int *fds, size_t count)
{
	unsigned from = 3;

	qsort(fds, count, sizeof(*fds), by_number);
	for (size_t i = 0; i < count; i++) {
		if ((unsigned)fds[i] > from && close_range(from, (unsigned)fds[i] - 1, 0) < 0)
			return -1;
		from = (unsigned)fds[i] + 1;
	}
	return close_range(from, ~0U, 0);
}

/* The helper must not outlive the server, nor hold what it has open. */
static void become_helper(const struct command_helper_options *options, int *fds, size_t count,
			  pid_t server)
{
	struct err err;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != server ||
	    close_others(fds, count) < 0 || confine_drop(options->cfg, &err) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(1);
	prctl(PR_SET_NAME, options->name);
	/* Changing the user has cleared it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != server)
		_exit(1);
	helper_main(options, fds, count);
}

static void close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

static int open_channels(int *ours, int *theirs, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
			int why = errno;

			close_all(ours, i);
			close_all(theirs, i);
			return err_set_errno(err, why,
					     "no socket to the helper that runs commands");
		}
		ours[i] = pair[0];
		theirs[i] = pair[1];
	}
	return 0;
}

int command_helper_start(const struct command_helper_options *options, int *fds, size_t count,
			 pid_t *pid, struct err *err)
{
	pid_t server = getpid();
	int *theirs;
	int why;

	*pid = 0;
	if (count == 0 || count > CHANNELS_MAX)
		return err_set(err, ERR_LIMIT, "too many workers run commands");
	theirs = mem_zalloc(count, sizeof(*theirs));
	if (!theirs)
		return err_set(err, ERR_MEMORY, "no memory for the helper that runs commands");
	if (open_channels(fds, theirs, count, err) < 0) {
		mem_free(theirs);
		return -1;
	}
	*pid = fork();
	why = errno;
	if (*pid == 0)
		become_helper(options, theirs, count, server);
	close_all(theirs, count);
	mem_free(theirs);
	if (*pid > 0)
		return 0;
	*pid = 0;
	close_all(fds, count);
	return err_set_errno(err, why, "cannot start the helper that runs commands");
}

void command_helper_stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

bool command_texts_same(const struct config_strings *a, const struct config_strings *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!span_eq(a->at[i], b->at[i]))
			return false;
	return true;
}
