/*
 * pattern.h - regular expressions of claim conditions: PCRE2, compiled and JIT-compiled once, for
 * all threads; each thread brings its own match state. Private to src/identity.
 */
#ifndef IDENTITY_PATTERN_H
#define IDENTITY_PATTERN_H

#include "base/err.h"
#include "base/span.h"

struct pattern;
struct pattern_state;

/* The whole text must match. ERR_INVALID: PCRE2 says why. */
struct pattern *pattern_new(struct span text, struct err *err) MUST_CHECK;
/* NULL is allowed. */
void pattern_free(struct pattern *pattern);

struct pattern_state *pattern_state_new(struct err *err) MUST_CHECK;
/* NULL is allowed. */
void pattern_state_free(struct pattern_state *state);

enum pattern_result {
	PATTERN_NO_MATCH,
	PATTERN_MATCH,
	PATTERN_UNDECIDED, /* over its limits, or the text is not UTF-8 */
};
enum pattern_result pattern_match(const struct pattern *pattern, struct pattern_state *state,
				  struct span text);

#endif
