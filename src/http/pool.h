/* pool.h - what the client connections of both versions share. Private to src/http. */
#ifndef HTTP_POOL_H
#define HTTP_POOL_H

#include "base/list.h"
#include "http/client.h"
#include "io/tls.h"

struct h1_client;
struct h2_client;

struct http_pool {
	struct http_pool_options options;
	struct tls_session_slot *session;
	struct list idle; /* h1_client.node, most recently used first */
	size_t idle_count;
	struct list multiplexed; /* h2_client connections, see h2_client.h */
	struct list waiters; /* fibers that wait for a connection */
	size_t connection_count; /* open or being opened */
	size_t active_count; /* calls under way */
	int64_t handshake_ms; /* for the next http_call_open; 0: no limit of its own */
	bool connecting; /* an HTTP/2 connection is being opened */
	bool closed;
};

/* A connection has ended, or room for a call has appeared: the next waiter looks again. */
void http_pool_notify(struct http_pool *pool);
/* To be called when a connection has been closed and its memory freed. */
void http_pool_connection_gone(struct http_pool *pool);
/* To be called once by every call's release, last. */
void http_pool_call_done(struct http_pool *pool);

/* A connection that is not open yet; NULL when out of memory. Not counted by the pool. */
struct h1_client *h1_client_new(struct http_pool *pool) MUST_CHECK;
/* Where to connect it. */
struct stream *h1_client_stream(struct h1_client *client);
/* Frees a connection that could not be opened, and counts it out. */
void h1_client_discard(struct h1_client *client);
/* Begins a call on an idle or new connection; cannot fail. */
struct http_call *h1_client_begin(struct h1_client *client, bool reused);
/* The most recently used idle connection, taken out of the list; or NULL. */
struct h1_client *h1_client_take_idle(struct http_pool *pool);
void h1_client_close_idle(struct http_pool *pool);

#endif
