#include "identity/jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base/mem.h"
#include "identity/jws.h"
#include "parse/base64.h"

/* A number of an RSA key of 8192 bits, and then some. */
#define NUMBER_BYTES_MAX ((size_t)1100)

struct number {
	unsigned char bytes[NUMBER_BYTES_MAX];
	size_t len;
};

static bool read_number(const struct json *object, struct span name, struct number *number)
{
	struct span text;

	return json_string(json_get(object, name), &text) && text.len &&
	       base64_decoded_max(text.len) <= sizeof(number->bytes) &&
	       base64url_decode(number->bytes, &number->len, text) && number->len;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *build)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *read_rsa(const struct json *object)
{
	struct number n;
	struct number e;
	OSSL_PARAM_BLD *build;
	BIGNUM *big_n;
	BIGNUM *big_e;
	EVP_PKEY *key = NULL;

	if (!read_number(object, SPAN("n"), &n) || !read_number(object, SPAN("e"), &e))
		return NULL;
	build = OSSL_PARAM_BLD_new();
	big_n = BN_bin2bn(n.bytes, (int)n.len, NULL);
	big_e = BN_bin2bn(e.bytes, (int)e.len, NULL);
	/* An exponent of more than 64 bits would only cost time; 1 and even ones are broken. */
	if (build && big_n && big_e && BN_is_odd(big_n) && BN_is_odd(big_e) &&
	    !BN_is_one(big_e) && BN_num_bits(big_e) <= 64 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, big_n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, big_e) == 1)
		key = from_params("RSA", build);
	BN_free(big_n);
	BN_free(big_e);
	OSSL_PARAM_BLD_free(build);
	return key;
}

struct curve {
	struct span name; /* in JWK */
	const char *group; /* in OpenSSL */
	size_t bytes;
};

static const struct curve curves[] = {
	{SPAN_INIT("P-256"), "prime256v1", 32},
	{SPAN_INIT("P-384"), "secp384r1", 48},
	{SPAN_INIT("P-521"), "secp521r1", 66},
};

static const struct curve *read_curve(const struct json *object)
{
	for (size_t i = 0; i < COUNT_OF(curves); i++) {
		if (json_is(json_get(object, SPAN("crv")), curves[i].name))
			return &curves[i];
	}
	return NULL;
}

static bool is_on_curve(EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool good = ctx && EVP_PKEY_public_check(ctx) == 1;

	EVP_PKEY_CTX_free(ctx);
	return good;
}

static EVP_PKEY *read_ec(const struct json *object)
{
	const struct curve *curve = read_curve(object);
	unsigned char point[1 + 2 * 66] = {0x04};
	struct number x;
	struct number y;
	OSSL_PARAM_BLD *build;
	EVP_PKEY *key = NULL;

	/* RFC 7518 section 6.2.1.2: of the curve's full size. */
	if (!curve || !read_number(object, SPAN("x"), &x) ||
	    !read_number(object, SPAN("y"), &y) || x.len != curve->bytes ||
	    y.len != curve->bytes)
		return NULL;
	memcpy(point + 1, x.bytes, curve->bytes);
	memcpy(point + 1 + curve->bytes, y.bytes, curve->bytes);
	build = OSSL_PARAM_BLD_new();
	if (build &&
	    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curve->group,
					    0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
					     1 + 2 * curve->bytes) == 1)
		key = from_params("EC", build);
	OSSL_PARAM_BLD_free(build);
	if (key && !is_on_curve(key)) {
		EVP_PKEY_free(key);
		key = NULL;
	}
	return key;
}

static EVP_PKEY *read_okp(const struct json *object)
{
	struct number x;

	if (!json_is(json_get(object, SPAN("crv")), SPAN("Ed25519")) ||
	    !read_number(object, SPAN("x"), &x) || x.len != 32)
		return NULL;
	return EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, x.bytes, x.len);
}

/* RFC 7517 sections 4.2 to 4.4: what the key's owner says it is for. */
static unsigned allowed_algorithms(const struct json *object)
{
	const struct json *use = json_get(object, SPAN("use"));
	const struct json *ops = json_get(object, SPAN("key_ops"));
	const struct json *alg = json_get(object, SPAN("alg"));
	unsigned allowed = 0;

	if (use && !json_is(use, SPAN("sig")))
		return 0;
	if (ops) {
		bool verify = false;

		for (size_t i = 0; ops->type == JSON_ARRAY && i < ops->array.count; i++)
			verify = verify || json_is(&ops->array.items[i], SPAN("verify"));
		if (!verify)
			return 0;
	}
	if (!alg)
		return ~0u;
	for (unsigned bit = CONFIG_JWS_RS256; bit <= CONFIG_JWS_EDDSA; bit <<= 1) {
		if (json_is(alg, span_cstr(config_jws_name(bit))))
			allowed = bit;
	}
	return allowed;
}

/* OpenSSL tells us of too little memory only through its error queue. */
static enum jwk_result failure(void)
{
	unsigned long error;
	enum jwk_result result = JWK_UNUSABLE;

	while ((error = ERR_get_error())) {
		if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
			result = JWK_NO_MEMORY;
	}
	return result;
}

enum jwk_result jwk_read(const struct json *object, struct jwk *jwk)
{
	const struct json *kty = json_get(object, SPAN("kty"));
	const struct json *kid = json_get(object, SPAN("kid"));

	*jwk = (struct jwk){.kid = SPAN_NONE};
	if (kid && !json_string(kid, &jwk->kid))
		return JWK_UNUSABLE;
	ERR_clear_error();
	if (json_is(kty, SPAN("RSA")))
		jwk->key = read_rsa(object);
	else if (json_is(kty, SPAN("EC")))
		jwk->key = read_ec(object);
	else if (json_is(kty, SPAN("OKP")))
		jwk->key = read_okp(object);
	if (!jwk->key)
		return failure();
	jwk->algorithms = jws_key_algorithms(jwk->key) & allowed_algorithms(object);
	if (jwk->algorithms)
		return JWK_OK;
	EVP_PKEY_free(jwk->key);
	jwk->key = NULL;
	return JWK_UNUSABLE;
}

static int append_bytes(struct buf *to, const unsigned char *bytes, size_t len)
{
	char text[NUMBER_BYTES_MAX * 4 / 3 + 4];

	return buf_append_bytes(to, text, base64url_encode(text, span_of(bytes, len)));
}

/* size 0: without leading zeros. */
static int append_number(EVP_PKEY *key, const char *name, size_t size, struct buf *to)
{
	unsigned char bytes[NUMBER_BYTES_MAX];
	BIGNUM *number = NULL;
	int failed = -1;

	if (EVP_PKEY_get_bn_param(key, name, &number) == 1) {
		int len = size ? (int)size : BN_num_bytes(number);

		if (len <= (int)sizeof(bytes) && BN_bn2binpad(number, bytes, len) == len)
			failed = append_bytes(to, bytes, (size_t)len);
	}
	BN_free(number);
	return failed;
}

static int write_ec(EVP_PKEY *key, struct buf *to)
{
	char group[32] = "";
	size_t len;

	if (EVP_PKEY_get_group_name(key, group, sizeof(group), &len) != 1)
		return -1;
	for (size_t i = 0; i < COUNT_OF(curves); i++) {
		if (!span_eq(span_cstr(group), span_cstr(curves[i].group)))
			continue;
		buf_printf(to, "{\"crv\":\"%s\",\"kty\":\"EC\",\"x\":\"", curves[i].name.ptr);
		if (append_number(key, OSSL_PKEY_PARAM_EC_PUB_X, curves[i].bytes, to) < 0)
			return -1;
		buf_append_cstr(to, "\",\"y\":\"");
		if (append_number(key, OSSL_PKEY_PARAM_EC_PUB_Y, curves[i].bytes, to) < 0)
			return -1;
		return buf_append_cstr(to, "\"}");
	}
	return -1;
}

int jwk_write(EVP_PKEY *key, struct buf *to)
{
	unsigned char raw[32];
	size_t len = sizeof(raw);

	if (EVP_PKEY_is_a(key, "EC"))
		return write_ec(key, to);
	if (EVP_PKEY_is_a(key, "RSA")) {
		buf_append_cstr(to, "{\"e\":\"");
		if (append_number(key, OSSL_PKEY_PARAM_RSA_E, 0, to) < 0)
			return -1;
		buf_append_cstr(to, "\",\"kty\":\"RSA\",\"n\":\"");
		if (append_number(key, OSSL_PKEY_PARAM_RSA_N, 0, to) < 0)
			return -1;
		return buf_append_cstr(to, "\"}");
	}
	if (!EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_get_raw_public_key(key, raw, &len) != 1)
		return -1;
	buf_append_cstr(to, "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"");
	append_bytes(to, raw, len);
	return buf_append_cstr(to, "\"}");
}
