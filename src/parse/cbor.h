/*
 * cbor.h - finds members of a CBOR map (RFC 8949) with definite lengths, as CTAP2 writes it; for
 * attestation objects. Bounded in depth; nothing is copied.
 */
#ifndef PARSE_CBOR_H
#define PARSE_CBOR_H

#include "base/span.h"

enum cbor_type {
	CBOR_UNSIGNED,
	CBOR_NEGATIVE,
	CBOR_BYTES,
	CBOR_TEXT,
	CBOR_ARRAY,
	CBOR_MAP,
	CBOR_TAG,
	CBOR_OTHER, /* simple values and floats */
};

struct cbor_item {
	enum cbor_type type;
	uint64_t number; /* the argument: value, length, count */
	struct span content; /* bytes and text: theirs; arrays and maps: of their items */
	size_t size; /* of the whole encoding */
};

/* The first item of the bytes; false when it is cut off, of indefinite length, or too deep. */
bool cbor_read(struct span bytes, struct cbor_item *item);
/* The value of a text key of a map that is all of `bytes`; false: malformed, absent or twice. */
bool cbor_map_get(struct span bytes, struct span key, struct cbor_item *value);

#endif
