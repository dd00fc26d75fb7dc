/*
 * generate.h - requests made from a contract: for each operation one that it takes, and ones that it
 * must refuse, each wrong in one thing. Each is checked by the contract itself before it is given
 * out, so that a schema which the generator does not understand gives no false alarm but is passed
 * over. Values come from examples, defaults and enums where there are any, and from the bounds
 * otherwise. The same contract gives the same requests.
 */
#ifndef CONTRACT_GENERATE_H
#define CONTRACT_GENERATE_H

#include "contract/contract.h"

struct generated {
	const struct contract_operation *operation;
	bool valid; /* must be accepted; otherwise refused */
	struct span what; /* "as the contract says", "body without \"id\"" */
	struct span method;
	struct span path; /* escaped, with the base path */
	struct span query; /* ptr NULL: none */
	const struct http_field *fields; /* with Content-Type; no credentials */
	size_t field_count;
	struct span body; /* ptr NULL: none */
};

/* Spans are valid during the call only. Not 0 ends the generating, and is returned. */
typedef int generated_function(void *context, const struct generated *g);

/*
 * Calls `each` for what can be made for one operation, the valid one first; none when no valid one
 * can be made. References are looked up on the way, so no other thread may be using the contract.
 * 0, what `each` returned, or -1 with ERR_MEMORY.
 */
int contract_generate(struct contract *contract, const struct contract_operation *operation,
		      generated_function *each, void *context, struct err *err) MUST_CHECK;

#endif
