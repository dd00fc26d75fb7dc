#include "cli/command.h"
#include "cli/output.h"
#include "gateway/audit.h"

static const char *const formats[] = {"text", "json", NULL};

static const struct option_spec options[] = {
	{.name = "has",
	 .kind = OPTION_TEXT,
	 .argument = "HASH",
	 .help = "The last hash that an earlier check named, kept elsewhere: a log that "
		 "was cut off before it, or replaced, is not whole."},
	{.name = "format",
	 .kind = OPTION_CHOICE,
	 .argument = "FORM",
	 .help = "How to print the result: text or json.",
	 .initial = "text",
	 .choices = formats},
	{.name = NULL},
};

static const struct operand_spec operands[] = {
	{.name = "FILE", .help = "The audit log.", .required = true, .is_file = true},
	{.name = NULL},
};

static const struct command_example examples[] = {
	{"sallyport audit verify /var/log/sallyport/audit.log",
	 "Say whether the log is whole."},
	{"sallyport audit verify --has 593a7f22a90c... audit.log",
	 "And that it still has what it had at the last check."},
	{NULL, NULL},
};

static void print_json(struct buf *out, const struct audit_report *report)
{
	buf_printf(out, "{\"whole\":%s,\"lines\":%llu,\"last_hash\":\"%s\"",
		   report->bad_line ? "false" : "true", (unsigned long long)report->lines,
		   report->last_hash);
	if (report->bad_line)
		buf_printf(out, ",\"bad_line\":%llu,\"problem\":\"%s\"",
			   (unsigned long long)report->bad_line, report->problem);
	buf_append_cstr(out, "}\n");
}

static void print_text(struct buf *out, const char *path, const struct audit_report *report)
{
	if (report->bad_line)
		buf_printf(out, "%s:%llu: %s\n", path, (unsigned long long)report->bad_line,
			   report->problem);
	else
		buf_printf(out, "%s: whole, %llu lines, last hash %s\n", path,
			   (unsigned long long)report->lines, report->last_hash);
}

static enum exit_status run(const struct options *given)
{
	const char *path = options_operand(given, 0);
	const char *known = options_text(given, "has");
	struct audit_report report;
	struct err err;
	struct buf out;
	enum exit_status printed;

	if (audit_verify(path, known ? span_cstr(known) : SPAN_NONE, &report, &err) < 0) {
		fprintf(stderr, "sallyport: %s\n", err.message);
		return EXIT_STATUS_FAILED;
	}
	buf_init(&out, OUTPUT_MAX_BYTES);
	if (span_eq(span_cstr(options_text(given, "format")), SPAN("json")))
		print_json(&out, &report);
	else
		print_text(&out, path, &report);
	printed = output_text(&out);
	return report.bad_line ? EXIT_STATUS_FAILED : printed;
}

const struct command cmd_audit_verify = {
	.name = "audit verify",
	.summary = "say whether an audit log is whole",
	.description =
		"Checks the chain of hashes from the first line to the last. The exit status "
		"is 1, and the first bad line is named, when a line was changed, removed or "
		"put in. That lines are missing at the end cannot be told from the file alone: "
		"see --has.",
	.options = options,
	.operands = operands,
	.examples = examples,
	.run = run,
};
