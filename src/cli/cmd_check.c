#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/problems.h"
#include "config/config.h"
#include "contract/contract.h"

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

/* The documents as "serve" would read them. */
static enum exit_status check_contracts(const struct options *given, const struct config *cfg)
{
	enum exit_status status = EXIT_STATUS_OK;

	for (size_t i = 0; i < cfg->services.count; i++) {
		const struct config_contract *config = cfg->services.at[i].contract;
		struct contract_options contract_options = {.head_as_get = true};
		struct document_limits documents;
		struct contract *contract;
		struct err err = {.code = ERR_NONE};

		if (!config || config->mode == CONFIG_CHECK_OFF)
			continue;
		contract_options.assert_formats = config->formats;
		contract_options_memory(&contract_options, &documents, config->memory_bytes);
		contract = contract_load(config->file.ptr, &contract_options, &err);
		if (!contract) {
			output_error(given, &err);
			status = EXIT_STATUS_FAILED;
		}
		contract_unref(contract);
	}
	return status;
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
		return problems_report(given, &problems);
	if (problems.count && options_flag(given, "strict")) {
		status = problems_report(given, &problems);
	} else {
		problems_print(given, &problems);
		status = check_contracts(given, cfg);
		if (status == EXIT_STATUS_OK)
			status = print_plan(given, cfg);
	}
	config_unref(cfg);
	return status;
}

static const char *const formats[] = {"text", "json", NULL};

static const struct option_spec options[] = {
	OPTION_CONFIG,
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
		"Reads the configuration as \"serve\" would, with the contracts of its "
		"services, "
		"names every problem with file, "
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
