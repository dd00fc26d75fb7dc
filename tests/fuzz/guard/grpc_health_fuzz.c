/* What is read as SERVING says so in its last status, and stops doing so when it is cut short. */
#include <assert.h>

#include "guard/health.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span body = span_of(data, size);

	if (!health_grpc_serving(body))
		return 0;
	assert(size >= 7);
	assert(!health_grpc_serving(span_slice(body, 0, size - 1)));
	return 0;
}
