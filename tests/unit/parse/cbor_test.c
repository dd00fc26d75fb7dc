#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parse/cbor.h"

static void members_of_a_map_are_found(void **state)
{
	struct span object = SPAN("\xa3"
				  "cfmtdnonegattStmt\xa0hauthDataX\x05"
				  "abcde");
	struct cbor_item item;

	(void)state;
	assert_true(cbor_map_get(object, SPAN("authData"), &item));
	assert_int_equal(item.type, CBOR_BYTES);
	assert_true(span_eq(item.content, SPAN("abcde")));
	assert_true(cbor_map_get(object, SPAN("attStmt"), &item));
	assert_int_equal(item.type, CBOR_MAP);
	assert_false(cbor_map_get(object, SPAN("other"), &item));
	for (size_t cut = 0; cut < object.len; cut++)
		assert_false(cbor_map_get(span_slice(object, 0, cut), SPAN("authData"), &item));
}

static void what_is_not_canonical_is_refused(void **state)
{
	static const char *const bad[] = {
		"\xbf\xff", /* indefinite map */
		"\x5f\x41\x61\xff", /* indefinite bytes */
		"\x5a\xff\xff\xff\xff" /* longer than there is */,
		"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", /* more members than bytes */
		"\x9b\x7f\xff\xff\xff\xff\xff\xff\xff",
		"\x1c",
		"\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x01", /* too deep */
	};
	struct cbor_item item;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(cbor_read(span_cstr(bad[i]), &item));
	assert_false(cbor_map_get(SPAN("\xa2\x61\x61\x01\x61\x61\x02"), SPAN("a"), &item));
	assert_false(cbor_map_get(SPAN("\xa1\x61\x61\x01\x00"), SPAN("a"), &item));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_of_a_map_are_found),
		cmocka_unit_test(what_is_not_canonical_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
