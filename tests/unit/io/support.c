#include "support.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/rand.h"

#define PATIENCE_MS 20000

int loop_setup(void **state)
{
	struct err err;

	*state = loop_new(&err);
	return *state ? 0 : -1;
}

int loop_teardown(void **state)
{
	assert_int_equal(fiber_live_count(), 0);
	loop_free(*state);
	return 0;
}

void run_fibers(void)
{
	int64_t give_up_ms = clock_ms() + PATIENCE_MS;

	while (fiber_live_count()) {
		loop_step(loop_current(), 100);
		assert_true(clock_ms() < give_up_ms);
	}
}

void run_until(const bool *flag)
{
	int64_t give_up_ms = clock_ms() + PATIENCE_MS;

	while (!*flag) {
		loop_step(loop_current(), 100);
		assert_true(clock_ms() < give_up_ms);
	}
}

void start_fiber(fiber_function *function, void *arg)
{
	struct err err;

	assert_non_null(fiber_start(function, arg, &err));
}

void small_socketpair(int fds[2])
{
	int small = 1;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	for (int i = 0; i < 2; i++) {
		setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
		setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	}
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static char *pem_text(X509 *certificate, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;

	if (certificate)
		assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
	else
		assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL),
				 1);
	BIO_write(bio, "", 1);
	BIO_get_mem_data(bio, &text);
	text = strdup(text);
	BIO_free(bio);
	return text;
}

void make_certificate(struct test_certificate *to, enum test_key type, const char *common_name,
		      const char *names, const struct test_certificate *issuer)
{
	X509 *made = X509_new();
	X509 *signer = issuer ? issuer->certificate : made;
	X509_NAME *subject;

	to->key = type == TEST_KEY_EC ? EVP_EC_gen("P-256") : EVP_RSA_gen(2048);
	assert_non_null(to->key);
	assert_non_null(made);
	X509_set_version(made, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(made), rand_u64() >> 1 | 1);
	X509_gmtime_adj(X509_getm_notBefore(made), -3600);
	X509_gmtime_adj(X509_getm_notAfter(made), 86400);
	X509_set_pubkey(made, to->key);
	subject = X509_get_subject_name(made);
	X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_UTF8,
				   (const unsigned char *)"Example", -1, -1, 0);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
				   (const unsigned char *)common_name, -1, -1, 0);
	X509_set_issuer_name(made, X509_get_subject_name(signer));
	add_extension(made, signer, NID_basic_constraints,
		      issuer ? "critical,CA:FALSE" : "critical,CA:TRUE");
	if (names)
		add_extension(made, signer, NID_subject_alt_name, names);
	assert_true(X509_sign(made, issuer ? issuer->key : to->key, EVP_sha256()) > 0);
	to->certificate = made;
	to->certificate_pem = pem_text(made, NULL);
	to->key_pem = pem_text(NULL, to->key);
}

void free_certificate(struct test_certificate *certificate)
{
	X509_free(certificate->certificate);
	EVP_PKEY_free(certificate->key);
	free(certificate->certificate_pem);
	free(certificate->key_pem);
}
