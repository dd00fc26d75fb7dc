/* What callers call on an HTTP/2 client connection. */
#include "http/h2_call.h"

#define FIELDS_MAX 256

/* --- the request --- */

/* Extended CONNECT may only be sent when the service has said so (RFC 8441 section 3). */
static bool offers_extended_connect(const struct h2_call *c)
{
	const struct h2_wire *wire = c->st.wire;

	return !wire->broken &&
	       nghttp2_session_get_remote_settings(
		       wire->session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

static struct span join_target(struct h2_call *c, const struct http_request_head *head)
{
	char *to;

	if (!head->query.ptr)
		return head->path;
	to = arena_alloc(&c->arena, head->path.len + 1 + head->query.len);
	if (!to)
		return SPAN_NONE;
	memcpy(to, head->path.ptr, head->path.len);
	to[head->path.len] = '?';
	if (head->query.len)
		memcpy(to + head->path.len + 1, head->query.ptr, head->query.len);
	return span_of(to, head->path.len + 1 + head->query.len);
}

static bool has_length(const struct http_request_head *head)
{
	return !head->no_body && head->content_length >= 0 && !head->upgrade.len;
}

/* Fills nv; 0: out of memory or too many. */
static size_t put_fields(struct h2_call *c, const struct http_request_head *head,
			 nghttp2_nv *nv)
{
	struct span target = join_target(c, head);
	size_t count = 0, more;

	if (!target.ptr || head->field_count > FIELDS_MAX)
		return 0;
	nv[count++] =
		h2_field(SPAN(":method"), head->upgrade.len ? SPAN("CONNECT") : head->method);
	if (head->upgrade.len)
		nv[count++] = h2_field(SPAN(":protocol"), head->upgrade);
	nv[count++] = h2_field(SPAN(":scheme"), head->scheme);
	nv[count++] = h2_field(SPAN(":authority"), head->authority);
	nv[count++] = h2_field(SPAN(":path"), target);
	more = h2_fields(nv + count, head->fields, head->field_count, &c->arena);
	if (more == SIZE_MAX)
		return 0;
	count += more;
	if (has_length(head)) {
		struct span length =
			arena_printf(&c->arena, "%lld", (long long)head->content_length);

		if (!length.ptr)
			return 0;
		nv[count++] = h2_field(SPAN("content-length"), length);
	}
	return count;
}

static enum io_result submit(struct h2_call *c, const struct http_request_head *head, bool end)
{
	struct h2_client *client = c->client;
	nghttp2_data_provider source = h2_stream_source(&c->st);
	nghttp2_nv nv[FIELDS_MAX + 6];
	size_t count = put_fields(c, head, nv);
	int32_t id;

	if (!count) {
		c->call.failure = "the request's header fields do not fit";
		return IO_FAILED;
	}
	id = nghttp2_submit_request(client->wire.session, NULL, nv, count, end ? NULL : &source,
				    &c->st);
	if (id < 0) {
		if (nghttp2_is_fatal(id))
			h2_wire_break(&client->wire, NGHTTP2_INTERNAL_ERROR);
		h2_client_retire(client); /* all stream numbers used up, or worse */
		return IO_CLOSED;
	}
	c->st.id = id;
	c->sent = true;
	if (h2_stream_push_head(&c->st) == IO_OK)
		return IO_OK;
	/* It waits in nghttp2 with fields that are about to go: take it back. */
	h2_stream_reset(&c->st, NGHTTP2_CANCEL);
	h2_client_retire(client);
	return IO_CLOSED;
}

enum io_result h2_call_send_head(struct http_call *call, const struct http_request_head *head,
				 int flags, int64_t deadline_ms)
{
	struct h2_call *c = h2_call_of(call);
	bool end = flags & HTTP_SEND_END && !head->upgrade.len;
	enum io_result result;

	if (c->sent)
		return IO_FAILED;
	result = h2_stream_wait_room(&c->st, deadline_ms);
	if (result != IO_OK)
		return result;
	if (head->upgrade.len && !offers_extended_connect(c)) {
		call->failure = "the service does not offer extended CONNECT";
		return IO_FAILED;
	}
	c->to_head = span_eq(head->method, SPAN("HEAD"));
	c->to_connect = head->upgrade.len;
	c->length_known = has_length(head) || (head->no_body && !head->upgrade.len);
	c->body_left = has_length(head) ? (uint64_t)head->content_length : 0;
	if (end && c->body_left) {
		call->failure = "the request ends short of its length";
		return IO_FAILED;
	}
	result = submit(c, head, end);
	c->request_ended = end && result == IO_OK;
	return result;
}

enum io_result h2_call_send_body(struct http_call *call, struct span piece, int flags,
				 int64_t deadline_ms)
{
	struct h2_call *c = h2_call_of(call);
	bool end = flags & HTTP_SEND_END;
	enum io_result result;

	if (!c->sent || c->request_ended)
		return IO_FAILED;
	if (c->length_known) {
		if (piece.len > c->body_left || (end && piece.len < c->body_left)) {
			call->failure = "the request's body does not have its length";
			return IO_FAILED;
		}
		c->body_left -= piece.len;
	}
	result = h2_stream_send(&c->st, piece, end, deadline_ms);
	if (result == IO_OK && end)
		c->request_ended = true;
	return result;
}

enum io_result h2_call_send_trailers(struct http_call *call, const struct http_field *fields,
				     size_t count, int64_t deadline_ms)
{
	struct h2_call *c = h2_call_of(call);
	nghttp2_nv nv[FIELDS_MAX];
	enum io_result result;

	if (!c->sent || c->request_ended)
		return IO_FAILED;
	if (count <= FIELDS_MAX)
		count = h2_fields(nv, fields, count, &c->arena);
	if (count > FIELDS_MAX || (c->length_known && c->body_left)) {
		call->failure = "the request's trailers do not fit";
		return IO_FAILED;
	}
	result = h2_stream_send_trailers(&c->st, nv, count, deadline_ms);
	c->request_ended = result == IO_OK;
	return result;
}

/* --- the response --- */

void h2_call_refuse(struct h2_call *c, const char *why)
{
	c->call.failure = why;
	h2_stream_reset(&c->st, NGHTTP2_PROTOCOL_ERROR);
	if (c->st.reader)
		fiber_wake(c->st.reader);
}

static enum io_result parse_next_head(struct h2_call *c)
{
	struct http_call *call = &c->call;
	struct response_text *head = c->heads;
	enum http1_result parsed;

	c->heads = head->next;
	if (!c->heads)
		c->heads_tail = &c->heads;
	call->response.fields = c->fields;
	parsed = h2_head_parse_response(head->text, &call->pool->options.head, c->to_head,
					&call->response);
	if (parsed == HTTP1_DONE && call->response.status == 101)
		parsed = HTTP1_BAD_LINE; /* RFC 9113 section 8.6 */
	if (parsed != HTTP1_DONE) {
		h2_call_refuse(c, http1_result_text(parsed));
		return IO_FAILED;
	}
	if (call->response.status < 200)
		return IO_OK;
	call->tunnel = c->to_connect && call->response.status < 300;
	if (call->response.framing == HTTP1_UNTIL_CLOSE && c->st.remote_ended &&
	    !c->st.in_first)
		call->response.framing = HTTP1_NO_BODY;
	call->body_ended = c->st.remote_ended && !c->st.in_first && !call->trailers;
	call->more_ready = h2_stream_has_more(&c->st) || c->st.remote_ended;
	return IO_OK;
}

enum io_result h2_call_read_head(struct http_call *call, int64_t deadline_ms)
{
	struct h2_call *c = h2_call_of(call);

	while (!c->heads) {
		enum io_result result;

		if (call->failure)
			return IO_FAILED;
		if (c->st.closed || c->st.wire->broken)
			return IO_CLOSED;
		result = h2_stream_park(&c->st.reader, deadline_ms);
		if (result != IO_OK)
			return result;
	}
	return parse_next_head(c);
}

enum io_result h2_call_read_body(struct http_call *call, struct span *piece,
				 int64_t deadline_ms)
{
	struct h2_call *c = h2_call_of(call);
	enum io_result result;

	if (call->failure)
		return IO_FAILED;
	result = h2_stream_read(&c->st, piece, deadline_ms);
	call->more_ready = h2_stream_has_more(&c->st) || c->st.remote_ended;
	if (call->failure)
		return IO_FAILED;
	if (result == IO_EOF || (result == IO_OK && c->st.remote_ended &&
				 !h2_stream_has_more(&c->st) && !call->trailers))
		call->body_ended = true;
	return result;
}
