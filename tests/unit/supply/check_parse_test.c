#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supply/check_nginx.h"
#include "supply/check_shell.h"
#include "supply/check_sshd.h"

static struct arena arena;

static int set_up(void **state)
{
	(void)state;
	arena_init(&arena, (size_t)64 << 20, (size_t)1 << 14);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	arena_release(&arena);
	return 0;
}

typedef struct node *reader(struct arena *a, struct span text, struct err *err);

static const struct node *read_text(reader *read, const char *text)
{
	struct err err = {0};
	const struct node *root = read(&arena, span_cstr(text), &err);

	if (!root)
		fail_msg("%s", err.message);
	return root;
}

static void refuses(reader *read, const char *text, const char *message)
{
	struct err err = {0};

	assert_null(read(&arena, span_cstr(text), &err));
	assert_int_equal(err.code, ERR_SYNTAX);
	if (!strstr(err.message, message))
		fail_msg("%s", err.message);
}

static const struct node *item(const struct node *list, unsigned index)
{
	const struct node *n = node_first(list);

	while (n && index--)
		n = n->next;
	assert_non_null(n);
	return n;
}

static void is(const struct node *map, const char *key, const char *text)
{
	struct span found = node_text_at(map, span_cstr(key));

	if (!span_eq(found, span_cstr(text)))
		fail_msg("%s is %.*s, not %s", key, SPAN_ARG(found), text);
}

static void nginx_has_blocks_words_and_lines(void **state)
{
	const struct node *root = read_text(nginx_read, "# a comment; with {\n"
							"user www-data;\n"
							"http {\n"
							"  log_format a '$x \"y\" ;{}'\n"
							"    \"b\\\"c\";\n"
							"  server { listen 443 ssl; }\n"
							"}\n");
	const struct node *all = node_get(root, SPAN("directives"));
	const struct node *http = item(all, 1), *format, *server;

	(void)state;
	is(item(all, 0), "name", "user");
	is(item(all, 0), "value", "www-data");
	assert_int_equal(item(all, 0)->line, 2);
	is(http, "name", "http");
	format = item(node_get(http, SPAN("directives")), 0);
	is(format, "value", "a $x \"y\" ;{} b\"c");
	is(format, "context", "http");
	assert_int_equal(format->line, 4);
	assert_int_equal(node_get(format, SPAN("args"))->count, 3);
	server = item(node_get(http, SPAN("directives")), 1);
	assert_int_equal(server->line, 6);
	is(item(node_get(server, SPAN("directives")), 0), "context", "server");
}

static void nginx_knows_variables_in_braces_and_code(void **state)
{
	const struct node *root =
		read_text(nginx_read, "set $a ${b}c;\n"
				      "content_by_lua_block {\n  if a then { x = 1 } end\n}\n"
				      "if ($a ~ \"^x{2}$\") { return 403; }\n");
	const struct node *all = node_get(root, SPAN("directives"));

	(void)state;
	is(item(all, 0), "value", "$a ${b}c");
	is(item(all, 1), "name", "content_by_lua_block");
	is(item(all, 2), "name", "if");
	assert_int_equal(item(all, 2)->line, 5);
}

static void nginx_that_is_broken_is_refused_with_its_line(void **state)
{
	char deep[1024] = "";

	(void)state;
	refuses(nginx_read, "a;\nserver {\n", "line 3: the block of \"server\" is not closed");
	refuses(nginx_read, "a;\n}\n", "line 2: '}' closes nothing");
	refuses(nginx_read, "a;\nlisten 80", "line 2: \"listen\" does not end");
	refuses(nginx_read, "a 'b;\n", "line 1: a quote that is not closed");
	refuses(nginx_read, "{ a; }", "line 1: a block without a name");
	for (size_t i = 0; i + 3 < sizeof(deep); i += 2)
		memcpy(deep + i, "a{", 2);
	assert_null(nginx_read(&arena, span_cstr(deep), NULL));
}

static void sshd_has_settings_in_match_blocks(void **state)
{
	const struct node *root = read_text(sshd_read, "# comment\n"
						       "PermitRootLogin no\n"
						       "Ciphers=aes256-ctr,aes128-ctr # x\n"
						       "Banner \"/etc/my banner\"\n"
						       "Match User a Address 10.0.0.0/8\n"
						       "\tPasswordAuthentication yes\n");
	const struct node *all = node_get(root, SPAN("settings"));

	(void)state;
	is(item(all, 0), "name", "permitrootlogin");
	is(item(all, 0), "match", "");
	assert_int_equal(item(all, 0)->line, 2);
	is(item(all, 1), "name", "ciphers");
	assert_true(span_eq(node_text(node_first(node_get(item(all, 1), SPAN("args")))),
			    SPAN("aes256-ctr,aes128-ctr")));
	assert_true(span_eq(node_text(node_first(node_get(item(all, 2), SPAN("args")))),
			    SPAN("/etc/my banner")));
	is(item(all, 4), "name", "passwordauthentication");
	is(item(all, 4), "match", "User a Address 10.0.0.0/8");
	refuses(sshd_read, "\n= x\n", "line 2: no keyword");
	refuses(sshd_read, "Banner \"x\n", "line 1: a quote");
}

static void shell_has_commands_with_pipes_quotes_and_lines(void **state)
{
	const struct node *root =
		read_text(shell_read, "#!/usr/bin/env bash\n"
				      "set -e # not; a | command\n"
				      "A=1 /usr/bin/curl -k 'x y' | tee \"a b\" && id\n"
				      "if true; then\n"
				      "  echo \"$(wget -q \\\n"
				      "     https://a.example)\"\n"
				      "fi\n"
				      "x=$((1 + 2)) y\n");
	const struct node *all = node_get(root, SPAN("commands"));

	(void)state;
	is(root, "shell", "bash");
	is(item(all, 0), "name", "set");
	assert_int_equal(node_get(item(all, 0), SPAN("words"))->count, 2);
	is(item(all, 1), "name", "curl");
	is(item(all, 1), "pipe", "tee");
	assert_int_equal(item(all, 1)->line, 3);
	assert_true(span_eq(node_text(item(node_get(item(all, 1), SPAN("words")), 2)),
			    SPAN("x y")));
	assert_true(span_eq(node_text(item(node_get(item(all, 1), SPAN("raw")), 2)),
			    SPAN("'x y'")));
	assert_true(span_eq(node_text(node_first(node_get(item(all, 1), SPAN("assigned")))),
			    SPAN("A=1")));
	is(item(all, 2), "name", "tee");
	is(item(all, 3), "name", "id");
	is(item(all, 3), "pipe", "");
	is(item(all, 4), "name", "true");
	/* What is inside of a word comes before the command that has the word. */
	is(item(all, 5), "name", "echo");
	is(item(all, 6), "name", "wget");
	assert_int_equal(item(all, 6)->line, 5);
	is(item(all, 7), "name", "y");
	assert_int_equal(item(all, 7)->line, 8);
}

static void shell_passes_over_here_documents(void **state)
{
	const struct node *root = read_text(shell_read, "cat <<'END' | tee a\n"
							"rm -rf / ; it's\n"
							"END\n"
							"cat <<-X\n"
							"\ta \"\n"
							"\tX\n"
							"cat <<< word\n"
							"ls 2>&1 &> b\n");
	const struct node *all = node_get(root, SPAN("commands"));

	(void)state;
	assert_int_equal(all->count, 5);
	is(item(all, 0), "pipe", "tee");
	is(item(all, 4), "name", "ls");
	assert_int_equal(item(all, 4)->line, 8);
}

static void shell_that_is_broken_is_refused_with_its_line(void **state)
{
	(void)state;
	refuses(shell_read, "a\necho 'b\n", "line 2: a quote that is not closed");
	refuses(shell_read, "echo \"b\n", "line 1: a quote that is not closed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nginx_has_blocks_words_and_lines),
		cmocka_unit_test(nginx_knows_variables_in_braces_and_code),
		cmocka_unit_test(nginx_that_is_broken_is_refused_with_its_line),
		cmocka_unit_test(sshd_has_settings_in_match_blocks),
		cmocka_unit_test(shell_has_commands_with_pipes_quotes_and_lines),
		cmocka_unit_test(shell_passes_over_here_documents),
		cmocka_unit_test(shell_that_is_broken_is_refused_with_its_line),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
