/*
 * A chunked body gives the same data, the same result and the same end whole, a byte at a time,
 * and cut where the first byte says; the data lies within what was used up.
 */
#include <assert.h>
#include <stdint.h>

#include "base/buf.h"
#include "parse/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum http1_result decode(struct span input, size_t step, struct buf *body, size_t *used)
{
	struct http1_chunked decoder = {0};
	enum http1_result result = HTTP1_MORE;
	size_t at = 0, end = 0;

	while (result == HTTP1_MORE && end < input.len) {
		end = step < input.len - end ? end + step : input.len;
		while (result == HTTP1_MORE && at < end) {
			struct span piece, given = span_of(input.ptr + at, end - at);
			size_t consumed;

			result = http1_chunked_next(&decoder, given, &consumed, &piece);
			assert(consumed <= given.len);
			assert(result != HTTP1_MORE || consumed > 0);
			if (piece.len) {
				assert(piece.ptr >= given.ptr);
				assert(piece.ptr + piece.len <= given.ptr + consumed);
				buf_append(body, piece);
			}
			at += consumed;
		}
	}
	*used = at;
	assert(!buf_failed(body));
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole, pieces;
	size_t steps[2] = {1, 0}, used;
	enum http1_result result;
	struct span input;

	if (size == 0)
		return 0;
	steps[1] = (size_t)data[0] + 2;
	input = span_of(data + 1, size - 1);
	buf_init(&whole, size);
	result = decode(input, size, &whole, &used);
	assert(result == HTTP1_DONE || result == HTTP1_MORE || result == HTTP1_BAD_CHUNK);
	for (size_t i = 0; i < 2; i++) {
		size_t other_used;

		buf_init(&pieces, size);
		assert(decode(input, steps[i], &pieces, &other_used) == result);
		/* What is given before a refusal may differ; nobody may rely on it. */
		if (result != HTTP1_BAD_CHUNK) {
			assert(other_used == used);
			assert(span_eq(buf_span(&whole), buf_span(&pieces)));
		}
		buf_release(&pieces);
	}
	if (result == HTTP1_DONE)
		assert(used >= 3 && input.ptr[used - 1] == '\n');
	buf_release(&whole);
	return 0;
}
