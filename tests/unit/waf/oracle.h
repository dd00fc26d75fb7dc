/*
 * oracle.h - asks libmodsecurity, for tests: which rules of a text match a value, and what a
 * transformation makes of it.
 */
#ifndef TESTS_WAF_ORACLE_H
#define TESTS_WAF_ORACLE_H

#include "base/buf.h"
#include "base/span.h"

struct oracle;

/* One message that a matching rule logged: its id, and its logdata. */
typedef void oracle_fn(void *context, unsigned rule_id, struct span data);

/* Rules as libmodsecurity reads them; fails the test when it does not. */
struct oracle *oracle_new(const char *rules);
/* NULL instead of a failed test. */
struct oracle *oracle_try(const char *rules);
void oracle_free(struct oracle *o);
/* Tells of each match in the request's header "x" with this value (phase 1). */
void oracle_header(struct oracle *o, struct span value, oracle_fn *tell, void *context);

struct oracle_request {
	const char *target; /* "/?a=b" */
	struct span cookie; /* empty: none */
	struct span content_type; /* empty: none */
	struct span body;
};

/* Tells of each match in the whole request (phases 1 and 2). */
void oracle_request(struct oracle *o, const struct oracle_request *request, oracle_fn *tell,
		    void *context);

#endif
