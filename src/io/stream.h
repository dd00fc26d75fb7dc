/*
 * stream.h - a connected byte stream: TCP or Unix socket, plain or TLS, read and written from
 * fibers with deadlines. At most one fiber reads and one writes at a time. Deadlines are
 * loop_now_ms times.
 */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include <openssl/types.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/span.h"
#include "io/loop.h"

enum io_result {
	IO_OK,
	IO_AGAIN, /* only from the try_ functions: nothing can be done now */
	IO_EOF, /* the peer has ended its side, orderly */
	IO_TIMEOUT, /* the deadline passed */
	IO_CANCELLED, /* fiber_cancel */
	IO_CLOSED, /* connection reset, or torn down under us */
	IO_FAILED, /* anything else; TLS protocol errors too */
};
const char *io_result_text(enum io_result result);

struct stream {
	struct watch watch;
	SSL *ssl; /* NULL: plain */
	bool tls_starved; /* TLS has asked for bytes that have not come yet */
	/* Why the last TLS call failed, e.g. "certificate has expired"; "" when unknown. Static. */
	const char *tls_error;
};

/* Takes over a connected, non-blocking descriptor. On failure the descriptor stays the caller's. */
int stream_init(struct stream *stream, int fd, watch_function *on_event,
		struct err *err) MUST_CHECK;
/* Closes at once, without a TLS goodbye; frees the TLS state. Wakes parked users. */
void stream_close(struct stream *stream);
static inline bool stream_is_open(const struct stream *stream)
{
	return stream->watch.fd >= 0;
}

/* Connects; on failure nothing is left open and *err says why. Sets TCP_NODELAY on TCP. */
enum io_result stream_connect(struct stream *stream, const struct sockaddr *address,
			      socklen_t address_len, watch_function *on_event,
			      int64_t deadline_ms, struct err *err) MUST_CHECK;

/*
 * TLS from here on. `context` must have been made by tls_context (src/io/tls.h).
 * Client: verification and server name are set up by the caller between stream_start_tls and
 * stream_handshake through stream->ssl.
 */
int stream_start_tls(struct stream *stream, SSL_CTX *context, bool server,
		     struct err *err) MUST_CHECK;
enum io_result stream_handshake(struct stream *stream, int64_t deadline_ms,
				struct err *err) MUST_CHECK;
/* The protocol chosen by ALPN, empty when none. */
struct span stream_alpn(const struct stream *stream);

/* At least one byte into `to`, *got > 0 exactly with IO_OK. */
enum io_result stream_read(struct stream *stream, void *to, size_t size, size_t *got,
			   int64_t deadline_ms);
/* As stream_read, but never parks. Callable from the loop too. */
enum io_result stream_try_read(struct stream *stream, void *to, size_t size, size_t *got);
/* Writes everything. The iovec array is changed. */
enum io_result stream_writev(struct stream *stream, struct iovec *iov, int count,
			     int64_t deadline_ms);
enum io_result stream_write(struct stream *stream, const void *from, size_t size,
			    int64_t deadline_ms);
/* Writes what goes without parking; *put may be less than size with IO_OK. */
enum io_result stream_try_write(struct stream *stream, const void *from, size_t size,
				size_t *put);
/* TLS close_notify if possible without parking, then shutdown of the sending side. */
void stream_shutdown(struct stream *stream);
/*
 * As stream_shutdown, but parks until the goodbye is out: where the peer's socket is full, TLS would
 * otherwise see a connection that was cut. IO_TIMEOUT when it did not get out.
 */
enum io_result stream_finish(struct stream *stream, int64_t deadline_ms);
/* Decrypted bytes wait, or the kernel may have some: a read is worth trying. */
bool stream_maybe_readable(const struct stream *stream);
/* Parks until it is: for readers that hold no buffer meanwhile. */
enum io_result stream_await(struct stream *stream, int64_t deadline_ms);
/* The peer has closed or reset the connection, as far as is known without reading. */
bool stream_peer_gone(const struct stream *stream);

#endif
