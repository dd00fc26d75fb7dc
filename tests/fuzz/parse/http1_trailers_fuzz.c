/* Trailers that are accepted are well-formed by a second look and hold no framing or routing. */
#include "http1_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_field fields[FUZZ_FIELDS_MAX];
	struct span input = span_of(data, size);
	size_t count, consumed, shorter;

	if (http1_parse_trailers(fields, &count, input, &fuzz_limits, &consumed) != HTTP1_DONE)
		return 0;
	assert(consumed <= size);
	check_fields(fields, count, span_of(data, consumed));
	if (count > 0)
		check_lines(span_of(data, consumed));
	else
		assert(consumed == 2);
	for (size_t i = 0; i < count; i++) {
		assert(!http_field_is_hop_by_hop(fields[i].id));
		assert(fields[i].id != HTTP_FIELD_CONTENT_LENGTH &&
		       fields[i].id != HTTP_FIELD_HOST);
		assert(fields[i].id != HTTP_FIELD_AUTHORIZATION);
	}
	for (size_t len = consumed > 64 ? consumed - 64 : 0; len < consumed; len++) {
		assert(http1_parse_trailers(fields, &count, span_of(data, len), &fuzz_limits,
					    &shorter) == HTTP1_MORE);
	}
	return 0;
}
