#include <string.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/text.h"

static enum exit_status run(const struct options *given)
{
	const char *shell = options_operand(given, 0);
	struct buf out;

	buf_init(&out, OUTPUT_MAX_BYTES);
	if (strcmp(shell, "bash") == 0)
		text_bash(&out);
	else if (strcmp(shell, "zsh") == 0)
		text_zsh(&out);
	else
		text_fish(&out);
	return output_text(&out);
}

static const char *const shells[] = {"bash", "zsh", "fish", NULL};

static const struct operand_spec operands[] = {
	{.name = "SHELL", .help = "bash, zsh or fish.", .required = true, .choices = shells},
	{.name = NULL},
};

static const struct command_example examples[] = {
	{"source <(sallyport completion bash)", "Complete commands in this shell."},
	{NULL, NULL},
};

const struct command cmd_completion = {
	.name = "completion",
	.summary = "print a completion script for a shell",
	.description = "Prints a script by which a shell completes commands and options. The "
		       "package installs them; this is for a program that is not installed.",
	.operands = operands,
	.examples = examples,
	.run = run,
};
