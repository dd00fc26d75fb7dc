/*
 * server.h - HTTP connections from clients: PROXY protocol, TLS, ALPN, HTTP/1.1 and HTTP/2. One
 * server a worker thread; everything here is called in that thread.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "base/list.h"
#include "http/exchange.h"

struct http_limits {
	struct http1_limits head;
	uint64_t body_bytes;
	size_t exchange_bytes; /* arena cap of an exchange */
	int64_t head_timeout_ms; /* from the first byte of a request to its last header byte */
	int64_t handshake_timeout_ms; /* PROXY protocol and TLS */
	int64_t idle_timeout_ms; /* between requests */
	int64_t write_timeout_ms; /* without any progress in sending */
	uint64_t body_rate_bytes; /* least bytes a second of a request's body; 0: no limit */
	int64_t body_grace_ms; /* before that rate is asked for */
	uint64_t requests_per_connection; /* 0: no limit */
	/* HTTP/2 */
	uint32_t h2_streams; /* concurrent, a connection */
	uint64_t
		h2_head_bytes; /* field list of a request, decoded; in the place of head.head_bytes */
	uint32_t h2_window_bytes; /* of a stream */
	uint32_t h2_connection_window_bytes;
	uint32_t h2_resets; /* RST_STREAM received an interval, before GOAWAY */
	uint32_t h2_continuations; /* CONTINUATION frames of one field block */
	uint32_t h2_control_frames; /* PING, SETTINGS, PRIORITY, empty frames an interval */
	int64_t h2_interval_ms;
	int64_t h2_ping_interval_ms; /* of silence, before a client is asked for life; 0: never */
	int64_t h2_ping_timeout_ms;
};

/* Safe values for everything. */
struct http_limits http_limits_default(void);

enum http_accept_flags {
	HTTP_ACCEPT_PROXY_PROTOCOL = 1, /* a PROXY header must come first */
	HTTP_ACCEPT_H2C = 2, /* HTTP/2 by prior knowledge on a plain connection */
};

struct http_server {
	void (*handler)(struct http_exchange *x);
	/* Before a connection ends, with peer->data to be freed; may be NULL. */
	void (*on_close)(struct http_server *server, struct http_peer *peer);
	/* A handshake or PROXY header that failed; may be NULL. */
	void (*on_refused)(struct http_server *server, const struct sockaddr_storage *address,
			   const char *reason);
	/*
	 * Asked in the handshake of TLS, when peer->fingerprint is known: false refuses it. NULL:
	 * nobody looks, and there are no fingerprints.
	 */
	bool (*on_hello)(struct http_server *server, const struct http_peer *peer);
	struct http_limits limits; /* may be changed between exchanges */
	void *data;
	/* kept by the server */
	struct list connections;
	uint64_t connection_count;
	uint64_t exchange_count; /* running now */
	bool draining;
};

void http_server_init(struct http_server *server, void (*handler)(struct http_exchange *x));

/*
 * Takes over an accepted, non-blocking descriptor; closes it on failure. listener and tag are put
 * into the peer. tls NULL: plain. The context is referenced by the connection.
 */
void http_server_accept(struct http_server *server, int fd,
			const struct sockaddr_storage *address, SSL_CTX *tls, int flags,
			const void *listener, uint64_t tag);

/*
 * Lets running exchanges finish, closes idle connections, answers no further request on any. When
 * connection_count is 0 it is done; http_server_close_all ends the rest at once.
 */
void http_server_drain(struct http_server *server);
void http_server_close_all(struct http_server *server);

/* Frees the calling thread's pooled exchanges; at the end of a thread. */
void http_exchange_pool_release(void);

#endif
