/*
 * command_helper.h - a process that starts programs for the server, which may not once it is
 * confined. It is forked before that, knows from the configuration what may be run, and is asked by
 * number, so that whoever breaks into the server can run nothing else through it. Questions and
 * answers are messages on sockets, of which it has one for each thread that asks.
 *
 * A program runs with no network, no new privileges, files readable where programs and system
 * settings are, writable only in a folder of its own that is removed afterwards and those that the
 * configuration names; with limits on time, memory, processes, files; without anything of our
 * environment. Its output is read up to a bound. Private to src/gateway.
 */
#ifndef GATEWAY_COMMAND_HELPER_H
#define GATEWAY_COMMAND_HELPER_H

#include <sys/types.h>

#include "config/config.h"

#define COMMAND_OUTPUT_MAX 4096
#define COMMAND_QUESTION_MAX ((size_t)96 << 10)
#define COMMAND_ARGUMENTS_MAX 32
#define COMMAND_VARIABLES_MAX 128

struct command_result {
	int code; /* exit status; -1: ended by a signal, or not started */
	int signal;
	bool timed_out;
	bool cut; /* there was more output */
	size_t output_len;
	char output[COMMAND_OUTPUT_MAX];
};

struct command_answer {
	uint32_t id; /* the question's */
	struct command_result result;
};

/* ---- in the helper --------------------------------------------------------------------------- */

#define COMMAND_FOLDER "/tmp/sallyport-run.XXXXXX"

struct command {
	const char *const *argv; /* ends with NULL; an absolute path first */
	const struct config_strings *read; /* NULL: nothing more */
	const struct config_strings *write;
	/* Beside PATH, LC_ALL, TMPDIR and HOME; `variable_count` of them. */
	char *const *variables;
	size_t variable_count;
	const char *folder; /* its own */
	int input; /* -1: nothing to read */
	bool errors; /* what it writes to its standard error is part of its output */
	uint64_t memory_bytes; /* of its address space; 0: 1 GiB */
	int64_t until_ms; /* clock_ms */
};

/* The program's own folder. False when it cannot be made. */
bool command_folder_make(char folder[sizeof(COMMAND_FOLDER)]);
void command_folder_remove(const char *folder);
/* Until it and all that it has started have ended, or the time is over. */
void command_run(const struct command *command, struct command_result *result);

/* ---- the server's side ----------------------------------------------------------------------- */

struct command_helper_options {
	const struct config *cfg; /* must outlive the helper */
	const char *name; /* of the process */
	unsigned at_once; /* more have to wait for one to end */
	/*
	 * In a child of the helper, that ends afterwards: does what the question (which begins with its
	 * id) asks. `fd` came with it, or -1.
	 */
	void (*serve)(const struct config *cfg, struct span question, int fd,
		      struct command_result *result);
};

/*
 * From the only thread, before it is confined. `fds`: this side's ends of `count` sockets. The helper
 * ends when all of them are closed. *pid is there in any case.
 */
int command_helper_start(const struct command_helper_options *options, int *fds, size_t count,
			 pid_t *pid, struct err *err) MUST_CHECK;
/* What it runs ends with it. */
void command_helper_stop(pid_t pid);

bool command_texts_same(const struct config_strings *a, const struct config_strings *b);

#endif
