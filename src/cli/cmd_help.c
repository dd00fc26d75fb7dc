#include "base/span.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/text.h"

static enum exit_status run(const struct options *given)
{
	const struct command *command;
	struct err err = {0};
	struct buf out;
	int words;

	buf_init(&out, OUTPUT_MAX_BYTES);
	if (given->operand_count == 0) {
		text_overview(&out);
		return output_text(&out);
	}
	if (given->operand_count == 1 && command_is_group(given->operands[0])) {
		text_group(given->operands[0], &out);
		return output_text(&out);
	}
	command = command_find((int)given->operand_count, given->operands, &words, &err);
	if (!command) {
		output_error(given, &err);
		return EXIT_STATUS_USAGE;
	}
	text_help(command, &out);
	return output_text(&out);
}

static const struct operand_spec operands[] = {
	{.name = "COMMAND",
	 .help = "The command to explain, or the first word of several; without "
		 "one, all are listed."},
	{.name = "WORD", .help = "The second word of a command of two words."},
	{.name = NULL},
};

static const struct command_example examples[] = {
	{"sallyport help check", "Say how the check is used."},
	{NULL, NULL},
};

const struct command cmd_help = {
	.name = "help",
	.summary = "say what there is and how to use it",
	.description = "Lists the commands, or explains one of them.",
	.operands = operands,
	.examples = examples,
	.run = run,
};
