#include "io/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/stream_bio.h"
#include "io/tls_internal.h"

const char *io_result_text(enum io_result result)
{
	switch (result) {
	case IO_OK: return "ok";
	case IO_AGAIN: return "would block";
	case IO_EOF: return "closed by peer";
	case IO_TIMEOUT: return "timed out";
	case IO_CANCELLED: return "cancelled";
	case IO_CLOSED: return "connection reset";
	case IO_FAILED: return "failed";
	}
	return "unknown";
}

int stream_init(struct stream *stream, int fd, watch_function *on_event, struct err *err)
{
	stream->ssl = NULL;
	stream->tls_starved = false;
	stream->tls_error = "";
	return watch_add(&stream->watch, fd, on_event, err);
}

void stream_close(struct stream *stream)
{
	int fd = stream->watch.fd;

	if (fd < 0)
		return;
	watch_remove(&stream->watch);
	SSL_free(stream->ssl);
	stream->ssl = NULL;
	close(fd);
}

static enum io_result result_of_errno(int error)
{
	switch (error) {
	case EAGAIN: return IO_AGAIN;
	case ECONNRESET:
	case EPIPE:
	case ENOTCONN:
	case EBADF: return IO_CLOSED;
	case ETIMEDOUT: return IO_TIMEOUT;
	default: return IO_FAILED;
	}
}

/*
 * The C library's recv and send are cancellation points, which costs a threaded program two atomic
 * operations a call. No thread of ours is ever cancelled.
 */
HOT static ssize_t receive(int fd, void *to, size_t size)
{
	return syscall(SYS_recvfrom, fd, to, size, 0, NULL, NULL);
}

HOT static ssize_t transmit(int fd, const void *from, size_t size)
{
	return syscall(SYS_sendto, fd, from, size, MSG_NOSIGNAL, NULL, 0);
}

static enum io_result result_of_wake(enum fiber_wake wake)
{
	switch (wake) {
	case FIBER_EVENT: return IO_OK;
	case FIBER_TIMEOUT: return IO_TIMEOUT;
	case FIBER_CANCELLED: return IO_CANCELLED;
	}
	return IO_FAILED;
}

/*
 * After a read that did not fill its buffer the kernel has nothing more: the next edge will tell
 * of new data, so a try that could only give EAGAIN is saved. A hang-up gives no further edge.
 */
HOT static inline enum io_result recv_plain(struct stream *stream, void *to, size_t size,
					    size_t *got)
{
	ssize_t n;

	*got = 0;
	if (stream->watch.fd < 0)
		return IO_CLOSED;
	if (!(stream->watch.ready & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		return IO_AGAIN;
	do
		n = receive(stream->watch.fd, to, size);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		*got = (size_t)n;
		stream->tls_starved = false;
		if (*got < size)
			stream->watch.ready &= ~(uint32_t)EPOLLIN;
		return IO_OK;
	}
	if (n == 0)
		return IO_EOF;
	if (errno == EAGAIN)
		stream->watch.ready &= ~(uint32_t)(EPOLLIN | EPOLLRDHUP);
	return result_of_errno(errno);
}

HOT enum io_result stream_recv(struct stream *stream, void *to, size_t size, size_t *got)
{
	return recv_plain(stream, to, size, got);
}

/* What the kernel has said to a send. */
HOT static enum io_result sent(struct stream *stream, ssize_t n, size_t *put)
{
	*put = n < 0 ? 0 : (size_t)n;
	if (n >= 0 || errno == EINTR)
		return IO_OK;
	if (errno == EAGAIN)
		stream->watch.ready &= ~(uint32_t)EPOLLOUT;
	return result_of_errno(errno);
}

HOT enum io_result stream_send(struct stream *stream, const void *from, size_t size,
			       size_t *put)
{
	ssize_t n;

	do
		n = transmit(stream->watch.fd, from, size);
	while (n < 0 && errno == EINTR);
	return sent(stream, n, put);
}

static enum err_code err_code_of(enum io_result result)
{
	switch (result) {
	case IO_OK:
	case IO_AGAIN:
	case IO_FAILED: return ERR_IO;
	case IO_EOF:
	case IO_CLOSED: return ERR_CLOSED;
	case IO_TIMEOUT: return ERR_TIMEOUT;
	case IO_CANCELLED: return ERR_CANCELLED;
	}
	return ERR_IO;
}

static enum io_result finish_connect(struct stream *stream, int64_t deadline_ms)
{
	enum io_result result;
	int error = 0;
	socklen_t len = sizeof(error);

	/* A socket that was never connected reports HUP at once; wait for what connect tells. */
	stream->watch.ready = 0;
	result = result_of_wake(watch_wait(&stream->watch, EPOLLOUT, deadline_ms));
	if (result != IO_OK)
		return result;
	if (getsockopt(stream->watch.fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error == 0)
		return IO_OK;
	errno = error;
	return IO_FAILED;
}

enum io_result stream_connect(struct stream *stream, const struct sockaddr *address,
			      socklen_t address_len, watch_function *on_event,
			      int64_t deadline_ms, struct err *err)
{
	int one = 1;
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	enum io_result result = IO_OK;

	stream->watch.fd = -1;
	stream->ssl = NULL;
	stream->tls_starved = false;
	stream->tls_error = "";
	if (fd < 0) {
		err_set_errno(err, errno, "socket");
		return IO_FAILED;
	}
	if (address->sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, address, address_len) < 0 && errno != EINPROGRESS) {
		err_set_errno(err, errno, "connect");
		close(fd);
		return IO_FAILED;
	}
	if (stream_init(stream, fd, on_event, err) < 0) {
		close(fd);
		return IO_FAILED;
	}
	if (address->sa_family != AF_UNIX)
		result = finish_connect(stream, deadline_ms);
	else
		stream->watch.ready |= EPOLLOUT;
	if (result == IO_OK)
		return IO_OK;
	if (result == IO_FAILED)
		err_set_errno(err, errno, "connect");
	else
		err_set(err, err_code_of(result), "connect: %s", io_result_text(result));
	stream_close(stream);
	return result;
}

int stream_start_tls(struct stream *stream, SSL_CTX *context, bool server, struct err *err)
{
	BIO *bio;

	ERR_clear_error();
	stream->ssl = SSL_new(context);
	bio = stream->ssl ? stream_bio_new(stream) : NULL;
	if (!bio || tls_attach(stream->ssl) < 0) {
		BIO_free(bio);
		SSL_free(stream->ssl);
		stream->ssl = NULL;
		ERR_clear_error();
		return err_set(err, ERR_MEMORY, "no memory for a TLS connection");
	}
	SSL_set_bio(stream->ssl, bio, bio);
	if (server)
		SSL_set_accept_state(stream->ssl);
	else
		SSL_set_connect_state(stream->ssl);
	return 0;
}

static void note_tls_error(struct stream *stream)
{
	unsigned long code = ERR_peek_error();
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	long verified = SSL_get_verify_result(stream->ssl);

	if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
		reason = X509_verify_cert_error_string(verified);
	stream->tls_error = reason ? reason : "";
	ERR_clear_error();
}

/* What a failed SSL_* call means: IO_AGAIN with the direction to wait for in *events. */
HOT static enum io_result tls_result(struct stream *stream, int returned, uint32_t *events)
{
	int error = SSL_get_error(stream->ssl, returned);
	bool closed;

	*events = error == SSL_ERROR_WANT_WRITE ? EPOLLOUT : EPOLLIN;
	if (error == SSL_ERROR_WANT_READ)
		stream->tls_starved = true;
	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		return IO_AGAIN;
	if (error == SSL_ERROR_ZERO_RETURN)
		return IO_EOF;
	/*
	 * A peer that closes without close_notify is no orderly end: the last bytes may have been
	 * cut off by somebody on the way (RFC 8446 section 6.1).
	 */
	closed = error == SSL_ERROR_SYSCALL ||
		 ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
	note_tls_error(stream);
	return closed ? IO_CLOSED : IO_FAILED;
}

HOT static enum io_result wait_for(struct stream *stream, uint32_t events, int64_t deadline_ms)
{
	enum io_result result;

	if (stream->watch.fd < 0)
		return IO_CLOSED;
	result = result_of_wake(watch_wait(&stream->watch, events, deadline_ms));
	/* Closed under us: the TLS state is gone too. */
	return result == IO_OK && stream->watch.fd < 0 ? IO_CLOSED : result;
}

enum io_result stream_handshake(struct stream *stream, int64_t deadline_ms, struct err *err)
{
	enum io_result result;
	uint32_t events;

	for (;;) {
		int done;

		ERR_clear_error();
		done = SSL_do_handshake(stream->ssl);
		if (done == 1) {
			tls_handshake_done(stream->ssl);
			return IO_OK;
		}
		result = tls_result(stream, done, &events);
		if (result == IO_AGAIN)
			result = wait_for(stream, events, deadline_ms);
		if (result != IO_OK)
			break;
	}
	err_set(err, err_code_of(result), "TLS handshake: %s",
		stream->tls_error[0] ? stream->tls_error : io_result_text(result));
	return result;
}

struct span stream_alpn(const struct stream *stream)
{
	const unsigned char *name = NULL;
	unsigned len = 0;

	if (stream->ssl)
		SSL_get0_alpn_selected(stream->ssl, &name, &len);
	return span_of(name, len);
}

HOT static enum io_result tls_try_read(struct stream *stream, void *to, size_t size,
				       size_t *got, uint32_t *events)
{
	int returned;

	*got = 0;
	ERR_clear_error();
	returned = SSL_read_ex(stream->ssl, to, size, got);
	if (returned == 1)
		return IO_OK;
	return tls_result(stream, returned, events);
}

HOT enum io_result stream_try_read(struct stream *stream, void *to, size_t size, size_t *got)
{
	uint32_t events;

	if (!stream->ssl)
		return stream_recv(stream, to, size, got);
	return tls_try_read(stream, to, size, got, &events);
}

HOT static enum io_result read_tls(struct stream *stream, void *to, size_t size, size_t *got,
				   int64_t deadline_ms)
{
	for (;;) {
		uint32_t events;
		enum io_result result = tls_try_read(stream, to, size, got, &events);

		if (result != IO_AGAIN)
			return result;
		result = wait_for(stream, events, deadline_ms);
		if (result != IO_OK)
			return result;
	}
}

static NOINLINE enum io_result read_later(struct stream *stream, void *to, size_t size,
					  size_t *got, int64_t deadline_ms)
{
	enum io_result result;

	do
		result = wait_for(stream, EPOLLIN, deadline_ms);
	while (result == IO_OK && (result = recv_plain(stream, to, size, got)) == IO_AGAIN);
	return result;
}

HOT enum io_result stream_read(struct stream *stream, void *to, size_t size, size_t *got,
			       int64_t deadline_ms)
{
	enum io_result result;

	if (stream->ssl)
		return read_tls(stream, to, size, got, deadline_ms);
	result = recv_plain(stream, to, size, got);
	return LIKELY(result != IO_AGAIN) ? result
					  : read_later(stream, to, size, got, deadline_ms);
}

HOT static enum io_result tls_try_write(struct stream *stream, const void *from, size_t size,
					size_t *put, uint32_t *events)
{
	int returned;

	*put = 0;
	if (size == 0)
		return IO_OK;
	ERR_clear_error();
	returned = SSL_write_ex(stream->ssl, from, size, put);
	if (returned == 1)
		return IO_OK;
	return tls_result(stream, returned, events);
}

HOT static enum io_result try_write(struct stream *stream, const void *from, size_t size,
				    size_t *put, uint32_t *events)
{
	if (stream->ssl)
		return tls_try_write(stream, from, size, put, events);
	*events = EPOLLOUT;
	return stream_send(stream, from, size, put);
}

enum io_result stream_try_write(struct stream *stream, const void *from, size_t size,
				size_t *put)
{
	uint32_t events;

	return try_write(stream, from, size, put, &events);
}

HOT static enum io_result write_all(struct stream *stream, const char *from, size_t size,
				    int64_t deadline_ms)
{
	while (size) {
		uint32_t events;
		size_t put;
		enum io_result result = try_write(stream, from, size, &put, &events);

		if (result == IO_AGAIN)
			result = wait_for(stream, events, deadline_ms);
		if (result != IO_OK)
			return result;
		from += put;
		size -= put;
	}
	return IO_OK;
}

/* `n` is what the kernel has said to sending all of it at once. */
static NOINLINE enum io_result write_rest(struct stream *stream, const char *from, size_t size,
					  ssize_t n, int64_t deadline_ms)
{
	size_t put;
	enum io_result result = sent(stream, n, &put);

	if (result == IO_AGAIN)
		result = wait_for(stream, EPOLLOUT, deadline_ms);
	if (result != IO_OK)
		return result;
	return write_all(stream, from + put, size - put, deadline_ms);
}

HOT enum io_result stream_write(struct stream *stream, const void *from, size_t size,
				int64_t deadline_ms)
{
	ssize_t n;

	if (stream->ssl || !size)
		return write_all(stream, from, size, deadline_ms);
	n = transmit(stream->watch.fd, from, size);
	if (LIKELY(n == (ssize_t)size))
		return IO_OK;
	return write_rest(stream, from, size, n, deadline_ms);
}

/* Takes what was written off the front. */
HOT static void advance(struct iovec **iov, int *count, size_t put)
{
	while (*count && put >= (*iov)->iov_len) {
		put -= (*iov)->iov_len;
		++*iov;
		--*count;
	}
	if (*count) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + put;
		(*iov)->iov_len -= put;
	}
}

/*
 * The next TLS record's worth of bytes: head and body of a message then leave in one record and
 * one system call. The copy is gone when the fiber has parked, and is made again, equal, as
 * OpenSSL wants it for the same write.
 */
HOT static struct span next_record(const struct iovec *iov, int count)
{
	static _Thread_local char record[SSL3_RT_MAX_PLAIN_LENGTH];
	size_t len = 0;

	if (count == 1 || iov->iov_len >= sizeof(record))
		return span_of(iov->iov_base, iov->iov_len);
	for (int i = 0; i < count && len < sizeof(record); i++) {
		size_t part = iov[i].iov_len < sizeof(record) - len ? iov[i].iov_len
								    : sizeof(record) - len;

		if (part)
			memcpy(record + len, iov[i].iov_base, part);
		len += part;
	}
	return span_of(record, len);
}

static enum io_result send_pieces(struct stream *stream, struct iovec *iov, int count,
				  size_t *put)
{
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = (size_t)count};

	return sent(stream, sendmsg(stream->watch.fd, &message, MSG_NOSIGNAL), put);
}

HOT enum io_result stream_writev(struct stream *stream, struct iovec *iov, int count,
				 int64_t deadline_ms)
{
	advance(&iov, &count, 0);
	while (count) {
		uint32_t events = EPOLLOUT;
		enum io_result result;
		size_t put;

		if (stream->ssl) {
			struct span record = next_record(iov, count);

			result = tls_try_write(stream, record.ptr, record.len, &put, &events);
		} else {
			result = send_pieces(stream, iov, count, &put);
		}
		if (result == IO_AGAIN)
			result = wait_for(stream, events, deadline_ms);
		if (result != IO_OK)
			return result;
		advance(&iov, &count, put);
	}
	return IO_OK;
}

void stream_shutdown(struct stream *stream)
{
	if (stream->watch.fd < 0)
		return;
	if (stream->ssl && SSL_is_init_finished(stream->ssl)) {
		ERR_clear_error();
		SSL_shutdown(stream->ssl);
		ERR_clear_error();
	}
	shutdown(stream->watch.fd, SHUT_WR);
}

enum io_result stream_finish(struct stream *stream, int64_t deadline_ms)
{
	enum io_result result = IO_AGAIN;
	uint32_t events;

	while (result == IO_AGAIN && stream->watch.fd >= 0 && stream->ssl &&
	       SSL_is_init_finished(stream->ssl)) {
		int returned;

		ERR_clear_error();
		returned = SSL_shutdown(stream->ssl);
		result = returned >= 0 ? IO_OK : tls_result(stream, returned, &events);
		if (result == IO_AGAIN && wait_for(stream, EPOLLOUT, deadline_ms) != IO_OK)
			break;
	}
	ERR_clear_error();
	if (stream->watch.fd < 0)
		return IO_CLOSED;
	shutdown(stream->watch.fd, SHUT_WR);
	return result == IO_AGAIN && stream->ssl ? IO_TIMEOUT : IO_OK;
}

HOT bool stream_maybe_readable(const struct stream *stream)
{
	if (stream->watch.ready & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		return true;
	/* What is left of a record that TLS has found incomplete is no reason to read. */
	return stream->ssl && !stream->tls_starved && SSL_has_pending(stream->ssl);
}

HOT enum io_result stream_await(struct stream *stream, int64_t deadline_ms)
{
	if (stream_maybe_readable(stream))
		return IO_OK;
	return wait_for(stream, EPOLLIN, deadline_ms);
}

bool stream_peer_gone(const struct stream *stream)
{
	return stream->watch.fd < 0 || stream->watch.ready & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
}
