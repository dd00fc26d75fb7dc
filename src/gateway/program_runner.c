#include "gateway/program_runner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/command_channel.h"

/* The kernel's limit of one argument, with its NUL (execve(2), MAX_ARG_STRLEN). */
#define ARGUMENT_MAX ((size_t)128 << 10)
#define NAME_MAX_BYTES 64
#define ANSWER_MORE_MS 1000

enum content { CONTENT_NONE, CONTENT_ARGUMENT, CONTENT_FILE };

struct question {
	uint32_t id;
	uint32_t program;
	int64_t until_ms; /* clock_ms */
	uint32_t content; /* enum content */
	uint32_t environment_len;
	uint32_t name_len;
	/* The environment follows, then the file's name. */
};

/* ---- in the helper --------------------------------------------------------------------------- */

static bool is_plain_name(struct span name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = ascii_lower(name.ptr[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
		      c == '_' || (c == '.' && i > 0)))
			return false;
	}
	return name.len > 0 && name.len <= NAME_MAX_BYTES;
}

/* The content as a file in the program's folder. */
static bool write_file(const char *path, int content)
{
	int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	off_t at = 0;
	ssize_t sent = 1;

	if (file < 0)
		return false;
	while (sent > 0)
		sent = sendfile(file, content, &at, 1 << 20);
	return close(file) == 0 && sent == 0;
}

/* The content as an argument, which cannot have a NUL in it. */
static bool read_argument(char *to, int content)
{
	ssize_t got = pread(content, to, ARGUMENT_MAX, 0);

	if (got < 0 || (size_t)got >= ARGUMENT_MAX)
		return false;
	to[got] = '\0';
	return strlen(to) == (size_t)got;
}

static bool prepare(const struct question *question, struct span name, const char *folder,
		    int content, char *argument)
{
	if (question->content == CONTENT_NONE)
		return true;
	if (content < 0 || lseek(content, 0, SEEK_SET) != 0)
		return false;
	if (question->content == CONTENT_ARGUMENT)
		return read_argument(argument, content);
	snprintf(argument, ARGUMENT_MAX, "%s/%.*s", folder, SPAN_ARG(name));
	return is_plain_name(name) && write_file(argument, content);
}

static void run_program(const struct config_waf_programs *programs,
			const struct question *question, struct span environment,
			struct span name, int content, struct command_result *result)
{
	char *argument = mem_alloc(ARGUMENT_MAX);
	char folder[sizeof(COMMAND_FOLDER)];
	char *variables[COMMAND_VARIABLES_MAX];
	const char *argv[3] = {programs->allow.at[question->program].ptr};
	struct command command = {.argv = argv,
				  .read = &programs->read,
				  .write = &programs->write,
				  .variables = variables,
				  .folder = folder,
				  .input = content,
				  .memory_bytes = programs->memory_bytes,
				  .until_ms = question->until_ms};

	while (environment.len && command.variable_count < COMMAND_VARIABLES_MAX) {
		variables[command.variable_count++] = (char *)(uintptr_t)environment.ptr;
		(void)span_cut(&environment, '\0');
	}
	/* Nothing is left out without a word: then it is not run. */
	if (!argument || environment.len || !command_folder_make(folder))
		return;
	if (prepare(question, name, folder, content, argument)) {
		argv[1] = question->content == CONTENT_NONE ? NULL : argument;
		command_run(&command, result);
	}
	command_folder_remove(folder);
}

static void serve(const struct config *cfg, struct span bytes, int content,
		  struct command_result *result)
{
	struct question question;
	struct span rest = span_slice(bytes, sizeof(question), bytes.len);

	if (bytes.len < sizeof(question) || !cfg->waf)
		return;
	memcpy(&question, bytes.ptr, sizeof(question));
	if ((uint64_t)question.environment_len + question.name_len != rest.len ||
	    question.program >= cfg->waf->programs.allow.count ||
	    (question.environment_len && rest.ptr[question.environment_len - 1] != '\0'))
		return;
	result->timed_out = clock_ms() >= question.until_ms;
	if (!result->timed_out)
		run_program(&cfg->waf->programs, &question,
			    span_slice(rest, 0, question.environment_len),
			    span_slice(rest, question.environment_len, rest.len), content,
			    result);
}

/* ---- the server's side ----------------------------------------------------------------------- */

struct program_helper {
	const struct config_waf_programs *programs;
	pid_t pid;
	size_t count;
	int fds[];
};

struct program_runner {
	struct command_channel channel; /* first */
	const struct config_waf_programs *programs;
	unsigned under_way; /* that have been asked or told, and not answered */
	int64_t all_ended_ms; /* loop_now_ms time */
	void (*failed)(void *context, const char *why);
	void *context;
};

static bool has_programs(const struct config *cfg)
{
	return cfg->waf && cfg->waf->programs.allow.count > 0;
}

int program_helper_new(struct program_helper **out, const struct config *cfg, unsigned workers,
		       struct err *err)
{
	struct command_helper_options options = {
		.cfg = cfg, .name = "programs", .serve = serve};
	struct program_helper *helper;

	*out = NULL;
	if (!has_programs(cfg))
		return 0;
	options.at_once = cfg->waf->programs.at_once;
	helper = mem_zalloc(1, sizeof(*helper) + workers * sizeof(helper->fds[0]));
	if (!helper)
		return err_set(err, ERR_MEMORY, "no memory for the helper that runs programs");
	helper->programs = &cfg->waf->programs;
	helper->count = workers;
	if (command_helper_start(&options, helper->fds, workers, &helper->pid, err) < 0) {
		mem_free(helper);
		return -1;
	}
	*out = helper;
	return 0;
}

void program_helper_free(struct program_helper *helper)
{
	if (!helper)
		return;
	for (size_t i = 0; i < helper->count; i++)
		close(helper->fds[i]);
	command_helper_stop(helper->pid);
	mem_free(helper);
}

bool program_helper_same(const struct config *a, const struct config *b)
{
	const struct config_waf_programs *p, *q;

	if (!has_programs(a) && !has_programs(b))
		return true;
	if (!has_programs(a) || !has_programs(b))
		return false;
	p = &a->waf->programs;
	q = &b->waf->programs;
	return command_texts_same(&p->allow, &q->allow) &&
	       command_texts_same(&p->read, &q->read) &&
	       command_texts_same(&p->write, &q->write) && p->memory_bytes == q->memory_bytes &&
	       p->timeout_ms == q->timeout_ms && p->at_once == q->at_once;
}

static const char *problem_of(const struct command_result *result)
{
	if (result->timed_out)
		return "it was killed after its time";
	if (result->signal)
		return "a signal has ended it";
	if (result->code == 126 || result->code == 127 || result->code < 0)
		return "it could not be run";
	return NULL;
}

/* Of exec, or of one that was waited for no longer. */
static void on_late(struct command_channel *channel, const struct command_answer *answer)
{
	struct program_runner *runner = CONTAINER_OF(channel, struct program_runner, channel);
	const char *problem = problem_of(&answer->result);

	if (runner->under_way > 0)
		runner->under_way--;
	if (problem && runner->failed)
		runner->failed(runner->context, problem);
}

struct program_runner *program_runner_new(struct program_helper *helper, unsigned worker,
					  void (*failed)(void *context, const char *why),
					  void *context, struct err *err)
{
	struct program_runner *runner = mem_zalloc(1, sizeof(*runner));

	if (!runner) {
		err_set(err, ERR_MEMORY, "no memory for programs");
		return NULL;
	}
	runner->programs = helper->programs;
	runner->failed = failed;
	runner->context = context;
	runner->channel.watch.fd = -1;
	runner->channel.late = on_late;
	if (command_channel_start(&runner->channel, helper->fds[worker], err) < 0) {
		mem_free(runner);
		return NULL;
	}
	return runner;
}

void program_runner_free(struct program_runner *runner)
{
	if (!runner)
		return;
	command_channel_stop(&runner->channel);
	mem_free(runner);
}

/* In memory, and so may be as long as a body. */
static int content_file(struct span content, struct err *err)
{
	int fd = memfd_create("waf", MFD_CLOEXEC);
	size_t done = 0;

	while (fd >= 0 && done < content.len) {
		ssize_t wrote = write(fd, content.ptr + done, content.len - done);

		if (wrote <= 0 && errno != EINTR) {
			close(fd);
			fd = -1;
		}
		done += wrote > 0 ? (size_t)wrote : 0;
	}
	if (fd < 0)
		err_set_errno(err, errno, "no memory for what a program is to see");
	return fd;
}

/* NULL with *err. */
static struct question *write_question(const struct program_runner *runner,
				       const struct waf_program_call *call, size_t *len,
				       struct err *err)
{
	struct question *question;
	char *rest;

	*len = sizeof(*question) + call->environment.len + call->file_name.len;
	if (*len > COMMAND_QUESTION_MAX ||
	    (!call->file_name.len && call->content.len >= ARGUMENT_MAX)) {
		err_set(err, ERR_LIMIT, "it is too long to be given to a program");
		return NULL;
	}
	question = mem_zalloc(1, *len);
	if (!question) {
		err_set(err, ERR_MEMORY, "no memory for a program");
		return NULL;
	}
	question->program = call->program;
	question->until_ms = clock_ms() + (int64_t)runner->programs->timeout_ms;
	if (call->content.ptr)
		question->content = call->file_name.len ? CONTENT_FILE : CONTENT_ARGUMENT;
	question->environment_len = (uint32_t)call->environment.len;
	question->name_len = (uint32_t)call->file_name.len;
	rest = (char *)(question + 1);
	if (call->environment.len)
		memcpy(rest, call->environment.ptr, call->environment.len);
	if (call->file_name.len)
		memcpy(rest + call->environment.len, call->file_name.ptr, call->file_name.len);
	return question;
}

/*
 * As many may wait as run at once; more would not be served in time. None of which the time has
 * passed is under way, whatever has become of its answer.
 */
static int take_place(struct program_runner *runner, struct err *err)
{
	if (loop_now_ms() > runner->all_ended_ms)
		runner->under_way = 0;
	if (runner->under_way >= 2 * runner->programs->at_once)
		return err_set(err, ERR_UNAVAILABLE, "too many programs are under way");
	runner->all_ended_ms =
		loop_deadline_ms((int64_t)runner->programs->timeout_ms + 2 * ANSWER_MORE_MS);
	return 0;
}

static int ask(struct program_runner *runner, const struct waf_program_call *call,
	       struct question *question, size_t question_len, struct command_result *result,
	       struct err *err)
{
	int64_t wait_ms = (int64_t)runner->programs->timeout_ms + ANSWER_MORE_MS;
	int content = content_file(call->content, err);
	int asked;

	if (content < 0)
		return -1;
	runner->under_way++;
	asked = command_channel_ask(&runner->channel, question, question_len, content,
				    loop_deadline_ms(wait_ms), result, err);
	close(content);
	/* No answer will come of what has not been sent. */
	if (asked < 0 && err->code != ERR_TIMEOUT)
		runner->under_way--;
	return asked;
}

int program_runner_ask(struct program_runner *runner, const struct waf_program_call *call,
		       char *output, size_t size, size_t *len, struct err *err)
{
	struct command_result *result = mem_zalloc(1, sizeof(*result));
	size_t question_len;
	struct question *question = write_question(runner, call, &question_len, err);
	const char *problem;
	int asked = -1;

	if (!result)
		err_set(err, ERR_MEMORY, "no memory for a program");
	else if (question && take_place(runner, err) == 0)
		asked = ask(runner, call, question, question_len, result, err);
	if (asked == 0) {
		runner->under_way--;
		problem = problem_of(result);
		*len = result->output_len < size ? result->output_len : size;
		memcpy(output, result->output, *len);
		if (problem)
			asked = err_set(err, ERR_UNAVAILABLE, "%s", problem);
	}
	mem_free(question);
	mem_free(result);
	return asked;
}

int program_runner_tell(struct program_runner *runner, const struct waf_program_call *call,
			struct err *err)
{
	size_t len;
	struct question *question = write_question(runner, call, &len, err);
	int told = -1;

	if (question && take_place(runner, err) == 0)
		told = command_channel_tell(&runner->channel, question, len, -1, err);
	if (told == 0)
		runner->under_way++;
	mem_free(question);
	return told;
}
