/* What is read and written is read back as the same, and written the same; so for prefixes. */
#include <assert.h>

#include "parse/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_address(const struct address *a)
{
	char text[ADDRESS_TEXT_SIZE], again[ADDRESS_TEXT_SIZE];
	size_t len = address_format(a, text);
	struct address b;

	assert(len < ADDRESS_TEXT_SIZE && text[len] == '\0');
	assert(address_parse(span_of(text, len), &b) && address_eq(a, &b));
	assert(address_format(&b, again) == len && memcmp(text, again, len) == 0);
}

static void check_cidr(const struct cidr *cidr)
{
	char text[ADDRESS_TEXT_SIZE];
	size_t len = cidr_format(cidr, text);
	struct cidr_set set;
	struct cidr again;

	assert(cidr_parse(span_of(text, len), &again));
	assert(again.prefix == cidr->prefix && address_eq(&again.base, &cidr->base));
	cidr_set_init(&set);
	assert(cidr_set_add(&set, cidr) == 0);
	cidr_set_build(&set);
	assert(cidr_set_contains(&set, &cidr->base) == cidr_contains(cidr, &cidr->base));
	cidr_set_release(&set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = span_of(data, size);
	struct address a;
	struct cidr cidr;
	uint16_t port;

	if (address_parse(input, &a)) {
		struct address b;

		check_address(&a);
		assert(address_parse_port(input, &b, &port) && address_eq(&a, &b) && port == 0);
	}
	if (address_parse_port(input, &a, &port))
		check_address(&a);
	if (cidr_parse(input, &cidr))
		check_cidr(&cidr);
	return 0;
}
