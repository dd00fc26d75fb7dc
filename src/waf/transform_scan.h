/*
 * transform_scan.h - kinds of bytes, and searches in values, for the transformations alone.
 */
#ifndef WAF_TRANSFORM_SCAN_H
#define WAF_TRANSFORM_SCAN_H

#include "waf/transform_internal.h"

/* Kinds of bytes. Some take in a few more bytes than they are for: that costs a second look. */
enum {
	CLASS_UPPER_1 = 1 << 0, /* A to O */
	CLASS_UPPER_2 = 1 << 1, /* P to Z */
	CLASS_NUL = 1 << 2,
	CLASS_HIGH = 1 << 3, /* 0x80 and above */
	CLASS_URL = 1 << 4, /* % + */
	CLASS_AMPERSAND = 1 << 5,
	CLASS_BACKSLASH = 1 << 6,
	CLASS_BLANK = 1 << 7, /* the space */
	CLASS_SPACE = 1 << 8, /* other white space */
	CLASS_SHELL_1 = 1 << 9, /* " ' , */
	CLASS_SHELL_2 = 1 << 10, /* ; ^, and > [ */
	CLASS_SLASH = 1 << 11,
	CLASS_DOT = 1 << 12,
	CLASS_STAR = 1 << 13,
	CLASS_COMMENT = 1 << 14, /* # - */
	CLASS_ANY = 1 << 15, /* there is a byte */
};

#define CLASS_UPPER (CLASS_UPPER_1 | CLASS_UPPER_2)
#define CLASS_SPACES (CLASS_BLANK | CLASS_SPACE)
#define CLASS_SHELL (CLASS_SHELL_1 | CLASS_SHELL_2 | CLASS_BACKSLASH)

struct byte_range {
	byte from;
	byte to; /* the last one */
};

/* The index of the first byte in the range, or len. */
size_t scan_range(const byte *in, size_t len, struct byte_range r);
/* The first byte that is in one of the ranges and of which is_change is true, or len. */
size_t scan_where(const byte *in, size_t len, const struct byte_range ranges[3],
		  bool (*is_change)(const byte *in, size_t len, size_t i));

static inline size_t scan_byte(const byte *in, size_t len, byte c)
{
	return scan_range(in, len, (struct byte_range){c, c});
}

#endif
