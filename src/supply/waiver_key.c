#include "supply/waiver_key.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <unistd.h>

#include "base/mem.h"
#include "parse/base64.h"
#include "supply/waiver.h"

struct waiver_key {
	EVP_PKEY *pkey;
};

struct waiver_key *waiver_key_read(const char *path, struct err *err)
{
	FILE *file = fopen(path, "rbe");
	struct waiver_key *key;
	EVP_PKEY *pkey;

	if (!file) {
		(void)err_set_errno(err, errno, "%s", path);
		return NULL;
	}
	pkey = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	(void)fclose(file);
	key = mem_zalloc(1, sizeof(*key));
	if (key && pkey && EVP_PKEY_get_base_id(pkey) == EVP_PKEY_ED25519) {
		key->pkey = pkey;
		return key;
	}
	if (!key)
		(void)err_set(err, ERR_MEMORY, "out of memory");
	else
		(void)err_set(err, ERR_INVALID, "%s: not a private key of Ed25519 in PEM",
			      path);
	EVP_PKEY_free(pkey);
	mem_free(key);
	return NULL;
}

void waiver_key_free(struct waiver_key *key)
{
	if (key)
		EVP_PKEY_free(key->pkey);
	mem_free(key);
}

int waiver_key_public(const struct waiver_key *key, struct buf *to, struct err *err)
{
	unsigned char raw[WAIVER_KEY_BYTES];
	char encoded[WAIVER_KEY_BYTES * 2];
	size_t len = sizeof(raw);

	if (EVP_PKEY_get_raw_public_key(key->pkey, raw, &len) != 1 || len != sizeof(raw))
		return err_set(err, ERR_INTERNAL, "the key has no public part");
	buf_append_bytes(to, encoded, base64_encode(encoded, span_of(raw, len)));
	return 0;
}

int waiver_key_sign(const struct waiver_key *key, struct span text,
		    char signature[WAIVER_SIGNATURE_CHARS], struct err *err)
{
	unsigned char raw[WAIVER_SIGNATURE_BYTES];
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	size_t len = sizeof(raw);
	bool good = context && EVP_DigestSignInit(context, NULL, NULL, NULL, key->pkey) == 1 &&
		    EVP_DigestSign(context, raw, &len, (const unsigned char *)text.ptr,
				   text.len) == 1 &&
		    len == sizeof(raw);

	EVP_MD_CTX_free(context);
	if (!good)
		return err_set(err, ERR_INTERNAL, "could not be signed");
	(void)base64_encode(signature, span_of(raw, len));
	return 0;
}

bool waiver_key_verify(struct span public_key, struct span signature, struct span text)
{
	unsigned char raw[WAIVER_KEY_BYTES + 8], raw_signature[WAIVER_SIGNATURE_BYTES + 8];
	size_t key_len, signature_len;
	EVP_MD_CTX *context;
	EVP_PKEY *pkey;
	bool good;

	if (public_key.len != 44 || signature.len != WAIVER_SIGNATURE_CHARS ||
	    !base64_decode(raw, &key_len, public_key) || key_len != WAIVER_KEY_BYTES ||
	    !base64_decode(raw_signature, &signature_len, signature) ||
	    signature_len != WAIVER_SIGNATURE_BYTES)
		return false;
	context = EVP_MD_CTX_new();
	pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, key_len);
	good = context && pkey && EVP_DigestVerifyInit(context, NULL, NULL, NULL, pkey) == 1 &&
	       EVP_DigestVerify(context, raw_signature, signature_len,
				(const unsigned char *)text.ptr, text.len) == 1;
	EVP_PKEY_free(pkey);
	EVP_MD_CTX_free(context);
	return good;
}

static int make_key(const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "wb");
	EVP_PKEY *key;
	bool good;

	if (!file) {
		int why = errno;

		if (fd >= 0)
			(void)close(fd);
		return err_set_errno(err, why, "%s", path);
	}
	key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	good = key && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1;
	EVP_PKEY_free(key);
	if (fclose(file) == 0 && good)
		return 0;
	(void)unlink(path);
	return err_set(err, ERR_IO, "%s: the key could not be written", path);
}

int waiver_public_key(const char *key_path, bool make, struct buf *to, struct err *err)
{
	struct waiver_key *key;
	int result;

	if (make && make_key(key_path, err) < 0)
		return -1;
	key = waiver_key_read(key_path, err);
	if (!key)
		return -1;
	result = waiver_key_public(key, to, err);
	waiver_key_free(key);
	return result;
}
