/* A message has a fingerprint of the promised form, or none when any byte at its end is missing. */
#include <assert.h>

#include "parse/client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[CLIENT_HELLO_FINGERPRINT_BYTES + 1],
		again[CLIENT_HELLO_FINGERPRINT_BYTES + 1];
	size_t len;

	if (!client_hello_fingerprint(span_of(data, size), text))
		return 0;
	assert(client_hello_is_fingerprint(span_cstr(text)));
	len = 4 + ((size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3]);
	assert(len <= size);
	for (size_t i = len > 64 ? len - 64 : 0; i < len; i++)
		assert(!client_hello_fingerprint(span_of(data, i), again));
	assert(client_hello_fingerprint(span_of(data, len), again));
	assert(span_eq(span_cstr(text), span_cstr(again)));
	return 0;
}
