/* Databases of packages of operating systems. */
#include "lock_fuzz.h"

static const struct lock_fuzz_parser parsers[] = {
	{os_dpkg}, {os_apk}, {os_rpm_ndb}, {os_rpm_sqlite}, {os_release},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return lock_fuzz(data, size, parsers, COUNT_OF(parsers));
}
