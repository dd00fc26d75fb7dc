/* One key: what it is, whether it is fit for use, and how it is written. */
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "parse/base64.h"
#include "parse/jwk_internal.h"

#define RSA_BYTES_MAX (JWK_RSA_BITS_MAX / 8)

static const struct jwk_curve curves[] = {
	{"P-256", "prime256v1", 32, JWS_ES256},
	{"P-384", "secp384r1", 48, JWS_ES384},
	{"P-521", "secp521r1", 66, JWS_ES512},
};

static const struct {
	char name[8];
	unsigned algorithm;
} algorithms[] = {
	{"RS256", JWS_RS256}, {"RS384", JWS_RS384}, {"RS512", JWS_RS512}, {"PS256", JWS_PS256},
	{"PS384", JWS_PS384}, {"PS512", JWS_PS512}, {"ES256", JWS_ES256}, {"ES384", JWS_ES384},
	{"ES512", JWS_ES512}, {"EdDSA", JWS_EDDSA}, {"HS256", JWS_HS256}, {"HS384", JWS_HS384},
	{"HS512", JWS_HS512},
};

unsigned jws_algorithm_parse(struct span name)
{
	for (size_t i = 0; i < COUNT_OF(algorithms); i++)
		if (span_eq(span_cstr(algorithms[i].name), name))
			return algorithms[i].algorithm;
	return 0;
}

const char *jws_algorithm_name(unsigned algorithm)
{
	for (size_t i = 0; i < COUNT_OF(algorithms); i++)
		if (algorithms[i].algorithm == algorithm)
			return algorithms[i].name;
	return NULL;
}

const struct jwk_curve *jwk_curve_by_name(struct span name)
{
	for (size_t i = 0; i < COUNT_OF(curves); i++)
		if (span_eq(span_cstr(curves[i].name), name))
			return &curves[i];
	return NULL;
}

int jwk_openssl_error(struct err *err, const char *what)
{
	unsigned long code = ERR_peek_last_error();
	const char *reason = ERR_reason_error_string(code);
	bool memory = ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;

	err_set(err, memory ? ERR_MEMORY : ERR_INVALID, "%s%s%s", what, reason ? ": " : "",
		reason ? reason : "");
	ERR_clear_error();
	return -1;
}

/*
 * Keys made by a widely used chip library around 2012 to 2017 can be factored: their modulus is a
 * power of 65537 modulo each small prime (Nemec et al., "The Return of Coppersmith's Attack",
 * 2017). Other moduli are so for all these primes with a chance below 2^-27.
 */
static bool roca_weak(const BIGNUM *modulus)
{
	static const unsigned char primes[] = {
		3,   5,	  7,   11,  13,	 17,  19,  23,	29,  31,  37,  41,  43,
		47,  53,  59,  61,  67,	 71,  73,  79,	83,  89,  97,  101, 103,
		107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
	};

	for (size_t i = 0; i < COUNT_OF(primes); i++) {
		unsigned prime = primes[i];
		BN_ULONG rest = BN_mod_word(modulus, prime);
		unsigned power = 1;

		do
			power = power * (65537 % prime) % prime;
		while (power != rest && power != 1);
		if (power != rest)
			return false;
	}
	return true;
}

static const char *examine_rsa(EVP_PKEY *key, struct jwk_traits *traits)
{
	int bits = EVP_PKEY_get_bits(key);
	BIGNUM *n = NULL;
	BIGNUM *e = NULL;
	const char *fault = NULL;

	if (bits < JWK_RSA_BITS_MIN || bits > JWK_RSA_BITS_MAX)
		return "RSA modulus below 2048 or above 8192 bits";
	if (!EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) ||
	    !EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e))
		fault = "RSA key without parameters";
	else if (!BN_is_odd(e) || BN_num_bits(e) < 2 || BN_num_bits(e) > 32)
		fault = "RSA exponent even, below 3 or above 32 bits";
	else if (!BN_is_odd(n))
		fault = "RSA modulus even";
	else if (roca_weak(n))
		fault = "RSA modulus with the ROCA weakness";
	BN_free(n);
	BN_free(e);
	traits->type = JWK_RSA;
	traits->algorithms = JWS_RSA_ALL;
	traits->signature_bytes = (size_t)(bits + 7) / 8;
	return fault;
}

static const char *examine_ec(EVP_PKEY *key, struct jwk_traits *traits)
{
	char group[64];
	EVP_PKEY_CTX *ctx;
	bool on_curve;

	if (!EVP_PKEY_get_group_name(key, group, sizeof(group), NULL))
		return "EC key without a named curve";
	for (size_t i = 0; i < COUNT_OF(curves); i++) {
		if (strcmp(curves[i].group, group) != 0)
			continue;
		traits->type = JWK_EC;
		traits->algorithms = curves[i].algorithm;
		traits->coordinate_bytes = curves[i].coordinate_bytes;
		traits->signature_bytes = 2 * curves[i].coordinate_bytes;
		traits->curve = curves[i].name;
	}
	if (!traits->curve)
		return "EC key on another curve than P-256, P-384 and P-521";
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	on_curve = ctx && EVP_PKEY_public_check(ctx) == 1;
	EVP_PKEY_CTX_free(ctx);
	return on_curve ? NULL : "EC point not on its curve";
}

const char *jwk_examine(EVP_PKEY *key, struct jwk_traits *traits)
{
	*traits = (struct jwk_traits){.type = JWK_OKP};
	if (EVP_PKEY_is_a(key, "RSA"))
		return examine_rsa(key, traits);
	if (EVP_PKEY_is_a(key, "EC"))
		return examine_ec(key, traits);
	traits->algorithms = JWS_EDDSA;
	if (EVP_PKEY_is_a(key, "ED25519")) {
		traits->curve = "Ed25519";
		traits->signature_bytes = 64;
		return NULL;
	}
	if (EVP_PKEY_is_a(key, "ED448")) {
		traits->curve = "Ed448";
		traits->signature_bytes = 114;
		return NULL;
	}
	return "key of an unsupported type";
}

unsigned jwk_algorithms(EVP_PKEY *key)
{
	struct jwk_traits traits;
	const char *fault = jwk_examine(key, &traits);

	ERR_clear_error();
	return fault ? 0 : traits.algorithms;
}

unsigned jwk_default_algorithm(EVP_PKEY *key)
{
	unsigned all = jwk_algorithms(key);

	/* The lowest bit: RS256 for RSA, and other keys have one only. */
	return all & -all;
}

EVP_PKEY *jwk_generate(unsigned algorithm, struct err *err)
{
	EVP_PKEY *key = NULL;

	ERR_clear_error();
	if (algorithm & JWS_RSA_ALL)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	else if (algorithm == JWS_EDDSA)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	for (size_t i = 0; i < COUNT_OF(curves) && !key; i++)
		if (curves[i].algorithm == algorithm)
			key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curves[i].name);
	if (!key)
		jwk_openssl_error(err, "cannot make a key");
	return key;
}

/* A pass phrase is never asked for on a terminal. */
static int no_pass_phrase(char *to, int size, int for_writing, void *user)
{
	(void)to;
	(void)size;
	(void)for_writing;
	(void)user;
	return -1;
}

EVP_PKEY *jwk_private_from_pem(struct span pem, struct err *err)
{
	struct jwk_traits traits;
	EVP_PKEY *key = NULL;
	const char *fault;
	BIO *bio;

	ERR_clear_error();
	bio = pem.len <= 1 << 20 ? BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
	if (bio)
		key = PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, NULL);
	BIO_free(bio);
	if (!key) {
		jwk_openssl_error(err, "no unencrypted PEM private key");
		return NULL;
	}
	fault = jwk_examine(key, &traits);
	ERR_clear_error();
	if (!fault)
		return key;
	err_set(err, ERR_INVALID, "%s", fault);
	EVP_PKEY_free(key);
	return NULL;
}

static int take_pem(BIO *bio, bool written, struct buf *to, struct err *err)
{
	char *pem = NULL;
	long len = written ? BIO_get_mem_data(bio, &pem) : 0;
	int result = 0;

	if (len <= 0)
		result = jwk_openssl_error(err, "cannot write the key as PEM");
	else if (buf_append_bytes(to, pem, (size_t)len) < 0)
		result = err_set(err, ERR_MEMORY, "no room for the key as PEM");
	BIO_free(bio);
	return result;
}

int jwk_private_to_pem(EVP_PKEY *key, struct buf *to, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_secmem());
	bool written =
		bio && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);

	return take_pem(bio, written, to, err);
}

int jwk_public_to_pem(EVP_PKEY *key, struct buf *to, struct err *err)
{
	BIO *bio = BIO_new(BIO_s_mem());

	return take_pem(bio, bio && PEM_write_bio_PUBKEY(bio, key), to, err);
}

/* ---- writing ---- */

static int member_bytes(struct json_writer *w, struct span name, const unsigned char *bytes,
			size_t len)
{
	char text[(RSA_BYTES_MAX + 2) / 3 * 4];

	json_member_string(w, name, span_of(text, base64url_encode(text, span_of(bytes, len))));
	return 0;
}

/* A number of the key; `width` 0: as few bytes as it takes (RFC 7518 section 2). */
static int member_number(struct json_writer *w, struct span name, EVP_PKEY *key,
			 const char *param, size_t width, struct err *err)
{
	unsigned char bytes[RSA_BYTES_MAX];
	BIGNUM *number = NULL;
	int len = -1;

	if (EVP_PKEY_get_bn_param(key, param, &number)) {
		len = width ? (int)width : BN_num_bytes(number);
		if (len > RSA_BYTES_MAX || BN_bn2binpad(number, bytes, len) != len)
			len = -1;
	}
	BN_free(number);
	if (len < 0)
		return jwk_openssl_error(err, "cannot read the public key");
	return member_bytes(w, name, bytes, (size_t)len);
}

/* The required members in the order of RFC 7638 section 3.2. */
static int write_members(struct json_writer *w, EVP_PKEY *key, const struct jwk_traits *traits,
			 struct err *err)
{
	unsigned char raw[64];
	size_t len = sizeof(raw);

	if (traits->type == JWK_RSA) {
		if (member_number(w, SPAN("e"), key, OSSL_PKEY_PARAM_RSA_E, 0, err) < 0)
			return -1;
		json_member_string(w, SPAN("kty"), SPAN("RSA"));
		return member_number(w, SPAN("n"), key, OSSL_PKEY_PARAM_RSA_N, 0, err);
	}
	json_member_string(w, SPAN("crv"), span_cstr(traits->curve));
	if (traits->type == JWK_EC) {
		json_member_string(w, SPAN("kty"), SPAN("EC"));
		if (member_number(w, SPAN("x"), key, OSSL_PKEY_PARAM_EC_PUB_X,
				  traits->coordinate_bytes, err) < 0)
			return -1;
		return member_number(w, SPAN("y"), key, OSSL_PKEY_PARAM_EC_PUB_Y,
				     traits->coordinate_bytes, err);
	}
	json_member_string(w, SPAN("kty"), SPAN("OKP"));
	if (!EVP_PKEY_get_raw_public_key(key, raw, &len))
		return jwk_openssl_error(err, "cannot read the public key");
	return member_bytes(w, SPAN("x"), raw, len);
}

static int examine_or_fail(EVP_PKEY *key, struct jwk_traits *traits, struct err *err)
{
	const char *fault = jwk_examine(key, traits);

	ERR_clear_error();
	return fault ? err_set(err, ERR_INVALID, "%s", fault) : 0;
}

int jwk_thumbprint(EVP_PKEY *key, char to[JWK_THUMBPRINT_CHARS], struct err *err)
{
	unsigned char hash[32];
	struct jwk_traits traits;
	struct json_writer w;
	struct buf text;
	int result = -1;

	if (examine_or_fail(key, &traits, err) < 0)
		return -1;
	buf_init(&text, 4 * RSA_BYTES_MAX);
	json_writer_init(&w, &text);
	json_begin_object(&w);
	result = write_members(&w, key, &traits, err);
	json_end_object(&w);
	if (result == 0 && buf_failed(&text))
		result = err_set(err, ERR_MEMORY, "out of memory for a thumbprint");
	if (result == 0 && !EVP_Q_digest(NULL, "SHA256", NULL, text.ptr, text.len, hash, NULL))
		result = jwk_openssl_error(err, "cannot hash");
	if (result == 0)
		base64url_encode(to, span_of(hash, sizeof(hash)));
	buf_release(&text);
	return result;
}

int jwk_write_public(struct json_writer *w, EVP_PKEY *key, struct span kid, unsigned algorithm,
		     struct err *err)
{
	struct jwk_traits traits;

	if (examine_or_fail(key, &traits, err) < 0)
		return -1;
	json_begin_object(w);
	if (write_members(w, key, &traits, err) < 0)
		return -1;
	json_member_string(w, SPAN("use"), SPAN("sig"));
	if (algorithm)
		json_member_string(w, SPAN("alg"), span_cstr(jws_algorithm_name(algorithm)));
	if (kid.len)
		json_member_string(w, SPAN("kid"), kid);
	json_end_object(w);
	if (buf_failed(w->to))
		return err_set(err, ERR_MEMORY, "no room for a key");
	return 0;
}
