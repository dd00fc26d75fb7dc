/* What is decoded stays within the maximum, and a larger maximum gives the same bytes. */
#include <assert.h>

#include "parse/coding.h"

#define SMALL 1000
#define LARGE 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum coding coding;
	enum coding_result first, second;
	struct buf small, large;
	struct span coded;

	if (size < 1)
		return 0;
	coding = data[0] & 1 ? CODING_GZIP : CODING_DEFLATE;
	coded = span_of(data + 1, size - 1);
	buf_init(&small, SMALL);
	buf_init(&large, LARGE);
	first = coding_decode(coding, coded, &small);
	second = coding_decode(coding, coded, &large);
	assert(small.len <= SMALL && large.len <= LARGE);
	if (first == CODING_OK)
		assert(second == CODING_OK && span_eq(buf_span(&small), buf_span(&large)));
	if (second == CODING_OK && large.len > SMALL)
		assert(first == CODING_TOO_LARGE);
	buf_release(&small);
	buf_release(&large);
	return 0;
}
