/*
 * channel.h - messages between the supervisor and a server process, over a pair of sockets that
 * keeps their borders (SOCK_SEQPACKET).
 */
#ifndef GATEWAY_CHANNEL_H
#define GATEWAY_CHANNEL_H

#include "base/err.h"
#include "base/span.h"

enum channel_kind {
	/* to the server */
	CHANNEL_RELOAD = 1, /* read the configuration anew */
	CHANNEL_DRAIN, /* stop accepting, finish, exit; the number is the time for it in ms */
	CHANNEL_REOPEN, /* log files */
	CHANNEL_EXPORT_TICKETS,
	/* to the supervisor */
	CHANNEL_READY, /* accepting */
	CHANNEL_RELOADED,
	CHANNEL_REFUSED, /* the reload failed; the bytes say why */
	CHANNEL_TICKETS, /* exported keys */
};

#define CHANNEL_BYTES_MAX 4096

struct channel_message {
	uint32_t kind; /* enum channel_kind */
	uint32_t len;
	int64_t number;
	char bytes[CHANNEL_BYTES_MAX];
};

/* Two ends, close-on-exec and non-blocking. */
int channel_open(int ends[2], struct err *err) MUST_CHECK;
/* Bytes beyond the maximum are ERR_LIMIT. */
int channel_send(int fd, enum channel_kind kind, int64_t number, struct span bytes,
		 struct err *err) MUST_CHECK;

enum channel_result { CHANNEL_MESSAGE, CHANNEL_EMPTY, CHANNEL_CLOSED };
/* Does not wait. A message that is malformed counts as the end. */
enum channel_result channel_receive(int fd, struct channel_message *message);

#endif
