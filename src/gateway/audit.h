/*
 * audit.h - a log that shows when it was changed: each line holds the SHA-256 of the line before,
 * and its own. Lines are JSON objects {"seq","time","event",...,"prev","hash"}; "hash" is over the
 * line's bytes before `,"hash"`. Whoever can write the whole file can forge a whole chain: keep the
 * last hash elsewhere from time to time (`sallyport audit verify` prints it). Several processes may
 * write to one file, as they do while one takes over from another: each line is written under a
 * lock of the file, behind the last line that is there.
 */
#ifndef GATEWAY_AUDIT_H
#define GATEWAY_AUDIT_H

#include "base/buf.h"
#include "base/err.h"

struct audit_log;
struct exchange;

/* Goes on with the chain of an existing file. NULL with *err when it cannot be read or written. */
struct audit_log *audit_open(const char *path, struct err *err) MUST_CHECK;
/* NULL is allowed. */
void audit_close(struct audit_log *log);
/* `members`: further JSON members, each with a leading comma, or empty. Any thread. */
void audit_event(struct audit_log *log, const char *event, struct span members);
/*
 * A request that was refused for a reason of security. At most 100 a second are written; how many
 * were not is told with the next.
 */
void audit_exchange(struct audit_log *log, const struct exchange *e);

struct audit_report {
	uint64_t lines;
	uint64_t bad_line; /* 0: the chain is whole */
	const char *problem;
	char last_hash[65];
};
/* -1 only when the file cannot be read; a broken chain is told in the report. */
int audit_verify(const char *path, struct audit_report *report, struct err *err) MUST_CHECK;

#endif
