/* tls_internal.h - what the tls_*.c files share. Private to src/io. */
#ifndef IO_TLS_INTERNAL_H
#define IO_TLS_INTERNAL_H

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "base/compiler.h"
#include "base/map.h"
#include "io/tls.h"

#define TLS_SESSION_LIFE_S (2 * 3600)

struct tls_staple {
	struct tls_staple *next;
	const X509 *leaf; /* owned by its SSL_CTX */
	unsigned char *der;
	size_t der_len;
	int64_t expires_s;
};

/* A set of certificates with the same names. */
struct tls_slot {
	struct tls_slot *next;
	SSL_CTX *ssl;
	char *names; /* lower-case, each ended by NUL; the map's keys point here */
};

struct tls_context {
	_Atomic unsigned refs;
	uint64_t serial; /* unlike an address, never used again */
	SSL_CTX *ssl; /* that of the first slot, or the client's */
	struct tls_slot *slots; /* first = default */
	struct map by_name; /* name -> struct tls_slot */
	struct tls_staple *staples;
	struct tls_tickets *tickets;
	unsigned char *alpn; /* wire format: length byte, name */
	size_t alpn_len;
	int64_t expires_s;
	unsigned char trust_digest[32]; /* of the client CAs; zero without */
};

/* A leaf with its chain and key, read and checked against each other. */
struct tls_pair {
	X509 *leaf;
	STACK_OF(X509) * chain;
	EVP_PKEY *key;
};

/* "what" + ": " + OpenSSL's reason; empties the error queue; -1. */
int tls_err(struct err *err, enum err_code code, const char *where, const char *what);
/* The name of a PEM text for messages. */
const char *tls_pem_name(const struct tls_pem *pem);
int tls_pair_load(struct tls_pair *pair, const struct tls_certificate *from, struct err *err);
void tls_pair_release(struct tls_pair *pair);
/* Puts the certificates (and CRLs) into the context's trust store; *digest covers the text. */
int tls_trust_load(SSL_CTX *ssl, const struct tls_pem *from, bool announce,
		   unsigned char digest[32], struct err *err);
/* The DER of an OCSP response, checked; NULL with *err. */
struct tls_staple *tls_staple_load(const char *path, struct err *err);
void tls_staple_free(struct tls_staple *staple);
/* The DNS names of a certificate, lower case, each ended by NUL, then an empty one. */
char *tls_dns_names(const X509 *leaf, struct err *err);
int64_t tls_time_s(const ASN1_TIME *time);

int tls_tickets_use(SSL_CTX *ssl);
/* Server contexts: those that tls_hello_watch refuses get no further. */
void tls_hello_use(SSL_CTX *ssl);
/* Forgets it, when the handshake is done. */
void tls_hello_done(SSL *ssl);
/* The context that an SSL_CTX was made for. */
struct tls_context *tls_context_of(const SSL_CTX *ssl);
/*
 * Makes the connection hold its context: OpenSSL counts only the SSL_CTX, while callbacks use what
 * is around it. 0, or -1 when out of memory.
 */
int tls_attach(SSL *ssl);
/* Client contexts: sessions go to the slot of their connection. */
int tls_sessions_use(SSL_CTX *ssl);

#endif
