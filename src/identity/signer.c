#include "identity/signer.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/mem.h"
#include "identity/internal.h"
#include "identity/jwk.h"
#include "identity/jws.h"
#include "parse/base64.h"

#define KEY_FILE_BYTES_MAX ((size_t)64 * 1024)
#define JWK_BYTES_MAX ((size_t)8 * 1024)
#define SIGNATURE_BYTES_MAX ((size_t)1024)
#define HEADER_BYTES_MAX ((size_t)4 * 1024)

struct signer {
	EVP_PKEY *key;
	unsigned algorithm;
	uint64_t serial;
	struct buf header; /* encoded, with the dot */
};

/* An encrypted key must not ask on the terminal. */
static int no_password(char *to, int size, int writing, void *unused)
{
	(void)to;
	(void)size;
	(void)writing;
	(void)unused;
	return -1;
}

static int read_key(struct signer *signer, const char *path, struct err *err)
{
	struct buf pem;
	BIO *bio = NULL;
	int failed = -1;

	buf_init(&pem, KEY_FILE_BYTES_MAX);
	/* In one piece, so that no copy is left where the buffer was. */
	if (buf_reserve(&pem, KEY_FILE_BYTES_MAX) < 0) {
		err_set(err, ERR_MEMORY, "no memory for a key");
		goto out;
	}
	if (config_source_system.read_file(config_source_system.context, path,
					   KEY_FILE_BYTES_MAX, &pem, err) < 0)
		goto out;
	ERR_clear_error();
	bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
	if (bio)
		signer->key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	ERR_clear_error();
	failed = signer->key ? 0
			     : err_set(err, ERR_INVALID,
				       "%s: not an unencrypted PEM private key", path);
out:
	BIO_free(bio);
	if (pem.ptr)
		secret_wipe(pem.ptr, pem.len);
	buf_release(&pem);
	return failed;
}

static int choose_algorithm(struct signer *signer, const char *path, unsigned wanted,
			    struct err *err)
{
	unsigned able = jws_key_algorithms(signer->key);

	/* The lowest bit is the usual one of the key's type. */
	signer->algorithm = wanted ? wanted & able : able & (~able + 1);
	if (!able)
		return err_set(err, ERR_INVALID,
			       "%s: a key to sign with is RSA of 2048 to 8192 bits, P-256, "
			       "P-384, P-521 or Ed25519",
			       path);
	if (!signer->algorithm)
		return err_set(err, ERR_INVALID, "%s: the key cannot do %s", path,
			       config_jws_name(wanted));
	return 0;
}

static int append_encoded(struct buf *to, struct span bytes)
{
	size_t len = base64url_encoded_size(bytes.len);

	if (buf_reserve(to, len) < 0)
		return -1;
	to->len += base64url_encode(to->ptr + to->len, bytes);
	return 0;
}

/* RFC 7638. */
static int append_thumbprint(EVP_PKEY *key, struct buf *to)
{
	unsigned char digest[SHA256_BYTES];
	struct buf jwk;
	int failed;

	buf_init(&jwk, JWK_BYTES_MAX);
	failed = jwk_write(key, &jwk);
	if (failed == 0 && EVP_Digest(jwk.ptr, jwk.len, digest, NULL, EVP_sha256(), NULL) != 1)
		failed = -1;
	if (failed == 0)
		failed = append_encoded(to, span_of(digest, SHA256_BYTES));
	buf_release(&jwk);
	return failed;
}

static int make_header(struct signer *signer, struct span key_id)
{
	struct buf text;
	int failed = 0;

	buf_init(&text, HEADER_BYTES_MAX);
	buf_init(&signer->header, 2 * HEADER_BYTES_MAX);
	buf_printf(&text, "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"",
		   config_jws_name(signer->algorithm));
	if (key_id.len)
		failed = buf_append_json(&text, key_id);
	else
		failed = append_thumbprint(signer->key, &text);
	buf_append_cstr(&text, "\"}");
	if (failed || buf_failed(&text) ||
	    append_encoded(&signer->header, buf_span(&text)) < 0 ||
	    buf_append_byte(&signer->header, '.') < 0)
		failed = -1;
	buf_release(&text);
	return failed;
}

struct signer *signer_new(const char *path, unsigned algorithm, struct span key_id,
			  struct err *err)
{
	struct signer *signer;

	if (!path) {
		err_set(err, ERR_INVALID, "no key to sign with is given");
		return NULL;
	}
	signer = mem_zalloc(1, sizeof(*signer));
	if (!signer) {
		err_set(err, ERR_MEMORY, "no memory for a key");
		return NULL;
	}
	signer->serial = identity_next_serial();
	if (read_key(signer, path, err) < 0 ||
	    choose_algorithm(signer, path, algorithm, err) < 0)
		goto fail;
	if (make_header(signer, key_id) < 0) {
		err_set(err, ERR_MEMORY, "%s: no memory for a key", path);
		goto fail;
	}
	return signer;
fail:
	signer_free(signer);
	return NULL;
}

void signer_free(struct signer *signer)
{
	if (!signer)
		return;
	EVP_PKEY_free(signer->key);
	buf_release(&signer->header);
	mem_free(signer);
}

uint64_t signer_serial(const struct signer *signer)
{
	return signer->serial;
}

int signer_sign(const struct signer *signer, struct span claims, struct buf *to,
		struct err *err)
{
	struct buf signature;
	size_t from = to->len;
	int failed;

	buf_init(&signature, SIGNATURE_BYTES_MAX);
	buf_append(to, buf_span(&signer->header));
	if (append_encoded(to, claims) < 0 || buf_failed(to)) {
		failed = err_set(err, ERR_MEMORY, "no memory for a token");
	} else {
		failed = jws_sign(signer->key, signer->algorithm,
				  span_slice(buf_span(to), from, to->len), &signature, err);
		buf_append_byte(to, '.');
		if (failed == 0 &&
		    (append_encoded(to, buf_span(&signature)) < 0 || buf_failed(to)))
			failed = err_set(err, ERR_MEMORY, "no memory for a token");
	}
	buf_release(&signature);
	return failed;
}
