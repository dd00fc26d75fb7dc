#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "parse/version.h"

static int compare(enum version_order order, const char *a, const char *b)
{
	int forward = version_compare(order, span_cstr(a), span_cstr(b));
	int back = version_compare(order, span_cstr(b), span_cstr(a));

	assert_int_equal((forward > 0) - (forward < 0), (back < 0) - (back > 0));
	return (forward > 0) - (forward < 0);
}

/* Each is before the next. */
static void assert_ascending(enum version_order order, const char *const *versions)
{
	for (size_t i = 0; versions[i]; i++)
		for (size_t j = i + 1; versions[j]; j++)
			if (compare(order, versions[i], versions[j]) != -1)
				fail_msg("%s: %s is not before %s", version_order_name(order),
					 versions[i], versions[j]);
}

static void semver_sorts_as_in_section_11(void **state)
{
	static const char *const versions[] = {"0.9.0",		"1.0.0-alpha",
					       "1.0.0-alpha.1", "1.0.0-alpha.beta",
					       "1.0.0-beta",	"1.0.0-beta.2",
					       "1.0.0-beta.11", "1.0.0-rc.1",
					       "1.0.0",		"1.0.99999999999999999999999",
					       "1.1.0",		NULL};

	(void)state;
	assert_ascending(VERSION_ORDER_SEMVER, versions);
	assert_int_equal(compare(VERSION_ORDER_SEMVER, "v1.2", "1.2.0+build"), 0);
}

static void go_knows_pseudo_versions_and_its_own_releases(void **state)
{
	static const char *const versions[] = {"v0.0.0-20170915032832-14c0d48ead0c",
					       "v0.0.0-20190101000000-aaaaaaaaaaaa",
					       "v1.2.3-pre.0.20200101000000-abcdefabcdef",
					       "v1.2.3",
					       "v1.2.4-0.20200101000000-abcdefabcdef",
					       "v2.0.0+incompatible",
					       NULL};
	static const char *const releases[] = {"go1.20.14", "1.21beta1", "1.21rc2", "1.21rc10",
					       "1.21",	    "1.21.1",	 NULL};

	(void)state;
	assert_ascending(VERSION_ORDER_GO, versions);
	assert_ascending(VERSION_ORDER_GO, releases);
	assert_int_equal(compare(VERSION_ORDER_GO, "v2.0.0+incompatible", "2.0.0"), 0);
	assert_int_equal(compare(VERSION_ORDER_GO, "1.21rc2", "1.21.0-rc.2"), 0);
}

static void pub_counts_build_metadata(void **state)
{
	static const char *const versions[] = {"1.0.0-a", "1.0.0",     "1.0.0+1",
					       "1.0.0+2", "1.0.0+2.a", NULL};

	(void)state;
	assert_ascending(VERSION_ORDER_PUB, versions);
}

static void pep440_sorts_phases(void **state)
{
	static const char *const versions[] = {"what-is-this",
					       "1.dev0",
					       "1.0.dev456",
					       "1.0a1",
					       "1.0a2.dev456",
					       "1.0a12.dev456",
					       "1.0a12",
					       "1.0b1.dev456",
					       "1.0b2",
					       "1.0b2.post345.dev456",
					       "1.0b2.post345",
					       "1.0rc1.dev456",
					       "1.0rc1",
					       "1.0",
					       "1.0+abc.5",
					       "1.0+abc.7",
					       "1.0+5",
					       "1.0.post456.dev34",
					       "1.0.post456",
					       "1.0.15",
					       "1.1.dev1",
					       "1!0.1",
					       NULL};

	(void)state;
	assert_ascending(VERSION_ORDER_PEP440, versions);
	assert_int_equal(compare(VERSION_ORDER_PEP440, "1.0-PREVIEW_2", "1rc2"), 0);
	assert_int_equal(compare(VERSION_ORDER_PEP440, "1.0-1", "1.0.post1"), 0);
}

static void versions_of_distributions_sort_by_their_own_tools(void **state)
{
	static const char *const dpkg[] = {"1.0~~",    "1.0~rc1-1", "1.0-1~deb12u1", "1.0-1",
					   "1.0-1+b1", "1.0a",	    "1.0+x",	     "1.1",
					   "1:0.1",    NULL};
	static const char *const apk[] = {"1.2_alpha1", "1.2_rc1-r9",	   "1.2",
					  "1.2-r1",	"1.2_git20200101", "1.2_p1",
					  "1.2a",	"1.2.0",	   NULL};
	static const char *const rpm[] = {"1.0~rc1-1", "1.0-1.el8", "1.0^git1-1",
					  "1.0.1-1",   "1:0.1-1",   NULL};

	(void)state;
	assert_ascending(VERSION_ORDER_DPKG, dpkg);
	assert_ascending(VERSION_ORDER_APK, apk);
	assert_ascending(VERSION_ORDER_RPM, rpm);
}

static void nothing_is_before_everything_or_equal_to_itself(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VERSION_ORDERS; i++) {
		assert_int_equal(version_compare((enum version_order)i, SPAN_NONE, SPAN_NONE),
				 0);
		assert_true(version_compare((enum version_order)i, SPAN_NONE, SPAN("1")) < 0);
		assert_true(version_compare((enum version_order)i, SPAN("1"), SPAN_NONE) > 0);
	}
}

static void ecosystems_are_known_with_and_without_suffix(void **state)
{
	(void)state;
	assert_int_equal(version_order_of_ecosystem(SPAN("Debian:12")), VERSION_ORDER_DPKG);
	assert_int_equal(version_order_of_ecosystem(SPAN("Ubuntu:22.04:LTS")),
			 VERSION_ORDER_DPKG);
	assert_int_equal(version_order_of_ecosystem(SPAN("Alpine:v3.18")), VERSION_ORDER_APK);
	assert_int_equal(version_order_of_ecosystem(SPAN("pypi")), VERSION_ORDER_PEP440);
	assert_int_equal(version_order_of_ecosystem(SPAN("Android")), VERSION_ORDER_BYTES);
}

static void shared_numbers_tell_how_close_versions_are(void **state)
{
	(void)state;
	assert_int_equal(version_shared_numbers(SPAN("1.2.3"), SPAN("1.2.9")), 2);
	assert_int_equal(version_shared_numbers(SPAN("v1.2.3"), SPAN("1.3")), 1);
	assert_int_equal(version_shared_numbers(SPAN("1:1.2"), SPAN("2:1.2")), 0);
	assert_int_equal(version_shared_numbers(SPAN("1"), SPAN("2")), 0);
	assert_int_equal(version_shared_numbers(SPAN_NONE, SPAN("2")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(semver_sorts_as_in_section_11),
		cmocka_unit_test(go_knows_pseudo_versions_and_its_own_releases),
		cmocka_unit_test(pub_counts_build_metadata),
		cmocka_unit_test(pep440_sorts_phases),
		cmocka_unit_test(versions_of_distributions_sort_by_their_own_tools),
		cmocka_unit_test(nothing_is_before_everything_or_equal_to_itself),
		cmocka_unit_test(ecosystems_are_known_with_and_without_suffix),
		cmocka_unit_test(shared_numbers_tell_how_close_versions_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
