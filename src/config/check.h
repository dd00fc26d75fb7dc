/*
 * check.h - what only the whole configuration shows. Used inside config only, but for check_nearest,
 * which is for tables of other parts (table.h) too.
 */
#ifndef CONFIG_CHECK_H
#define CONFIG_CHECK_H

#include "config/reader.h"

/*
 * Finds the services of the routes, fills in what routes inherit, and reports what does not fit
 * together to reader->problems. reader->path must be the root.
 */
void check_config(struct reader *reader, struct config *cfg);

/* The nearest of the names within two or three edits of `wrong`, or one with ptr NULL. */
struct span check_nearest(struct span wrong, struct span (*name)(const void *context, size_t i),
			  const void *context, size_t count);

#endif
