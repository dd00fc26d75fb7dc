/* Lock files and workflows in YAML. */
#include "lock_fuzz.h"

static const struct lock_fuzz_parser parsers[] = {
	{lock_pnpm},
	{lock_pub},
	{lock_stack},
	{lock_workflow},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return lock_fuzz(data, size, parsers, COUNT_OF(parsers));
}
