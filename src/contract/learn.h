/*
 * learn.h - proposes an OpenAPI document for a service that has none, from exchanges that were seen.
 * A proposal to read and correct, not a contract: it is wider than what was seen (lengths and
 * numbers of items are rounded up), says "required" only of what was there each time, and proposes
 * an `enum` only for few short words that came again and again. Values are not written down, but
 * for these words.
 *
 * An exchange is a JSON object, a line each:
 *
 *	{"method":"POST","path":"/orders/7","query":"a=1&b=2","content_type":"application/json",
 *	 "body":{"id":1},"status":201,"response_type":"application/json","response_body":{...}}
 *
 * Only method and path must be there, so that the access log of the gateway does too. `body` and
 * `response_body` are JSON values, or texts that hold JSON (or a form, by content_type). `path` may
 * hold the query. Lines that are no exchanges are counted and skipped, as are exchanges with a
 * status of 404, 405 and 501: such an operation is not there.
 *
 * Paths are learned first, because what is a parameter shows only when many paths were seen:
 *
 *	for each line: learner_path(l, line);
 *	learner_settle(l);
 *	for each line: learner_exchange(l, line);
 *	learner_write(l, &out);
 */
#ifndef CONTRACT_LEARN_H
#define CONTRACT_LEARN_H

#include "base/buf.h"
#include "base/err.h"

struct learner;

/* 0 means the default in each. */
struct learn_options {
	size_t max_memory_bytes; /* 256 MiB */
	size_t max_operations; /* 1,000; what comes later is counted as skipped */
	unsigned
		many_children; /* so many different segments in one place are a parameter: 20 */
	struct span title; /* of the document; "Learned" */
};

struct learner *learner_new(const struct learn_options *options, struct err *err) MUST_CHECK;
void learner_free(struct learner *l); /* NULL is allowed */
/* 0, or -1 with ERR_MEMORY. */
int learner_path(struct learner *l, struct span line, struct err *err) MUST_CHECK;
void learner_settle(struct learner *l);
int learner_exchange(struct learner *l, struct span line, struct err *err) MUST_CHECK;
/* Appends the document as YAML, OpenAPI 3.1. Failures show in `to`. */
void learner_write(const struct learner *l, struct buf *to);
/* Lines that said something, and lines that did not. */
void learner_counts(const struct learner *l, uint64_t *taken, uint64_t *skipped);

#endif
