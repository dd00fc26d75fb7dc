#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>

#include "base/mem.h"
#include "io/tls_internal.h"

#define HOST_MAX 253

struct tls_session_slot {
	_Atomic unsigned refs;
	pthread_mutex_t lock; /* guards what follows */
	SSL_SESSION *session;
	uint64_t context_serial;
	char host[HOST_MAX + 1];
};

/* Which slot and which host a client connection belongs to; hangs on the SSL. */
struct client_link {
	struct tls_session_slot *slot;
	char host[HOST_MAX + 1];
};

static int link_index = -1;
static pthread_once_t index_once = PTHREAD_ONCE_INIT;

static void free_link(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long number,
		      void *arg)
{
	struct client_link *link = ptr;

	(void)parent;
	(void)data;
	(void)index;
	(void)number;
	(void)arg;
	if (link)
		tls_session_slot_unref(link->slot);
	mem_free(link);
}

static void make_index(void)
{
	link_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_link);
}

struct tls_session_slot *tls_session_slot_new(void)
{
	struct tls_session_slot *slot = mem_zalloc(1, sizeof(*slot));

	if (!slot)
		return NULL;
	slot->refs = 1;
	pthread_mutex_init(&slot->lock, NULL);
	return slot;
}

void tls_session_slot_unref(struct tls_session_slot *slot)
{
	if (!slot || atomic_fetch_sub_explicit(&slot->refs, 1, memory_order_acq_rel) != 1)
		return;
	SSL_SESSION_free(slot->session);
	pthread_mutex_destroy(&slot->lock);
	mem_free(slot);
}

static uint64_t serial_of(const SSL *ssl)
{
	return tls_context_of(SSL_get_SSL_CTX(ssl))->serial;
}

/* OpenSSL gives us a reference: 1 keeps it. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
	const struct client_link *link = SSL_get_ex_data(ssl, link_index);
	SSL_SESSION *old;

	if (!link || !link->slot)
		return 0;
	pthread_mutex_lock(&link->slot->lock);
	old = link->slot->session;
	link->slot->session = session;
	link->slot->context_serial = serial_of(ssl);
	memcpy(link->slot->host, link->host, sizeof(link->host));
	pthread_mutex_unlock(&link->slot->lock);
	SSL_SESSION_free(old);
	return 1;
}

int tls_sessions_use(SSL_CTX *ssl)
{
	pthread_once(&index_once, make_index);
	if (link_index < 0)
		return -1;
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ssl, on_new_session);
	return 0;
}

static bool is_address(const char *host)
{
	struct in6_addr address;

	return inet_pton(AF_INET, host, &address) == 1 ||
	       inet_pton(AF_INET6, host, &address) == 1;
}

int tls_client_setup(SSL *ssl, struct span host, struct err *err)
{
	char name[HOST_MAX + 1];
	bool done;

	if (host.len == 0 || host.len > HOST_MAX || span_find_byte(host, '\0') != host.len)
		return err_set(err, ERR_INVALID, "not a host name for TLS: %.*s",
			       SPAN_ARG(host));
	memcpy(name, host.ptr, host.len);
	name[host.len] = '\0';
	ERR_clear_error();
	if (is_address(name)) {
		done = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
	} else {
		SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
					       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
		done = SSL_set1_host(ssl, name) == 1 &&
		       SSL_set_tlsext_host_name(ssl, name) == 1;
	}
	return done ? 0 : tls_err(err, ERR_MEMORY, name, "cannot be set as TLS host name");
}

/* The host that the connection verifies, name or address. */
static void copy_host(const SSL *ssl, char to[HOST_MAX + 1])
{
	X509_VERIFY_PARAM *param = SSL_get0_param((SSL *)(uintptr_t)ssl);
	const char *name = X509_VERIFY_PARAM_get0_host(param, 0);
	char *address = name ? NULL : X509_VERIFY_PARAM_get1_ip_asc(param);

	snprintf(to, HOST_MAX + 1, "%s", name ? name : address ? address : "");
	OPENSSL_free(address);
}

int tls_client_resume(SSL *ssl, struct tls_session_slot *slot)
{
	struct client_link *link = mem_zalloc(1, sizeof(*link));
	SSL_SESSION *session = NULL;

	if (!link)
		return -1;
	if (SSL_set_ex_data(ssl, link_index, link) != 1) {
		mem_free(link);
		return -1;
	}
	atomic_fetch_add_explicit(&slot->refs, 1, memory_order_relaxed);
	link->slot = slot;
	copy_host(ssl, link->host);
	pthread_mutex_lock(&slot->lock);
	if (slot->session && slot->context_serial == serial_of(ssl) &&
	    strcmp(slot->host, link->host) == 0 && SSL_SESSION_up_ref(slot->session) == 1)
		session = slot->session;
	pthread_mutex_unlock(&slot->lock);
	/* A session that cannot be set means a full handshake, which is right too. */
	if (session && SSL_SESSION_is_resumable(session))
		SSL_set_session(ssl, session);
	SSL_SESSION_free(session);
	ERR_clear_error();
	return 0;
}

void tls_handshake_done(SSL *ssl)
{
	/* The stapled response that was sent lives as long as the connection otherwise. */
	if (!SSL_is_server(ssl))
		return;
	SSL_set_tlsext_status_ocsp_resp(ssl, NULL, 0);
	tls_hello_done(ssl);
}

bool tls_resumed(const SSL *ssl)
{
	return SSL_session_reused(ssl);
}
