/* problems.h - what is wrong with files that config reads, as commands print it. */
#ifndef CLI_PROBLEMS_H
#define CLI_PROBLEMS_H

#include "cli/options.h"
#include "config/config.h"

/* "file:1:2: error: ..." on standard error. */
void problems_print(const struct options *given, const struct config_problems *problems);
/* As text, or as JSON on standard output with --format json; EXIT_STATUS_FAILED. */
enum exit_status problems_report(const struct options *given,
				 const struct config_problems *problems);

#endif
