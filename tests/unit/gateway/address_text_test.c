/* address_text_test.c - addresses as text, remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/address_text.h"

static void the_text_is_that_of_the_address_however_many_there_are(void **state)
{
	static struct address_text_cache cache;
	char got[ADDRESS_TEXT_SIZE], expected[ADDRESS_TEXT_SIZE];

	(void)state;
	/* Many more than there are slots, and each again at once and later. */
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 20 * ADDRESS_TEXT_SLOTS; i++) {
			unsigned char bytes[16] = {0x20, 1, 0x0d, 0xb8};
			struct address address;

			bytes[3 + i % 2] = (unsigned char)i;
			bytes[12] = (unsigned char)(i >> 8);
			address = i % 3 ? address_from_ipv4(bytes) : address_from_ipv6(bytes);
			for (unsigned again = 0; again < 2; again++) {
				struct span text = address_text_get(&cache, &address, got);

				assert_ptr_equal(text.ptr, got);
				assert_int_equal(text.len, address_format(&address, expected));
				assert_memory_equal(got, expected, text.len);
			}
		}
	}
}

static void limits_take_a_network_of_ipv6_for_one_client(void **state)
{
	static struct address_text_cache cache;
	unsigned char bytes[16] = {0x20, 1, 0x0d, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
	struct address first = address_from_ipv6(bytes);
	struct address other, v4 = address_from_ipv4("\300\0\2\1");
	uint64_t key = address_limit_key(&cache, &first);

	(void)state;
	bytes[15] = bytes[8] = 99;
	other = address_from_ipv6(bytes);
	assert_int_equal(address_limit_key(&cache, &other), key);
	bytes[7] = 99;
	other = address_from_ipv6(bytes);
	assert_true(address_limit_key(&cache, &other) != key);
	/* Of IPv4 each address is one. */
	key = address_limit_key(&cache, &v4);
	other = address_from_ipv4("\300\0\2\2");
	assert_true(address_limit_key(&cache, &other) != key);
	assert_int_equal(address_limit_key(&cache, &v4), key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_take_a_network_of_ipv6_for_one_client),
		cmocka_unit_test(the_text_is_that_of_the_address_however_many_there_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
