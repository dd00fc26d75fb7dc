/*
 * ecma.h - regular expressions as ECMA-262 writes them (with the u flag, as JSON Schema asks for),
 * run by PCRE2, or in one pass where no search is needed (ecma_simple.h). \d, \w and \b know ASCII only, \s the white space of ECMA-262, '$' matches at the
 * very end only, '.' no line terminator. What ECMA-262 does not have (possessive quantifiers,
 * (?i), \A, POSIX classes ...) is an error and not given to PCRE2's extensions; so is what PCRE2
 * cannot do (look-behind without bound, lone surrogates). More lenient than the u flag: any
 * punctuation may be escaped, and braces and brackets that do nothing are literal.
 */
#ifndef CONTRACT_ECMA_H
#define CONTRACT_ECMA_H

#include "base/buf.h"
#include "base/err.h"

/* Writes the expression in PCRE2's form to `to`, which may be NULL to only look. */
int ecma_translate(struct span expression, struct buf *to, struct err *err);

/* Groups in groups. */
#define ECMA_GROUPS_DEEP 100

struct ecma; /* compiled; immutable, for any thread */

/* NULL with an error; `max_bytes` limits the expression. */
struct ecma *ecma_compile(struct span expression, size_t max_bytes, struct err *err);
/* The same by PCRE2, however simple it is: for comparing. */
struct ecma *ecma_compile_general(struct span expression, size_t max_bytes, struct err *err);
void ecma_free(struct ecma *e);
/* Roughly what it holds. */
size_t ecma_bytes(const struct ecma *e);

/* What matching needs, one a thread. */
struct ecma_matcher;

enum ecma_result {
	ECMA_NO_MATCH,
	ECMA_MATCH,
	ECMA_TOO_HARD, /* over a limit, or out of memory */
};

/* Limits of PCRE2: 0 means 100,000 matches and 1,000 levels. NULL when out of memory. */
struct ecma_matcher *ecma_matcher_new(uint32_t match_limit, uint32_t depth_limit);
void ecma_matcher_free(struct ecma_matcher *m);
/*
 * Before the texts of one document, whose long ones (over 512 bytes) may take so much of the
 * processor's time together; 0 means 100 ms.
 */
void ecma_matcher_start(struct ecma_matcher *m, uint32_t time_ms);
/* `subject` is valid UTF-8. Anywhere in it, unless the expression has anchors. */
enum ecma_result ecma_match(struct ecma_matcher *m, const struct ecma *e, struct span subject);

#endif
