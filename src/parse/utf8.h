/* utf8.h - strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef PARSE_UTF8_H
#define PARSE_UTF8_H

#include "base/span.h"

/* The length of the longest valid prefix; s.len when all of it is valid. */
size_t utf8_valid_prefix(struct span s);

static inline bool utf8_valid(struct span s)
{
	return utf8_valid_prefix(s) == s.len;
}

/* Writes a code point that is no surrogate and at most 0x10ffff; returns the 1 to 4 bytes used. */
size_t utf8_encode(char to[4], uint32_t code_point);

#endif
