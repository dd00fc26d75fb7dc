/*
 * tls.h - TLS 1.2 and 1.3 settings for servers and clients, compiled once into a context that all
 * threads share. A context never changes after it is made: a reload makes a new one, and
 * connections keep the one they started with (stream_start_tls sees to that).
 *
 *	struct tls_context *tls = tls_server_context_new(&options, &err);
 *	stream_start_tls(&stream, tls_context_ssl(tls), true, &err);
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include <openssl/types.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/span.h"

struct tls_context;
struct tls_tickets;

enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };
enum tls_client_auth {
	TLS_CLIENT_AUTH_NONE,
	TLS_CLIENT_AUTH_OPTIONAL, /* asked for; a certificate that is sent must verify */
	TLS_CLIENT_AUTH_REQUIRED,
	/* Asked for; one that does not verify is taken too: TLS_PEER_UNVERIFIED. */
	TLS_CLIENT_AUTH_ANY,
};

/*
 * PEM text, from memory when pem.ptr is set, otherwise from the file at `path`. With both, `path`
 * only names the text in messages. Neither set means "not given".
 */
struct tls_pem {
	struct span pem;
	const char *path;
};

static inline bool tls_pem_given(const struct tls_pem *pem)
{
	return pem->pem.ptr || pem->path;
}

struct tls_certificate {
	struct tls_pem chain; /* the certificate first, then its intermediates */
	struct tls_pem key; /* its private key, not encrypted */
	const char *ocsp_path; /* a DER OCSP response to staple (RFC 6066 section 8), or NULL */
};

struct tls_server_options {
	/*
	 * At least one. A client's server name (RFC 6066 section 3) picks the certificate whose
	 * subject alternative names hold it, exactly or by a wildcard as first label; otherwise the
	 * first certificate serves. Two certificates with the same names and different key types
	 * (RSA and ECDSA) serve together: the client's algorithms decide.
	 */
	const struct tls_certificate *certificates;
	size_t certificate_count;
	enum tls_version min_version;
	/* Application protocols in order of preference, e.g. "h2", "http/1.1" (RFC 7301). A client
	 * that offers only others is refused; one that offers none is served. */
	const struct span *alpn;
	size_t alpn_count;
	enum tls_client_auth client_auth;
	/* Trust anchors for client certificates; CRLs in it are checked. TLS_CLIENT_AUTH_ANY needs none. */
	struct tls_pem client_ca;
	/* Keys for session tickets, kept by the context; NULL switches resumption off. */
	struct tls_tickets *tickets;
};

struct tls_client_options {
	struct tls_pem ca; /* not given: the system's trust store */
	struct tls_certificate certificate; /* optional client certificate */
	enum tls_version min_version;
	const struct span *alpn;
	size_t alpn_count;
	bool insecure; /* accept any certificate: for tests only, callers must warn */
};

/* NULL with *err, which names the file and the reason. All inputs may be freed afterwards. */
struct tls_context *tls_server_context_new(const struct tls_server_options *options,
					   struct err *err) MUST_CHECK;
struct tls_context *tls_client_context_new(const struct tls_client_options *options,
					   struct err *err) MUST_CHECK;
/* Any thread. Returns its argument. */
struct tls_context *tls_context_ref(struct tls_context *context);
/* NULL is allowed. */
void tls_context_unref(struct tls_context *context);
/* For stream_start_tls; lives as long as the context. */
SSL_CTX *tls_context_ssl(const struct tls_context *context);
/* When the first of its certificates expires, unix seconds; INT64_MAX without certificates. */
int64_t tls_context_expires_s(const struct tls_context *context);

/* --- client connections --- */

/*
 * To be called between stream_start_tls and stream_handshake: sends `host` as server name and
 * checks the certificate against it; a literal address is checked as address and not sent. `host`
 * without port, brackets or final dot; at most 253 bytes.
 */
int tls_client_setup(SSL *ssl, struct span host, struct err *err) MUST_CHECK;

/*
 * The last session of one endpoint, so that the next connection to it resumes. Thread safe. A
 * session is only used with the context and host it was made with.
 */
struct tls_session_slot;
/* NULL when out of memory. */
struct tls_session_slot *tls_session_slot_new(void) MUST_CHECK;
/* Connections that still use it keep it alive. NULL is allowed. */
void tls_session_slot_unref(struct tls_session_slot *slot);
/*
 * After tls_client_setup: offers the slot's session, and stores there what the server issues. -1
 * when out of memory: the connection then works without resumption.
 */
int tls_client_resume(SSL *ssl, struct tls_session_slot *slot);

/* --- what clients say first --- */

/*
 * `hello` is the client's first message, whole (RFC 8446 section 4). False refuses the handshake, and
 * nothing has been computed for it yet.
 */
typedef bool tls_hello_fn(void *arg, struct span hello);
/*
 * To be called between stream_start_tls and stream_handshake, on a server's connection. `arg` must
 * live until the handshake has ended. -1 when out of memory.
 */
int tls_hello_watch(SSL *ssl, tls_hello_fn *accept, void *arg) MUST_CHECK;

/* Frees what only the handshake needed. stream_handshake calls it. */
void tls_handshake_done(SSL *ssl);
bool tls_resumed(const SSL *ssl);

/* --- session tickets (RFC 5077; RFC 8446 section 4.6.1) --- */

/*
 * A set of keys shared by all threads and contexts of the process. A new key is drawn every
 * rotate_s seconds (0: four hours); older ones are accepted for as long as tickets live, two hours.
 */
struct tls_tickets *tls_tickets_new(int64_t rotate_s, struct err *err) MUST_CHECK;
struct tls_tickets *tls_tickets_ref(struct tls_tickets *tickets);
void tls_tickets_unref(struct tls_tickets *tickets);
/* All live keys, for the process that takes over; the caller releases the secret. */
int tls_tickets_export(struct tls_tickets *tickets, struct secret *to) MUST_CHECK;
/*
 * Takes over exported keys; the newest of them encrypts from now on. ERR_SYNTAX on anything that
 * tls_tickets_export has not made; nothing is changed then.
 */
int tls_tickets_import(struct tls_tickets *tickets, struct span exported,
		       struct err *err) MUST_CHECK;

/* --- who the peer is --- */

#define TLS_NAMES_MAX 32
struct tls_identity {
	struct span subject; /* RFC 4514, e.g. "CN=orders,O=Example" */
	struct span issuer;
	struct span uris[TLS_NAMES_MAX]; /* URI names, e.g. a SPIFFE id */
	size_t uri_count;
	struct span dns_names[TLS_NAMES_MAX]; /* lower case */
	size_t dns_name_count;
	struct span serial; /* hexadecimal, lower case */
	unsigned char thumbprint[32]; /* SHA-256 of the DER certificate */
	int64_t not_after_s;
};

enum tls_peer {
	TLS_PEER_VERIFIED,
	TLS_PEER_NONE, /* the peer sent no certificate */
	/* Only with TLS_CLIENT_AUTH_ANY: the peer has the key, and nobody vouches for the names. */
	TLS_PEER_UNVERIFIED,
	TLS_PEER_UNUSABLE, /* verified, but its names cannot be represented, or too many of them */
	TLS_PEER_NO_MEMORY,
};
/*
 * The certificate of the peer, with all text in the arena: that the peer has its key is certain,
 * its names are to be believed with TLS_PEER_VERIFIED only. A name with NUL or a control
 * character, or more than TLS_NAMES_MAX names of a kind, makes it TLS_PEER_UNUSABLE: callers
 * refuse it.
 */
enum tls_peer tls_peer_identity(const SSL *ssl, struct tls_identity *identity,
				struct arena *arena) MUST_CHECK;

#endif
