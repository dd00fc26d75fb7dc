/*
 * audit.h - a log that shows when it was changed: each line holds the SHA-256 of the line before,
 * and its own. Lines are JSON objects {"seq","time","event",...,"prev","hash"}; "hash" is over the
 * line's bytes before `,"hash"`. Whoever can write the whole file can forge a whole chain, and a
 * cut-off end leaves a whole chain too: keep the last hash elsewhere from time to time (`sallyport
 * audit verify` prints it).
 *
 * Events are put in a queue of at most 8 MiB and written, and synced to the disk, by a thread of
 * the log's own: no worker waits for a disk. While writing fails it is tried again every second;
 * when the queue is full, events are lost, and a "lost" record says how many.
 *
 * Several processes may write to one file, as they do while one takes over from another: each batch
 * is written under a lock of the file (flock), behind the last line that is there. What a crash has
 * left of a line is kept, and accounted for by a "recovered" record. A "truncated" record says that
 * the file has got shorter, "continued" that it was begun anew; both name the last record before.
 */
#ifndef GATEWAY_AUDIT_H
#define GATEWAY_AUDIT_H

#include "base/buf.h"
#include "base/err.h"

struct audit_log;
struct exchange;

/*
 * Goes on with the chain of an existing file, after its last record. NULL with *err when the file
 * cannot be read and written, or does not end as an audit log.
 */
struct audit_log *audit_open(const char *path, struct err *err) MUST_CHECK;
/* Writes what is left. NULL is allowed. */
void audit_close(struct audit_log *log);
/*
 * `members`: further JSON members, each with a leading comma, without line ends, or empty. Any
 * thread; never waits for the disk.
 */
void audit_event(struct audit_log *log, const char *event, struct span members);
/*
 * Nobody is told that something was done before its record is on the disk: waits until all events
 * that were put in before are there, at most two seconds, and says so in the program's log, as `event`,
 * when they are not. Blocks: for offload threads and commands.
 */
void audit_acknowledge(struct audit_log *log, const char *event);
/* An event of a configuration file, with its SHA-256 as it is now. Reads it: blocks. */
void audit_config(struct audit_log *log, const char *event, const char *path);
/*
 * A request that was refused for a reason of security. At most 100 a second are written; a
 * "request.suppressed" record says how many were not.
 */
void audit_exchange(struct audit_log *log, const struct exchange *e);
/* After a rotation: opens the path anew. On failure goes on with the old file. Any thread. */
int audit_reopen(struct audit_log *log, struct err *err) MUST_CHECK;

struct audit_stats {
	uint64_t written; /* records */
	uint64_t lost; /* events that found the queue full, or no memory */
	uint64_t failures; /* of writing or syncing */
	uint64_t suppressed; /* refused requests over the rate */
	uint64_t waiting_bytes;
};
/* Any thread. */
void audit_read_stats(struct audit_log *log, struct audit_stats *stats);

struct audit_report {
	uint64_t lines;
	uint64_t recoveries; /* torn lines that a record accounts for */
	uint64_t bad_line; /* 0: the chain is whole */
	const char *problem;
	char last_hash[65];
};
/*
 * -1 only when the file cannot be read; a broken chain is told in the report. `known`: a last_hash of
 * before, which must be in the chain, as its end can be cut off without a trace in what is left.
 */
int audit_verify(const char *path, struct span known, struct audit_report *report,
		 struct err *err) MUST_CHECK;

#endif
