#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supply/cvss.h"

static void scores_are_those_of_the_specifications(void **state)
{
	/* Examples of FIRST's documents, and values of its calculators. */
	static const struct {
		const char *vector;
		unsigned base, score;
	} cases[] = {
		{"AV:N/AC:L/Au:N/C:N/I:N/A:C", 78, 78},
		{"AV:N/AC:L/Au:N/C:N/I:N/A:C/E:F/RL:OF/RC:C", 78, 64},
		{"AV:N/AC:L/Au:N/C:N/I:N/A:C/E:F/RL:OF/RC:C/CDP:H/TD:H/CR:M/IR:M/AR:H", 78, 92},
		{"(AV:L/AC:H/Au:N/C:C/I:C/A:C)", 62, 62},
		{"AV:N/AC:L/Au:N/C:N/I:N/A:N", 0, 0},
		{"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 98, 98},
		{"CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 61, 61},
		{"CVSS:3.0/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H", 81, 81},
		{"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 100, 100},
		{"CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N", 0, 0},
		{"CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H/E:P/RL:O/RC:C", 88, 79},
		{"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 93, 93},
		{"CVSS:4.0/AV:L/AC:L/AT:P/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:U", 48, 48},
		{"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 100, 100},
		{"CVSS:4.0/AV:P/AC:H/AT:P/PR:H/UI:A/VC:L/VI:N/VA:N/SC:N/SI:N/SA:N", 10, 10},
		{"CVSS:4.0/AV:A/AC:H/AT:N/PR:L/UI:P/VC:L/VI:H/VA:N/SC:L/SI:N/SA:H/E:P/CR:M/"
		 "IR:L/"
		 "AR:H/MAV:L",
		 15, 15},
		{"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct cvss cvss;

		if (cvss_read(span_cstr(cases[i].vector), &cvss) != CVSS_OK)
			fail_msg("%s is refused", cases[i].vector);
		if (cvss.base_tenths != cases[i].base || cvss.score_tenths != cases[i].score)
			fail_msg("%s: %u and %u", cases[i].vector, cvss.base_tenths,
				 cvss.score_tenths);
	}
}

static void broken_vectors_are_refused(void **state)
{
	static const struct {
		const char *vector;
		enum cvss_result result;
	} cases[] = {
		{"", CVSS_BAD_METRIC},
		{"CVSS:9.9/AV:N", CVSS_BAD_VERSION},
		{"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H", CVSS_MISSING},
		{"CVSS:3.1/AV:N/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", CVSS_TWICE},
		{"CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", CVSS_BAD_VALUE},
		{"CVSS:3.1/AV:N/ZZ:L/PR:N/UI:N/S:U/C:H/I:H/A:H", CVSS_BAD_METRIC},
		{"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/", CVSS_BAD_METRIC},
		{"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:-/SI:N/SA:N",
		 CVSS_BAD_VALUE},
		{"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:S/SI:N/SA:N",
		 CVSS_BAD_VALUE},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct cvss cvss;
		enum cvss_result result = cvss_read(span_cstr(cases[i].vector), &cvss);

		if (result != cases[i].result)
			fail_msg("\"%s\" %s", cases[i].vector, cvss_result_text(result));
	}
}

static void severities_follow_the_scale(void **state)
{
	(void)state;
	assert_int_equal(cvss_severity(0), FINDING_INFO);
	assert_int_equal(cvss_severity(1), FINDING_LOW);
	assert_int_equal(cvss_severity(39), FINDING_LOW);
	assert_int_equal(cvss_severity(40), FINDING_MEDIUM);
	assert_int_equal(cvss_severity(69), FINDING_MEDIUM);
	assert_int_equal(cvss_severity(70), FINDING_HIGH);
	assert_int_equal(cvss_severity(89), FINDING_HIGH);
	assert_int_equal(cvss_severity(90), FINDING_CRITICAL);
	assert_int_equal(cvss_severity(100), FINDING_CRITICAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scores_are_those_of_the_specifications),
		cmocka_unit_test(broken_vectors_are_refused),
		cmocka_unit_test(severities_follow_the_scale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
