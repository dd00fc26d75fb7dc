/* Proofs of possession that were seen, and opaque tokens; the proofs themselves are tested with
 * real ones in tests/integration/identity_client_test.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "identity/dpop.h"
#include "identity/opaque.h"

#define WINDOW_S 60

static struct dpop_proof proof_of(const char *jti)
{
	struct dpop_proof proof = {.jti = span_cstr(jti), .nonce = SPAN("")};

	memset(proof.jkt, 'k', sizeof(proof.jkt));
	return proof;
}

static void a_proof_is_new_once(void **state)
{
	struct dpop_proof one = proof_of("one"), two = proof_of("two"), other = proof_of("one");

	(void)state;
	dpop_forget();
	other.jkt[0] = 'x';
	assert_true(dpop_is_new(&one, 1000, WINDOW_S));
	assert_false(dpop_is_new(&one, 1000, WINDOW_S));
	assert_true(dpop_is_new(&two, 1000, WINDOW_S));
	assert_true(dpop_is_new(&other, 1000, WINDOW_S));
}

static void a_proof_is_remembered_for_as_long_as_it_could_be_used(void **state)
{
	struct dpop_proof first = proof_of("first"), proof = proof_of("late");

	(void)state;
	dpop_forget();
	assert_true(dpop_is_new(&first, 1000, WINDOW_S));
	/* Just before the sets turn, and up to two windows later. */
	assert_true(dpop_is_new(&proof, 1000 + 2 * WINDOW_S, WINDOW_S));
	for (int64_t at = 0; at <= 2 * WINDOW_S; at += 10)
		assert_false(dpop_is_new(&proof, 1000 + 2 * WINDOW_S + at, WINDOW_S));
	dpop_forget();
}

static struct vault *new_vault(char path[64])
{
	struct err err;
	struct vault *vault;

	snprintf(path, 64, "/tmp/sallyport-dpop.%d.key", (int)getpid());
	unlink(path);
	vault = vault_open(path, true, &err);
	assert_non_null(vault);
	return vault;
}

static void an_opaque_token_opens_with_its_key_only_and_unchanged(void **state)
{
	struct span claims = SPAN("{\"sub\":\"u1\"}");
	struct vault *vault, *other;
	struct arena arena;
	struct buf token, again;
	char path[64];

	(void)state;
	vault = new_vault(path);
	other = new_vault(path); /* the file is made anew */
	unlink(path);
	arena_init(&arena, (size_t)1 << 20, 4096);
	buf_init(&token, 4096);
	buf_init(&again, 4096);
	assert_int_equal(opaque_seal(vault, claims, &token), 0);
	assert_int_equal(opaque_seal(vault, claims, &again), 0);
	assert_false(span_eq(buf_span(&token), buf_span(&again)));
	assert_true(span_eq(opaque_open(vault, buf_span(&token), &arena), claims));
	assert_null(opaque_open(other, buf_span(&token), &arena).ptr);
	for (size_t i = 0; i < token.len; i++) {
		char was = token.ptr[i];

		token.ptr[i] = was == 'A' ? 'B' : 'A';
		assert_null(opaque_open(vault, buf_span(&token), &arena).ptr);
		token.ptr[i] = was;
		assert_null(opaque_open(vault, span_of(token.ptr, i), &arena).ptr);
	}
	buf_release(&token);
	buf_release(&again);
	arena_release(&arena);
	vault_close(vault);
	vault_close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_proof_is_new_once),
		cmocka_unit_test(a_proof_is_remembered_for_as_long_as_it_could_be_used),
		cmocka_unit_test(an_opaque_token_opens_with_its_key_only_and_unchanged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
