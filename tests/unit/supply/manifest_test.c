/* What lock files do not tell themselves: which of their packages the project asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "lock.h"

static void has(const struct lock_run *run, const char *name, enum component_relation relation)
{
	const struct component *c = lock_run_find(run, name, NULL);

	if (!c)
		fail_msg("%s is missing", name);
	if (c->relation != relation)
		fail_msg("%s: relation %d", name, c->relation);
}

static void comments_of_pip_compile_tell_who_asked(void **state)
{
	struct lock_run run;
	const struct component *c;
	uint32_t path[4];

	(void)state;
	lock_run_start(&run, lock_requirements,
		       SPAN("click==8.0.1 \\\n    --hash=sha256:00\n    # via flask\n"
			    "Flask==2.0.1\n    # via -r requirements.in\n"
			    "markupsafe==2.0\n    # via\n    #   jinja2\n    #   werkzeug\n"
			    "jinja2==3.0  # via flask, missing\n"
			    "# a remark\n"
			    "werkzeug==2.0\n    # via\n    #   flask\n"
			    "    #   shop (pyproject.toml)\n"
			    "tool==1.0\n    # via shop\n"
			    "old==1.0\n"),
		       NULL);
	assert_int_equal(run.result, 0);
	assert_int_equal(run.inv.count, 7);
	has(&run, "flask", RELATION_DIRECT);
	has(&run, "click", RELATION_TRANSITIVE);
	has(&run, "markupsafe", RELATION_TRANSITIVE);
	has(&run, "werkzeug", RELATION_DIRECT);
	has(&run, "tool", RELATION_DIRECT);
	has(&run, "old", RELATION_DIRECT);
	assert_true(lock_run_requires(&run, lock_run_find(&run, "flask", NULL), "click"));
	assert_true(lock_run_requires(&run, lock_run_find(&run, "jinja2", NULL), "markupsafe"));
	assert_true(
		lock_run_requires(&run, lock_run_find(&run, "werkzeug", NULL), "markupsafe"));
	c = lock_run_find(&run, "click", NULL);
	assert_int_equal(inventory_path(&run.inv, (uint32_t)(c - run.inv.at), path, 4), 2);
	assert_true(span_eq(run.inv.at[path[0]].name, SPAN("flask")));
	lock_run_end(&run);
}

static void what_somebody_has_written_down_is_direct(void **state)
{
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_requirements, SPAN("# via is a word\na==1\nb>=2 # why\n"),
		       NULL);
	has(&run, "a", RELATION_DIRECT);
	has(&run, "b", RELATION_DIRECT);
	lock_run_end(&run);
}

static void a_pipfile_tells_direct_ones(void **state)
{
	static const char *const beside[] = {
		"Pipfile", "[packages]\nMy_Pkg = \"*\"\n[dev-packages]\npytest = \"*\"\n",
		NULL};
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_pipfile,
		       SPAN("{\"_meta\":{},\"default\":{\"my-pkg\":{\"version\":\"==1\"},"
			    "\"dep\":{\"version\":\"==2\"}},\"develop\":{\"pytest\":{"
			    "\"version\":\"==3\"}}}"),
		       beside);
	has(&run, "my-pkg", RELATION_DIRECT);
	has(&run, "pytest", RELATION_DIRECT);
	has(&run, "dep", RELATION_TRANSITIVE);
	assert_int_equal(lock_run_find(&run, "pytest", NULL)->scope, SCOPE_DEV);
	lock_run_end(&run);
}

static void manifests_that_are_programs_name_direct_ones(void **state)
{
	static const struct {
		int (*parse)(const struct lock_input *in, struct err *err);
		const char *lock;
		const char *beside[3];
		const char *direct;
		const char *transitive;
	} cases[] = {
		{lock_mix,
		 "%{\n \"jason\": {:hex, :jason, \"1.4.0\", \"x\", [:mix], [], \"hexpm\"},\n"
		 " \"plug\": {:hex, :plug, \"1.0.0\", \"x\", [:mix], [], \"hexpm\"},\n}\n",
		 {"mix.exs",
		  "defp deps do\n [{:plug, \"~> 1.0\"}, {:plug_other, \"1\"}]\nend\n"},
		 "plug",
		 "jason"},
		{lock_gradle,
		 "org.a:one:1.0=runtimeClasspath\norg.a:two:1.0=runtimeClasspath\n",
		 {"build.gradle", "implementation 'org.a:one:1.0'\n// org.a:two\n"},
		 "org.a:one",
		 "org.a:two"},
		{lock_gradle,
		 "org.a:one:1.0=runtimeClasspath\norg.a:two:1.0=runtimeClasspath\n",
		 {"gradle/libs.versions.toml", "one = { module = \"org.a:one\" }\n"},
		 "org.a:one",
		 "org.a:two"},
		{lock_conan,
		 "{\"version\":\"0.5\",\"requires\":[\"zlib/1.2.13#a\",\"boost/1.80#b\"]}",
		 {"conanfile.txt", "[requires]\nboost/1.80\n"},
		 "boost",
		 "zlib"},
		{lock_swift,
		 "{\"pins\":[{\"identity\":\"a\",\"location\":\"https://git.example/x/a.git\","
		 "\"state\":{\"version\":\"1.0.0\"}},{\"identity\":\"b\",\"location\":"
		 "\"https://git.example/x/b\",\"state\":{\"version\":\"2.0.0\"}}],"
		 "\"version\":2}",
		 {"Package.swift",
		  ".package(url: \"https://git.example/x/a\", from: \"1.0.0\")"},
		 "git.example/x/a",
		 "git.example/x/b"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct lock_run run;

		lock_run_start(&run, cases[i].parse, span_cstr(cases[i].lock), cases[i].beside);
		assert_int_equal(run.result, 0);
		has(&run, cases[i].direct, RELATION_DIRECT);
		has(&run, cases[i].transitive, RELATION_TRANSITIVE);
		lock_run_end(&run);
		/* Without the manifest, or with one that names none, nothing is known. */
		lock_run_start(&run, cases[i].parse, span_cstr(cases[i].lock), NULL);
		has(&run, cases[i].direct, RELATION_UNKNOWN);
		lock_run_end(&run);
		lock_run_start(&run, cases[i].parse, span_cstr(cases[i].lock),
			       (const char *const[]){cases[i].beside[0], "none", NULL});
		has(&run, cases[i].transitive, RELATION_UNKNOWN);
		lock_run_end(&run);
	}
}

/* --- Copyright files of Debian. */

struct scene {
	struct inventory inv;
	struct arena scratch;
};

static const struct component *licensed(struct scene *s, const char *text)
{
	static const char *const names[] = {"other", "tool", "tool"};
	struct lock_input in = {.inv = &s->inv,
				.scratch = &s->scratch,
				.file = SPAN("usr/share/doc/tool/copyright"),
				.text = span_cstr(text),
				.layer = COMPONENT_NONE};

	inventory_init(&s->inv, (size_t)1 << 20);
	arena_init(&s->scratch, (size_t)1 << 20, 4096);
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_non_null(
			lock_add(&in, ECOSYSTEM_DPKG, span_cstr(names[i]), SPAN("1"), 1, NULL));
	assert_int_equal(os_dpkg_copyright(&in, NULL), 0);
	assert_false(s->inv.failed);
	assert_int_equal(s->inv.at[0].licence.len, 0);
	return &s->inv.at[1];
}

static void expect_licence(const char *text, const char *wanted)
{
	struct scene s;
	const struct component *c = licensed(&s, text);

	if (!span_eq(c->licence, span_cstr(wanted)))
		fail_msg("\"%.*s\" instead of \"%s\"", SPAN_ARG(c->licence), wanted);
	/* Of another architecture. */
	assert_true(span_eq(s.inv.at[2].licence, c->licence));
	arena_release(&s.scratch);
	inventory_release(&s.inv);
}

#define FORMAT "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"

static void short_names_of_debian_become_expressions(void **state)
{
	(void)state;
	expect_licence(FORMAT "Files: *\nCopyright: x\nLicense: GPL-2+\n text\n\n"
			      "Files: lib/*\nLicense: Expat\n\n"
			      "Files: debian/*\nLicense: GPL-3+\n\n"
			      "License: Apache-2.0\n only a text\n",
		       "GPL-2.0-or-later AND MIT");
	expect_licence(FORMAT "Files:\n a\n b\nLicense: LGPL-2.1 or MPL-1.1\n\n"
			      "Files: c\nLicense: GPL-3\n",
		       "(LGPL-2.1-only OR MPL-1.1) AND GPL-3.0-only");
	expect_licence(FORMAT "Files: *\nLicense: GPL-2+ or Artistic, and bsd-3-clause\n",
		       "(GPL-2.0-or-later OR Artistic-1.0-Perl) AND BSD-3-Clause");
	expect_licence(FORMAT "License: ISC\n\nFiles: *\nLicense: ISC\n", "ISC");
	expect_licence(FORMAT "Files: *\nLicense: GPL-3+ with Bison exception, and MIT\n\n"
			      "Files: b\nLicense: public-domain\n",
		       "GPL-3.0-or-later WITH Bison-exception-2.2 AND MIT");
	expect_licence(FORMAT "Files: *\nLicense: public-domain\n", "public-domain");
}

static void what_is_not_known_stays_as_declared(void **state)
{
	(void)state;
	expect_licence(FORMAT "Files: *\nLicense: GPL-2+\n\nFiles: x\nLicense: acme-eula\n",
		       "GPL-2+, acme-eula");
	expect_licence(FORMAT "Files: *\nLicense: GPL-2+ with X exception\n",
		       "GPL-2+ with X exception");
	expect_licence(FORMAT "Files: *\nLicense: ISC or\n", "ISC or");
	expect_licence(FORMAT "Files: *\nCopyright: x\n", "");
	expect_licence("", "");
}

static void prose_points_to_the_texts_of_licences(void **state)
{
	(void)state;
	expect_licence("On Debian systems it is in /usr/share/common-licenses/GPL-2.\n"
		       "and `/usr/share/common-licenses/LGPL-2.1' /usr/share/common-licenses/",
		       "GPL-2.0-only AND LGPL-2.1-only");
	expect_licence("See /usr/share/common-licenses/GPL.", "GPL");
	expect_licence("All rights reserved.", "");
}

static void memory_may_run_out_anywhere(void **state)
{
	static const char text[] = FORMAT "Files: *\nLicense: GPL-2+ or Expat\n\n"
					  "Files: b\nLicense: ISC\n";
	bool happened = true;

	(void)state;
	for (unsigned long n = 1; happened && n < 100; n++) {
		struct scene s;
		struct lock_input in = {.inv = &s.inv,
					.scratch = &s.scratch,
					.file = SPAN("usr/share/doc/t/copyright"),
					.text = span_cstr(text)};

		inventory_init(&s.inv, (size_t)1 << 20);
		arena_init(&s.scratch, (size_t)1 << 20, 16);
		assert_non_null(lock_add(&in, ECOSYSTEM_DPKG, SPAN("t"), SPAN("1"), 1, NULL));
		mem_fail_at(n);
		assert_int_equal(os_dpkg_copyright(&in, NULL), 0);
		happened = mem_fail_happened();
		mem_fail_at(0);
		assert_true(s.inv.failed || s.inv.at[0].licence.len > 0);
		assert_true(happened || !s.inv.failed);
		arena_release(&s.scratch);
		inventory_release(&s.inv);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comments_of_pip_compile_tell_who_asked),
		cmocka_unit_test(what_somebody_has_written_down_is_direct),
		cmocka_unit_test(a_pipfile_tells_direct_ones),
		cmocka_unit_test(manifests_that_are_programs_name_direct_ones),
		cmocka_unit_test(short_names_of_debian_become_expressions),
		cmocka_unit_test(what_is_not_known_stays_as_declared),
		cmocka_unit_test(prose_points_to_the_texts_of_licences),
		cmocka_unit_test(memory_may_run_out_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
