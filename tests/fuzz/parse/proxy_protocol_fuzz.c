/* A PROXY header that is accepted needs each of its bytes and nothing behind them. */
#include <assert.h>

#include "parse/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_protocol header, other;
	struct span input = span_of(data, size);
	size_t consumed, shorter;
	enum proxy_protocol_result result = proxy_protocol_parse(&header, input, &consumed);

	assert(result != PROXY_PROTOCOL_MORE || size < PROXY_PROTOCOL_MAX_BYTES);
	if (result != PROXY_PROTOCOL_DONE)
		return 0;
	assert(consumed > 0 && consumed <= size && consumed <= PROXY_PROTOCOL_MAX_BYTES);
	assert(header.version == 1 || header.version == 2);
	assert(!header.local || (header.version == 2 && !header.has_addresses));
	for (size_t len = 0; len < consumed; len++) {
		assert(proxy_protocol_parse(&other, span_of(data, len), &shorter) ==
		       PROXY_PROTOCOL_MORE);
	}
	assert(proxy_protocol_parse(&other, span_of(data, consumed), &shorter) ==
	       PROXY_PROTOCOL_DONE);
	assert(shorter == consumed && address_eq(&header.source, &other.source));
	return 0;
}
