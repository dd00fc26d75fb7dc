/*
 * audit_chain.h - the lines of the audit log and how they hang together: reading and checking.
 * Private to audit.c and audit_chain.c.
 *
 *	{"seq":7,"time":"...","event":"...",...,"prev":"<hash of line 6>","hash":"<of this one>"}
 *
 * "hash" is the SHA-256 of the line's bytes before `,"hash"`. What a crash has left of a line stays
 * where it is; the next line is a "recovered" record with the length and SHA-256 of these bytes.
 */
#ifndef GATEWAY_AUDIT_CHAIN_H
#define GATEWAY_AUDIT_CHAIN_H

#include "base/buf.h"
#include "base/err.h"

#define AUDIT_HASH_DIGITS 64

/* The last record so far. */
struct audit_chain {
	uint64_t seq; /* 0: none yet */
	char hash[AUDIT_HASH_DIGITS];
};

void audit_chain_start(struct audit_chain *chain);
/*
 * Appends the line that follows, with its end. `members` begin with "time" and have no comma around
 * them. -1, with `out` failed, when out of memory.
 */
int audit_chain_append(struct audit_chain *chain, struct span members,
		       struct buf *out) MUST_CHECK;
/* Hexadecimal SHA-256; false when out of memory. */
bool audit_hash(struct span bytes, char to[AUDIT_HASH_DIGITS]) MUST_CHECK;

/* How a file ends. */
struct audit_tail {
	struct audit_chain chain; /* of the last whole record */
	bool torn; /* bytes follow it that are no record */
	uint64_t torn_bytes; /* of them, without a final line end */
	char torn_hash[AUDIT_HASH_DIGITS];
	bool open_line; /* the file does not end with a line end */
};

/* Reads the end of the first `size` bytes. -1 with *err: not to be read, or no audit log. */
int audit_tail_read(int fd, uint64_t size, struct audit_tail *tail, struct err *err) MUST_CHECK;
/* The members, from "event" on, of the record that a torn tail asks for. */
void audit_recovered_members(const struct audit_tail *tail, struct buf *out);

#endif
