/*
 * form.h - application/x-www-form-urlencoded (URL Standard section 5.1), of queries and bodies, as
 * text: what is not UTF-8, or holds control characters other than tab and line ends, is refused.
 */
#ifndef PARSE_FORM_H
#define PARSE_FORM_H

#include "base/arena.h"
#include "base/buf.h"

struct form_pair {
	struct span name;
	struct span value;
};

struct form {
	struct form_pair *pairs;
	size_t count;
	struct span repeated; /* the first name that is there twice; ptr NULL: none is */
};

enum form_result {
	FORM_OK,
	FORM_BAD_ESCAPE,
	FORM_NOT_TEXT,
	FORM_TOO_MANY,
	FORM_NO_MEMORY,
};

#define FORM_PAIRS_MAX 64

/* One name or value: a decoded copy in the arena, followed by a NUL. Never FORM_TOO_MANY. */
enum form_result form_decode(struct arena *arena, struct span from, struct span *to);
/* Names and values are decoded copies in the arena, each followed by a NUL. */
enum form_result form_parse(struct arena *arena, struct span text, struct form *form);
/* The first value; ptr NULL when there is none. */
struct span form_get(const struct form *form, struct span name);
/* Appends name=value, with '&' before it unless `to` is empty or ends in '?' or '&'. */
void form_append(struct buf *to, struct span name, struct span value);
/* Everything but unreserved characters (RFC 3986 section 2.3) becomes %XX. */
void form_append_escaped(struct buf *to, struct span text);

#endif
