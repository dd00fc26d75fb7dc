/*
 * pairs.h - the pairs of a query or of application/x-www-form-urlencoded content (WHATWG URL
 * section 5), for decoders that look at a pair by its name, and for writing the text again without
 * some of them.
 *
 * Pairs are parted by '&' alone; empty ones are skipped. '+' is a space. Names are decoded once;
 * values stay encoded, because the styles of OpenAPI split before they decode.
 */
#ifndef CONTRACT_PAIRS_H
#define CONTRACT_PAIRS_H

#include "base/buf.h"

struct pair {
	struct span name; /* decoded */
	struct span value; /* encoded; ptr NULL when there is no '=' */
	struct span raw; /* name=value, as it stands in the text */
	bool used; /* a parameter has taken it */
	bool cut; /* pairs_write leaves it out */
	bool squeezed; /* `raw` has become shorter */
};

struct pairs {
	struct pair *at;
	size_t count;
	size_t max;
	struct buf names; /* those that had escapes */
};

enum pairs_result {
	PAIRS_OK,
	PAIRS_BAD_ESCAPE, /* '%' without two hexadecimal digits, in a name or value */
	PAIRS_TOO_MANY, /* more than max pairs */
	PAIRS_MEMORY,
};

/* Room for `max_pairs`, and for texts of up to `max_bytes`. 0, or -1 when there is no memory. */
int pairs_init(struct pairs *pairs, size_t max_pairs, size_t max_bytes) MUST_CHECK;
void pairs_release(struct pairs *pairs);
/* Forgets the last text. Pairs point into `text`, which must live as long as they are looked at. */
enum pairs_result pairs_parse(struct pairs *pairs, struct span text);
/* Appends the `raw` of the pairs that are not cut, in order, with '&' between them. */
int pairs_write(const struct pairs *pairs, struct buf *to) MUST_CHECK;
/* True when a pair is cut, or is not what it was. */
bool pairs_is_cut(const struct pairs *pairs);

#endif
