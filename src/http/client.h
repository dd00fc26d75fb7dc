/*
 * client.h - requests to services: pooled keep-alive connections, HTTP/1.1, HTTP/2 and h2c. A pool
 * belongs to one worker thread and one endpoint. All calls are made from fibers of that thread;
 * sending and reading of one call may happen in two fibers at the same time.
 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include "http/exchange.h"

struct http_call;
struct http_pool;

enum http_protocol {
	HTTP_PROTOCOL_H1,
	HTTP_PROTOCOL_H2, /* over TLS, by ALPN; HTTP/1.1 where the service does not offer it */
	HTTP_PROTOCOL_H2C, /* prior knowledge, plain */
};

struct http_pool_options {
	struct sockaddr_storage address; /* where to connect; may be changed later */
	socklen_t address_len;
	enum http_protocol protocol;
	SSL_CTX *tls; /* NULL: plain; borrowed */
	const char *server_name; /* SNI and verified name (or IP address); borrowed */
	size_t connections_max; /* 0: no limit */
	size_t idle_max; /* kept for reuse */
	int64_t idle_timeout_ms;
	uint32_t calls_max; /* on one connection, which is then closed; 0: no limit */
	struct http1_limits head; /* of responses */
	/* HTTP/2: of silence while calls are under way, before the service is asked; 0: never */
	int64_t ping_interval_ms;
	int64_t ping_timeout_ms;
	uint32_t
		h2_streams; /* concurrent on one connection, at most; 0: as the service allows */
};

struct http_pool *http_pool_new(const struct http_pool_options *options, struct err *err);
/* Closes idle connections; connections in use end with their calls, then the pool is freed. */
void http_pool_close(struct http_pool *pool);
void http_pool_set_address(struct http_pool *pool, const struct sockaddr_storage *address,
			   socklen_t address_len);
size_t http_pool_idle_count(const struct http_pool *pool);
size_t http_pool_active_count(const struct http_pool *pool); /* calls under way */

struct http_request_head {
	struct span method;
	struct span scheme; /* HTTP/2 only */
	struct span authority; /* Host, or :authority */
	struct span path; /* ... and query: the request target in origin form */
	struct span query; /* ptr NULL when there is no '?' */
	const struct http_field *fields; /* no Host, no framing or connection fields */
	size_t field_count;
	int64_t content_length; /* -1: unknown (chunked); 0 with no_body: no length field at all */
	bool no_body;
	struct span upgrade; /* "websocket": asks for an upgrade, or extended CONNECT */
};

struct http_call_ops {
	enum io_result (*send_head)(struct http_call *call,
				    const struct http_request_head *head, int flags,
				    int64_t deadline_ms);
	enum io_result (*send_body)(struct http_call *call, struct span piece, int flags,
				    int64_t deadline_ms);
	enum io_result (*send_trailers)(struct http_call *call, const struct http_field *fields,
					size_t count, int64_t deadline_ms);
	enum io_result (*read_head)(struct http_call *call, int64_t deadline_ms);
	enum io_result (*read_body)(struct http_call *call, struct span *piece,
				    int64_t deadline_ms);
	void (*release)(struct http_call *call);
};

struct http_call {
	const struct http_call_ops *ops;
	struct http_pool *pool;
	bool reused; /* on a connection that has served before: it may be stale */
	bool response_started; /* a byte of the response has been received */
	unsigned version; /* 11 or 20 */
	/* After read_head returned IO_OK; interim (1xx but 101) heads are returned too. */
	struct http1_head response; /* points into the connection's memory until release */
	bool body_ended;
	bool more_ready; /* more of the body is there without waiting */
	struct http_field *trailers; /* once read_body has returned IO_EOF */
	size_t trailer_count;
	bool tunnel; /* after 101 (or 200 to extended CONNECT): raw bytes both ways */
	const char *failure; /* why a call returned IO_FAILED: one line for the log, or NULL */
};

/* Handshakes of connections that the next http_call_open makes take at most so long; 0: no limit. */
void http_pool_limit_handshake(struct http_pool *pool, int64_t handshake_ms);
/*
 * Gets a connection, reused or new (connect and TLS handshake within the deadline), and a call on
 * it. `fresh` asks for a new connection. On failure NULL, *result says how, *err why: ERR_LIMIT when
 * connections_max were in use until the deadline.
 */
struct http_call *http_call_open(struct http_pool *pool, bool fresh, int64_t deadline_ms,
				 enum io_result *result, struct err *err) MUST_CHECK;

/* Flags as for responses. With HTTP_SEND_END the request has no (further) body. */
static inline enum io_result http_call_send_head(struct http_call *call,
						 const struct http_request_head *head,
						 int flags, int64_t deadline_ms)
{
	return call->ops->send_head(call, head, flags, deadline_ms);
}

static inline enum io_result http_call_send_body(struct http_call *call, struct span piece,
						 int flags, int64_t deadline_ms)
{
	return call->ops->send_body(call, piece, flags, deadline_ms);
}

static inline enum io_result http_call_send_trailers(struct http_call *call,
						     const struct http_field *fields,
						     size_t count, int64_t deadline_ms)
{
	return call->ops->send_trailers(call, fields, count, deadline_ms);
}

/* The next response head, in call->response. IO_FAILED: malformed; IO_CLOSED/IO_EOF: none came. */
static inline enum io_result http_call_read_head(struct http_call *call, int64_t deadline_ms)
{
	return call->ops->read_head(call, deadline_ms);
}

/*
 * IO_OK with a piece, valid until the next call; IO_EOF at the orderly end and only then: a
 * response that is cut short gives IO_CLOSED.
 */
static inline enum io_result http_call_read_body(struct http_call *call, struct span *piece,
						 int64_t deadline_ms)
{
	return call->ops->read_body(call, piece, deadline_ms);
}

/*
 * Ends the call; the connection is reused when request and response were complete, else closed (or
 * the stream reset). No fiber may still be parked in the call.
 */
static inline void http_call_release(struct http_call *call)
{
	call->ops->release(call);
}

#endif
