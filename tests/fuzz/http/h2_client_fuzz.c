/*
 * Bytes after its SETTINGS, as a service could send them, to a client connection with three calls
 * under way. The first byte chooses how many bytes come at a time.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/h2_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct http_pool *pool;
static struct h2_client *client;
static unsigned working;

static void call_service(void *arg)
{
	const bool *post = arg;
	const struct http_request_head head = {
		.method = *post ? SPAN("POST") : SPAN("GET"),
		.scheme = SPAN("https"),
		.authority = SPAN("a.test"),
		.path = SPAN("/"),
		.content_length = -1,
		.no_body = !*post,
	};
	struct http_call *call = h2_client_open(pool);
	int64_t deadline_ms = loop_deadline_ms(50);
	struct span piece;
	uint64_t len = 0;
	enum io_result result;

	if (!call)
		return;
	working++;
	result = http_call_send_head(call, &head, *post ? 0 : HTTP_SEND_END, deadline_ms);
	if (result == IO_OK && *post)
		result = http_call_send_body(call, SPAN("hello"), HTTP_SEND_END, deadline_ms);
	do
		result = http_call_read_head(call, deadline_ms);
	while (result == IO_OK && call->response.status < 200);
	for (size_t i = 0; result == IO_OK && i < call->response.field_count; i++)
		if (!http_is_token(call->response.fields[i].name) ||
		    !http_is_field_value(call->response.fields[i].value))
			abort();
	while (result == IO_OK) {
		result = http_call_read_body(call, &piece, deadline_ms);
		if (result == IO_OK)
			len += piece.len;
	}
	if (result == IO_EOF && call->response.framing == HTTP1_LENGTH &&
	    len != call->response.content_length)
		abort();
	http_call_release(call);
	working--;
}

static void open_connection(void *arg)
{
	static const bool posts[] = {false, true, false};

	(void)arg;
	pool->connection_count++;
	if (h2_client_start(client, loop_deadline_ms(50), NULL) != IO_OK) {
		h2_client_discard(client);
		return;
	}
	for (size_t i = 0; i < COUNT_OF(posts); i++)
		if (!fiber_start(call_service, (void *)(uintptr_t)&posts[i], NULL))
			abort();
}

static void send_all(struct loop *loop, int fd, const char *bytes, size_t len)
{
	char discarded[4096];

	while (len) {
		ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		loop_step(loop, 0);
		while (recv(fd, discarded, sizeof(discarded), MSG_DONTWAIT) > 0)
			;
		if (n <= 0)
			return;
		bytes += n;
		len -= (size_t)n;
	}
}

static void feed(struct loop *loop, int fd, const uint8_t *data, size_t size)
{
	size_t step = data[0] ? data[0] * (size_t)8 : size;

	send_all(loop, fd, "\0\0\0\4\0\0\0\0\0", 9);
	loop_step(loop, 0);
	for (size_t at = 1; at < size; at += step)
		send_all(loop, fd, (const char *)data + at,
			 step < size - at ? step : size - at);
	for (int i = 0; i < 5; i++)
		loop_step(loop, 0);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct http_pool_options options = {
		.protocol = HTTP_PROTOCOL_H2C,
		.idle_timeout_ms = 1000,
		.head = {.line_bytes = 1000, .head_bytes = 4000, .field_count = 20},
	};
	struct loop *loop;
	int fds[2];

	if (!size)
		return 0;
	loop = loop_new(NULL);
	pool = http_pool_new(&options, NULL);
	client = pool ? h2_client_new(pool) : NULL;
	if (!loop || !client || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0 ||
	    stream_init(h2_client_stream(client), fds[0], NULL, NULL) < 0 ||
	    !fiber_start(open_connection, NULL, NULL))
		abort();
	loop_step(loop, 0);
	feed(loop, fds[1], data, size);
	http_pool_close(pool);
	for (int i = 0; fiber_live_count(); i++) {
		if (i > 1000)
			abort();
		loop_step(loop, 1);
	}
	if (working)
		abort();
	loop_free(loop);
	return 0;
}
