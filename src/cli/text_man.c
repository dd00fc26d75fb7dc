#include "base/span.h"
#include "cli/command.h"
#include "cli/text.h"

/* Text in roff: nothing in it is taken for a request or an escape. */
static void escaped(struct buf *out, const char *text)
{
	bool line_start = true;

	for (; *text; text++) {
		if (line_start && (*text == '.' || *text == '\''))
			buf_append_cstr(out, "\\&");
		if (*text == '\\')
			buf_append_cstr(out, "\\e");
		else if (*text == '-')
			buf_append_cstr(out, "\\-");
		else if (*text == '\n' && line_start)
			buf_append_cstr(out, ".PP\n"); /* an empty line */
		else
			buf_append_byte(out, *text);
		line_start = *text == '\n';
	}
}

static void line(struct buf *out, const char *text)
{
	escaped(out, text);
	buf_append_byte(out, '\n');
}

static void option(const struct option_spec *o, struct buf *out)
{
	buf_append_cstr(out, ".TP\n");
	if (o->short_name)
		buf_printf(out, "\\fB\\-%c\\fR, ", o->short_name);
	buf_append_cstr(out, "\\fB\\-\\-");
	escaped(out, o->name);
	buf_append_cstr(out, "\\fR");
	if (o->argument)
		buf_printf(out, " \\fI%s\\fR", o->argument);
	buf_append_byte(out, '\n');
	line(out, o->help);
	if (o->initial) {
		buf_append_cstr(out, "Default:\n");
		buf_append_cstr(out, "\\fB");
		escaped(out, o->initial);
		buf_append_cstr(out, "\\fR.\n");
	}
	if (o->environment)
		buf_printf(out, "Environment: \\fB%s\\fR.\n", o->environment);
}

static void one_command(const struct command *command, struct buf *out)
{
	buf_append_cstr(out, ".SS \"sallyport ");
	escaped(out, command->name);
	buf_append_cstr(out, " [options]");
	for (const struct operand_spec *o = command->operands; o && o->name; o++)
		buf_printf(out, o->required ? " %s%s" : " [%s%s]", o->name,
			   o->many ? "..." : "");
	buf_append_cstr(out, "\"\n");
	line(out, command->description);
	for (const struct operand_spec *o = command->operands; o && o->name; o++) {
		buf_printf(out, ".TP\n\\fI%s\\fR\n", o->name);
		line(out, o->help);
	}
	for (const struct option_spec *o = command->options; o && o->name; o++)
		option(o, out);
}

static void examples(const struct command *command, struct buf *out)
{
	for (const struct command_example *e = command->examples; e && e->command; e++) {
		buf_append_cstr(out, ".TP\n.B ");
		line(out, e->command);
		line(out, e->text);
	}
}

void text_man(struct buf *out)
{
	buf_append_cstr(out,
			".TH SALLYPORT 1 \"\" \"sallyport " SALLYPORT_VERSION "\"\n"
			".SH NAME\n"
			"sallyport \\- security gateway for containers\n"
			".SH SYNOPSIS\n"
			".B sallyport\n"
			"\\fICOMMAND\\fR [options]\n"
			".SH DESCRIPTION\n"
			"A gateway in front of services that authenticates, authorises, checks "
			"and limits\nwhat reaches them.\n"
			".SH COMMANDS\n");
	for (size_t i = 0; commands[i]; i++)
		one_command(commands[i], out);
	buf_append_cstr(out, ".SH OPTIONS OF EVERY COMMAND\n");
	for (const struct option_spec *o = options_common; o->name; o++)
		option(o, out);
	buf_append_cstr(out, ".SH EXIT STATUS\n"
			     ".TP\n.B 0\nDone.\n"
			     ".TP\n.B 1\nIt could not be done, or problems were found.\n"
			     ".TP\n.B 2\nThe command line is wrong.\n"
			     ".SH EXAMPLES\n");
	for (size_t i = 0; commands[i]; i++)
		examples(commands[i], out);
}
