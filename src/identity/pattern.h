/*
 * pattern.h - regular expressions of claim conditions (parse/regex.h): compiled once, for all threads;
 * each thread brings its own scratch space. Private to src/identity.
 */
#ifndef IDENTITY_PATTERN_H
#define IDENTITY_PATTERN_H

#include "parse/regex.h"

/* The whole text must match. ERR_INVALID: PCRE2 says why. */
struct regex *pattern_new(struct span text, struct err *err) MUST_CHECK;
/* NULL when out of memory. */
struct regex_scratch *pattern_scratch_new(void) MUST_CHECK;
/* False too when it would take too long to tell, or the text is not UTF-8. */
bool pattern_match(struct regex *pattern, struct regex_scratch *scratch, struct span text);

#endif
