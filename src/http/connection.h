/*
 * connection.h - what server connections of both versions share. Private to src/http.
 */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include "http/server.h"

struct http_connection {
	struct stream stream; /* first: the watch's address is the connection's */
	struct http_server *server;
	struct http_peer peer;
	struct list node; /* in server->connections */
	struct timer idle_timer;
	struct fiber *opener; /* runs the handshake; not valid afterwards */
	int flags; /* enum http_accept_flags */
	/* Called in the loop; set by the version that took the connection over. */
	void (*drain)(struct http_connection *c);
	void (*destroy)(struct http_connection *c); /* ends all at once, exchanges too */
	void *state; /* the version's own, allocated by it */
	/* Bytes read before the version was known (PROXY header, preface). */
	char *early; /* a block from block_take, or NULL; the version takes it over */
	size_t early_len;
};

/*
 * Takes a connection over after handshake and ALPN. Must not park: called in the connection's first
 * fiber, or (HTTP/1 on a plain connection) in the loop. The version allocates its own state, sets
 * c->state, drain, destroy and the watch's on_event, and on failure frees the connection.
 */
void h1_take_over(struct http_connection *c);
void h2_take_over(struct http_connection *c);

/* Unlinks, closes and frees the base object (not what the version added). */
void http_connection_free(struct http_connection *c);

/*
 * An exchange with its arena and field array from the thread's free list; NULL: out of memory. Of the
 * request only the field array is set.
 */
struct http_exchange *http_exchange_new(struct http_connection *c,
					const struct http_exchange_ops *ops);
void http_exchange_free(struct http_exchange *x);
/* Runs the server's handler and completes or tears down what it left. */
void http_exchange_run(struct http_exchange *x);

#endif
