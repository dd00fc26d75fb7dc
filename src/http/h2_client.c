/* HTTP/2 connections to services (RFC 9113, RFC 8441). */
#include "base/mem.h"
#include "http/h2_call.h"

#define ARENA_CAP_BYTES ((size_t)1024 * 1024)
#define ARENA_CHUNK_BYTES ((size_t)4096)
/* Interim responses to one request; more is an attack or a bug. */
#define INTERIM_MAX 16
#define FREE_CALLS_MAX 32
#define WINDOW_BYTES 262144
#define CONNECTION_WINDOW_BYTES (8 * WINDOW_BYTES)
/* Frames of a field block, and frames without use a service may send in the interval. */
#define CONTINUATIONS_MAX 8
#define CONTROL_FRAMES_MAX 2000
#define CONTROL_INTERVAL_MS 10000
/* A connection without any sign of life for so long gets no further calls. */
#define SUSPICIOUS_MS 1000

/* The call of a stream, which may have been released. */
static struct h2_call *call_of_id(nghttp2_session *session, int32_t id)
{
	struct h2_stream *st = nghttp2_session_get_stream_user_data(session, id);

	return st ? CONTAINER_OF(st, struct h2_call, st) : NULL;
}

static struct h2_client *client_of(struct h2_wire *wire)
{
	return CONTAINER_OF(wire, struct h2_client, wire);
}

/* --- ends --- */

static void call_free_memory(struct h2_call *c)
{
	arena_release(&c->arena);
	mem_free(c);
}

static void client_free(struct h2_client *client)
{
	struct http_pool *pool = client->pool;

	timer_clear(&client->idle_timer);
	list_remove(&client->node);
	h2_wire_release(&client->wire);
	stream_close(&client->stream);
	while (client->free_calls) {
		struct h2_call *next = client->free_calls->next_free;

		call_free_memory(client->free_calls);
		client->free_calls = next;
	}
	mem_free(client);
	http_pool_connection_gone(pool);
}

void h2_client_retire(struct h2_client *client)
{
	if (client->retired)
		return;
	client->retired = true;
	list_remove(&client->node);
	http_pool_notify(client->pool);
}

/* The connection is over: calls under way hear of it, and the last one to end frees it. */
static void lose(struct h2_client *client)
{
	if (client->lost)
		return;
	client->lost = true;
	h2_client_retire(client);
	if (client->wire.broken)
		h2_wire_say_goodbye(&client->wire, 0);
	h2_wire_release(&client->wire);
	stream_shutdown(&client->stream);
	stream_close(&client->stream);
	timer_clear(&client->idle_timer);
	list_for_each (node, &client->calls)
		h2_stream_close(&list_entry(node, struct h2_call, node)->st, NGHTTP2_CANCEL);
	if (client->starting) {
		if (client->starter)
			fiber_wake(client->starter);
	} else if (!client->call_count) {
		client_free(client);
	}
}

static void update(struct h2_wire *wire)
{
	lose(client_of(wire));
}

static void say_goodbye_and_lose(struct h2_client *client)
{
	h2_wire_break(&client->wire, NGHTTP2_NO_ERROR);
	lose(client);
}

/* Idle for too long; or, with calls under way, silent for long. */
static void on_timer(struct timer *timer)
{
	struct h2_client *client = CONTAINER_OF(timer, struct h2_client, idle_timer);
	const struct http_pool_options *options = &client->pool->options;

	if (!client->call_count)
		say_goodbye_and_lose(client);
	else
		timer_set(timer, h2_wire_keep_alive(&client->wire, options->ping_interval_ms,
						    options->ping_timeout_ms));
}

/*
 * Services are only asked while something is expected of them: some take other PINGs for an attack
 * (gRPC's ENHANCE_YOUR_CALM "too_many_pings").
 */
static void await_signs_of_life(struct h2_client *client)
{
	int64_t interval_ms = client->pool->options.ping_interval_ms;

	if (interval_ms)
		timer_set(&client->idle_timer, loop_deadline_ms(interval_ms));
	else
		timer_stop(&client->idle_timer);
}

void h2_client_close_all(struct http_pool *pool)
{
	list_for_each (node, &pool->multiplexed) {
		struct h2_client *client = list_entry(node, struct h2_client, node);

		if (client->call_count)
			h2_client_retire(client);
		else
			say_goodbye_and_lose(client);
	}
}

/* --- what comes from the service --- */

static int calm(struct h2_client *client)
{
	h2_wire_break(&client->wire, NGHTTP2_ENHANCE_YOUR_CALM);
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int count_control_frame(struct h2_client *client)
{
	int64_t now_ms = loop_now_ms();

	if (now_ms - client->interval_start_ms >= CONTROL_INTERVAL_MS) {
		client->interval_start_ms = now_ms;
		client->control_frames = 0;
		client->data_frames_before = client->wire.data_frames_sent;
	}
	return ++client->control_frames >
			       CONTROL_FRAMES_MAX + 2 * (client->wire.data_frames_sent -
							 client->data_frames_before)
		       ? calm(client)
		       : 0;
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user_data)
{
	struct h2_client *client = client_of(user_data);

	(void)session;
	switch (hd->type) {
	case NGHTTP2_HEADERS: client->continuations = 0; return 0;
	case NGHTTP2_CONTINUATION:
		return ++client->continuations > CONTINUATIONS_MAX ? calm(client) : 0;
	case NGHTTP2_RST_STREAM: return 0; /* at most one a call */
	case NGHTTP2_DATA:
		if (hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM))
			return count_control_frame(client);
		return 0;
	default: return count_control_frame(client);
	}
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame,
			    void *user_data)
{
	struct h2_client *client = client_of(user_data);
	struct h2_call *c = call_of_id(session, frame->hd.stream_id);

	h2_head_release(&client->wire.head);
	client->wire.head_of = NULL;
	if (!c)
		return 0;
	c->call.response_started = true;
	client->wire.head_of = &c->st;
	h2_head_begin(&client->wire.head,
		      c->final_head_seen ? H2_HEAD_TRAILERS : H2_HEAD_RESPONSE, &c->arena,
		      &client->pool->options.head);
	return 0;
}

static bool is_interim(struct span text)
{
	return text.len > 9 && text.ptr[9] == '1';
}

static void end_head(struct h2_call *c)
{
	struct span text = h2_head_response_text(&c->client->wire.head);
	struct response_text *head = text.ptr ? arena_alloc(&c->arena, sizeof(*head)) : NULL;

	if (!head) {
		h2_call_refuse(c, c->client->wire.head.error == HTTP1_DONE
					  ? "no memory for the response's header fields"
					  : http1_result_text(c->client->wire.head.error));
		return;
	}
	if (!is_interim(text)) {
		c->final_head_seen = true;
	} else if (++c->interim_count > INTERIM_MAX) {
		h2_call_refuse(c, "too many interim responses");
		return;
	}
	*head = (struct response_text){.text = text};
	*c->heads_tail = head;
	c->heads_tail = &head->next;
	if (c->st.reader)
		fiber_wake(c->st.reader);
}

static void end_trailers(struct h2_call *c)
{
	struct http_field *fields = NULL;
	size_t count = 0;
	enum http1_result result = h2_head_trailers(&c->client->wire.head, &fields, &count);

	if (result != HTTP1_DONE) {
		h2_call_refuse(c, http1_result_text(result));
		return;
	}
	c->call.trailers = fields;
	c->call.trailer_count = count;
}

static void end_stream(struct h2_call *c)
{
	c->st.remote_ended = true;
	if (c->st.reader)
		fiber_wake(c->st.reader);
}

static void on_settings(struct h2_client *client)
{
	client->greeted = true;
	if (client->starter)
		fiber_wake(client->starter);
	else if (!client->retired)
		http_pool_notify(client->pool); /* more streams may be allowed now */
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	struct h2_client *client = client_of(user_data);
	struct h2_call *c = call_of_id(session, frame->hd.stream_id);

	switch (frame->hd.type) {
	case NGHTTP2_SETTINGS:
		if (!(frame->hd.flags & NGHTTP2_FLAG_ACK))
			on_settings(client);
		return 0;
	case NGHTTP2_GOAWAY: h2_client_retire(client); return 0;
	case NGHTTP2_HEADERS:
	case NGHTTP2_DATA: break;
	default: return 0;
	}
	if (!c)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && client->wire.head_of == &c->st) {
		client->wire.head_of = NULL;
		if (c->final_head_seen)
			end_trailers(c);
		else
			end_head(c);
	}
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		end_stream(c);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error_code,
			   void *user_data)
{
	struct h2_client *client = client_of(user_data);
	struct h2_call *c = call_of_id(session, id);

	if (!c)
		return 0;
	if (client->wire.head_of == &c->st)
		client->wire.head_of = NULL;
	h2_stream_close(&c->st, error_code);
	return 0;
}

/* --- calls --- */

static bool must_reset(const struct h2_call *c)
{
	return c->sent && !c->st.closed && !(c->request_ended && c->st.remote_ended);
}

/* Nothing has come since a call began that was given up unanswered: it may be dead. */
static bool is_suspicious(const struct h2_call *c)
{
	return c->sent && !c->st.remote_ended && c->client->wire.input_ms < c->start_ms &&
	       loop_now_ms() - c->start_ms >= SUSPICIOUS_MS;
}

static void call_recycle(struct h2_call *c)
{
	struct h2_client *client = c->client;

	if (client->lost || client->free_count >= FREE_CALLS_MAX) {
		call_free_memory(c);
		return;
	}
	arena_reset(&c->arena);
	c->next_free = client->free_calls;
	client->free_calls = c;
	client->free_count++;
}

static void go_idle(struct h2_client *client)
{
	if (client->lost)
		client_free(client);
	else if (client->retired || client->pool->closed)
		say_goodbye_and_lose(client);
	else
		timer_set(&client->idle_timer,
			  loop_deadline_ms(client->pool->options.idle_timeout_ms));
}

static void release(struct http_call *call)
{
	struct h2_call *c = h2_call_of(call);
	struct h2_client *client = c->client;
	struct http_pool *pool = call->pool;

	if (must_reset(c))
		h2_stream_reset(&c->st, c->st.remote_ended ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
	if (is_suspicious(c))
		h2_client_retire(client);
	if (c->sent && !c->st.closed && client->wire.session)
		(void)nghttp2_session_set_stream_user_data(client->wire.session, c->st.id,
							   NULL);
	if (client->wire.head_of == &c->st)
		client->wire.head_of = NULL;
	h2_stream_release(&c->st);
	list_remove(&c->node);
	call_recycle(c);
	client->call_count--;
	if (!client->retired)
		http_pool_notify(pool);
	if (!client->call_count)
		go_idle(client);
	http_pool_call_done(pool);
}

static const struct http_call_ops h2_ops = {
	.send_head = h2_call_send_head,
	.send_body = h2_call_send_body,
	.send_trailers = h2_call_send_trailers,
	.read_head = h2_call_read_head,
	.read_body = h2_call_read_body,
	.release = release,
};

static struct h2_call *call_new(struct h2_client *client)
{
	struct h2_call *c = client->free_calls;

	if (c) {
		client->free_calls = c->next_free;
		client->free_count--;
		return c;
	}
	c = mem_alloc(sizeof(*c) +
		      client->pool->options.head.field_count * sizeof(struct http_field));
	if (c)
		arena_init(&c->arena, ARENA_CAP_BYTES, ARENA_CHUNK_BYTES);
	return c;
}

static bool has_room(const struct h2_client *client)
{
	uint32_t wanted = client->pool->options.h2_streams;
	uint32_t max;

	if (client->wire.broken)
		return false;
	max = nghttp2_session_get_remote_settings(client->wire.session,
						  NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	if (wanted && wanted < max)
		max = wanted;
	return client->call_count < max;
}

static struct http_call *begin(struct h2_client *client)
{
	struct h2_call *c = call_new(client);
	struct arena arena;

	if (!c)
		return NULL;
	arena = c->arena;
	*c = (struct h2_call){
		.call = {.ops = &h2_ops,
			 .pool = client->pool,
			 .reused = client->served > 0,
			 .version = 20},
		.client = client,
		.arena = arena,
		.start_ms = loop_now_ms(),
	};
	c->heads_tail = &c->heads;
	h2_stream_init(&c->st, &client->wire, 0);
	list_push_back(&client->calls, &c->node);
	client->call_count++;
	client->served++;
	client->pool->active_count++;
	if (client->call_count == 1)
		await_signs_of_life(client);
	if (client->pool->options.calls_max &&
	    client->served >= client->pool->options.calls_max)
		h2_client_retire(client);
	return &c->call;
}

struct http_call *h2_client_open(struct http_pool *pool)
{
	list_for_each (node, &pool->multiplexed) {
		struct h2_client *client = list_entry(node, struct h2_client, node);

		if (has_room(client))
			return begin(client);
	}
	return NULL;
}

/* --- the connection --- */

struct h2_client *h2_client_new(struct http_pool *pool)
{
	struct h2_client *client = mem_zalloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->pool = pool;
	client->stream.watch.fd = -1;
	list_init(&client->node);
	list_init(&client->calls);
	timer_init(&client->idle_timer, on_timer);
	h2_wire_init(&client->wire, &client->stream, update);
	return client;
}

struct stream *h2_client_stream(struct h2_client *client)
{
	return &client->stream;
}

void h2_client_discard(struct h2_client *client)
{
	client_free(client);
}

static void on_event(struct watch *watch, uint32_t events)
{
	struct h2_client *client = CONTAINER_OF(watch, struct h2_client, stream.watch);

	if (!client->lost)
		h2_wire_event(&client->wire, events);
}

static nghttp2_session_callbacks *callbacks_new(void)
{
	nghttp2_session_callbacks *callbacks = h2_wire_callbacks_new();

	if (!callbacks)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	return callbacks;
}

static int session_new(struct h2_client *client)
{
	nghttp2_session_callbacks *callbacks = callbacks_new();
	nghttp2_option *option = h2_wire_option_new();
	nghttp2_mem mem = h2_wire_memory(&client->wire);
	int error = NGHTTP2_ERR_NOMEM;

	if (callbacks && option) {
		nghttp2_option_set_max_continuations(option, CONTINUATIONS_MAX);
		error = nghttp2_session_client_new3(&client->wire.session, callbacks,
						    &client->wire, option, &mem);
	}
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	return error < 0 ? -1 : 0;
}

static int submit_settings(struct h2_client *client)
{
	const nghttp2_settings_entry entries[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
		 (uint32_t)client->pool->options.head.head_bytes},
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
	};

	if (nghttp2_submit_settings(client->wire.session, NGHTTP2_FLAG_NONE, entries,
				    COUNT_OF(entries)) < 0)
		return -1;
	return nghttp2_session_set_local_window_size(client->wire.session, NGHTTP2_FLAG_NONE, 0,
						     CONNECTION_WINDOW_BYTES) < 0
		       ? -1
		       : 0;
}

/* How many streams there may be is known only with the service's SETTINGS. */
static enum io_result await_settings(struct h2_client *client, int64_t deadline_ms)
{
	enum io_result result = IO_OK;

	client->starting = true;
	while (result == IO_OK && !client->greeted && !client->retired)
		result = h2_stream_park(&client->starter, deadline_ms);
	client->starting = false;
	if (result == IO_OK && (client->retired || client->pool->closed))
		result = IO_CLOSED;
	return result;
}

enum io_result h2_client_start(struct h2_client *client, int64_t deadline_ms, struct err *err)
{
	enum io_result result;

	if (session_new(client) < 0 || submit_settings(client) < 0) {
		err_set(err, ERR_MEMORY, "no memory for an HTTP/2 connection");
		return IO_FAILED;
	}
	client->stream.watch.on_event = on_event;
	client->interval_start_ms = loop_now_ms();
	if (stream_maybe_readable(&client->stream))
		h2_wire_read(&client->wire);
	h2_wire_touch(&client->wire);
	result = await_settings(client, deadline_ms);
	if (result != IO_OK) {
		err_set(err, result == IO_TIMEOUT ? ERR_TIMEOUT : ERR_CLOSED,
			"HTTP/2 without SETTINGS from the service: %s", io_result_text(result));
		return result;
	}
	list_push_front(&client->pool->multiplexed, &client->node);
	timer_set(&client->idle_timer, loop_deadline_ms(client->pool->options.idle_timeout_ms));
	return IO_OK;
}
