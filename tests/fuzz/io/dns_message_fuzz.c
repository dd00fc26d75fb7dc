/* What is read of a response are host names with ports, within the bounds given; a shorter list is
 * the beginning of the longer one. */
#include <assert.h>

#include "io/dns_message.h"

#define MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_service services[MAX], first;
	size_t count, one;
	uint32_t ttl_s, again_s;
	bool good = dns_message_services(span_of(data, size), services, MAX, &count, &ttl_s);

	assert(count <= MAX);
	for (size_t i = 0; i < count; i++) {
		assert(services[i].port != 0 && services[i].target[0]);
		assert(strlen(services[i].target) <= DNS_NAME_MAX);
		assert(!strpbrk(services[i].target, "/:@ %"));
	}
	assert(dns_message_services(span_of(data, size), &first, 1, &one, &again_s) == good);
	assert(again_s == ttl_s && one == (count > 0));
	if (one)
		assert(strcmp(first.target, services[0].target) == 0);
	return 0;
}
