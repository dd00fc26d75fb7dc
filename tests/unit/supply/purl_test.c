#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supply/purl.h"

static struct arena arena;

static int make_arena(void **state)
{
	(void)state;
	arena_init(&arena, 1 << 20, 4096);
	return 0;
}

static int drop_arena(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

static void expect_purl(struct component c, const char *wanted)
{
	struct span purl = purl_make(&arena, &c);

	assert_string_equal(purl.ptr, wanted);
}

static void each_type_is_written_by_its_rules(void **state)
{
	(void)state;
	expect_purl((struct component){.ecosystem = ECOSYSTEM_NPM,
				       .name = SPAN("@babel/Code-Frame"),
				       .version = SPAN("7.0.0")},
		    "pkg:npm/%40babel/code-frame@7.0.0");
	expect_purl((struct component){.ecosystem = ECOSYSTEM_PYPI,
				       .name = SPAN("Zope_Interface"),
				       .version = SPAN("1.0+local")},
		    "pkg:pypi/zope-interface@1.0%2Blocal");
	expect_purl((struct component){.ecosystem = ECOSYSTEM_GO,
				       .name = SPAN("github.com/BurntSushi/toml"),
				       .version = SPAN("1.0.0")},
		    "pkg:golang/github.com/burntsushi/toml@v1.0.0");
	expect_purl((struct component){.ecosystem = ECOSYSTEM_GO,
				       .name = SPAN("stdlib"),
				       .version = SPAN("1.22")},
		    "pkg:golang/stdlib@1.22");
	expect_purl((struct component){.ecosystem = ECOSYSTEM_MAVEN,
				       .name = SPAN("org.apache.Commons:io"),
				       .version = SPAN("1.3.4")},
		    "pkg:maven/org.apache.Commons/io@1.3.4");
	expect_purl((struct component){.ecosystem = ECOSYSTEM_PACKAGIST,
				       .name = SPAN("Sentry/SDK"),
				       .version = SPAN("2.0.4")},
		    "pkg:composer/sentry/sdk@2.0.4");
	expect_purl((struct component){.ecosystem = ECOSYSTEM_ACTIONS,
				       .name = SPAN("Actions/checkout"),
				       .version = SPAN("v4")},
		    "pkg:github/actions/checkout@v4");
	expect_purl((struct component){.ecosystem = ECOSYSTEM_SWIFT,
				       .name = SPAN("github.com/apple/swift-nio"),
				       .version = SPAN("2.0.0")},
		    "pkg:swift/github.com/apple/swift-nio@2.0.0");
	expect_purl((struct component){.ecosystem = ECOSYSTEM_CARGO, .name = SPAN("rand")},
		    "pkg:cargo/rand");
}

static void packages_of_systems_have_qualifiers(void **state)
{
	(void)state;
	expect_purl(
		(struct component){.ecosystem = ECOSYSTEM_DPKG,
				   .name = SPAN("libssl3"),
				   .version = SPAN("3.0.9-1"),
				   .arch = SPAN("amd64"),
				   .distro = SPAN("debian"),
				   .distro_version = SPAN("12"),
				   .source_name = SPAN("openssl"),
				   .source_version = SPAN("3.0.9-1")},
		"pkg:deb/debian/libssl3@3.0.9-1?arch=amd64&distro=debian-12&upstream=openssl");
	expect_purl((struct component){.ecosystem = ECOSYSTEM_DPKG,
				       .name = SPAN("dmsetup"),
				       .version = SPAN("2:1.02"),
				       .source_name = SPAN("lvm2"),
				       .source_version = SPAN("2.03")},
		    "pkg:deb/debian/dmsetup@2:1.02?upstream=lvm2%402.03");
	expect_purl((struct component){.ecosystem = ECOSYSTEM_RPM,
				       .name = SPAN("dbus"),
				       .version = SPAN("1:1.12.8-14.el8"),
				       .arch = SPAN("x86_64"),
				       .distro = SPAN("rocky"),
				       .distro_version = SPAN("8.5")},
		    "pkg:rpm/rocky/dbus@1.12.8-14.el8?arch=x86_64&distro=rocky-8.5&epoch=1");
	expect_purl((struct component){.ecosystem = ECOSYSTEM_NPM,
				       .name = SPAN("mine"),
				       .commit = SPAN("0a2d2506c1fe"),
				       .vcs_url = SPAN("https://git.example/mine.git")},
		    "pkg:npm/mine?vcs_url=git%2Bhttps://git.example/mine.git%400a2d2506c1fe");
}

static void what_was_written_is_read_back(void **state)
{
	static const char *const purls[] = {
		"pkg:npm/%40babel/code-frame@7.0.0",
		"pkg:deb/debian/libssl3@3.0.9-1?arch=amd64&distro=debian-12&upstream=openssl",
		"pkg:rpm/rocky/dbus@1.12.8-14.el8?arch=x86_64&distro=rocky-8.5&epoch=1",
		"pkg:maven/org.apache.commons/io@1.3.4",
		"pkg:golang/google.golang.org/genproto@v0.1.0#googleapis/api/annotations",
		"pkg:generic/bitwarderl?vcs_url=git%2Bhttps://git.example/b%40cc55",
		"pkg:npm/mine?vcs_url=git%2Bhttps://git.example/mine.git%400a2d2506c1fe",
		"pkg:docker/library/debian@12",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(purls); i++) {
		struct component c = {0};
		struct purl p;

		assert_int_equal(purl_parse(&arena, span_cstr(purls[i]), &p), PURL_OK);
		assert_string_equal(purl_write(&arena, &p).ptr, purls[i]);
		assert_true(purl_to_component(&arena, &p, &c));
		assert_true(span_eq(c.purl, span_cstr(purls[i])));
		if (p.subpath.len)
			continue;
		c.purl = SPAN_NONE;
		if (c.ecosystem != ECOSYSTEM_OTHER)
			assert_string_equal(purl_make(&arena, &c).ptr, purls[i]);
	}
}

static void components_come_out_as_from_their_lock_files(void **state)
{
	struct component c = {0};
	struct purl p;

	(void)state;
	assert_int_equal(purl_parse(&arena,
				    SPAN("pkg:deb/debian/dmsetup@2:1.02?upstream=lvm2%402.03&"
					 "distro=debian-12&arch=arm64"),
				    &p),
			 PURL_OK);
	assert_true(purl_to_component(&arena, &p, &c));
	assert_int_equal(c.ecosystem, ECOSYSTEM_DPKG);
	assert_true(span_eq(c.name, SPAN("dmsetup")) && span_eq(c.version, SPAN("2:1.02")));
	assert_true(span_eq(c.source_name, SPAN("lvm2")));
	assert_true(span_eq(c.source_version, SPAN("2.03")));
	assert_true(span_eq(c.distro, SPAN("debian")) && span_eq(c.distro_version, SPAN("12")));
	assert_true(span_eq(c.arch, SPAN("arm64")));
	c = (struct component){0};
	assert_int_equal(purl_parse(&arena, SPAN("pkg:maven/org.a/b@1"), &p), PURL_OK);
	assert_true(purl_to_component(&arena, &p, &c));
	assert_true(span_eq(c.name, SPAN("org.a:b")));
	c = (struct component){0};
	assert_int_equal(purl_parse(&arena, SPAN("pkg:rpm/fedora/x@1-2?epoch=3"), &p), PURL_OK);
	assert_true(purl_to_component(&arena, &p, &c));
	assert_true(span_eq(c.version, SPAN("3:1-2")));
}

static void other_spellings_become_the_canonical_one(void **state)
{
	static const struct {
		const char *from;
		const char *to;
	} pairs[] = {
		{"pkg:NPM/foo@1", "pkg:npm/foo@1"},
		{"pkg://npm/foo@1", "pkg:npm/foo@1"},
		{"pkg:npm/@scope/foo@1", "pkg:npm/%40scope/foo@1"},
		{"pkg:npm/@scope/foo", "pkg:npm/%40scope/foo"},
		{"pkg:PYPI/Django_package@1.11.1.dev1", "pkg:pypi/django-package@1.11.1.dev1"},
		{"pkg:github//a//b@1", "pkg:github/a/b@1"},
		{"pkg:generic/x@1?B=2&a=&C=1", "pkg:generic/x@1?b=2&c=1"},
		{"pkg:golang/a/b@v1#/x/../y/./z/", "pkg:golang/a/b@v1#x/y/z"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pairs); i++) {
		struct purl p;

		assert_int_equal(purl_parse(&arena, span_cstr(pairs[i].from), &p), PURL_OK);
		assert_string_equal(purl_write(&arena, &p).ptr, pairs[i].to);
	}
}

static void broken_ones_are_refused(void **state)
{
	static const struct {
		const char *text;
		enum purl_result result;
	} cases[] = {
		{"", PURL_NO_SCHEME},
		{"npm/foo", PURL_NO_SCHEME},
		{"pkg:npm", PURL_NO_NAME},
		{"pkg:npm/", PURL_NO_NAME},
		{"pkg:npm/@1.0", PURL_NO_NAME},
		{"pkg:1x/foo", PURL_BAD_TYPE},
		{"pkg:n&m/foo", PURL_BAD_TYPE},
		{"pkg:npm/foo%zz", PURL_BAD_ESCAPE},
		{"pkg:npm/foo%f", PURL_BAD_ESCAPE},
		{"pkg:npm/%ff", PURL_BAD_ESCAPE},
		{"pkg:npm/a%2fb/c", PURL_BAD_ESCAPE},
		{"pkg:npm/foo?a", PURL_BAD_QUALIFIER},
		{"pkg:npm/foo?1a=b", PURL_BAD_QUALIFIER},
		{"pkg:npm/foo?a=1&A=2", PURL_BAD_QUALIFIER},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct purl p;

		assert_int_equal(purl_parse(&arena, span_cstr(cases[i].text), &p),
				 cases[i].result);
		assert_true(purl_result_text(cases[i].result)[0] != '\0');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_type_is_written_by_its_rules, make_arena,
						drop_arena),
		cmocka_unit_test_setup_teardown(packages_of_systems_have_qualifiers, make_arena,
						drop_arena),
		cmocka_unit_test_setup_teardown(what_was_written_is_read_back, make_arena,
						drop_arena),
		cmocka_unit_test_setup_teardown(components_come_out_as_from_their_lock_files,
						make_arena, drop_arena),
		cmocka_unit_test_setup_teardown(other_spellings_become_the_canonical_one,
						make_arena, drop_arena),
		cmocka_unit_test_setup_teardown(broken_ones_are_refused, make_arena,
						drop_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
