#include "supply/shellcheck.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/sandbox.h"
#include "parse/node.h"
#include "supply/child.h"

#define REPORT_BYTES_MAX ((size_t)256 << 20)
#define BATCH 200 /* scripts of one run */
#define PATH_BYTES 4096

/* --- Its report. */

static enum finding_severity severity_of(struct span level)
{
	if (span_eq(level, SPAN("error")))
		return FINDING_MEDIUM;
	return span_eq(level, SPAN("warning")) ? FINDING_LOW : FINDING_INFO;
}

static uint32_t number_at(const struct node *map, struct span key)
{
	uint64_t value;

	return span_to_u64(node_text_at(map, key), &value) && value <= UINT32_MAX
		       ? (uint32_t)value
		       : 0;
}

static int add_comment(const struct node *n, struct finding_list *findings, struct err *err)
{
	struct span file = node_text_at(n, SPAN("file"));
	char rule[40], link[80];
	struct finding f = {
		.severity = severity_of(node_text_at(n, SPAN("level"))),
		.message = node_text_at(n, SPAN("message")),
		.place = {.line = number_at(n, SPAN("line")),
			  .column = number_at(n, SPAN("column")),
			  .end_line = number_at(n, SPAN("endLine"))},
	};
	uint32_t code = number_at(n, SPAN("code"));

	if (span_starts_with(file, SPAN("./")))
		file = span_slice(file, 2, file.len);
	(void)snprintf(rule, sizeof(rule), "shellcheck-SC%u", code);
	(void)snprintf(link, sizeof(link), "https://www.shellcheck.net/wiki/SC%u", code);
	f.rule = span_cstr(rule);
	f.link = span_cstr(link);
	f.place.file = file;
	if (!file.len || !f.message.len || !code)
		return err_set(err, ERR_INVALID, "a comment without file, code or message");
	return finding_list_add(findings, &f) < 0
		       ? err_set(err, ERR_MEMORY, "the findings do not fit into memory")
		       : 0;
}

int shellcheck_read(struct span report, struct finding_list *findings, struct err *err)
{
	struct arena arena;
	const struct node *root;
	int result = 0;

	arena_init(&arena, REPORT_BYTES_MAX * 4, (size_t)1 << 16);
	root = node_parse_json(&arena, report, err);
	if (root && !node_is(node_get(root, SPAN("comments")), NODE_LIST))
		result = err_set(err, ERR_INVALID, "no list of comments");
	node_for_each(n, node_get(root, SPAN("comments"))) if (result == 0) result =
		add_comment(n, findings, err);
	arena_release(&arena);
	return root ? result : -1;
}

/* --- Running it. */

/* In $PATH; false when it is not installed. */
static bool find_program(char to[PATH_BYTES])
{
	struct span rest = span_cstr(getenv("PATH"));

	while (rest.ptr) {
		struct span folder = span_cut(&rest, ':');

		if (!folder.len || folder.ptr[0] != '/' ||
		    (size_t)snprintf(to, PATH_BYTES, "%.*s/shellcheck", SPAN_ARG(folder)) >=
			    PATH_BYTES)
			continue;
		if (access(to, X_OK) == 0)
			return true;
	}
	return false;
}

static int confine(const char *program, const char *readable, unsigned seconds)
{
	const struct rlimit cpu = {seconds, seconds}, none = {0, 0};
	const struct sandbox_path paths[] = {
		{readable, SANDBOX_READ, true},	   {program, SANDBOX_EXECUTE, true},
		{"/usr", SANDBOX_EXECUTE, true},   {"/lib", SANDBOX_EXECUTE, true},
		{"/lib64", SANDBOX_EXECUTE, true}, {"/etc/ld.so.cache", SANDBOX_READ, true},
		{"/dev/null", SANDBOX_READ, true},
	};
	int level;

	if (setrlimit(RLIMIT_CPU, &cpu) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
	    sandbox_paths(paths, COUNT_OF(paths), &level, NULL) < 0)
		return -1;
	return sandbox_syscalls(SANDBOX_COMMAND, SANDBOX_DENIAL_ERROR, NULL);
}

struct run {
	const char *program;
	const char *folder; /* to be in; NULL: where we are */
	const char *readable;
	char *argv[BATCH + 8];
};

NORETURN static void be_child(int to, struct run *r, unsigned seconds)
{
	char locale[] = "LC_ALL=C.UTF-8", home[] = "HOME=/nonexistent";
	char *environment[] = {locale, home, NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0 ||
	    dup2(to, STDOUT_FILENO) < 0 || (r->folder && chdir(r->folder) < 0) ||
	    confine(r->program, r->folder ? "." : r->readable, seconds) < 0)
		_exit(126);
	execve(r->program, r->argv, environment);
	_exit(127);
}

/* Its report on the scripts of r->argv, whose first words are not set yet. */
static int ask(struct run *r, unsigned seconds, struct buf *report, struct err *err)
{
	char name[] = "shellcheck", form[] = "--format=json1", rc[] = "--norc", ends[] = "--";
	char *const head[] = {name, form, rc, ends};
	int64_t deadline_ms = clock_ms() + (int64_t)seconds * 1000;
	int pipe_ends[2], status = 0, result;
	pid_t child;

	memcpy(r->argv, head, sizeof(head));
	if (pipe2(pipe_ends, O_CLOEXEC) < 0)
		return err_set_errno(err, errno, "cannot make a pipe");
	child = fork();
	if (child == 0)
		be_child(pipe_ends[1], r, seconds);
	(void)close(pipe_ends[1]);
	if (child < 0) {
		(void)close(pipe_ends[0]);
		return err_set_errno(err, errno, "cannot start a process");
	}
	result = child_read(pipe_ends[0], deadline_ms, report, err);
	(void)close(pipe_ends[0]);
	if (result < 0)
		(void)kill(child, SIGKILL);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (result < 0)
		return -1;
	/* 1: it has found something; 2: it could not read some of the files. */
	if (WIFSIGNALED(status) || WEXITSTATUS(status) > 2)
		return err_set(err, ERR_IO, "it ended with status %d",
			       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return 0;
}

static int run_batch(struct run *r, unsigned seconds, struct finding_list *findings,
		     struct err *err)
{
	struct buf report;
	int result;

	buf_init(&report, REPORT_BYTES_MAX);
	result = ask(r, seconds, &report, err);
	if (result == 0)
		result = shellcheck_read(buf_span(&report), findings, err);
	buf_release(&report);
	return result;
}

/* "./" before names: none begins with "-" then. */
static int run_all(struct run *r, const struct shellcheck *job, struct arena *names,
		   struct finding_list *findings, struct err *err)
{
	struct span rest = job->scripts;

	while (rest.len) {
		size_t count = 4;

		for (; rest.len && count < BATCH + 4; count++) {
			struct span one = span_cut(&rest, '\0');
			struct span name = arena_printf(
				names, "%s%.*s", one.len && one.ptr[0] == '/' ? "" : "./",
				SPAN_ARG(one));

			if (!name.ptr)
				return err_set(err, ERR_MEMORY, "out of memory");
			r->argv[count] = (char *)(uintptr_t)name.ptr;
		}
		r->argv[count] = NULL;
		if (run_batch(r, job->seconds, findings, err) < 0)
			return -1;
	}
	return 0;
}

int shellcheck_run(const struct shellcheck *job, struct finding_list *findings, struct err *err)
{
	char program[PATH_BYTES], folder[PATH_BYTES];
	struct run r = {.program = program};
	struct arena names;
	struct stat st;
	int result;

	if (!job->scripts.len || !find_program(program))
		return 0;
	if (stat(job->path, &st) < 0)
		return err_set_errno(err, errno, "%s", job->path);
	if (S_ISDIR(st.st_mode))
		r.folder = job->path;
	r.readable = child_readable(job->path, folder, sizeof(folder));
	arena_init(&names, (size_t)256 << 20, (size_t)1 << 16);
	result = run_all(&r, job, &names, findings, err);
	arena_release(&names);
	return result < 0 ? err_wrap(err, "ShellCheck") : 0;
}
