/* tls_hello.c - looking at what clients say first, before anything is computed for them. */
#include <pthread.h>

#include "base/mem.h"
#include "io/tls_internal.h"

#define MESSAGE_TYPE_HANDSHAKE 22

struct watched {
	tls_hello_fn *accept;
	void *arg;
	bool refused;
};

static int hello_index = -1; /* on an SSL, until its handshake is done: its struct watched */
static pthread_once_t index_once = PTHREAD_ONCE_INIT;

static void free_watched(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long number,
			 void *arg)
{
	(void)parent;
	(void)data;
	(void)index;
	(void)number;
	(void)arg;
	mem_free(ptr);
}

static void make_index(void)
{
	hello_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_watched);
}

static struct watched *watched_of(const SSL *ssl)
{
	return hello_index < 0 ? NULL : SSL_get_ex_data(ssl, hello_index);
}

/*
 * OpenSSL shows the message as it came, unknown extensions included, before it looks at it; what it
 * asks later (on_client_hello) knows only those that it knows itself.
 */
static void on_message(int written, int version, int type, const void *bytes, size_t len,
		       SSL *ssl, void *arg)
{
	struct watched *watched = watched_of(ssl);

	(void)version;
	(void)arg;
	if (written || type != MESSAGE_TYPE_HANDSHAKE)
		return;
	/* Only the first message; a second hello, after a retry, says the same. */
	SSL_set_msg_callback(ssl, NULL);
	if (watched)
		watched->refused = !watched->accept(watched->arg, span_of(bytes, len));
}

static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
	const struct watched *watched = watched_of(ssl);

	(void)arg;
	if (!watched || !watched->refused)
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_ACCESS_DENIED;
	return SSL_CLIENT_HELLO_ERROR;
}

void tls_hello_use(SSL_CTX *ssl)
{
	/* Here, before other threads know the context: afterwards the index is only read. */
	pthread_once(&index_once, make_index);
	SSL_CTX_set_client_hello_cb(ssl, on_client_hello, NULL);
}

int tls_hello_watch(SSL *ssl, tls_hello_fn *accept, void *arg)
{
	struct watched *watched = mem_zalloc(1, sizeof(*watched));

	if (!watched || hello_index < 0 || SSL_set_ex_data(ssl, hello_index, watched) != 1) {
		mem_free(watched);
		return -1;
	}
	watched->accept = accept;
	watched->arg = arg;
	SSL_set_msg_callback(ssl, on_message);
	return 0;
}

void tls_hello_done(SSL *ssl)
{
	struct watched *watched = watched_of(ssl);

	if (watched && SSL_set_ex_data(ssl, hello_index, NULL) == 1)
		mem_free(watched);
}
