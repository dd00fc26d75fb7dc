/*
 * check_shell.h - a script of a POSIX shell or bash as a tree for rules: a map with `shell` (the
 * interpreter's name from "#!", or "sh") and `commands`, a list of {name, words, raw, assigned, pipe,
 * negated} in the order of the script: `words` without quotes, `raw` as written, `assigned` what
 * stands before the name ("A=1"), `pipe` the name of the command that reads its output ("" for
 * none). Commands within $(...), `...` and <(...) are commands too. Functions and the words of
 * compound commands are passed over; here-documents are no commands.
 */
#ifndef SUPPLY_CHECK_SHELL_H
#define SUPPLY_CHECK_SHELL_H

#include "parse/node.h"

/* NULL with "line 3: ..." in *err: ERR_SYNTAX (a quote is open), ERR_LIMIT, ERR_MEMORY. */
struct node *shell_read(struct arena *a, struct span text, struct err *err) MUST_CHECK;

#endif
