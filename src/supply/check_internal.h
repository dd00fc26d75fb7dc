/* check_internal.h - inside of supply: what the files of the checker share. */
#ifndef SUPPLY_CHECK_INTERNAL_H
#define SUPPLY_CHECK_INTERNAL_H

#include "supply/check.h"
#include "supply/check_jq.h"
#include "supply/leak.h"

#define RULES_MAX_BYTES ((size_t)16 << 20)

struct checker {
	struct arena arena; /* rules and their text */
	struct check_rule *rules;
	size_t count;
	size_t capacity;
	struct check_program *programs[CHECK_KINDS]; /* NULL until one is needed */
	struct leak_scanner *leaks; /* likewise */
};

/* Reads what only rules for secrets have: -1 (ERR_INVALID) with the line. */
int leak_rule_read(const struct node *n, struct check_rule *rule, struct err *err) MUST_CHECK;

#endif
