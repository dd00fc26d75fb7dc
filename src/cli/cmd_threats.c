/* cmd_threats.c - threats: the threat model of a configuration, held against a policy. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/policy_work.h"
#include "cli/problems.h"
#include "config/threat.h"
#include "supply/report.h"

#define THREATS_MAX_BYTES ((size_t)64 << 20)

/* A configuration, its model, and what a policy says of it. */
struct threats {
	const struct options *given;
	struct config *cfg;
	struct arena arena;
	struct threat_list model;
	struct finding_list findings;
	struct policy policy;
	struct inventory inventory; /* empty: results are asked together with one */
	struct result_list results;
	int64_t now_s;
};

static int out_of_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "out of memory");
}

static void threats_init(struct threats *t, const struct options *given)
{
	*t = (struct threats){.given = given, .now_s = clock_unix_s()};
	arena_init(&t->arena, THREATS_MAX_BYTES, (size_t)1 << 16);
	t->model.arena = &t->arena;
	finding_list_init(&t->findings, &t->arena);
	inventory_init(&t->inventory, THREATS_MAX_BYTES);
	result_list_init(&t->results, &t->inventory);
}

static void threats_release(struct threats *t)
{
	result_list_release(&t->results);
	inventory_release(&t->inventory);
	policy_release(&t->policy);
	arena_release(&t->arena);
	config_unref(t->cfg);
}

/* A design need not lie where its certificates and keys do: they are not looked for. */
static int load(struct threats *t, const char *path, struct config_problems *problems,
		struct err *err)
{
	struct buf text;
	int result;

	buf_init(&text, THREATS_MAX_BYTES);
	result = config_source_unchecked.read_file(NULL, path, THREATS_MAX_BYTES / 2, &text,
						   err);
	if (result == 0 && config_load_text(buf_span(&text), path, &config_source_unchecked,
					    &t->cfg, problems) < 0) {
		problems_print(t->given, problems);
		result = err_set(err, ERR_INVALID, "%s is no configuration to go by", path);
	}
	buf_release(&text);
	return result;
}

static int judge(struct threats *t, struct err *err)
{
	if (policy_work_load(&t->policy, options_text(t->given, "policy"), err) < 0)
		return -1;
	if (threat_find(t->cfg, &t->model) < 0 ||
	    threat_to_findings(&t->model, &t->findings) < 0)
		return out_of_memory(err);
	return policy_work_judge(&t->policy, &t->findings, t->now_s, &t->results, err);
}

/* What the policy comes to, below the model. */
static void put_verdict(const struct threats *t, struct buf *out)
{
	size_t fails = result_failures(&t->results), silent = 0;

	for (size_t i = 0; i < t->results.count; i++)
		silent += !result_counts(&t->results.at[i]);
	buf_printf(out, "%zu fail the policy", fails);
	if (silent)
		buf_printf(out, ", %zu waived or excepted", silent);
	buf_append_byte(out, '\n');
}

static int write_model(const struct threats *t, const char *path, struct buf *out)
{
	const char *format = options_text(t->given, "format");
	struct report report = {.inventory = &t->inventory,
				.results = &t->results,
				.version = SPAN(SALLYPORT_VERSION),
				.target = span_cstr(path),
				.now_s = t->now_s};

	if (strcmp(format, "sarif") == 0)
		return report_sarif(&report, out);
	if (strcmp(format, "json") == 0) {
		threat_json(t->cfg, &t->model, out);
	} else if (strcmp(format, "markdown") == 0) {
		threat_markdown(t->cfg, &t->model, out);
	} else {
		threat_text(&t->model, options_flag(t->given, "all"),
			    output_is_coloured(t->given, STDOUT_FILENO), out);
		put_verdict(t, out);
	}
	return 0;
}

static enum exit_status print(const struct threats *t, const char *path)
{
	enum exit_status status;
	struct buf out;

	buf_init(&out, OUTPUT_MAX_BYTES);
	if (write_model(t, path, &out) < 0)
		out.failed = true;
	status = output_text(&out);
	if (status == EXIT_STATUS_OK && result_failures(&t->results))
		status = EXIT_STATUS_FAILED;
	return status;
}

static enum exit_status run(const struct options *given)
{
	const char *path = options_operand(given, 0);
	struct config_problems problems = {0};
	struct err err = {0};
	enum exit_status status = EXIT_STATUS_USAGE;
	struct threats t;

	if (!path)
		path = options_text(given, "config");
	threats_init(&t, given);
	if (load(&t, path, &problems, &err) < 0 || judge(&t, &err) < 0)
		output_error(given, &err);
	else
		status = print(&t, path);
	threats_release(&t);
	return status;
}

static const char *const formats[] = {"text", "json", "markdown", "sarif", NULL};

static const struct option_spec options[] = {
	{.name = "all", .short_name = 'a', .help = "Show mitigated threats too, in text."},
	OPTION_CONFIG,
	{.name = "format",
	 .short_name = 'f',
	 .kind = OPTION_CHOICE,
	 .argument = "FORM",
	 .help = "How to print the model: text; json; markdown, with a diagram; or sarif, what "
		 "is not mitigated.",
	 .initial = "text",
	 .choices = formats},
	{.name = "policy",
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "The policy that says which severities fail (misconfigurations), and what is "
		 "excepted or waived."},
	{.name = NULL},
};

static const struct operand_spec operands[] = {
	{.name = "FILE", .help = "The configuration file, as --config.", .is_file = true},
	{.name = NULL},
};

static const struct command_example examples[] = {
	{"sallyport threats", "See what is open in sallyport.yaml, and what to do about it."},
	{"sallyport threats --format markdown > threat-model.md",
	 "Keep the model, with a diagram of the flows, beside the design."},
	{"sallyport threats --policy policy.yaml --format sarif > threats.sarif",
	 "Hold a design against the policy that holds for scans."},
	{NULL, NULL},
};

const struct command cmd_threats = {
	.name = "threats",
	.summary = "print the threat model of a configuration",
	.description =
		"Goes through every boundary that a configuration draws (listeners, "
		"operations, "
		"services, logins, the process) by the categories of STRIDE, and says of each "
		"threat whether it is open, mitigated in part, or mitigated, and by what. "
		"Nothing "
		"is started or asked.\n\n"
		"What is not mitigated is judged by the policy for scans, as a "
		"misconfiguration "
		"of which the rule is the threat's id and the subject the element. What is "
		"mitigated in part counts a severity less.\n\n"
		"The exit status is 1 when something fails the policy, 2 when it could not be "
		"told.",
	.options = options,
	.operands = operands,
	.examples = examples,
	.run = run,
};
