/* Lock files that are read a line at a time. */
#include "lock_fuzz.h"

static const struct lock_fuzz_parser parsers[] = {
	{lock_yarn},   {lock_requirements}, {lock_dist_info},  {lock_go_mod},
	{lock_go_sum}, {lock_gradle},	    {lock_bundler},    {lock_gemspec},
	{lock_mix},    {lock_cabal},	    {lock_dockerfile},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return lock_fuzz(data, size, parsers, COUNT_OF(parsers));
}
