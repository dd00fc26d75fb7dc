/*
 * procedure_timeline.h - what procedures have done lately. The audit log, which has all of it for
 * good, is what it is read from after a restart. Belongs to one thread.
 */
#ifndef GATEWAY_PROCEDURE_TIMELINE_H
#define GATEWAY_PROCEDURE_TIMELINE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "base/err.h"

/* The newest replace the oldest. */
#define TIMELINE_MAX 500
/* Of the audit log, so much of its end is looked at. */
#define TIMELINE_READ_BYTES ((size_t)32 << 20)

struct timeline_entry {
	char time[CLOCK_RFC3339_SIZE];
	char procedure[64];
	char service[64];
	char event[24];
	char detail[320];
};

struct timeline {
	struct timeline_entry at[TIMELINE_MAX];
	uint64_t count; /* of all that were added */
};

/* Longer texts are cut off. The entry is valid until more are added. */
const struct timeline_entry *timeline_add(struct timeline *timeline, struct span time,
					  struct span procedure, struct span service,
					  struct span event, struct span detail);
/*
 * Adds what an audit log says of procedures, in its order. A file that is not there adds nothing;
 * lines that are none of ours are passed over. -1 with ERR_IO or ERR_MEMORY.
 */
int timeline_read(struct timeline *timeline, const char *audit_path,
		  struct err *err) MUST_CHECK;
/* {"timeline": [...]}, the last first. */
void timeline_print(const struct timeline *timeline, struct buf *out);

#endif
