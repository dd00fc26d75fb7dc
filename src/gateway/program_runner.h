/*
 * program_runner.h - runs the programs that rules of the firewall name (@inspectFile, exec), in a
 * helper process (command_helper.h) that knows them from `waf.programs.allow` and is told their
 * numbers. What they are asked about goes in a file in memory. Private to src/gateway.
 */
#ifndef GATEWAY_PROGRAM_RUNNER_H
#define GATEWAY_PROGRAM_RUNNER_H

#include "gateway/command_helper.h"
#include "waf/waf.h"

struct program_helper;
struct program_runner;

/*
 * Starts the helper where the configuration allows programs, else *out is NULL. From the only thread,
 * before it is confined; the configuration must outlive it.
 */
int program_helper_new(struct program_helper **out, const struct config *cfg, unsigned workers,
		       struct err *err) MUST_CHECK;
/* Ends the helper and what it runs, after the last runner. NULL is allowed. */
void program_helper_free(struct program_helper *helper);
/* Whether a helper started with `a` would run the same for `b`. */
bool program_helper_same(const struct config *a, const struct config *b);

/* Of one worker, in its loop. `failed`, NULL or not, is told of programs that were only told. */
struct program_runner *program_runner_new(struct program_helper *helper, unsigned worker,
					  void (*failed)(void *context, const char *why),
					  void *context, struct err *err) MUST_CHECK;
/* No call may be under way. NULL is allowed. */
void program_runner_free(struct program_runner *runner);

/*
 * Runs the program and gives the beginning of its output, `size` bytes at most. 0, or -1 with *err
 * when it has not ended by itself in time, or could not be run. Parks.
 */
int program_runner_ask(struct program_runner *runner, const struct waf_program_call *call,
		       char *output, size_t size, size_t *len, struct err *err) MUST_CHECK;
/* Has it run. 0, or -1 with *err: too many have not ended yet. */
int program_runner_tell(struct program_runner *runner, const struct waf_program_call *call,
			struct err *err) MUST_CHECK;

#endif
