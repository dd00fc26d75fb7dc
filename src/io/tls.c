#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "io/tls_internal.h"

/* Forward secrecy and authenticated encryption only. */
#define CIPHERS_1_2                                                                            \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                           \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                           \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS "X25519:P-256:P-384"
/* Sessions of TLS 1.2 clients without tickets; each takes about a kilobyte. */
#define SESSION_CACHE_MAX 4096

static int context_index = -1; /* on an SSL_CTX: its context, not counted */
static int user_index = -1; /* on an SSL: its context, counted */
static pthread_once_t index_once = PTHREAD_ONCE_INIT;

static void free_user(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long number,
		      void *arg)
{
	(void)parent;
	(void)data;
	(void)index;
	(void)number;
	(void)arg;
	tls_context_unref(ptr);
}

static void make_index(void)
{
	context_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	user_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_user);
}

int tls_attach(SSL *ssl)
{
	struct tls_context *context = tls_context_of(SSL_get_SSL_CTX(ssl));

	if (!context)
		return 0;
	if (SSL_set_ex_data(ssl, user_index, context) != 1)
		return -1;
	tls_context_ref(context);
	return 0;
}

struct tls_context *tls_context_of(const SSL_CTX *ssl)
{
	return SSL_CTX_get_ex_data(ssl, context_index);
}

static struct tls_context *new_context(struct err *err)
{
	static _Atomic uint64_t last_serial;
	struct tls_context *context = mem_zalloc(1, sizeof(*context));

	pthread_once(&index_once, make_index);
	if (!context || context_index < 0 || user_index < 0) {
		mem_free(context);
		err_set(err, ERR_MEMORY, "no memory for a TLS context");
		return NULL;
	}
	context->refs = 1;
	context->serial = ++last_serial;
	context->by_name = MAP_INIT;
	context->expires_s = INT64_MAX;
	return context;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
	atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
	return context;
}

static void free_context(struct tls_context *context)
{
	while (context->slots) {
		struct tls_slot *slot = context->slots;

		context->slots = slot->next;
		SSL_CTX_free(slot->ssl);
		mem_free(slot->names);
		mem_free(slot);
	}
	while (context->staples) {
		struct tls_staple *staple = context->staples;

		context->staples = staple->next;
		tls_staple_free(staple);
	}
	map_release(&context->by_name);
	tls_tickets_unref(context->tickets);
	mem_free(context->alpn);
	mem_free(context);
}

static bool drop_reference(struct tls_context *context)
{
	return atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) == 1;
}

void tls_context_unref(struct tls_context *context)
{
	if (context && drop_reference(context))
		free_context(context);
}

SSL_CTX *tls_context_ssl(const struct tls_context *context)
{
	return context->ssl;
}

int64_t tls_context_expires_s(const struct tls_context *context)
{
	return context->expires_s;
}

/* --- settings that every context has --- */

static int apply_defaults(SSL_CTX *ssl, enum tls_version min_version)
{
	int version = min_version == TLS_VERSION_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;

	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA);
	/* One recv then fetches header and body of a record, and of those behind it. */
	SSL_CTX_set_read_ahead(ssl, 1);
	SSL_CTX_set_timeout(ssl, TLS_SESSION_LIFE_S);
	if (SSL_CTX_set_min_proto_version(ssl, version) != 1 ||
	    SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(ssl, CIPHERS_1_2) != 1 ||
	    SSL_CTX_set_ciphersuites(ssl, CIPHERS_1_3) != 1 ||
	    SSL_CTX_set1_groups_list(ssl, GROUPS) != 1)
		return -1;
	return 0;
}

static SSL_CTX *new_ssl(struct tls_context *context, bool server, enum tls_version min_version,
			struct err *err)
{
	SSL_CTX *ssl;

	ERR_clear_error();
	ssl = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	if (!ssl || apply_defaults(ssl, min_version) < 0 ||
	    SSL_CTX_set_ex_data(ssl, context_index, context) != 1) {
		SSL_CTX_free(ssl);
		tls_err(err, ERR_INTERNAL, "TLS", "context");
		return NULL;
	}
	return ssl;
}

/* Adds a slot at the end, so that the first stays the default. */
static struct tls_slot *add_slot(struct tls_context *context, SSL_CTX *ssl, struct err *err)
{
	struct tls_slot *slot = mem_zalloc(1, sizeof(*slot));
	struct tls_slot **at = &context->slots;

	if (!slot) {
		SSL_CTX_free(ssl);
		err_set(err, ERR_MEMORY, "no memory for a TLS context");
		return NULL;
	}
	slot->ssl = ssl;
	while (*at)
		at = &(*at)->next;
	*at = slot;
	if (!context->ssl)
		context->ssl = ssl;
	return slot;
}

static int set_alpn(struct tls_context *context, const struct span *names, size_t count,
		    struct err *err)
{
	struct buf wire;

	buf_init(&wire, 65535);
	for (size_t i = 0; i < count; i++) {
		if (names[i].len == 0 || names[i].len > 255) {
			buf_release(&wire);
			return err_set(err, ERR_INVALID,
				       "an application protocol name has 1 to 255 bytes");
		}
		buf_append_byte(&wire, (char)names[i].len);
		buf_append(&wire, names[i]);
	}
	if (buf_failed(&wire)) {
		buf_release(&wire);
		return err_set(err, ERR_MEMORY, "no memory for application protocols");
	}
	context->alpn = (unsigned char *)wire.ptr;
	context->alpn_len = wire.len;
	return 0;
}

static int use_pair(struct tls_context *context, SSL_CTX *ssl, struct tls_pair *pair,
		    const char *name, struct err *err)
{
	int64_t expires_s = tls_time_s(X509_get0_notAfter(pair->leaf));

	ERR_clear_error();
	if (SSL_CTX_use_cert_and_key(ssl, pair->leaf, pair->key, pair->chain, 1) != 1)
		return tls_err(err, ERR_INVALID, name, "certificate cannot be used");
	if (expires_s < context->expires_s)
		context->expires_s = expires_s;
	return 0;
}

/* --- server --- */

static struct tls_slot *slot_for_name(const struct tls_context *context, struct span name)
{
	char lower[256];
	size_t dot = span_find_byte(name, '.');
	struct tls_slot *slot;

	if (name.len == 0 || name.len >= sizeof(lower))
		return NULL;
	for (size_t i = 0; i < name.len; i++)
		lower[i] = ascii_lower(name.ptr[i]);
	slot = map_get(&context->by_name, span_of(lower, name.len));
	if (slot || dot == 0 || dot == name.len)
		return slot;
	/* RFC 6125 section 6.4.3: a wildcard stands for the whole first label. */
	lower[dot - 1] = '*';
	return map_get(&context->by_name, span_of(lower + dot - 1, name.len - dot + 1));
}

static int on_server_name(SSL *ssl, int *alert, void *arg)
{
	struct tls_context *context = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	struct tls_slot *slot;

	if (!name)
		return SSL_TLSEXT_ERR_NOACK;
	slot = slot_for_name(context, span_cstr(name));
	if (slot && slot->ssl != SSL_get_SSL_CTX(ssl) && !SSL_set_SSL_CTX(ssl, slot->ssl)) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	return SSL_TLSEXT_ERR_OK;
}

static int on_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_len,
		   const unsigned char *offered, unsigned offered_len, void *arg)
{
	const struct tls_context *context = arg;
	unsigned char *name;

	(void)ssl;
	if (SSL_select_next_proto(&name, chosen_len, context->alpn, (unsigned)context->alpn_len,
				  offered, offered_len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*chosen = name;
	return SSL_TLSEXT_ERR_OK;
}

static int on_status(SSL *ssl, void *arg)
{
	const struct tls_context *context = arg;
	const X509 *leaf = SSL_get_certificate(ssl);
	const struct tls_staple *staple = context->staples;
	unsigned char *copy;

	while (staple && staple->leaf != leaf)
		staple = staple->next;
	if (!staple || staple->expires_s <= clock_unix_s())
		return SSL_TLSEXT_ERR_NOACK;
	copy = OPENSSL_memdup(staple->der, staple->der_len);
	if (!copy)
		return SSL_TLSEXT_ERR_NOACK;
	SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)staple->der_len);
	return SSL_TLSEXT_ERR_OK;
}

/* What is wrong with the chain stays in SSL_get_verify_result. */
static int on_any_certificate(int good, X509_STORE_CTX *context)
{
	(void)good;
	(void)context;
	return 1;
}

static int set_client_auth(SSL_CTX *ssl, struct tls_context *context,
			   const struct tls_server_options *options, struct err *err)
{
	int mode = SSL_VERIFY_NONE;

	bool any = options->client_auth == TLS_CLIENT_AUTH_ANY;
	bool given = tls_pem_given(&options->client_ca);

	if (options->client_auth != TLS_CLIENT_AUTH_NONE) {
		if (!given && !any)
			return err_set(err, ERR_INVALID,
				       "client authentication needs a bundle of CAs");
		if (given && tls_trust_load(ssl, &options->client_ca, true,
					    context->trust_digest, err) < 0)
			return -1;
		mode = SSL_VERIFY_PEER;
	}
	if (options->client_auth == TLS_CLIENT_AUTH_REQUIRED)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_CTX_set_verify(ssl, mode, any ? on_any_certificate : NULL);
	return 0;
}

static int digest_policy(const struct tls_context *context, enum tls_client_auth client_auth,
			 unsigned char id[32])
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	unsigned char mode = (unsigned char)client_auth;
	int done;

	done = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1 &&
	       EVP_DigestUpdate(digest, &mode, 1) == 1 &&
	       EVP_DigestUpdate(digest, context->trust_digest, 32) == 1;
	for (const struct tls_slot *slot = context->slots; slot && done; slot = slot->next) {
		const char *name = slot->names;

		while (*name)
			name += strlen(name) + 1;
		done = EVP_DigestUpdate(digest, slot->names,
					(size_t)(name - slot->names) + 1) == 1;
	}
	done = done && EVP_DigestFinal_ex(digest, id, NULL) == 1;
	EVP_MD_CTX_free(digest);
	return done ? 0 : -1;
}

/*
 * Listeners share ticket keys. The session id context keeps a session made under one policy about
 * client certificates, or for other names, from being resumed under another; a reload that changes
 * neither keeps sessions.
 */
static int set_session_id(const struct tls_context *context, enum tls_client_auth client_auth,
			  struct err *err)
{
	unsigned char id[32];

	_Static_assert(sizeof(id) <= SSL_MAX_SID_CTX_LENGTH, "a SHA-256 digest fits");
	if (digest_policy(context, client_auth, id) < 0)
		return tls_err(err, ERR_MEMORY, "TLS", "session id context");
	for (const struct tls_slot *slot = context->slots; slot; slot = slot->next)
		if (SSL_CTX_set_session_id_context(slot->ssl, id, sizeof(id)) != 1)
			return tls_err(err, ERR_INTERNAL, "TLS", "session id context");
	return 0;
}

static int set_resumption(SSL_CTX *ssl, struct tls_context *context, struct err *err)
{
	if (!context->tickets) {
		SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(ssl, 0);
		return 0;
	}
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_SERVER);
	SSL_CTX_sess_set_cache_size(ssl, SESSION_CACHE_MAX);
	/* Each resumption brings a new ticket, so one is enough to go on. */
	SSL_CTX_set_num_tickets(ssl, 1);
	if (tls_tickets_use(ssl) < 0)
		return tls_err(err, ERR_INTERNAL, "TLS", "session tickets");
	return 0;
}

static struct tls_slot *new_server_slot(struct tls_context *context,
					const struct tls_server_options *options,
					struct err *err)
{
	SSL_CTX *ssl = new_ssl(context, true, options->min_version, err);

	if (!ssl)
		return NULL;
	if (set_client_auth(ssl, context, options, err) < 0 ||
	    set_resumption(ssl, context, err) < 0) {
		SSL_CTX_free(ssl);
		return NULL;
	}
	tls_hello_use(ssl);
	SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
	SSL_CTX_set_tlsext_servername_arg(ssl, context);
	SSL_CTX_set_tlsext_status_cb(ssl, on_status);
	SSL_CTX_set_tlsext_status_arg(ssl, context);
	if (context->alpn_len)
		SSL_CTX_set_alpn_select_cb(ssl, on_alpn, context);
	return add_slot(context, ssl, err);
}

/* The slot that has all these names already and lacks a certificate of this key's type. */
static struct tls_slot *slot_to_share(const struct tls_context *context, const char *names,
				      const EVP_PKEY *key)
{
	struct tls_slot *shared = NULL;

	for (const char *name = names; *name; name += strlen(name) + 1) {
		struct tls_slot *slot = map_get(&context->by_name, span_cstr(name));

		if (!slot || (shared && slot != shared))
			return NULL;
		shared = slot;
	}
	if (!shared)
		return NULL;
	for (long more = SSL_CTX_set_current_cert(shared->ssl, SSL_CERT_SET_FIRST); more;
	     more = SSL_CTX_set_current_cert(shared->ssl, SSL_CERT_SET_NEXT)) {
		const EVP_PKEY *other = SSL_CTX_get0_privatekey(shared->ssl);

		if (other && EVP_PKEY_get_base_id(other) == EVP_PKEY_get_base_id(key))
			return NULL;
	}
	return shared;
}

static int index_names(struct tls_context *context, struct tls_slot *slot, struct err *err)
{
	for (const char *name = slot->names; *name; name += strlen(name) + 1) {
		if (map_get(&context->by_name, span_cstr(name)))
			continue;
		if (map_put(&context->by_name, span_cstr(name), slot) < 0)
			return err_set(err, ERR_MEMORY, "no memory for certificate names");
	}
	return 0;
}

static int add_staple(struct tls_context *context, const X509 *leaf, const char *path,
		      struct err *err)
{
	struct tls_staple *staple;

	if (!path)
		return 0;
	staple = tls_staple_load(path, err);
	if (!staple)
		return -1;
	staple->leaf = leaf;
	staple->next = context->staples;
	context->staples = staple;
	return 0;
}

static int add_pair(struct tls_context *context, const struct tls_server_options *options,
		    struct tls_pair *pair, const char *path, struct err *err)
{
	char *names = tls_dns_names(pair->leaf, err);
	struct tls_slot *slot;

	if (!names)
		return -1;
	slot = slot_to_share(context, names, pair->key);
	if (slot) {
		mem_free(names);
		return use_pair(context, slot->ssl, pair, path, err);
	}
	slot = new_server_slot(context, options, err);
	if (!slot) {
		mem_free(names);
		return -1;
	}
	slot->names = names;
	if (use_pair(context, slot->ssl, pair, path, err) < 0)
		return -1;
	return index_names(context, slot, err);
}

static int add_certificate(struct tls_context *context,
			   const struct tls_server_options *options,
			   const struct tls_certificate *from, struct err *err)
{
	struct tls_pair pair;
	int result;

	if (tls_pair_load(&pair, from, err) < 0)
		return -1;
	result = add_pair(context, options, &pair, tls_pem_name(&from->chain), err);
	/* The SSL_CTX holds the leaf by reference, so its address stays good as identity. */
	if (result == 0)
		result = add_staple(context, pair.leaf, from->ocsp_path, err);
	tls_pair_release(&pair);
	return result;
}

static int build_server(struct tls_context *context, const struct tls_server_options *options,
			struct err *err)
{
	if (options->certificate_count == 0)
		return err_set(err, ERR_INVALID, "a TLS server needs a certificate");
	if (options->tickets)
		context->tickets = tls_tickets_ref(options->tickets);
	if (set_alpn(context, options->alpn, options->alpn_count, err) < 0)
		return -1;
	for (size_t i = 0; i < options->certificate_count; i++)
		if (add_certificate(context, options, &options->certificates[i], err) < 0)
			return -1;
	return set_session_id(context, options->client_auth, err);
}

struct tls_context *tls_server_context_new(const struct tls_server_options *options,
					   struct err *err)
{
	struct tls_context *context = new_context(err);

	if (context && build_server(context, options, err) < 0) {
		free_context(context);
		return NULL;
	}
	return context;
}

/* --- client --- */

static int trust_servers(SSL_CTX *ssl, const struct tls_client_options *options,
			 struct err *err)
{
	unsigned char digest[32];

	if (options->insecure) {
		SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
		return 0;
	}
	SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	if (tls_pem_given(&options->ca))
		return tls_trust_load(ssl, &options->ca, false, digest, err);
	if (SSL_CTX_set_default_verify_paths(ssl) != 1)
		return tls_err(err, ERR_IO, "TLS", "the system's trust store");
	return 0;
}

static int use_client_certificate(struct tls_context *context, SSL_CTX *ssl,
				  const struct tls_certificate *from, struct err *err)
{
	struct tls_pair pair;
	int result;

	if (!tls_pem_given(&from->chain) && !tls_pem_given(&from->key))
		return 0;
	if (tls_pair_load(&pair, from, err) < 0)
		return -1;
	result = use_pair(context, ssl, &pair, tls_pem_name(&from->chain), err);
	tls_pair_release(&pair);
	return result;
}

static int build_client(struct tls_context *context, const struct tls_client_options *options,
			struct err *err)
{
	SSL_CTX *ssl = new_ssl(context, false, options->min_version, err);

	if (!ssl || !add_slot(context, ssl, err))
		return -1;
	if (trust_servers(ssl, options, err) < 0 ||
	    use_client_certificate(context, ssl, &options->certificate, err) < 0 ||
	    set_alpn(context, options->alpn, options->alpn_count, err) < 0)
		return -1;
	/* This one returns 0 for success. */
	if (context->alpn_len &&
	    SSL_CTX_set_alpn_protos(ssl, context->alpn, (unsigned)context->alpn_len) != 0)
		return tls_err(err, ERR_INVALID, "TLS", "application protocols");
	if (tls_sessions_use(ssl) < 0)
		return tls_err(err, ERR_INTERNAL, "TLS", "session cache");
	return 0;
}

struct tls_context *tls_client_context_new(const struct tls_client_options *options,
					   struct err *err)
{
	struct tls_context *context = new_context(err);

	if (context && build_client(context, options, err) < 0) {
		free_context(context);
		return NULL;
	}
	return context;
}
