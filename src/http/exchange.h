/*
 * exchange.h - one request and its response on the server side, the same for HTTP/1.1 and HTTP/2.
 * The connection makes it, runs the server's handler in the exchange's fiber, and ends it. All
 * calls are made from fibers of the connection's thread; reading (one fiber) and sending (one
 * fiber) may happen at the same time. Deadlines are loop_now_ms times.
 *
 * A handler that returns without a complete response gets 500 when no head was sent; otherwise the
 * response is torn down so that the client can see that it is not complete.
 */
#ifndef HTTP_EXCHANGE_H
#define HTTP_EXCHANGE_H

#include <sys/socket.h>

#include "base/arena.h"
#include "io/stream.h"
#include "parse/http1.h"

struct http_exchange;
struct http_server;

/* A client's connection, as its exchanges see it. */
struct http_peer {
	struct sockaddr_storage
		address; /* of the client, as PROXY protocol or the socket says */
	struct sockaddr_storage local;
	SSL *ssl; /* NULL: plain */
	/* How its TLS starts (parse/client_hello.h); NULL: plain, or nobody looks. */
	char *fingerprint;
	void *data; /* the handler's, for the life of the connection; see http_server.on_close */
	uint64_t id; /* of the connection, unique in the process */
	uint64_t tag; /* what was given to http_server_accept */
	const void *listener; /* what was given to http_server_accept */
};

/* Fields that many responses have in common, prepared once; names are in lower case. */
struct http_field_block {
	const struct http_field *fields;
	size_t field_count;
	struct span lines; /* the same as HTTP/1 writes them */
};

/*
 * A response head. Fields hold no Content-Length, Transfer-Encoding, Connection or Keep-Alive:
 * those are the connection's business. Names are in lower or canonical case; HTTP/2 lowers them.
 */
struct http_response {
	unsigned status;
	const struct http_field *fields;
	size_t field_count;
	const struct http_field_block *block; /* further fields; NULL: none */
	int64_t content_length; /* -1: not known beforehand */
};

enum http_send_flags {
	HTTP_SEND_NOW = 0,
	HTTP_SEND_MORE = 1, /* more follows at once: may be held back to be sent together */
	HTTP_SEND_END = 2, /* this completes the response (or request) */
};

struct http_exchange_ops {
	enum io_result (*read_body)(struct http_exchange *x, struct span *piece,
				    int64_t deadline_ms);
	enum io_result (*send_head)(struct http_exchange *x,
				    const struct http_response *response, int flags,
				    int64_t deadline_ms);
	enum io_result (*send_body)(struct http_exchange *x, struct span piece, int flags,
				    int64_t deadline_ms);
	enum io_result (*send_trailers)(struct http_exchange *x,
					const struct http_field *fields, size_t count,
					int64_t deadline_ms);
	void (*abort)(struct http_exchange *x);
};

struct http_exchange {
	const struct http_exchange_ops *ops;
	struct http_server *server;
	struct http_peer *peer;
	struct fiber *fiber; /* cancelled when the client goes away */
	struct arena arena; /* freed with the exchange; capped by the server's limit */

	/*
	 * The request. With HTTP/2, :authority is presented as authority and as a Host field if
	 * there was none; framing is HTTP1_NO_BODY, HTTP1_LENGTH or HTTP1_UNTIL_CLOSE (unknown
	 * length). `request.upgrade` is also set by an extended CONNECT (RFC 8441), with the
	 * protocol in `protocol`.
	 */
	struct http1_head request;
	unsigned version; /* 10, 11 or 20 */
	struct span protocol; /* of an upgrade: "websocket" */
	unsigned
		malformed_status; /* not 0: the request is to be refused with this status ... */
	const char *malformed; /* ... for this reason; only the peer is known then */

	/* The request's body, as it is read. */
	uint64_t body_limit_bytes; /* the server's limit; the handler may set another */
	uint64_t body_received_bytes;
	bool body_too_large; /* read_body failed because of the limit */
	bool body_ended; /* all of it was read; with trailers, these too */
	struct http_field *trailers; /* valid once read_body has returned IO_EOF */
	size_t trailer_count;

	/* The response. */
	unsigned status; /* as sent */
	uint64_t body_sent_bytes;
	bool head_sent; /* a final head (or 101) was given to send_head */
	bool ended; /* completely given to the connection */
	bool tunnel; /* after 101, or 200 to an extended CONNECT: raw bytes both ways */
	bool close_after; /* set by the handler: no further exchange on this connection (HTTP/1) */
	bool client_gone;
	bool aborted;

	int64_t start_ns; /* when its first byte was looked at (clock_ns) */
	void *data; /* the handler's */
	void *state; /* the connection's */
};

/*
 * The next piece of the request's body: IO_OK with piece.len > 0, valid until the next call;
 * IO_EOF at its orderly end. The first call answers "Expect: 100-continue". In a tunnel: raw
 * bytes. IO_FAILED: over the limit (body_too_large), too slow, or malformed.
 */
static inline enum io_result http_read_body(struct http_exchange *x, struct span *piece,
					    int64_t deadline_ms)
{
	return x->ops->read_body(x, piece, deadline_ms);
}

/* Also for interim (1xx) heads, any number of times before the final one. */
static inline enum io_result http_send_head(struct http_exchange *x,
					    const struct http_response *response, int flags,
					    int64_t deadline_ms)
{
	return x->ops->send_head(x, response, flags, deadline_ms);
}

/* Parks while the client is slower than we are. An empty piece with HTTP_SEND_END just ends. */
static inline enum io_result http_send_body(struct http_exchange *x, struct span piece,
					    int flags, int64_t deadline_ms)
{
	return x->ops->send_body(x, piece, flags, deadline_ms);
}

/* Ends the response with trailer fields (dropped where the version or framing has no place). */
static inline enum io_result http_send_trailers(struct http_exchange *x,
						const struct http_field *fields, size_t count,
						int64_t deadline_ms)
{
	return x->ops->send_trailers(x, fields, count, deadline_ms);
}

/* Tears the response down: RST_STREAM, or closing the connection short of the promised end. */
static inline void http_abort(struct http_exchange *x)
{
	x->ops->abort(x);
}

/* Head and whole body at once. */
enum io_result http_respond(struct http_exchange *x, const struct http_response *response,
			    struct span body, int64_t deadline_ms);

#endif
