#include "gateway/command_channel.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"

struct command_call {
	struct list link;
	struct fiber *fiber;
	uint32_t id;
	bool answered;
	struct command_result *result; /* the waiting caller's */
};

static void take_answer(struct command_channel *channel, const struct command_answer *answer)
{
	list_for_each (node, &channel->calls) {
		struct command_call *call = list_entry(node, struct command_call, link);

		if (call->id != answer->id || call->answered)
			continue;
		*call->result = answer->result;
		if (call->result->output_len > sizeof(call->result->output))
			call->result->output_len = sizeof(call->result->output);
		call->answered = true;
		fiber_wake(call->fiber);
		return;
	}
	if (channel->late)
		channel->late(channel, answer);
}

static void on_answer(struct watch *watch, uint32_t events)
{
	struct command_channel *channel = CONTAINER_OF(watch, struct command_channel, watch);
	struct command_answer answer;
	ssize_t got;

	(void)events;
	while ((got = recv(channel->fd, &answer, sizeof(answer), MSG_DONTWAIT)) ==
	       sizeof(answer))
		take_answer(channel, &answer);
	/* With questions that it has not read, the end is an error. */
	if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR)))
		return;
	log_message(LOG_ERROR, "command.helper_gone", "no command can be run any more");
	channel->gone = true;
	watch_remove(watch);
	list_for_each (node, &channel->calls) {
		fiber_wake(list_entry(node, struct command_call, link)->fiber);
	}
}

int command_channel_start(struct command_channel *channel, int fd, struct err *err)
{
	channel->fd = fd;
	list_init(&channel->calls);
	return watch_add(&channel->watch, fd, on_answer, err);
}

void command_channel_stop(struct command_channel *channel)
{
	if (channel->watch.fd >= 0)
		watch_remove(&channel->watch);
}

static int send_question(const struct command_channel *channel, void *question, size_t len,
			 int passed)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.room = {0}};
	struct iovec part = {question, len};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (passed >= 0) {
		struct cmsghdr *head = &control.head;

		message.msg_control = control.room;
		message.msg_controllen = sizeof(control.room);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &passed, sizeof(passed));
	}
	return sendmsg(channel->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len ? 0
											   : -1;
}

int command_channel_tell(struct command_channel *channel, void *question, size_t len,
			 int passed, struct err *err)
{
	uint32_t id = ++channel->last_id;

	memcpy(question, &id, sizeof(id));
	if (!channel->gone && send_question(channel, question, len, passed) == 0)
		return 0;
	return err_set(err, ERR_UNAVAILABLE, "the helper that runs commands takes no more");
}

int command_channel_ask(struct command_channel *channel, void *question, size_t len, int passed,
			int64_t deadline_ms, struct command_result *result, struct err *err)
{
	struct command_call call = {
		.fiber = fiber_self(), .id = channel->last_id + 1, .result = result};
	enum fiber_wake wake = FIBER_EVENT;

	if (command_channel_tell(channel, question, len, passed, err) < 0)
		return -1;
	list_push_front(&channel->calls, &call.link);
	while (!call.answered && !channel->gone && wake == FIBER_EVENT)
		wake = fiber_park(deadline_ms);
	list_remove(&call.link);
	if (call.answered)
		return 0;
	return err_set(err, channel->gone ? ERR_UNAVAILABLE : ERR_TIMEOUT,
		       "the helper that runs commands does not answer");
}
