/* cmd_iast.c - iast: watches from inside a service what becomes of its requests. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/policy_work.h"
#include "iast/collect.h"
#include "supply/report.h"

#define MEMORY_BYTES ((size_t)64 << 20)
#define QUEUE_BYTES (4 << 20)

struct watch {
	const struct options *given;
	struct arena arena;
	struct iast_collection collection;
	struct finding_list findings;
	struct policy policy;
	struct inventory inventory; /* empty: results are asked together with one */
	struct result_list results;
	int64_t now_s;
	char folder[32]; /* of the socket, when it is ours */
	char socket_path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char agent[PATH_MAX];
	int fd;
};

static volatile sig_atomic_t asked_to_end;

static void on_signal(int signal)
{
	(void)signal;
	asked_to_end = 1;
}

static int out_of_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "out of memory");
}

/* ---- the agent and its socket ---------------------------------------------------------------- */

/* Beside the program in its build folder, or where both were installed. */
static int find_agent(struct watch *w, struct err *err)
{
	static const char *const places[] = {"../iast", "../lib/sallyport",
					     "../lib/x86_64-linux-gnu/sallyport",
					     "../lib/aarch64-linux-gnu/sallyport"};
	const char *given = options_text(w->given, "agent");
	char self[PATH_MAX], path[PATH_MAX + 80];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (given && !realpath(given, w->agent))
		return err_set_errno(err, errno, "%s", given);
	if (given)
		return 0;
	while (len > 0 && self[len - 1] != '/')
		len--;
	for (size_t i = 0; len > 0 && i < COUNT_OF(places); i++) {
		(void)snprintf(path, sizeof(path), "%.*s%s/libsallyport-iast.so", (int)len,
			       self, places[i]);
		if (realpath(path, w->agent))
			return 0;
	}
	return err_set(err, ERR_NOT_FOUND,
		       "libsallyport-iast.so is not beside this program: say where it is "
		       "(--agent)");
}

static int open_socket(struct watch *w, struct err *err)
{
	const char *given = options_text(w->given, "socket");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int size = QUEUE_BYTES;

	if (!given) {
		(void)snprintf(w->folder, sizeof(w->folder), "/tmp/sallyport-iast.XXXXXX");
		if (!mkdtemp(w->folder))
			return err_set_errno(err, errno, "cannot make a folder in /tmp");
		(void)snprintf(w->socket_path, sizeof(w->socket_path), "%s/socket", w->folder);
	} else if (strlen(given) >= sizeof(w->socket_path)) {
		return err_set(err, ERR_INVALID, "the name of the socket is too long");
	} else {
		(void)snprintf(w->socket_path, sizeof(w->socket_path), "%s", given);
	}
	memcpy(address.sun_path, w->socket_path, sizeof(address.sun_path));
	w->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (w->fd < 0 || bind(w->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return err_set_errno(err, errno, "%s", w->socket_path);
	(void)setsockopt(w->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return 0;
}

static void close_socket(struct watch *w)
{
	if (w->fd < 0)
		return;
	close(w->fd);
	(void)unlink(w->socket_path);
	if (w->folder[0])
		(void)rmdir(w->folder);
}

/* ---- the service ----------------------------------------------------------------------------- */

/* The environment with the agent in it; freed with the process. */
static char **environment(struct watch *w)
{
	const char *before = getenv("LD_PRELOAD");
	size_t count = 0;
	char **to;

	while (environ[count])
		count++;
	to = arena_array(&w->arena, char *, count + 3);
	if (!to)
		return NULL;
	for (size_t i = 0, n = 0; i < count; i++)
		if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0)
			to[n++] = environ[i];
	for (count = 0; to[count];)
		count++;
	to[count] = (char *)(uintptr_t)arena_printf(&w->arena, "LD_PRELOAD=%s%s%s", w->agent,
						    before ? ":" : "", before ? before : "")
			    .ptr;
	to[count + 1] =
		(char *)(uintptr_t)arena_printf(&w->arena, "SALLYPORT_IAST=%s", w->socket_path)
			.ptr;
	return to[count] && to[count + 1] ? to : NULL;
}

static int start_service(struct watch *w, pid_t *pid, struct err *err)
{
	const char *argv[OPERANDS_MAX + 1] = {NULL};
	char **env = environment(w);
	int result;

	*pid = 0;
	if (!w->given->operand_count)
		return 0;
	if (!env)
		return out_of_memory(err);
	for (size_t i = 0; i < w->given->operand_count; i++)
		argv[i] = options_operand(w->given, i);
	result = posix_spawnp(pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, env);
	return result == 0 ? 0 : err_set_errno(err, result, "%s", argv[0]);
}

static int take_all(struct watch *w)
{
	char text[IAST_RECORD_BYTES];
	ssize_t n;

	while ((n = recv(w->fd, text, sizeof(text), 0)) >= 0)
		if (iast_collection_add(&w->collection, span_of(text, (size_t)n)) < 0)
			return -1;
	return 0;
}

/* Until the service has ended, or we are told to; then it is told to end, too. */
static int watch_service(struct watch *w, pid_t pid, int *status, struct err *err)
{
	int pid_fd = pid ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	bool ended = false, told = false;

	while (!ended && !(asked_to_end && !pid)) {
		struct pollfd waits[2] = {{.fd = w->fd, .events = POLLIN},
					  {.fd = pid_fd, .events = POLLIN}};

		if (asked_to_end && pid && !told) {
			(void)kill(pid, SIGTERM);
			told = true;
		}
		(void)poll(waits, 2, 200);
		if (take_all(w) < 0)
			return out_of_memory(err);
		ended = pid && waitpid(pid, status, WNOHANG) == pid;
	}
	if (pid_fd >= 0)
		close(pid_fd);
	return take_all(w) < 0 ? out_of_memory(err) : 0;
}

/* ---- what comes of it ------------------------------------------------------------------------ */

static int judge(struct watch *w, struct err *err)
{
	if (iast_collection_find(&w->collection, &w->findings) < 0)
		return out_of_memory(err);
	return policy_work_judge(&w->policy, &w->findings, w->now_s, &w->results, err);
}

static int write_report(const struct watch *w, const struct report *report, struct buf *out)
{
	const char *format = options_text(w->given, "format");

	if (strcmp(format, "sarif") == 0)
		return report_sarif(report, out);
	if (strcmp(format, "json") == 0)
		report_json(report, out);
	else if (strcmp(format, "markdown") == 0)
		report_markdown(report, out);
	else
		report_table(report, out);
	return 0;
}

static int print(const struct watch *w, struct err *err)
{
	const char *to = options_text(w->given, "output");
	const char *target = options_operand(w->given, 0);
	struct report report = {.inventory = &w->inventory,
				.results = &w->results,
				.version = SPAN(SALLYPORT_VERSION),
				.target = span_cstr(target ? target : "services"),
				.now_s = w->now_s,
				.coloured = !to && output_is_coloured(w->given, STDOUT_FILENO)};
	struct buf out;
	int result;

	buf_init(&out, OUTPUT_MAX_BYTES);
	if (write_report(w, &report, &out) < 0)
		out.failed = true;
	if (!to)
		return output_text(&out) == EXIT_STATUS_OK
			       ? 0
			       : err_set(err, ERR_IO, "the report could not be written");
	result = output_file(to, &out, err);
	buf_release(&out);
	return result;
}

static void warn_of_losses(const struct watch *w)
{
	if (w->collection.unreadable || w->collection.dropped)
		fprintf(stderr,
			"sallyport: warning: %llu records could not be read, %llu were too "
			"many\n",
			(unsigned long long)w->collection.unreadable,
			(unsigned long long)w->collection.dropped);
}

static int work(struct watch *w, int *status, struct err *err)
{
	struct sigaction action = {.sa_handler = on_signal};
	pid_t pid;

	if (policy_work_load(&w->policy, options_text(w->given, "policy"), err) < 0 ||
	    find_agent(w, err) < 0 || open_socket(w, err) < 0)
		return -1;
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	if (!w->given->operand_count)
		fprintf(stderr,
			"sallyport: start services with\n  LD_PRELOAD=%s SALLYPORT_IAST=%s\n"
			"and end this with Ctrl-C\n",
			w->agent, w->socket_path);
	if (start_service(w, &pid, err) < 0 || watch_service(w, pid, status, err) < 0 ||
	    judge(w, err) < 0)
		return -1;
	warn_of_losses(w);
	return print(w, err);
}

static enum exit_status run(const struct options *given)
{
	struct watch w = {.given = given, .fd = -1, .now_s = clock_unix_s()};
	struct err err = {.code = ERR_NONE};
	enum exit_status result = EXIT_STATUS_FAILED;
	int status = 0;

	arena_init(&w.arena, MEMORY_BYTES, 65536);
	iast_collection_init(&w.collection, &w.arena);
	finding_list_init(&w.findings, &w.arena);
	inventory_init(&w.inventory, MEMORY_BYTES);
	result_list_init(&w.results, &w.inventory);
	if (work(&w, &status, &err) < 0)
		output_error(given, &err);
	else if (!result_failures(&w.results))
		result = EXIT_STATUS_OK;
	close_socket(&w);
	result_list_release(&w.results);
	inventory_release(&w.inventory);
	policy_release(&w.policy);
	arena_release(&w.arena);
	return result;
}

static const char *const formats[] = {"table", "json", "markdown", "sarif", NULL};

static const struct option_spec options[] = {
	{.name = "agent",
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "The agent, libsallyport-iast.so, when it is not beside this program.",
	 .environment = "SALLYPORT_IAST_AGENT"},
	{.name = "format",
	 .short_name = 'f',
	 .kind = OPTION_CHOICE,
	 .argument = "FORM",
	 .help = "How to print findings: table; json; markdown; or sarif.",
	 .initial = "table",
	 .choices = formats},
	{.name = "output",
	 .short_name = 'o',
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "Where to write them instead of standard output."},
	{.name = "policy",
	 .short_name = 'p',
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "Which findings fail; without, what holds without a policy.",
	 .environment = "SALLYPORT_POLICY"},
	{.name = "socket",
	 .kind = OPTION_FILE,
	 .argument = "PATH",
	 .help = "Where agents tell what they see, for services in containers; made and "
		 "removed "
		 "again."},
	{.name = NULL}};

static const struct operand_spec operands[] = {
	{.name = "COMMAND",
	 .help = "The service to start, with its arguments, behind \"--\".",
	 .many = true},
	{.name = NULL}};

static const struct command_example examples[] = {
	{"sallyport iast -- python3 app.py", "Watch a service while its tests run."},
	{"sallyport iast -f sarif -o iast.sarif -- ./server", "For a code host or an editor."},
	{"sallyport iast --socket /run/iast/socket",
	 "Watch services that are started elsewhere, with the environment that it prints."},
	{NULL, NULL}};

const struct command cmd_iast = {
	.name = "iast",
	.summary = "watch inside a service whether requests reach where they do harm",
	.description =
		"Starts a service with an agent in it (LD_PRELOAD), and ends with it. While "
		"the "
		"service's ordinary tests run, the agent sees whether values of requests are "
		"written into SQL statements or lines of shell, choose files or hosts, or come "
		"back in pages. No attack is needed: that a statement is made of a request "
		"shows "
		"with two harmless values.\n\n"
		"Ends with 1 when a finding fails the policy.",
	.options = options,
	.operands = operands,
	.examples = examples,
	.run = run};
