/*
 * schema_fast.h - checks a whole array or object that lies in one piece, by recursion over text and
 * schemas together, without levels, evaluations and offsets. It answers only "met" and "do not
 * know": then the general functions look at the same text from its beginning, and they are the
 * ones that tell problems, limits and malformed text. For the files of the engine only.
 *
 * What it does not know: unevaluated* beside branches (but for those that schema_join.c has joined),
 * values of enum and const that are arrays or objects, items that must differ and are arrays, objects
 * or numbers with a point, most that could make a property unknown while unknown ones are looked for,
 * and text that is nested deeper than FAST_FRAMES. Work is bounded by a multiple of the text.
 */
#ifndef CONTRACT_SCHEMA_FAST_H
#define CONTRACT_SCHEMA_FAST_H

#include "contract/schema_run.h"

/* Containers and branches in one another; bounds the stack, which is a fiber's. */
#define FAST_FRAMES 32

/*
 * The end of the container that begins at p, which meets the schema for certain, with all that lies
 * in it; or NULL. `depth` containers are open around it.
 */
const char *run_fast(struct schema_run *run, const struct schema *schema, const char *p,
		     const char *end, unsigned depth);

#endif
