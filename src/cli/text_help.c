#include "base/span.h"
#include "cli/command.h"
#include "cli/text.h"

#define WIDTH 80

/* Words of `text` in lines of at most WIDTH, each indented; `at` is where the first one starts. */
static void wrap(struct buf *out, const char *text, size_t indent, size_t at)
{
	struct span rest = span_cstr(text);
	bool first = true;

	while (rest.ptr) {
		struct span word = span_cut(&rest, ' ');

		if (!first && at + 1 + word.len > WIDTH) {
			buf_printf(out, "\n%*s", (int)indent, "");
			at = indent;
			first = true;
		}
		if (!first) {
			buf_append_byte(out, ' ');
			at++;
		}
		buf_append(out, word);
		at += word.len;
		first = false;
	}
	buf_append_byte(out, '\n');
}

static void paragraphs(struct buf *out, const char *text)
{
	const char *end;

	while ((end = strstr(text, "\n\n"))) {
		char one[1024];

		snprintf(one, sizeof(one), "%.*s", (int)(end - text), text);
		wrap(out, one, 0, 0);
		buf_append_byte(out, '\n');
		text = end + 2;
	}
	wrap(out, text, 0, 0);
}

static void usage(const struct command *command, struct buf *out)
{
	buf_printf(out, "Usage: sallyport %s [options]", command->name);
	for (const struct operand_spec *o = command->operands; o && o->name; o++)
		buf_printf(out, o->required ? " %s%s" : " [%s%s]", o->name,
			   o->many ? "..." : "");
	buf_append_cstr(out, "\n\n");
}

#define HELP_COLUMN 26

static void column(struct buf *out, const char *left, const char *text)
{
	size_t len = strlen(left);

	buf_printf(out, "  %s", left);
	if (len + 4 > HELP_COLUMN)
		buf_printf(out, "\n%*s", HELP_COLUMN, "");
	else
		buf_printf(out, "%*s", (int)(HELP_COLUMN - len - 2), "");
	wrap(out, text, HELP_COLUMN, HELP_COLUMN);
}

static void option(const struct option_spec *o, struct buf *out)
{
	char left[80], text[600];
	char letter[5] = "    ";
	size_t used;

	if (o->short_name)
		snprintf(letter, sizeof(letter), "-%c, ", o->short_name);
	snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name, o->argument ? " " : "",
		 o->argument ? o->argument : "");
	used = (size_t)snprintf(text, sizeof(text), "%s", o->help);
	if (o->initial && used < sizeof(text))
		used += (size_t)snprintf(text + used, sizeof(text) - used, " Default: %s.",
					 o->initial);
	if (o->environment && used < sizeof(text))
		snprintf(text + used, sizeof(text) - used, " Environment: %s.", o->environment);
	column(out, left, text);
}

void text_help(const struct command *command, struct buf *out)
{
	usage(command, out);
	paragraphs(out, command->description);
	if (command->operands) {
		buf_append_cstr(out, "\nArguments:\n");
		for (const struct operand_spec *o = command->operands; o->name; o++)
			column(out, o->name, o->help);
	}
	buf_append_cstr(out, "\nOptions:\n");
	for (const struct option_spec *o = command->options; o && o->name; o++)
		option(o, out);
	for (const struct option_spec *o = options_common; o->name; o++)
		option(o, out);
	if (command->examples)
		buf_append_cstr(out, "\nExamples:\n");
	for (const struct command_example *e = command->examples; e && e->command; e++) {
		buf_printf(out, "  %s\n      ", e->command);
		wrap(out, e->text, 6, 6);
	}
}

void text_group(const char *group, struct buf *out)
{
	buf_printf(out, "Usage: sallyport %s COMMAND [options]\n\nCommands:\n", group);
	for (size_t i = 0; commands[i]; i++) {
		if (command_in_group(commands[i], group))
			column(out, commands[i]->name, commands[i]->summary);
	}
	buf_printf(out, "\n\"sallyport help %s COMMAND\" says more of one.\n", group);
}

void text_overview(struct buf *out)
{
	buf_append_cstr(out, "Usage: sallyport COMMAND [options]\n\n");
	paragraphs(out, "Application security for containers: a gateway that authenticates, "
			"authorises, checks and limits what reaches your services.");
	buf_append_cstr(out, "\nCommands:\n");
	for (size_t i = 0; commands[i]; i++)
		column(out, commands[i]->name, commands[i]->summary);
	buf_append_cstr(out, "\n\"sallyport help COMMAND\" says more of one.\n");
	buf_append_cstr(out, "\nExit status:\n"
			     "  0  done\n"
			     "  1  it could not be done, or problems were found\n"
			     "  2  the command line is wrong\n");
}
