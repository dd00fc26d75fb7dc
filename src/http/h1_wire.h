/*
 * h1_wire.h - what both ends of an HTTP/1 connection need: an input buffer with the body decoder,
 * and an output buffer. Private to src/http.
 */
#ifndef HTTP_H1_WIRE_H
#define HTTP_H1_WIRE_H

#include "http/exchange.h"

/* Input: head bytes stay in place (fields point at them); the body is read behind them. */
struct h1_input {
	char *ptr;
	size_t cap; /* HTTP_BLOCK_BYTES: a pooled block; more: allocated */
	size_t start; /* unread bytes are [start, end) */
	size_t end;
	size_t base; /* bytes before it must stay */
	char *body_block; /* takes over for the body when too little room is left behind the head */
	/* the body under way */
	enum http1_framing framing;
	uint64_t left;
	struct http1_chunked chunked;
	bool in_trailers;
	size_t trailers_resume; /* of http1_head_complete */
	bool ended;
	size_t trailer_count;
	struct http_field *trailers;
};

/* False when out of memory. */
bool h1_input_ready(struct h1_input *in);
/* Gives its memory back: at the end, and while the connection is idle. */
void h1_input_release(struct h1_input *in);
static inline struct span h1_input_unread(const struct h1_input *in)
{
	return span_of(in->ptr + in->start, in->end - in->start);
}
/* Reads once more behind what is there, growing up to max_bytes; IO_FAILED: no room left. */
enum io_result h1_input_fill(struct h1_input *in, struct stream *stream, size_t max_bytes,
			     int64_t deadline_ms);
/* The head took `head_bytes` from start; the body follows with this framing. */
void h1_input_begin_body(struct h1_input *in, size_t head_bytes, const struct http1_head *head);
/* After the body (or a part of it that is not wanted): what is left is the next message's. */
void h1_input_next_message(struct h1_input *in);
/*
 * The next piece. IO_EOF at the end; IO_FAILED on malformed framing; IO_CLOSED when the peer ended
 * early. Trailer fields are put into `arena` (with a copy of their bytes).
 */
enum io_result h1_input_body(struct h1_input *in, struct stream *stream,
			     const struct http1_limits *limits, struct arena *arena,
			     struct span *piece, int64_t deadline_ms);
/* Raw bytes, for tunnels. */
enum io_result h1_input_raw(struct h1_input *in, struct stream *stream, struct span *piece,
			    int64_t deadline_ms);
/* Body or further bytes are in the buffer already. */
bool h1_input_has_more(const struct h1_input *in);

struct h1_output {
	char *ptr;
	size_t len;
	size_t cap;
	bool chunked; /* the body under way has the chunked coding */
	bool length_known;
	uint64_t left; /* of a body with a known length */
};

void h1_output_release(struct h1_output *out);
/* Gives the block back when it is empty. */
void h1_output_idle(struct h1_output *out);
/* The rest of h1_output_room: a block, or a larger buffer. */
char *h1_output_grow(struct h1_output *out, size_t more);
/* Room for `more` bytes behind len; NULL when out of memory. */
static inline char *h1_output_room(struct h1_output *out, size_t more)
{
	if (LIKELY(more <= out->cap - out->len))
		return out->ptr + out->len;
	return h1_output_grow(out, more);
}
/* Sends what is there. */
static inline enum io_result h1_output_flush(struct h1_output *out, struct stream *stream,
					     int64_t deadline_ms)
{
	size_t len = out->len;

	if (len == 0)
		return IO_OK;
	out->len = 0;
	return stream_write(stream, out->ptr, len, deadline_ms);
}
/*
 * A body piece in the framing that is set; flags as enum http_send_flags. Small pieces are
 * gathered, large ones are written from where they are. IO_FAILED: more or less than promised.
 */
enum io_result h1_output_body(struct h1_output *out, struct stream *stream, struct span piece,
			      int flags, int64_t deadline_ms);
/* The last chunk with trailer fields; without chunked coding only ends the body. */
enum io_result h1_output_trailers(struct h1_output *out, struct stream *stream,
				  const struct http_field *fields, size_t count,
				  int64_t deadline_ms);

/* Names and values are short: two overlapping words are cheaper than a call. */
static inline __attribute__((always_inline)) char *h1_put_inline(char *to, struct span s)
{
	char *end = to + s.len;

	if (s.len > 32) {
		memcpy(to, s.ptr, s.len);
	} else if (s.len > 16) {
		struct {
			uint64_t word[2];
		} first, last;

		memcpy(&first, s.ptr, 16);
		memcpy(&last, s.ptr + s.len - 16, 16);
		memcpy(to, &first, 16);
		memcpy(end - 16, &last, 16);
	} else if (s.len >= 8) {
		uint64_t first, last;

		memcpy(&first, s.ptr, 8);
		memcpy(&last, s.ptr + s.len - 8, 8);
		memcpy(to, &first, 8);
		memcpy(end - 8, &last, 8);
	} else if (s.len >= 4) {
		uint32_t first, last;

		memcpy(&first, s.ptr, 4);
		memcpy(&last, s.ptr + s.len - 4, 4);
		memcpy(to, &first, 4);
		memcpy(end - 4, &last, 4);
	} else if (s.len) {
		to[0] = s.ptr[0];
		to[s.len / 2] = s.ptr[s.len / 2];
		end[-1] = s.ptr[s.len - 1];
	}
	return end;
}
HOT static inline char *h1_put(char *to, struct span s)
{
	return h1_put_inline(to, s);
}
char *h1_put_u64(char *to, uint64_t value);
size_t h1_fields_bytes(const struct http_field *fields, size_t count);
char *h1_put_fields(char *to, const struct http_field *fields, size_t count);

#endif
