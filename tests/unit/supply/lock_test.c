#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "lock.h"

static void npm_requirements_are_resolved_from_folder_to_folder(void **state)
{
	struct lock_run run;
	const struct component *c;
	uint32_t path[8];

	(void)state;
	lock_run_start(&run, lock_npm,
		       SPAN("{\"name\":\"app\",\"version\":\"1.0.0\",\"lockfileVersion\":3,"
			    "\"packages\":{\n"
			    "\"\":{\"dependencies\":{\"a\":\"1\"},\"devDependencies\":{\"d\":"
			    "\"1\"}},\n"
			    "\"node_modules/a\":{\"version\":\"1.0.0\",\"license\":\"MIT\","
			    "\"dependencies\":{\"b\":\"2\"}},\n"
			    "\"node_modules/a/node_modules/b\":{\"version\":\"2.0.0\"},\n"
			    "\"node_modules/b\":{\"version\":\"1.0.0\",\"dev\":true},\n"
			    "\"node_modules/d\":{\"version\":\"3.0.0\",\"dev\":true,"
			    "\"dependencies\":{\"b\":\"1\"}}}}"),
		       NULL);
	assert_int_equal(run.result, 0);
	assert_int_equal(run.inv.count, 4);
	assert_true(span_eq(run.inv.subject_name, SPAN("app")));
	c = lock_run_find(&run, "a", "1.0.0");
	assert_int_equal(c->relation, RELATION_DIRECT);
	assert_int_equal(c->scope, SCOPE_RUNTIME);
	assert_int_equal(c->line, 3);
	assert_true(span_eq(c->licence, SPAN("MIT")));
	assert_int_equal(c->requires_count, 1);
	assert_true(span_eq(run.inv.at[c->requires[0]].version, SPAN("2.0.0")));
	c = lock_run_find(&run, "b", "2.0.0");
	assert_int_equal(c->relation, RELATION_TRANSITIVE);
	assert_int_equal(inventory_path(&run.inv, (uint32_t)(c - run.inv.at), path, 8), 2);
	assert_true(span_eq(run.inv.at[path[0]].name, SPAN("a")));
	assert_int_equal(inventory_path(&run.inv, (uint32_t)(c - run.inv.at), path, 1), 0);
	assert_int_equal(lock_run_find(&run, "b", "1.0.0")->scope, SCOPE_DEV);
	lock_run_end(&run);
}

static void npm_1_takes_direct_ones_from_package_json(void **state)
{
	static const char *const beside[] = {"package.json",
					     "{\"dependencies\":{\"a\":\"^1\"}}", NULL};
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_npm,
		       SPAN("{\"lockfileVersion\":1,\"dependencies\":{"
			    "\"a\":{\"version\":\"1.0.0\",\"requires\":{\"b\":\"1\"},"
			    "\"dependencies\":{\"b\":{\"version\":\"1.5.0\"}}},"
			    "\"b\":{\"version\":\"2.0.0\"}}}"),
		       beside);
	assert_int_equal(run.inv.count, 3);
	assert_int_equal(lock_run_find(&run, "a", NULL)->relation, RELATION_DIRECT);
	assert_int_equal(lock_run_find(&run, "b", "2.0.0")->relation, RELATION_UNKNOWN);
	assert_int_equal(lock_run_find(&run, "b", "1.5.0")->relation, RELATION_TRANSITIVE);
	lock_run_end(&run);
}

static void npm_workspaces_are_local_and_their_requirements_direct(void **state)
{
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_npm,
		       SPAN("{\"lockfileVersion\":2,\"packages\":{\"\":{},"
			    "\"packages/w\":{\"name\":\"w\",\"version\":\"0.1.0\","
			    "\"dependencies\":{\"a\":\"1\"}},"
			    "\"node_modules/w\":{\"resolved\":\"packages/w\",\"link\":true},"
			    "\"node_modules/a\":{\"version\":\"1.0.0\"}}}"),
		       NULL);
	assert_int_equal(run.inv.count, 2);
	assert_true(lock_run_find(&run, "w", NULL)->local);
	assert_int_equal(lock_run_find(&run, "a", NULL)->relation, RELATION_DIRECT);
	assert_true(lock_run_requires(&run, lock_run_find(&run, "w", NULL), "a"));
	lock_run_end(&run);
}

static void the_same_package_twice_is_one_component(void **state)
{
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_npm,
		       SPAN("{\"packages\":{"
			    "\"node_modules/a\":{\"version\":\"1\",\"dev\":true},"
			    "\"node_modules/b/node_modules/a\":{\"version\":\"1\"},"
			    "\"node_modules/b\":{\"version\":\"1\","
			    "\"dependencies\":{\"a\":\"1\"}}}}"),
		       NULL);
	assert_int_equal(run.inv.count, 2);
	assert_int_equal(lock_run_find(&run, "a", NULL)->scope, SCOPE_RUNTIME);
	assert_true(lock_run_requires(&run, lock_run_find(&run, "b", NULL), "a"));
	lock_run_end(&run);
}

static void yarn_follows_descriptors(void **state)
{
	static const char *const beside[] = {
		"package.json",
		"{\"dependencies\":{\"a\":\"^1\"},\"devDependencies\":{\"d\":\"~2\"}}", NULL};
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_yarn,
		       SPAN("# yarn lockfile v1\n\n"
			    "a@^1, \"a@>=1 <2\":\n  version \"1.2.0\"\n  dependencies:\n"
			    "    b \"^3\"\n\nb@^3:\n  version \"3.0.0\"\n\n"
			    "d@~2:\n  version \"2.0.0\"\n"),
		       beside);
	assert_int_equal(run.result, 0);
	assert_int_equal(run.inv.count, 3);
	assert_int_equal(lock_run_find(&run, "a", "1.2.0")->relation, RELATION_DIRECT);
	assert_true(lock_run_requires(&run, lock_run_find(&run, "a", NULL), "b"));
	assert_int_equal(lock_run_find(&run, "d", NULL)->scope, SCOPE_DEV);
	assert_int_equal(lock_run_find(&run, "b", NULL)->line, 8);
	lock_run_end(&run);
	lock_run_start(&run, lock_yarn,
		       SPAN("__metadata:\n  version: 8\n\n\"a@npm:^1, a@npm:^1.2\":\n"
			    "  version: 1.2.0\n  resolution: \"a@npm:1.2.0\"\n\n"
			    "\"app@workspace:.\":\n  version: 0.0.0-use.local\n"
			    "  resolution: \"app@workspace:.\"\n  dependencies:\n"
			    "    a: \"npm:^1\"\n  linkType: soft\n"),
		       NULL);
	assert_int_equal(run.inv.count, 2);
	assert_int_equal(lock_run_find(&run, "a", "1.2.0")->relation, RELATION_DIRECT);
	assert_true(lock_run_find(&run, "app", NULL)->local);
	lock_run_end(&run);
}

static void pnpm_9_scopes_spread_from_importers(void **state)
{
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_pnpm,
		       SPAN("lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n"
			    "      a: {specifier: ^1, version: 1.0.0(p@1.0.0)}\n"
			    "    devDependencies:\n      d: {specifier: ^1, version: 1.0.0}\n"
			    "packages:\n  a@1.0.0: {}\n  b@2.0.0: {}\n  d@1.0.0: {}\n"
			    "  e@1.0.0: {}\n  p@1.0.0: {}\nsnapshots:\n"
			    "  a@1.0.0(p@1.0.0):\n    dependencies: {b: 2.0.0, p: 1.0.0}\n"
			    "  d@1.0.0:\n    dependencies: {b: 2.0.0, e: 1.0.0}\n"),
		       NULL);
	assert_int_equal(run.result, 0);
	assert_int_equal(run.inv.count, 5);
	assert_int_equal(lock_run_find(&run, "a", NULL)->relation, RELATION_DIRECT);
	assert_int_equal(lock_run_find(&run, "b", NULL)->scope, SCOPE_RUNTIME);
	assert_int_equal(lock_run_find(&run, "e", NULL)->scope, SCOPE_DEV);
	assert_int_equal(lock_run_find(&run, "e", NULL)->relation, RELATION_TRANSITIVE);
	assert_true(lock_run_requires(&run, lock_run_find(&run, "a", NULL), "p"));
	lock_run_end(&run);
}

static void bun_resolves_nested_names(void **state)
{
	struct lock_run run;

	(void)state;
	lock_run_start(
		&run, lock_bun,
		SPAN("{\n  \"lockfileVersion\": 1,\n  // made by bun\n"
		     "  \"workspaces\": {\"\": {\"name\": \"app\","
		     "\"dependencies\": {\"a\": \"^1\"}}},\n"
		     "  \"packages\": {\n"
		     "    \"a\": [\"a@1.0.0\", \"\", {\"dependencies\": {\"b\": \"^2\"}}, "
		     "\"sha512-x\"],\n"
		     "    \"a/b\": [\"b@2.0.0\", \"\", {}, \"\"],\n"
		     "    \"b\": [\"b@1.0.0\", \"\", {}, \"\"],\n  },\n}"),
		NULL);
	assert_int_equal(run.result, 0);
	assert_int_equal(run.inv.count, 3);
	assert_int_equal(lock_run_find(&run, "a", NULL)->relation, RELATION_DIRECT);
	assert_int_equal(lock_run_find(&run, "a", NULL)->line, 6);
	assert_int_equal(run.inv.at[lock_run_find(&run, "a", NULL)->requires[0]].version.ptr[0],
			 '2');
	lock_run_end(&run);
}

static void requirements_tell_what_they_include(void **state)
{
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_requirements,
		       SPAN("-r base.txt\n--requirement=more.txt\nA_b.C[x]==1.0 ; python<3\n"
			    "git+https://git.example/x@0123456789abcdef0123456789abcdef01234567"
			    "#egg=x\n???\nloose>=1\n"),
		       NULL);
	assert_int_equal(run.includes, 2);
	assert_true(span_eq(run.included, SPAN("more.txt")));
	assert_non_null(lock_run_find(&run, "a-b-c", "1.0"));
	assert_non_null(lock_run_find(&run, "loose", ""));
	assert_int_equal(lock_run_find(&run, "x", NULL)->commit.len, 40);
	assert_int_equal(run.inv.problem_count, 1);
	assert_int_equal(run.inv.problems[0].line, 5);
	lock_run_end(&run);
}

static void poetry_and_uv_know_direct_ones(void **state)
{
	static const char *const beside[] = {
		"pyproject.toml",
		"[tool.poetry.dependencies]\npython = \"^3\"\nA = \"*\"\n"
		"[tool.poetry.group.dev.dependencies]\nt = \"*\"\n",
		NULL};
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_poetry,
		       SPAN("[[package]]\nname = \"a\"\nversion = \"1\"\n"
			    "[package.dependencies]\nb = \">=1\"\n"
			    "[[package]]\nname = \"b\"\nversion = \"2\"\n"
			    "[[package]]\nname = \"t\"\nversion = \"3\"\n"),
		       beside);
	assert_int_equal(run.inv.count, 3);
	assert_int_equal(lock_run_find(&run, "a", NULL)->relation, RELATION_DIRECT);
	assert_int_equal(lock_run_find(&run, "b", NULL)->relation, RELATION_TRANSITIVE);
	assert_int_equal(lock_run_find(&run, "t", NULL)->scope, SCOPE_DEV);
	lock_run_end(&run);
	lock_run_start(&run, lock_uv,
		       SPAN("version = 1\n[[package]]\nname = \"app\"\nversion = \"0\"\n"
			    "source = { virtual = \".\" }\n"
			    "dependencies = [{ name = \"a\" }]\n"
			    "[package.dev-dependencies]\ndev = [{ name = \"t\" }]\n"
			    "[[package]]\nname = \"a\"\nversion = \"1\"\n"
			    "source = { registry = \"https://registry.example/simple\" }\n"
			    "[[package]]\nname = \"t\"\nversion = \"1\"\n"),
		       NULL);
	assert_int_equal(run.inv.count, 3);
	assert_true(lock_run_find(&run, "app", NULL)->local);
	assert_int_equal(lock_run_find(&run, "a", NULL)->relation, RELATION_DIRECT);
	assert_int_equal(lock_run_find(&run, "t", NULL)->scope, SCOPE_DEV);
	lock_run_end(&run);
}

static void pylock_is_read(void **state)
{
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_pylock,
		       SPAN("lock-version = \"1.0\"\n[[packages]]\nname = \"attrs\"\n"
			    "version = \"25.1.0\"\n[[packages]]\nname = \"g\"\n"
			    "vcs = {type = \"git\", url = \"https://git.example/g\", "
			    "commit-id = \"0123456789abcdef0123456789abcdef01234567\"}\n"),
		       NULL);
	assert_int_equal(run.inv.count, 2);
	assert_int_equal(lock_run_find(&run, "g", NULL)->commit.len, 40);
	lock_run_end(&run);
}

static void parents_and_properties_of_poms_are_followed(void **state)
{
	static const char *const beside[] = {
		"../pom.xml",
		"<project><groupId>g</groupId><artifactId>p</artifactId><version>7</version>"
		"<properties><v>3.${minor}</v><minor>4</minor></properties>"
		"<dependencyManagement><dependencies><dependency><groupId>x</groupId>"
		"<artifactId>managed</artifactId><version>${v}</version>"
		"<scope>test</scope></dependency></dependencies></dependencyManagement>"
		"<dependencies><dependency><groupId>x</groupId><artifactId>inherited</"
		"artifactId>"
		"<version>1</version></dependency></dependencies></project>",
		NULL};
	struct lock_run run;

	(void)state;
	lock_run_start(
		&run, lock_maven,
		SPAN("<project>\n<parent><groupId>g</groupId><artifactId>p</artifactId>"
		     "<version>7</version></parent>\n<artifactId>c</"
		     "artifactId>\n<dependencies>\n"
		     "<dependency><groupId>x</groupId><artifactId>managed</artifactId>"
		     "</dependency>\n<dependency><groupId>${project.groupId}</groupId>"
		     "<artifactId>sibling</artifactId><version>${project.version}</version>"
		     "</dependency>\n<dependency><groupId>x</groupId>"
		     "<artifactId>unknown</artifactId><version>${nowhere}</version></"
		     "dependency>\n"
		     "<dependency><groupId>x</groupId><artifactId>loop</artifactId>"
		     "<version>${loop}</version></dependency></dependencies>\n"
		     "<properties><loop>${loop}${loop}</loop></properties></project>"),
		beside);
	assert_int_equal(run.result, 0);
	assert_non_null(lock_run_find(&run, "x:managed", "3.4"));
	assert_int_equal(lock_run_find(&run, "x:managed", NULL)->scope, SCOPE_DEV);
	assert_non_null(lock_run_find(&run, "g:sibling", "7"));
	assert_non_null(lock_run_find(&run, "x:inherited", "1"));
	assert_non_null(lock_run_find(&run, "x:unknown", ""));
	assert_non_null(lock_run_find(&run, "x:loop", ""));
	assert_int_equal(run.inv.problem_count, 2);
	assert_int_equal(run.inv.problems[0].line, 7);
	lock_run_end(&run);
}

static void entities_of_xml_are_not_followed(void **state)
{
	struct lock_run run;

	(void)state;
	lock_run_start(
		&run, lock_nuget_config,
		SPAN("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>"
		     "<packages><package id=\"a\" version=\"1\" "
		     "developmentDependency=\"true\"/><package id=\"b\" version=\"2\">&e;"
		     "</package></packages>"),
		NULL);
	assert_int_equal(run.result, 0);
	assert_int_equal(run.inv.count, 2);
	assert_int_equal(lock_run_find(&run, "a", NULL)->scope, SCOPE_DEV);
	lock_run_end(&run);
}

static void go_replacements_and_toolchain_count(void **state)
{
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_go_mod,
		       SPAN("module m\n\ngo 1.21\ntoolchain go1.22.3\n\nrequire (\n"
			    "\ta.example/b v1.0.0\n\tc.example/d v1.1.0 // indirect\n)\n"
			    "exclude a.example/b v0.9.0\n"
			    "replace a.example/b => ../b\nreplace c.example/d v1.1.0 => "
			    "e.example/f v2.0.0\n"),
		       NULL);
	assert_int_equal(run.result, 0);
	assert_true(lock_run_find(&run, "../b", "")->local);
	assert_int_equal(lock_run_find(&run, "e.example/f", "2.0.0")->relation,
			 RELATION_TRANSITIVE);
	assert_non_null(lock_run_find(&run, "stdlib", "1.22.3"));
	lock_run_end(&run);
	lock_run_start(&run, lock_go_sum,
		       SPAN("a.example/b v1.0.0 h1:x=\na.example/b v1.0.0/go.mod h1:y=\n"
			    "c.example/d v1.1.0/go.mod h1:z=\n"),
		       NULL);
	assert_int_equal(run.inv.count, 1);
	lock_run_end(&run);
}

static void cargo_members_are_local(void **state)
{
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_cargo,
		       SPAN("[[package]]\nname = \"app\"\nversion = \"0.1.0\"\n"
			    "dependencies = [\n \"a 2.0.0\",\n]\n\n"
			    "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"r\"\n\n"
			    "[[package]]\nname = \"a\"\nversion = \"2.0.0\"\nsource = \"r\"\n"),
		       NULL);
	assert_true(lock_run_find(&run, "app", NULL)->local);
	assert_int_equal(lock_run_find(&run, "a", "2.0.0")->relation, RELATION_DIRECT);
	assert_int_equal(lock_run_find(&run, "a", "1.0.0")->relation, RELATION_UNKNOWN);
	lock_run_end(&run);
}

static void dotnet_targets_give_edges(void **state)
{
	struct lock_run run;

	(void)state;
	lock_run_start(
		&run, lock_dotnet_deps,
		SPAN("\xef\xbb\xbf{\"targets\":{\"net8\":{\"app/1.0.0\":{\"dependencies\":"
		     "{\"A\":\"2.0.0\"}},\"A/2.0.0\":{}}},\"libraries\":{"
		     "\"app/1.0.0\":{\"type\":\"project\"},"
		     "\"A/2.0.0\":{\"type\":\"package\"}}}"),
		NULL);
	assert_int_equal(run.result, 0);
	assert_true(lock_run_find(&run, "app", NULL)->local);
	assert_int_equal(lock_run_find(&run, "A", "2.0.0")->relation, RELATION_DIRECT);
	lock_run_end(&run);
}

static void swift_haskell_and_ruby_are_read(void **state)
{
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_swift,
		       SPAN("{\"version\":2,\"pins\":[{\"identity\":\"nio\",\"location\":"
			    "\"https://github.com/apple/swift-nio.git\",\"state\":{"
			    "\"version\":\"2.40.0\",\"revision\":"
			    "\"124119f0bb12384cef35aa041d7c3a686108722d\"}}]}"),
		       NULL);
	assert_non_null(lock_run_find(&run, "github.com/apple/swift-nio", "2.40.0"));
	lock_run_end(&run);
	lock_run_start(&run, lock_cabal,
		       SPAN("active-repositories: x\nconstraints: any.aeson ==2.1.0.0,\n"
			    "             aeson +ordered,\n             any.base ==4.17\n"),
		       NULL);
	assert_int_equal(run.inv.count, 2);
	assert_non_null(lock_run_find(&run, "base", "4.17"));
	lock_run_end(&run);
	lock_run_start(
		&run, lock_stack,
		SPAN("packages:\n- completed:\n    hackage: acme-missiles-0.3@sha256:aa,1\n"
		     "  original: {}\nsnapshots: []\n"),
		NULL);
	assert_non_null(lock_run_find(&run, "acme-missiles", "0.3"));
	lock_run_end(&run);
	lock_run_start(&run, lock_gemspec,
		       SPAN("Gem::Specification.new do |s|\n  s.name = \"rack\".freeze\n"
			    "  s.version = \"2.2.3\"\n  s.licenses = [\"MIT\".freeze]\nend\n"),
		       NULL);
	assert_non_null(lock_run_find(&run, "rack", "2.2.3"));
	assert_true(span_eq(lock_run_find(&run, "rack", NULL)->licence, SPAN("MIT")));
	lock_run_end(&run);
}

static void workflows_and_dockerfiles_name_what_they_use(void **state)
{
	struct lock_run run;
	const struct component *c;

	(void)state;
	lock_run_start(
		&run, lock_workflow,
		SPAN("on: push\njobs:\n  b:\n    container: node:18\n    steps:\n"
		     "    - uses: actions/checkout@v4\n    - uses: ./local\n"
		     "    - uses: github/codeql-action/init@0123456789abcdef0123456789abcdef"
		     "01234567\n    - uses: docker://alpine:3.18\n    - run: x\n"
		     "  c: {uses: org/repo/.github/workflows/x.yml@main}\n"),
		NULL);
	assert_int_equal(run.result, 0);
	assert_int_equal(run.inv.count, 5);
	assert_int_equal(lock_run_find(&run, "actions/checkout", "v4")->line, 6);
	assert_int_equal(lock_run_find(&run, "github/codeql-action", NULL)->commit.len, 40);
	assert_non_null(lock_run_find(&run, "org/repo", "main"));
	assert_non_null(lock_run_find(&run, "alpine", "3.18"));
	lock_run_end(&run);
	lock_run_start(
		&run, lock_dockerfile,
		SPAN("ARG V=12\nARG NONE\nFROM --platform=linux/amd64 \\\n  debian:${V} AS "
		     "Base\nFROM base\nCOPY --from=0 /a /b\nCOPY --from=nginx:1 /a /b\n"
		     "FROM scratch\nFROM $NONE\nFROM img.example:5000/x@sha256:"
		     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
		     "FROM ${U:-ubuntu}\n"),
		NULL);
	assert_int_equal(run.inv.count, 4);
	assert_int_equal(lock_run_find(&run, "debian", "12")->line, 3);
	assert_non_null(lock_run_find(&run, "nginx", "1"));
	assert_non_null(lock_run_find(&run, "ubuntu", "latest"));
	c = lock_run_find(&run, "img.example:5000/x", NULL);
	assert_true(span_starts_with(c->version, SPAN("sha256:")));
	assert_int_equal(run.inv.problem_count, 1);
	assert_int_equal(run.inv.problems[0].line, 9);
	lock_run_end(&run);
}

static void yaml_bombs_are_refused(void **state)
{
	struct lock_run run;
	struct buf text;

	(void)state;
	buf_init(&text, 1 << 20);
	buf_append_cstr(&text, "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n");
	for (int i = 1; i < 12; i++)
		buf_printf(&text, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i,
			   i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	lock_run_start(&run, lock_workflow, buf_span(&text), NULL);
	assert_int_equal(run.result, -1);
	assert_int_equal(run.err.code, ERR_LIMIT);
	lock_run_end(&run);
	buf_release(&text);
}

static void broken_files_say_where(void **state)
{
	static const struct {
		int (*parse)(const struct lock_input *in, struct err *err);
		const char *text;
		const char *says;
	} cases[] = {
		{lock_npm, "{\n\"packages\": {\n", "line 3: "},
		{lock_npm, "[]", "line 1: not an npm lock file"},
		{lock_yarn, "a@1:\n  version \"1\"\nnonsense\n", "line 3: "},
		{lock_pnpm, "a: [\n", "line "},
		{lock_pnpm, "packages: {}\n", "line 1: not a pnpm lock file"},
		{lock_bun, "{}", "line 1: not a bun"},
		{lock_bun_binary, "#!/usr/bin/env bun\nbun-lockfile-format-v0\n",
		 "line 1: format 0 of bun"},
		{lock_poetry, "[[package]]\nname = \n", "line 2: "},
		{lock_uv, "package = 1\n", "line 1: package is no list"},
		{lock_pipfile, "{}", "line 1: not a Pipfile.lock"},
		{lock_go_mod, "module m\nwhat is this\n", "line 2: "},
		{lock_go_sum, "a b\n", "line 1: "},
		{lock_cargo, "[[package]]\nname = \"x\n", "line 2: "},
		{lock_maven, "<project>\n<a></project>", "line 2: "},
		{lock_maven, "<html/>", "line 1: the root element is no project"},
		{lock_gradle_verification, "<x/>", "line 1: "},
		{lock_bundler, "<<<<<<< HEAD\n", "line 1: "},
		{lock_composer, "{\"packages\":{}}", "line 1: no list of packages"},
		{lock_nuget, "{}", "line 1: not a NuGet"},
		{lock_conan, "{}", "line 1: not a Conan"},
		{lock_mix, "%{\n \"a\": oops,\n}", "line 2: "},
		{lock_swift, "{}", "line 1: no list of pins"},
		{lock_dist_info, "Name: x\n", "line "},
		{os_rpm_ndb, "no", "not an rpm database"},
		{os_rpm_sqlite, "no", "not an SQLite database"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct lock_run run;

		lock_run_start(&run, cases[i].parse, span_cstr(cases[i].text), NULL);
		assert_int_equal(run.result, -1);
		if (!span_starts_with(span_cstr(run.err.message), span_cstr(cases[i].says)))
			fail_msg("%s: %s", cases[i].text, run.err.message);
		lock_run_end(&run);
	}
}

static void good_components_before_a_broken_place_stay(void **state)
{
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_go_sum, SPAN("a.example/b v1.0.0 h1:x=\nbroken\n"), NULL);
	assert_int_equal(run.result, -1);
	assert_int_equal(run.inv.count, 1);
	lock_run_end(&run);
}

/* Each allocation fails once: the parser ends, and says so or has lost nothing that it tells. */
static void memory_may_run_out_anywhere(void **state)
{
	static const struct {
		int (*parse)(const struct lock_input *in, struct err *err);
		const char *text;
	} cases[] = {
		{lock_npm, "{\"packages\":{\"\":{\"dependencies\":{\"a\":\"1\"}},"
			   "\"node_modules/a\":{\"version\":\"1\"}}}"},
		{lock_yarn, "a@1:\n  version \"1\"\n  dependencies:\n    a \"1\"\n"},
		{lock_pnpm, "lockfileVersion: 5.4\ndependencies: {a: 1.0.0}\n"
			    "packages:\n  /a/1.0.0: {dev: false}\n"},
		{lock_poetry, "[[package]]\nname = \"a\"\nversion = \"1\"\n"},
		{lock_maven,
		 "<project><dependencies><dependency><groupId>${a}</groupId>"
		 "<artifactId>b</artifactId></dependency></dependencies></project>"},
		{os_dpkg, "Package: a\nVersion: 1\nDepends: b | a\n\nPackage: b\nVersion: 2\n"},
		{os_apk, "P:a\nV:1\nD:b\np:c\n\nP:b\nV:2\n"},
		{lock_dockerfile, "ARG A=1\nFROM a:$A as b\nFROM b\n"},
		{lock_mix, "%{\"a\": {:hex, :a, \"1\", \"h\", [:mix], [{:b, \"1\", []}]}}"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		for (unsigned long n = 1; n < 400; n++) {
			struct lock_run run;
			bool happened;

			mem_fail_at(n);
			lock_run_start(&run, cases[i].parse, span_cstr(cases[i].text), NULL);
			happened = mem_fail_happened();
			mem_fail_at(0);
			if (!happened)
				assert_int_equal(run.result, 0);
			lock_run_end(&run);
			if (!happened)
				break;
		}
	}
}

static void releases_have_the_time_that_lock_files_tell(void **state)
{
	struct lock_run run;

	(void)state;
	lock_run_start(&run, lock_composer,
		       SPAN("{\"packages\":[{\"name\":\"a/b\",\"version\":\"1.0.0\","
			    "\"time\":\"2026-01-02T03:04:05+00:00\"}]}"),
		       NULL);
	assert_true(span_eq(lock_run_find(&run, "a/b", "1.0.0")->published,
			    SPAN("2026-01-02T03:04:05+00:00")));
	lock_run_end(&run);
	lock_run_start(&run, lock_pnpm,
		       SPAN("lockfileVersion: '9.0'\npackages:\n  a@1.0.0: {}\n  b@1.0.0: {}\n"
			    "time:\n  a@1.0.0: '2026-01-02T03:04:05.678Z'\n"),
		       NULL);
	assert_true(span_eq(lock_run_find(&run, "a", "1.0.0")->published,
			    SPAN("2026-01-02T03:04:05.678Z")));
	assert_int_equal(lock_run_find(&run, "b", "1.0.0")->published.len, 0);
	lock_run_end(&run);
	lock_run_start(&run, lock_renv,
		       SPAN("{\"Packages\":{\"a\":{\"Package\":\"a\",\"Version\":\"1.0\","
			    "\"License\":\"MIT + file LICENSE\","
			    "\"Date/Publication\":\"2026-01-02 03:04:05 UTC\"}}}"),
		       NULL);
	assert_true(span_eq(lock_run_find(&run, "a", "1.0")->published,
			    SPAN("2026-01-02T03:04:05Z")));
	assert_true(span_starts_with(lock_run_find(&run, "a", "1.0")->licence, SPAN("MIT")));
	lock_run_end(&run);
	lock_run_start(
		&run, lock_uv,
		SPAN("version = 1\n[[package]]\nname = \"a\"\nversion = \"1.0\"\n"
		     "source = { registry = \"https://registry.test/simple\" }\n"
		     "sdist = { url = \"x\", upload-time = \"2026-01-02T00:00:00Z\" }\n"
		     "wheels = [{ url = \"y\", upload-time = \"2026-01-03T00:00:00Z\" }]\n"),
		NULL);
	assert_true(span_eq(lock_run_find(&run, "a", "1.0")->published,
			    SPAN("2026-01-03T00:00:00Z")));
	lock_run_end(&run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(npm_requirements_are_resolved_from_folder_to_folder),
		cmocka_unit_test(npm_1_takes_direct_ones_from_package_json),
		cmocka_unit_test(npm_workspaces_are_local_and_their_requirements_direct),
		cmocka_unit_test(the_same_package_twice_is_one_component),
		cmocka_unit_test(yarn_follows_descriptors),
		cmocka_unit_test(pnpm_9_scopes_spread_from_importers),
		cmocka_unit_test(bun_resolves_nested_names),
		cmocka_unit_test(requirements_tell_what_they_include),
		cmocka_unit_test(poetry_and_uv_know_direct_ones),
		cmocka_unit_test(pylock_is_read),
		cmocka_unit_test(parents_and_properties_of_poms_are_followed),
		cmocka_unit_test(entities_of_xml_are_not_followed),
		cmocka_unit_test(go_replacements_and_toolchain_count),
		cmocka_unit_test(cargo_members_are_local),
		cmocka_unit_test(dotnet_targets_give_edges),
		cmocka_unit_test(swift_haskell_and_ruby_are_read),
		cmocka_unit_test(workflows_and_dockerfiles_name_what_they_use),
		cmocka_unit_test(yaml_bombs_are_refused),
		cmocka_unit_test(broken_files_say_where),
		cmocka_unit_test(good_components_before_a_broken_place_stay),
		cmocka_unit_test(memory_may_run_out_anywhere),
		cmocka_unit_test(releases_have_the_time_that_lock_files_tell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
