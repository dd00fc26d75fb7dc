#include "base/span.h"
#include "cli/command.h"
#include "cli/text.h"

/*
 * Names, choices and file operands are words of [a-z0-9.-], so they need no quoting; texts stand in
 * single quotes.
 */
static void quoted(struct buf *out, const char *text, const char *also_escape)
{
	for (; *text; text++) {
		if (*text == '\'')
			buf_append_cstr(out, "'\\'");
		else if (strchr(also_escape, *text))
			buf_append_byte(out, '\\');
		buf_append_byte(out, *text);
	}
}

static void words(struct buf *out, const char *const *list)
{
	for (size_t i = 0; list[i]; i++)
		buf_printf(out, i ? " %s" : "%s", list[i]);
}

/* The first words of the commands' names; those of two words that share theirs come once. */
static bool first_word(size_t at, struct span *word)
{
	struct span rest = span_cstr(commands[at]->name);

	*word = span_cut(&rest, ' ');
	for (size_t i = 0; i < at; i++) {
		struct span other = span_cstr(commands[i]->name);

		if (span_eq(span_cut(&other, ' '), *word))
			return false;
	}
	return true;
}

/* ---- bash ------------------------------------------------------------------------------------ */

static void bash_values(const struct option_spec *o, struct buf *out)
{
	if (o->kind == OPTION_FLAG)
		return;
	buf_printf(out, "\t--%s", o->name);
	if (o->short_name)
		buf_printf(out, " | -%c", o->short_name);
	buf_append_cstr(out, ")\n\t\t");
	if (o->kind == OPTION_CHOICE) {
		buf_append_cstr(out, "mapfile -t COMPREPLY < <(compgen -W '");
		words(out, o->choices);
		buf_append_cstr(out, "' -- \"$word\")\n\t\t");
	} else if (o->kind == OPTION_FILE) {
		buf_append_cstr(out, "mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n\t\t");
	}
	buf_append_cstr(out, "return\n\t\t;;\n");
}

static void bash_command(const struct command *command, struct buf *out)
{
	buf_printf(out, "\t'%s')\n\t\toptions='", command->name);
	for (const struct option_spec *o = command->options; o && o->name; o++)
		buf_printf(out, "--%s ", o->name);
	for (const struct option_spec *o = options_common; o->name; o++)
		buf_printf(out, o == options_common ? "--%s" : " --%s", o->name);
	buf_append_cstr(out, "'\n");
	for (const struct operand_spec *o = command->operands; o && o->name; o++) {
		if (o->is_file)
			buf_append_cstr(out, "\t\tfiles=yes\n");
		if (o->choices) {
			buf_append_cstr(out, "\t\toperands='");
			words(out, o->choices);
			buf_append_cstr(out, "'\n");
		}
	}
	buf_append_cstr(out, "\t\t;;\n");
}

/* Each option that takes a value once, though several commands have it. */
static void bash_all_values(struct buf *out)
{
	const struct option_spec *seen[OPTIONS_MAX * 4];
	size_t count = 0;

	for (size_t i = 0; commands[i]; i++) {
		for (const struct option_spec *o = commands[i]->options; o && o->name; o++) {
			size_t j = 0;

			while (j < count && strcmp(seen[j]->name, o->name) != 0)
				j++;
			if (j < count || count == COUNT_OF(seen))
				continue;
			seen[count++] = o;
			bash_values(o, out);
		}
	}
	for (const struct option_spec *o = options_common; o->name; o++)
		bash_values(o, out);
}

void text_bash(struct buf *out)
{
	struct span word;

	buf_append_cstr(out, "# bash completion for sallyport\n"
			     "_sallyport() {\n"
			     "\tlocal word=${COMP_WORDS[COMP_CWORD]} "
			     "before=${COMP_WORDS[COMP_CWORD - 1]}\n"
			     "\tlocal options='' operands='' files='' name=${COMP_WORDS[1]}\n"
			     "\tCOMPREPLY=()\n"
			     "\tif ((COMP_CWORD == 1)); then\n"
			     "\t\tmapfile -t COMPREPLY < <(compgen -W '");
	for (size_t i = 0; commands[i]; i++)
		if (first_word(i, &word))
			buf_printf(out, "%.*s ", SPAN_ARG(word));
	buf_append_cstr(out, "--help --version' -- \"$word\")\n\t\treturn\n\tfi\n"
			     "\tcase $before in\n");
	bash_all_values(out);
	buf_append_cstr(out, "\tesac\n");
	for (size_t i = 0; commands[i]; i++) {
		struct span rest = span_cstr(commands[i]->name);

		word = span_cut(&rest, ' ');
		if (!rest.ptr)
			continue;
		buf_printf(out,
			   "\tif [[ $name == %.*s ]]; then\n"
			   "\t\t((COMP_CWORD == 2)) && operands+=' %.*s'\n"
			   "\t\t[[ ${COMP_WORDS[2]} == %.*s ]] && name='%s'\n\tfi\n",
			   SPAN_ARG(word), SPAN_ARG(rest), SPAN_ARG(rest), commands[i]->name);
	}
	buf_append_cstr(out, "\tcase $name in\n");
	for (size_t i = 0; commands[i]; i++)
		bash_command(commands[i], out);
	buf_append_cstr(out,
			"\tesac\n"
			"\tif [[ $word != -* ]]; then\n"
			"\t\toptions=$operands\n"
			"\t\tif [[ $files ]]; then\n"
			"\t\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
			"\t\t\treturn\n"
			"\t\tfi\n"
			"\tfi\n"
			"\tmapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
			"}\n"
			"complete -o filenames -F _sallyport sallyport\n");
}

/* ---- zsh ------------------------------------------------------------------------------------- */

static void zsh_option(const struct option_spec *o, struct buf *out)
{
	buf_append_cstr(out, "\t\t");
	if (o->short_name)
		buf_printf(out, "'(-%c --%s)'{-%c,--%s}", o->short_name, o->name, o->short_name,
			   o->name);
	else
		buf_printf(out, "'--%s", o->name);
	buf_append_cstr(out, o->short_name ? "'[" : "[");
	quoted(out, o->help, "[]:");
	buf_append_byte(out, ']');
	if (o->kind != OPTION_FLAG)
		buf_printf(out, ":%s:", o->argument);
	if (o->kind == OPTION_FILE)
		buf_append_cstr(out, "_files");
	if (o->kind == OPTION_CHOICE) {
		buf_append_byte(out, '(');
		words(out, o->choices);
		buf_append_byte(out, ')');
	}
	buf_append_cstr(out, "' \\\n");
}

static void zsh_command(const struct command *command, struct buf *out)
{
	buf_printf(out, "\t'%s')\n\t\t_arguments \\\n", command->name);
	for (const struct option_spec *o = command->options; o && o->name; o++)
		zsh_option(o, out);
	for (const struct option_spec *o = options_common; o->name; o++)
		zsh_option(o, out);
	for (const struct operand_spec *o = command->operands; o && o->name; o++) {
		buf_printf(out, "\t\t'%s:%s:", o->many ? "*" : "", o->name);
		if (o->choices) {
			buf_append_byte(out, '(');
			words(out, o->choices);
			buf_append_byte(out, ')');
		} else {
			buf_append_cstr(out, o->is_file ? "_files" : " ");
		}
		buf_append_cstr(out, "' \\\n");
	}
	buf_append_cstr(out, "\t\t&& return 0\n\t\t;;\n");
}

/* The second words of the names that start with `first`; the place of one of them is `at`. */
static void zsh_second_words(size_t at, struct buf *out)
{
	struct span name = span_cstr(commands[at]->name), first, rest, other;

	if (!first_word(at, &first) || span_eq(first, name))
		return;
	buf_printf(out,
		   "\tif [[ $words[2] == %.*s ]]; then\n"
		   "\t\tif ((CURRENT == 3)); then\n\t\t\tcompadd",
		   SPAN_ARG(first));
	for (size_t i = at; commands[i]; i++) {
		rest = span_cstr(commands[i]->name);
		other = span_cut(&rest, ' ');
		if (rest.ptr && span_eq(other, first))
			buf_printf(out, " %.*s", SPAN_ARG(rest));
	}
	buf_append_cstr(out, "\n\t\t\treturn 0\n\t\tfi\n"
			     "\t\tname=\"$words[2] $words[3]\"\n\t\tdrop=2\n\tfi\n");
}

void text_zsh(struct buf *out)
{
	struct span word;

	buf_append_cstr(out, "#compdef sallyport\n"
			     "_sallyport() {\n"
			     "\tlocal name=$words[2] drop=1\n"
			     "\tif ((CURRENT == 2)); then\n"
			     "\t\tlocal -a all=(\n");
	for (size_t i = 0; commands[i]; i++) {
		if (!first_word(i, &word))
			continue;
		buf_printf(out, "\t\t\t'%.*s:", SPAN_ARG(word));
		quoted(out, commands[i]->summary, ":");
		buf_append_cstr(out, "'\n");
	}
	buf_append_cstr(out, "\t\t)\n\t\t_describe command all\n\t\treturn\n\tfi\n");
	for (size_t i = 0; commands[i]; i++)
		zsh_second_words(i, out);
	/* _arguments then sees the command's last word as the program. */
	buf_append_cstr(out, "\tshift $drop words\n\t((CURRENT -= drop))\n\tcase $name in\n");
	for (size_t i = 0; commands[i]; i++)
		zsh_command(commands[i], out);
	buf_append_cstr(out, "\tesac\n}\n_sallyport \"$@\"\n");
}

/* ---- fish ------------------------------------------------------------------------------------ */

static void fish_option(const char *condition, const struct option_spec *o, struct buf *out)
{
	buf_printf(out, "complete -c sallyport -n '%s' -l %s", condition, o->name);
	if (o->short_name)
		buf_printf(out, " -s %c", o->short_name);
	if (o->kind == OPTION_FILE)
		buf_append_cstr(out, " -r -F");
	else if (o->kind != OPTION_FLAG)
		buf_append_cstr(out, " -x");
	if (o->kind == OPTION_CHOICE) {
		buf_append_cstr(out, " -a '");
		words(out, o->choices);
		buf_append_byte(out, '\'');
	}
	buf_append_cstr(out, " -d '");
	/* In fish's single quotes a backslash escapes both itself and the quote. */
	for (const char *c = o->help; *c; c++) {
		if (*c == '\'' || *c == '\\')
			buf_append_byte(out, '\\');
		buf_append_byte(out, *c);
	}
	buf_append_cstr(out, "'\n");
}

static void fish_command(size_t at, struct buf *out)
{
	const struct command *command = commands[at];
	struct span first, rest = span_cstr(command->name);
	char condition[200];

	if (first_word(at, &first))
		buf_printf(
			out,
			"complete -c sallyport -f -n __fish_use_subcommand -a %.*s -d '%s'\n",
			SPAN_ARG(first), command->summary);
	span_cut(&rest, ' ');
	snprintf(condition, sizeof(condition), "__fish_seen_subcommand_from %.*s",
		 SPAN_ARG(first));
	if (rest.ptr)
		buf_printf(out, "complete -c sallyport -f -n '%s' -a %.*s -d '%s'\n", condition,
			   SPAN_ARG(rest), command->summary);
	for (const struct option_spec *o = command->options; o && o->name; o++)
		fish_option(condition, o, out);
	for (const struct operand_spec *o = command->operands; o && o->name; o++) {
		buf_printf(out, "complete -c sallyport -n '%s' ", condition);
		if (!o->choices) {
			buf_append_cstr(out, o->is_file ? "-F\n" : "-f\n");
			continue;
		}
		buf_append_cstr(out, "-f -a '");
		words(out, o->choices);
		buf_append_cstr(out, "'\n");
	}
}

void text_fish(struct buf *out)
{
	buf_append_cstr(out, "# fish completion for sallyport\n"
			     "complete -c sallyport -f\n");
	for (size_t i = 0; commands[i]; i++)
		fish_command(i, out);
	for (const struct option_spec *o = options_common; o->name; o++)
		fish_option("true", o, out);
}
