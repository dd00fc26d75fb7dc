/*
 * h2_client.h - HTTP/2 connections to services (RFC 9113), TLS or prior knowledge. Private to
 * src/http: pool.c opens connections and begins calls, everything else happens here. One
 * connection carries many calls. All calls are made in the pool's thread.
 *
 *	client = h2_client_new(pool), then pool->connection_count++
 *	connect, TLS and ALPN on h2_client_stream(client)
 *	h2_client_start(client, ...), or h2_client_discard(client) when any of this has failed
 *	h2_client_open(pool), as often as there is room
 *
 * A started connection is in pool->multiplexed as long as it takes calls. It leaves the list and
 * ends by itself: when it was idle for pool->options.idle_timeout_ms, when the service sends GOAWAY
 * or closes, on errors, and when the pool is closed; then it calls http_pool_connection_gone.
 * http_pool_notify is called when a stream has ended or the service allows more of them.
 */
#ifndef HTTP_H2_CLIENT_H
#define HTTP_H2_CLIENT_H

#include "http/pool.h"

/* A connection that is not open yet; NULL when out of memory. Not counted by the pool. */
struct h2_client *h2_client_new(struct http_pool *pool) MUST_CHECK;
/* Where to connect it; stays in place for the life of the connection. */
struct stream *h2_client_stream(struct h2_client *client);
/* Frees a connection that was not started, and counts it out. */
void h2_client_discard(struct h2_client *client);
/*
 * The stream is connected and ALPN, if any, has chosen "h2". Sends preface and SETTINGS, parks
 * until those of the service have come, and puts the connection into pool->multiplexed. On
 * failure the caller discards it.
 */
enum io_result h2_client_start(struct h2_client *client, int64_t deadline_ms,
			       struct err *err) MUST_CHECK;
/*
 * A call on a connection that has room, the most recently started first; NULL when none has, or
 * when out of memory. Counted in pool->active_count; http_call_release ends it and calls
 * http_pool_call_done.
 *
 * A call that the service has not processed (GOAWAY below its stream, REFUSED_STREAM) fails with
 * IO_CLOSED and response_started false: it may be sent again on another connection.
 */
struct http_call *h2_client_open(struct http_pool *pool);
/* For http_pool_close: idle connections end at once, the others with their last call. */
void h2_client_close_all(struct http_pool *pool);

#endif
