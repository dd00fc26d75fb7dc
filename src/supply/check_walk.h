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
	struct checker *checker;
	bool misconfigurations;
	bool secrets;
	struct check_walk_limits limits;
	struct finding_list *findings; /* places are relative to `path` */
	struct buf *scripts; /* is told the names of shell scripts, each ends in NUL; or NULL */
	struct inventory *inventory; /* is told of files that cannot be read, as problems */
};

/*
 * Symbolic links are not followed. -1: ERR_NOT_FOUND, ERR_IO for `path` itself, ERR_INVALID for
 * rules, ERR_LIMIT, ERR_MEMORY.
 */
int check_walk(const struct check_walk *walk, struct err *err) MUST_CHECK;

/* Adds the user's rules from a file. -1: ERR_IO, ERR_SYNTAX, ERR_INVALID. */
int check_walk_add_rules(struct checker *checker, const char *path, struct err *err) MUST_CHECK;

/* For those who find files themselves, such as readers of images. */
struct check_file_place {
	struct span path;
	struct span subject; /* of findings that have none; may be empty */
	enum check_kind kind; /* CHECK_NONE: told by path and text */
};
/* Is it worth reading? */
bool check_walk_wants(const struct check_walk *walk, struct span path, uint64_t bytes);
/* Checks one text; what cannot be read becomes a problem. -1 as above. */
int check_walk_text(const struct check_walk *walk, const struct check_file_place *place,
		    struct span text, struct err *err) MUST_CHECK;

#endif
