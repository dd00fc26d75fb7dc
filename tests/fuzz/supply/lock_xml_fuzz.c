/* Manifests in XML. */
#include "lock_fuzz.h"

static const struct lock_fuzz_parser parsers[] = {
	{lock_maven},
	{lock_gradle_verification},
	{lock_nuget_config},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return lock_fuzz(data, size, parsers, COUNT_OF(parsers));
}
