#include "supply/lsp.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "supply/lsp_text.h"

#define READ_BYTES ((size_t)65536)
#define WRITE_MS 60000 /* a client that does not read for so long is gone */

struct pump {
	int in;
	int out;
	const struct lsp_options *options;
	struct lsp_server *server;
	struct buf input;
	size_t seen; /* of the input: looked at for cancellations */
};

static int send_all(struct pump *p, struct err *err)
{
	struct buf *b = lsp_server_output(p->server);
	struct span rest = buf_span(b);

	while (rest.len) {
		struct pollfd ready = {.fd = p->out, .events = POLLOUT};
		int got = poll(&ready, 1, WRITE_MS);
		ssize_t n;

		if (got == 0)
			return err_set(err, ERR_TIMEOUT, "the editor does not read");
		if (got < 0 && errno == EINTR)
			continue;
		n = write(p->out, rest.ptr, rest.len);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return err_set_errno(err, errno, "cannot write to the editor");
		rest = span_slice(rest, (size_t)n, rest.len);
	}
	buf_clear(b);
	return 0;
}

/* What was asked and taken back before it was answered is found by looking ahead. */
static void look_ahead(struct pump *p)
{
	struct span content;
	size_t taken;

	while (lsp_frame(span_slice(buf_span(&p->input), p->seen, p->input.len),
			 p->options->max_message_bytes, &content,
			 &taken) == LSP_FRAME_MESSAGE) {
		lsp_server_cancel(p->server, content);
		p->seen += taken;
	}
}

/* All whole messages of the input. */
static int take_messages(struct pump *p, struct err *err)
{
	look_ahead(p);
	while (lsp_server_exit(p->server) < 0) {
		struct span content;
		size_t taken;

		switch (lsp_frame(buf_span(&p->input), p->options->max_message_bytes, &content,
				  &taken)) {
		case LSP_FRAME_MORE: return 0;
		case LSP_FRAME_BAD:
			return err_set(err, ERR_SYNTAX,
				       "what comes from the editor is no message");
		case LSP_FRAME_LARGE:
			return err_set(err, ERR_LIMIT, "a message of more than %zu bytes",
				       p->options->max_message_bytes);
		case LSP_FRAME_MESSAGE: break;
		}
		if (lsp_server_take(p->server, content, clock_ms(), err) < 0)
			return -1;
		buf_consume(&p->input, taken);
		p->seen -= taken < p->seen ? taken : p->seen;
		if (send_all(p, err) < 0)
			return -1;
	}
	return 0;
}

/* 1 when more has come, 0 at the end, -1. */
static int read_more(struct pump *p, struct err *err)
{
	ssize_t n;

	if (buf_reserve(&p->input, READ_BYTES) < 0)
		return err_set(err, ERR_MEMORY, "a message does not fit into memory");
	do {
		n = read(p->in, p->input.ptr + p->input.len, READ_BYTES);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set_errno(err, errno, "cannot read from the editor");
	p->input.len += (size_t)n;
	return n > 0;
}

/* 1 when there is something to read, 0 when something is due. */
static int wait(struct pump *p, int64_t due_ms, struct err *err)
{
	struct pollfd ready = {.fd = p->in, .events = POLLIN};
	int64_t left_ms = due_ms == INT64_MAX ? -1 : due_ms - clock_ms();
	int got;

	if (left_ms < -1)
		left_ms = 0;
	got = poll(&ready, 1, (int)(left_ms > 60000 ? 60000 : left_ms));
	if (got < 0 && errno != EINTR)
		return err_set_errno(err, errno, "cannot wait for the editor");
	return got > 0;
}

static int serve(struct pump *p, struct err *err)
{
	while (lsp_server_exit(p->server) < 0) {
		int64_t due_ms = lsp_server_tick(p->server, clock_ms());
		int got;

		if (lsp_server_output(p->server)->failed)
			return err_set(err, ERR_MEMORY, "an answer does not fit into memory");
		if (send_all(p, err) < 0)
			return -1;
		got = wait(p, due_ms, err);
		if (got == 0)
			continue;
		if (got > 0)
			got = read_more(p, err);
		if (got <= 0)
			return got < 0 ? -1 : 1;
		if (take_messages(p, err) < 0)
			return -1;
	}
	return lsp_server_exit(p->server);
}

int lsp_serve(int in, int out, const struct lsp_options *options, struct err *err)
{
	struct pump p = {in, out, options, lsp_server_new(options), {0}, 0};
	int result;

	if (!p.server)
		return err_set(err, ERR_MEMORY, "out of memory");
	buf_init(&p.input, options->max_message_bytes + 2 * READ_BYTES);
	result = serve(&p, err);
	buf_release(&p.input);
	lsp_server_free(p.server);
	return result;
}
