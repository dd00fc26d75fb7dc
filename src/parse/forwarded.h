/*
 * forwarded.h - the client address behind trusted proxies, from X-Forwarded-For or Forwarded
 * (RFC 7239). Proxies append on the right, so the walk goes from right to left and stops at the
 * first address that is not a trusted proxy: what stands left of it anybody may have written.
 */
#ifndef PARSE_FORWARDED_H
#define PARSE_FORWARDED_H

#include "parse/address.h"

enum forwarded_result {
	FORWARDED_FOUND, /* *client is not a trusted proxy: done */
	FORWARDED_MORE, /* the line is used up and *client still is one: go on with the line before */
	FORWARDED_HIDDEN, /* a trusted proxy names no address ("unknown", "_name"): *client is that proxy */
	FORWARDED_BAD, /* malformed: *client is the last address that a trusted proxy vouched for */
};

/*
 * Start with *client as the peer of the connection and give the field lines from the last to the
 * first; stop at anything but FORWARDED_MORE. After the first line, *client is the answer.
 */
enum forwarded_result forwarded_walk_x_forwarded_for(const struct cidr_set *trusted,
						     struct span line, struct address *client);
enum forwarded_result forwarded_walk(const struct cidr_set *trusted, struct span line,
				     struct address *client);

/* One element of Forwarded; a part that is absent has a NULL ptr. Quotes are removed. */
struct forwarded_element {
	struct span for_node;
	struct span by_node;
	struct span host;
	struct span proto;
};

/*
 * Takes the last element off *line. False when it is malformed (RFC 7239 section 4), has a
 * parameter twice, or uses a backslash in a quoted string, which no address or host needs.
 * *line has a NULL ptr after the first element.
 */
bool forwarded_pop(struct span *line, struct forwarded_element *element);

#endif
