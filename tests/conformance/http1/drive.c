/* drive.c - puts a connection's bytes through the parsers. */
#include "drive.h"

#include "parse/proxy_protocol.h"
#include "parse/uri.h"

static const char *http1_word(enum http1_result result)
{
	switch (result) {
	case HTTP1_DONE: return DRIVE_ACCEPTED;
	case HTTP1_MORE: return "incomplete";
	case HTTP1_BAD_LINE: return "bad line";
	case HTTP1_BAD_METHOD: return "bad method";
	case HTTP1_BAD_TARGET: return "bad target";
	case HTTP1_BAD_VERSION: return "bad version";
	case HTTP1_BAD_FIELD: return "bad field";
	case HTTP1_BAD_HOST: return "bad host";
	case HTTP1_BAD_LENGTH: return "bad length";
	case HTTP1_BAD_ENCODING: return "bad encoding";
	case HTTP1_BAD_FRAMING: return "bad framing";
	case HTTP1_BAD_CHUNK: return "bad chunk";
	case HTTP1_TOO_LONG_LINE: return "line too long";
	case HTTP1_TOO_LARGE_HEAD: return "head too large";
	}
	return "unknown";
}

static const char *uri_word(enum uri_result result)
{
	switch (result) {
	case URI_OK: return DRIVE_ACCEPTED;
	case URI_BAD_BYTE: return "bad byte in target";
	case URI_BAD_ESCAPE: return "bad escape in target";
	case URI_ENCODED_SLASH: return "encoded slash in path";
	case URI_BACKSLASH: return "backslash in target";
	case URI_NUL: return "encoded nul in target";
	case URI_CONTROL: return "encoded control in path";
	case URI_ABOVE_ROOT: return "path above root";
	case URI_BAD_UTF8: return "path not utf-8";
	case URI_TOO_LONG: return "target too long";
	}
	return "unknown";
}

static const char *check_target(const struct http1_head *head)
{
	char scratch[32768];
	struct span path, query;

	if (head->form != HTTP1_ORIGIN && head->form != HTTP1_ABSOLUTE)
		return DRIVE_ACCEPTED;
	return uri_word(uri_normalize(head->target, scratch, sizeof(scratch), &path, &query));
}

static const char *read_head(struct http1_head *head, struct span bytes,
			     const struct drive_options *options, size_t *consumed)
{
	enum http1_result result = http1_parse_request(head, bytes, &options->limits, consumed);

	return result == HTTP1_DONE ? check_target(head) : http1_word(result);
}

const char *drive_head(struct span bytes, const struct drive_options *options)
{
	struct http_field fields[DRIVE_FIELDS_MAX];
	struct http1_head head = {.fields = fields};
	size_t consumed;

	return read_head(&head, bytes, options, &consumed);
}

static const char *skip_chunked(struct span *rest, const struct drive_options *options)
{
	struct http_field fields[DRIVE_FIELDS_MAX];
	struct http1_chunked decoder = {0};
	enum http1_result result;
	size_t consumed, count;
	struct span data;

	do {
		result = http1_chunked_next(&decoder, *rest, &consumed, &data);
		*rest = span_slice(*rest, consumed, rest->len);
	} while (result == HTTP1_MORE && consumed > 0);
	if (result != HTTP1_DONE)
		return http1_word(result);
	result = http1_parse_trailers(fields, &count, *rest, &options->limits, &consumed);
	*rest = span_slice(*rest, consumed, rest->len);
	return http1_word(result);
}

static const char *skip_body(const struct http1_head *head, struct span *rest,
			     const struct drive_options *options)
{
	switch (head->framing) {
	case HTTP1_NO_BODY: break;
	case HTTP1_LENGTH:
		if (rest->len < head->content_length)
			return http1_word(HTTP1_MORE);
		*rest = span_slice(*rest, (size_t)head->content_length, rest->len);
		break;
	case HTTP1_CHUNKED: return skip_chunked(rest, options);
	case HTTP1_UNTIL_CLOSE: return "a request until close";
	}
	return DRIVE_ACCEPTED;
}

/* The PROXY header, when the bytes begin with one; false when it is malformed. */
static bool skip_proxy_header(struct buf *bytes)
{
	struct span all = buf_span(bytes);
	struct proxy_protocol header;
	size_t consumed;

	if (!span_starts_with(all, SPAN("PROXY")) && !span_starts_with(all, SPAN("\r\n\r\n")))
		return true;
	if (proxy_protocol_parse(&header, all, &consumed) != PROXY_PROTOCOL_DONE)
		return false;
	buf_consume(bytes, consumed);
	return true;
}

/* Does the head that starts at `head` name a Host? By looking at lines only. */
static bool names_host(struct span head)
{
	struct span line;

	do {
		line = span_cut(&head, '\n');
		if (line.len >= 5 && span_eq_nocase(span_slice(line, 0, 5), SPAN("host:")))
			return true;
	} while (head.ptr && line.len > 1);
	return false;
}

/* Puts a Host field behind the request line at `at`; false when there is no need or no line. */
static bool insert_host(struct buf *bytes, size_t at)
{
	static const struct span host = SPAN_INIT("Host: a.test\r\n");
	struct span head = span_slice(buf_span(bytes), at, bytes->len);
	size_t end = span_find(head, SPAN(" HTTP/1.1\r\n"));

	if (names_host(head) || end > span_find_byte(head, '\n'))
		return false;
	end += at + 11;
	if (buf_append(bytes, host) != 0)
		return false;
	memmove(bytes->ptr + end + host.len, bytes->ptr + end, bytes->len - host.len - end);
	memcpy(bytes->ptr + end, host.ptr, host.len);
	return true;
}

const char *drive_connection(struct buf *bytes, const struct drive_options *options)
{
	struct http_field fields[DRIVE_FIELDS_MAX];
	struct http1_head head = {.fields = fields};
	bool host_added = false;
	size_t at = 0;

	if (!skip_proxy_header(bytes))
		return "bad proxy header";
	do {
		const char *word;
		struct span rest;
		size_t consumed;

		if (options->add_host && insert_host(bytes, at))
			host_added = true;
		rest = span_slice(buf_span(bytes), at, bytes->len);
		word = read_head(&head, rest, options, &consumed);
		if (strcmp(word, DRIVE_ACCEPTED) != 0)
			return word;
		rest = span_slice(rest, consumed, rest.len);
		word = skip_body(&head, &rest, options);
		if (strcmp(word, DRIVE_ACCEPTED) != 0)
			return word;
		at = bytes->len - rest.len;
	} while (at < bytes->len && head.keep_alive && head.method != HTTP_METHOD_CONNECT);
	return host_added ? DRIVE_NO_HOST : DRIVE_ACCEPTED;
}
