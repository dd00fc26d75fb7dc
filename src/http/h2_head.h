/*
 * h2_head.h - turns decoded HTTP/2 header blocks into message heads. The block is written down as
 * an HTTP/1.1 head, and that is parsed by the same parser: both versions are as strict, down
 * to the last byte, and what is forwarded as HTTP/1.1 means the same. nghttp2 has checked what
 * RFC 9113 section 8 asks for before (order and kind of pseudo-headers, case, connection fields).
 * Private to src/http.
 */
#ifndef HTTP_H2_HEAD_H
#define HTTP_H2_HEAD_H

#include <nghttp2/nghttp2.h>

#include "base/arena.h"
#include "parse/http1.h"

enum h2_head_kind { H2_HEAD_REQUEST, H2_HEAD_RESPONSE, H2_HEAD_TRAILERS };

/* A connection has at most one block under way; zero-initialise. */
struct h2_head {
	enum h2_head_kind kind;
	struct arena *arena; /* where the text goes */
	struct http1_limits limits;
	char *text;
	size_t len;
	size_t cap;
	char *cookie; /* "; "-separated, from all cookie fields (section 8.2.3) */
	size_t cookie_len;
	size_t cookie_cap;
	size_t total_bytes; /* names and values, also of what is not kept */
	size_t count;
	bool started; /* the start line has been written */
	nghttp2_rcbuf *method, *scheme, *authority, *path, *protocol, *status;
	struct span host; /* in text */
	enum http1_result error; /* HTTP1_DONE while all is well */
	bool out_of_memory;
};

void h2_head_begin(struct h2_head *h, enum h2_head_kind kind, struct arena *arena,
		   const struct http1_limits *limits);
/* Gives up, or ends. */
void h2_head_release(struct h2_head *h);
/* A field as nghttp2 emits it, pseudo-headers too. Errors are remembered. */
void h2_head_add(struct h2_head *h, nghttp2_rcbuf *name, nghttp2_rcbuf *value);
/* A field that nghttp2 found malformed. */
void h2_head_add_invalid(struct h2_head *h);

/*
 * End of a request's block. On HTTP1_DONE everything in `head` points into the arena; framing is
 * by Content-Length, else HTTP1_UNTIL_CLOSE, or HTTP1_NO_BODY when the stream has ended or the
 * method has no content. An extended CONNECT (RFC 8441) is presented as what it stands for: GET
 * with `upgrade`, and its :protocol in *protocol.
 */
enum http1_result h2_head_request(struct h2_head *h, bool end_stream, struct http1_head *head,
				  struct span *protocol);
/* End of a response's block; returns the text for h2_head_parse_response, ptr NULL: failed. */
struct span h2_head_response_text(struct h2_head *h);
enum http1_result h2_head_parse_response(struct span text, const struct http1_limits *limits,
					 bool to_head, struct http1_head *head);
/* End of trailers; the field array is allocated in the arena. */
enum http1_result h2_head_trailers(struct h2_head *h, struct http_field **fields,
				   size_t *count);

#endif
