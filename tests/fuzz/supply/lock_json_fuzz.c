/* Lock files in JSON. */
#include "lock_fuzz.h"

static const struct lock_fuzz_parser parsers[] = {
	{lock_npm},	    {lock_bun},	  {lock_pipfile}, {lock_composer}, {lock_nuget},
	{lock_dotnet_deps}, {lock_conan}, {lock_swift},	  {lock_renv},	   {lock_package_json},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return lock_fuzz(data, size, parsers, COUNT_OF(parsers));
}
