/* check_rules.h - what is embedded in the program: the rules and the functions that they share. */
#ifndef SUPPLY_CHECK_RULES_H
#define SUPPLY_CHECK_RULES_H

#include "base/span.h"

struct check_embedded {
	const char *name;
	const unsigned char *bytes;
	size_t len;
};

/* YAML files of rules; a name of NULL ends. Made by the build from src/supply/rules. */
extern const struct check_embedded check_embedded_rules[];
extern const struct check_embedded check_embedded_prelude;

#endif
