/*
 * A key set document or PEM text. Every key that is taken is one that can be used, can be written
 * as a document, and is then read as the same key.
 */
#include <assert.h>

#include <openssl/evp.h>

#include "parse/jwk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct jwk_options options = {.algorithms = JWS_PUBLIC_ALL | JWS_HMAC_ALL};

static void check_key(const struct jwk *key)
{
	char thumbprint[JWK_THUMBPRINT_CHARS];
	struct json_writer w;
	struct jwk_set *again;
	struct buf document;

	assert(key->algorithms && !(key->algorithms & ~options.algorithms));
	if (key->type == JWK_OCT) {
		assert(key->secret.len >= 32 && !(key->algorithms & JWS_PUBLIC_ALL));
		return;
	}
	assert(!(key->algorithms & JWS_HMAC_ALL));
	assert(!(key->algorithms & ~jwk_algorithms(key->key)));
	assert(jwk_thumbprint(key->key, thumbprint, NULL) == 0);
	buf_init(&document, 1 << 16);
	json_writer_init(&w, &document);
	assert(jwk_write_public(&w, key->key, SPAN("kid"), 0, NULL) == 0);
	again = jwk_set_parse(buf_span(&document), &options, NULL);
	assert(again && EVP_PKEY_eq(again->keys[0].key, key->key) == 1);
	jwk_set_free(again);
	buf_release(&document);
}

static void check_set(struct jwk_set *set, const struct err *err)
{
	if (!set) {
		assert(err->code != ERR_NONE && err->code != ERR_INTERNAL);
		return;
	}
	assert(set->count > 0);
	for (size_t i = 0; i < set->count; i++)
		check_key(&set->keys[i]);
	jwk_set_free(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	EVP_PKEY *key;

	if (size > 8192)
		return 0;
	check_set(jwk_set_parse(span_of(data, size), &options, &err), &err);
	err.code = ERR_NONE;
	check_set(jwk_set_from_pem(span_of(data, size), SPAN("k"), &options, &err), &err);
	key = jwk_private_from_pem(span_of(data, size), NULL);
	assert(!key || jwk_default_algorithm(key));
	EVP_PKEY_free(key);
	return 0;
}
