/* problem.h - collecting what is wrong with a configuration. Not for those who only load one. */
#ifndef CONFIG_PROBLEM_H
#define CONFIG_PROBLEM_H

#include "base/compiler.h"
#include "config/config.h"

/* Keeps the first CONFIG_PROBLEMS_MAX, counts all. A too long message is cut. */
void problem_add(struct config_problems *problems, enum config_severity severity,
		 struct config_where where, const char *format, ...) PRINTF_LIKE(4, 5);
/* By file, line and column; what has the same place keeps its order. */
void problems_sort(struct config_problems *problems);

/*
 * A value fit to be quoted in a message: at most 60 bytes, control bytes and what is not ASCII
 * replaced by '?'. Returns `room`.
 */
#define PROBLEM_QUOTE_MAX 64
const char *problem_quote(struct span value, char room[PROBLEM_QUOTE_MAX]);

#endif
