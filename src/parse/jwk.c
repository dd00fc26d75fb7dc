/* Key sets: documents and PEM files into validated keys. */
#include "parse/jwk.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/mem.h"
#include "parse/base64.h"
#include "parse/json.h"
#include "parse/jwk_internal.h"

#define DOCUMENT_BYTES_MAX ((size_t)4 << 20)
#define NUMBER_BYTES_MAX (JWK_RSA_BITS_MAX / 8 + 1)

/* Reading one key. A fault leaves the key out; `memory` ends the whole. */
struct reading {
	const struct json *object;
	const struct jwk_options *options;
	const char *fault;
	bool memory;
};

static bool faulty(struct reading *r, const char *fault)
{
	r->fault = fault;
	return false;
}

static bool no_memory(struct reading *r)
{
	r->memory = true;
	return faulty(r, "out of memory");
}

/* A base64url member of at most `max` bytes. */
static bool read_bytes(struct reading *r, struct span name, unsigned char *to, size_t max,
		       size_t *len)
{
	unsigned char decoded[NUMBER_BYTES_MAX + 4];
	struct span text;

	if (!json_string(json_get(r->object, name), &text))
		return faulty(r, "required member missing");
	if (base64_decoded_max(text.len) > sizeof(decoded) ||
	    !base64url_decode(decoded, len, text) || *len > max)
		return faulty(r, "member too long or not base64url");
	memcpy(to, decoded, *len);
	secret_wipe(decoded, *len);
	return true;
}

static bool make_key(struct reading *r, const char *type, OSSL_PARAM_BLD *build, EVP_PKEY **key)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	bool made = params && ctx && EVP_PKEY_fromdata_init(ctx) > 0;

	if (!made)
		no_memory(r);
	else if (EVP_PKEY_fromdata(ctx, key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
		made = faulty(r, "not a valid public key");
	EVP_PKEY_CTX_free(ctx);
	OSSL_PARAM_free(params);
	return made;
}

static bool read_rsa(struct reading *r, EVP_PKEY **key)
{
	unsigned char n_bytes[NUMBER_BYTES_MAX];
	unsigned char e_bytes[8];
	size_t n_len;
	size_t e_len;
	OSSL_PARAM_BLD *build;
	BIGNUM *n;
	BIGNUM *e;
	bool made = false;

	if (!read_bytes(r, SPAN("n"), n_bytes, sizeof(n_bytes), &n_len) ||
	    !read_bytes(r, SPAN("e"), e_bytes, sizeof(e_bytes), &e_len))
		return false;
	build = OSSL_PARAM_BLD_new();
	n = BN_bin2bn(n_bytes, (int)n_len, NULL);
	e = BN_bin2bn(e_bytes, (int)e_len, NULL);
	if (build && n && e && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e))
		made = make_key(r, "RSA", build, key);
	else
		no_memory(r);
	BN_free(n);
	BN_free(e);
	OSSL_PARAM_BLD_free(build);
	return made;
}

static bool read_ec(struct reading *r, EVP_PKEY **key)
{
	const struct jwk_curve *curve;
	unsigned char point[1 + 2 * 66];
	OSSL_PARAM_BLD *build;
	struct span name;
	size_t x_len;
	size_t y_len;
	size_t width;
	bool made = false;

	if (!json_string(json_get(r->object, SPAN("crv")), &name))
		return faulty(r, "required member missing");
	curve = jwk_curve_by_name(name);
	if (!curve)
		return faulty(r, "unsupported curve");
	width = curve->coordinate_bytes;
	point[0] = POINT_CONVERSION_UNCOMPRESSED;
	if (!read_bytes(r, SPAN("x"), point + 1, width, &x_len) ||
	    !read_bytes(r, SPAN("y"), point + 1 + width, width, &y_len))
		return false;
	/* RFC 7518 section 6.2.1.2: the full size of a coordinate. */
	if (x_len != width || y_len != width)
		return faulty(r, "coordinate of the wrong length");
	build = OSSL_PARAM_BLD_new();
	if (build &&
	    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curve->group,
					    0) &&
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point,
					     1 + 2 * width))
		made = make_key(r, "EC", build, key);
	else
		no_memory(r);
	OSSL_PARAM_BLD_free(build);
	return made;
}

static bool read_okp(struct reading *r, EVP_PKEY **key)
{
	const struct json *crv = json_get(r->object, SPAN("crv"));
	bool is_448 = json_is(crv, SPAN("Ed448"));
	size_t wanted = is_448 ? 57 : 32;
	unsigned char x[57];
	size_t len;

	if (!is_448 && !json_is(crv, SPAN("Ed25519")))
		return faulty(r, "unsupported curve");
	if (!read_bytes(r, SPAN("x"), x, wanted, &len))
		return false;
	if (len != wanted)
		return faulty(r, "public key of the wrong length");
	*key = EVP_PKEY_new_raw_public_key_ex(NULL, is_448 ? "ED448" : "ED25519", NULL, x, len);
	return *key ? true : faulty(r, "not a valid public key");
}

static bool read_oct(struct reading *r, struct jwk *jwk)
{
	unsigned char bytes[512];
	size_t len;

	if (!read_bytes(r, SPAN("k"), bytes, sizeof(bytes), &len))
		return false;
	if (secret_set(&jwk->secret, span_of(bytes, len)) < 0)
		no_memory(r);
	secret_wipe(bytes, sizeof(bytes));
	/* RFC 7518 section 3.2: at least as long as the hash. */
	jwk->algorithms = (len >= 32 ? JWS_HS256 : 0) | (len >= 48 ? JWS_HS384 : 0) |
			  (len >= 64 ? JWS_HS512 : 0);
	jwk->type = JWK_OCT;
	if (!jwk->algorithms)
		return faulty(r, "secret shorter than 32 bytes");
	return !r->memory;
}

/* RFC 7517 sections 4.2 and 4.3: when told, the key must be for verifying signatures. */
static bool meant_for_verifying(struct reading *r)
{
	const struct json *use = json_get(r->object, SPAN("use"));
	const struct json *ops = json_get(r->object, SPAN("key_ops"));
	bool found = false;

	if (use && !json_is(use, SPAN("sig")))
		return faulty(r, "\"use\" is not \"sig\"");
	if (!ops)
		return true;
	if (ops->type != JSON_ARRAY)
		return faulty(r, "\"key_ops\" is no array");
	for (size_t i = 0; i < ops->array.count; i++)
		found = found || json_is(&ops->array.items[i], SPAN("verify"));
	return found ? true : faulty(r, "\"key_ops\" lacks \"verify\"");
}

static bool narrow_algorithms(struct reading *r, struct jwk *jwk)
{
	const struct json *alg = json_get(r->object, SPAN("alg"));
	struct span name;

	jwk->algorithms &= r->options->algorithms;
	if (alg && !r->options->ignore_alg) {
		if (!json_string(alg, &name))
			return faulty(r, "\"alg\" is no string");
		jwk->algorithms &= jws_algorithm_parse(name);
	}
	return jwk->algorithms ? true : faulty(r, "no permitted algorithm fits the key");
}

static bool read_material(struct reading *r, struct jwk *jwk)
{
	const struct json *kty = json_get(r->object, SPAN("kty"));
	struct jwk_traits traits;
	const char *fault;
	bool read;

	if (json_is(kty, SPAN("oct"))) {
		if (!(r->options->algorithms & JWS_HMAC_ALL))
			return faulty(r, "symmetric keys are not permitted");
		return read_oct(r, jwk);
	}
	if (json_is(kty, SPAN("RSA")))
		read = read_rsa(r, &jwk->key);
	else if (json_is(kty, SPAN("EC")))
		read = read_ec(r, &jwk->key);
	else if (json_is(kty, SPAN("OKP")))
		read = read_okp(r, &jwk->key);
	else
		read = faulty(r, "unknown \"kty\"");
	if (!read)
		return false;
	fault = jwk_examine(jwk->key, &traits);
	jwk->type = traits.type;
	jwk->algorithms = traits.algorithms;
	jwk->signature_bytes = traits.signature_bytes;
	return fault ? faulty(r, fault) : true;
}

static bool read_kid(struct reading *r, struct arena *strings, struct jwk *jwk)
{
	const struct json *kid = json_get(r->object, SPAN("kid"));
	struct span text;

	if (!kid)
		return true;
	if (!json_string(kid, &text))
		return faulty(r, "\"kid\" is no string");
	jwk->kid = arena_dup(strings, text);
	return jwk->kid.ptr ? true : no_memory(r);
}

static void release_key(struct jwk *jwk)
{
	EVP_PKEY_free(jwk->key);
	secret_release(&jwk->secret);
	*jwk = (struct jwk){0};
}

void jwk_set_free(struct jwk_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; set->keys && i < set->count; i++)
		release_key(&set->keys[i]);
	mem_free(set->keys);
	arena_release(&set->strings);
	mem_free(set);
}

static struct jwk_set *new_set(size_t keys, struct err *err)
{
	struct jwk_set *set = mem_zalloc(1, sizeof(*set));

	if (set) {
		arena_init(&set->strings, DOCUMENT_BYTES_MAX, 1024);
		set->keys = mem_zalloc(keys, sizeof(*set->keys));
	}
	if (set && set->keys)
		return set;
	jwk_set_free(set);
	err_set(err, ERR_MEMORY, "out of memory for a key set");
	return NULL;
}

/* 0 when the key was added or left out. */
static int add_key(struct jwk_set *set, const struct json *object,
		   const struct jwk_options *options, struct err *err)
{
	struct jwk *jwk = &set->keys[set->count];
	struct reading r = {.object = object, .options = options};
	bool usable;

	if (options->refuse_private && !json_is(json_get(object, SPAN("kty")), SPAN("oct")) &&
	    json_get(object, SPAN("d")))
		return err_set(err, ERR_INVALID, "a key has private parts");
	*jwk = (struct jwk){0};
	usable = object->type == JSON_OBJECT
			 ? meant_for_verifying(&r) && read_material(&r, jwk) &&
				   narrow_algorithms(&r, jwk) &&
				   read_kid(&r, &set->strings, jwk)
			 : faulty(&r, "a key is no object");
	ERR_clear_error();
	if (usable) {
		set->count++;
		return 0;
	}
	release_key(jwk);
	if (r.memory)
		return err_set(err, ERR_MEMORY, "out of memory for a key");
	if (set->skipped++ == 0)
		snprintf(set->skipped_reason, sizeof(set->skipped_reason), "%s", r.fault);
	return 0;
}

static bool same_name(const struct json *a, const struct json *b, struct span member)
{
	struct span text;

	return json_string(json_get(a, member), &text) && json_is(json_get(b, member), text);
}

/*
 * RFC 7517 section 4.5: keys with one kid must at least differ in type. Broken keys count, for the
 * good one may not be the one that was meant; keys for another use do not.
 */
static int check_kids(const struct json *keys, struct err *err)
{
	for (size_t i = 1; i < keys->array.count; i++) {
		const struct json *a = &keys->array.items[i];

		if (!meant_for_verifying(&(struct reading){.object = a}))
			continue;
		for (size_t k = 0; k < i; k++) {
			const struct json *b = &keys->array.items[k];

			if (same_name(a, b, SPAN("kid")) && same_name(a, b, SPAN("kty")) &&
			    meant_for_verifying(&(struct reading){.object = b}))
				return err_set(err, ERR_INVALID,
					       "keys %zu and %zu have the same kid", k + 1,
					       i + 1);
		}
	}
	return 0;
}

static int check_set(const struct jwk_set *set, struct err *err)
{
	size_t symmetric = 0;

	if (!set->count)
		return err_set(err, ERR_INVALID, "no usable key%s%s", set->skipped ? ": " : "",
			       set->skipped_reason);
	for (size_t i = 0; i < set->count; i++)
		symmetric += set->keys[i].type == JWK_OCT;
	if (symmetric && symmetric != set->count)
		return err_set(err, ERR_INVALID, "symmetric and public keys are mixed");
	return 0;
}

static int fill_set(struct jwk_set *set, const struct json *root, const struct json *keys,
		    const struct jwk_options *options, struct err *err)
{
	if (!keys)
		return add_key(set, root, options, err);
	if (check_kids(keys, err) < 0)
		return -1;
	for (size_t i = 0; i < keys->array.count; i++)
		if (add_key(set, &keys->array.items[i], options, err) < 0)
			return -1;
	return 0;
}

struct jwk_set *jwk_set_parse(struct span document, const struct jwk_options *options,
			      struct err *err)
{
	struct jwk_set *set = NULL;
	const struct json *root;
	const struct json *keys;
	struct arena arena;

	arena_init(&arena, DOCUMENT_BYTES_MAX, 16384);
	root = json_parse(&arena, document, NULL, err);
	if (!root) {
		err_wrap(err, "key set");
		goto out;
	}
	keys = json_get(root, SPAN("keys"));
	if (keys ? keys->type != JSON_ARRAY : !json_get(root, SPAN("kty"))) {
		err_set(err, ERR_SYNTAX, "neither a key set nor a key");
		goto out;
	}
	if (keys && keys->array.count > JWK_SET_KEYS_MAX) {
		err_set(err, ERR_INVALID, "more than %d keys", JWK_SET_KEYS_MAX);
		goto out;
	}
	ERR_clear_error();
	set = new_set(keys ? keys->array.count : 1, err);
	if (set && (fill_set(set, root, keys, options, err) < 0 || check_set(set, err) < 0)) {
		jwk_set_free(set);
		set = NULL;
	}
out:
	arena_release(&arena);
	return set;
}

/* A public key, or that of a certificate. */
static EVP_PKEY *read_pem(struct span pem)
{
	BIO *bio = pem.len <= 1 << 20 ? BIO_new_mem_buf(pem.ptr, (int)pem.len) : NULL;
	EVP_PKEY *key = NULL;
	X509 *certificate;

	if (!bio)
		return NULL;
	if (span_find(pem, SPAN("-----BEGIN CERTIFICATE-----")) == pem.len) {
		key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	} else {
		certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
		key = certificate ? X509_get_pubkey(certificate) : NULL;
		X509_free(certificate);
	}
	BIO_free(bio);
	return key;
}

struct jwk_set *jwk_set_from_pem(struct span pem, struct span kid,
				 const struct jwk_options *options, struct err *err)
{
	struct jwk_traits traits;
	struct jwk_set *set;
	const char *fault;
	EVP_PKEY *key;

	if (span_find(pem, SPAN("PRIVATE KEY-----")) < pem.len) {
		err_set(err, ERR_INVALID, "a private key where a public key is expected");
		return NULL;
	}
	ERR_clear_error();
	key = read_pem(pem);
	if (!key) {
		jwk_openssl_error(err, "no PEM public key or certificate");
		return NULL;
	}
	fault = jwk_examine(key, &traits);
	ERR_clear_error();
	if (!fault && !(traits.algorithms & options->algorithms))
		fault = "no permitted algorithm fits the key";
	if (fault) {
		EVP_PKEY_free(key);
		err_set(err, ERR_INVALID, "%s", fault);
		return NULL;
	}
	set = new_set(1, err);
	if (!set) {
		EVP_PKEY_free(key);
		return NULL;
	}
	set->keys[0] = (struct jwk){.type = traits.type,
				    .algorithms = traits.algorithms & options->algorithms,
				    .signature_bytes = traits.signature_bytes,
				    .key = key};
	set->count = 1;
	if (kid.ptr) {
		set->keys[0].kid = arena_dup(&set->strings, kid);
		if (!set->keys[0].kid.ptr) {
			jwk_set_free(set);
			err_set(err, ERR_MEMORY, "out of memory for a key");
			return NULL;
		}
	}
	return set;
}

const struct jwk *jwk_set_next(const struct jwk_set *set, const struct jwk *previous,
			       unsigned algorithm, struct span kid)
{
	size_t i = previous ? (size_t)(previous - set->keys) + 1 : 0;

	for (; i < set->count; i++) {
		const struct jwk *jwk = &set->keys[i];

		if ((jwk->algorithms & algorithm) &&
		    (!kid.ptr || !jwk->kid.ptr || span_eq(jwk->kid, kid)))
			return jwk;
	}
	return NULL;
}
