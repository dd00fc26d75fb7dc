#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "io/tls_internal.h"

#define DEFAULT_ROTATE_S (4 * 3600)
#define MIN_ROTATE_S 1
/* The current key and those that a ticket may still be under. */
#define KEYS_MAX 8

struct key {
	unsigned char name[16];
	unsigned char cipher[32];
	unsigned char mac[32];
	int64_t made_s;
};

struct tls_tickets {
	_Atomic unsigned refs;
	int64_t rotate_s;
	EVP_CIPHER *cipher;
	pthread_mutex_t lock; /* guards what follows */
	struct key keys[KEYS_MAX]; /* newest first */
	unsigned count;
};

static void draw_key(struct key *key, int64_t now_s)
{
	rand_bytes(key->name, sizeof(key->name));
	rand_bytes(key->cipher, sizeof(key->cipher));
	rand_bytes(key->mac, sizeof(key->mac));
	key->made_s = now_s;
}

/* When no ticket under this key can be valid any more: it encrypted until the next was drawn. */
static bool is_dead(const struct tls_tickets *tickets, unsigned i, int64_t now_s)
{
	return i > 0 && now_s >= tickets->keys[i - 1].made_s + TLS_SESSION_LIFE_S;
}

static void push_key(struct tls_tickets *tickets, int64_t now_s)
{
	unsigned kept = tickets->count < KEYS_MAX ? tickets->count : KEYS_MAX - 1;

	memmove(&tickets->keys[1], &tickets->keys[0], kept * sizeof(tickets->keys[0]));
	draw_key(&tickets->keys[0], now_s);
	tickets->count = kept + 1;
}

/* Under the lock. */
static void rotate(struct tls_tickets *tickets)
{
	int64_t now_s = clock_unix_s();
	int64_t age_s = tickets->count ? now_s - tickets->keys[0].made_s : INT64_MAX;

	/* A clock that was set back must not keep a key for ever. */
	if (age_s >= tickets->rotate_s || age_s < -tickets->rotate_s)
		push_key(tickets, now_s);
	while (tickets->count > 1 && is_dead(tickets, tickets->count - 1, now_s)) {
		tickets->count--;
		secret_wipe(&tickets->keys[tickets->count], sizeof(tickets->keys[0]));
	}
}

struct tls_tickets *tls_tickets_new(int64_t rotate_s, struct err *err)
{
	struct tls_tickets *tickets = mem_zalloc(1, sizeof(*tickets));

	if (tickets)
		tickets->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (!tickets || !tickets->cipher) {
		mem_free(tickets);
		err_set(err, ERR_MEMORY, "no memory for session ticket keys");
		return NULL;
	}
	tickets->refs = 1;
	tickets->rotate_s = rotate_s >= MIN_ROTATE_S ? rotate_s : DEFAULT_ROTATE_S;
	pthread_mutex_init(&tickets->lock, NULL);
	rotate(tickets);
	return tickets;
}

struct tls_tickets *tls_tickets_ref(struct tls_tickets *tickets)
{
	atomic_fetch_add_explicit(&tickets->refs, 1, memory_order_relaxed);
	return tickets;
}

void tls_tickets_unref(struct tls_tickets *tickets)
{
	if (!tickets || atomic_fetch_sub_explicit(&tickets->refs, 1, memory_order_acq_rel) != 1)
		return;
	EVP_CIPHER_free(tickets->cipher);
	pthread_mutex_destroy(&tickets->lock);
	secret_wipe(tickets->keys, sizeof(tickets->keys));
	mem_free(tickets);
}

/* --- exported form: magic, then the keys, newest first --- */

static const char magic[8] = "SPTKEYS1";

struct exported {
	char magic[8];
	uint64_t count;
	struct key keys[KEYS_MAX];
};

int tls_tickets_export(struct tls_tickets *tickets, struct secret *to)
{
	struct exported form = {.count = 0};
	int result;

	memcpy(form.magic, magic, sizeof(magic));
	pthread_mutex_lock(&tickets->lock);
	rotate(tickets);
	form.count = tickets->count;
	memcpy(form.keys, tickets->keys, sizeof(form.keys));
	pthread_mutex_unlock(&tickets->lock);
	result = secret_set(to, span_of(&form, sizeof(form)));
	secret_wipe(&form, sizeof(form));
	return result;
}

int tls_tickets_import(struct tls_tickets *tickets, struct span exported, struct err *err)
{
	struct exported form;

	if (exported.len != sizeof(form) || memcmp(exported.ptr, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_SYNTAX, "not a set of session ticket keys");
	memcpy(&form, exported.ptr, sizeof(form));
	if (form.count == 0 || form.count > KEYS_MAX) {
		secret_wipe(&form, sizeof(form));
		return err_set(err, ERR_SYNTAX, "not a set of session ticket keys");
	}
	pthread_mutex_lock(&tickets->lock);
	memcpy(tickets->keys, form.keys, sizeof(form.keys));
	tickets->count = (unsigned)form.count;
	rotate(tickets);
	pthread_mutex_unlock(&tickets->lock);
	secret_wipe(&form, sizeof(form));
	return 0;
}

/* --- OpenSSL's side --- */

static int set_mac(EVP_MAC_CTX *mac, struct key *key)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac,
						  sizeof(key->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params);
}

/* The newest key, or the one with this name; -1 when it is unknown. */
static int find_key(struct tls_tickets *tickets, const unsigned char *name, struct key *key,
		    bool *newest)
{
	int result = -1;

	pthread_mutex_lock(&tickets->lock);
	rotate(tickets);
	for (unsigned i = 0; i < tickets->count && result < 0; i++) {
		if (name && memcmp(tickets->keys[i].name, name, sizeof(key->name)) != 0)
			continue;
		*key = tickets->keys[i];
		*newest = i == 0;
		result = 0;
	}
	pthread_mutex_unlock(&tickets->lock);
	return result;
}

/* 1: use it; 2: use it and issue a new ticket; 0: unknown key, full handshake; -1: error. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
		     EVP_MAC_CTX *mac, int encrypt)
{
	struct tls_tickets *tickets = tls_context_of(SSL_get_SSL_CTX(ssl))->tickets;
	struct key key;
	bool newest;
	int result = -1;

	if (find_key(tickets, encrypt ? NULL : name, &key, &newest) < 0)
		return 0;
	if (encrypt) {
		memcpy(name, key.name, sizeof(key.name));
		rand_bytes(iv, 16);
		if (EVP_EncryptInit_ex2(cipher, tickets->cipher, key.cipher, iv, NULL) == 1 &&
		    set_mac(mac, &key) == 1)
			result = 1;
	} else if (EVP_DecryptInit_ex2(cipher, tickets->cipher, key.cipher, iv, NULL) == 1 &&
		   set_mac(mac, &key) == 1) {
		/* Clients use a TLS 1.3 ticket once (RFC 8446 appendix C.4): give them the next. */
		result = newest && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
	}
	secret_wipe(&key, sizeof(key));
	return result;
}

int tls_tickets_use(SSL_CTX *ssl)
{
	return SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, on_ticket) == 1 ? 0 : -1;
}
