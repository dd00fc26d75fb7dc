/* What programs tell of themselves. */
#include "lock_fuzz.h"

static const struct lock_fuzz_parser parsers[] = {
	{lock_binary},
	{lock_bun_binary},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return lock_fuzz(data, size, parsers, COUNT_OF(parsers));
}
