/*
 * command_channel.h - one thread's side of a socket to a helper that runs commands
 * (command_helper.h): questions go out, fibers wait for answers. Private to src/gateway.
 */
#ifndef GATEWAY_COMMAND_CHANNEL_H
#define GATEWAY_COMMAND_CHANNEL_H

#include "base/list.h"
#include "gateway/command_helper.h"
#include "io/loop.h"

struct command_channel {
	int fd; /* not ours to close */
	struct watch watch;
	struct list calls; /* that wait for an answer */
	uint32_t last_id;
	bool gone;
	/* Of an answer for which nobody waits (any more). May be NULL. */
	void (*late)(struct command_channel *channel, const struct command_answer *answer);
};

/* In the loop of the calling thread. */
int command_channel_start(struct command_channel *channel, int fd, struct err *err) MUST_CHECK;
/* No call may be under way. Nothing when it has not been started. */
void command_channel_stop(struct command_channel *channel);

/*
 * Sends a question without waiting for its answer; `question` begins with room for its id, which is
 * filled in. `passed` goes with it, or -1. 0, or -1 with *err: ERR_UNAVAILABLE.
 */
int command_channel_tell(struct command_channel *channel, void *question, size_t len,
			 int passed, struct err *err) MUST_CHECK;
/*
 * The same, and parks until the answer has come, or the deadline. 0 with *result, or -1 with *err
 * when nothing is known of it: with ERR_TIMEOUT an answer may still come.
 */
int command_channel_ask(struct command_channel *channel, void *question, size_t len, int passed,
			int64_t deadline_ms, struct command_result *result,
			struct err *err) MUST_CHECK;

#endif
