/*
 * options.h - commands and their options as tables, and reading a command line by them. The help,
 * the man page and the shell completions are written from the same tables.
 *
 * A value comes from the command line, else from the option's environment variable, else from its
 * default. Names are never abbreviated. "--" ends the options.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Exit statuses, the same for every command. */
enum exit_status {
	EXIT_STATUS_OK = 0,
	EXIT_STATUS_FAILED = 1, /* it could not be done, or problems were found */
	EXIT_STATUS_USAGE = 2, /* the command line is wrong */
	EXIT_STATUS_WAITS = 3, /* for somebody's approval */
};

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_NUMBER, OPTION_CHOICE, OPTION_FILE };

struct option_spec {
	const char *name; /* without dashes; NULL ends a table */
	char short_name; /* 0: none */
	enum option_kind kind;
	const char *argument; /* its name in the help; NULL for a flag */
	const char *help; /* sentences */
	const char *initial; /* as it would be written; NULL: absent */
	const char *environment; /* a variable that gives the value; NULL: none */
	const char *const *choices; /* OPTION_CHOICE; NULL ends */
};

/* Of every command that reads the configuration. */
#define OPTION_CONFIG                                                                          \
	{                                                                                      \
		.name = "config", .short_name = 'c', .kind = OPTION_FILE, .argument = "FILE",  \
		.help = "The configuration file.", .initial = "sallyport.yaml",                \
		.environment = "SALLYPORT_CONFIG"                                              \
	}

struct operand_spec {
	const char *name; /* "FILE"; NULL ends a table */
	const char *help;
	bool required;
	bool is_file;
	const char *const *choices; /* NULL: any */
	bool many; /* of the last one: several may be given, up to OPERANDS_MAX in all */
};

struct command_example {
	const char *command; /* NULL ends a table */
	const char *text;
};

struct options;

struct command {
	const char *name; /* one word, or two: "audit verify" */
	const char *summary; /* one line, no full stop */
	const char *description; /* paragraphs, an empty line between them */
	const struct option_spec *options; /* NULL: only the common ones */
	const struct operand_spec *operands; /* NULL: none */
	const struct command_example *examples; /* NULL: none */
	enum exit_status (*run)(const struct options *given);
};

#define OPTIONS_MAX 32
#define OPERANDS_MAX 64

struct options {
	const struct command *command;
	const char
		*values[OPTIONS_MAX]; /* by place in the command's table, then the common one */
	const char *operands[OPERANDS_MAX];
	size_t operand_count;
};

/* --help, --version, --color: known to every command. */
extern const struct option_spec options_common[];

/*
 * Reads the arguments that follow the command's name. -1 with a message fit for the user
 * (ERR_INVALID) when they do not fit the tables; an unknown option is answered with the nearest
 * name. With --help or --version given, missing operands are no error.
 */
int options_read(struct options *o, const struct command *command, int argc,
		 const char *const *argv, struct err *err) MUST_CHECK;

/* The value of an option of the table; NULL when there is none. Asking for another is a bug. */
const char *options_text(const struct options *o, const char *name);
bool options_flag(const struct options *o, const char *name);
/* For OPTION_NUMBER with a value: options_read has checked it. */
uint64_t options_number(const struct options *o, const char *name);
/* The n-th operand or NULL. */
const char *options_operand(const struct options *o, size_t n);

/* The nearest to `wrong` of a NULL-terminated list, within a few edits; NULL when none is. */
const char *options_nearest(const char *wrong, const char *const *names);

#endif
