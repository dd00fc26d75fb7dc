/* check_walk.h - misconfigurations of a file, or of a folder with all below it. Blocking. */
#ifndef SUPPLY_CHECK_WALK_H
#define SUPPLY_CHECK_WALK_H

#include "supply/check.h"
#include "supply/component.h"

struct check_walk_limits {
	size_t file_bytes; /* larger files are not looked at */
	unsigned depth;
	uint32_t files;
};
#define CHECK_WALK_LIMITS_DEFAULT                                                              \
	((struct check_walk_limits){                                                           \
		.file_bytes = (size_t)4 << 20, .depth = 64, .files = 5000000})

struct check_walk {
	const char *path;
	const char *rules_path; /* rules of the user's; NULL: none */
	struct check_walk_limits limits;
	struct finding_list *findings; /* places are relative to `path` */
	struct inventory *inventory; /* is told of files that cannot be read, as problems */
};

/*
 * Symbolic links are not followed. -1: ERR_NOT_FOUND, ERR_IO for `path` itself, ERR_INVALID or
 * ERR_SYNTAX for rules, ERR_LIMIT, ERR_MEMORY.
 */
int check_walk(const struct check_walk *walk, struct err *err) MUST_CHECK;

#endif
