/* http1.c - heads of requests and responses (RFC 9112). */
#include "parse/http1.h"

#include <assert.h>

#include "base/compiler.h"
#include "parse/http1_internal.h"
#include "parse/http_field_name.h"
#include "parse/http_scan.h"
#include "parse/uri.h"

#define BIT(id) (1ULL << (id))

HOT bool http1_head_complete(struct span input, size_t *resume)
{
	size_t at = *resume;

	/* The usual case: the input is one head and ends with it. */
	if (input.len >= 4 && memcmp(input.ptr + input.len - 4, "\r\n\r\n", 4) == 0)
		return true;
	while (at < input.len) {
		const char *lf = memchr(input.ptr + at, '\n', input.len - at);

		if (!lf)
			break;
		at = (size_t)(lf - input.ptr);
		if (at + 1 < input.len && lf[1] == '\n')
			return true;
		if (at + 2 < input.len && lf[1] == '\r' && lf[2] == '\n')
			return true;
		if (at + 1 == input.len || (at + 2 == input.len && lf[1] == '\r')) {
			*resume = at;
			return false;
		}
		at++;
	}
	*resume = input.len;
	return false;
}

/* In pieces that become plain stores; the whole would become a slow string instruction. */
static inline void clear_first(uint16_t first[HTTP_FIELD_COUNT])
{
	enum { PIECE = 16 };
	size_t i = 0;

	for (; i + PIECE <= HTTP_FIELD_COUNT; i += PIECE) {
		memset(first + i, 0, PIECE * sizeof(*first));
		__asm__ volatile("" : : : "memory"); /* or they would be joined again */
	}
	memset(first + i, 0, (HTTP_FIELD_COUNT - i) * sizeof(*first));
}

HOT static void head_clear(struct http1_head *head)
{
	head->method = HTTP_METHOD_OTHER;
	head->method_name = SPAN_NONE;
	head->form = HTTP1_ORIGIN;
	head->target = SPAN_NONE;
	head->scheme = SPAN_NONE;
	head->authority = SPAN_NONE;
	head->status = 0;
	head->reason = SPAN_NONE;
	head->minor_version = 0;
	head->field_count = 0;
	clear_first(head->first);
	head->framing = HTTP1_NO_BODY;
	head->content_length = 0;
	head->keep_alive = false;
	head->expect_continue = false;
	head->upgrade = false;
	head->connection_names = false;
}

/* Text that ends where more may come: does [at, end) agree with `literal` as far as it goes? */
static bool may_become(const char *at, const char *end, struct span literal)
{
	size_t len = (size_t)(end - at);

	return memcmp(at, literal.ptr, len < literal.len ? len : literal.len) == 0;
}

/* "HTTP/1." and a digit at `at`; MORE when the input ends in what may become that. */
static inline enum http1_result parse_version(const char *at, const char *end, unsigned *minor)
{
	static const struct span prefix = SPAN_INIT("HTTP/1.");

	if (UNLIKELY(end - at < 8)) {
		if (may_become(at, end, prefix))
			return HTTP1_MORE;
	} else if (LIKELY(memcmp(at, prefix.ptr, 7) == 0 && at[7] >= '0' && at[7] <= '9')) {
		*minor = at[7] == '0' ? 0 : 1;
		return HTTP1_DONE;
	}
	/* "HTTP/2.0" and its like are a version that we do not speak; the rest is no version. */
	if (end - at >= 5 && memcmp(at, "HTTP/", 5) == 0)
		return HTTP1_BAD_VERSION;
	return HTTP1_BAD_LINE;
}

/* CRLF at `at`, where a line must end. */
static inline enum http1_result parse_line_end(const char *at, const char *end)
{
	if (UNLIKELY(end - at < 2))
		return at == end || *at == '\r' ? HTTP1_MORE : HTTP1_BAD_LINE;
	return at[0] == '\r' && at[1] == '\n' ? HTTP1_DONE : HTTP1_BAD_LINE;
}

/* The method, up to the space at *at. */
static enum http1_result parse_method(struct http1_head *head, const char **at, const char *end)
{
	const char *begin = *at;
	const char *p = begin;

	if (LIKELY(end - p >= 4 && memcmp(p, "GET ", 4) == 0)) {
		head->method_name = span_of(begin, 3);
		head->method = HTTP_METHOD_GET;
		*at = p + 3;
		return HTTP1_DONE;
	}
	while (p != end && http_byte_is_token((unsigned char)*p))
		p++;
	if (UNLIKELY(p == end))
		return HTTP1_MORE;
	if (UNLIKELY(p == begin || *p != ' '))
		return p == begin && (*p == '\r' || *p == '\n') ? HTTP1_BAD_LINE
								: HTTP1_BAD_METHOD;
	head->method_name = span_of(begin, (size_t)(p - begin));
	head->method = http_method_lookup(head->method_name);
	*at = p;
	return HTTP1_DONE;
}

HOT static enum http1_result parse_request_line(struct http1_head *head, const char *start,
						const char **at, const char *end)
{
	enum http1_result result = parse_method(head, at, end);
	const char *target, *p;

	if (UNLIKELY(result != HTTP1_DONE))
		return result;
	target = *at + 1;
	p = http_scan_visible(start, target, end);
	if (UNLIKELY(p == end))
		return HTTP1_MORE;
	if (UNLIKELY(p == target || *p != ' '))
		/* "GET /\r\n" is HTTP/0.9. */
		return p != target && *p == '\r' ? HTTP1_BAD_LINE : HTTP1_BAD_TARGET;
	head->target = span_of(target, (size_t)(p - target));
	result = parse_version(p + 1, end, &head->minor_version);
	if (UNLIKELY(result != HTTP1_DONE))
		return result;
	result = parse_line_end(p + 9, end);
	if (LIKELY(result == HTTP1_DONE))
		*at = p + 11;
	return result;
}

/* scheme://authority of an absolute target (RFC 9112 section 3.2.2) is cut off the target. */
static enum http1_result split_absolute(struct http1_head *head, struct span *authority)
{
	struct span target = head->target;
	size_t colon = span_find_byte(target, ':');
	struct span rest = span_slice(target, colon, target.len);
	size_t len = 0;

	if (!span_starts_with(rest, SPAN("://")))
		return HTTP1_BAD_TARGET;
	head->scheme = span_slice(target, 0, colon);
	if (!span_eq_nocase(head->scheme, SPAN("http")) &&
	    !span_eq_nocase(head->scheme, SPAN("https")))
		return HTTP1_BAD_TARGET;
	rest = span_slice(rest, 3, rest.len);
	while (len < rest.len && rest.ptr[len] != '/' && rest.ptr[len] != '?' &&
	       rest.ptr[len] != '#')
		len++;
	*authority = span_slice(rest, 0, len);
	rest = span_slice(rest, len, rest.len);
	head->form = HTTP1_ABSOLUTE;
	if (rest.len == 0 && head->method == HTTP_METHOD_OPTIONS) {
		head->form = HTTP1_ASTERISK; /* section 3.2.4 */
		rest = SPAN("*");
	} else if (rest.len == 0) {
		rest = SPAN("/");
	} else if (rest.ptr[0] != '/') {
		return HTTP1_BAD_TARGET; /* a query without a path would have to be rewritten */
	}
	head->target = rest;
	return HTTP1_DONE;
}

/* Which form the target has, and whether the method takes it (RFC 9112 section 3.2). */
HOT static enum http1_result check_target(struct http1_head *head, struct span *authority)
{
	struct span target = head->target;
	struct span host;
	unsigned port;

	if (UNLIKELY(head->method == HTTP_METHOD_CONNECT)) {
		if (!uri_split_authority(target, &host, &port) || port == 0)
			return HTTP1_BAD_TARGET;
		head->form = HTTP1_AUTHORITY;
		*authority = target;
		return HTTP1_DONE;
	}
	if (LIKELY(target.ptr[0] == '/'))
		return HTTP1_DONE;
	if (target.len == 1 && target.ptr[0] == '*') {
		head->form = HTTP1_ASTERISK;
		return head->method == HTTP_METHOD_OPTIONS ? HTTP1_DONE : HTTP1_BAD_TARGET;
	}
	return split_absolute(head, authority);
}

/* The same host, and the same port when the scheme's default is put in. */
static bool same_authority(struct span a_host, unsigned a_port, struct span b_host,
			   unsigned b_port, struct span scheme)
{
	unsigned implied = 0;

	if (scheme.len > 0)
		implied = span_eq_nocase(scheme, SPAN("https")) ? 443 : 80;
	return span_eq_nocase(a_host, b_host) &&
	       (a_port ? a_port : implied) == (b_port ? b_port : implied);
}

/* RFC 9112 section 3.2: exactly one Host in HTTP/1.1; like the target's authority if it has one. */
HOT static enum http1_result check_host(struct http1_head *head, struct span authority,
					struct span known)
{
	struct span value = http1_field(head, HTTP_FIELD_HOST);
	struct span host, target_host;
	unsigned port, target_port;

	if (LIKELY(known.len && value.len == known.len && !authority.ptr &&
		   memcmp(value.ptr, known.ptr, known.len) == 0)) {
		head->authority = value;
		return HTTP1_DONE;
	}
	if (UNLIKELY(authority.ptr &&
		     !uri_split_authority(authority, &target_host, &target_port)))
		return HTTP1_BAD_TARGET;
	if (UNLIKELY(!value.ptr)) {
		head->authority = authority;
		return head->minor_version == 0 ? HTTP1_DONE : HTTP1_BAD_HOST;
	}
	if (UNLIKELY(!uri_split_authority(value, &host, &port)))
		return HTTP1_BAD_HOST;
	if (UNLIKELY(authority.ptr &&
		     !same_authority(host, port, target_host, target_port, head->scheme)))
		return HTTP1_BAD_HOST;
	head->authority = value;
	return HTTP1_DONE;
}

/* 1*DIGIT without leading zeros, which some readers take for octal (RFC 9110 section 8.6). */
static bool parse_length(struct span value, uint64_t *length)
{
	if (value.len > 1 && value.ptr[0] == '0')
		return false;
	return span_to_u64(value, length);
}

/*
 * Connection options (RFC 9110 section 7.6.1), over all Connection fields. An option that names a
 * field which no hop may drop is an attempt to have the next hop lose it.
 */
static NOINLINE enum http1_result connection_options(struct http1_head *head, bool request)
{
	bool close = false, keep = false, upgrade = false, names = false;

	for (size_t i = head->first[HTTP_FIELD_CONNECTION] - 1u; i < head->field_count; i++) {
		struct span rest = head->fields[i].value;

		if (head->fields[i].id != HTTP_FIELD_CONNECTION)
			continue;
		while (rest.ptr) {
			struct span option = span_trim(span_cut(&rest, ','));
			enum http_field_id id;

			if (option.len == 0)
				continue;
			if (!http_is_token(option))
				return HTTP1_BAD_FIELD;
			if (span_eq_nocase(option, SPAN("close")))
				close = true;
			else if (span_eq_nocase(option, SPAN("keep-alive")))
				keep = true;
			else if (span_eq_nocase(option, SPAN("upgrade")))
				upgrade = true;
			else
				names = true;
			id = http_field_lookup(option);
			if (request &&
			    (id == HTTP_FIELD_HOST || id == HTTP_FIELD_CONTENT_LENGTH ||
			     id == HTTP_FIELD_CONTENT_TYPE || id == HTTP_FIELD_AUTHORIZATION))
				return HTTP1_BAD_FIELD;
		}
	}
	head->connection_names = names;
	head->keep_alive = !close && (keep || head->minor_version == 1);
	head->upgrade = upgrade && head->first[HTTP_FIELD_UPGRADE] && head->minor_version == 1;
	return HTTP1_DONE;
}

/* The usual: no Connection field, or one with one of two values. */
static inline enum http1_result check_connection(struct http1_head *head,
						 const struct http1_fields *fields)
{
	unsigned first = head->first[HTTP_FIELD_CONNECTION];
	struct span value;

	head->keep_alive = head->minor_version == 1;
	if (first == 0)
		return HTTP1_DONE;
	value = head->fields[first - 1].value;
	/* Of the bytes that a value may have, only letters and '-' fold to these. */
	if (!(fields->repeated & BIT(HTTP_FIELD_CONNECTION))) {
		if (value.len == 10 && http_token_is(value.ptr, "keep-alive", 10)) {
			head->keep_alive = true;
			return HTTP1_DONE;
		}
		if (value.len == 5 && http_token_is(value.ptr, "close", 5)) {
			head->keep_alive = false;
			return HTTP1_DONE;
		}
	}
	return connection_options(head, fields->request);
}

/*
 * Content-Length and Transfer-Encoding by themselves, for requests and responses alike: one of
 * them at most, an encoding of exactly "chunked" and in HTTP/1.1 only (RFC 9112 section 6).
 */
HOT static enum http1_result check_framing(struct http1_head *head)
{
	struct span length = http1_field(head, HTTP_FIELD_CONTENT_LENGTH);
	struct span encoding = http1_field(head, HTTP_FIELD_TRANSFER_ENCODING);

	if (length.ptr) {
		if (!parse_length(length, &head->content_length))
			return HTTP1_BAD_LENGTH;
		if (encoding.ptr)
			return HTTP1_BAD_FRAMING;
		head->framing = HTTP1_LENGTH;
	} else if (encoding.ptr) {
		if (head->minor_version == 0)
			return HTTP1_BAD_FRAMING;
		if (!span_eq_nocase(encoding, SPAN("chunked")))
			return HTTP1_BAD_ENCODING;
		head->framing = HTTP1_CHUNKED;
	}
	return HTTP1_DONE;
}

static enum http1_result check_request_body(struct http1_head *head)
{
	enum http1_result result = check_framing(head);

	if (result != HTTP1_DONE)
		return result;
	/* Content without a meaning: servers differ in whether they read it (RFC 9110 section 9.3). */
	if (head->method == HTTP_METHOD_GET || head->method == HTTP_METHOD_HEAD ||
	    head->method == HTTP_METHOD_TRACE || head->method == HTTP_METHOD_CONNECT) {
		if (head->framing == HTTP1_CHUNKED || head->content_length > 0)
			return HTTP1_BAD_FRAMING;
	}
	return HTTP1_DONE;
}

/* Expect (RFC 9110 section 10.1.1): only "100-continue", which is ignored where it has no sense. */
static enum http1_result check_expect(struct http1_head *head)
{
	struct span value = http1_field(head, HTTP_FIELD_EXPECT);

	if (!span_eq_nocase(value, SPAN("100-continue")))
		return HTTP1_BAD_FIELD;
	head->expect_continue = head->minor_version == 1 &&
				(head->framing == HTTP1_CHUNKED || head->content_length > 0);
	return HTTP1_DONE;
}

HOT static enum http1_result check_request(struct http1_head *head,
					   const struct http1_fields *fields, struct span known)
{
	struct span authority = SPAN_NONE;
	enum http1_result result = check_target(head, &authority);

	if (UNLIKELY(result != HTTP1_DONE))
		return result;
	result = check_host(head, authority, known);
	if (UNLIKELY(result != HTTP1_DONE))
		return result;
	if (head->first[HTTP_FIELD_CONTENT_LENGTH] ||
	    head->first[HTTP_FIELD_TRANSFER_ENCODING]) {
		result = check_request_body(head);
		if (result != HTTP1_DONE)
			return result;
	}
	result = check_connection(head, fields);
	if (UNLIKELY(result != HTTP1_DONE))
		return result;
	return head->first[HTTP_FIELD_EXPECT] ? check_expect(head) : HTTP1_DONE;
}

/* What an incomplete or complete head of `used` bytes says about its limits. */
static enum http1_result limit_line(enum http1_result result, size_t used, size_t max)
{
	return result == HTTP1_MORE && used > max + 1 ? HTTP1_TOO_LONG_LINE : result;
}

static inline __attribute__((always_inline)) enum http1_result
parse_head_fields(struct http1_head *head, struct http1_fields *fields, struct span input,
		  const char **at, const struct http1_limits *limits)
{
	const char *begin = *at, *end = input.ptr + input.len;
	size_t max = limits->fields_bytes ? limits->fields_bytes : SIZE_MAX;
	enum http1_result result;

	assert(limits->field_count < UINT16_MAX);
	fields->to = head->fields;
	fields->max = limits->field_count;
	fields->first = head->first;
	result = http1_parse_fields(fields, input.ptr, at, end);
	head->field_count = fields->count;
	if (result == HTTP1_MORE)
		return input.len >= limits->head_bytes || (size_t)(end - begin) >= max
			       ? HTTP1_TOO_LARGE_HEAD
			       : HTTP1_MORE;
	if (result == HTTP1_DONE &&
	    ((size_t)(*at - input.ptr) > limits->head_bytes || (size_t)(*at - begin) > max))
		return HTTP1_TOO_LARGE_HEAD;
	return result;
}

HOT enum http1_result http1_parse_request(struct http1_head *head, struct span input,
					  const struct http1_limits *limits, size_t *consumed)
{
	return http1_parse_next_request(head, input, limits, SPAN_NONE, consumed);
}

HOT enum http1_result http1_parse_next_request(struct http1_head *head, struct span input,
					       const struct http1_limits *limits,
					       struct span known, size_t *consumed)
{
	struct http1_fields fields = {
		.single = BIT(HTTP_FIELD_HOST) | BIT(HTTP_FIELD_CONTENT_LENGTH) |
			  BIT(HTTP_FIELD_TRANSFER_ENCODING) | BIT(HTTP_FIELD_CONTENT_TYPE) |
			  BIT(HTTP_FIELD_AUTHORIZATION) | BIT(HTTP_FIELD_EXPECT),
		.request = true,
	};
	const char *at = input.ptr;
	enum http1_result result;

	*consumed = 0;
	head_clear(head);
	if (input.len == 0)
		return HTTP1_MORE;
	result = parse_request_line(head, input.ptr, &at, input.ptr + input.len);
	if (UNLIKELY(result != HTTP1_DONE))
		return limit_line(result, input.len, limits->line_bytes);
	if (UNLIKELY((size_t)(at - input.ptr) > limits->line_bytes + 2))
		return HTTP1_TOO_LONG_LINE;
	result = parse_head_fields(head, &fields, input, &at, limits);
	if (UNLIKELY(result != HTTP1_DONE))
		return result;
	*consumed = (size_t)(at - input.ptr);
	return check_request(head, &fields, known);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK" (RFC 9112 section 4); the space before an empty reason may be missing. */
static enum http1_result parse_status_line(struct http1_head *head, const char *start,
					   const char **at, const char *end)
{
	enum http1_result result = parse_version(*at, end, &head->minor_version);
	const char *p = *at + 8;
	const char *stop;

	if (result != HTTP1_DONE)
		return result;
	if (LIKELY(end - p >= 4 && p[0] == ' ' && is_digit(p[1]) && is_digit(p[2]) &&
		   is_digit(p[3]))) {
		head->status = (unsigned)(p[1] - '0') * 100 + (unsigned)(p[2] - '0') * 10 +
			       (unsigned)(p[3] - '0');
		p += 4;
	} else {
		for (int i = 0; i < 4 && p != end; i++, p++)
			if (i == 0 ? *p != ' ' : !is_digit(*p))
				return HTTP1_BAD_LINE;
		return HTTP1_MORE;
	}
	if (head->status < 100 || head->status > 599)
		return HTTP1_BAD_LINE;
	if (p != end && *p == ' ') {
		p++;
		stop = http_scan_value(start, p, end);
		head->reason = span_of(p, (size_t)(stop - p));
		p = stop;
	}
	result = parse_line_end(p, end);
	if (result == HTTP1_DONE)
		*at = p + 2;
	return result;
}

/* RFC 9112 section 6.3: what follows the head of a response. */
static enum http1_result check_response_body(struct http1_head *head, bool to_head,
					     bool to_connect)
{
	bool informational = head->status < 200;
	bool tunnel = to_connect && !informational && head->status < 300;
	bool framed = head->first[HTTP_FIELD_CONTENT_LENGTH] ||
		      head->first[HTTP_FIELD_TRANSFER_ENCODING];
	enum http1_result result = framed ? check_framing(head) : HTTP1_DONE;

	if (result != HTTP1_DONE)
		return result;
	if (informational || head->status == 204 || tunnel) {
		/* Neither field may be here; a length of 0 is common and harmless. */
		if (head->framing == HTTP1_CHUNKED || head->content_length > 0)
			return HTTP1_BAD_FRAMING;
		head->framing = HTTP1_NO_BODY;
	} else if (to_head || head->status == 304) {
		head->framing =
			HTTP1_NO_BODY; /* content_length stays: what GET would have had */
	} else if (!framed) {
		head->framing = HTTP1_UNTIL_CLOSE;
		head->keep_alive = false;
	}
	return HTTP1_DONE;
}

HOT enum http1_result http1_parse_response(struct http1_head *head, struct span input,
					   const struct http1_limits *limits, bool to_head,
					   bool to_connect, size_t *consumed)
{
	struct http1_fields fields = {
		.single = BIT(HTTP_FIELD_CONTENT_LENGTH) | BIT(HTTP_FIELD_TRANSFER_ENCODING),
	};
	const char *at = input.ptr;
	enum http1_result result;

	*consumed = 0;
	head_clear(head);
	if (input.len == 0)
		return HTTP1_MORE;
	result = parse_status_line(head, input.ptr, &at, input.ptr + input.len);
	if (result != HTTP1_DONE)
		return limit_line(result, input.len, limits->line_bytes);
	if ((size_t)(at - input.ptr) > limits->line_bytes + 2)
		return HTTP1_TOO_LONG_LINE;
	result = parse_head_fields(head, &fields, input, &at, limits);
	if (result != HTTP1_DONE)
		return result;
	*consumed = (size_t)(at - input.ptr);
	result = check_connection(head, &fields);
	if (result != HTTP1_DONE)
		return result;
	return check_response_body(head, to_head, to_connect);
}

unsigned http1_result_status(enum http1_result result)
{
	switch (result) {
	case HTTP1_DONE:
	case HTTP1_MORE:
	case HTTP1_BAD_LINE:
	case HTTP1_BAD_METHOD:
	case HTTP1_BAD_TARGET:
	case HTTP1_BAD_FIELD:
	case HTTP1_BAD_HOST:
	case HTTP1_BAD_LENGTH:
	case HTTP1_BAD_FRAMING:
	case HTTP1_BAD_CHUNK: break;
	case HTTP1_BAD_VERSION: return 505;
	case HTTP1_BAD_ENCODING: return 501;
	case HTTP1_TOO_LONG_LINE: return 414;
	case HTTP1_TOO_LARGE_HEAD: return 431;
	}
	return 400;
}

const char *http1_result_text(enum http1_result result)
{
	switch (result) {
	case HTTP1_DONE: return "complete";
	case HTTP1_MORE: return "incomplete message";
	case HTTP1_BAD_LINE: return "malformed start line";
	case HTTP1_BAD_METHOD: return "the method is not a token";
	case HTTP1_BAD_TARGET:
		return "malformed request target, or a form that the method does not take";
	case HTTP1_BAD_VERSION: return "the protocol version is not HTTP/1.0 or HTTP/1.1";
	case HTTP1_BAD_FIELD: return "malformed, folded or forbidden header field";
	case HTTP1_BAD_HOST:
		return "missing, repeated or malformed Host, or unlike the request target";
	case HTTP1_BAD_LENGTH: return "malformed or repeated Content-Length";
	case HTTP1_BAD_ENCODING: return "Transfer-Encoding other than exactly \"chunked\"";
	case HTTP1_BAD_FRAMING: return "contradictory message framing";
	case HTTP1_BAD_CHUNK: return "malformed chunk";
	case HTTP1_TOO_LONG_LINE: return "the start line is too long";
	case HTTP1_TOO_LARGE_HEAD: return "too many or too large header fields";
	}
	return "unknown";
}
