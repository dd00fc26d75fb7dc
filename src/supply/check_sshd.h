/*
 * check_sshd.h - sshd_config as a tree for rules: a map with `settings`, a list of {name, value, args,
 * match}: the keyword in lower case, what stands behind it, its words without quotes, and what the
 * `Match` line above it says ("" before the first). The first setting of a keyword counts.
 */
#ifndef SUPPLY_CHECK_SSHD_H
#define SUPPLY_CHECK_SSHD_H

#include "parse/node.h"

/* NULL with "line 3: ..." in *err: ERR_SYNTAX, ERR_MEMORY. In the arena. */
struct node *sshd_read(struct arena *a, struct span text, struct err *err) MUST_CHECK;

#endif
