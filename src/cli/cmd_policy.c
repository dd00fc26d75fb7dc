/* cmd_policy.c - policy test, policy sign. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "supply/check.h"
#include "supply/waiver.h"

#define RULES_MAX_BYTES ((size_t)4 << 20)

static int add_file(struct checker *checker, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char piece[16384];
	struct buf text;
	ssize_t got;
	int result;

	if (fd < 0)
		return err_set_errno(err, errno, "%s", path);
	buf_init(&text, RULES_MAX_BYTES);
	while ((got = read(fd, piece, sizeof(piece))) > 0)
		buf_append_bytes(&text, piece, (size_t)got);
	(void)close(fd);
	if (got < 0 || buf_failed(&text))
		result = err_set(err, ERR_IO, "%s: cannot be read, or is too large", path);
	else
		result = checker_add_rules(checker, span_cstr(path), buf_span(&text), err);
	buf_release(&text);
	return result;
}

static enum exit_status run_test(const struct options *given)
{
	const char *path = options_operand(given, 0);
	struct err err = {0};
	struct checker *checker = checker_new(&err);
	size_t first = checker ? checker_rule_count(checker) : 0, failed = 0, count;

	if (!checker || (path && add_file(checker, path, &err) < 0)) {
		output_error(given, &err);
		checker_free(checker);
		return EXIT_STATUS_FAILED;
	}
	count = checker_rule_count(checker);
	/* With a file, its rules; without, the built-in ones. */
	for (size_t i = path ? first : 0; i < count; i++) {
		struct err why = {0};

		if (check_examples(checker, i, &why) == 0)
			continue;
		printf("%s\n", why.message);
		failed++;
	}
	printf("%zu rules, %zu failed\n", path ? count - first : count, failed);
	checker_free(checker);
	return failed ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}

static const struct operand_spec test_operands[] = {
	{.name = "FILE", .help = "Rules; without it, those built in.", .is_file = true},
	{.name = NULL},
};

static const struct command_example test_examples[] = {
	{"sallyport policy test rules.yaml", "Run the examples of your own rules."},
	{NULL, NULL},
};

const struct command cmd_policy_test = {
	.name = "policy test",
	.summary = "run the examples of rules",
	.description =
		"Each rule has examples that it must find, and some that it must not. The "
		"exit status is 1 when one is not as it should be, or a rule does not "
		"compile.",
	.operands = test_operands,
	.examples = test_examples,
	.run = run_test,
};

static enum exit_status run_sign(const struct options *given)
{
	const char *key = options_text(given, "key");
	const char *champion = options_text(given, "champion");
	struct err err = {0};
	struct buf out;

	buf_init(&out, OUTPUT_MAX_BYTES);
	if (!key || !champion)
		(void)err_set(&err, ERR_INVALID, "give --key and --champion");
	else if (waiver_sign(options_operand(given, 0), champion, key, &out, &err) == 0)
		return output_text(&out);
	output_error(given, &err);
	buf_release(&out);
	return EXIT_STATUS_FAILED;
}

static const struct option_spec sign_options[] = {
	{.name = "key",
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "The champion's private key: Ed25519, PEM."},
	{.name = "champion",
	 .kind = OPTION_TEXT,
	 .argument = "NAME",
	 .help = "Whose waivers to sign."},
	{.name = NULL},
};

static const struct operand_spec sign_operands[] = {
	{.name = "FILE", .help = "The waivers.", .required = true, .is_file = true},
	{.name = NULL},
};

static const struct command_example sign_examples[] = {
	{"sallyport policy sign --key alice.pem --champion alice waivers.yaml",
	 "Print the signatures to put into the file."},
	{NULL, NULL},
};

const struct command cmd_policy_sign = {
	.name = "policy sign",
	.summary = "sign waivers as a security champion",
	.description =
		"Prints a signature for each waiver of the file that names the champion. "
		"The file is not changed.",
	.options = sign_options,
	.operands = sign_operands,
	.examples = sign_examples,
	.run = run_sign,
};
