/* cmd_policy.c - policy test, policy check, policy schema. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/problems.h"
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

static void put_names(struct buf *to, const char *before, const struct config_strings *names)
{
	buf_append_cstr(to, before);
	for (size_t i = 0; i < names->count; i++)
		buf_printf(to, "%s%.*s", i ? ", " : "", SPAN_ARG(names->at[i]));
	buf_append_byte(to, '\n');
}

static const char *severity_name(unsigned severity)
{
	return severity < FINDING_SEVERITIES
		       ? finding_severity_name((enum finding_severity)severity)
		       : "none";
}

static void put_levels(struct buf *to, const char *what, const struct policy_levels *levels)
{
	buf_printf(to, "%s: fail at %s, warn at %s\n", what, severity_name(levels->fail),
		   severity_name(levels->warn));
}

/* What it comes to, so that a reviewer need not know the defaults. */
static void print_policy(const struct policy *p, struct buf *to)
{
	put_levels(to, "vulnerabilities", &p->vulnerabilities.levels);
	put_levels(to, "misconfigurations", &p->misconfigurations);
	put_levels(to, "secrets", &p->secrets);
	put_levels(to, "imported", &p->imported);
	if (p->licences.allow.count)
		put_names(to, "licences allowed: ", &p->licences.allow);
	if (p->licences.deny.count)
		put_names(to, "licences denied: ", &p->licences.deny);
	if (p->labels.required.count)
		put_names(to, "labels required: ", &p->labels.required);
	buf_printf(to,
		   "%zu components denied, %zu exceptions, %zu services\n"
		   "champions:",
		   p->components.deny.count, p->exceptions.count, p->services.count);
	for (size_t i = 0; i < p->champions.count; i++)
		buf_printf(to, " %.*s", SPAN_ARG(p->champions.at[i].name));
	buf_append_cstr(to, p->champions.count ? "\n" : " none: no waiver counts\n");
}

/* Files that it names must be readable as what they are. */
static void check_files(const struct policy *policy, struct config_problems *problems)
{
	for (size_t i = 0; i < policy->waivers.count; i++) {
		struct waiver_list list;

		(void)!waiver_list_load(&list, policy->waivers.at[i].file.ptr, problems);
		waiver_list_release(&list);
	}
}

static enum exit_status run_check(const struct options *given)
{
	struct config_problems problems = {0};
	struct policy policy;
	enum exit_status status;
	struct buf out;

	if (policy_load(&policy, options_operand(given, 0), &problems) == 0)
		check_files(&policy, &problems);
	if (problems.errors) {
		status = problems_report(given, &problems);
	} else if (strcmp(options_text(given, "format"), "json") == 0) {
		(void)!problems_report(given, &problems);
		status = EXIT_STATUS_OK;
	} else {
		problems_print(given, &problems);
		buf_init(&out, OUTPUT_MAX_BYTES);
		print_policy(&policy, &out);
		status = output_text(&out);
	}
	policy_release(&policy);
	return status;
}

static const char *const check_formats[] = {"text", "json", NULL};

static const struct option_spec check_options[] = {
	{.name = "format",
	 .short_name = 'f',
	 .kind = OPTION_CHOICE,
	 .argument = "FORM",
	 .help = "How to print problems: text or json.",
	 .initial = "text",
	 .choices = check_formats},
	{.name = NULL},
};

static const struct operand_spec check_operands[] = {
	{.name = "FILE", .help = "The policy.", .required = true, .is_file = true},
	{.name = NULL},
};

static const struct command_example check_examples_of_use[] = {
	{"sallyport policy check policy.yaml", "Check a policy before it is used."},
	{NULL, NULL},
};

const struct command cmd_policy_check = {
	.name = "policy check",
	.summary = "check a policy for scans",
	.description = "Reads a policy, and the files of waivers that it names, and prints "
		       "each problem "
		       "with its place, or what the policy comes to. The exit status is 1 when "
		       "there is a "
		       "problem.",
	.options = check_options,
	.operands = check_operands,
	.examples = check_examples_of_use,
	.run = run_check,
};

static enum exit_status run_schema(const struct options *given)
{
	struct buf out;

	buf_init(&out, OUTPUT_MAX_BYTES);
	if (options_flag(given, "reference"))
		table_write_reference(&policy_schema, &out);
	else
		table_write_json_schema(&policy_schema, "A policy of Sallyport", &out);
	return output_text(&out);
}

static const struct option_spec schema_options[] = {
	{.name = "reference", .help = "Print the reference of all keys, in Markdown, instead."},
	{.name = NULL},
};

const struct command cmd_policy_schema = {
	.name = "policy schema",
	.summary = "print the JSON Schema of policies",
	.description =
		"Prints the JSON Schema (2020-12) of a policy, by which editors complete "
		"and check it.",
	.options = schema_options,
	.run = run_schema,
};
