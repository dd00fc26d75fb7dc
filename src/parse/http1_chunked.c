/* http1_chunked.c - the chunked transfer coding and trailer sections (RFC 9112 section 7.1). */
#include "base/compiler.h"
#include "parse/http1_internal.h"
#include "parse/http_scan.h"

/* A size line with its extensions; nobody needs more, and extensions are dropped anyway. */
#define SIZE_LINE_MAX_BYTES 256
/* Bytes of size lines that a body may have beyond what is plausible for the data it carries. */
#define OVERHEAD_MAX_BYTES 16384
/* Plausible: this many bytes a chunk, and twice the data. */
#define OVERHEAD_FREE_BYTES 16

enum chunked_state {
	CHUNKED_SIZE_FIRST, /* zero: a zeroed decoder starts here */
	CHUNKED_SIZE,
	CHUNKED_EXT_NAME_FIRST, /* after ';' */
	CHUNKED_EXT_NAME,
	CHUNKED_EXT_VALUE_FIRST, /* after '=' */
	CHUNKED_EXT_VALUE,
	CHUNKED_EXT_QUOTED,
	CHUNKED_EXT_ESCAPED,
	CHUNKED_EXT_END, /* after a closing quote */
	CHUNKED_SIZE_LF,
	CHUNKED_DATA,
	CHUNKED_DATA_CR,
	CHUNKED_DATA_LF,
	CHUNKED_ENDED,
	CHUNKED_FAILED,
};

static int hex_value(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What may follow a chunk size, an extension's name or its value: the next one, or the end. */
static enum chunked_state after_part(unsigned char c)
{
	if (c == ';')
		return CHUNKED_EXT_NAME_FIRST;
	return c == '\r' ? CHUNKED_SIZE_LF : CHUNKED_FAILED;
}

static enum chunked_state take_size(struct http1_chunked *c, unsigned char byte)
{
	int digit = hex_value(byte);

	if (digit >= 0) {
		if (c->left >> 60)
			return CHUNKED_FAILED;
		c->left = c->left << 4 | (unsigned)digit;
		return CHUNKED_SIZE;
	}
	return c->state == CHUNKED_SIZE ? after_part(byte) : CHUNKED_FAILED;
}

static enum chunked_state take_quoted(unsigned char byte)
{
	if (byte == '"')
		return CHUNKED_EXT_END;
	if (byte == '\\')
		return CHUNKED_EXT_ESCAPED;
	return http_byte_is_value(byte) ? CHUNKED_EXT_QUOTED : CHUNKED_FAILED;
}

/*
 * One byte of a size line: chunk-size *( ";" name [ "=" value ] ) CRLF. White space is taken only
 * after ';', where real senders put it.
 */
static enum chunked_state take_line_byte(struct http1_chunked *c, unsigned char byte)
{
	switch ((enum chunked_state)c->state) {
	case CHUNKED_SIZE_FIRST:
	case CHUNKED_SIZE: return take_size(c, byte);
	case CHUNKED_EXT_NAME_FIRST:
		if (byte == ' ' || byte == '\t')
			return CHUNKED_EXT_NAME_FIRST;
		return http_byte_is_token(byte) ? CHUNKED_EXT_NAME : CHUNKED_FAILED;
	case CHUNKED_EXT_NAME:
		if (http_byte_is_token(byte))
			return CHUNKED_EXT_NAME;
		return byte == '=' ? CHUNKED_EXT_VALUE_FIRST : after_part(byte);
	case CHUNKED_EXT_VALUE_FIRST:
		if (byte == '"')
			return CHUNKED_EXT_QUOTED;
		return http_byte_is_token(byte) ? CHUNKED_EXT_VALUE : CHUNKED_FAILED;
	case CHUNKED_EXT_VALUE:
		return http_byte_is_token(byte) ? CHUNKED_EXT_VALUE : after_part(byte);
	case CHUNKED_EXT_QUOTED: return take_quoted(byte);
	case CHUNKED_EXT_ESCAPED:
		return http_byte_is_value(byte) ? CHUNKED_EXT_QUOTED : CHUNKED_FAILED;
	case CHUNKED_EXT_END: return after_part(byte);
	case CHUNKED_SIZE_LF:
		if (byte != '\n')
			return CHUNKED_FAILED;
		return c->left ? CHUNKED_DATA : CHUNKED_ENDED;
	case CHUNKED_DATA_CR: return byte == '\r' ? CHUNKED_DATA_LF : CHUNKED_FAILED;
	case CHUNKED_DATA_LF: return byte == '\n' ? CHUNKED_SIZE_FIRST : CHUNKED_FAILED;
	case CHUNKED_DATA:
	case CHUNKED_ENDED:
	case CHUNKED_FAILED: break;
	}
	return CHUNKED_FAILED;
}

/*
 * Tiny chunks with long size lines make a reader work much for little data: their surplus is
 * counted and limited over the whole body.
 */
static bool too_much_overhead(struct http1_chunked *c)
{
	uint64_t free_bytes = OVERHEAD_FREE_BYTES + 2 * (c->left < 65536 ? c->left : 65536);

	c->overhead_bytes += c->line_bytes;
	c->line_bytes = 0;
	c->overhead_bytes -= c->overhead_bytes < free_bytes ? c->overhead_bytes : free_bytes;
	return c->overhead_bytes > OVERHEAD_MAX_BYTES;
}

enum http1_result http1_chunked_next(struct http1_chunked *c, struct span input,
				     size_t *consumed, struct span *data)
{
	size_t at = 0;

	*data = SPAN_NONE;
	*consumed = 0;
	while (at < input.len && c->state != CHUNKED_DATA && c->state != CHUNKED_ENDED) {
		if (c->state == CHUNKED_SIZE_FIRST)
			c->line_bytes = 0;
		if (c->state == CHUNKED_FAILED || ++c->line_bytes > SIZE_LINE_MAX_BYTES)
			goto failed;
		c->state = (int)take_line_byte(c, (unsigned char)input.ptr[at++]);
		if (c->state == CHUNKED_FAILED)
			goto failed;
		if (c->state == CHUNKED_DATA && too_much_overhead(c))
			goto failed;
	}
	if (c->state == CHUNKED_DATA && at < input.len) {
		size_t run = input.len - at;

		if (run > c->left)
			run = (size_t)c->left;
		*data = span_of(input.ptr + at, run);
		c->data_seen = true;
		c->left -= run;
		at += run;
		if (c->left == 0)
			c->state = CHUNKED_DATA_CR;
	}
	*consumed = at;
	return c->state == CHUNKED_ENDED ? HTTP1_DONE : HTTP1_MORE;
failed:
	c->state = CHUNKED_FAILED;
	return HTTP1_BAD_CHUNK;
}

/* RFC 9110 section 6.5.1: nothing that is needed before the content, or decides who may do what. */
static bool forbidden_in_trailers(const struct http_field *field)
{
	static const struct span names[] = {
		SPAN_INIT("content-range"),    SPAN_INIT("max-forwards"),
		SPAN_INIT("pragma"),	       SPAN_INIT("content-disposition"),
		SPAN_INIT("content-language"), SPAN_INIT("content-location"),
	};

	switch (field->id) {
	case HTTP_FIELD_ACCEPT:
	case HTTP_FIELD_ACCEPT_ENCODING:
	case HTTP_FIELD_AGE:
	case HTTP_FIELD_ALT_SVC:
	case HTTP_FIELD_AUTHORIZATION:
	case HTTP_FIELD_CACHE_CONTROL:
	case HTTP_FIELD_CONNECTION:
	case HTTP_FIELD_CONTENT_ENCODING:
	case HTTP_FIELD_CONTENT_LENGTH:
	case HTTP_FIELD_CONTENT_SECURITY_POLICY:
	case HTTP_FIELD_CONTENT_TYPE:
	case HTTP_FIELD_COOKIE:
	case HTTP_FIELD_DATE:
	case HTTP_FIELD_DPOP:
	case HTTP_FIELD_EXPECT:
	case HTTP_FIELD_FORWARDED:
	case HTTP_FIELD_GRPC_TIMEOUT:
	case HTTP_FIELD_HOST:
	case HTTP_FIELD_HTTP2_SETTINGS:
	case HTTP_FIELD_KEEP_ALIVE:
	case HTTP_FIELD_LOCATION:
	case HTTP_FIELD_ORIGIN:
	case HTTP_FIELD_PROXY_AUTHENTICATE:
	case HTTP_FIELD_PROXY_AUTHORIZATION:
	case HTTP_FIELD_PROXY_CONNECTION:
	case HTTP_FIELD_RANGE:
	case HTTP_FIELD_REFERER:
	case HTTP_FIELD_REFERRER_POLICY:
	case HTTP_FIELD_RETRY_AFTER:
	case HTTP_FIELD_SET_COOKIE:
	case HTTP_FIELD_STRICT_TRANSPORT_SECURITY:
	case HTTP_FIELD_TE:
	case HTTP_FIELD_TRACEPARENT:
	case HTTP_FIELD_TRACESTATE:
	case HTTP_FIELD_TRAILER:
	case HTTP_FIELD_TRANSFER_ENCODING:
	case HTTP_FIELD_UPGRADE:
	case HTTP_FIELD_USER_AGENT:
	case HTTP_FIELD_VARY:
	case HTTP_FIELD_VIA:
	case HTTP_FIELD_WWW_AUTHENTICATE:
	case HTTP_FIELD_X_CONTENT_TYPE_OPTIONS:
	case HTTP_FIELD_X_FORWARDED_FOR:
	case HTTP_FIELD_X_FORWARDED_HOST:
	case HTTP_FIELD_X_FORWARDED_PORT:
	case HTTP_FIELD_X_FORWARDED_PROTO:
	case HTTP_FIELD_X_FRAME_OPTIONS:
	case HTTP_FIELD_X_REAL_IP: return true;
	case HTTP_FIELD_OTHER:
	case HTTP_FIELD_ALLOW:
	case HTTP_FIELD_ETAG:
	case HTTP_FIELD_SERVER:
	case HTTP_FIELD_X_POWERED_BY:
	case HTTP_FIELD_X_REQUEST_ID:
	case HTTP_FIELD_COUNT: break;
	}
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (span_eq_nocase(field->name, names[i]))
			return true;
	}
	/* Conditions: If-Match, If-None-Match, If-Modified-Since, ... */
	return field->name.len > 3 &&
	       span_eq_nocase(span_slice(field->name, 0, 3), SPAN("if-"));
}

enum http1_result http1_parse_trailers(struct http_field *fields, size_t *field_count,
				       struct span input, const struct http1_limits *limits,
				       size_t *consumed)
{
	struct http1_fields list = {.to = fields, .max = limits->field_count, .request = true};
	const char *at = input.ptr;
	enum http1_result result;

	*consumed = 0;
	*field_count = 0;
	if (input.len == 0)
		return HTTP1_MORE;
	result = http1_parse_fields(&list, input.ptr, &at, input.ptr + input.len);
	for (size_t i = 0; i < list.count; i++) {
		if (forbidden_in_trailers(&fields[i]))
			return HTTP1_BAD_FIELD;
	}
	if (result == HTTP1_MORE)
		return input.len >= limits->head_bytes ? HTTP1_TOO_LARGE_HEAD : HTTP1_MORE;
	if (result != HTTP1_DONE)
		return result;
	if ((size_t)(at - input.ptr) > limits->head_bytes)
		return HTTP1_TOO_LARGE_HEAD;
	*consumed = (size_t)(at - input.ptr);
	*field_count = list.count;
	return HTTP1_DONE;
}
