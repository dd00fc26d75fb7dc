/* What decodes is what encoding its bytes gives; every text decodes after it was encoded. */
#include <assert.h>

#include "base/mem.h"
#include "parse/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = span_of(data, size);
	char *plain = mem_alloc(base64_decoded_max(size));
	char *text = mem_alloc(base64_encoded_size(size));
	char *back = mem_alloc(base64_decoded_max(base64_encoded_size(size)));
	size_t len;

	assert(plain && text && back);
	if (base64_decode(plain, &len, input)) {
		assert(base64_encode(text, span_of(plain, len)) == size);
		assert(span_eq(span_of(text, size), input));
	}
	if (base64url_decode(plain, &len, input)) {
		assert(base64url_encode(text, span_of(plain, len)) == size);
		assert(span_eq(span_of(text, size), input));
	}
	assert(base64_decode(back, &len, span_of(text, base64_encode(text, input))));
	assert(span_eq(span_of(back, len), input));
	assert(base64url_decode(back, &len, span_of(text, base64url_encode(text, input))));
	assert(span_eq(span_of(back, len), input));
	mem_free(plain);
	mem_free(text);
	mem_free(back);
	return 0;
}
