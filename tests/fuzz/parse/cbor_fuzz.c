/* What is found lies within the input, and reads as the same item again. */
#include <assert.h>

#include "parse/cbor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size);
	struct cbor_item item, again;

	if (cbor_read(text, &item)) {
		assert(item.size > 0 && item.size <= size);
		assert(item.content.len <= item.size);
		assert(cbor_read(span_slice(text, 0, item.size), &again));
		assert(again.size == item.size && again.type == item.type);
		assert(!cbor_read(span_slice(text, 0, item.size - 1), &again) ||
		       again.size < item.size);
	}
	if (cbor_map_get(text, SPAN("authData"), &item))
		assert(item.content.len <= size && item.size <= size);
	return 0;
}
