#include "gateway/command_runner.h"

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
#include "base/log.h"
#include "base/mem.h"
#include "gateway/server_process.h"
#include "io/loop.h"
#include "io/sandbox.h"

/* At once; more have to wait for one to end. */
#define COMMANDS_MAX 8
#define ARGUMENTS_MAX 32
#define MEMORY_MAX ((rlim_t)1 << 30)
#define FILE_MAX ((rlim_t)64 << 20)
#define PROCESSES_MAX 256
#define ANSWER_MORE_MS 5000

struct question {
	uint32_t id;
	uint32_t procedure;
	uint32_t step;
};

struct answer {
	uint32_t id;
	int32_t code;
	int32_t signal;
	uint8_t timed_out;
	uint8_t cut;
	uint32_t output_len;
	char output[COMMAND_OUTPUT_MAX];
};

/* ---- the helper: a process of its own, without threads or a loop ----------------------------- */

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	(void)stat;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void limit(int resource, rlim_t value)
{
	struct rlimit limit = {value, value};

	if (setrlimit((__rlimit_resource_t)resource, &limit) < 0)
		_exit(126);
}

static void confine_command(const struct config_procedure_step *step, const char *folder)
{
	struct sandbox_path paths[16 + 8] = {
		{"/usr", SANDBOX_EXECUTE, true},
		{"/bin", SANDBOX_EXECUTE, true},
		{"/sbin", SANDBOX_EXECUTE, true},
		{"/lib", SANDBOX_EXECUTE, true},
		{"/lib64", SANDBOX_EXECUTE, true},
		{"/opt", SANDBOX_EXECUTE, true},
		{"/etc", SANDBOX_READ, true},
		{"/dev/null", SANDBOX_WRITE, true},
		{"/dev/urandom", SANDBOX_READ, true},
		{step->run.at[0].ptr, SANDBOX_EXECUTE, false},
		{folder, SANDBOX_WRITE, false},
	};
	size_t count = 11;
	struct err err;
	int level;

	for (size_t i = 0; i < step->write.count && count < COUNT_OF(paths); i++)
		paths[count++] =
			(struct sandbox_path){step->write.at[i].ptr, SANDBOX_WRITE, true};
	if (sandbox_paths(paths, count, &level, &err) < 0 ||
	    sandbox_syscalls(SANDBOX_COMMAND, SANDBOX_DENIAL_ERROR, &err) < 0) {
		dprintf(STDERR_FILENO, "%s\n", err.message);
		_exit(126);
	}
}

/* In the child: does not return. */
static void become_command(const struct config_procedure *procedure,
			   const struct config_procedure_step *step, const char *folder,
			   int output)
{
	char name[256], service[256], tmpdir[64], home[64];
	char *const env[] = {(char[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
			     (char[]){"LC_ALL=C.UTF-8"},
			     name,
			     service,
			     tmpdir,
			     home,
			     NULL};
	const char *argv[ARGUMENTS_MAX + 1] = {NULL};
	int null;

	/* Not to outlive the helper, which does not outlive the server. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(126);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	snprintf(name, sizeof(name), "SALLYPORT_PROCEDURE=%.*s", SPAN_ARG(procedure->name));
	snprintf(service, sizeof(service), "SALLYPORT_SERVICE=%.*s",
		 SPAN_ARG(procedure->service_name));
	snprintf(tmpdir, sizeof(tmpdir), "TMPDIR=%s", folder);
	snprintf(home, sizeof(home), "HOME=%s", folder);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(output, STDERR_FILENO) < 0 || close_range(3, ~0U, 0) < 0 ||
	    chdir(folder) < 0 || setpgid(0, 0) < 0)
		_exit(126);
	for (int i = 1; i < 32; i++)
		signal(i, SIG_DFL);
	umask(077);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_CPU, (rlim_t)(step->timeout_ms / 1000 + 1));
	limit(RLIMIT_FSIZE, FILE_MAX);
	limit(RLIMIT_NOFILE, 256);
	if (getuid() != 0)
		limit(RLIMIT_NPROC, PROCESSES_MAX);
	confine_command(step, folder);
	for (size_t i = 0; i < step->run.count && i < ARGUMENTS_MAX; i++)
		argv[i] = step->run.at[i].ptr;
	/* Last: until here it is our own memory that counts. */
	limit(RLIMIT_AS, MEMORY_MAX);
	execve(argv[0], (char *const *)(uintptr_t)argv, env);
	dprintf(STDERR_FILENO, "%s: errno %d\n", argv[0], errno);
	_exit(127);
}

/* What it writes, until it and all who could write have ended or the time is over. */
static void read_output(int fd, int64_t until_ms, struct answer *answer)
{
	char rest[4096] = {0};

	for (;;) {
		int64_t left_ms = until_ms - clock_ms();
		struct pollfd poll_fd = {fd, POLLIN, 0};
		size_t room = sizeof(answer->output) - answer->output_len;
		ssize_t got;

		if (left_ms <= 0 || poll(&poll_fd, 1, (int)left_ms) == 0) {
			answer->timed_out = true;
			return;
		}
		got = read(fd, room ? answer->output + answer->output_len : rest,
			   room ? room : sizeof(rest));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return;
		if (room)
			answer->output_len += (uint32_t)got;
		else
			answer->cut = true;
	}
}

/* It may have closed its output and go on. */
static void wait_for(pid_t pid, int64_t until_ms, struct answer *answer)
{
	int status = 0;

	while (!answer->timed_out && waitpid(pid, &status, WNOHANG) == 0) {
		if (clock_ms() >= until_ms)
			answer->timed_out = true;
		else
			usleep(20000);
	}
	kill(-pid, SIGKILL);
	if (answer->timed_out)
		waitpid(pid, &status, 0);
	answer->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	answer->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void run_command(const struct config_procedure *procedure,
			const struct config_procedure_step *step, struct answer *answer)
{
	char folder[] = "/tmp/sallyport-run.XXXXXX";
	int64_t until_ms = clock_ms() + (int64_t)step->timeout_ms;
	int fds[2];
	pid_t pid;

	answer->code = -1;
	if (!mkdtemp(folder) || pipe2(fds, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0)
		become_command(procedure, step, folder, fds[1]);
	close(fds[1]);
	if (pid > 0) {
		/* Both sides do it, so that it is done whoever comes first. */
		setpgid(pid, pid);
		read_output(fds[0], until_ms, answer);
		wait_for(pid, until_ms, answer);
	}
	close(fds[0]);
	nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void answer_question(const struct config *cfg, int fd, const struct question *question)
{
	struct answer answer = {.id = question->id, .code = -1};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(1);
	if (question->procedure < cfg->procedures.count &&
	    question->step < cfg->procedures.at[question->procedure].steps.count) {
		const struct config_procedure *procedure =
			&cfg->procedures.at[question->procedure];
		const struct config_procedure_step *step = &procedure->steps.at[question->step];

		if (step->run.count)
			run_command(procedure, step, &answer);
	}
	(void)send(fd, &answer, sizeof(answer), MSG_NOSIGNAL);
	_exit(0);
}

static void helper_main(const struct config *cfg, int fd)
{
	struct question question;
	unsigned running = 0;

	for (int i = 1; i < 32; i++)
		signal(i, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	for (;;) {
		ssize_t got = recv(fd, &question, sizeof(question), 0);
		pid_t pid;

		if (got < 0 && errno == EINTR)
			continue;
		/* The server has ended. */
		if (got != sizeof(question))
			_exit(0);
		while (running > 0 &&
		       waitpid(-1, NULL, running < COMMANDS_MAX ? WNOHANG : 0) > 0)
			running--;
		pid = fork();
		if (pid == 0)
			answer_question(cfg, fd, &question);
		if (pid > 0)
			running++;
	}
}

/* ---- the server's side ----------------------------------------------------------------------- */

struct call {
	struct call *next;
	struct fiber *fiber;
	uint32_t id;
	bool answered;
	struct answer answer;
};

struct command_runner {
	int fd;
	pid_t pid;
	struct watch watch;
	struct call *calls;
	uint32_t last_id;
	bool gone;
};

static bool has_commands(const struct config *cfg)
{
	for (size_t i = 0; i < cfg->procedures.count; i++)
		for (size_t j = 0; j < cfg->procedures.at[i].steps.count; j++)
			if (cfg->procedures.at[i].steps.at[j].run.count)
				return true;
	return false;
}

static bool same_texts(const struct config_strings *a, const struct config_strings *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!span_eq(a->at[i], b->at[i]))
			return false;
	return true;
}

static bool same_steps(const struct config_procedure *a, const struct config_procedure *b)
{
	if (!span_eq(a->name, b->name) || !span_eq(a->service_name, b->service_name) ||
	    a->steps.count != b->steps.count)
		return false;
	for (size_t i = 0; i < a->steps.count; i++)
		if (!same_texts(&a->steps.at[i].run, &b->steps.at[i].run) ||
		    !same_texts(&a->steps.at[i].write, &b->steps.at[i].write) ||
		    a->steps.at[i].timeout_ms != b->steps.at[i].timeout_ms)
			return false;
	return true;
}

bool command_runner_same(const struct config *a, const struct config *b)
{
	if (!has_commands(a) && !has_commands(b))
		return true;
	if (a->procedures.count != b->procedures.count)
		return false;
	for (size_t i = 0; i < a->procedures.count; i++)
		if (!same_steps(&a->procedures.at[i], &b->procedures.at[i]))
			return false;
	return true;
}

/* The helper must not outlive the server, nor hold what it has open. */
static void become_helper(const struct config *cfg, int fd, pid_t server)
{
	struct err err;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != server || dup2(fd, 3) < 0 ||
	    close_range(4, ~0U, 0) < 0 || confine_drop(cfg, &err) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		_exit(1);
	prctl(PR_SET_NAME, "commands");
	/* Changing the user has cleared it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != server)
		_exit(1);
	helper_main(cfg, 3);
}

int command_runner_new(struct command_runner **out, const struct config *cfg, struct err *err)
{
	struct command_runner *runner;
	pid_t server = getpid();
	int fds[2];

	*out = NULL;
	if (!has_commands(cfg))
		return 0;
	runner = mem_zalloc(1, sizeof(*runner));
	if (!runner)
		return err_set(err, ERR_MEMORY, "no memory for the helper that runs commands");
	runner->watch.fd = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
		mem_free(runner);
		return err_set_errno(err, errno, "no socket to the helper that runs commands");
	}
	runner->pid = fork();
	if (runner->pid == 0)
		become_helper(cfg, fds[1], server);
	close(fds[1]);
	runner->fd = fds[0];
	if (runner->pid < 0) {
		err_set_errno(err, errno, "cannot start the helper that runs commands");
		command_runner_free(runner);
		return -1;
	}
	*out = runner;
	return 0;
}

static void on_answer(struct watch *watch, uint32_t events)
{
	struct command_runner *runner = CONTAINER_OF(watch, struct command_runner, watch);
	struct answer answer;
	ssize_t got;

	(void)events;
	while ((got = recv(runner->fd, &answer, sizeof(answer), MSG_DONTWAIT)) ==
	       sizeof(answer))
		for (struct call *call = runner->calls; call; call = call->next)
			if (call->id == answer.id && !call->answered) {
				call->answer = answer;
				call->answered = true;
				fiber_wake(call->fiber);
			}
	if (got != 0)
		return;
	log_message(LOG_ERROR, "command.helper_gone", "no command can be run any more");
	runner->gone = true;
	watch_remove(watch);
	for (struct call *call = runner->calls; call; call = call->next)
		fiber_wake(call->fiber);
}

int command_runner_start(struct command_runner *runner, struct err *err)
{
	return runner ? watch_add(&runner->watch, runner->fd, on_answer, err) : 0;
}

void command_runner_free(struct command_runner *runner)
{
	if (!runner)
		return;
	if (runner->watch.fd >= 0)
		watch_remove(&runner->watch);
	if (runner->fd >= 0)
		close(runner->fd);
	if (runner->pid > 0) {
		/* It ends when it finds the socket closed; a child of its own may still answer. */
		kill(runner->pid, SIGKILL);
		waitpid(runner->pid, NULL, 0);
	}
	mem_free(runner);
}

static void forget(struct command_runner *runner, struct call *call)
{
	struct call **at = &runner->calls;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
}

int command_runner_call(struct command_runner *runner, uint32_t procedure, uint32_t step,
			struct command_result *result, struct err *err)
{
	struct call *call = mem_zalloc(1, sizeof(*call));
	struct question question;
	int64_t deadline_ms;
	bool answered;

	if (!call)
		return err_set(err, ERR_MEMORY, "no memory for a command");
	call->id = ++runner->last_id;
	call->fiber = fiber_self();
	question = (struct question){call->id, procedure, step};
	call->next = runner->calls;
	runner->calls = call;
	/* Longer than any step: the helper keeps the step's own time. */
	deadline_ms = loop_deadline_ms(600000 + ANSWER_MORE_MS);
	answered = send(runner->fd, &question, sizeof(question), MSG_NOSIGNAL | MSG_DONTWAIT) ==
		   sizeof(question);
	while (answered && !call->answered && !runner->gone &&
	       fiber_park(deadline_ms) == FIBER_EVENT)
		;
	answered = answered && call->answered;
	forget(runner, call);
	if (answered) {
		const struct answer *answer = &call->answer;

		*result = (struct command_result){.code = answer->code,
						  .signal = answer->signal,
						  .timed_out = answer->timed_out,
						  .cut = answer->cut,
						  .output_len = answer->output_len};
		if (result->output_len > sizeof(result->output))
			result->output_len = sizeof(result->output);
		memcpy(result->output, answer->output, result->output_len);
	}
	mem_free(call);
	return answered ? 0
			: err_set(err, ERR_UNAVAILABLE,
				  "the helper that runs commands does not answer");
}
