/* support.h - keys, tokens, configurations and a server for the tests of src/identity. */
#ifndef TESTS_IDENTITY_SUPPORT_H
#define TESTS_IDENTITY_SUPPORT_H

#include "../io/support.h"

#include "http/server.h"
#include "identity/identity.h"
#include "io/listener.h"

enum token_key { TOKEN_KEY_RSA, TOKEN_KEY_EC, TOKEN_KEY_ED25519 };

/* A new key; the caller frees it. */
EVP_PKEY *token_key_new(enum token_key type);
/* The public key as a JWK with that kid ("" leaves it out). Appended to `to`. */
void append_jwk(struct buf *to, EVP_PKEY *key, const char *kid);
/* {"keys":[...]} with one key. NUL-terminated, until the next call with the same buffer. */
const char *jwks_of(struct buf *to, EVP_PKEY *key, const char *kid);
/*
 * header.payload.signature with `alg` done as its name says: RS256, PS256, ES256, EdDSA, HS256 (the
 * key's PEM text is the secret), none. The header is {"alg":alg,"kid":kid, <header_more>}.
 */
const char *sign_token(struct buf *to, EVP_PKEY *key, const char *alg, const char *kid,
		       const char *header_more, const char *payload);
const char *key_pem(struct buf *to, EVP_PKEY *key);

/* Fails the test unless the text is a good configuration. */
struct config *config_of(const char *format, ...) PRINTF_LIKE(1, 2);
/* Writes a file of its own in a folder that is removed at the end; the name is in *to. */
const char *write_file(struct buf *to, const char *name, struct span text);
void remove_files(void);

/* What a test's server says. Runs in the same loop. */
struct fake_server {
	struct http_server server;
	struct listener listener;
	unsigned port;
	/* the answer */
	unsigned status;
	const char *body;
	const char *location; /* NULL: no Location field */
	bool silent; /* never answers */
	/* what was asked */
	unsigned requests;
	char last_body[2048];
	char last_authorization[256];
	/* While true, requests wait; set false and wake with release_held. */
	bool hold;
	struct list held;
};
void fake_server_start(struct fake_server *fake);
void fake_server_release_held(struct fake_server *fake);
void fake_server_stop(struct fake_server *fake);

/* The clock of the workers under test. */
extern int64_t test_now_unix_s;
int64_t test_clock(void);

#define assert_span(span, text) assert_true(span_eq((span), span_cstr(text)))

#endif
