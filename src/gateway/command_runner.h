/*
 * command_runner.h - runs the commands of procedures (steps with `run`). The server process may not
 * start programs once it is confined: a helper, started before that, does it for it. The helper
 * knows the commands from the configuration that it was started with; it is told a number, not a
 * program, so that whoever breaks into the server can run nothing else through it.
 *
 * A command runs with no network, no new privileges, files readable where programs and system
 * settings are, writable only in a folder of its own that is removed afterwards and those that the
 * step names; with limits on time, memory, processes' files; without anything of our
 * environment. Its output is read up to a bound. Private to src/gateway.
 */
#ifndef GATEWAY_COMMAND_RUNNER_H
#define GATEWAY_COMMAND_RUNNER_H

#include "config/config.h"

#define COMMAND_OUTPUT_MAX 4096

struct command_runner;

/*
 * Starts the helper where the configuration has commands, else *out is NULL. From the only thread,
 * before it is confined; the configuration must outlive the runner.
 */
int command_runner_new(struct command_runner **out, const struct config *cfg,
		       struct err *err) MUST_CHECK;
/* In the loop of the calling thread. NULL is allowed. */
int command_runner_start(struct command_runner *runner, struct err *err) MUST_CHECK;
/* Ends the helper and what it runs. No call may be under way. NULL is allowed. */
void command_runner_free(struct command_runner *runner);

/* Whether a helper started with `a` would run the same for `b`. */
bool command_runner_same(const struct config *a, const struct config *b);

struct command_result {
	int code; /* exit status; -1: ended by a signal, or not started */
	int signal;
	bool timed_out;
	bool cut; /* there was more output */
	size_t output_len; /* of both its outputs */
	char output[COMMAND_OUTPUT_MAX];
};

/*
 * Runs step `step` of procedure `procedure` (by place). 0 with *result, or -1 with *err when nothing
 * is known of it. Parks, for the step's timeout and a few seconds at most.
 */
int command_runner_call(struct command_runner *runner, uint32_t procedure, uint32_t step,
			struct command_result *result, struct err *err) MUST_CHECK;

#endif
