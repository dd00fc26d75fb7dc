#include "gateway/channel.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/secret.h"

#define HEAD_BYTES offsetof(struct channel_message, bytes)

int channel_open(int ends[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return err_set_errno(err, errno, "socketpair");
	return 0;
}

int channel_send(int fd, enum channel_kind kind, int64_t number, struct span bytes,
		 struct err *err)
{
	struct channel_message message = {.kind = kind, .number = number};
	ssize_t sent;
	int error;

	if (bytes.len > sizeof(message.bytes))
		return err_set(err, ERR_LIMIT, "a message of %zu bytes", bytes.len);
	message.len = (uint32_t)bytes.len;
	if (bytes.len)
		memcpy(message.bytes, bytes.ptr, bytes.len);
	do
		sent = send(fd, &message, HEAD_BYTES + bytes.len, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	error = errno;
	secret_wipe(&message, sizeof(message));
	if (sent < 0)
		return err_set_errno(err, error, "cannot send to the other process");
	return 0;
}

enum channel_result channel_receive(int fd, struct channel_message *message)
{
	ssize_t got;

	do
		got = recv(fd, message, sizeof(*message), 0);
	while (got < 0 && errno == EINTR);
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return CHANNEL_EMPTY;
	if (got < (ssize_t)HEAD_BYTES || message->len != (size_t)got - HEAD_BYTES)
		return CHANNEL_CLOSED;
	return CHANNEL_MESSAGE;
}
