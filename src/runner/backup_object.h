/* backup_object.h - the contents in a backup store: compressed files named by their SHA-256. */
#ifndef RUNNER_BACKUP_OBJECT_H
#define RUNNER_BACKUP_OBJECT_H

#include "base/buf.h"
#include "base/err.h"
#include "runner/backup.h"

/* SHA-256 of the bytes as 64 digits and NUL. -1: ERR_MEMORY. */
int backup_hash(struct span bytes, char to[BACKUP_ID_CHARS + 1], struct err *err) MUST_CHECK;

/* Opens STORE; where `make`, it and its folders are made. The caller closes it. */
int backup_store_open(const char *store, bool make, struct err *err) MUST_CHECK;

/* Stores what can be read from `from` up to its end; *size_bytes says how much that was. */
int backup_object_put(int store, int from, char hash[BACKUP_ID_CHARS + 1], uint64_t *size_bytes,
		      struct err *err) MUST_CHECK;
/* The same from memory, for the targets of links. */
int backup_object_put_bytes(int store, struct span bytes, char hash[BACKUP_ID_CHARS + 1],
			    struct err *err) MUST_CHECK;
/*
 * Reads a content and compares its length and hash, which are to be as given. It is written to `to`
 * (-1: nowhere) and appended to `text` (NULL: not). -1 with ERR_INVALID when it was changed.
 */
int backup_object_get(int store, struct span hash, uint64_t size_bytes, int to,
		      struct buf *text, struct err *err) MUST_CHECK;

/* All bytes of it, or -1 with *err. */
int backup_write_all(int fd, const void *bytes, size_t len, struct err *err) MUST_CHECK;

#endif
