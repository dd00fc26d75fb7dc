/*
 * http1.h - HTTP/1.1 message framing (RFC 9112), strict: what two implementations could read in
 * two ways is refused (docs/http-strictness.md lists every choice with its reason). Pure functions
 * over spans; nothing is copied, results point into the input.
 */
#ifndef PARSE_HTTP1_H
#define PARSE_HTTP1_H

#include <stdint.h>

#include "base/span.h"
#include "parse/http_field.h"

enum http1_result {
	HTTP1_DONE,
	HTTP1_MORE, /* the input ends before the message part does: read on */
	HTTP1_BAD_LINE, /* malformed request or status line: 400 */
	HTTP1_BAD_METHOD, /* not a token: 400 */
	HTTP1_BAD_TARGET, /* malformed target, or a form that the method does not take: 400 */
	HTTP1_BAD_VERSION, /* not HTTP/1.x: 505 */
	HTTP1_BAD_FIELD, /* malformed field line, obs-fold, bare CR or LF, control bytes: 400 */
	HTTP1_BAD_HOST, /* missing, repeated, malformed, or unlike the absolute target: 400 */
	HTTP1_BAD_LENGTH, /* malformed or repeated Content-Length: 400 */
	HTTP1_BAD_ENCODING, /* Transfer-Encoding other than exactly "chunked": 501 or 400 */
	HTTP1_BAD_FRAMING, /* both lengths, or an encoding in HTTP/1.0: 400 */
	HTTP1_BAD_CHUNK, /* malformed chunk size, extension or terminator: 400 */
	HTTP1_TOO_LONG_LINE, /* request line over its limit: 414 */
	HTTP1_TOO_LARGE_HEAD, /* field count or size over its limit: 431 */
};

enum http1_framing {
	HTTP1_NO_BODY,
	HTTP1_LENGTH,
	HTTP1_CHUNKED,
	HTTP1_UNTIL_CLOSE, /* responses only */
};

enum http1_target_form { HTTP1_ORIGIN, HTTP1_ABSOLUTE, HTTP1_AUTHORITY, HTTP1_ASTERISK };

struct http1_limits {
	size_t line_bytes; /* request or status line, without its CRLF */
	size_t head_bytes; /* the whole head with its empty line; must not be below line_bytes */
	size_t fields_bytes; /* field lines of a head with the empty line; 0: see head_bytes */
	size_t field_count; /* of header fields, and of trailers; capacity of `fields`; < 65535 */
};

struct http1_head {
	/* requests */
	enum http_method method;
	struct span method_name;
	enum http1_target_form form;
	/*
	 * As sent; for HTTP1_ABSOLUTE without scheme and authority: "/" (static) when nothing is
	 * left. OPTIONS with a bare authority is HTTP1_ASTERISK with "*" (section 3.2.4).
	 */
	struct span target;
	struct span scheme; /* of an absolute target, else empty */
	/* The Host field's value; without one (HTTP/1.0) that of the target, or ptr NULL. */
	struct span authority;
	/* responses */
	unsigned status;
	struct span reason;
	/* both */
	unsigned minor_version; /* 0 or 1; a higher HTTP/1.x is treated as 1 */
	struct http_field *fields; /* the caller's array of limits.field_count elements */
	size_t field_count;
	uint16_t first[HTTP_FIELD_COUNT]; /* 1 + index of the first field with that id, or 0 */
	enum http1_framing framing;
	uint64_t content_length; /* with HTTP1_LENGTH, and as HEAD or 304 declare it */
	bool keep_alive; /* what version and Connection ask for */
	bool expect_continue; /* HTTP/1.1 with content to come */
	bool upgrade; /* Connection lists "upgrade" and an Upgrade field is there */
	bool connection_names; /* Connection lists other than close, keep-alive and upgrade */
};

/*
 * Looks for the end of a head without parsing it, so that a head that arrives in pieces is parsed
 * once. *resume is 0 at first and is kept by the caller between calls. True when the blank line
 * (with CRLF or, to be refused by the parser, bare LF) is there.
 */
bool http1_head_complete(struct span input, size_t *resume);

/*
 * Parses a whole head at the start of `input`; *consumed is then its length. `head->fields` must
 * be set; everything else is set here. Empty lines before a request line are not skipped here.
 * Returns HTTP1_MORE when the head is incomplete (and within its limits).
 */
enum http1_result http1_parse_request(struct http1_head *head, struct span input,
				      const struct http1_limits *limits, size_t *consumed);
/* As the next one of a connection: `known` is the authority of an earlier one, or empty. */
enum http1_result http1_parse_next_request(struct http1_head *head, struct span input,
					   const struct http1_limits *limits, struct span known,
					   size_t *consumed);
/* `to_head` and `to_connect`: the request's method was HEAD or CONNECT, which changes framing. */
enum http1_result http1_parse_response(struct http1_head *head, struct span input,
				       const struct http1_limits *limits, bool to_head,
				       bool to_connect, size_t *consumed);

/* The value of the first such field; ptr is NULL when absent. */
static inline struct span http1_field(const struct http1_head *head, enum http_field_id id)
{
	return head->first[id] ? head->fields[head->first[id] - 1].value : SPAN_NONE;
}

/* The status to answer a malformed request with, and one line for logs and problem details. */
unsigned http1_result_status(enum http1_result result);
const char *http1_result_text(enum http1_result result);

/* Decoder of the chunked transfer coding (section 7.1); zero-initialise. */
struct http1_chunked {
	int state;
	uint64_t left; /* of the current chunk's data */
	size_t line_bytes; /* of the size line so far, capped */
	uint64_t overhead_bytes; /* of size lines, beyond what the data explains; capped */
	bool data_seen;
};

/*
 * Takes the next piece of a chunked body. On return *consumed bytes of input are used up and
 * *data is the run of body bytes found among them (maybe empty), pointing into input. Call again
 * with the rest until it returns other than HTTP1_MORE or consumed nothing. HTTP1_DONE comes
 * after the last chunk's size line ("0" and its CRLF): the trailer section follows, which
 * http1_parse_trailers takes.
 */
enum http1_result http1_chunked_next(struct http1_chunked *c, struct span input,
				     size_t *consumed, struct span *data);

/*
 * The trailer section with its final blank line: usually just CRLF. Fields that RFC 9110 section
 * 6.5.1 forbids in trailers (framing, routing, authentication, ...) give HTTP1_BAD_FIELD.
 */
enum http1_result http1_parse_trailers(struct http_field *fields, size_t *field_count,
				       struct span input, const struct http1_limits *limits,
				       size_t *consumed);

#endif
