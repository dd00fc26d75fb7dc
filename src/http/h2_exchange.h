/*
 * h2_exchange.h - an HTTP/2 server connection and its streams, as h2_server.c (what comes from the
 * client, and the connection's life) and h2_exchange.c (what handlers call) share them. Private.
 */
#ifndef HTTP_H2_EXCHANGE_H
#define HTTP_H2_EXCHANGE_H

#include "http/connection.h"
#include "http/h2_head.h"
#include "http/h2_wire.h"

struct h2_server {
	struct http_connection *base;
	struct h2_wire wire;
	int64_t head_start_ms;
	struct list streams; /* h2_exchange.node */
	size_t stream_count;
	uint64_t served;
	int64_t idle_since_ms; /* while stream_count is 0 */
	/* what the client has done in the interval */
	int64_t interval_start_ms;
	uint32_t resets;
	uint32_t control_frames;
	uint32_t continuations; /* of the block under way */
	uint64_t data_frames_before; /* wire.data_frames_sent at the interval's start */
	int64_t drain_at_ms; /* the final GOAWAY is due; 0: not draining */
	bool greeted; /* the client's SETTINGS have come */
	bool lost; /* exchanges have been told; freed with the last of them */
	bool lingering; /* ... but the socket stays a little */
	uint64_t lingered_bytes;
};

/* A stream with its exchange; outlives whichever of nghttp2's stream and the fiber ends first. */
struct h2_exchange {
	struct h2_stream st;
	struct h2_server *server;
	struct http_exchange *x; /* NULL when it has ended */
	struct fiber *fiber; /* NULL: not started */
	struct list node;
	int64_t body_start_ms;
	uint64_t body_left; /* of the response, when length_known */
	bool length_known;
	bool no_content; /* the request must not have any */
	bool reset_by_us;
};

/* What handlers call; http_exchange.state is the h2_exchange. */
extern const struct http_exchange_ops h2_exchange_ops;

static inline const struct http_limits *h2_server_limits(const struct h2_server *s)
{
	return &s->base->server->limits;
}

#endif
