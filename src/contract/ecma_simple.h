/*
 * ecma_simple.h - expressions that need no search: "^" and a row of ASCII characters and classes,
 * each perhaps repeated, where a repetition ends by itself because what follows begins with other
 * characters: "^[A-Z]{2}-\d{6}$". They are run in one pass, and need a fraction of the memory of
 * PCRE2's programs. For ecma.c only.
 */
#ifndef CONTRACT_ECMA_SIMPLE_H
#define CONTRACT_ECMA_SIMPLE_H

#include "contract/ecma.h"

struct ecma_step {
	uint64_t bytes[4]; /* a set */
	uint32_t min;
	uint32_t max; /* UINT32_MAX: any number */
};

struct ecma_simple {
	uint32_t count;
	bool to_end; /* '$' */
	struct ecma_step steps[];
};

/*
 * The program for a valid expression; NULL when it is not so simple, or without memory: PCRE2 can do
 * all of them.
 */
struct ecma_simple *ecma_simple_compile(struct span expression);
bool ecma_simple_match(const struct ecma_simple *simple, struct span subject);

#endif
