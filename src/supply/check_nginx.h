/*
 * check_nginx.h - configuration of nginx as a tree for rules: a map with `directives`, a list of
 * {name, args, value, context, directives} in the order of the file. `args` are the words behind the
 * name without quotes, `value` all of them joined by a space; `context` is the name of the directive
 * around it ("" at the top); `directives` is there for blocks only. Code of Lua is passed over.
 */
#ifndef SUPPLY_CHECK_NGINX_H
#define SUPPLY_CHECK_NGINX_H

#include "parse/node.h"

/* NULL with "line 3: ..." in *err: ERR_SYNTAX, ERR_LIMIT (nesting), ERR_MEMORY. In the arena. */
struct node *nginx_read(struct arena *a, struct span text, struct err *err) MUST_CHECK;

#endif
