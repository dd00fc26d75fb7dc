/* schema_compile.h - the state of compiling one schema; for the files of the engine only. */
#ifndef CONTRACT_SCHEMA_COMPILE_H
#define CONTRACT_SCHEMA_COMPILE_H

#include "contract/schema_build.h"

struct schema_compile {
	struct schema_set *set;
	struct schema_place *place;
	const struct schema_context *context;
	enum schema_direction direction;
	enum schema_dialect dialect;
	struct err *err;
	const struct json *keywords[KW_COUNT]; /* what stands there; NULL: nothing */
	bool wants_annotations;
	struct schema_names names; /* that its keywords name */
	struct schema_branch *branches;
	size_t branch_count;
};

/* The program for the value of a keyword, or for a part of it. NULL with an error. */
const struct schema *schema_compile_one(struct schema_compile *c, enum schema_keyword keyword);
const struct schema *schema_compile_sub(struct schema_compile *c, const struct json *json,
					const char *keyword);

/* schema_parts.c: first the names, then what is said of values by their type. */
int schema_compile_names(struct schema_compile *c);
int schema_compile_parts(struct schema_compile *c, struct schema *schema);
/* schema_scalars.c */
int schema_compile_types(struct schema_compile *c, struct schema *schema);
int schema_compile_values(struct schema_compile *c, struct schema *schema);
int schema_compile_string(struct schema_compile *c, struct schema *schema);
int schema_compile_number(struct schema_compile *c, struct schema *schema);
/* A whole number that is not negative; `otherwise` when it is not there. */
int schema_compile_count(struct schema_compile *c, enum schema_keyword keyword,
			 uint64_t otherwise, uint64_t *count);
/* The compiled expression, shared by all of the set that are the same. NULL with an error. */
const struct ecma *schema_compile_regex(struct schema_compile *c, struct span expression,
					const char *keyword);
/* "a boolean" there, else false. */
int schema_compile_flag(struct schema_compile *c, enum schema_keyword keyword, bool *flag);

#endif
