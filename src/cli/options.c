#include "cli/options.h"

#include <assert.h>

#include "base/span.h"

static const char *const color_choices[] = {"auto", "always", "never", NULL};

const struct option_spec options_common[] = {
	{.name = "color",
	 .kind = OPTION_CHOICE,
	 .argument = "WHEN",
	 .help = "Colour in messages: always, never, or when they go to a terminal and "
		 "NO_COLOR is "
		 "not set (auto).",
	 .initial = "auto",
	 .choices = color_choices},
	{.name = "help", .short_name = 'h', .help = "Say how to use the command."},
	{.name = "version", .short_name = 'V', .help = "Say which version this is."},
	{.name = NULL},
};

static const struct option_spec no_options[] = {{.name = NULL}};

/* The option at a place: the command's own come first. NULL at the end. */
static const struct option_spec *option_at(const struct command *command, size_t at)
{
	const struct option_spec *own = command->options ? command->options : no_options;
	size_t count = 0;

	while (own[count].name)
		count++;
	if (at < count)
		return &own[at];
	at -= count;
	for (size_t i = 0; options_common[i].name; i++)
		if (i == at)
			return &options_common[i];
	return NULL;
}

const char *options_nearest(const char *wrong, const char *const *names)
{
	const char *best = NULL;
	unsigned best_distance = 0;

	for (; *names; names++) {
		unsigned distance = span_distance(span_cstr(wrong), span_cstr(*names));

		/* Half of a name wrong is no longer a slip. */
		if (distance > 3 || distance * 2 > strlen(*names))
			continue;
		if (!best || distance < best_distance) {
			best = *names;
			best_distance = distance;
		}
	}
	return best;
}

static int unknown(const struct command *command, struct span name, struct err *err)
{
	const char *names[OPTIONS_MAX + 1] = {NULL};
	const struct option_spec *spec;
	const char *nearest;
	char wrong[65];

	for (size_t i = 0; i < OPTIONS_MAX && (spec = option_at(command, i)); i++)
		names[i] = spec->name;
	snprintf(wrong, sizeof(wrong), "%.*s", SPAN_ARG(name));
	nearest = options_nearest(wrong, names);
	if (nearest)
		return err_set(err, ERR_INVALID, "unknown option --%s; did you mean --%s?",
			       wrong, nearest);
	return err_set(err, ERR_INVALID, "unknown option --%s", wrong);
}

static int check_choice(const char *what, const char *const *choices, const char *value,
			struct err *err)
{
	char all[200] = "";
	size_t used = 0;

	for (const char *const *c = choices; *c; c++) {
		if (strcmp(*c, value) == 0)
			return 0;
		if (used < sizeof(all))
			used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
						 c == choices ? "" : ", ", *c);
	}
	return err_set(err, ERR_INVALID, "%s: \"%.64s\" is none of: %s", what, value, all);
}

static int check_value(const struct option_spec *spec, const char *source, const char *value,
		       struct err *err)
{
	uint64_t number;

	switch (spec->kind) {
	case OPTION_FLAG:
	case OPTION_TEXT: return 0;
	case OPTION_FILE:
		if (value[0] == '\0')
			return err_set(err, ERR_INVALID, "%s: empty file name", source);
		return 0;
	case OPTION_NUMBER:
		if (!span_to_u64(span_cstr(value), &number))
			return err_set(err, ERR_INVALID, "%s: \"%.64s\" is no number", source,
				       value);
		return 0;
	case OPTION_CHOICE: return check_choice(source, spec->choices, value, err);
	}
	return err_set(err, ERR_INTERNAL, "%s: unknown kind of option", source);
}

/* Where we are in the arguments. */
struct reader {
	struct options *o;
	int argc;
	const char *const *argv;
	int at;
};

static int take_value(struct reader *r, size_t place, const struct option_spec *spec,
		      const char *value, struct err *err)
{
	char source[80];

	snprintf(source, sizeof(source), "--%s", spec->name);
	if (spec->kind == OPTION_FLAG) {
		if (value)
			return err_set(err, ERR_INVALID, "%s takes no value", source);
		value = "";
	} else if (!value) {
		if (r->at >= r->argc)
			return err_set(err, ERR_INVALID, "%s needs a value: %s", source,
				       spec->argument);
		value = r->argv[r->at++];
	}
	if (check_value(spec, source, value, err) < 0)
		return -1;
	r->o->values[place] = value;
	return 0;
}

/* "--name" or "--name=value", the dashes already removed. */
static int read_long(struct reader *r, const char *argument, struct err *err)
{
	struct span rest = span_cstr(argument);
	struct span name = span_cut(&rest, '=');
	const struct option_spec *spec;

	for (size_t i = 0; (spec = option_at(r->o->command, i)); i++)
		if (span_eq(name, span_cstr(spec->name)))
			return take_value(r, i, spec, rest.ptr, err);
	return unknown(r->o->command, name, err);
}

/* "-q", "-qv", "-c FILE" or "-cFILE", the dash already removed. */
static int read_short(struct reader *r, const char *letters, struct err *err)
{
	for (; *letters; letters++) {
		const struct option_spec *spec;
		const char *value = NULL;
		size_t i = 0;

		while ((spec = option_at(r->o->command, i)) && spec->short_name != *letters)
			i++;
		if (!spec)
			return err_set(err, ERR_INVALID, "unknown option -%c", *letters);
		if (spec->kind != OPTION_FLAG && letters[1])
			value = letters + 1;
		if (take_value(r, i, spec, value, err) < 0)
			return -1;
		if (value)
			return 0;
	}
	return 0;
}

static int take_operand(struct options *o, const char *value, struct err *err)
{
	const struct operand_spec *spec = o->command->operands;
	size_t n = o->operand_count;

	for (size_t i = 0; spec && spec->name && !spec->many && i < n; i++)
		spec++;
	if (!spec || !spec->name || n == OPERANDS_MAX)
		return err_set(err, ERR_INVALID, "unexpected argument \"%.64s\"", value);
	if (spec->choices && check_choice(spec->name, spec->choices, value, err) < 0)
		return -1;
	o->operands[o->operand_count++] = value;
	return 0;
}

static int read_arguments(struct reader *r, struct err *err)
{
	bool only_operands = false;

	while (r->at < r->argc) {
		const char *argument = r->argv[r->at++];
		int result;

		if (only_operands || argument[0] != '-' || argument[1] == '\0')
			result = take_operand(r->o, argument, err);
		else if (argument[1] != '-')
			result = read_short(r, argument + 1, err);
		else if (argument[2] != '\0')
			result = read_long(r, argument + 2, err);
		else
			result = 0, only_operands = true;
		if (result < 0)
			return -1;
	}
	return 0;
}

static int fill_in(struct options *o, struct err *err)
{
	const struct option_spec *spec;

	for (size_t i = 0; (spec = option_at(o->command, i)); i++) {
		const char *value = NULL;

		assert(i < OPTIONS_MAX);
		if (o->values[i] || spec->kind == OPTION_FLAG)
			continue;
		if (spec->environment)
			value = getenv(spec->environment);
		if (value && value[0] == '\0')
			value = NULL;
		if (value && check_value(spec, spec->environment, value, err) < 0)
			return -1;
		o->values[i] = value ? value : spec->initial;
	}
	return 0;
}

int options_read(struct options *o, const struct command *command, int argc,
		 const char *const *argv, struct err *err)
{
	struct reader r = {.o = o, .argc = argc, .argv = argv};
	const struct operand_spec *operand = command->operands;

	*o = (struct options){.command = command};
	if (read_arguments(&r, err) < 0 || fill_in(o, err) < 0)
		return -1;
	if (options_flag(o, "help") || options_flag(o, "version"))
		return 0;
	for (size_t i = 0; operand && operand->name; i++, operand++)
		if (operand->required && i >= o->operand_count)
			return err_set(err, ERR_INVALID, "%s is missing", operand->name);
	return 0;
}

const char *options_text(const struct options *o, const char *name)
{
	const struct option_spec *spec;

	for (size_t i = 0; (spec = option_at(o->command, i)); i++)
		if (strcmp(spec->name, name) == 0)
			return o->values[i];
	assert(false && "an option of the table");
	return NULL;
}

bool options_flag(const struct options *o, const char *name)
{
	return options_text(o, name) != NULL;
}

uint64_t options_number(const struct options *o, const char *name)
{
	const char *text = options_text(o, name);
	uint64_t number = 0;

	if (!text || !span_to_u64(span_cstr(text), &number))
		assert(false && "a number that options_read has checked");
	return number;
}

const char *options_operand(const struct options *o, size_t n)
{
	return n < o->operand_count ? o->operands[n] : NULL;
}
