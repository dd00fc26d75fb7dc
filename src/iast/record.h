/*
 * record.h - what the agent tells the collector: a datagram for each time a value of a request was seen
 * where it matters. Fields with a line end behind each, in a fixed order; bytes that are no text are
 * written as '?'. Pure.
 */
#ifndef IAST_RECORD_H
#define IAST_RECORD_H

#include <stddef.h>

#include "iast/request.h"
#include "iast/taint.h"

#define IAST_RECORD_BYTES 4096

enum iast_sink { IAST_SQL, IAST_COMMAND, IAST_FILE, IAST_HOST, IAST_PAGE };
#define IAST_SINKS 5

struct iast_record {
	enum iast_sink sink;
	enum taint taint; /* not TAINT_NONE */
	uint64_t shape;
	uint64_t value; /* a hash of it */
	enum iast_origin origin;
	struct span parameter;
	struct span method;
	struct span path;
	struct span detail; /* the statement, masked */
	struct span program;
};

/* Returns the bytes written. */
size_t iast_record_write(const struct iast_record *record, char to[IAST_RECORD_BYTES]);
/* False for what is no record; spans point into `text`. */
bool iast_record_read(struct iast_record *record, struct span text);

#endif
