/*
 * Bytes after the client's preface, as a client could send them, to a server connection with a
 * handler that reads all and answers. The first byte chooses how many bytes come at a time.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/connection.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static void handler(struct http_exchange *x)
{
	const struct http_field fields[] = {{SPAN("X-Request"), SPAN("1"), HTTP_FIELD_OTHER}};
	const struct http_response response = {
		.status = x->malformed_status ? x->malformed_status : 200,
		.fields = fields,
		.field_count = 1,
		.content_length = -1,
	};
	struct span piece;
	enum io_result result;
	uint64_t sum = 0;

	if (!x->malformed_status) {
		/* What is kept must be readable, and as clean as HTTP/1.1 would have it. */
		for (size_t i = 0; i < x->request.field_count; i++)
			if (!http_is_token(x->request.fields[i].name) ||
			    !http_is_field_value(x->request.fields[i].value))
				abort();
		if (!x->request.authority.len || !x->request.target.len)
			abort();
	}
	http_send_head(x, &response, HTTP_SEND_MORE, loop_deadline_ms(1000));
	while ((result = http_read_body(x, &piece, loop_deadline_ms(1000))) == IO_OK) {
		for (size_t i = 0; i < piece.len; i++)
			sum += (unsigned char)piece.ptr[i];
		if (http_send_body(x, piece, 0, loop_deadline_ms(1000)) != IO_OK)
			return;
	}
	if (result == IO_EOF)
		http_send_trailers(x, x->trailers, x->trailer_count,
				   loop_deadline_ms(sum ? 1000 : 1));
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_storage address = {.ss_family = AF_UNIX};
	struct http_server server;
	struct loop *loop;
	int fds[2];
	size_t step;

	if (!size)
		return 0;
	loop = loop_new(NULL);
	if (!loop || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
		abort();
	http_server_init(&server, handler);
	server.limits.h2_window_bytes = 1000;
	http_server_accept(&server, fds[0], &address, NULL, HTTP_ACCEPT_H2C, NULL, 0);
	loop_step(loop, 0);
	send_all(loop, fds[1], preface, sizeof(preface) - 1);
	step = data[0] ? data[0] * (size_t)8 : size;
	for (size_t at = 1; at < size; at += step)
		send_all(loop, fds[1], (const char *)data + at,
			 step < size - at ? step : size - at);
	for (int i = 0; i < 5; i++)
		loop_step(loop, 0);
	close(fds[1]);
	loop_step(loop, 0);
	http_server_close_all(&server);
	for (int i = 0; server.connection_count || fiber_live_count(); i++) {
		if (i > 1000)
			abort();
		loop_step(loop, 1);
	}
	if (server.exchange_count)
		abort();
	loop_free(loop);
	return 0;
}
