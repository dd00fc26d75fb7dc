#include "http/h2_head.h"

#include <assert.h>

#define FIRST_BYTES ((size_t)1024)

HOT void h2_head_begin(struct h2_head *h, enum h2_head_kind kind, struct arena *arena,
		       const struct http1_limits *limits)
{
	h2_head_release(h);
	*h = (struct h2_head){.kind = kind, .arena = arena, .limits = *limits};
	h->error = HTTP1_DONE;
	h->started = kind == H2_HEAD_TRAILERS;
}

static void drop(nghttp2_rcbuf **buf)
{
	if (*buf)
		nghttp2_rcbuf_decref(*buf);
	*buf = NULL;
}

HOT void h2_head_release(struct h2_head *h)
{
	drop(&h->method);
	drop(&h->scheme);
	drop(&h->authority);
	drop(&h->path);
	drop(&h->protocol);
	drop(&h->status);
}

static void fail(struct h2_head *h, enum http1_result error)
{
	if (h->error == HTTP1_DONE)
		h->error = error;
}

static void keep(struct h2_head *h, nghttp2_rcbuf **slot, nghttp2_rcbuf *value)
{
	if (*slot) {
		fail(h, HTTP1_BAD_LINE);
		return;
	}
	nghttp2_rcbuf_incref(value);
	*slot = value;
}

static struct span text_of(const nghttp2_rcbuf *buf)
{
	nghttp2_vec vec;

	if (!buf)
		return SPAN_NONE;
	vec = nghttp2_rcbuf_get_buf((nghttp2_rcbuf *)(uintptr_t)buf);
	return span_of(vec.base, vec.len);
}

/* Room for `more` bytes; NULL when out of memory, which is remembered. */
HOT static char *room(struct h2_head *h, char **text, size_t len, size_t *cap, size_t more)
{
	size_t wanted = *cap ? *cap : FIRST_BYTES;
	char *grown;

	if (more <= *cap - len)
		return *text + len;
	while (wanted - len < more)
		wanted *= 2;
	grown = arena_alloc(h->arena, wanted);
	if (!grown) {
		h->out_of_memory = true;
		return NULL;
	}
	if (len)
		memcpy(grown, *text, len);
	*text = grown;
	*cap = wanted;
	return grown + len;
}

HOT static char *copy(char *to, struct span s)
{
	if (s.len)
		memcpy(to, s.ptr, s.len);
	return to + s.len;
}

HOT static void put_line(struct h2_head *h, struct span name, struct span separator,
			 struct span value)
{
	size_t len = name.len + separator.len + value.len + 2;
	char *to = room(h, &h->text, h->len, &h->cap, len);

	if (!to)
		return;
	to = copy(to, name);
	to = copy(to, separator);
	to = copy(to, value);
	copy(to, SPAN("\r\n"));
	h->len += len;
}

/* What starts with neither '/' nor '*' would be another form of target, not a path. */
static bool is_path(struct span path)
{
	return path.len && (path.ptr[0] == '/' || span_eq(path, SPAN("*")));
}

HOT static void put_request_line(struct h2_head *h)
{
	struct span method = text_of(h->method);
	struct span path = text_of(h->path);
	struct span scheme = text_of(h->scheme);

	if (h->protocol)
		method = SPAN("GET");
	else if (span_eq(method, SPAN("CONNECT"))) {
		fail(h, HTTP1_BAD_METHOD);
		return;
	}
	if (!is_path(path)) {
		fail(h, HTTP1_BAD_TARGET);
		return;
	}
	if (!span_eq_nocase(scheme, SPAN("https")) && !span_eq_nocase(scheme, SPAN("http"))) {
		fail(h, HTTP1_BAD_TARGET);
		return;
	}
	if (!http_is_token(method)) {
		fail(h, HTTP1_BAD_METHOD);
		return;
	}
	put_line(h, method, SPAN(" "), path);
	if (h->out_of_memory)
		return;
	h->len -= 2;
	put_line(h, SPAN(""), SPAN(" "), SPAN("HTTP/1.1"));
	if (h->authority) {
		put_line(h, SPAN("host"), SPAN(": "), text_of(h->authority));
		h->count++;
	}
}

HOT static void start(struct h2_head *h)
{
	h->started = true;
	switch (h->kind) {
	case H2_HEAD_REQUEST: put_request_line(h); break;
	case H2_HEAD_RESPONSE:
		put_line(h, SPAN("HTTP/1.1"), SPAN(" "), text_of(h->status));
		break;
	case H2_HEAD_TRAILERS: break;
	}
}

HOT static void add_pseudo(struct h2_head *h, struct span name, nghttp2_rcbuf *value)
{
	if (span_eq(name, SPAN(":method")))
		keep(h, &h->method, value);
	else if (span_eq(name, SPAN(":scheme")))
		keep(h, &h->scheme, value);
	else if (span_eq(name, SPAN(":authority")))
		keep(h, &h->authority, value);
	else if (span_eq(name, SPAN(":path")))
		keep(h, &h->path, value);
	else if (span_eq(name, SPAN(":protocol")))
		keep(h, &h->protocol, value);
	else if (span_eq(name, SPAN(":status")))
		keep(h, &h->status, value);
	else
		fail(h, HTTP1_BAD_FIELD);
}

static void add_cookie(struct h2_head *h, struct span value)
{
	struct span separator = h->cookie_len ? SPAN("; ") : SPAN("");
	size_t len = separator.len + value.len;
	char *to = room(h, &h->cookie, h->cookie_len, &h->cookie_cap, len);

	if (!to)
		return;
	copy(copy(to, separator), value);
	h->cookie_len += len;
}

HOT void h2_head_add(struct h2_head *h, nghttp2_rcbuf *name_buf, nghttp2_rcbuf *value_buf)
{
	struct span name = text_of(name_buf);
	struct span value = text_of(value_buf);

	h->total_bytes += name.len + value.len + 4;
	h->count++;
	if (h->total_bytes > h->limits.head_bytes || h->count > h->limits.field_count + 8)
		fail(h, HTTP1_TOO_LARGE_HEAD);
	if (h->error != HTTP1_DONE || h->out_of_memory)
		return;
	if (name.len && name.ptr[0] == ':') {
		h->count--;
		add_pseudo(h, name, value_buf);
		return;
	}
	if (!h->started)
		start(h);
	/* Here a line break would become a field of its own; nghttp2 does not let one through. */
	if (!http_is_field_value(value)) {
		fail(h, HTTP1_BAD_FIELD);
	} else if (h->kind == H2_HEAD_REQUEST && span_eq(name, SPAN("cookie"))) {
		h->count--;
		add_cookie(h, value);
	} else if (h->authority && span_eq(name, SPAN("host"))) {
		/* RFC 9113 section 8.3.1: both must mean the same. */
		h->count--;
		if (!span_eq_nocase(value, text_of(h->authority)))
			fail(h, HTTP1_BAD_HOST);
	} else {
		put_line(h, name, SPAN(": "), value);
	}
}

void h2_head_add_invalid(struct h2_head *h)
{
	fail(h, HTTP1_BAD_FIELD);
}

/* The text is complete; false if not. */
HOT static bool finish(struct h2_head *h)
{
	if (h->error == HTTP1_DONE && !h->started)
		start(h);
	if (h->cookie_len && h->error == HTTP1_DONE) {
		put_line(h, SPAN("cookie"), SPAN(": "), span_of(h->cookie, h->cookie_len));
		h->count++;
	}
	put_line(h, SPAN(""), SPAN(""), SPAN(""));
	return h->error == HTTP1_DONE && !h->out_of_memory;
}

static bool takes_no_content(enum http_method method)
{
	return method == HTTP_METHOD_GET || method == HTTP_METHOD_HEAD ||
	       method == HTTP_METHOD_TRACE;
}

HOT static void set_framing(struct http1_head *head, bool end_stream)
{
	if (head->framing == HTTP1_LENGTH)
		return;
	if (end_stream || takes_no_content(head->method)) {
		head->framing = HTTP1_NO_BODY;
		return;
	}
	if (head->first[HTTP_FIELD_CONTENT_LENGTH])
		return; /* 0 */
	head->framing = HTTP1_UNTIL_CLOSE;
	head->expect_continue = head->first[HTTP_FIELD_EXPECT];
}

HOT static enum http1_result take_request(struct h2_head *h, bool end_stream,
					  struct http1_head *head, struct span *protocol)
{
	enum http1_result result;
	size_t consumed = 0;

	if (!finish(h))
		return h->out_of_memory ? HTTP1_TOO_LARGE_HEAD : h->error;
	result = http1_parse_request(head, span_of(h->text, h->len), &h->limits, &consumed);
	if (result == HTTP1_MORE || (result == HTTP1_DONE && head->field_count != h->count))
		return HTTP1_BAD_FIELD;
	if (result != HTTP1_DONE)
		return result;
	head->scheme = arena_dup(h->arena, text_of(h->scheme));
	*protocol = arena_dup(h->arena, text_of(h->protocol));
	if (!head->scheme.ptr || !protocol->ptr)
		return HTTP1_TOO_LARGE_HEAD;
	head->upgrade = protocol->len;
	set_framing(head, end_stream);
	return HTTP1_DONE;
}

HOT enum http1_result h2_head_request(struct h2_head *h, bool end_stream,
				      struct http1_head *head, struct span *protocol)
{
	enum http1_result result = take_request(h, end_stream, head, protocol);

	h2_head_release(h);
	return result;
}

struct span h2_head_response_text(struct h2_head *h)
{
	bool complete = finish(h);

	h2_head_release(h);
	return complete ? span_of(h->text, h->len) : SPAN_NONE;
}

enum http1_result h2_head_parse_response(struct span text, const struct http1_limits *limits,
					 bool to_head, struct http1_head *head)
{
	size_t consumed = 0;
	enum http1_result result =
		http1_parse_response(head, text, limits, to_head, false, &consumed);

	if (result == HTTP1_MORE || (result == HTTP1_DONE && consumed != text.len))
		return HTTP1_BAD_FIELD;
	return result;
}

static enum http1_result take_trailers(struct h2_head *h, struct http_field **fields,
				       size_t *count)
{
	enum http1_result result;
	size_t consumed = 0;

	if (!finish(h))
		return h->out_of_memory ? HTTP1_TOO_LARGE_HEAD : h->error;
	*fields = arena_array(h->arena, struct http_field, h->limits.field_count);
	if (!*fields)
		return HTTP1_TOO_LARGE_HEAD;
	result = http1_parse_trailers(*fields, count, span_of(h->text, h->len), &h->limits,
				      &consumed);
	if (result == HTTP1_MORE || (result == HTTP1_DONE && *count != h->count))
		return HTTP1_BAD_FIELD;
	return result;
}

enum http1_result h2_head_trailers(struct h2_head *h, struct http_field **fields, size_t *count)
{
	enum http1_result result = take_trailers(h, fields, count);

	h2_head_release(h);
	return result;
}
