/* What handlers call on an exchange over HTTP/2. */
#include "http/h2_exchange.h"

/* More fields than this in one response come from no service. */
#define FIELDS_MAX 256

static struct h2_exchange *exchange_of(const struct http_exchange *x)
{
	return x->state;
}

/* --- the request's body --- */

static enum io_result send_continue(struct h2_exchange *ex)
{
	const nghttp2_nv nv = h2_field(SPAN(":status"), SPAN("100"));

	ex->x->request.expect_continue = false;
	if (ex->x->head_sent || ex->st.closed || ex->st.wire->broken)
		return IO_OK;
	if (nghttp2_submit_headers(ex->st.wire->session, NGHTTP2_FLAG_NONE, ex->st.id, NULL,
				   &nv, 1, NULL) < 0)
		return IO_FAILED;
	return h2_stream_push_head(&ex->st);
}

static int64_t rate_deadline_ms(const struct h2_exchange *ex)
{
	const struct http_limits *limits = h2_server_limits(ex->server);

	if (!limits->body_rate_bytes || ex->x->tunnel)
		return FIBER_FOREVER;
	return ex->body_start_ms + limits->body_grace_ms +
	       (int64_t)(ex->x->body_received_bytes * 1000 / limits->body_rate_bytes);
}

static bool over_body_limit(struct http_exchange *x, uint64_t more)
{
	if (x->tunnel || (more <= x->body_limit_bytes &&
			  x->body_received_bytes <= x->body_limit_bytes - more))
		return false;
	x->body_too_large = true;
	return true;
}

HOT static enum io_result read_body(struct http_exchange *x, struct span *piece,
				    int64_t deadline_ms)
{
	struct h2_exchange *ex = exchange_of(x);
	int64_t rate_ms = rate_deadline_ms(ex);
	enum io_result result;

	if (ex->no_content) {
		x->body_ended = true;
		return IO_EOF;
	}
	if (x->request.framing == HTTP1_LENGTH &&
	    over_body_limit(x, x->request.content_length - x->body_received_bytes))
		return IO_FAILED;
	if (x->request.expect_continue) {
		result = send_continue(ex);
		if (result != IO_OK)
			return result;
	}
	result = h2_stream_read(&ex->st, piece, deadline_ms < rate_ms ? deadline_ms : rate_ms);
	if (result == IO_OK) {
		if (over_body_limit(x, piece->len))
			return IO_FAILED;
		x->body_received_bytes += piece->len;
	}
	if (result == IO_EOF)
		x->body_ended = true;
	return result;
}

/* --- responses --- */

static bool has_no_body(const struct http_exchange *x, unsigned status)
{
	return x->request.method == HTTP_METHOD_HEAD || status == 204 || status == 304;
}

/* Length of the body that will have to be sent, if it is known. */
HOT static void expect_body(struct h2_exchange *ex, const struct http_response *response)
{
	ex->length_known = response->content_length >= 0 && !ex->x->tunnel;
	ex->body_left = ex->length_known ? (uint64_t)response->content_length : 0;
}

HOT static size_t put_length(char to[20], uint64_t value)
{
	char reversed[20];
	size_t len = 0;

	do
		reversed[len++] = (char)('0' + value % 10);
	while (value /= 10);
	for (size_t i = 0; i < len; i++)
		to[i] = reversed[len - 1 - i];
	return len;
}

HOT static enum io_result submit_head(struct h2_exchange *ex,
				      const struct http_response *response, unsigned status,
				      bool interim, bool end)
{
	struct http_exchange *x = ex->x;
	nghttp2_session *session = ex->st.wire->session;
	nghttp2_data_provider source = h2_stream_source(&ex->st);
	nghttp2_nv nv[FIELDS_MAX + 2];
	char status_text[3] = {(char)('0' + status / 100 % 10), (char)('0' + status / 10 % 10),
			       (char)('0' + status % 10)};
	const struct http_field_block *block = response->block;
	char length_text[20];
	size_t count, more = 0;
	int error;

	if (response->field_count + (block ? block->field_count : 0) > FIELDS_MAX)
		return IO_FAILED;
	nv[0] = h2_field(SPAN(":status"), span_of(status_text, 3));
	count = h2_fields(nv + 1, response->fields, response->field_count, &x->arena);
	if (count != SIZE_MAX && block)
		more = h2_fields(nv + 1 + count, block->fields, block->field_count, &x->arena);
	if (count == SIZE_MAX || more == SIZE_MAX)
		return IO_FAILED;
	count += more + 1;
	if (response->content_length >= 0 && !interim && status != 204 && !x->tunnel) {
		size_t len = put_length(length_text, (uint64_t)response->content_length);

		nv[count++] = h2_field(SPAN("content-length"), span_of(length_text, len));
	}
	if (interim)
		error = nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, ex->st.id, NULL, nv,
					       count, NULL);
	else
		error = nghttp2_submit_response(session, ex->st.id, nv, count,
						end ? NULL : &source);
	if (error < 0)
		return nghttp2_is_fatal(error) ? IO_FAILED : IO_CLOSED;
	return h2_stream_push_head(&ex->st);
}

HOT static enum io_result send_head(struct http_exchange *x,
				    const struct http_response *response, int flags,
				    int64_t deadline_ms)
{
	struct h2_exchange *ex = exchange_of(x);
	bool interim = response->status < 200 && response->status != 101;
	unsigned status = response->status == 101 ? 200 : response->status;
	enum io_result result = h2_stream_wait_room(&ex->st, deadline_ms);
	bool end;

	if (result != IO_OK)
		return result;
	if (x->head_sent)
		return IO_FAILED;
	if (interim)
		return submit_head(ex, response, status, true, false);
	end = flags & HTTP_SEND_END;
	if (end && response->content_length > 0 && !has_no_body(x, status))
		return IO_FAILED;
	x->tunnel = x->request.upgrade && status >= 200 && status < 300;
	expect_body(ex, response);
	result = submit_head(ex, response, status, false, end);
	if (result != IO_OK)
		return result;
	x->head_sent = true;
	x->status = status;
	x->ended = end;
	return IO_OK;
}

HOT static enum io_result send_body(struct http_exchange *x, struct span piece, int flags,
				    int64_t deadline_ms)
{
	struct h2_exchange *ex = exchange_of(x);
	bool end = flags & HTTP_SEND_END;
	enum io_result result;

	if (!x->head_sent || x->ended)
		return IO_FAILED;
	if (has_no_body(x, x->status)) {
		piece.len = 0;
	} else if (ex->length_known) {
		if (piece.len > ex->body_left || (end && piece.len < ex->body_left))
			return IO_FAILED;
		ex->body_left -= piece.len;
	}
	result = h2_stream_send(&ex->st, piece, end, deadline_ms);
	if (result != IO_OK)
		return result;
	x->body_sent_bytes += piece.len;
	x->ended = end;
	return IO_OK;
}

static enum io_result send_trailers(struct http_exchange *x, const struct http_field *fields,
				    size_t count, int64_t deadline_ms)
{
	struct h2_exchange *ex = exchange_of(x);
	nghttp2_nv nv[FIELDS_MAX];
	enum io_result result;

	if (count > FIELDS_MAX ||
	    (ex->length_known && ex->body_left && !has_no_body(x, x->status)))
		return IO_FAILED;
	count = h2_fields(nv, fields, count, &x->arena);
	if (count == SIZE_MAX)
		return IO_FAILED;
	result = h2_stream_send_trailers(&ex->st, nv, count, deadline_ms);
	x->ended = result == IO_OK;
	return result;
}

static void abort_exchange(struct http_exchange *x)
{
	struct h2_exchange *ex = exchange_of(x);

	x->aborted = true;
	if (ex->reset_by_us)
		return;
	ex->reset_by_us = true;
	h2_stream_reset(&ex->st, NGHTTP2_INTERNAL_ERROR);
}

const struct http_exchange_ops h2_exchange_ops = {
	.read_body = read_body,
	.send_head = send_head,
	.send_body = send_body,
	.send_trailers = send_trailers,
	.abort = abort_exchange,
};
