/* cookie.h - the Cookie field (RFC 6265 section 4.2), read strictly: one name, one value. */
#ifndef PARSE_COOKIE_H
#define PARSE_COOKIE_H

#include "base/span.h"

enum cookie_result {
	COOKIE_ABSENT,
	COOKIE_FOUND,
	COOKIE_REPEATED, /* twice: nobody knows whose it is */
};

/*
 * The value of the named cookie; names compare byte by byte. Pairs that are no cookie-pair
 * (section 4.1.1) are passed over, and quotes are not part of a value.
 */
enum cookie_result cookie_find(struct span field, struct span name, struct span *value);

/*
 * The field without pairs whose name starts so, in `to` (room for twice field.len bytes). For what is
 * nobody else's business.
 */
struct span cookie_without(struct span field, struct span prefix, char *to);

#endif
