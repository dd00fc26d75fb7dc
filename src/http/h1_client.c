/* HTTP/1.1 connections to services (RFC 9112). */
#include "base/mem.h"
#include "http/h1_wire.h"
#include "http/pool.h"

/* Trailers of responses are copied; a response has no other use for memory. */
#define ARENA_CAP_BYTES ((size_t)64 * 1024)
#define ARENA_CHUNK_BYTES ((size_t)4096)
/* Interim responses to one request; more is an attack or a bug. */
#define INTERIM_MAX 16

struct h1_client {
	struct http_call call; /* first */
	struct stream stream;
	struct list node; /* in pool->idle */
	struct timer idle_timer;
	struct h1_input in;
	struct h1_output out;
	struct arena arena;
	bool in_use;
	bool request_ended;
	bool broken; /* nothing further may be sent or expected */
	bool to_head;
	bool keep_alive;
	unsigned interim_count;
	uint32_t served; /* calls, this one included */
	struct http_field fields[]; /* options.head.field_count */
};

static struct h1_client *client_of(struct http_call *call)
{
	return CONTAINER_OF(call, struct h1_client, call);
}

static void free_client(struct h1_client *client)
{
	struct http_pool *pool = client->call.pool;

	timer_clear(&client->idle_timer);
	stream_close(&client->stream);
	h1_input_release(&client->in);
	h1_output_release(&client->out);
	arena_release(&client->arena);
	mem_free(client);
	http_pool_connection_gone(pool);
}

void h1_client_discard(struct h1_client *client)
{
	free_client(client);
}

static void close_idle(struct h1_client *client)
{
	list_remove(&client->node);
	client->call.pool->idle_count--;
	free_client(client);
}

void h1_client_close_idle(struct http_pool *pool)
{
	list_for_each (node, &pool->idle)
		close_idle(list_entry(node, struct h1_client, node));
}

static void on_idle_timeout(struct timer *timer)
{
	close_idle(CONTAINER_OF(timer, struct h1_client, idle_timer));
}

/* An idle connection that becomes readable has been closed, or talks out of turn. */
HOT static void on_event(struct watch *watch, uint32_t events)
{
	struct h1_client *client = CONTAINER_OF(watch, struct h1_client, stream.watch);

	if (!client->in_use && events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		close_idle(client);
}

struct h1_client *h1_client_new(struct http_pool *pool)
{
	size_t fields = pool->options.head.field_count * sizeof(struct http_field);
	struct h1_client *client = mem_zalloc(1, sizeof(*client) + fields);

	if (!client)
		return NULL;
	client->call.pool = pool;
	client->stream.watch.fd = -1;
	client->in_use = true;
	list_init(&client->node);
	timer_init(&client->idle_timer, on_idle_timeout);
	arena_init(&client->arena, ARENA_CAP_BYTES, ARENA_CHUNK_BYTES);
	return client;
}

struct stream *h1_client_stream(struct h1_client *client)
{
	return &client->stream;
}

/* --- sending the request --- */

HOT static char *put_request_line(char *to, const struct http_request_head *head)
{
	to = h1_put(to, head->method);
	*to++ = ' ';
	to = h1_put(to, head->path);
	if (head->query.ptr) {
		*to++ = '?';
		to = h1_put(to, head->query);
	}
	to = h1_put(to, SPAN(" HTTP/1.1\r\nHost: "));
	to = h1_put(to, head->authority);
	return h1_put(to, SPAN("\r\n"));
}

static char *put_framing(char *to, const struct http_request_head *head)
{
	if (head->upgrade.len) {
		to = h1_put(to, SPAN("Connection: Upgrade\r\nUpgrade: "));
		to = h1_put(to, head->upgrade);
		to = h1_put(to, SPAN("\r\n"));
	}
	if (head->no_body)
		return to;
	if (head->content_length < 0)
		return h1_put(to, SPAN("Transfer-Encoding: chunked\r\n"));
	to = h1_put(to, SPAN("Content-Length: "));
	to = h1_put_u64(to, (uint64_t)head->content_length);
	return h1_put(to, SPAN("\r\n"));
}

static enum io_result note(struct h1_client *client, enum io_result result)
{
	if (result != IO_OK)
		client->broken = true;
	return result;
}

HOT static enum io_result send_head(struct http_call *call,
				    const struct http_request_head *head, int flags,
				    int64_t deadline_ms)
{
	struct h1_client *client = client_of(call);
	size_t need = head->method.len + head->path.len + head->query.len +
		      head->authority.len + head->upgrade.len + 160 +
		      h1_fields_bytes(head->fields, head->field_count);
	char *from = h1_output_room(&client->out, need);
	char *to = from;
	enum io_result result;

	if (!from)
		return note(client, IO_FAILED);
	to = put_request_line(to, head);
	to = h1_put_fields(to, head->fields, head->field_count);
	to = put_framing(to, head);
	to = h1_put(to, SPAN("\r\n"));
	client->out.len += (size_t)(to - from);
	client->out.chunked = !head->no_body && head->content_length < 0;
	client->out.length_known = !client->out.chunked;
	client->out.left =
		head->no_body || client->out.chunked ? 0 : (uint64_t)head->content_length;
	client->to_head = span_eq(head->method, SPAN("HEAD"));
	if (flags & HTTP_SEND_END)
		client->request_ended = true;
	if (flags & HTTP_SEND_MORE)
		return IO_OK;
	result = h1_output_flush(&client->out, &client->stream, deadline_ms);
	if (flags & HTTP_SEND_END)
		h1_output_idle(&client->out);
	return note(client, result);
}

static enum io_result send_body(struct http_call *call, struct span piece, int flags,
				int64_t deadline_ms)
{
	struct h1_client *client = client_of(call);
	enum io_result result;

	if (!call->tunnel) {
		result = h1_output_body(&client->out, &client->stream, piece, flags,
					deadline_ms);
	} else {
		result = h1_output_flush(&client->out, &client->stream, deadline_ms);
		if (result == IO_OK && piece.len)
			result = stream_write(&client->stream, piece.ptr, piece.len,
					      deadline_ms);
		if (result == IO_OK && flags & HTTP_SEND_END)
			result = stream_finish(&client->stream, deadline_ms);
	}
	if (result == IO_OK && flags & HTTP_SEND_END)
		client->request_ended = true;
	return note(client, result);
}

static enum io_result send_trailers(struct http_call *call, const struct http_field *fields,
				    size_t count, int64_t deadline_ms)
{
	struct h1_client *client = client_of(call);
	enum io_result result =
		h1_output_trailers(&client->out, &client->stream, fields, count, deadline_ms);

	client->request_ended = result == IO_OK;
	return note(client, result);
}

/* --- reading the response --- */

static enum io_result fail(struct h1_client *client, const char *why)
{
	client->call.failure = why;
	return note(client, IO_FAILED);
}

HOT static enum io_result fill_head(struct h1_client *client, int64_t deadline_ms)
{
	size_t max_bytes = client->call.pool->options.head.head_bytes + 1;
	enum io_result result =
		h1_input_fill(&client->in, &client->stream, max_bytes, deadline_ms);

	if (client->in.start != client->in.end)
		client->call.response_started = true;
	if (result == IO_OK)
		return IO_OK;
	if (result == IO_FAILED && !client->stream.tls_error[0])
		return fail(client, "response head over its limit");
	return note(client, result == IO_EOF ? IO_CLOSED : result);
}

static enum io_result read_head_bytes(struct h1_client *client, int64_t deadline_ms)
{
	enum io_result result = IO_OK;
	size_t resume = 0;

	while (result == IO_OK && !http1_head_complete(h1_input_unread(&client->in), &resume))
		result = fill_head(client, deadline_ms);
	return result;
}

HOT static enum io_result accept_head(struct h1_client *client, size_t consumed)
{
	const struct http1_head *head = &client->call.response;

	if (head->status < 200 && head->status != 101) {
		if (++client->interim_count > INTERIM_MAX)
			return fail(client, "too many interim responses");
		client->in.start += consumed;
		return IO_OK;
	}
	h1_input_begin_body(&client->in, consumed, head);
	client->call.body_ended = client->in.ended;
	client->call.more_ready = h1_input_has_more(&client->in);
	client->keep_alive = head->keep_alive && head->framing != HTTP1_UNTIL_CLOSE;
	if (head->status == 101) {
		client->call.tunnel = true;
		client->keep_alive = false;
	}
	return IO_OK;
}

HOT static enum http1_result parse_head(struct h1_client *client, size_t *consumed)
{
	struct http_call *call = &client->call;

	call->response.fields = client->fields;
	return http1_parse_response(&call->response, h1_input_unread(&client->in),
				    &call->pool->options.head, client->to_head, false,
				    consumed);
}

/* Most heads come whole: they are parsed at once, and only of others is the end looked for. */
HOT static enum io_result read_head(struct http_call *call, int64_t deadline_ms)
{
	struct h1_client *client = client_of(call);
	enum http1_result parsed;
	enum io_result result;
	size_t consumed = 0;

	/* A buffer taken only now is one that was in use a moment ago, and is still in the cache. */
	if (!client->in.ptr) {
		result = stream_await(&client->stream, deadline_ms);
		if (result != IO_OK)
			return note(client, result);
	}
	if (!h1_input_ready(&client->in))
		return fail(client, "out of memory");
	if (client->in.start == client->in.end) {
		result = fill_head(client, deadline_ms);
		if (result != IO_OK)
			return result;
	}
	parsed = parse_head(client, &consumed);
	if (parsed == HTTP1_MORE) {
		result = read_head_bytes(client, deadline_ms);
		if (result != IO_OK)
			return result;
		parsed = parse_head(client, &consumed);
	}
	if (parsed != HTTP1_DONE)
		return fail(client, parsed == HTTP1_MORE ? "response head over its limit"
							 : http1_result_text(parsed));
	return accept_head(client, consumed);
}

HOT static enum io_result read_body(struct http_call *call, struct span *piece,
				    int64_t deadline_ms)
{
	struct h1_client *client = client_of(call);
	enum io_result result;

	if (call->tunnel)
		return h1_input_raw(&client->in, &client->stream, piece, deadline_ms);
	result = h1_input_body(&client->in, &client->stream, &call->pool->options.head,
			       &client->arena, piece, deadline_ms);
	call->body_ended = client->in.ended;
	call->more_ready = h1_input_has_more(&client->in);
	if (result == IO_EOF) {
		call->trailers = client->in.trailers;
		call->trailer_count = client->in.trailer_count;
		return IO_EOF;
	}
	if (result == IO_FAILED)
		return fail(client, "malformed response body");
	return note(client, result);
}

static bool is_used_up(const struct h1_client *client)
{
	uint32_t max = client->call.pool->options.calls_max;

	return max && client->served >= max;
}

HOT static bool is_reusable(const struct h1_client *client)
{
	const struct http_pool *pool = client->call.pool;

	return client->request_ended && client->in.ended && client->keep_alive &&
	       !client->broken && client->out.len == 0 && client->in.start == client->in.end &&
	       !pool->closed && !is_used_up(client) &&
	       pool->idle_count < pool->options.idle_max &&
	       !stream_maybe_readable(&client->stream);
}

HOT static void release(struct http_call *call)
{
	struct h1_client *client = client_of(call);
	struct http_pool *pool = call->pool;

	if (is_reusable(client)) {
		h1_input_release(&client->in);
		h1_output_idle(&client->out);
		if (client->arena.chunks)
			arena_reset(&client->arena);
		client->in_use = false;
		list_push_front(&pool->idle, &client->node);
		pool->idle_count++;
		timer_set(&client->idle_timer, loop_deadline_ms(pool->options.idle_timeout_ms));
		http_pool_notify(pool);
	} else {
		free_client(client);
	}
	http_pool_call_done(pool);
}

static const struct http_call_ops h1_ops = {
	.send_head = send_head,
	.send_body = send_body,
	.send_trailers = send_trailers,
	.read_head = read_head,
	.read_body = read_body,
	.release = release,
};

HOT struct h1_client *h1_client_take_idle(struct http_pool *pool)
{
	struct list *node = list_pop_front(&pool->idle);
	struct h1_client *client;

	if (!node)
		return NULL;
	client = list_entry(node, struct h1_client, node);
	pool->idle_count--;
	/* For the one who takes the next. */
	if (!list_empty(&pool->idle))
		prefetch_lines(list_entry(pool->idle.next, struct h1_client, node),
			       sizeof(*client) / CACHE_LINE_BYTES + 1);
	timer_stop(&client->idle_timer);
	client->in_use = true;
	return client;
}

HOT struct http_call *h1_client_begin(struct h1_client *client, bool reused)
{
	struct http_call *call = &client->call;
	struct http_pool *pool = call->pool;

	/* All but the response's head, which its parser sets. */
	call->ops = &h1_ops;
	call->pool = pool;
	call->reused = reused;
	call->response_started = false;
	call->version = 11;
	call->response.status = 0;
	call->body_ended = false;
	call->more_ready = false;
	call->trailers = NULL;
	call->trailer_count = 0;
	call->tunnel = false;
	call->failure = NULL;
	client->stream.watch.on_event = on_event;
	client->request_ended = false;
	client->broken = false;
	client->keep_alive = false;
	client->interim_count = 0;
	client->served++;
	h1_input_next_message(&client->in);
	pool->active_count++;
	return call;
}
