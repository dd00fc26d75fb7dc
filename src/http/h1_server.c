/* HTTP/1.0 and 1.1 connections from clients (RFC 9112). */
#include <sys/socket.h>

#include "base/mem.h"
#include "http/block.h"
#include "http/connection.h"
#include "http/h1_wire.h"

/* An unread body up to this size is read away so that the connection can be used again. */
#define DISCARD_MAX ((uint64_t)64 * 1024)
#define DISCARD_MS 1000
/* How long a refused client may go on sending before the connection is closed under it. */
#define LINGER_MS 2000
#define LINGER_MAX ((uint64_t)1024 * 1024)
/* When draining, a client that has been quiet for this long is not about to send a request. */
#define DRAIN_IDLE_MS 3000

struct h1_server {
	struct http_connection *base;
	struct fiber *fiber; /* while anything is under way */
	struct http_exchange *x; /* while an exchange is under way */
	struct h1_input in;
	struct h1_output out;
	uint64_t served;
	int64_t body_start_ms;
	bool expects_continue; /* 100 has not been sent yet */
	bool keep_alive;
	bool until_close; /* the response ends where the connection does */
	bool linger;
	uint8_t authority_len; /* 0: none yet */
	char authority[39]; /* of an earlier request */
};

enum serve_result { SERVE_NEXT, SERVE_IDLE, SERVE_CLOSE };

static struct h1_server *connection_of(const struct http_exchange *x)
{
	struct http_connection *c = CONTAINER_OF(x->peer, struct http_connection, peer);

	return c->state;
}

static const struct http_limits *limits_of(const struct h1_server *s)
{
	return &s->base->server->limits;
}

static void h1_free(struct h1_server *s)
{
	h1_input_release(&s->in);
	h1_output_release(&s->out);
	http_connection_free(s->base);
	mem_free(s);
}

/* --- reading the request's body --- */

static void send_continue(struct h1_server *s)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	size_t put;

	s->expects_continue = false;
	if (s->x->head_sent)
		return;
	/* A client that does not take 25 bytes will time out on its own account. */
	stream_try_write(&s->base->stream, text, sizeof(text) - 1, &put);
}

static int64_t rate_deadline_ms(const struct h1_server *s)
{
	const struct http_limits *limits = limits_of(s);

	if (!limits->body_rate_bytes)
		return FIBER_FOREVER;
	return s->body_start_ms + limits->body_grace_ms +
	       (int64_t)(s->x->body_received_bytes * 1000 / limits->body_rate_bytes);
}

static bool over_body_limit(struct http_exchange *x, uint64_t more)
{
	if (more <= x->body_limit_bytes && x->body_received_bytes <= x->body_limit_bytes - more)
		return false;
	x->body_too_large = true;
	return true;
}

static enum io_result read_body(struct http_exchange *x, struct span *piece,
				int64_t deadline_ms)
{
	struct h1_server *s = connection_of(x);
	struct stream *stream = &s->base->stream;
	int64_t rate_ms;
	enum io_result result;

	if (x->tunnel)
		return h1_input_raw(&s->in, stream, piece, deadline_ms);
	if (s->in.framing == HTTP1_LENGTH && over_body_limit(x, s->in.left))
		return IO_FAILED;
	if (s->expects_continue)
		send_continue(s);
	rate_ms = rate_deadline_ms(s);
	result = h1_input_body(&s->in, stream, &limits_of(s)->head, &x->arena, piece,
			       deadline_ms < rate_ms ? deadline_ms : rate_ms);
	if (result == IO_OK) {
		if (over_body_limit(x, piece->len))
			return IO_FAILED;
		x->body_received_bytes += piece->len;
		x->body_ended = s->in.ended;
	}
	if (s->in.ended && result == IO_EOF) {
		x->body_ended = true;
		x->trailers = s->in.trailers;
		x->trailer_count = s->in.trailer_count;
	}
	return result;
}

/* --- sending the response --- */

static bool has_no_body(const struct http_exchange *x, unsigned status)
{
	return x->request.method == HTTP_METHOD_HEAD || status == 204 || status == 304 ||
	       status < 200;
}

/* How the end of the body will be recognised (RFC 9112 section 6.3), and if that needs a close. */
static void choose_framing(struct h1_server *s, const struct http_response *response)
{
	const struct http_exchange *x = s->x;

	s->out.chunked = false;
	s->out.length_known = true;
	s->out.left = 0;
	s->until_close = false;
	if (has_no_body(x, response->status))
		return;
	if (response->content_length >= 0) {
		s->out.left = (uint64_t)response->content_length;
		return;
	}
	s->out.length_known = false;
	s->out.chunked = x->version == 11;
	s->until_close = x->version == 10;
}

static void choose_keep_alive(struct h1_server *s)
{
	const struct http_exchange *x = s->x;
	const struct http_limits *limits = limits_of(s);

	s->keep_alive = x->request.keep_alive && !x->malformed_status && !x->close_after &&
			!s->until_close && !s->expects_continue && !s->base->server->draining &&
			(!limits->requests_per_connection ||
			 s->served < limits->requests_per_connection);
}

static char *put_status_line(char *to, unsigned status)
{
	if (LIKELY(status == 200))
		return h1_put(to, SPAN("HTTP/1.1 200 OK\r\n"));
	to = h1_put(to, SPAN("HTTP/1.1 "));
	*to++ = (char)('0' + status / 100 % 10);
	*to++ = (char)('0' + status / 10 % 10);
	*to++ = (char)('0' + status % 10);
	*to++ = ' ';
	to = h1_put(to, http_reason_phrase(status));
	return h1_put(to, SPAN("\r\n"));
}

static char *put_connection_fields(struct h1_server *s, char *to,
				   const struct http_response *response)
{
	const struct http_exchange *x = s->x;

	if (response->status == 101) {
		to = h1_put(to, SPAN("Connection: Upgrade\r\nUpgrade: "));
		to = h1_put(to, x->protocol);
		return h1_put(to, SPAN("\r\n"));
	}
	if (response->status < 200)
		return to;
	if (s->out.chunked)
		to = h1_put(to, SPAN("Transfer-Encoding: chunked\r\n"));
	if (response->content_length >= 0 && response->status != 204) {
		to = h1_put(to, SPAN("Content-Length: "));
		to = h1_put_u64(to, (uint64_t)response->content_length);
		to = h1_put(to, SPAN("\r\n"));
	}
	if (!s->keep_alive)
		return h1_put(to, SPAN("Connection: close\r\n"));
	if (x->version == 10)
		return h1_put(to, SPAN("Connection: keep-alive\r\n"));
	return to;
}

HOT static enum io_result send_head(struct http_exchange *x,
				    const struct http_response *response, int flags,
				    int64_t deadline_ms)
{
	struct h1_server *s = connection_of(x);
	bool interim = response->status < 200 && response->status != 101;
	struct span lines = response->block ? response->block->lines : SPAN_NONE;
	size_t fixed = 256 + x->protocol.len + lines.len;
	char *to, *from;

	if (interim && x->version == 10)
		return IO_OK;
	if (!interim) {
		choose_framing(s, response);
		choose_keep_alive(s);
		x->head_sent = true;
		x->status = response->status;
		x->tunnel = response->status == 101;
	}
	from = to = h1_output_room(
		&s->out, fixed + h1_fields_bytes(response->fields, response->field_count));
	if (!to)
		return IO_FAILED;
	to = put_status_line(to, response->status);
	to = h1_put_fields(to, response->fields, response->field_count);
	to = h1_put(to, lines);
	to = put_connection_fields(s, to, response);
	to = h1_put(to, SPAN("\r\n"));
	s->out.len += (size_t)(to - from);
	if (flags & HTTP_SEND_END)
		return http_send_body(x, SPAN_NONE, flags, deadline_ms);
	if (flags & HTTP_SEND_MORE)
		return IO_OK;
	return h1_output_flush(&s->out, &s->base->stream, deadline_ms);
}

HOT static enum io_result send_body(struct http_exchange *x, struct span piece, int flags,
				    int64_t deadline_ms)
{
	struct h1_server *s = connection_of(x);
	struct stream *stream = &s->base->stream;
	enum io_result result;

	if (x->tunnel) {
		result = h1_output_flush(&s->out, stream, deadline_ms);
		if (result == IO_OK && piece.len)
			result = stream_write(stream, piece.ptr, piece.len, deadline_ms);
		if (result == IO_OK && flags & HTTP_SEND_END)
			result = stream_finish(stream, deadline_ms);
	} else if (has_no_body(x, x->status)) {
		result = h1_output_flush(&s->out, stream, deadline_ms);
		piece.len = 0;
	} else {
		result = h1_output_body(&s->out, stream, piece, flags, deadline_ms);
	}
	if (result != IO_OK)
		return result;
	x->body_sent_bytes += piece.len;
	x->ended = flags & HTTP_SEND_END;
	return IO_OK;
}

static enum io_result send_trailers(struct http_exchange *x, const struct http_field *fields,
				    size_t count, int64_t deadline_ms)
{
	struct h1_server *s = connection_of(x);
	enum io_result result;

	result = h1_output_trailers(&s->out, &s->base->stream, fields, count, deadline_ms);
	x->ended = result == IO_OK;
	return result;
}

static void abort_exchange(struct http_exchange *x)
{
	struct h1_server *s = connection_of(x);
	struct linger reset = {.l_onoff = 1, .l_linger = 0};

	x->aborted = true;
	s->keep_alive = false;
	s->out.len = 0;
	/* Where the close itself would be the end, only a reset shows that it is not. */
	if (s->until_close && s->base->stream.watch.fd >= 0)
		setsockopt(s->base->stream.watch.fd, SOL_SOCKET, SO_LINGER, &reset,
			   sizeof(reset));
}

static const struct http_exchange_ops h1_ops = {
	.read_body = read_body,
	.send_head = send_head,
	.send_body = send_body,
	.send_trailers = send_trailers,
	.abort = abort_exchange,
};

/* --- one request after the other --- */

/*
 * The head is over a limit before it ends, as the parser will say: its first line is too long, or
 * even an end right behind what is there would be too late.
 */
static bool is_over_limit(struct span unread, const struct http1_limits *limits)
{
	const char *line_end = unread.len ? memchr(unread.ptr, '\n', unread.len) : NULL;
	size_t line_bytes;

	if (!line_end)
		return unread.len > limits->line_bytes + 1;
	line_bytes = (size_t)(line_end + 1 - unread.ptr);
	return line_bytes > limits->line_bytes + 2 || unread.len >= limits->head_bytes ||
	       (limits->fields_bytes && unread.len - line_bytes >= limits->fields_bytes);
}

/* The first bytes of a head, if they have come. IO_AGAIN: nothing has. */
HOT static enum io_result read_first_bytes(struct h1_server *s)
{
	enum io_result result;

	if (!stream_maybe_readable(&s->base->stream))
		return IO_AGAIN;
	if (!h1_input_ready(&s->in))
		return IO_CLOSED;
	result = h1_input_fill(&s->in, &s->base->stream, limits_of(s)->head.head_bytes + 1,
			       loop_now_ms());
	return result == IO_TIMEOUT ? IO_AGAIN : result;
}

/*
 * IO_OK: a head (good or bad) is complete in the buffer. IO_FAILED: it is over its limit, or there
 * is no memory. IO_AGAIN: nothing has come.
 */
HOT static enum io_result read_head_bytes(struct h1_server *s)
{
	const struct http_limits *limits = limits_of(s);
	enum io_result result = IO_OK;
	int64_t deadline_ms;
	size_t resume = 0;

	if (s->in.start == s->in.end)
		result = read_first_bytes(s);
	if (result != IO_OK || LIKELY(http1_head_complete(h1_input_unread(&s->in), &resume)))
		return result;
	deadline_ms = loop_deadline_ms(limits->head_timeout_ms);
	while (!is_over_limit(h1_input_unread(&s->in), &limits->head)) {
		result = h1_input_fill(&s->in, &s->base->stream, limits->head.head_bytes + 1,
				       deadline_ms);
		if (result != IO_OK || http1_head_complete(h1_input_unread(&s->in), &resume))
			return result;
	}
	return IO_OK;
}

/* One empty line before a request line is ignored (RFC 9112 section 2.2). */
static void skip_empty_line(struct h1_server *s)
{
	struct span unread = h1_input_unread(&s->in);

	if (span_starts_with(unread, SPAN("\r\n")))
		s->in.start += 2;
}

/* Nearly all requests of a connection are for the same host, which need not be checked again. */
static void remember_authority(struct h1_server *s, struct span authority)
{
	if (LIKELY(authority.len == s->authority_len) || authority.len > sizeof(s->authority) ||
	    !authority.len)
		return;
	memcpy(s->authority, authority.ptr, authority.len);
	s->authority_len = (uint8_t)authority.len;
}

HOT static void parse_head(struct h1_server *s, struct http_exchange *x)
{
	enum http1_result parsed;
	size_t consumed = 0;

	parsed = http1_parse_next_request(&x->request, h1_input_unread(&s->in),
					  &limits_of(s)->head,
					  span_of(s->authority, s->authority_len), &consumed);
	if (parsed == HTTP1_MORE)
		parsed = HTTP1_TOO_LARGE_HEAD;
	if (parsed != HTTP1_DONE) {
		x->malformed_status = http1_result_status(parsed);
		x->malformed = http1_result_text(parsed);
		x->version = 11;
		return;
	}
	remember_authority(s, x->request.authority);
	x->version = x->request.minor_version == 0 ? 10 : 11;
	if (x->request.upgrade)
		x->protocol = http1_field(&x->request, HTTP_FIELD_UPGRADE);
	h1_input_begin_body(&s->in, consumed, &x->request);
	x->body_ended = s->in.ended;
	s->expects_continue = x->request.expect_continue && !s->in.ended && x->version == 11;
}

static void refuse_late_head(struct http_exchange *x)
{
	x->request = (struct http1_head){.fields = x->request.fields};
	x->version = 11;
	x->malformed_status = 408;
	x->malformed = "the request head did not arrive in time";
}

/* Reads the rest of a small body, so that the next request can be found behind it. */
static bool discard_body(struct h1_server *s)
{
	int64_t deadline_ms = loop_deadline_ms(DISCARD_MS);
	uint64_t discarded = 0;
	struct span piece;
	enum io_result result = IO_OK;

	if (s->expects_continue || (s->in.framing == HTTP1_LENGTH && s->in.left > DISCARD_MAX))
		return false;
	while (result == IO_OK && discarded <= DISCARD_MAX) {
		result = h1_input_body(&s->in, &s->base->stream, &limits_of(s)->head,
				       &s->x->arena, &piece, deadline_ms);
		discarded += piece.len;
	}
	return result == IO_EOF;
}

HOT static enum serve_result finish_exchange(struct h1_server *s)
{
	struct http_exchange *x = s->x;
	bool complete = x->ended && !x->aborted && !x->client_gone && !x->tunnel;

	if (complete &&
	    h1_output_flush(&s->out, &s->base->stream,
			    loop_deadline_ms(limits_of(s)->write_timeout_ms)) != IO_OK)
		complete = false;
	if (complete && !s->in.ended && !x->malformed_status)
		s->linger = !s->keep_alive || !discard_body(s);
	else if (complete && x->malformed_status)
		s->linger = true;
	if (!complete || !s->keep_alive || s->linger)
		return SERVE_CLOSE;
	h1_input_next_message(&s->in);
	return SERVE_NEXT;
}

HOT static enum serve_result serve_exchange(struct h1_server *s, enum io_result head_result)
{
	struct http_exchange *x = http_exchange_new(s->base, &h1_ops);
	enum serve_result result;

	if (!x)
		return SERVE_CLOSE;
	s->x = x;
	s->served++;
	s->keep_alive = false;
	s->until_close = false;
	s->expects_continue = false;
	s->body_start_ms = loop_now_ms();
	if (head_result != IO_TIMEOUT)
		parse_head(s, x);
	else
		refuse_late_head(x);
	http_exchange_run(x);
	result = finish_exchange(s);
	s->x = NULL;
	http_exchange_free(x);
	return result;
}

HOT static enum serve_result serve_one(struct h1_server *s)
{
	enum io_result result;

	if (s->in.start != s->in.end)
		skip_empty_line(s);
	result = read_head_bytes(s);
	if (result == IO_AGAIN)
		return s->base->server->draining && s->served ? SERVE_CLOSE : SERVE_IDLE;
	if (result == IO_OK || result == IO_FAILED ||
	    (result == IO_TIMEOUT && s->in.start != s->in.end))
		return serve_exchange(s, result);
	return SERVE_CLOSE;
}

/*
 * Closing with unread bytes would reset the connection and could destroy the response on its way:
 * the sending side is closed first, and what still comes is thrown away for a while.
 */
static void linger(struct h1_server *s)
{
	int64_t deadline_ms = loop_deadline_ms(LINGER_MS);
	uint64_t discarded = 0;
	size_t got;

	stream_finish(&s->base->stream, deadline_ms);
	while (discarded < LINGER_MAX &&
	       stream_read(&s->base->stream, s->in.ptr, s->in.cap, &got, deadline_ms) == IO_OK)
		discarded += got;
}

HOT static void go_idle(struct h1_server *s)
{
	const struct http_limits *limits = limits_of(s);
	int64_t wait_ms = s->served ? limits->idle_timeout_ms : limits->head_timeout_ms;

	h1_input_release(&s->in);
	h1_output_idle(&s->out);
	s->fiber = NULL;
	timer_set(&s->base->idle_timer, loop_deadline_ms(wait_ms));
}

HOT static void serve(void *arg)
{
	struct h1_server *s = arg;
	enum serve_result result;

	timer_stop(&s->base->idle_timer);
	do
		result = serve_one(s);
	while (result == SERVE_NEXT);
	if (result == SERVE_IDLE) {
		go_idle(s);
		return;
	}
	if (s->linger)
		linger(s);
	else
		stream_finish(&s->base->stream, loop_deadline_ms(LINGER_MS));
	h1_free(s);
}

HOT static void start_serving(struct h1_server *s)
{
	s->fiber = fiber_start(serve, s, NULL);
	if (!s->fiber)
		h1_free(s);
}

static void on_client_gone(struct h1_server *s)
{
	s->x->client_gone = true;
	fiber_cancel(s->fiber);
}

HOT static void on_event(struct watch *watch, uint32_t events)
{
	struct http_connection *c = CONTAINER_OF(watch, struct http_connection, stream.watch);
	struct h1_server *s = c->state;

	if (!s->fiber) {
		if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
			start_serving(s);
		return;
	}
	if (!s->x || s->x->tunnel)
		return;
	if (events & (EPOLLHUP | EPOLLERR) || (events & EPOLLRDHUP && s->in.ended))
		on_client_gone(s);
}

static void on_idle_timeout(struct timer *timer)
{
	struct http_connection *c = CONTAINER_OF(timer, struct http_connection, idle_timer);

	stream_shutdown(&c->stream);
	h1_free(c->state);
}

/* Requests that may be on their way are still answered, with "Connection: close". */
static void drain(struct http_connection *c)
{
	const struct h1_server *s = c->state;

	if (!s->fiber)
		timer_set(&c->idle_timer, loop_deadline_ms(DRAIN_IDLE_MS));
}

static void destroy(struct http_connection *c)
{
	struct h1_server *s = c->state;

	if (!s->fiber) {
		h1_free(s);
		return;
	}
	if (s->x)
		s->x->client_gone = true;
	fiber_cancel(s->fiber);
}

void h1_take_over(struct http_connection *c)
{
	struct h1_server *s = mem_zalloc(1, sizeof(*s));

	if (!s) {
		http_connection_free(c);
		return;
	}
	s->base = c;
	c->state = s;
	c->drain = drain;
	c->destroy = destroy;
	c->stream.watch.on_event = on_event;
	timer_init(&c->idle_timer, on_idle_timeout);
	if (c->early) {
		s->in.ptr = c->early;
		s->in.cap = HTTP_BLOCK_BYTES;
		s->in.end = c->early_len;
		c->early = NULL;
	}
	if (s->in.end || stream_maybe_readable(&c->stream))
		start_serving(s);
	else
		go_idle(s);
}
