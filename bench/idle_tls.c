/*
 * idle_tls.c - opens many TLS connections, asks each for one page, and then keeps them idle, so
 * that somebody else can look at what they cost the server.
 *
 * usage: idle_tls PORT CONNECTIONS
 * Prints "open N" when all have had their answer; when its standard input ends, looks which are
 * still there, prints "alive N" and leaves. Any failure ends it with status 1. The certificate is
 * not verified: the server is the benchmark's own, at 127.0.0.1.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/mem.h"
#include "net.h"

#define RESPONSE_BYTES 8192
#define TIMEOUT_S 10

static const char request[] = "GET / HTTP/1.1\r\nHost: bench.test\r\n\r\n";

static NORETURN void tls_die(const char *what)
{
	char reason[256];

	ERR_error_string_n(ERR_get_error(), reason, sizeof(reason));
	net_die(0, "%s: %s", what, reason);
}

/* Whether `text` holds a whole answer; ends the program when it is not a 200. */
static bool response_complete(const char *text)
{
	const char *length = strcasestr(text, "\r\ncontent-length:");
	const char *end = strstr(text, "\r\n\r\n");

	if (end == NULL)
		return false;
	if (strncmp(text, "HTTP/1.1 200", 12) != 0 || length == NULL || length > end)
		net_die(0, "an answer that is no 200 with a Content-Length: %.60s", text);
	return strlen(end + 4) >= strtoul(length + 17, NULL, 10);
}

static void ask_once(SSL *tls)
{
	char response[RESPONSE_BYTES];
	size_t len = 0;

	if (SSL_write(tls, request, sizeof(request) - 1) != sizeof(request) - 1)
		tls_die("cannot send");
	do {
		int got = SSL_read(tls, response + len, (int)(sizeof(response) - 1 - len));

		if (got <= 0)
			tls_die("cannot read the answer");
		len += (size_t)got;
		response[len] = '\0';
	} while (!response_complete(response));
}

static SSL *open_one(SSL_CTX *context, unsigned port)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_S};
	int fd = net_connect(port, false);
	SSL *tls;

	if (fd < 0)
		net_die(errno, "cannot connect to port %u", port);
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0)
		net_die(errno, "setsockopt");
	tls = SSL_new(context);
	if (tls == NULL || SSL_set_fd(tls, fd) != 1 ||
	    SSL_set_tlsext_host_name(tls, "bench.test") != 1)
		tls_die("cannot prepare TLS");
	if (SSL_connect(tls) != 1)
		tls_die("handshake failed");
	ask_once(tls);
	return tls;
}

/* Nothing to read is what a live and idle connection has. */
static bool is_alive(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

int main(int argc, char **argv)
{
	size_t count, alive = 0;
	unsigned port;
	SSL_CTX *context;
	SSL **all;

	if (argc != 3)
		net_die(0, "usage: idle_tls PORT CONNECTIONS");
	port = (unsigned)net_number(argv[1], 1, 65535, "PORT");
	count = (size_t)net_number(argv[2], 1, 60000, "CONNECTIONS");
	all = mem_zalloc(count, sizeof(SSL *));
	context = SSL_CTX_new(TLS_client_method());
	if (all == NULL || context == NULL)
		net_die(ENOMEM, "start");
	if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1)
		tls_die("TLS 1.3");
	for (size_t i = 0; i < count; i++)
		all[i] = open_one(context, port);
	printf("open %zu\n", count);
	fflush(stdout);
	while (getchar() != EOF)
		continue;
	for (size_t i = 0; i < count; i++) {
		int fd = SSL_get_fd(all[i]);

		if (is_alive(fd))
			alive++;
		SSL_free(all[i]);
		close(fd);
	}
	printf("alive %zu\n", alive);
	SSL_CTX_free(context);
	mem_free(all);
	return 0;
}
