/* A request, whose values lie in it or in what was decoded of it; and a record, which is written again. */
#include <assert.h>
#include <stdlib.h>

#include "iast/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_in(struct span part, const char *from, size_t len)
{
	return part.len == 0 || (part.ptr >= from && part.ptr + part.len <= from + len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size);
	struct iast_request *r = malloc(sizeof(*r));
	char written[IAST_RECORD_BYTES];
	struct iast_record record, again;

	if (r && iast_request_read(r, text)) {
		assert(r->count <= IAST_VALUES_MAX && r->decoded_len <= IAST_DECODED_BYTES);
		for (size_t i = 0; i < r->count; i++)
			assert(lies_in(r->values[i].text, r->decoded, r->decoded_len) ||
			       lies_in(r->values[i].text, text.ptr, text.len));
	}
	free(r);
	if (iast_record_read(&record, text)) {
		size_t len = iast_record_write(&record, written);

		assert(len <= sizeof(written));
		assert(iast_record_read(&again, span_of(written, len)));
		assert(again.sink == record.sink && again.shape == record.shape);
	}
	return 0;
}
