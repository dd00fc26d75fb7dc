/*
 * differences.h - the table of deliberate differences in docs/http-strictness.md: lines of the
 * form "| `case` | outcome | reason |". What the page says and what the parser does are thereby
 * held together.
 */
#ifndef CONFORMANCE_DIFFERENCES_H
#define CONFORMANCE_DIFFERENCES_H

#include "base/buf.h"

struct difference {
	struct span name;
	struct span outcome;
	bool seen;
};

#define DIFFERENCES_MAX 256

struct differences {
	struct buf page;
	struct difference list[DIFFERENCES_MAX];
	size_t count;
	unsigned failures;
};

/* Reads a whole file; false, with a message on stderr, when it cannot. */
bool read_file(const char *path, struct buf *to);

/* The rows whose case begins with `prefix`. False, with a message, when the page is unusable. */
bool differences_load(struct differences *d, const char *path, struct span prefix);
/*
 * Reports a case: differing ones must be listed with that outcome, others must not be. What is
 * wrong is counted and printed on stderr.
 */
void differences_check(struct differences *d, struct span name, bool differs,
		       const char *outcome);
/* Rows whose case was never reported are wrong too. Releases; returns the number of failures. */
unsigned differences_end(struct differences *d);

/*
 * The directory `name` of the test data, in `path`: below $SALLYPORT_TEST_DATA, else beside the
 * project. False, saying so, when it is absent.
 */
bool data_directory(const char *project, const char *name, char *path, size_t size);

#endif
