#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supply/check.h"
#include "supply/check_dockerfile.h"

#ifdef HAVE_ASAN
/* libjq 1.6 loses some small texts each time that a program does not compile. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libjq.so";
}
#endif

static struct checker *new_checker(void)
{
	struct err err = {0};
	struct checker *c = checker_new(&err);

	if (!c)
		fail_msg("%s", err.message);
	return c;
}

static void each_rule_finds_its_bad_examples_and_no_good_one(void **state)
{
	struct checker *c = new_checker();
	unsigned failed = 0;

	(void)state;
	for (size_t i = 0; i < checker_rule_count(c); i++) {
		struct err err = {0};

		if (check_examples(c, i, &err) == 0)
			continue;
		print_message("%s\n", err.message);
		failed++;
	}
	assert_true(checker_rule_count(c) >= 120);
	checker_free(c);
	assert_int_equal(failed, 0);
}

static void rules_explain_themselves(void **state)
{
	struct checker *c = new_checker();
	unsigned mapped = 0;

	(void)state;
	for (size_t i = 0; i < checker_rule_count(c); i++) {
		const struct check_rule *rule = checker_rule(c, i);

		if (rule->why.len == 0 || rule->fix.len == 0)
			fail_msg("%.*s lacks why or fix", SPAN_ARG(rule->id));
		if (rule->standards.len == 0 && rule->link.len == 0)
			fail_msg("%.*s is in no standard", SPAN_ARG(rule->id));
		if (rule->kind != CHECK_SECRET &&
		    (span_find(rule->standards, SPAN("CIS")) < rule->standards.len ||
		     span_find(rule->standards, SPAN("OWASP")) < rule->standards.len ||
		     span_find(rule->link, SPAN("pod-security")) < rule->link.len))
			mapped++;
	}
	assert_true(mapped >= 120);
	checker_free(c);
}

static struct finding_list check(struct checker *c, struct arena *arena, enum check_kind kind,
				 const char *path, const char *text)
{
	struct finding_list list;
	struct err err = {0};

	finding_list_init(&list, arena);
	if (check_file(c, kind, span_cstr(path), span_cstr(text), &list, &err) < 0)
		fail_msg("%s", err.message);
	return list;
}

static const struct finding *find(const struct finding_list *list, const char *rule)
{
	for (size_t i = 0; i < list->count; i++)
		if (span_eq(list->at[i].rule, span_cstr(rule)))
			return &list->at[i];
	return NULL;
}

static void findings_have_the_line_of_what_is_wrong(void **state)
{
	static const char dockerfile[] = "FROM debian:12\n"
					 "# a comment\n"
					 "RUN true && \\\n"
					 "    # between\n"
					 "    false\n"
					 "RUN sudo id\n";
	static const char manifests[] = "apiVersion: v1\n"
					"kind: Service\n"
					"metadata: {name: a}\n"
					"---\n"
					"apiVersion: v1\n"
					"kind: Pod\n"
					"metadata: {name: a}\n"
					"spec:\n"
					"  containers:\n"
					"  - name: a\n"
					"    image: b:1\n"
					"  - name: b\n"
					"    image: b:1\n"
					"    securityContext: {privileged: true}\n";
	struct checker *c = new_checker();
	const struct finding *found;
	struct finding_list list;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 24, 1 << 14);
	list = check(c, &arena, CHECK_DOCKERFILE, "Dockerfile", dockerfile);
	found = find(&list, "dockerfile-sudo");
	assert_non_null(found);
	assert_int_equal(found->place.line, 6);
	assert_true(span_eq(found->place.file, SPAN("Dockerfile")));
	list = check(c, &arena, CHECK_KUBERNETES, "a.yaml", manifests);
	found = find(&list, "kubernetes-privileged");
	assert_non_null(found);
	assert_int_equal(found->place.line, 12);
	arena_release(&arena);
	checker_free(c);
}

static void files_are_told_by_path_and_content(void **state)
{
	(void)state;
	assert_int_equal(check_kind_of(SPAN("a/Dockerfile"), SPAN("")), CHECK_DOCKERFILE);
	assert_int_equal(check_kind_of(SPAN("Dockerfile.prod"), SPAN("")), CHECK_DOCKERFILE);
	assert_int_equal(check_kind_of(SPAN("app.dockerfile"), SPAN("")), CHECK_DOCKERFILE);
	assert_int_equal(check_kind_of(SPAN("Containerfile"), SPAN("")), CHECK_DOCKERFILE);
	assert_int_equal(check_kind_of(SPAN(".github/workflows/a.yml"), SPAN("")),
			 CHECK_GITHUB);
	assert_int_equal(check_kind_of(SPAN("docker-compose.yml"), SPAN("")), CHECK_COMPOSE);
	assert_int_equal(check_kind_of(SPAN(".gitlab-ci.yml"), SPAN("")), CHECK_GITLAB);
	assert_int_equal(check_kind_of(SPAN("a.yaml"), SPAN("apiVersion: v1\nkind: Pod\n")),
			 CHECK_KUBERNETES);
	assert_int_equal(check_kind_of(SPAN("a.yaml"), SPAN("a: b\n")), CHECK_NONE);
	assert_int_equal(check_kind_of(SPAN("Dockerfile.dockerignore"), SPAN("")), CHECK_NONE);
	assert_int_equal(check_kind_of(SPAN("rules/dockerfile.yaml"), SPAN("- a\n")),
			 CHECK_NONE);
	assert_int_equal(check_kind_of(SPAN("Dockerfile.md"), SPAN("")), CHECK_NONE);
	assert_int_equal(check_kind_of(SPAN("mydockerfile"), SPAN("")), CHECK_NONE);
	assert_int_equal(check_kind_of(SPAN("etc/nginx/conf.d/a.conf"), SPAN("")), CHECK_NGINX);
	assert_int_equal(check_kind_of(SPAN("etc/ssh/sshd_config"), SPAN("")), CHECK_SSHD);
	assert_int_equal(check_kind_of(SPAN("sshd_config.d/a.conf"), SPAN("")), CHECK_SSHD);
	assert_int_equal(check_kind_of(SPAN("a.sh"), SPAN("")), CHECK_SHELL);
	assert_int_equal(check_kind_of(SPAN("run"), SPAN("#!/usr/bin/env bash\n")),
			 CHECK_SHELL);
	assert_int_equal(check_kind_of(SPAN("run"), SPAN("#!/usr/bin/python3\n")), CHECK_NONE);
	assert_int_equal(check_kind_of(SPAN("a.yaml"), SPAN("# x\nopenapi: 3.0.0\n")),
			 CHECK_OPENAPI);
	assert_int_equal(check_kind_of(SPAN("a.json"), SPAN("{\"swagger\": \"2.0\"}")),
			 CHECK_OPENAPI);
	assert_int_equal(check_kind_of(SPAN("chart/templates/a.yaml"),
				       SPAN("apiVersion: v1\nkind: {{ .Values.kind }}\n")),
			 CHECK_NONE);
	assert_false(check_wants(SPAN("package-lock.json")));
}

static void broken_rules_are_refused_with_their_name(void **state)
{
	static const char bad_jq[] = "- {id: mine, kind: dockerfile, severity: low, what: a, "
				     "jq: '.a | ('}\n";
	static const char twice[] = "- {id: dockerfile-sudo, kind: dockerfile, severity: low, "
				    "what: a, jq: .}\n";
	struct checker *c = new_checker();
	struct finding_list list;
	struct err err = {0};
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20, 1 << 14);
	finding_list_init(&list, &arena);
	assert_int_equal(checker_add_rules(c, SPAN("a"), span_cstr(twice), &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	assert_int_equal(checker_add_rules(c, SPAN("a"), span_cstr(bad_jq), &err), 0);
	assert_int_equal(
		check_file(c, CHECK_DOCKERFILE, SPAN("a"), SPAN("FROM a\n"), &list, &err), -1);
	assert_non_null(strstr(err.message, "rule mine"));
	arena_release(&arena);
	checker_free(c);
}

static void a_dockerfile_is_read_with_stages_and_commands(void **state)
{
	static const char text[] = "# escape=`\n"
				   "ARG V=1\n"
				   "FROM --platform=linux/amd64 a:1 AS one\n"
				   "RUN A=1 /usr/bin/curl -k 'x y'; id `\n"
				   "  && ls\n"
				   "RUN <<END\n"
				   "apk add b\n"
				   "END\n"
				   "FROM one\n"
				   "CMD [\"a\", \"b c\"]\n";
	struct arena arena;
	struct err err = {0};
	const struct node *root, *stage, *run, *command;

	(void)state;
	arena_init(&arena, 1 << 20, 1 << 14);
	root = dockerfile_read(&arena, span_cstr(text), &err);
	assert_non_null(root);
	stage = node_first(node_get(root, SPAN("stages")));
	assert_true(span_eq(node_text_at(stage, SPAN("alias")), SPAN("one")));
	assert_true(span_eq(node_text_at(stage, SPAN("platform")), SPAN("linux/amd64")));
	assert_true(span_eq(node_text_at(stage->next, SPAN("image")), SPAN("one")));
	run = node_first(node_get(stage, SPAN("instructions")))->next; /* FROM is the first */
	command = node_first(node_get(run, SPAN("commands")));
	assert_true(span_eq(node_text_at(command, SPAN("name")), SPAN("curl")));
	assert_true(span_eq(node_text(node_first(node_get(command, SPAN("assigned")))),
			    SPAN("A=1")));
	assert_int_equal(node_get(command, SPAN("words"))->count, 3);
	assert_int_equal(node_get(run, SPAN("commands"))->count, 3);
	assert_int_equal(run->line, 4);
	assert_int_equal(run->next->line, 6);
	arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_rule_finds_its_bad_examples_and_no_good_one),
		cmocka_unit_test(rules_explain_themselves),
		cmocka_unit_test(findings_have_the_line_of_what_is_wrong),
		cmocka_unit_test(files_are_told_by_path_and_content),
		cmocka_unit_test(broken_rules_are_refused_with_their_name),
		cmocka_unit_test(a_dockerfile_is_read_with_stages_and_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
