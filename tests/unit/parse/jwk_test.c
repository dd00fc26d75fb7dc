#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "parse/base64.h"
#include "parse/jwk.h"

static const struct jwk_options every = {.algorithms = JWS_PUBLIC_ALL};

/* The EC key of RFC 7517 appendix A.1, as members. */
#define EC_KEY                                                                                 \
	"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"                                              \
	"\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","                                     \
	"\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\""
/* That of RFC 8037 appendix A.2. */
#define OKP_KEY                                                                                \
	"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"                           \
	"7TyWQHOg7hcvPapiMlrwIaaPcHURo\""

static struct jwk_set *parse(const char *document)
{
	struct err err = {0};

	return jwk_set_parse(span_cstr(document), &every, &err);
}

static void keys_get_the_algorithms_of_their_type(void **state)
{
	struct jwk_set *set =
		parse("{\"keys\":[{" EC_KEY ",\"kid\":\"1\",\"use\":\"sig\"},{" OKP_KEY
		      ",\"kid\":\"2\",\"key_ops\":[\"verify\"]},{\"kty\":\"new\"}]}");

	(void)state;
	assert_non_null(set);
	assert_int_equal(set->count, 2);
	assert_int_equal(set->skipped, 1);
	assert_string_equal(set->skipped_reason, "unknown \"kty\"");
	assert_int_equal(set->keys[0].algorithms, JWS_ES256);
	assert_int_equal(set->keys[1].algorithms, JWS_EDDSA);
	assert_ptr_equal(jwk_set_next(set, NULL, JWS_ES256, SPAN("1")), &set->keys[0]);
	assert_null(jwk_set_next(set, &set->keys[0], JWS_ES256, SPAN("1")));
	assert_null(jwk_set_next(set, NULL, JWS_ES256, SPAN("2")));
	assert_null(jwk_set_next(set, NULL, JWS_RS256, SPAN_NONE));
	assert_ptr_equal(jwk_set_next(set, NULL, JWS_EDDSA, SPAN_NONE), &set->keys[1]);
	jwk_set_free(set);
}

static void unusable_keys_are_left_out(void **state)
{
	static const char *const keys[] = {
		EC_KEY ",\"use\":\"enc\"",
		EC_KEY ",\"use\":1",
		EC_KEY ",\"key_ops\":[\"sign\"]",
		EC_KEY ",\"key_ops\":\"verify\"",
		EC_KEY ",\"alg\":\"ES384\"",
		EC_KEY ",\"alg\":\"ECDH-ES\"",
		EC_KEY ",\"alg\":null",
		EC_KEY ",\"kid\":7",
		"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"",
		/* not on the curve */
		"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
		"\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","
		"\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyI\"",
		"\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
		"\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\"",
		"\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AA\",\"y\":\"AA\"",
		"\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"11qYAYKxCrfVS_"
		"7TyWQHOg7hcvPapiMlrwIaaPcHURo\"",
		"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
		"7TyWQHOg7hcvPapiMlrwIaaPcHUQ\"",
		"\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
		"7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"",
		"\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"",
		"\"kty\":\"RSA\",\"n\":\"\",\"e\":\"\"",
		"\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"",
		"\"kty\":7",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		struct err err = {0};
		char document[1024];
		struct jwk_set *set;

		snprintf(document, sizeof(document), "{\"keys\":[{" OKP_KEY "},{%s}]}",
			 keys[i]);
		set = parse(document);
		if (!set || set->count != 1 || set->skipped != 1)
			fail_msg("%s was not left out", keys[i]);
		jwk_set_free(set);
		snprintf(document, sizeof(document), "{%s}", keys[i]);
		assert_null(jwk_set_parse(span_cstr(document), &every, &err));
		assert_true(err.code == ERR_INVALID || err.code == ERR_SYNTAX);
	}
}

static void broken_documents_are_refused(void **state)
{
	static const struct {
		const char *document;
		enum err_code code;
	} cases[] = {
		{"", ERR_SYNTAX},
		{"[]", ERR_SYNTAX},
		{"{}", ERR_SYNTAX},
		{"{\"keys\":{}}", ERR_SYNTAX},
		{"{\"keys\":[]}", ERR_INVALID},
		{"{\"keys\":[1]}", ERR_INVALID},
		{"{\"keys\":[],\"keys\":[]}", ERR_SYNTAX},
		{"{\"keys\":[{" EC_KEY ",\"kid\":\"a\"},{" EC_KEY ",\"kid\":\"a\"}]}",
		 ERR_INVALID},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct err err = {0};

		assert_null(jwk_set_parse(span_cstr(cases[i].document), &every, &err));
		assert_int_equal(err.code, cases[i].code);
	}
}

static void options_narrow_what_keys_may_do(void **state)
{
	struct jwk_options narrow = {.algorithms = JWS_RS256};
	struct jwk_options private_too = {.algorithms = JWS_PUBLIC_ALL, .refuse_private = true};
	struct jwk_options named = {.algorithms = JWS_ES256, .ignore_alg = true};
	struct span with_d =
		SPAN("{" EC_KEY ",\"d\":\"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE\"}");
	struct jwk_set *set;
	struct err err = {0};

	(void)state;
	assert_null(jwk_set_parse(SPAN("{" EC_KEY "}"), &narrow, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_null(jwk_set_parse(with_d, &private_too, &err));
	assert_string_equal(err.message, "a key has private parts");
	set = jwk_set_parse(with_d, &every, NULL);
	assert_non_null(set);
	assert_false(EVP_PKEY_eq(set->keys[0].key, NULL) == 1);
	jwk_set_free(set);
	set = jwk_set_parse(SPAN("{" EC_KEY ",\"alg\":\"ES521\"}"), &named, NULL);
	assert_non_null(set);
	assert_int_equal(set->keys[0].algorithms, JWS_ES256);
	jwk_set_free(set);
}

/* An RSA "key" with these numbers, as a document. */
static void rsa_document(struct buf *to, const BIGNUM *n, unsigned long e)
{
	unsigned char bytes[1100], e_bytes[8];
	char text[1500];
	BIGNUM *e_number = BN_new();
	int len = BN_bn2bin(n, bytes);

	BN_set_word(e_number, e);
	buf_clear(to);
	buf_append_cstr(to, "{\"kty\":\"RSA\",\"n\":\"");
	buf_append_bytes(to, text, base64url_encode(text, span_of(bytes, (size_t)len)));
	buf_append_cstr(to, "\",\"e\":\"");
	len = BN_bn2bin(e_number, e_bytes);
	buf_append_bytes(to, text, base64url_encode(text, span_of(e_bytes, (size_t)len)));
	buf_append_cstr(to, "\"}");
	BN_free(e_number);
}

static void check_rsa(const BIGNUM *n, unsigned long e, const char *fault)
{
	struct err err = {0};
	struct jwk_set *set;
	struct buf document;

	buf_init(&document, 10000);
	rsa_document(&document, n, e);
	set = jwk_set_parse(buf_span(&document), &every, &err);
	if (!fault)
		assert_non_null(set);
	else if (set || !strstr(err.message, fault))
		fail_msg("exponent %lu: %s", e, err.message);
	jwk_set_free(set);
	buf_release(&document);
}

static void weak_rsa_keys_are_refused(void **state)
{
	BIGNUM *n = BN_new();
	BIGNUM *large = BN_new();
	BIGNUM *base = BN_new();
	BN_CTX *ctx = BN_CTX_new();

	(void)state;
	assert_int_equal(BN_rand(n, 2048, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
	check_rsa(n, 65537, NULL);
	check_rsa(n, 3, NULL);
	check_rsa(n, 0xffffffff, NULL);
	check_rsa(n, 1, "exponent");
	check_rsa(n, 4, "exponent");
	check_rsa(n, 0x100000001, "exponent");
	BN_add_word(n, 1);
	check_rsa(n, 65537, "even");
	assert_int_equal(BN_rand(n, 2047, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
	check_rsa(n, 65537, "2048");
	assert_int_equal(BN_rand(n, 8193, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
	check_rsa(n, 65537, "8192");
	/* 65537 to the 128th is such a modulus as the weak generator made. */
	BN_set_word(base, 65537);
	BN_set_word(large, 128);
	assert_int_equal(BN_exp(n, base, large, ctx), 1);
	assert_int_equal(BN_num_bits(n), 2049);
	check_rsa(n, 65537, "ROCA");
	BN_CTX_free(ctx);
	BN_free(base);
	BN_free(large);
	BN_free(n);
}

static void pem_keys_and_certificates_are_read(void **state)
{
	static const unsigned algorithms[] = {JWS_RS256, JWS_ES256, JWS_ES384, JWS_ES512,
					      JWS_EDDSA};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
		EVP_PKEY *key = jwk_generate(algorithms[i], NULL);
		X509 *certificate = X509_new();
		BIO *bio = BIO_new(BIO_s_mem());
		struct jwk_set *set;
		struct buf pem;
		struct err err = {0};
		EVP_PKEY *again;
		char *text;
		long pem_len;

		buf_init(&pem, 10000);
		assert_int_equal(jwk_public_to_pem(key, &pem, NULL), 0);
		set = jwk_set_from_pem(buf_span(&pem), SPAN("k"), &every, NULL);
		assert_non_null(set);
		assert_int_equal(EVP_PKEY_eq(set->keys[0].key, key), 1);
		assert_true(set->keys[0].algorithms & algorithms[i]);
		assert_non_null(jwk_set_next(set, NULL, algorithms[i], SPAN("k")));
		assert_null(jwk_set_next(set, NULL, algorithms[i], SPAN("other")));
		jwk_set_free(set);
		assert_null(jwk_set_from_pem(buf_span(&pem), SPAN_NONE,
					     &(struct jwk_options){.algorithms = JWS_HS256},
					     &err));

		X509_set_version(certificate, X509_VERSION_3);
		X509_set_pubkey(certificate, key);
		X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
		X509_gmtime_adj(X509_getm_notAfter(certificate), 60);
		assert_true(X509_sign(certificate, key,
				      algorithms[i] == JWS_EDDSA ? NULL : EVP_sha256()));
		assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
		pem_len = BIO_get_mem_data(bio, &text);
		set = jwk_set_from_pem(span_of(text, (size_t)pem_len), SPAN_NONE, &every, NULL);
		assert_non_null(set);
		/* Without a kid of its own it is for every kid. */
		assert_non_null(jwk_set_next(set, NULL, algorithms[i], SPAN("any")));
		jwk_set_free(set);

		buf_clear(&pem);
		assert_int_equal(jwk_private_to_pem(key, &pem, NULL), 0);
		assert_null(jwk_set_from_pem(buf_span(&pem), SPAN_NONE, &every, &err));
		assert_int_equal(err.code, ERR_INVALID);
		again = jwk_private_from_pem(buf_span(&pem), NULL);
		assert_non_null(again);
		assert_int_equal(EVP_PKEY_eq(again, key), 1);
		EVP_PKEY_free(again);
		buf_release(&pem);
		BIO_free(bio);
		X509_free(certificate);
		EVP_PKEY_free(key);
	}
}

static void text_that_is_no_pem_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"key",
		"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		struct err err = {0};

		assert_null(jwk_set_from_pem(span_cstr(texts[i]), SPAN_NONE, &every, &err));
		assert_int_equal(err.code, ERR_INVALID);
		err.code = ERR_NONE;
		assert_null(jwk_private_from_pem(span_cstr(texts[i]), &err));
		assert_int_equal(err.code, ERR_INVALID);
	}
}

static void thumbprints_are_those_of_the_rfcs(void **state)
{
	struct jwk_set *okp = parse("{" OKP_KEY "}");
	/* RFC 7638 section 3.1. */
	struct jwk_set *rsa =
		parse("{\"kty\":\"RSA\",\"n\":"
		      "\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu"
		      "1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-"
		      "5JsGY4Hc5n9yBXArwl93lqt7_RN5w6"
		      "Cf0h4QyQ5v-65YGjQR0_"
		      "FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbIS"
		      "D08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_"
		      "xBniIqbw0Ls1jF44-csFCur-kEgU8awap"
		      "JzKnqDKgw\",\"e\":\"AQAB\"}");
	char text[JWK_THUMBPRINT_CHARS];

	(void)state;
	assert_int_equal(jwk_thumbprint(okp->keys[0].key, text, NULL), 0);
	assert_true(span_eq(span_of(text, sizeof(text)),
			    SPAN("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")));
	assert_int_equal(jwk_thumbprint(rsa->keys[0].key, text, NULL), 0);
	assert_true(span_eq(span_of(text, sizeof(text)),
			    SPAN("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs")));
	jwk_set_free(okp);
	jwk_set_free(rsa);
}

static void failing_allocations_are_an_error(void **state)
{
	struct span document = SPAN("{\"keys\":[{" EC_KEY ",\"kid\":\"1\"},{" OKP_KEY
				    ",\"kid\":\"\\u0032\"},{\"kty\":\"x\"}]}");
	bool failed = true;

	(void)state;
	for (unsigned long n = 1; failed && n < 100; n++) {
		struct err err = {0};
		struct jwk_set *set;

		mem_fail_at(n);
		set = jwk_set_parse(document, &every, &err);
		failed = mem_fail_happened();
		mem_fail_at(0);
		if (failed) {
			assert_null(set);
			assert_int_equal(err.code, ERR_MEMORY);
		} else {
			assert_non_null(set);
			assert_int_equal(set->count, 2);
		}
		jwk_set_free(set);
	}
	assert_false(failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_get_the_algorithms_of_their_type),
		cmocka_unit_test(unusable_keys_are_left_out),
		cmocka_unit_test(broken_documents_are_refused),
		cmocka_unit_test(options_narrow_what_keys_may_do),
		cmocka_unit_test(weak_rsa_keys_are_refused),
		cmocka_unit_test(pem_keys_and_certificates_are_read),
		cmocka_unit_test(text_that_is_no_pem_is_refused),
		cmocka_unit_test(thumbprints_are_those_of_the_rfcs),
		cmocka_unit_test(failing_allocations_are_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
