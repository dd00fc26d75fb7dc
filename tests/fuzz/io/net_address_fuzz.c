/* An address that parses is formatted as a text that parses to the same address. */
#include <assert.h>
#include <stdint.h>

#include "io/net_address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size);
	struct net_address first, second;
	char formatted[NET_ADDRESS_TEXT_MAX];
	struct span host;
	unsigned port;

	if (net_address_split(text, &host, &port))
		assert(host.len > 0 && port >= 1 && port <= 65535);
	if (net_address_parse(&first, text, NULL) < 0)
		return 0;
	text = net_address_format(&first.storage, true, formatted);
	assert(net_address_parse(&second, text, NULL) == 0);
	/* An IPv4-mapped address comes back as IPv4, and is stable from there. */
	text = net_address_format(&second.storage, true, formatted);
	assert(net_address_parse(&first, text, NULL) == 0);
	assert(net_address_eq(&first, &second));
	return 0;
}
