/*
 * h2_call.h - an HTTP/2 client connection and its calls, as h2_client.c (what comes from the service,
 * and the connection's life) and h2_call.c (what callers call) share them. Private.
 */
#ifndef HTTP_H2_CALL_H
#define HTTP_H2_CALL_H

#include "http/h2_client.h"
#include "http/h2_head.h"
#include "http/h2_wire.h"

struct h2_call;

struct h2_client {
	struct stream stream;
	struct http_pool *pool;
	struct h2_wire wire;
	struct list node; /* in pool->multiplexed, or by itself when retired */
	struct list calls; /* h2_call.node */
	size_t call_count;
	struct timer idle_timer;
	struct h2_call *free_calls;
	size_t free_count;
	uint64_t served;
	bool greeted; /* the service's SETTINGS have come */
	bool starting; /* ... and h2_client_start waits for them */
	struct fiber *starter;
	bool retired; /* takes no further calls, ends with its last */
	bool lost;
	int64_t interval_start_ms;
	uint32_t control_frames;
	uint32_t continuations;
	uint64_t data_frames_before;
};

/* A response head that has come and has not been read yet. */
struct response_text {
	struct response_text *next;
	struct span text;
};

struct h2_call {
	struct http_call call; /* first */
	struct h2_stream st;
	struct h2_client *client;
	struct list node;
	struct arena arena;
	struct response_text *heads; /* oldest first */
	struct response_text **heads_tail;
	unsigned interim_count;
	bool final_head_seen; /* what follows are trailers */
	bool sent; /* the stream exists */
	bool request_ended;
	bool to_head;
	bool to_connect;
	uint64_t body_left; /* of the request, when length_known */
	bool length_known;
	int64_t start_ms;
	struct h2_call *next_free;
	struct http_field fields[]; /* options.head.field_count */
};

static inline struct h2_call *h2_call_of(struct http_call *call)
{
	return CONTAINER_OF(call, struct h2_call, call);
}

/* No further calls; the pool will open another connection. */
void h2_client_retire(struct h2_client *client);

/* The response cannot be used; what was wrong is what the next call returns. */
void h2_call_refuse(struct h2_call *c, const char *why);

/* Of http_call_ops. */
enum io_result h2_call_send_head(struct http_call *call, const struct http_request_head *head,
				 int flags, int64_t deadline_ms);
enum io_result h2_call_send_body(struct http_call *call, struct span piece, int flags,
				 int64_t deadline_ms);
enum io_result h2_call_send_trailers(struct http_call *call, const struct http_field *fields,
				     size_t count, int64_t deadline_ms);
enum io_result h2_call_read_head(struct http_call *call, int64_t deadline_ms);
enum io_result h2_call_read_body(struct http_call *call, struct span *piece,
				 int64_t deadline_ms);

#endif
