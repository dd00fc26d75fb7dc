/*
 * http1_internal.h - the field lines that heads and trailer sections share. Private to src/parse.
 */
#ifndef PARSE_HTTP1_INTERNAL_H
#define PARSE_HTTP1_INTERNAL_H

#include "parse/http1.h"

struct http1_fields {
	struct http_field *to; /* room for `max` */
	size_t max;
	size_t count;
	uint16_t *first; /* as in struct http1_head, or NULL */
	uint64_t single; /* a bit for each field id that may come once */
	uint64_t repeated; /* a bit for each known field id that came again */
	bool request; /* look-alikes of every known field are refused, not only of framing fields */
};

/*
 * Parses field lines from *at up to and with the empty line; `start` ≤ *at is where readable
 * memory begins. *at moves behind the empty line on HTTP1_DONE.
 */
enum http1_result http1_parse_fields(struct http1_fields *f, const char *start, const char **at,
				     const char *end);

#endif
