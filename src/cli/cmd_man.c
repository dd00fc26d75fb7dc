#include "cli/command.h"
#include "cli/output.h"
#include "cli/text.h"

static enum exit_status run(const struct options *given)
{
	struct buf out;

	(void)given;
	buf_init(&out, OUTPUT_MAX_BYTES);
	text_man(&out);
	return output_text(&out);
}

static const struct command_example examples[] = {
	{"sallyport man | man -l -",
	 "Read the manual page of a program that is not installed."},
	{NULL, NULL},
};

const struct command cmd_man = {
	.name = "man",
	.summary = "print the manual page",
	.description = "Prints the manual page, sallyport(1), in the form that man reads.",
	.examples = examples,
	.run = run,
};
