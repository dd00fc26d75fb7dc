#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "parse/base64.h"
#include "parse/jws.h"

static const unsigned public_algorithms[] = {JWS_RS256, JWS_RS384, JWS_RS512, JWS_PS256,
					     JWS_PS384, JWS_PS512, JWS_ES256, JWS_ES384,
					     JWS_ES512, JWS_EDDSA};
static const struct jwk_options every = {.algorithms = JWS_PUBLIC_ALL};

struct fixture {
	struct jws_context *context;
	struct arena arena;
	EVP_PKEY *rsa; /* making one takes long */
};

static int set_up(void **state)
{
	static struct fixture f;

	f.context = jws_context_new(NULL);
	f.rsa = jwk_generate(JWS_RS256, NULL);
	arena_init(&f.arena, 1 << 20, 4096);
	*state = &f;
	return f.context && f.rsa ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	jws_context_free(f->context);
	EVP_PKEY_free(f->rsa);
	arena_release(&f->arena);
	return 0;
}

static EVP_PKEY *key_for(struct fixture *f, unsigned algorithm)
{
	EVP_PKEY *key = f->rsa;

	if (!(algorithm & JWS_RSA_ALL))
		return jwk_generate(algorithm, NULL);
	EVP_PKEY_up_ref(key);
	return key;
}

static struct jwk_set *publish(EVP_PKEY *key, struct span kid, unsigned algorithm)
{
	struct json_writer w;
	struct buf document;
	struct jwk_set *set;

	buf_init(&document, 10000);
	json_writer_init(&w, &document);
	json_begin_object(&w);
	json_key(&w, SPAN("keys"));
	json_begin_array(&w);
	assert_int_equal(jwk_write_public(&w, key, kid, algorithm, NULL), 0);
	json_end_array(&w);
	json_end_object(&w);
	set = jwk_set_parse(buf_span(&document), &every, NULL);
	assert_non_null(set);
	buf_release(&document);
	return set;
}

static enum jws_result open_token(struct fixture *f, const struct jwk_set *keys,
				  struct span token, const struct jws_policy *policy,
				  struct jws *jws)
{
	enum jws_result result = jws_parse(&f->arena, token, jws);

	return result == JWS_OK ? jws_verify(f->context, jws, keys, policy) : result;
}

/* A token with any header text, signed for real. */
static void sign_header(EVP_PKEY *key, struct span header, struct buf *to)
{
	char encoded[1024];
	uint8_t signature[600];
	size_t len = sizeof(signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	buf_append_bytes(to, encoded, base64url_encode(encoded, header));
	buf_append_cstr(to, ".e30");
	assert_int_equal(EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, key, NULL), 1);
	assert_int_equal(
		EVP_DigestSign(ctx, signature, &len, (const uint8_t *)to->ptr, to->len), 1);
	buf_append_byte(to, '.');
	buf_append_bytes(to, encoded, base64url_encode(encoded, span_of(signature, len)));
	EVP_MD_CTX_free(ctx);
}

static void every_algorithm_signs_and_verifies(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT_OF(public_algorithms); i++) {
		unsigned algorithm = public_algorithms[i];
		EVP_PKEY *key = key_for(f, algorithm);
		struct jwk_set *keys = publish(key, SPAN("k1"), algorithm);
		const struct jws_signer signer = {.key = key,
						  .algorithm = algorithm,
						  .kid = SPAN("k1"),
						  .typ = SPAN("at+jwt")};
		const struct jws_policy policy = {.algorithms = JWS_PUBLIC_ALL,
						  .typ = JWS_TYP_ACCESS};
		struct buf token;
		struct jws jws;

		buf_init(&token, 10000);
		/* Often, for the r and s of ECDSA are short now and then. */
		for (int round = 0; round < 20; round++) {
			buf_clear(&token);
			assert_int_equal(jws_sign(f->context, &signer, SPAN("{\"sub\":\"x\"}"),
						  &token, NULL),
					 0);
			assert_int_equal(open_token(f, keys, buf_span(&token), &policy, &jws),
					 JWS_OK);
			assert_true(span_eq(jws.payload, SPAN("{\"sub\":\"x\"}")));
			assert_int_equal(jws.algorithm, algorithm);
		}
		/* Any changed character breaks it. */
		for (size_t at = 0; at < token.len; at += 7) {
			char kept = token.ptr[at];

			token.ptr[at] = kept == 'A' ? 'B' : 'A';
			assert_int_not_equal(
				open_token(f, keys, buf_span(&token), &policy, &jws), JWS_OK);
			token.ptr[at] = kept;
		}
		assert_int_equal(open_token(f, keys, buf_span(&token), &policy, &jws), JWS_OK);
		buf_release(&token);
		jwk_set_free(keys);
		EVP_PKEY_free(key);
		arena_reset(&f->arena);
	}
}

static void a_header_written_before_is_the_one_written_each_time(void **state)
{
	struct fixture *f = *state;
	struct jws_signer signer = {.key = f->rsa,
				    .algorithm = JWS_RS256,
				    .kid = SPAN("k\"1"),
				    .typ = SPAN("at+jwt")};
	struct buf header, each_time, before;

	buf_init(&header, 1000);
	buf_init(&each_time, 10000);
	buf_init(&before, 10000);
	assert_int_equal(jws_write_header(&signer, &header), 0);
	assert_int_equal(jws_sign(f->context, &signer, SPAN("{}"), &each_time, NULL), 0);
	signer.header = buf_span(&header);
	assert_int_equal(jws_sign(f->context, &signer, SPAN("{}"), &before, NULL), 0);
	/* RSASSA-PKCS1-v1_5 signs the same twice. */
	assert_true(span_eq(buf_span(&each_time), buf_span(&before)));
	signer.algorithm = 0;
	assert_int_equal(jws_write_header(&signer, &header), -1);
	buf_release(&header);
	buf_release(&each_time);
	buf_release(&before);
}

static void ed448_verifies_as_eddsa(void **state)
{
	struct fixture *f = *state;
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
	struct jwk_set *keys = publish(key, SPAN_NONE, 0);
	const struct jws_signer signer = {.key = key, .algorithm = JWS_EDDSA};
	const struct jws_policy policy = {.algorithms = JWS_EDDSA};
	struct buf token;
	struct jws jws;

	buf_init(&token, 10000);
	assert_int_equal(jws_sign(f->context, &signer, SPAN("{}"), &token, NULL), 0);
	assert_int_equal(open_token(f, keys, buf_span(&token), &policy, &jws), JWS_OK);
	buf_release(&token);
	jwk_set_free(keys);
	EVP_PKEY_free(key);
}

static void hmac_needs_permission_and_a_long_secret(void **state)
{
	struct fixture *f = *state;
	struct span document = SPAN("{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":"
				    "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}");
	const struct jwk_options with_hmac = {.algorithms = JWS_HMAC_ALL};
	struct jwk_set *keys = jwk_set_parse(document, &with_hmac, NULL);
	const struct jws_policy policy = {.algorithms = JWS_HMAC_ALL};
	struct jws_signer signer = {.algorithm = JWS_HS256};
	struct buf token;
	struct err err;
	struct jws jws;

	assert_null(jwk_set_parse(document, &every, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_non_null(keys);
	signer.secret = secret_span(&keys->keys[0].secret);
	buf_init(&token, 10000);
	assert_int_equal(jws_sign(f->context, &signer, SPAN("{}"), &token, NULL), 0);
	assert_int_equal(open_token(f, keys, buf_span(&token), &policy, &jws), JWS_OK);
	signer.algorithm = JWS_HS384;
	buf_clear(&token);
	assert_int_equal(jws_sign(f->context, &signer, SPAN("{}"), &token, &err), -1);
	assert_int_equal(token.len, 0);
	buf_release(&token);
	jwk_set_free(keys);
}

static void a_public_key_is_no_hmac_secret(void **state)
{
	struct fixture *f = *state;
	struct jwk_set *keys = publish(f->rsa, SPAN("k1"), 0);
	const struct jws_policy policy = {.algorithms = JWS_PUBLIC_ALL | JWS_HMAC_ALL};
	struct buf pem, token;
	struct jws jws;

	buf_init(&pem, 10000);
	buf_init(&token, 10000);
	assert_int_equal(jwk_public_to_pem(f->rsa, &pem, NULL), 0);
	assert_int_equal(jws_sign(f->context,
				  &(struct jws_signer){.secret = buf_span(&pem),
						       .algorithm = JWS_HS256,
						       .kid = SPAN("k1")},
				  SPAN("{}"), &token, NULL),
			 0);
	assert_int_equal(open_token(f, keys, buf_span(&token), &policy, &jws), JWS_UNKNOWN_KEY);
	assert_int_equal(
		jws_verify_key(f->context, &keys->keys[0], JWS_HS256, SPAN("x"), SPAN("y")),
		JWS_DENIED_ALGORITHM);
	assert_int_equal(jws_verify_key(f->context, &keys->keys[0], JWS_RS256 | JWS_PS256,
					SPAN("x"), SPAN("y")),
			 JWS_DENIED_ALGORITHM);
	buf_release(&token);
	buf_release(&pem);
	jwk_set_free(keys);
}

static void headers_are_checked(void **state)
{
	static const struct {
		struct span header;
		enum jws_result result;
	} cases[] = {
		{SPAN_INIT("{\"alg\":\"RS256\"}"), JWS_OK},
		{SPAN_INIT("{\"alg\":\"RS256\",\"typ\":\"JWT\"}"), JWS_OK},
		{SPAN_INIT("{\"alg\":\"RS256\",\"typ\":\"application/AT+jwt\"}"), JWS_OK},
		{SPAN_INIT("{\"alg\":\"RS256\",\"kid\":\"k1\",\"x\":{\"y\":[1]}}"), JWS_OK},
		{SPAN_INIT("{\"alg\":\"RS256\",\"typ\":\"dpop+jwt\"}"), JWS_BAD_TYPE},
		{SPAN_INIT("{\"alg\":\"RS256\",\"kid\":\"k2\"}"), JWS_UNKNOWN_KEY},
		{SPAN_INIT("{\"alg\":\"RS256\",\"crit\":[\"exp\"]}"), JWS_CRITICAL},
		{SPAN_INIT("{\"alg\":\"RS256\",\"b64\":false}"), JWS_CRITICAL},
		{SPAN_INIT("{\"alg\":\"none\"}"), JWS_BAD_ALGORITHM},
		{SPAN_INIT("{\"alg\":\"rs256\"}"), JWS_BAD_ALGORITHM},
		{SPAN_INIT("{\"alg\":\"\"}"), JWS_BAD_ALGORITHM},
		{SPAN_INIT("{\"alg\":\"RS384\"}"), JWS_DENIED_ALGORITHM},
		{SPAN_INIT("{\"alg\":\"PS256\"}"), JWS_BAD_SIGNATURE},
		{SPAN_INIT("{\"alg\":256}"), JWS_BAD_HEADER},
		{SPAN_INIT("{}"), JWS_BAD_HEADER},
		{SPAN_INIT("{\"alg\":\"RS256\",\"alg\":\"RS256\"}"), JWS_BAD_HEADER},
		{SPAN_INIT("{\"alg\":\"RS256\",\"kid\":1}"), JWS_BAD_HEADER},
		{SPAN_INIT("{\"alg\":\"RS256\",\"typ\":null}"), JWS_BAD_HEADER},
		{SPAN_INIT("[\"RS256\"]"), JWS_BAD_HEADER},
		{SPAN_INIT("{\"alg\":\"RS256\"} x"), JWS_BAD_HEADER},
		{SPAN_INIT("\xef\xbb\xbf{\"alg\":\"RS256\"}"), JWS_BAD_HEADER},
		{SPAN_INIT("{\"alg\":\"RS256\",\"jku\":\"https://evil.example/\"}"), JWS_OK},
	};
	struct fixture *f = *state;
	struct jwk_set *keys = publish(f->rsa, SPAN("k1"), 0);
	const struct jws_policy policy = {.algorithms = JWS_RS256 | JWS_PS256,
					  .typ = JWS_TYP_JWT};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct buf token;
		struct jws jws;
		enum jws_result result;

		buf_init(&token, 10000);
		sign_header(f->rsa, cases[i].header, &token);
		result = open_token(f, keys, buf_span(&token), &policy, &jws);
		if (result != cases[i].result)
			fail_msg("%.*s: %s", SPAN_ARG(cases[i].header),
				 jws_result_name(result));
		buf_release(&token);
	}
	jwk_set_free(keys);
	arena_reset(&f->arena);
}

static void policies_ask_for_kid_and_type(void **state)
{
	struct fixture *f = *state;
	struct jwk_set *keys = publish(f->rsa, SPAN("k1"), 0);
	struct buf token;
	struct jws jws;

	buf_init(&token, 10000);
	sign_header(f->rsa, SPAN("{\"alg\":\"RS256\"}"), &token);
	assert_int_equal(
		open_token(f, keys, buf_span(&token),
			   &(struct jws_policy){.algorithms = JWS_RS256, .require_kid = true},
			   &jws),
		JWS_MISSING_KID);
	assert_int_equal(
		open_token(f, keys, buf_span(&token),
			   &(struct jws_policy){.algorithms = JWS_RS256, .typ = JWS_TYP_ACCESS},
			   &jws),
		JWS_BAD_TYPE);
	assert_int_equal(open_token(f, keys, buf_span(&token),
				    &(struct jws_policy){.algorithms = 0}, &jws),
			 JWS_DENIED_ALGORITHM);
	buf_release(&token);
	jwk_set_free(keys);
}

static void malformed_tokens_are_told_apart(void **state)
{
	static const struct {
		struct span token;
		enum jws_result result;
	} cases[] = {
		{SPAN_INIT(""), JWS_MALFORMED},
		{SPAN_INIT("."), JWS_MALFORMED},
		{SPAN_INIT(".."), JWS_MALFORMED},
		{SPAN_INIT("a.b"), JWS_MALFORMED},
		{SPAN_INIT("eyJhbGciOiJSUzI1NiJ9.e30"), JWS_MALFORMED},
		{SPAN_INIT("eyJhbGciOiJSUzI1NiJ9.e30.AA.AA"), JWS_MALFORMED},
		{SPAN_INIT("eyJhbGciOiJSUzI1NiJ9.e30.A"), JWS_BAD_ENCODING},
		{SPAN_INIT("eyJhbGciOiJSUzI1NiJ9.e30=.AA"), JWS_BAD_ENCODING},
		{SPAN_INIT("eyJhbGciOiJSUzI1NiJ9.e31.AA"), JWS_BAD_ENCODING},
		{SPAN_INIT("eyJhbGciOiJSUzI1NiJ9\n.e30.AA"), JWS_BAD_ENCODING},
		{SPAN_INIT("eyJhbGciOiJSUzI1NiJ9.e30."), JWS_OK},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct jws jws;

		assert_int_equal(jws_parse(&f->arena, cases[i].token, &jws), cases[i].result);
	}
}

static void the_algorithm_must_fit_the_signing_key(void **state)
{
	struct fixture *f = *state;
	EVP_PKEY *p256 = jwk_generate(JWS_ES256, NULL);
	EVP_PKEY *small = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
	const struct jws_signer bad[] = {
		{.key = f->rsa, .algorithm = JWS_ES256},
		{.key = f->rsa, .algorithm = JWS_EDDSA},
		{.key = p256, .algorithm = JWS_ES384},
		{.key = p256, .algorithm = JWS_RS256},
		{.key = p256, .algorithm = JWS_EDDSA},
		{.key = small, .algorithm = JWS_RS256},
		{.key = p256, .algorithm = 0},
		{.key = p256, .algorithm = JWS_ES256 | JWS_RS256},
	};
	struct buf token;
	struct err err;

	buf_init(&token, 10000);
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		err.code = ERR_NONE;
		assert_int_equal(jws_sign(f->context, &bad[i], SPAN("{}"), &token, &err), -1);
		assert_int_equal(err.code, ERR_INVALID);
		assert_int_equal(token.len, 0);
	}
	assert_int_equal(jwk_default_algorithm(f->rsa), JWS_RS256);
	assert_int_equal(jwk_default_algorithm(p256), JWS_ES256);
	assert_int_equal(jwk_default_algorithm(small), 0);
	EVP_PKEY_free(small);
	EVP_PKEY_free(p256);
	buf_release(&token);
}

/* More keys than the context keeps: old ones make room, and are set up again. */
static void take_turns(struct fixture *f, unsigned algorithm)
{
	const struct jws_policy policy = {.algorithms = algorithm};
	struct jwk_set *sets[40];
	struct buf tokens[40];
	struct jws jws;

	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		EVP_PKEY *key = jwk_generate(algorithm, NULL);
		const struct jws_signer signer = {.key = key, .algorithm = algorithm};

		sets[i] = publish(key, SPAN_NONE, 0);
		buf_init(&tokens[i], 1000);
		assert_int_equal(jws_sign(f->context, &signer, SPAN("{}"), &tokens[i], NULL),
				 0);
		EVP_PKEY_free(key);
	}
	for (size_t i = 0; i < 3 * COUNT_OF(sets); i++) {
		size_t k = i * 7 % COUNT_OF(sets);
		struct span token = buf_span(&tokens[k]);

		assert_int_equal(open_token(f, sets[k], token, &policy, &jws), JWS_OK);
		assert_int_equal(
			open_token(f, sets[(k + 1) % COUNT_OF(sets)], token, &policy, &jws),
			JWS_BAD_SIGNATURE);
	}
	for (size_t i = 0; i < COUNT_OF(sets); i++) {
		jwk_set_free(sets[i]);
		buf_release(&tokens[i]);
	}
}

static void each_token_is_checked_with_its_own_key(void **state)
{
	take_turns(*state, JWS_ES256);
	take_turns(*state, JWS_EDDSA);
}

static void sha256_is_that_of_fips_180(void **state)
{
	static const uint8_t abc[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
					0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
					0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
					0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
	struct fixture *f = *state;
	uint8_t digest[32];

	assert_true(jws_sha256(f->context, SPAN("abc"), digest));
	assert_memory_equal(digest, abc, 32);
}

static void failing_allocations_are_an_error(void **state)
{
	struct fixture *f = *state;
	struct jwk_set *keys = publish(f->rsa, SPAN("k1"), 0);
	struct buf token;
	bool failed = true;

	buf_init(&token, 10000);
	sign_header(f->rsa, SPAN("{\"alg\":\"RS256\",\"kid\":\"\\u006b1\"}"), &token);
	for (unsigned long n = 1; failed && n < 100; n++) {
		struct arena a;
		struct jws jws;
		enum jws_result result;

		arena_init(&a, 1 << 20, 64);
		mem_fail_at(n);
		result = jws_parse(&a, buf_span(&token), &jws);
		failed = mem_fail_happened();
		mem_fail_at(0);
		assert_int_equal(result, failed ? JWS_NO_MEMORY : JWS_OK);
		arena_release(&a);
	}
	assert_false(failed);
	failed = true;
	for (unsigned long n = 1; failed && n < 100; n++) {
		struct buf signed_token;
		struct err err = {0};
		int result;

		buf_init(&signed_token, 10000);
		mem_fail_at(n);
		result = jws_sign(f->context,
				  &(struct jws_signer){.key = f->rsa, .algorithm = JWS_RS256},
				  SPAN("{}"), &signed_token, &err);
		failed = mem_fail_happened();
		mem_fail_at(0);
		assert_int_equal(result, failed ? -1 : 0);
		assert_int_equal(err.code, failed ? ERR_MEMORY : ERR_NONE);
		buf_release(&signed_token);
	}
	assert_false(failed);
	mem_fail_at(1);
	{
		struct jws_context *c = jws_context_new(NULL);

		assert_true(!c == mem_fail_happened());
		jws_context_free(c);
	}
	mem_fail_at(0);
	buf_release(&token);
	jwk_set_free(keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_algorithm_signs_and_verifies),
		cmocka_unit_test(a_header_written_before_is_the_one_written_each_time),
		cmocka_unit_test(ed448_verifies_as_eddsa),
		cmocka_unit_test(hmac_needs_permission_and_a_long_secret),
		cmocka_unit_test(a_public_key_is_no_hmac_secret),
		cmocka_unit_test(headers_are_checked),
		cmocka_unit_test(policies_ask_for_kid_and_type),
		cmocka_unit_test(malformed_tokens_are_told_apart),
		cmocka_unit_test(the_algorithm_must_fit_the_signing_key),
		cmocka_unit_test(each_token_is_checked_with_its_own_key),
		cmocka_unit_test(sha256_is_that_of_fips_180),
		cmocka_unit_test(failing_allocations_are_an_error),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
