/*
 * coding.h - content codings of HTTP (RFC 9110 section 8.4.1): gzip (RFC 1952) and deflate, which is
 * the zlib format (RFC 1950). What is decoded has a maximum: the buffer's.
 */
#ifndef PARSE_CODING_H
#define PARSE_CODING_H

#include "base/buf.h"

enum coding {
	CODING_IDENTITY,
	CODING_GZIP, /* and x-gzip */
	CODING_DEFLATE,
	CODING_UNKNOWN, /* another one, or several */
};

/* The codings that coding_decode knows, for Accept-Encoding. */
#define CODING_KNOWN "gzip, deflate"

/* Of a field's value, in any case. */
enum coding coding_of(struct span value);

enum coding_result {
	CODING_OK,
	CODING_MALFORMED, /* not in that form, cut short, or with something behind its end */
	CODING_TOO_LARGE, /* decoded it is longer than the buffer's maximum */
	CODING_MEMORY,
};

/* Appends what `from` stands for. With any result but CODING_OK `to` holds a part of it. */
enum coding_result coding_decode(enum coding coding, struct span from, struct buf *to);

#endif
