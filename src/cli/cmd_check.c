#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "config/config.h"

static void problems_json(const struct config_problems *problems, struct buf *out)
{
	size_t kept = problems->count;

	buf_printf(out, "{\"errors\":%zu,\"warnings\":%zu,\"problems\":[", problems->errors,
		   problems->warnings);
	for (size_t i = 0; i < kept; i++) {
		const struct config_problem *p = &problems->at[i];

		buf_printf(out, "%s{\"severity\":\"%s\",\"file\":\"", i ? "," : "",
			   p->severity == CONFIG_ERROR ? "error" : "warning");
		buf_append_json(out, span_cstr(p->file));
		buf_printf(out, "\",\"line\":%u,\"column\":%u,\"message\":\"", p->line,
			   p->column);
		buf_append_json(out, span_cstr(p->message));
		buf_append_cstr(out, "\"}");
	}
	buf_append_cstr(out, "]}\n");
}

/* "file:1:2: error: text" with the word coloured. */
static void print_coloured(struct span line)
{
	static const struct {
		struct span word;
		const char *colour;
	} words[] = {
		{SPAN_INIT(" error: "), OUTPUT_RED},
		{SPAN_INIT(" warning: "), OUTPUT_YELLOW},
	};

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		size_t at = span_find(line, words[i].word);
		struct span before = span_slice(line, 0, at);
		struct span after = span_slice(line, at + words[i].word.len, line.len);

		if (at == line.len)
			continue;
		fprintf(stderr, "%.*s%s%.*s%s%.*s\n", SPAN_ARG(before), words[i].colour,
			SPAN_ARG(words[i].word), OUTPUT_PLAIN, SPAN_ARG(after));
		return;
	}
	fprintf(stderr, "%.*s\n", SPAN_ARG(line));
}

static void print_problems(const struct options *given, const struct config_problems *problems)
{
	bool coloured = output_is_coloured(given, STDERR_FILENO);
	struct buf text;
	struct span rest;

	buf_init(&text, OUTPUT_MAX_BYTES);
	config_problems_print(problems, &text);
	rest = buf_span(&text);
	while (rest.len > 0) {
		struct span line = span_cut(&rest, '\n');

		if (coloured)
			print_coloured(line);
		else
			fprintf(stderr, "%.*s\n", SPAN_ARG(line));
	}
	if (buf_failed(&text))
		fputs("sallyport: out of memory\n", stderr);
	buf_release(&text);
}

static enum exit_status print_plan(const struct options *given, const struct config *cfg)
{
	bool json = strcmp(options_text(given, "format"), "json") == 0;
	struct buf out;

	if (options_flag(given, "quiet"))
		return EXIT_STATUS_OK;
	buf_init(&out, OUTPUT_MAX_BYTES);
	if (options_flag(given, "effective")) {
		config_print_masked(cfg, &out);
		buf_append_byte(&out, '\n');
	} else if (json) {
		config_plan_json(cfg, &out);
		buf_append_byte(&out, '\n');
	} else {
		config_plan_text(cfg, &out);
	}
	return output_text(&out);
}

static enum exit_status report(const struct options *given,
			       const struct config_problems *problems)
{
	struct buf out;

	if (strcmp(options_text(given, "format"), "json") != 0) {
		print_problems(given, problems);
		return EXIT_STATUS_FAILED;
	}
	buf_init(&out, OUTPUT_MAX_BYTES);
	problems_json(problems, &out);
	(void)output_text(&out);
	return EXIT_STATUS_FAILED;
}

static enum exit_status run(const struct options *given)
{
	const char *path = options_operand(given, 0);
	struct config_problems problems = {0};
	struct config *cfg = NULL;
	enum exit_status status;

	if (!path)
		path = options_text(given, "config");
	if (config_load(path, &cfg, &problems) < 0)
		return report(given, &problems);
	if (problems.count && options_flag(given, "strict")) {
		status = report(given, &problems);
	} else {
		print_problems(given, &problems);
		status = print_plan(given, cfg);
	}
	config_unref(cfg);
	return status;
}

static const char *const formats[] = {"text", "json", NULL};

static const struct option_spec options[] = {
	{.name = "config",
	 .short_name = 'c',
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "The configuration file.",
	 .initial = "sallyport.yaml",
	 .environment = "SALLYPORT_CONFIG"},
	{.name = "effective",
	 .help = "Print the whole configuration as it takes effect, defaults filled in and "
		 "secrets "
		 "masked, as JSON, instead of the plan."},
	{.name = "format",
	 .kind = OPTION_CHOICE,
	 .argument = "FORM",
	 .help = "How to print the plan, or the problems: text or json.",
	 .initial = "text",
	 .choices = formats},
	{.name = "quiet", .short_name = 'q', .help = "Print problems only."},
	{.name = "strict", .help = "Take warnings for errors."},
	{.name = NULL},
};

static const struct operand_spec operands[] = {
	{.name = "FILE", .help = "The configuration file, as --config.", .is_file = true},
	{.name = NULL},
};

static const struct command_example examples[] = {
	{"sallyport check /etc/sallyport/sallyport.yaml",
	 "Check a file, and see who may call what under which limits."},
	{"sallyport check --quiet --strict && systemctl reload sallyport",
	 "Reload only what is free of errors and warnings."},
	{NULL, NULL},
};

const struct command cmd_check = {
	.name = "check",
	.summary = "check a configuration file and print the plan",
	.description =
		"Reads the configuration as \"serve\" would, names every problem with file, "
		"line "
		"and column, and prints the plan: each operation with who may call it and "
		"under "
		"which limits.\n\n"
		"The exit status is 1 when there are errors (with --strict: or warnings).",
	.options = options,
	.operands = operands,
	.examples = examples,
	.run = run,
};
