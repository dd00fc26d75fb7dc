/* A traceparent that is accepted is formatted as one that is read as the same trace. */
#include <assert.h>

#include "parse/traceparent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size);
	struct traceparent trace, again;
	char formatted[TRACEPARENT_LEN];

	if (tracestate_is_valid(text))
		assert(size <= 512 && memchr(data, '=', size));
	if (!traceparent_parse(text, &trace))
		return 0;
	traceparent_format(&trace, formatted);
	assert(traceparent_parse(span_of(formatted, sizeof(formatted)), &again));
	assert(memcmp(&trace, &again, sizeof(trace)) == 0);
	assert(memcmp(formatted + 2, data + 2, TRACEPARENT_LEN - 2) == 0);
	return 0;
}
