/*
 * The input is a DPoP proof, or its payload behind a good header: whatever it is, a proof that passes
 * has a key, an id, and is for this request; and an opaque token opens only if it was sealed.
 */
#include <assert.h>

#include "identity/dpop.h"
#include "parse/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct jws_context *context, struct span proof)
{
	const struct dpop_request request = {
		.proof = proof,
		.method = SPAN("POST"),
		.url = SPAN("https://id.example/identity/token"),
		.now_unix_s = 1700000000,
		.window_s = 60,
	};
	struct dpop_proof found;
	struct arena arena;
	uint8_t digest[32];

	arena_init(&arena, (size_t)1 << 20, 4096);
	if (dpop_check(context, &request, &arena, &found) == DPOP_OK) {
		assert(found.jti.len > 0);
		for (size_t i = 0; i < DPOP_JKT_CHARS; i++)
			assert(found.jkt[i] > ' ');
		dpop_digest(&found, digest);
	}
	arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char head[] = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI"
				   "6IkVDIiwiY3J2IjoiUC0yN"
				   "TYiLCJ4IjoiIiwieSI6IiJ9fQ.";
	static struct jws_context *context;
	struct buf proof;

	if (!context) {
		context = jws_context_new(NULL);
		assert(context);
	}
	if (size > DPOP_PROOF_BYTES_MAX)
		return 0;
	check(context, span_of(data, size));
	buf_init(&proof, 65536);
	buf_append_cstr(&proof, head);
	assert(buf_reserve(&proof, base64url_encoded_size(size) + 8) == 0);
	proof.len += base64url_encode(proof.ptr + proof.len, span_of(data, size));
	buf_append_cstr(&proof, ".AA");
	check(context, buf_span(&proof));
	buf_release(&proof);
	return 0;
}
