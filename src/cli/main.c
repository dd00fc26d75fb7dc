#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/text.h"

static enum exit_status usage_error(const struct err *err, const char *command)
{
	output_error(NULL, err);
	fprintf(stderr, "Try \"sallyport help%s%s\".\n", command ? " " : "",
		command ? command : "");
	return EXIT_STATUS_USAGE;
}

static enum exit_status print_overview(void)
{
	struct buf out;

	buf_init(&out, OUTPUT_MAX_BYTES);
	text_overview(&out);
	return output_text(&out);
}

static bool asks_for_help(const char *argument)
{
	return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

static enum exit_status print_group(const char *group)
{
	struct buf out;

	buf_init(&out, OUTPUT_MAX_BYTES);
	text_group(group, &out);
	return output_text(&out);
}

static enum exit_status run_command(int argc, const char *const *argv)
{
	const struct command *command;
	struct options given;
	struct err err = {0};
	struct buf out;
	int words;

	command = command_find(argc, argv, &words, &err);
	if (!command)
		return usage_error(&err, NULL);
	if (options_read(&given, command, argc - words, argv + words, &err) < 0)
		return usage_error(&err, command->name);
	if (options_flag(&given, "version"))
		return cmd_version.run(&given);
	if (!options_flag(&given, "help"))
		return command->run(&given);
	buf_init(&out, OUTPUT_MAX_BYTES);
	text_help(command, &out);
	return output_text(&out);
}

int main(int argc, char **argv)
{
	const char *first = argc > 1 ? argv[1] : NULL;

	/* A reader that goes away is an error of a write, with a message, not a silent end. */
	signal(SIGPIPE, SIG_IGN);
	if (!first) {
		struct err err = {0};

		(void)err_set(&err, ERR_INVALID, "no command given");
		return (int)usage_error(&err, NULL);
	}
	if (asks_for_help(first))
		return (int)print_overview();
	if (argc == 3 && command_is_group(first) && asks_for_help(argv[2]))
		return (int)print_group(first);
	if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0)
		return (int)cmd_version.run(NULL);
	return (int)run_command(argc - 1, (const char *const *)(argv + 1));
}
