/* Lock files in TOML. */
#include "lock_fuzz.h"

static const struct lock_fuzz_parser parsers[] = {
	{lock_poetry}, {lock_uv}, {lock_pdm}, {lock_pylock}, {lock_cargo},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return lock_fuzz(data, size, parsers, COUNT_OF(parsers));
}
