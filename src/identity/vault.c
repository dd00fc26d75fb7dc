#include "identity/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/rand.h"
#include "parse/base64.h"

#define KEY_BYTES 32
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define SEALED_BYTES_MAX ((size_t)64 * 1024)

struct vault {
	unsigned char key[KEY_BYTES]; /* for sealing */
	unsigned char root[KEY_BYTES]; /* for deriving */
};

/* --- the file --- */

static int read_key(int fd, const char *path, unsigned char key[KEY_BYTES], struct err *err)
{
	struct stat stat;
	char text[128];
	ssize_t got;
	size_t len = 0;

	if (fstat(fd, &stat) < 0)
		return err_set_errno(err, errno, "%s", path);
	if (!S_ISREG(stat.st_mode) || stat.st_mode & 077)
		return err_set(err, ERR_INVALID, "%s: a key that others can read is none",
			       path);
	got = read(fd, text, sizeof(text));
	if (got < 0)
		return err_set_errno(err, errno, "%s", path);
	if ((size_t)got != base64url_encoded_size(KEY_BYTES) + 1 ||
	    !base64url_decode(text, &len, span_of(text, (size_t)got - 1)) || len != KEY_BYTES) {
		secret_wipe(text, sizeof(text));
		return err_set(err, ERR_INVALID, "%s: not a key", path);
	}
	memcpy(key, text, KEY_BYTES);
	secret_wipe(text, sizeof(text));
	return 0;
}

/* Written aside and renamed: two processes that start together end up with one key. */
static int make_key(const char *path, struct err *err)
{
	size_t size = base64url_encoded_size(KEY_BYTES) + 1;
	unsigned char key[KEY_BYTES];
	char text[64], aside[4096];
	int fd, result = 0;

	rand_bytes(key, sizeof(key));
	base64url_encode(text, span_of(key, sizeof(key)));
	text[size - 1] = '\n';
	secret_wipe(key, sizeof(key));
	snprintf(aside, sizeof(aside), "%s.%d", path, (int)getpid());
	fd = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set_errno(err, errno, "%s", aside);
	if (write(fd, text, size) != (ssize_t)size || fsync(fd) < 0)
		result = err_set_errno(err, errno, "%s", aside);
	secret_wipe(text, sizeof(text));
	close(fd);
	if (result == 0 && renameat2(AT_FDCWD, aside, AT_FDCWD, path, RENAME_NOREPLACE) < 0 &&
	    errno != EEXIST)
		result = err_set_errno(err, errno, "%s", path);
	unlink(aside);
	return result;
}

struct vault *vault_open(const char *path, bool make, struct err *err)
{
	unsigned char master[KEY_BYTES];
	struct vault *vault;
	bool derived;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && make) {
		if (make_key(path, err) < 0)
			return NULL;
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0) {
		(void)err_set_errno(err, errno, "%s", path);
		return NULL;
	}
	vault = mem_zalloc(1, sizeof(*vault));
	if (!vault) {
		(void)err_set(err, ERR_MEMORY, "no memory for a key");
		close(fd);
		return NULL;
	}
	if (read_key(fd, path, master, err) < 0) {
		close(fd);
		mem_free(vault);
		return NULL;
	}
	close(fd);
	derived = HMAC(EVP_sha256(), master, KEY_BYTES, (const unsigned char *)"seal", 4,
		       vault->key, NULL) &&
		  HMAC(EVP_sha256(), master, KEY_BYTES, (const unsigned char *)"derive", 6,
		       vault->root, NULL);
	secret_wipe(master, sizeof(master));
	if (derived)
		return vault;
	(void)err_set(err, ERR_MEMORY, "no memory for a key");
	vault_close(vault);
	return NULL;
}

void vault_close(struct vault *vault)
{
	if (!vault)
		return;
	secret_wipe(vault, sizeof(*vault));
	mem_free(vault);
}

/* --- sealing --- */

static int crypt_bytes(const struct vault *vault, bool seal, struct span place,
		       unsigned char nonce[NONCE_BYTES], struct span from, unsigned char *to,
		       unsigned char tag[TAG_BYTES])
{
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	int len, done = 0;

	if (context &&
	    EVP_CipherInit_ex(context, EVP_aes_256_gcm(), NULL, vault->key, nonce, seal) == 1 &&
	    EVP_CipherUpdate(context, NULL, &len, (const unsigned char *)place.ptr,
			     (int)place.len) == 1 &&
	    EVP_CipherUpdate(context, to, &len, (const unsigned char *)from.ptr,
			     (int)from.len) == 1 &&
	    (seal ||
	     EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1) &&
	    EVP_CipherFinal_ex(context, to + len, &len) == 1 &&
	    (!seal || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) == 1))
		done = 1;
	EVP_CIPHER_CTX_free(context);
	return done ? 0 : -1;
}

struct span vault_seal(const struct vault *vault, struct span place, struct span plain,
		       struct arena *arena)
{
	size_t size = NONCE_BYTES + plain.len + TAG_BYTES;
	unsigned char *sealed = arena_alloc(arena, size);
	char *text = arena_alloc(arena, base64url_encoded_size(size) + 1);
	size_t len;

	if (!sealed || !text || plain.len > SEALED_BYTES_MAX)
		return SPAN_NONE;
	rand_bytes(sealed, NONCE_BYTES);
	if (crypt_bytes(vault, true, place, sealed, plain, sealed + NONCE_BYTES,
			sealed + NONCE_BYTES + plain.len) < 0)
		return SPAN_NONE;
	len = base64url_encode(text, span_of(sealed, size));
	text[len] = '\0';
	return span_of(text, len);
}

int vault_open_sealed(const struct vault *vault, struct span place, struct span sealed,
		      struct secret *plain, struct err *err)
{
	unsigned char *bytes = mem_alloc(base64_decoded_max(sealed.len));
	unsigned char *open = NULL;
	size_t len = 0, plain_len;
	int result = -1;

	if (!bytes)
		return err_set(err, ERR_MEMORY, "no memory for a secret");
	if (sealed.len > 2 * SEALED_BYTES_MAX || !base64url_decode(bytes, &len, sealed) ||
	    len < NONCE_BYTES + TAG_BYTES) {
		mem_free(bytes);
		return err_set(err, ERR_INVALID, "a sealed secret is malformed");
	}
	plain_len = len - NONCE_BYTES - TAG_BYTES;
	open = mem_alloc(plain_len + 1);
	if (!open) {
		(void)err_set(err, ERR_MEMORY, "no memory for a secret");
	} else if (crypt_bytes(vault, false, place, bytes,
			       span_of(bytes + NONCE_BYTES, plain_len), open,
			       bytes + len - TAG_BYTES) < 0) {
		(void)err_set(err, ERR_INVALID, "a secret was sealed with another key");
	} else if (secret_set(plain, span_of(open, plain_len)) < 0) {
		(void)err_set(err, ERR_MEMORY, "no memory for a secret");
	} else {
		result = 0;
	}
	if (open)
		secret_wipe(open, plain_len);
	mem_free(open);
	mem_free(bytes);
	return result;
}

/* --- digests --- */

bool vault_mac(const struct vault *vault, struct span purpose, struct span text,
	       unsigned char mac[VAULT_MAC_BYTES])
{
	unsigned char key[KEY_BYTES];
	bool done;

	done = HMAC(EVP_sha256(), vault->root, KEY_BYTES, (const unsigned char *)purpose.ptr,
		    purpose.len, key, NULL) &&
	       HMAC(EVP_sha256(), key, KEY_BYTES, (const unsigned char *)text.ptr, text.len,
		    mac, NULL);
	secret_wipe(key, sizeof(key));
	return done;
}

static pthread_once_t digest_once = PTHREAD_ONCE_INIT;
static pthread_key_t digest_key;
static const EVP_MD *digest_sha256; /* NULL: it could not be set up */
static _Thread_local EVP_MD_CTX *digest_context;

static void free_digest_context(void *context)
{
	EVP_MD_CTX_free(context);
}

/* What EVP_sha256() gives is looked up anew at each use. */
static void fetch_digest(void)
{
	const EVP_MD *fetched;

	if (pthread_key_create(&digest_key, free_digest_context) != 0)
		return;
	fetched = EVP_MD_fetch(NULL, "SHA256", NULL);
	digest_sha256 = fetched ? fetched : EVP_sha256();
}

/* One a thread, which ends with it; always begun anew, for the next text. NULL: no memory. */
static EVP_MD_CTX *take_digest_context(void)
{
	EVP_MD_CTX *context = digest_context;

	if (LIKELY(context != NULL))
		return context;
	pthread_once(&digest_once, fetch_digest);
	context = digest_sha256 ? EVP_MD_CTX_new() : NULL;
	if (!context || !EVP_DigestInit_ex2(context, digest_sha256, NULL) ||
	    pthread_setspecific(digest_key, context) != 0) {
		EVP_MD_CTX_free(context);
		return NULL;
	}
	digest_context = context;
	return context;
}

static void drop_digest_context(void)
{
	EVP_MD_CTX_free(digest_context);
	digest_context = NULL;
	pthread_setspecific(digest_key, NULL);
}

void digest_of(unsigned char digest[DIGEST_BYTES], struct span text)
{
	EVP_MD_CTX *context = take_digest_context();
	bool done = context && EVP_DigestUpdate(context, text.ptr, text.len) &&
		    EVP_DigestFinal_ex(context, digest, NULL);

	/* Beginning anew also wipes what the context knows of the text, which may be a secret. */
	if (context && (!done || !EVP_DigestInit_ex2(context, digest_sha256, NULL)))
		drop_digest_context();
	/* Without memory for the context the digest is random: it then fits nothing. */
	if (!done)
		rand_bytes(digest, DIGEST_BYTES);
}

void digest_hex(char to[DIGEST_HEX_SIZE], struct span text)
{
	unsigned char digest[DIGEST_BYTES];

	digest_of(digest, text);
	hex_encode(to, digest, sizeof(digest));
	to[DIGEST_HEX_SIZE - 1] = '\0';
}
