/* command.h - the commands that there are, a file each: cmd_NAME.c. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "cli/options.h"

extern const struct command cmd_audit_verify;
extern const struct command cmd_check;
extern const struct command cmd_completion;
extern const struct command cmd_help;
extern const struct command cmd_man;
extern const struct command cmd_schema;
extern const struct command cmd_serve;
extern const struct command cmd_version;

/* All of them, in the order in which the help lists them; NULL ends. */
extern const struct command *const commands[];

/*
 * The command whose name `argv` starts with, and in *words how many arguments its name takes; NULL
 * with a message fit for the user (ERR_INVALID), with the nearest name, when there is none.
 */
const struct command *command_find(int argc, const char *const *argv, int *words,
				   struct err *err);

#endif
