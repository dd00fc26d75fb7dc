/*
 * uri.h - the request target's path and query (RFC 3986), normalised once: what is routed,
 * authorised, logged and forwarded are the same bytes.
 */
#ifndef PARSE_URI_H
#define PARSE_URI_H

#include "base/span.h"

enum uri_result {
	URI_OK,
	URI_BAD_BYTE, /* a byte that RFC 3986 does not allow there */
	URI_BAD_ESCAPE, /* '%' without two hexadecimal digits */
	URI_ENCODED_SLASH, /* %2F or %5C in the path */
	URI_BACKSLASH,
	URI_NUL, /* %00 */
	URI_CONTROL, /* an encoded control byte in the path */
	URI_ABOVE_ROOT, /* more ".." than segments */
	URI_BAD_UTF8, /* the decoded path is not UTF-8 */
	URI_TOO_LONG,
};

/*
 * Splits an origin-form target at the first '?', and normalises the path: unreserved characters
 * are decoded, remaining escapes get upper-case digits, dot segments are resolved (also encoded
 * ones), and runs of '/' are merged. Fast path: a path that is already normal is returned as it
 * is, without a copy. Otherwise the result is written to `scratch` (target.len bytes always
 * suffice). The query keeps its bytes after a check that they are allowed; a fragment is refused.
 * *query has ptr NULL when there is no '?'.
 */
enum uri_result uri_normalize(struct span target, char *scratch, size_t scratch_size,
			      struct span *path, struct span *query);
const char *uri_result_text(enum uri_result result);

/* Decodes every escape (and '+' as space when `form`) into `to`, which holds s.len bytes. */
enum uri_result uri_decode(struct span s, bool form, char *to, size_t *len);

/*
 * The next name=value pair of a query or form; still encoded. False at the end. `*rest` starts as
 * the whole query.
 */
bool uri_query_next(struct span *rest, struct span *name, struct span *value);

/* host[:port] as in Host; an IPv6 literal keeps its brackets. port 0 when absent; false if bad. */
bool uri_split_authority(struct span authority, struct span *host, unsigned *port);

/* scheme://authority/path?query with http or https, for configuration; false if malformed. */
struct uri_parts {
	struct span scheme;
	struct span host; /* an IPv6 literal without brackets */
	unsigned port; /* 80 or 443 by scheme when absent */
	struct span path; /* "/" when absent */
	struct span query;
};
bool uri_parse_absolute(struct span text, struct uri_parts *parts);
/* Of such a text what is before the path: what may be shown where the rest may be secret. */
struct span uri_origin(struct span text);

#endif
