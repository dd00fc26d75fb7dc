#include "cli/command.h"
#include "cli/output.h"
#include "config/config.h"

static enum exit_status run(const struct options *given)
{
	struct buf out;

	buf_init(&out, OUTPUT_MAX_BYTES);
	if (options_flag(given, "reference"))
		config_write_reference(&out);
	else
		config_write_json_schema(&out);
	return output_text(&out);
}

static const struct option_spec options[] = {
	{.name = "reference", .help = "Print the reference of all keys, in Markdown, instead."},
	{.name = NULL},
};

static const struct command_example examples[] = {
	{"sallyport schema > sallyport.schema.json",
	 "Have it at hand for an editor: a first line \"# yaml-language-server: "
	 "$schema=sallyport.schema.json\" in the configuration makes editors check while "
	 "typing."},
	{NULL, NULL},
};

const struct command cmd_schema = {
	.name = "schema",
	.summary = "print the JSON Schema of the configuration file",
	.description = "Prints the JSON Schema (2020-12) of the configuration file, by which "
		       "editors complete and check it.",
	.options = options,
	.examples = examples,
	.run = run,
};
