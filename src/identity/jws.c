#include "identity/jws.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/mem.h"

/* RFC 7518 section 3.3: at least 2048; more than 8192 would only cost time. */
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192
#define ECDSA_NUMBER_MAX ((size_t)66)
#define SIGNATURE_MAX ((size_t)1024)

struct jws_context {
	EVP_MD_CTX *digest;
};

struct algorithm {
	unsigned bit;
	const char *digest; /* NULL: the algorithm has its own */
	bool pss;
	size_t ecdsa_number; /* bytes of R and of S; 0: not ECDSA */
};

static const struct algorithm algorithms[] = {
	{CONFIG_JWS_RS256, "SHA256", false, 0},	 {CONFIG_JWS_RS384, "SHA384", false, 0},
	{CONFIG_JWS_RS512, "SHA512", false, 0},	 {CONFIG_JWS_PS256, "SHA256", true, 0},
	{CONFIG_JWS_PS384, "SHA384", true, 0},	 {CONFIG_JWS_PS512, "SHA512", true, 0},
	{CONFIG_JWS_ES256, "SHA256", false, 32}, {CONFIG_JWS_ES384, "SHA384", false, 48},
	{CONFIG_JWS_ES512, "SHA512", false, 66}, {CONFIG_JWS_EDDSA, NULL, false, 0},
};

static const struct algorithm *find(unsigned bit)
{
	for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
		if (algorithms[i].bit == bit)
			return &algorithms[i];
	}
	return NULL;
}

struct jws_context *jws_context_new(void)
{
	struct jws_context *context = mem_zalloc(1, sizeof(*context));

	if (!context)
		return NULL;
	context->digest = EVP_MD_CTX_new();
	if (context->digest)
		return context;
	mem_free(context);
	return NULL;
}

void jws_context_free(struct jws_context *context)
{
	if (!context)
		return;
	EVP_MD_CTX_free(context->digest);
	mem_free(context);
}

unsigned jws_key_algorithms(const EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);
	char group[32] = "";
	size_t len;

	if (EVP_PKEY_is_a(key, "RSA") && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX)
		return CONFIG_JWS_RS256 | CONFIG_JWS_RS384 | CONFIG_JWS_RS512 |
		       CONFIG_JWS_PS256 | CONFIG_JWS_PS384 | CONFIG_JWS_PS512;
	if (EVP_PKEY_is_a(key, "ED25519"))
		return CONFIG_JWS_EDDSA;
	if (!EVP_PKEY_is_a(key, "EC") ||
	    EVP_PKEY_get_group_name(key, group, sizeof(group), &len) != 1)
		return 0;
	if (span_eq(span_cstr(group), SPAN("prime256v1")))
		return CONFIG_JWS_ES256;
	if (span_eq(span_cstr(group), SPAN("secp384r1")))
		return CONFIG_JWS_ES384;
	return span_eq(span_cstr(group), SPAN("secp521r1")) ? CONFIG_JWS_ES512 : 0;
}

static bool set_padding(const struct algorithm *algorithm, EVP_PKEY_CTX *ctx)
{
	if (!algorithm->pss)
		return true;
	/* RFC 7518 section 3.5: the salt is as long as the digest. */
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

/* RFC 7518 section 3.4: R and S, of fixed length. The result is for OPENSSL_free. */
static unsigned char *ecdsa_to_der(struct span raw, size_t number, int *len)
{
	const unsigned char *bytes = (const unsigned char *)raw.ptr;
	ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(bytes, (int)number, NULL);
	BIGNUM *s = BN_bin2bn(bytes + number, (int)number, NULL);
	unsigned char *der = NULL;

	*len = -1;
	if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
		r = s = NULL;
		*len = i2d_ECDSA_SIG(pair, &der);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(pair);
	return der;
}

enum jws_result jws_verify(struct jws_context *context, EVP_PKEY *key, unsigned bit,
			   struct span input, struct span signature)
{
	const struct algorithm *algorithm = find(bit);
	const unsigned char *bytes = (const unsigned char *)signature.ptr;
	unsigned char *der = NULL;
	size_t len = signature.len;
	EVP_PKEY_CTX *ctx = NULL;
	enum jws_result result = JWS_NO_MEMORY;
	int der_len;

	if (!algorithm || (algorithm->ecdsa_number && len != 2 * algorithm->ecdsa_number))
		return JWS_BAD;
	ERR_clear_error();
	if (algorithm->ecdsa_number) {
		der = ecdsa_to_der(signature, algorithm->ecdsa_number, &der_len);
		if (der_len < 0)
			goto out;
		bytes = der;
		len = (size_t)der_len;
	}
	if (EVP_DigestVerifyInit_ex(context->digest, &ctx, algorithm->digest, NULL, NULL, key,
				    NULL) != 1 ||
	    !set_padding(algorithm, ctx))
		goto out;
	result = EVP_DigestVerify(context->digest, bytes, len, (const unsigned char *)input.ptr,
				  input.len) == 1
			 ? JWS_GOOD
			 : JWS_BAD;
out:
	/* Lets go of the key. */
	EVP_MD_CTX_reset(context->digest);
	OPENSSL_free(der);
	ERR_clear_error();
	return result;
}

static int append_ecdsa(struct buf *to, const unsigned char *der, size_t len, size_t number)
{
	unsigned char raw[2 * ECDSA_NUMBER_MAX];
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
	bool done =
		pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, (int)number) == (int)number &&
		BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + number, (int)number) == (int)number;

	ECDSA_SIG_free(pair);
	return done ? buf_append_bytes(to, raw, 2 * number) : -1;
}

int jws_sign(EVP_PKEY *key, unsigned bit, struct span input, struct buf *to, struct err *err)
{
	const struct algorithm *algorithm = find(bit);
	unsigned char signature[SIGNATURE_MAX];
	size_t len = sizeof(signature);
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx = NULL;
	int failed = -1;

	ERR_clear_error();
	if (algorithm && digest &&
	    EVP_DigestSignInit_ex(digest, &ctx, algorithm->digest, NULL, NULL, key, NULL) ==
		    1 &&
	    set_padding(algorithm, ctx) &&
	    EVP_DigestSign(digest, signature, &len, (const unsigned char *)input.ptr,
			   input.len) == 1)
		failed = algorithm->ecdsa_number
				 ? append_ecdsa(to, signature, len, algorithm->ecdsa_number)
				 : buf_append_bytes(to, signature, len);
	EVP_MD_CTX_free(digest);
	ERR_clear_error();
	if (failed)
		return err_set(err, ERR_INTERNAL, "a token could not be signed");
	return 0;
}
