/* hex_test.c - bytes as hexadecimal digits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hex.h"

#define BYTES_MAX 256

static void every_byte_at_every_length_has_its_two_digits(void **state)
{
	unsigned char bytes[BYTES_MAX];
	char digits[2 * BYTES_MAX + 1], expected[16];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)i;
	for (size_t len = 0; len <= sizeof(bytes); len++) {
		memset(digits, '!', sizeof(digits));
		hex_encode(digits, bytes, len);
		for (size_t i = 0; i < len; i++) {
			snprintf(expected, sizeof(expected), "%02x", bytes[i]);
			assert_memory_equal(digits + 2 * i, expected, 2);
		}
		assert_int_equal(digits[2 * len], '!');
		if (len + 8 <= sizeof(bytes)) {
			hex_encode8(digits, bytes + len);
			hex_encode(expected, bytes + len, 8);
			assert_memory_equal(digits, expected, 16);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_at_every_length_has_its_two_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
