/* cmd_lsp.c - lsp: a language server on standard input and output. */
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "io/sandbox.h"
#include "supply/check_walk.h"
#include "supply/lsp.h"

/* Nothing but its two descriptors and memory is needed from now on. */
static int confine(struct err *err)
{
	int level;

	if (sandbox_paths(NULL, 0, &level, err) < 0)
		return -1;
	return sandbox_syscalls(SANDBOX_PARSER, SANDBOX_DENIAL_ERROR, err);
}

/* Without a database the rest is still worth something. */
static struct advisory_db *open_database(const struct options *given)
{
	struct err err = {0};
	struct advisory_db *db = advisory_db_open(options_text(given, "database"), &err);

	if (!db)
		fprintf(stderr,
			"sallyport: warning: no vulnerabilities can be told: %s (see "
			"\"sallyport db update\")\n",
			err.message);
	return db;
}

static struct checker *make_checker(const struct options *given, struct err *err)
{
	struct checker *checker = checker_new(err);
	const char *rules = options_text(given, "rules");

	if (checker && rules && check_walk_add_rules(checker, rules, err) < 0) {
		checker_free(checker);
		return NULL;
	}
	return checker;
}

static enum exit_status run(const struct options *given)
{
	struct lsp_options options = {
		.version = SPAN(SALLYPORT_VERSION),
		.max_message_bytes = LSP_MESSAGE_BYTES,
		.max_text_bytes = (size_t)options_number(given, "max-file-size") << 10,
		.max_documents = LSP_DOCUMENTS,
		.debounce_ms = (unsigned)options_number(given, "debounce")};
	struct advisory_db *db = open_database(given);
	struct err err = {0};
	int result = -1;

	options.db = db;
	options.checker = make_checker(given, &err);
	if (options.checker && confine(&err) == 0)
		result = lsp_serve(STDIN_FILENO, STDOUT_FILENO, &options, &err);
	if (result < 0)
		output_error(given, &err);
	checker_free(options.checker);
	advisory_db_close(db);
	/* What runs at a normal end may need rights that are gone. */
	_exit(result < 0 ? EXIT_STATUS_USAGE : result);
}

static const struct option_spec options[] = {
	{.name = "database",
	 .short_name = 'd',
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "The compiled advisories.",
	 .initial = "/var/lib/sallyport/advisories.db",
	 .environment = "SALLYPORT_DATABASE"},
	{.name = "rules",
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "Rules of your own, beside the built-in ones."},
	{.name = "debounce",
	 .kind = OPTION_NUMBER,
	 .argument = "MS",
	 .help = "How long after the last change a document is looked at.",
	 .initial = "200"},
	{.name = "max-file-size",
	 .kind = OPTION_NUMBER,
	 .argument = "KIB",
	 .help = "Larger documents are not looked at.",
	 .initial = "16384"},
	{.name = "stdio",
	 .help = "Speak on standard input and output, which it always does; editors add this."},
	{.name = NULL},
};

static const struct command_example examples[] = {
	{"sallyport lsp", "Serve an editor, which starts it."},
	{NULL, NULL},
};

const struct command cmd_lsp = {
	.name = "lsp",
	.summary = "serve an editor with vulnerabilities, misconfigurations and secrets",
	.description =
		"A language server (LSP 3.17) on standard input and output: problems of the "
		"lock files, manifests, configuration files and texts that are open, why they "
		"are problems on hovering, and a quick fix to the version without known "
		"vulnerabilities. It reads what the editor sends, and opens no file.\n\n"
		"The exit status is 0 after \"shutdown\" and \"exit\", 1 when the editor went "
		"without them, and 2 when it could not be understood.",
	.options = options,
	.examples = examples,
	.run = run,
};
