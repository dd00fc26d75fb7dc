/* HTTP/2 connections from clients (RFC 9113, RFC 8441). */
#include "base/mem.h"
#include "http/block.h"
#include "http/h2_exchange.h"

/* Between the two GOAWAY frames of an orderly end, for requests that are on their way. */
#define DRAIN_MS 1000
/* How long a client may go on sending after GOAWAY before the connection is closed under it. */
#define LINGER_MS 2000
#define LINGER_MAX ((uint64_t)1024 * 1024)
/* Handlers of cancelled streams may need a moment to end; streams beyond that are refused. */
#define RUNNING_PER_STREAM 2
/*
 * A client that sends content is answered before its end: it may go on for so long, and have so much
 * of it thrown away, before the stream is reset under it. Some take the reset for a failure of the
 * whole, although the answer came first (RFC 9113 section 8.1).
 */
#define UNREAD_MS 2000
#define UNREAD_MAX ((uint64_t)1024 * 1024)

static struct h2_server *server_of(struct h2_wire *wire)
{
	return CONTAINER_OF(wire, struct h2_server, wire);
}

HOT static struct h2_exchange *exchange_of_id(nghttp2_session *session, int32_t id)
{
	struct h2_stream *st = nghttp2_session_get_stream_user_data(session, id);

	return st ? CONTAINER_OF(st, struct h2_exchange, st) : NULL;
}

/* --- ends --- */

static void server_free(struct h2_server *s)
{
	http_connection_free(s->base);
	mem_free(s);
}

static void free_if_done(struct h2_server *s)
{
	if (s->lost && !s->lingering && !s->stream_count)
		server_free(s);
}

/* What still comes of a header block is of no interest: the arena that it is written to goes. */
HOT static void forget_head(struct h2_exchange *ex)
{
	struct h2_wire *wire = &ex->server->wire;

	if (LIKELY(wire->head_of != &ex->st))
		return;
	wire->head_of = NULL;
	h2_head_release(&wire->head);
}

HOT static void exchange_free(struct h2_exchange *ex)
{
	struct h2_server *s = ex->server;

	forget_head(ex);
	h2_stream_release(&ex->st);
	if (ex->x)
		http_exchange_free(ex->x);
	list_remove(&ex->node);
	if (!--s->stream_count)
		s->idle_since_ms = loop_now_ms();
	mem_free(ex);
}

static void tell_gone(struct h2_exchange *ex)
{
	if (!ex->x || !ex->fiber || ex->st.end_pushed || ex->reset_by_us)
		return;
	ex->x->client_gone = true;
	fiber_cancel(ex->fiber);
}

/* The connection is over: every exchange hears of it, and the last one to end frees it. */
static void lose(struct h2_server *s)
{
	bool linger = s->wire.broken && !s->wire.peer_gone;

	if (s->lost)
		return;
	s->lost = true;
	if (linger)
		h2_wire_say_goodbye(&s->wire,
				    nghttp2_session_get_last_proc_stream_id(s->wire.session));
	h2_wire_release(&s->wire);
	list_for_each (node, &s->streams) {
		struct h2_exchange *ex = list_entry(node, struct h2_exchange, node);

		h2_stream_close(&ex->st, NGHTTP2_CANCEL);
		tell_gone(ex);
		if (!ex->fiber || !ex->x)
			exchange_free(ex);
	}
	stream_shutdown(&s->base->stream);
	s->lingering = linger && !s->wire.peer_gone;
	if (s->lingering) {
		timer_set(&s->base->idle_timer, loop_deadline_ms(LINGER_MS));
		return;
	}
	timer_clear(&s->base->idle_timer);
	stream_close(&s->base->stream);
	free_if_done(s);
}

static void end_lingering(struct h2_server *s)
{
	s->lingering = false;
	timer_clear(&s->base->idle_timer);
	stream_close(&s->base->stream);
	free_if_done(s);
}

/* Closing with unread bytes would reset the connection, and GOAWAY could be lost with it. */
static void discard_input(struct h2_server *s)
{
	char *block = block_take();
	enum io_result result = block ? IO_OK : IO_FAILED;
	size_t got;

	while (result == IO_OK && s->lingered_bytes < LINGER_MAX) {
		result = stream_try_read(&s->base->stream, block, HTTP_BLOCK_BYTES, &got);
		if (result == IO_OK)
			s->lingered_bytes += got;
	}
	block_give(block);
	if (result != IO_AGAIN)
		end_lingering(s);
}

HOT static void update(struct h2_wire *wire)
{
	lose(server_of(wire));
}

/* --- limits on what a client may make us do --- */

static void begin_interval(struct h2_server *s)
{
	int64_t now_ms = loop_now_ms();

	if (now_ms - s->interval_start_ms < h2_server_limits(s)->h2_interval_ms)
		return;
	s->interval_start_ms = now_ms;
	s->resets = 0;
	s->control_frames = 0;
	s->data_frames_before = s->wire.data_frames_sent;
}

static int calm(struct h2_server *s)
{
	h2_wire_break(&s->wire, NGHTTP2_ENHANCE_YOUR_CALM);
	return NGHTTP2_ERR_CALLBACK_FAILURE;
}

/* Streams that the client has made end early, by whatever means (CVE-2023-44487, -2025-8671). */
static int count_reset(struct h2_server *s)
{
	begin_interval(s);
	return ++s->resets > h2_server_limits(s)->h2_resets ? calm(s) : 0;
}

/* `answers`: frames of ours in the interval that such a frame may be an answer to. */
static int count_control_frame(struct h2_server *s, uint64_t answers)
{
	begin_interval(s);
	return ++s->control_frames > h2_server_limits(s)->h2_control_frames + answers ? calm(s)
										      : 0;
}

HOT static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd,
			      void *user_data)
{
	struct h2_server *s = server_of(user_data);

	(void)session;
	switch (hd->type) {
	case NGHTTP2_HEADERS:
		s->continuations = 0;
		s->head_start_ms = loop_now_ms();
		return 0;
	case NGHTTP2_CONTINUATION:
		return ++s->continuations > h2_server_limits(s)->h2_continuations ? calm(s) : 0;
	case NGHTTP2_DATA:
		/* Empty frames cost as much as others and bring nothing, but for the end. */
		if (hd->length == 0 && !(hd->flags & NGHTTP2_FLAG_END_STREAM))
			return count_control_frame(s, 0);
		return 0;
	case NGHTTP2_WINDOW_UPDATE:
		begin_interval(s);
		return count_control_frame(
			s, 2 * (s->wire.data_frames_sent - s->data_frames_before));
	default: return count_control_frame(s, 0);
	}
}

/* --- requests --- */

static struct h2_exchange *exchange_new(struct h2_server *s, int32_t id);

/* Throws away what comes of the request, up to its end. Then the client's window closes. */
static void discard_request(struct h2_exchange *ex)
{
	int64_t deadline_ms = loop_deadline_ms(UNREAD_MS);
	enum io_result result = IO_OK;
	uint64_t discarded = 0;
	struct span piece;

	while (result == IO_OK && discarded < UNREAD_MAX) {
		result = h2_stream_read(&ex->st, &piece, deadline_ms);
		if (result == IO_OK)
			discarded += piece.len;
	}
	while (result == IO_OK && !ex->st.closed && !ex->st.remote_ended)
		result = h2_stream_park(&ex->st.reader, deadline_ms);
}

HOT static void exchange_main(void *arg)
{
	struct h2_exchange *ex = arg;
	struct h2_server *s = ex->server;
	struct http_exchange *x = ex->x;

	http_exchange_run(x);
	if (x->ended && !x->tunnel && ex->st.end_pushed && !ex->st.remote_ended &&
	    !ex->st.closed && !ex->reset_by_us && !fiber_is_cancelled())
		discard_request(ex);
	/* A complete answer does not need the rest of the request (section 8.1). */
	if (!ex->st.closed && !ex->reset_by_us && !(ex->st.end_pushed && ex->st.remote_ended)) {
		ex->reset_by_us = true;
		h2_stream_reset(&ex->st, x->ended ? NGHTTP2_NO_ERROR : NGHTTP2_INTERNAL_ERROR);
	}
	/* The reset may have to wait for room, and trailers go on coming until then. */
	forget_head(ex);
	ex->x = NULL;
	http_exchange_free(x);
	if (ex->st.closed) {
		exchange_free(ex);
		free_if_done(s);
	}
}

static void start_draining(struct h2_server *s)
{
	if (s->drain_at_ms || s->lost || s->wire.broken)
		return;
	s->drain_at_ms = loop_deadline_ms(DRAIN_MS);
	timer_set(&s->base->idle_timer, s->drain_at_ms);
	if (nghttp2_submit_shutdown_notice(s->wire.session) < 0)
		h2_wire_break(&s->wire, NGHTTP2_INTERNAL_ERROR);
	h2_wire_touch(&s->wire);
}

HOT static void start_exchange(struct h2_exchange *ex)
{
	struct h2_server *s = ex->server;
	const struct http_limits *limits = h2_server_limits(s);

	ex->x->version = 20;
	ex->body_start_ms = loop_now_ms();
	ex->fiber = fiber_start(exchange_main, ex, NULL);
	if (!ex->fiber) {
		ex->reset_by_us = true;
		h2_stream_reset(&ex->st, NGHTTP2_REFUSED_STREAM);
		return;
	}
	s->served++;
	if (limits->requests_per_connection && s->served >= limits->requests_per_connection)
		start_draining(s);
}

HOT static void end_request_head(struct h2_exchange *ex, bool end_stream)
{
	struct h2_server *s = ex->server;
	struct http_exchange *x = ex->x;
	enum http1_result result =
		h2_head_request(&s->wire.head, end_stream, &x->request, &x->protocol);

	if (s->wire.head.out_of_memory) {
		x->malformed_status = 503;
		x->malformed = "no memory for the request's header fields";
	} else if (result != HTTP1_DONE) {
		x->malformed_status = http1_result_status(result);
		x->malformed = http1_result_text(result);
	}
	ex->no_content = !x->request.upgrade && !x->malformed_status &&
			 x->request.framing == HTTP1_NO_BODY;
	start_exchange(ex);
}

/* False when the request does not end in good order, which the exchange must not take for one. */
static bool end_trailers(struct h2_exchange *ex)
{
	struct http_exchange *x = ex->x;
	struct http_field *fields = NULL;
	size_t count = 0;

	if (h2_head_trailers(&ex->server->wire.head, &fields, &count) != HTTP1_DONE) {
		h2_stream_reset(&ex->st, NGHTTP2_PROTOCOL_ERROR);
		return false;
	}
	x->trailers = fields;
	x->trailer_count = count;
	return true;
}

HOT static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame,
				void *user_data)
{
	struct h2_server *s = server_of(user_data);
	int32_t id = frame->hd.stream_id;
	struct h2_exchange *ex = exchange_of_id(session, id);
	struct http1_limits limits = h2_server_limits(s)->head;

	limits.head_bytes = h2_server_limits(s)->h2_head_bytes;
	limits.fields_bytes = 0;
	h2_head_release(&s->wire.head);
	s->wire.head_of = NULL;
	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		if (s->stream_count >=
		    (size_t)h2_server_limits(s)->h2_streams * RUNNING_PER_STREAM)
			return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id,
							 NGHTTP2_REFUSED_STREAM) < 0
				       ? NGHTTP2_ERR_CALLBACK_FAILURE
				       : 0;
		ex = exchange_new(s, id);
		if (!ex)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
		s->wire.head_of = &ex->st;
		h2_head_begin(&s->wire.head, H2_HEAD_REQUEST, &ex->x->arena, &limits);
	} else if (ex && ex->x && !ex->x->tunnel) {
		s->wire.head_of = &ex->st;
		h2_head_begin(&s->wire.head, H2_HEAD_TRAILERS, &ex->x->arena, &limits);
	}
	return 0;
}

HOT static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame,
			     void *user_data)
{
	struct h2_server *s = server_of(user_data);
	struct h2_exchange *ex = exchange_of_id(session, frame->hd.stream_id);
	bool end_stream = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	switch (frame->hd.type) {
	case NGHTTP2_SETTINGS: s->greeted = true; return 0;
	case NGHTTP2_HEADERS:
	case NGHTTP2_DATA: break;
	default: return 0;
	}
	if (!ex)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && s->wire.head_of == &ex->st) {
		s->wire.head_of = NULL;
		if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
			end_request_head(ex, end_stream);
		else if (!end_trailers(ex))
			return 0;
	} else if (frame->hd.type == NGHTTP2_DATA && ex->no_content && ex->st.in_bytes) {
		h2_stream_reset(&ex->st, NGHTTP2_PROTOCOL_ERROR);
	}
	if (end_stream) {
		ex->st.remote_ended = true;
		if (ex->st.reader)
			fiber_wake(ex->st.reader);
	}
	return 0;
}

/* What nghttp2 refuses by itself is run all the same, so that it is seen and logged. */
static void report_malformed(struct h2_exchange *ex)
{
	ex->x->malformed_status = 400;
	ex->x->malformed = "malformed HTTP/2 request";
	ex->x->client_gone = true;
	start_exchange(ex);
	if (!ex->fiber)
		exchange_free(ex);
}

HOT static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error_code,
			       void *user_data)
{
	struct h2_server *s = server_of(user_data);
	struct h2_exchange *ex = exchange_of_id(session, id);
	int result = 0;

	if (!ex)
		return count_reset(s);
	h2_stream_close(&ex->st, error_code);
	/* Who has a complete answer may leave off sending. */
	if (ex->x && !ex->reset_by_us &&
	    !(ex->st.end_pushed && (ex->st.remote_ended || ex->x->ended)))
		result = count_reset(s);
	if (!ex->x) {
		exchange_free(ex);
	} else if (ex->fiber) {
		tell_gone(ex);
	} else if (ex->reset_by_us || s->wire.broken) {
		exchange_free(ex);
	} else {
		forget_head(ex);
		report_malformed(ex);
	}
	return result;
}

/*
 * What nghttp2 refuses before there is a stream is closed by no callback: requests beyond the limit on
 * streams of a client that has not acknowledged our SETTINGS, each of which it answers with a reset.
 */
static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error,
			    void *user_data)
{
	(void)error;
	if (frame->hd.type != NGHTTP2_HEADERS ||
	    nghttp2_session_find_stream(session, frame->hd.stream_id))
		return 0;
	return count_reset(server_of(user_data));
}

HOT static struct h2_exchange *exchange_new(struct h2_server *s, int32_t id)
{
	struct h2_exchange *ex = mem_zalloc(1, sizeof(*ex));

	if (!ex)
		return NULL;
	ex->x = http_exchange_new(s->base, &h2_exchange_ops);
	if (!ex->x || nghttp2_session_set_stream_user_data(s->wire.session, id, &ex->st) < 0) {
		if (ex->x)
			http_exchange_free(ex->x);
		mem_free(ex);
		return NULL;
	}
	ex->x->state = ex;
	ex->x->request = (struct http1_head){.fields = ex->x->request.fields};
	ex->server = s;
	h2_stream_init(&ex->st, &s->wire, id);
	list_push_back(&s->streams, &ex->node);
	s->stream_count++;
	return ex;
}

/* --- the connection --- */

HOT static void on_event(struct watch *watch, uint32_t events)
{
	struct http_connection *c = CONTAINER_OF(watch, struct http_connection, stream.watch);
	struct h2_server *s = c->state;

	if (!s->lost)
		h2_wire_event(&s->wire, events);
	else if (s->lingering && events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		discard_input(s);
}

static void finish_draining(struct h2_server *s)
{
	int32_t last = nghttp2_session_get_last_proc_stream_id(s->wire.session);

	s->drain_at_ms = FIBER_FOREVER;
	if (nghttp2_submit_goaway(s->wire.session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR,
				  NULL, 0) < 0)
		h2_wire_break(&s->wire, NGHTTP2_INTERNAL_ERROR);
	h2_wire_touch(&s->wire);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* The next time at which one of the limits in time may have passed. */
static int64_t next_check_ms(struct h2_server *s)
{
	const struct http_limits *limits = h2_server_limits(s);
	int64_t wait_ms = earlier(earlier(limits->head_timeout_ms, limits->idle_timeout_ms),
				  limits->write_timeout_ms);
	int64_t at_ms = loop_deadline_ms(wait_ms > 1 ? wait_ms : 1);

	at_ms = earlier(at_ms, h2_wire_keep_alive(&s->wire, limits->h2_ping_interval_ms,
						  limits->h2_ping_timeout_ms));
	return s->drain_at_ms ? earlier(at_ms, s->drain_at_ms) : at_ms;
}

static void on_timer(struct timer *timer)
{
	struct http_connection *c = CONTAINER_OF(timer, struct http_connection, idle_timer);
	struct h2_server *s = c->state;
	const struct http_limits *limits = h2_server_limits(s);
	int64_t now_ms = loop_now_ms();

	if (s->lost) {
		end_lingering(s);
		return;
	}
	if (s->wire.out_first && now_ms - s->wire.progress_ms >= limits->write_timeout_ms) {
		s->wire.peer_gone = true;
		h2_wire_break(&s->wire, NGHTTP2_NO_ERROR);
	} else if ((s->wire.head_of || !s->greeted) &&
		   now_ms - s->head_start_ms >= limits->head_timeout_ms) {
		h2_wire_break(&s->wire, NGHTTP2_ENHANCE_YOUR_CALM);
	} else if (!s->stream_count && now_ms - s->idle_since_ms >= limits->idle_timeout_ms) {
		h2_wire_break(&s->wire, NGHTTP2_NO_ERROR);
	} else if (s->drain_at_ms && now_ms >= s->drain_at_ms) {
		finish_draining(s);
	}
	timer_set(timer, next_check_ms(s));
}

static void drain(struct http_connection *c)
{
	start_draining(c->state);
}

static void destroy(struct http_connection *c)
{
	struct h2_server *s = c->state;

	if (s->lingering) {
		end_lingering(s);
		return;
	}
	s->wire.peer_gone = true;
	lose(s);
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
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks,
								     on_invalid_frame);
	return callbacks;
}

static int session_new(struct h2_server *s)
{
	const struct http_limits *limits = h2_server_limits(s);
	nghttp2_session_callbacks *callbacks = callbacks_new();
	nghttp2_option *option = h2_wire_option_new();
	nghttp2_mem mem = h2_wire_memory(&s->wire);
	int error = NGHTTP2_ERR_NOMEM;

	if (callbacks && option) {
		/* A second line behind our own counts, which come first and answer better. */
		nghttp2_option_set_max_continuations(option, limits->h2_continuations);
		nghttp2_option_set_stream_reset_rate_limit(option,
							   2 * (uint64_t)limits->h2_resets,
							   2 * (uint64_t)limits->h2_resets);
		error = nghttp2_session_server_new3(&s->wire.session, callbacks, &s->wire,
						    option, &mem);
	}
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	return error < 0 ? -1 : 0;
}

static int submit_settings(struct h2_server *s)
{
	const struct http_limits *limits = h2_server_limits(s);
	const nghttp2_settings_entry entries[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->h2_streams},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits->h2_window_bytes},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->h2_head_bytes},
		{NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
	};
	uint32_t window = limits->h2_connection_window_bytes;

	if (window > INT32_MAX)
		window = INT32_MAX;
	if (nghttp2_submit_settings(s->wire.session, NGHTTP2_FLAG_NONE, entries,
				    COUNT_OF(entries)) < 0)
		return -1;
	return nghttp2_session_set_local_window_size(s->wire.session, NGHTTP2_FLAG_NONE, 0,
						     (int32_t)window) < 0
		       ? -1
		       : 0;
}

void h2_take_over(struct http_connection *c)
{
	struct h2_server *s = mem_zalloc(1, sizeof(*s));

	if (!s) {
		http_connection_free(c);
		return;
	}
	s->base = c;
	list_init(&s->streams);
	s->head_start_ms = s->idle_since_ms = s->interval_start_ms = loop_now_ms();
	h2_wire_init(&s->wire, &c->stream, update);
	if (session_new(s) < 0 || submit_settings(s) < 0) {
		h2_wire_release(&s->wire);
		mem_free(s);
		http_connection_free(c);
		return;
	}
	c->state = s;
	c->drain = drain;
	c->destroy = destroy;
	c->stream.watch.on_event = on_event;
	timer_init(&c->idle_timer, on_timer);
	timer_set(&c->idle_timer, next_check_ms(s));
	if (c->early) {
		h2_wire_feed(&s->wire, c->early, c->early_len);
		block_give(c->early);
		c->early = NULL;
	}
	if (!s->wire.broken && stream_maybe_readable(&c->stream))
		h2_wire_read(&s->wire);
	h2_wire_touch(&s->wire);
}
