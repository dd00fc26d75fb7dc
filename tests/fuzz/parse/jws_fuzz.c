/*
 * The input is a token, or the inside of its header; what is taken apart adds up to the token, and
 * nothing verifies but the one token that the key has signed.
 */
#include <assert.h>

#include "parse/base64.h"
#include "parse/jws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct span known_key =
	SPAN_INIT("{\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\","
		  "\"kid\":\"k\"}");
static const struct jwk_options options = {.algorithms = JWS_HMAC_ALL};

static void check_token(struct jws_context *c, const struct jwk_set *keys, struct span token)
{
	const struct jws_policy policy = {.algorithms = JWS_PUBLIC_ALL | JWS_HMAC_ALL};
	struct arena a;
	struct jws jws;
	enum jws_result result;

	arena_init(&a, 1 << 20, 4096);
	result = jws_parse(&a, token, &jws);
	assert(jws_result_name(result));
	if (result == JWS_OK) {
		assert(jws.signing_input.len + 1 + base64url_encoded_size(jws.signature.len) ==
		       token.len);
		assert(jws_algorithm_name(jws.algorithm));
		result = jws_verify(c, &jws, keys, &policy);
		assert(result != JWS_NO_MEMORY);
		/* Forging a MAC of 256 bits is beyond a fuzzer, unless it signs: see the corpus. */
		if (result == JWS_OK)
			assert(jws.algorithm == JWS_HS256 && jws.signature.len == 32);
	}
	arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct jws_context *c;
	static struct jwk_set *keys;
	struct buf token;

	if (!c) {
		c = jws_context_new(NULL);
		keys = jwk_set_parse(known_key, &options, NULL);
		assert(c && keys);
	}
	if (size > 4096)
		return 0;
	check_token(c, keys, span_of(data, size));
	buf_init(&token, 16384);
	assert(buf_reserve(&token, base64url_encoded_size(size) + 8) == 0);
	token.len = base64url_encode(token.ptr, span_of(data, size));
	buf_append_cstr(&token, ".e30.AA");
	check_token(c, keys, buf_span(&token));
	buf_release(&token);
	return 0;
}
