#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/tls_internal.h"

#define FILE_MAX_BYTES ((size_t)4 * 1024 * 1024)

int tls_err(struct err *err, enum err_code code, const char *where, const char *what)
{
	unsigned long error = ERR_peek_last_error();
	const char *reason = error ? ERR_reason_error_string(error) : NULL;

	if (reason)
		err_set(err, code, "%s: %s: %s", where, what, reason);
	else
		err_set(err, code, "%s: %s", where, what);
	ERR_clear_error();
	return -1;
}

const char *tls_pem_name(const struct tls_pem *pem)
{
	return pem->path ? pem->path : "PEM text";
}

static int read_all(int fd, struct secret *to, const char *path, struct err *err)
{
	char block[16384];
	struct buf text;
	ssize_t n;
	int result;

	buf_init(&text, FILE_MAX_BYTES);
	while ((n = read(fd, block, sizeof(block))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || buf_append_bytes(&text, block, (size_t)n) < 0)
			break;
	}
	if (n < 0)
		result = err_set_errno(err, errno, "%s", path);
	else if (n > 0)
		result = err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", path,
				 FILE_MAX_BYTES);
	else if (secret_set(to, buf_span(&text)) < 0)
		result = err_set(err, ERR_MEMORY, "%s: no memory to read it", path);
	else
		result = 0;
	secret_wipe(block, sizeof(block));
	if (text.ptr)
		secret_wipe(text.ptr, text.cap);
	buf_release(&text);
	return result;
}

/* Files may hold keys, so their bytes are kept as secrets. */
static int read_file(const char *path, bool key, struct secret *to, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat stat;
	int result;

	if (fd < 0)
		return err_set_errno(err, errno, "%s", path);
	if (key && fstat(fd, &stat) == 0 && stat.st_mode & (S_IROTH | S_IWGRP | S_IWOTH))
		log_message(LOG_WARN, "tls.key_permissions",
			    "%s can be read or changed by others (mode %03o)", path,
			    (unsigned)stat.st_mode & 0777);
	result = read_all(fd, to, path, err);
	close(fd);
	return result;
}

/* A BIO on the text; what was read from a file is in *held until the caller releases it. */
static BIO *open_pem(const struct tls_pem *pem, bool key, struct secret *held, struct err *err)
{
	struct span text = pem->pem;
	BIO *bio;

	ERR_clear_error();
	if (!text.ptr) {
		if (read_file(pem->path, key, held, err) < 0)
			return NULL;
		text = secret_span(held);
	}
	bio = text.len <= FILE_MAX_BYTES ? BIO_new_mem_buf(text.ptr, (int)text.len) : NULL;
	if (!bio)
		tls_err(err, ERR_MEMORY, tls_pem_name(pem), "cannot be read");
	return bio;
}

/* Without this OpenSSL would ask on the terminal. */
static int no_password(char *to, int size, int writing, void *arg)
{
	(void)to;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static int read_chain(struct tls_pair *pair, BIO *bio, const char *name, struct err *err)
{
	unsigned long error;
	X509 *more;

	pair->leaf = PEM_read_bio_X509(bio, NULL, no_password, NULL);
	if (!pair->leaf)
		return tls_err(err, ERR_INVALID, name, "holds no certificate");
	pair->chain = sk_X509_new_null();
	if (!pair->chain)
		return tls_err(err, ERR_MEMORY, name, "certificate chain");
	while ((more = PEM_read_bio_X509(bio, NULL, no_password, NULL))) {
		if (!sk_X509_push(pair->chain, more)) {
			X509_free(more);
			return tls_err(err, ERR_MEMORY, name, "certificate chain");
		}
	}
	error = ERR_peek_last_error();
	if (ERR_GET_LIB(error) != ERR_LIB_PEM || ERR_GET_REASON(error) != PEM_R_NO_START_LINE)
		return tls_err(err, ERR_INVALID, name, "broken certificate in the chain");
	ERR_clear_error();
	return 0;
}

static int load_chain(struct tls_pair *pair, const struct tls_pem *from, struct err *err)
{
	struct secret held = SECRET_NONE;
	BIO *bio = open_pem(from, false, &held, err);
	int result = bio ? read_chain(pair, bio, tls_pem_name(from), err) : -1;

	BIO_free(bio);
	secret_release(&held);
	return result;
}

static int load_key(struct tls_pair *pair, const struct tls_pem *from, struct err *err)
{
	struct secret held = SECRET_NONE;
	BIO *bio = open_pem(from, true, &held, err);

	if (bio) {
		pair->key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
		if (!pair->key)
			tls_err(err, ERR_INVALID, tls_pem_name(from),
				"holds no private key that can be read without a password");
	}
	BIO_free(bio);
	secret_release(&held);
	return pair->key ? 0 : -1;
}

int tls_pair_load(struct tls_pair *pair, const struct tls_certificate *from, struct err *err)
{
	*pair = (struct tls_pair){NULL, NULL, NULL};
	if (!tls_pem_given(&from->chain) || !tls_pem_given(&from->key))
		return err_set(err, ERR_INVALID, "a certificate needs a certificate and a key");
	if (load_chain(pair, &from->chain, err) < 0 || load_key(pair, &from->key, err) < 0) {
		tls_pair_release(pair);
		return -1;
	}
	if (X509_check_private_key(pair->leaf, pair->key) != 1) {
		ERR_clear_error();
		tls_pair_release(pair);
		return err_set(err, ERR_INVALID, "%s: is not the key of the certificate in %s",
			       tls_pem_name(&from->key), tls_pem_name(&from->chain));
	}
	return 0;
}

void tls_pair_release(struct tls_pair *pair)
{
	X509_free(pair->leaf);
	sk_X509_pop_free(pair->chain, X509_free);
	EVP_PKEY_free(pair->key);
	*pair = (struct tls_pair){NULL, NULL, NULL};
}

static int trust_one(SSL_CTX *ssl, const X509_INFO *info, bool announce, unsigned *count)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ssl);

	if (info->x509) {
		if (X509_STORE_add_cert(store, info->x509) != 1)
			return -1;
		if (announce && SSL_CTX_add_client_CA(ssl, info->x509) != 1)
			return -1;
		++*count;
	}
	if (info->crl) {
		if (X509_STORE_add_crl(store, info->crl) != 1 ||
		    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) != 1)
			return -1;
	}
	return 0;
}

static int trust_all(SSL_CTX *ssl, BIO *bio, bool announce, const char *name, struct err *err)
{
	STACK_OF(X509_INFO) *all = PEM_X509_INFO_read_bio(bio, NULL, no_password, NULL);
	unsigned count = 0;
	int result = 0;

	if (!all)
		return tls_err(err, ERR_INVALID, name, "is no bundle of certificates");
	for (int i = 0; i < sk_X509_INFO_num(all) && result == 0; i++)
		result = trust_one(ssl, sk_X509_INFO_value(all, i), announce, &count);
	sk_X509_INFO_pop_free(all, X509_INFO_free);
	if (result < 0)
		return tls_err(err, ERR_INVALID, name, "cannot be used as trust anchors");
	if (!count)
		return err_set(err, ERR_INVALID, "%s: holds no certificate", name);
	return 0;
}

int tls_trust_load(SSL_CTX *ssl, const struct tls_pem *from, bool announce,
		   unsigned char digest[32], struct err *err)
{
	struct secret held = SECRET_NONE;
	BIO *bio = open_pem(from, false, &held, err);
	struct span text = from->pem.ptr ? from->pem : secret_span(&held);
	int result = bio ? trust_all(ssl, bio, announce, tls_pem_name(from), err) : -1;

	if (result == 0 &&
	    EVP_Digest(text.ptr, text.len, digest, NULL, EVP_sha256(), NULL) != 1)
		result = tls_err(err, ERR_MEMORY, tls_pem_name(from), "digest");
	BIO_free(bio);
	secret_release(&held);
	return result;
}

int64_t tls_time_s(const ASN1_TIME *time)
{
	struct tm parts;

	if (!time || ASN1_TIME_to_tm(time, &parts) != 1)
		return INT64_MIN;
	return (int64_t)timegm(&parts);
}

/* The earliest nextUpdate of a successful response, or INT64_MIN when it is unusable. */
static int64_t staple_expiry(OCSP_RESPONSE *response)
{
	OCSP_BASICRESP *basic;
	int64_t expires_s = INT64_MAX;

	if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		return INT64_MIN;
	basic = OCSP_response_get1_basic(response);
	if (!basic)
		return INT64_MIN;
	for (int i = 0; i < OCSP_resp_count(basic); i++) {
		ASN1_GENERALIZEDTIME *next = NULL;

		OCSP_single_get0_status(OCSP_resp_get0(basic, i), NULL, NULL, NULL, &next);
		if (next && tls_time_s(next) < expires_s)
			expires_s = tls_time_s(next);
	}
	if (OCSP_resp_count(basic) == 0)
		expires_s = INT64_MIN;
	OCSP_BASICRESP_free(basic);
	return expires_s;
}

struct tls_staple *tls_staple_load(const char *path, struct err *err)
{
	struct secret der = SECRET_NONE;
	struct tls_staple *staple;
	OCSP_RESPONSE *response;
	const unsigned char *at;

	if (read_file(path, false, &der, err) < 0)
		return NULL;
	ERR_clear_error();
	at = (const unsigned char *)der.ptr;
	response = d2i_OCSP_RESPONSE(NULL, &at, (long)der.len);
	staple = mem_zalloc(1, sizeof(*staple));
	if (staple)
		staple->der = mem_alloc(der.len ? der.len : 1);
	if (!response || !staple || !staple->der) {
		tls_err(err, response ? ERR_MEMORY : ERR_INVALID, path,
			"is no OCSP response in DER");
		goto fail;
	}
	staple->expires_s = staple_expiry(response);
	if (staple->expires_s == INT64_MIN) {
		tls_err(err, ERR_INVALID, path, "is not a successful OCSP response");
		goto fail;
	}
	memcpy(staple->der, der.ptr, der.len);
	staple->der_len = der.len;
	OCSP_RESPONSE_free(response);
	secret_release(&der);
	return staple;
fail:
	OCSP_RESPONSE_free(response);
	secret_release(&der);
	tls_staple_free(staple);
	return NULL;
}

void tls_staple_free(struct tls_staple *staple)
{
	if (staple)
		mem_free(staple->der);
	mem_free(staple);
}

char *tls_dns_names(const X509 *leaf, struct err *err)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	struct buf text;

	buf_init(&text, 1024 * 1024);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		struct span dns;

		if (name->type != GEN_DNS)
			continue;
		dns = span_of(ASN1_STRING_get0_data(name->d.dNSName),
			      (size_t)ASN1_STRING_length(name->d.dNSName));
		if (dns.len == 0 || span_find_byte(dns, '\0') != dns.len)
			continue;
		for (size_t j = 0; j < dns.len; j++)
			buf_append_byte(&text, ascii_lower(dns.ptr[j]));
		buf_append_byte(&text, '\0');
	}
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	buf_append_byte(&text, '\0');
	if (!buf_failed(&text))
		return text.ptr;
	buf_release(&text);
	err_set(err, ERR_MEMORY, "no memory for the names of a certificate");
	return NULL;
}
