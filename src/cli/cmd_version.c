#include "cli/command.h"
#include "cli/output.h"

static enum exit_status run(const struct options *given)
{
	struct buf out;

	(void)given;
	buf_init(&out, OUTPUT_MAX_BYTES);
	buf_append_cstr(&out, "sallyport " SALLYPORT_VERSION "\n");
	return output_text(&out);
}

const struct command cmd_version = {
	.name = "version",
	.summary = "say which version this is",
	.description = "Prints the name and the version of the program.",
	.run = run,
};
