/* check_jq.h - the bridge to libjq: a program of the rules of a kind, run on trees. */
#ifndef SUPPLY_CHECK_JQ_H
#define SUPPLY_CHECK_JQ_H

#include "parse/node.h"

struct check_program;

/* NULL with *err: ERR_INVALID with jq's message, ERR_MEMORY. */
struct check_program *check_program_new(struct span text, struct err *err) MUST_CHECK;
void check_program_free(struct check_program *p);

struct check_hit {
	size_t rule;
	uint32_t line;
	struct span message; /* empty: the rule's own; valid during the call */
};

/*
 * Runs it on a tree; the input is {kind, document}. Outputs are [rule, node]; `found` is told of each,
 * and of what an expression has thrown as an error, with a message. -1 (ERR_INVALID) when the
 * program as a whole fails.
 */
int check_program_run(struct check_program *p, const char *kind, const struct node *document,
		      void (*found)(void *context, const struct check_hit *hit), void *context,
		      struct err *err) MUST_CHECK;

#endif
