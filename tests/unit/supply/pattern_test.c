#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "supply/pattern.h"

struct sample {
	const char *pattern, *text;
	bool fits;
};

static void paths_fit_shell_patterns_and_folders(void **state)
{
	static const struct sample samples[] = {
		{"a/b.json", "a/b.json", true},
		{"a", "a/b.json", true},
		{"a/", "a/b/c.json", true},
		{"./a", "a/b", true},
		{"a", "ab/c", false},
		{"*.json", "b.json", true},
		{"*.json", "a/b.json", false},
		{"**/*.json", "a/b.json", true},
		{"**/*.json", "b.json", true},
		{"a/**/z", "a/z", true},
		{"a/**/z", "a/b/c/z", true},
		{"a/**/z", "ab/z", false},
		{"**/test/**", "a/test/b", true},
		{"**/test/**", "a/contest/b", false},
		{"**", "anything/at/all", true},
		{"a?c", "abc", true},
		{"a?c", "a/c", false},
		{"a*b*c", "aXbYc", true},
		{"a*b*c", "aXbYd", false},
		{"services/*/x", "services/o/x", true},
		{"services/*/x", "services/o/p/x", false},
		{"", "a", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(samples); i++)
		if (pattern_path(span_cstr(samples[i].pattern), span_cstr(samples[i].text)) !=
		    samples[i].fits)
			fail_msg("%s on %s", samples[i].pattern, samples[i].text);
}

static void purls_fit_with_or_without_version(void **state)
{
	static const struct sample samples[] = {
		{"pkg:npm/a", "pkg:npm/a@1.0", true},
		{"pkg:npm/a", "pkg:npm/ab@1.0", false},
		{"pkg:npm/a@1.0", "pkg:npm/a@1.0", true},
		{"pkg:npm/a@1.0", "pkg:npm/a@1.0.1", false},
		{"pkg:npm/@s/a", "pkg:npm/%40s/a@2", true},
		{"pkg:npm/%40s/a", "pkg:npm/%40s/a@2", true},
		{"pkg:npm/@s/", "pkg:npm/%40s/a@2", true},
		{"pkg:npm/@s/*", "pkg:npm/%40s/a@2", true},
		{"pkg:npm/@s", "pkg:npm/%40t/a@2", false},
		{"pkg:maven/org.acme*", "pkg:maven/org.acme.x/y@1", true},
		{"pkg:deb/debian/openssl?distro=debian-12",
		 "pkg:deb/debian/openssl@3?arch=amd64&distro=debian-12", true},
		{"pkg:deb/debian/openssl?distro=debian-11",
		 "pkg:deb/debian/openssl@3?arch=amd64&distro=debian-12", false},
		{"pkg:golang/a/b", "pkg:golang/a/b@v1.0#sub", true},
		{"", "pkg:npm/a", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(samples); i++)
		if (pattern_purl(span_cstr(samples[i].pattern), span_cstr(samples[i].text)) !=
		    samples[i].fits)
			fail_msg("%s on %s", samples[i].pattern, samples[i].text);
	assert_true(pattern_purl_valid(SPAN("pkg:npm/a")));
	assert_false(pattern_purl_valid(SPAN("lodash")));
	assert_false(pattern_purl_valid(SPAN("pkg:npm")));
}

static void versions_fit_ranges_in_the_order_of_their_ecosystem(void **state)
{
	static const struct {
		enum ecosystem ecosystem;
		const char *ranges, *version;
		bool fits;
	} samples[] = {
		{ECOSYSTEM_NPM, ">=1.2 <2", "1.10.0", true},
		{ECOSYSTEM_NPM, ">=1.2, <2", "2.0.0", false},
		{ECOSYSTEM_NPM, ">= 1.2 < 2", "1.2.0", true},
		{ECOSYSTEM_NPM, "<1 || >=3 || 2.5.0", "2.5.0", true},
		{ECOSYSTEM_NPM, "<1 || >=3", "2.5.0", false},
		{ECOSYSTEM_NPM, "!=1.0.0", "1.0.0", false},
		{ECOSYSTEM_NPM, "*", "0.0.1", true},
		{ECOSYSTEM_NPM, "<1.0.0", "1.0.0-rc.1", true},
		{ECOSYSTEM_PYPI, "<1.0", "1.0.dev1", true},
		{ECOSYSTEM_PYPI, ">=1.0", "1.0.post1", true},
		{ECOSYSTEM_OTHER, "<1.10", "1.9", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(samples); i++) {
		struct component c = {.ecosystem = samples[i].ecosystem,
				      .version = span_cstr(samples[i].version)};

		assert_true(pattern_versions_valid(span_cstr(samples[i].ranges)));
		if (pattern_versions(span_cstr(samples[i].ranges), &c) != samples[i].fits)
			fail_msg("%s on %s", samples[i].ranges, samples[i].version);
	}
	assert_false(pattern_versions_valid(SPAN("")));
	assert_false(pattern_versions_valid(SPAN("<")));
	assert_false(pattern_versions_valid(SPAN("<1 ||")));
	assert_false(pattern_versions_valid(SPAN("<<1")));
}

/* A pattern of many stars takes no more than its length times the text's. */
static void many_stars_end(void **state)
{
	char pattern[512], text[2000];

	(void)state;
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = "**/a*"[i % 5];
	memset(text, 'a', sizeof(text));
	for (size_t i = 7; i < sizeof(text); i += 8)
		text[i] = '/';
	text[sizeof(text) - 1] = 'b';
	(void)pattern_path(span_of(pattern, sizeof(pattern)), span_of(text, sizeof(text)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_fit_shell_patterns_and_folders),
		cmocka_unit_test(purls_fit_with_or_without_version),
		cmocka_unit_test(versions_fit_ranges_in_the_order_of_their_ecosystem),
		cmocka_unit_test(many_stars_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
