#include "http/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/block.h"
#include "http/connection.h"
#include "io/tls.h"
#include "parse/client_hello.h"
#include "parse/proxy_protocol.h"

static _Atomic uint64_t next_connection_id = 1;

struct http_limits http_limits_default(void)
{
	return (struct http_limits){
		.head = {.line_bytes = 8192, .head_bytes = 32768, .field_count = 100},
		.body_bytes = (uint64_t)10 << 20,
		.exchange_bytes = (size_t)1 << 20,
		.head_timeout_ms = 10000,
		.handshake_timeout_ms = 10000,
		.idle_timeout_ms = 75000,
		.write_timeout_ms = 30000,
		.body_rate_bytes = 500,
		.body_grace_ms = 10000,
		.h2_streams = 128,
		.h2_head_bytes = 32768,
		.h2_window_bytes = 65536,
		.h2_connection_window_bytes = 4 * 65536,
		.h2_resets = 100,
		.h2_continuations = 8,
		.h2_control_frames = 1000,
		.h2_interval_ms = 10000,
		.h2_ping_interval_ms = 60000,
		.h2_ping_timeout_ms = 20000,
	};
}

void http_server_init(struct http_server *server, void (*handler)(struct http_exchange *x))
{
	*server = (struct http_server){.handler = handler, .limits = http_limits_default()};
	list_init(&server->connections);
}

void http_connection_free(struct http_connection *c)
{
	if (c->server->on_close)
		c->server->on_close(c->server, &c->peer);
	timer_clear(&c->idle_timer);
	stream_close(&c->stream);
	list_remove(&c->node);
	c->server->connection_count--;
	block_give(c->early);
	mem_free(c->peer.fingerprint);
	mem_free(c);
}

static void refuse(struct http_connection *c, const char *reason)
{
	if (c->server->on_refused)
		c->server->on_refused(c->server, &c->peer.address, reason);
}

/*
 * The header is looked at before it is taken out of the socket, so that what follows it is read by
 * TLS or HTTP as if it had not been there.
 */
static enum proxy_protocol_result
peek_proxy_header(struct http_connection *c, struct proxy_protocol *header, size_t *consumed)
{
	char bytes[PROXY_PROTOCOL_MAX_BYTES];
	ssize_t n = recv(c->stream.watch.fd, bytes, sizeof(bytes), MSG_PEEK);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return PROXY_PROTOCOL_MORE;
	if (n <= 0)
		return PROXY_PROTOCOL_BAD;
	return proxy_protocol_parse(header, span_of(bytes, (size_t)n), consumed);
}

static struct sockaddr_storage socket_address(const struct address *from, uint16_t port)
{
	struct sockaddr_storage to = {.ss_family = AF_INET6};
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&to;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&to;

	if (address_is_ipv4(from)) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, from->bytes + 12, 4);
	} else {
		v6->sin6_port = htons(port);
		memcpy(&v6->sin6_addr, from->bytes, 16);
	}
	return to;
}

static bool read_proxy_header(struct http_connection *c, int64_t deadline_ms)
{
	struct proxy_protocol header;
	char bytes[PROXY_PROTOCOL_MAX_BYTES];
	size_t consumed;

	for (;;) {
		enum proxy_protocol_result parsed = peek_proxy_header(c, &header, &consumed);

		if (parsed == PROXY_PROTOCOL_DONE)
			break;
		if (parsed == PROXY_PROTOCOL_BAD) {
			refuse(c, "malformed PROXY protocol header");
			return false;
		}
		c->stream.watch.ready &= ~(uint32_t)EPOLLIN;
		if (watch_wait(&c->stream.watch, EPOLLIN, deadline_ms) != FIBER_EVENT)
			return false;
	}
	if (recv(c->stream.watch.fd, bytes, consumed, 0) != (ssize_t)consumed)
		return false;
	c->stream.watch.ready |= EPOLLIN;
	if (header.has_addresses) {
		c->peer.address = socket_address(&header.source, header.source_port);
		c->peer.local = socket_address(&header.destination, header.destination_port);
	}
	return true;
}

/* The client connection preface of HTTP/2 (RFC 9113 section 3.4). */
static const struct span preface = SPAN_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/* Reads until the bytes are, or can no longer be, the preface. */
static bool has_preface(struct http_connection *c, int64_t deadline_ms, bool *is_h2)
{
	size_t got;

	*is_h2 = false;
	if (!c->early)
		c->early = block_take();
	if (!c->early)
		return false;
	for (;;) {
		size_t common = c->early_len < preface.len ? c->early_len : preface.len;

		if (common && memcmp(c->early, preface.ptr, common) != 0)
			return true;
		if (c->early_len >= preface.len) {
			*is_h2 = true;
			return true;
		}
		if (stream_read(&c->stream, c->early + c->early_len,
				HTTP_BLOCK_BYTES - c->early_len, &got, deadline_ms) != IO_OK)
			return false;
		c->early_len += got;
	}
}

static bool choose_version(struct http_connection *c, int64_t deadline_ms, bool *is_h2)
{
	if (c->stream.ssl) {
		*is_h2 = span_eq(stream_alpn(&c->stream), SPAN("h2"));
		return true;
	}
	*is_h2 = false;
	if (!(c->flags & HTTP_ACCEPT_H2C))
		return true;
	return has_preface(c, deadline_ms, is_h2);
}

static bool open_connection(struct http_connection *c, bool *is_h2)
{
	int64_t deadline_ms = loop_deadline_ms(c->server->limits.handshake_timeout_ms);
	struct err err;

	if (c->flags & HTTP_ACCEPT_PROXY_PROTOCOL && !read_proxy_header(c, deadline_ms))
		return false;
	if (c->stream.ssl && stream_handshake(&c->stream, deadline_ms, &err) != IO_OK) {
		refuse(c, err.message);
		return false;
	}
	return choose_version(c, deadline_ms, is_h2);
}

static void connection_main(void *arg)
{
	struct http_connection *c = arg;
	bool is_h2 = false;

	if (!open_connection(c, &is_h2) || c->server->draining)
		http_connection_free(c);
	else if (is_h2)
		h2_take_over(c);
	else
		h1_take_over(c);
}

static void drain_opening(struct http_connection *c)
{
	/* It will look at server->draining when the handshake is done, which has a deadline. */
	(void)c;
}

static void destroy_opening(struct http_connection *c)
{
	fiber_cancel(c->opener);
}

/* A hello that has none is left to OpenSSL, which tells the client what is wrong with it. */
static bool accept_hello(void *arg, struct span hello)
{
	struct http_connection *c = arg;
	char fingerprint[CLIENT_HELLO_FINGERPRINT_BYTES + 1];

	if (!c->server->on_hello || !client_hello_fingerprint(hello, fingerprint))
		return true;
	c->peer.fingerprint = mem_strdup(span_cstr(fingerprint));
	return c->peer.fingerprint && c->server->on_hello(c->server, &c->peer);
}

static int start_tls(struct http_connection *c, struct http_server *server, SSL_CTX *tls)
{
	if (stream_start_tls(&c->stream, tls, true, NULL) < 0)
		return -1;
	return server->on_hello ? tls_hello_watch(c->stream.ssl, accept_hello, c) : 0;
}

static struct http_connection *connection_new(struct http_server *server, int fd, SSL_CTX *tls)
{
	struct http_connection *c = mem_zalloc(1, sizeof(*c));

	if (!c)
		return NULL;
	if (stream_init(&c->stream, fd, NULL, NULL) < 0) {
		mem_free(c);
		return NULL;
	}
	if (tls && start_tls(c, server, tls) < 0) {
		SSL_free(c->stream.ssl);
		watch_remove(&c->stream.watch);
		mem_free(c);
		return NULL;
	}
	c->server = server;
	c->peer.ssl = c->stream.ssl;
	c->peer.id = atomic_fetch_add_explicit(&next_connection_id, 1, memory_order_relaxed);
	c->drain = drain_opening;
	c->destroy = destroy_opening;
	return c;
}

void http_server_accept(struct http_server *server, int fd,
			const struct sockaddr_storage *address, SSL_CTX *tls, int flags,
			const void *listener, uint64_t tag)
{
	struct http_connection *c = connection_new(server, fd, tls);
	socklen_t len = sizeof(c->peer.local);

	if (!c) {
		struct http_peer unopened = {
			.address = *address, .listener = listener, .tag = tag};

		close(fd);
		if (server->on_close)
			server->on_close(server, &unopened);
		return;
	}
	c->flags = flags;
	c->peer.address = *address;
	c->peer.listener = listener;
	c->peer.tag = tag;
	if (getsockname(fd, (struct sockaddr *)&c->peer.local, &len) < 0)
		c->peer.local.ss_family = AF_UNSPEC;
	list_push_back(&server->connections, &c->node);
	server->connection_count++;
	if (!tls && !(flags & (HTTP_ACCEPT_PROXY_PROTOCOL | HTTP_ACCEPT_H2C))) {
		h1_take_over(c);
		return;
	}
	c->opener = fiber_start(connection_main, c, NULL);
	if (!c->opener)
		http_connection_free(c);
}

void http_server_drain(struct http_server *server)
{
	server->draining = true;
	list_for_each (node, &server->connections) {
		struct http_connection *c = list_entry(node, struct http_connection, node);

		c->drain(c);
	}
}

void http_server_close_all(struct http_server *server)
{
	server->draining = true;
	list_for_each (node, &server->connections) {
		struct http_connection *c = list_entry(node, struct http_connection, node);

		c->destroy(c);
	}
}
