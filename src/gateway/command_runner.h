/*
 * command_runner.h - runs the commands of procedures (steps with `run`), in a helper process
 * (command_helper.h), which is told the numbers of procedure and step. Private to src/gateway.
 */
#ifndef GATEWAY_COMMAND_RUNNER_H
#define GATEWAY_COMMAND_RUNNER_H

#include "gateway/command_helper.h"

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

/*
 * Runs step `step` of procedure `procedure` (by place). 0 with *result, or -1 with *err when nothing
 * is known of it. Parks, for the step's timeout and a few seconds at most.
 */
int command_runner_call(struct command_runner *runner, uint32_t procedure, uint32_t step,
			struct command_result *result, struct err *err) MUST_CHECK;

#endif
