#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "contract/xml_check.h"

static struct xml_check *check;

static void gives(const char *text, enum xml_result expected)
{
	for (size_t step = 1; step < 1000; step *= 7) {
		struct span rest = span_cstr(text);

		assert_true(xml_check_start(check));
		while (rest.len > 0 &&
		       xml_check_feed(check, span_slice(rest, 0, step)) == XML_MORE)
			rest = span_slice(rest, step, rest.len);
		assert_int_equal(xml_check_finish(check), expected);
		assert_int_equal(xml_check_finish(check), expected);
	}
}

static void well_formed_xml_passes(void **state)
{
	(void)state;
	gives("<?xml version=\"1.0\"?>\n<a b='1'><c/>text &amp; &#65;</a>\n", XML_OK);
	gives("<?xml version=\"1.0\" encoding=\"utf-8\"?><n:a xmlns:n='u:x'>\xc3\xa9</n:a>",
	      XML_OK);
}

static void the_rest_is_malformed(void **state)
{
	static const char *const bad[] = {"",
					  "text",
					  "<a>",
					  "<a></b>",
					  "<a/><b/>",
					  "<a b=1/>",
					  "<a>&undefined;</a>",
					  "<a>\xff</a>",
					  "<a b='1' b='2'/>",
					  "{\"a\":1}"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		gives(bad[i], XML_MALFORMED);
}

static void document_types_and_entities_are_refused(void **state)
{
	(void)state;
	gives("<!DOCTYPE a><a/>", XML_DOCTYPE);
	gives("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", XML_DOCTYPE);
	gives("<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", XML_DOCTYPE);
	gives("<!DOCTYPE a [<!ENTITY b 'x'><!ENTITY c '&b;&b;'>]><a>&c;</a>", XML_DOCTYPE);
}

static void only_utf8_is_read(void **state)
{
	static const char wide[] = "\xff\xfe<\0a\0/\0>\0";

	(void)state;
	gives("<?xml version='1.0' encoding='UTF-7'?><a/>", XML_ENCODING);
	gives("<?xml version='1.0' encoding='iso-8859-1'?><a>\xe9</a>", XML_ENCODING);
	assert_true(xml_check_start(check));
	assert_int_equal(xml_check_feed(check, span_of(wide, sizeof(wide) - 1)), XML_ENCODING);
}

static void limits_hold(void **state)
{
	struct xml_limits limits = {.max_depth = 2, .max_attributes = 2, .max_elements = 4};

	(void)state;
	xml_check_free(check);
	check = xml_check_new(&limits, NULL);
	gives("<a><b/></a>", XML_OK);
	gives("<a><b><c/></b></a>", XML_LIMIT);
	gives("<a x='1' y='2' z='3'/>", XML_LIMIT);
	gives("<a><b/><b/><b/></a>", XML_OK);
	gives("<a><b/><b/><b/><b/></a>", XML_LIMIT);
}

static void a_failing_allocation_is_told(void **state)
{
	struct err err;

	(void)state;
	mem_fail_at(1);
	assert_null(xml_check_new(NULL, &err));
	assert_int_equal(err.code, ERR_MEMORY);
	mem_fail_at(0);
}

static int make(void **state)
{
	(void)state;
	check = xml_check_new(NULL, NULL);
	return check ? 0 : -1;
}

static int drop(void **state)
{
	(void)state;
	xml_check_free(check);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(well_formed_xml_passes, make, drop),
		cmocka_unit_test_setup_teardown(the_rest_is_malformed, make, drop),
		cmocka_unit_test_setup_teardown(document_types_and_entities_are_refused, make,
						drop),
		cmocka_unit_test_setup_teardown(only_utf8_is_read, make, drop),
		cmocka_unit_test_setup_teardown(limits_hold, make, drop),
		cmocka_unit_test_setup_teardown(a_failing_allocation_is_told, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
