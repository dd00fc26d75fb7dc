/* The arithmetic of JWS: hashing, verifying and signing with contexts that are prepared once. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/mem.h"
#include "parse/jwk_internal.h"
#include "parse/jws_internal.h"

#define SLOTS 32
#define DER_BYTES_MAX (4 + 2 * (2 + 67))
#define KID_TRIES_MAX 8

/* A context set up for a key and an algorithm; it holds a reference on the key. */
struct slot {
	const EVP_PKEY *key;
	unsigned algorithm;
	bool signs;
	EVP_PKEY_CTX *ctx;
};

enum hash { HASH_256, HASH_384, HASH_512, HASHES };

struct jws_context {
	EVP_MD *hashes[HASHES];
	EVP_MD_CTX *digest;
	EVP_MD_CTX *eddsa;
	EVP_MAC *mac;
	EVP_MAC_CTX *hmac;
	struct slot slots[SLOTS];
	size_t next_slot;
};

static const char *const hash_names[HASHES] = {"SHA256", "SHA384", "SHA512"};

static enum hash hash_of(unsigned algorithm)
{
	if (algorithm & (JWS_RS256 | JWS_PS256 | JWS_ES256 | JWS_HS256))
		return HASH_256;
	return algorithm & (JWS_RS384 | JWS_PS384 | JWS_ES384 | JWS_HS384) ? HASH_384
									   : HASH_512;
}

struct jws_context *jws_context_new(struct err *err)
{
	struct jws_context *c = mem_zalloc(1, sizeof(*c));
	bool complete = c != NULL;

	if (!c) {
		err_set(err, ERR_MEMORY, "out of memory for a signature context");
		return NULL;
	}
	ERR_clear_error();
	for (size_t i = 0; i < HASHES; i++) {
		c->hashes[i] = EVP_MD_fetch(NULL, hash_names[i], NULL);
		complete = complete && c->hashes[i];
	}
	c->digest = EVP_MD_CTX_new();
	c->eddsa = EVP_MD_CTX_new();
	c->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	c->hmac = c->mac ? EVP_MAC_CTX_new(c->mac) : NULL;
	if (complete && c->digest && c->eddsa && c->hmac)
		return c;
	jwk_openssl_error(err, "cannot set up signature algorithms");
	jws_context_free(c);
	return NULL;
}

void jws_context_free(struct jws_context *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		EVP_PKEY_CTX_free(c->slots[i].ctx);
	EVP_MAC_CTX_free(c->hmac);
	EVP_MAC_free(c->mac);
	EVP_MD_CTX_free(c->eddsa);
	EVP_MD_CTX_free(c->digest);
	for (size_t i = 0; i < HASHES; i++)
		EVP_MD_free(c->hashes[i]);
	mem_free(c);
}

/* The hash's length, or 0. */
static size_t hash_text(struct jws_context *c, enum hash hash, struct span text, uint8_t *to)
{
	unsigned len = 0;

	if (!EVP_DigestInit_ex2(c->digest, c->hashes[hash], NULL) ||
	    !EVP_DigestUpdate(c->digest, text.ptr, text.len) ||
	    !EVP_DigestFinal_ex(c->digest, to, &len))
		return 0;
	return len;
}

bool jws_sha256(struct jws_context *c, struct span text, uint8_t digest[32])
{
	bool done = hash_text(c, HASH_256, text, digest) == 32;

	if (!done)
		ERR_clear_error();
	return done;
}

static bool set_up(struct jws_context *c, EVP_PKEY_CTX *ctx, unsigned algorithm, bool signs)
{
	const EVP_MD *md = c->hashes[hash_of(algorithm)];
	bool pss = algorithm & (JWS_PS256 | JWS_PS384 | JWS_PS512);

	if ((signs ? EVP_PKEY_sign_init(ctx) : EVP_PKEY_verify_init(ctx)) <= 0)
		return false;
	if ((algorithm & JWS_RSA_ALL) &&
	    EVP_PKEY_CTX_set_rsa_padding(ctx,
					 pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) <= 0)
		return false;
	if (EVP_PKEY_CTX_set_signature_md(ctx, md) <= 0)
		return false;
	/* RFC 7518 section 3.5: the same hash in MGF1, and a salt as long as the hash. */
	return !pss || (EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) > 0 &&
			EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) > 0);
}

/* Keys for verifying were examined when they were read. */
static bool may_sign(EVP_PKEY *key, unsigned algorithm)
{
	struct jwk_traits traits;

	return !jwk_examine(key, &traits) && (traits.algorithms & algorithm);
}

/* The prepared context, made when it is not there; NULL when OpenSSL fails or it may not sign. */
static EVP_PKEY_CTX *prepared(struct jws_context *c, EVP_PKEY *key, unsigned algorithm,
			      bool signs)
{
	struct slot *slot;
	EVP_PKEY_CTX *ctx;

	for (size_t i = 0; i < SLOTS; i++) {
		slot = &c->slots[i];
		if (slot->key == key && slot->algorithm == algorithm && slot->signs == signs)
			return slot->ctx;
	}
	if (signs && !may_sign(key, algorithm))
		return NULL;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (!ctx || !set_up(c, ctx, algorithm, signs)) {
		EVP_PKEY_CTX_free(ctx);
		return NULL;
	}
	slot = &c->slots[c->next_slot++ % SLOTS];
	EVP_PKEY_CTX_free(slot->ctx);
	*slot = (struct slot){key, algorithm, signs, ctx};
	return ctx;
}

/* ---- ECDSA: r and s side by side (RFC 7518 section 3.4), or in DER as OpenSSL has them ---- */

static uint8_t *put_integer(uint8_t *to, const uint8_t *bytes, size_t len)
{
	size_t sign;

	for (; len > 1 && bytes[0] == 0; len--)
		bytes++;
	sign = bytes[0] & 0x80 ? 1 : 0;
	*to++ = 0x02;
	*to++ = (uint8_t)(len + sign);
	if (sign)
		*to++ = 0;
	memcpy(to, bytes, len);
	return to + len;
}

static size_t der_from_raw(uint8_t to[DER_BYTES_MAX], struct span raw)
{
	const uint8_t *bytes = (const uint8_t *)raw.ptr;
	uint8_t body[2 * (2 + 67)];
	uint8_t *end = put_integer(body, bytes, raw.len / 2);
	uint8_t *start = to;
	size_t len;

	end = put_integer(end, bytes + raw.len / 2, raw.len / 2);
	len = (size_t)(end - body);
	*to++ = 0x30;
	if (len >= 0x80)
		*to++ = 0x81;
	*to++ = (uint8_t)len;
	memcpy(to, body, len);
	return (size_t)(to - start) + len;
}

/* Moves on past an INTEGER and writes it `width` bytes wide. */
static bool take_integer(const uint8_t **der, const uint8_t *end, uint8_t *to, size_t width)
{
	const uint8_t *at = *der;
	size_t len;

	if (end - at < 2 || at[0] != 0x02 || at[1] >= 0x80 || at[1] > end - at - 2)
		return false;
	len = at[1];
	at += 2;
	*der = at + len;
	for (; len > 0 && at[0] == 0; len--)
		at++;
	if (len > width)
		return false;
	memset(to, 0, width - len);
	memcpy(to + width - len, at, len);
	return true;
}

static bool raw_from_der(uint8_t *to, size_t width, const uint8_t *der, size_t len)
{
	const uint8_t *end = der + len;
	size_t head = len > 1 && der[1] == 0x81 ? 3 : 2;

	if (len < head || der[0] != 0x30)
		return false;
	der += head;
	return take_integer(&der, end, to, width) &&
	       take_integer(&der, end, to + width, width) && der == end;
}

/* ---- verifying ---- */

static enum jws_result verify_eddsa(struct jws_context *c, const struct jwk *key,
				    struct span input, struct span signature)
{
	/* Without the reset, OpenSSL 3 stays with the key of the last time. */
	if (!EVP_MD_CTX_reset(c->eddsa) ||
	    EVP_DigestVerifyInit(c->eddsa, NULL, NULL, NULL, key->key) <= 0)
		return JWS_NO_MEMORY;
	return EVP_DigestVerify(c->eddsa, (const uint8_t *)signature.ptr, signature.len,
				(const uint8_t *)input.ptr, input.len) == 1
		       ? JWS_OK
		       : JWS_BAD_SIGNATURE;
}

/* The MAC's length, or 0. */
static size_t hmac(struct jws_context *c, unsigned algorithm, struct span secret,
		   struct span input, uint8_t mac[EVP_MAX_MD_SIZE])
{
	char hash[16];
	size_t len = 0;
	OSSL_PARAM params[2] = {OSSL_PARAM_END, OSSL_PARAM_END};

	snprintf(hash, sizeof(hash), "%s", hash_names[hash_of(algorithm)]);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, hash, 0);
	if (!EVP_MAC_init(c->hmac, (const uint8_t *)secret.ptr, secret.len, params) ||
	    !EVP_MAC_update(c->hmac, (const uint8_t *)input.ptr, input.len) ||
	    !EVP_MAC_final(c->hmac, mac, &len, EVP_MAX_MD_SIZE))
		return 0;
	return len;
}

static enum jws_result verify_hmac(struct jws_context *c, const struct jwk *key,
				   unsigned algorithm, struct span input, struct span signature)
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	size_t len = hmac(c, algorithm, secret_span(&key->secret), input, mac);

	if (!len)
		return JWS_NO_MEMORY;
	return secret_eq(span_of(mac, len), signature) ? JWS_OK : JWS_BAD_SIGNATURE;
}

static enum jws_result verify_hashed(struct jws_context *c, const struct jwk *key,
				     unsigned algorithm, struct span input,
				     struct span signature)
{
	EVP_PKEY_CTX *ctx = prepared(c, key->key, algorithm, false);
	uint8_t hash[EVP_MAX_MD_SIZE];
	uint8_t der[DER_BYTES_MAX];
	size_t len = hash_text(c, hash_of(algorithm), input, hash);

	if (!ctx || !len)
		return JWS_NO_MEMORY;
	if (key->type == JWK_EC)
		signature = span_of(der, der_from_raw(der, signature));
	return EVP_PKEY_verify(ctx, (const uint8_t *)signature.ptr, signature.len, hash, len) ==
			       1
		       ? JWS_OK
		       : JWS_BAD_SIGNATURE;
}

enum jws_result jws_verify_key(struct jws_context *c, const struct jwk *key, unsigned algorithm,
			       struct span signing_input, struct span signature)
{
	enum jws_result result;

	if (!(key->algorithms & algorithm) || !jws_algorithm_name(algorithm))
		return JWS_DENIED_ALGORITHM;
	if (key->type != JWK_OCT && signature.len != key->signature_bytes)
		return JWS_BAD_SIGNATURE;
	ERR_clear_error();
	if (key->type == JWK_OCT)
		result = verify_hmac(c, key, algorithm, signing_input, signature);
	else if (key->type == JWK_OKP)
		result = verify_eddsa(c, key, signing_input, signature);
	else
		result = verify_hashed(c, key, algorithm, signing_input, signature);
	if (result != JWS_OK)
		ERR_clear_error();
	return result;
}

enum jws_result jws_verify_set(struct jws_context *c, const struct jwk_set *set,
			       unsigned algorithm, struct span kid, struct span signing_input,
			       struct span signature)
{
	enum jws_result result = JWS_UNKNOWN_KEY;
	const struct jwk *key = NULL;

	for (unsigned tries = 0; tries < KID_TRIES_MAX; tries++) {
		key = jwk_set_next(set, key, algorithm, kid);
		if (!key)
			break;
		result = jws_verify_key(c, key, algorithm, signing_input, signature);
		if (result != JWS_BAD_SIGNATURE)
			break;
	}
	return result;
}

/* ---- signing ---- */

/* RFC 7518 section 3.2: as long as the hash. */
static size_t hmac_secret_min(unsigned algorithm)
{
	if (algorithm == JWS_HS256)
		return 32;
	return algorithm == JWS_HS384 ? 48 : 64;
}

static size_t ecdsa_width(unsigned algorithm)
{
	if (algorithm == JWS_ES256)
		return 32;
	return algorithm == JWS_ES384 ? 48 : 66;
}

static size_t sign_hashed(struct jws_context *c, const struct jws_signer *signer,
			  struct span input, uint8_t to[JWS_SIGNATURE_BYTES_MAX])
{
	EVP_PKEY_CTX *ctx = prepared(c, signer->key, signer->algorithm, true);
	uint8_t hash[EVP_MAX_MD_SIZE];
	size_t hash_len = hash_text(c, hash_of(signer->algorithm), input, hash);
	size_t len = JWS_SIGNATURE_BYTES_MAX;
	uint8_t der[DER_BYTES_MAX + 8];
	size_t width = ecdsa_width(signer->algorithm);

	if (!ctx || !hash_len)
		return 0;
	if (signer->algorithm & JWS_RSA_ALL)
		return EVP_PKEY_sign(ctx, to, &len, hash, hash_len) == 1 ? len : 0;
	len = sizeof(der);
	if (EVP_PKEY_sign(ctx, der, &len, hash, hash_len) != 1 ||
	    !raw_from_der(to, width, der, len))
		return 0;
	return 2 * width;
}

size_t jws_sign_bytes(struct jws_context *c, const struct jws_signer *signer, struct span input,
		      uint8_t to[JWS_SIGNATURE_BYTES_MAX])
{
	size_t len = JWS_SIGNATURE_BYTES_MAX;

	ERR_clear_error();
	if (!jws_algorithm_name(signer->algorithm))
		return 0;
	if ((signer->algorithm & JWS_HMAC_ALL) &&
	    signer->secret.len < hmac_secret_min(signer->algorithm))
		return 0;
	if (signer->algorithm & JWS_HMAC_ALL)
		return hmac(c, signer->algorithm, signer->secret, input, to);
	if (signer->algorithm != JWS_EDDSA)
		return sign_hashed(c, signer, input, to);
	if (!EVP_PKEY_is_a(signer->key, "ED25519") && !EVP_PKEY_is_a(signer->key, "ED448"))
		return 0;
	if (!EVP_MD_CTX_reset(c->eddsa) ||
	    EVP_DigestSignInit(c->eddsa, NULL, NULL, NULL, signer->key) <= 0 ||
	    EVP_DigestSign(c->eddsa, to, &len, (const uint8_t *)input.ptr, input.len) != 1)
		return 0;
	return len;
}
