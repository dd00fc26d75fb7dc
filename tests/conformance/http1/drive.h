/*
 * drive.h - puts a connection's bytes through the parsers as the gateway does, and says in a few
 * words what came of it.
 */
#ifndef CONFORMANCE_DRIVE_H
#define CONFORMANCE_DRIVE_H

#include "base/buf.h"
#include "parse/http1.h"

#define DRIVE_ACCEPTED "accepted"
/* Accepted once the Host field that HTTP/1.1 demands was put in. */
#define DRIVE_NO_HOST "no host"

struct drive_options {
	struct http1_limits limits; /* field_count at most DRIVE_FIELDS_MAX */
	bool add_host; /* to requests of HTTP/1.1 without any, so that they show what else is wrong */
};

#define DRIVE_FIELDS_MAX 512

/*
 * Reads requests with their bodies until the bytes end or the connection would be closed. Returns
 * DRIVE_ACCEPTED, DRIVE_NO_HOST, or a word for the first refusal ("bad field", "incomplete", ...).
 * `bytes` may get Host fields inserted.
 */
const char *drive_connection(struct buf *bytes, const struct drive_options *options);

/* Reads one head only, and its target. */
const char *drive_head(struct span bytes, const struct drive_options *options);

#endif
