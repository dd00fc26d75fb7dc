/*
 * permission.h - permissions "resource:action:instance" with wildcards, in the semantics of Apache
 * Shiro's WildcardPermission except that case matters. Private to src/identity.
 */
#ifndef IDENTITY_PERMISSION_H
#define IDENTITY_PERMISSION_H

#include "base/arena.h"

#define PERMISSION_PARTS_MAX 8
#define PERMISSION_OPTIONS_MAX 64

struct permission_part {
	const struct span *options;
	uint32_t count;
	bool any; /* one of the options is "*" */
};

struct permission {
	uint32_t part_count; /* 0: malformed, implies nothing and is implied by nothing */
	struct permission_part parts[PERMISSION_PARTS_MAX];
};

struct permission_set {
	const struct permission *at;
	size_t count;
};

enum permission_result { PERMISSION_OK, PERMISSION_MALFORMED, PERMISSION_NO_MEMORY };

/*
 * Borrows the text; options are in the arena. Malformed: empty, an empty part or option, over the
 * limits above.
 */
enum permission_result permission_parse(struct permission *permission, struct span text,
					struct arena *arena);
bool permission_implies(const struct permission *held, const struct permission *wanted);
bool permission_set_implies(const struct permission_set *held, const struct permission *wanted);

#endif
