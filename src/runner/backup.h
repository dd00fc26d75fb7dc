/*
 * backup.h - copies of a folder in a store of files that are named by the SHA-256 of what they hold.
 *
 * STORE/objects/AB/ABCD... holds one content, compressed with zstd (RFC 8878); what two backups have
 * in common is stored once. STORE/snapshots/ID lists a backup's folders, files and symbolic links; ID
 * is the SHA-256 of that list, so the id, kept elsewhere, vouches for every byte.
 *
 * Kept are names, contents, links and the permission bits (0777); not owners, times, extended
 * attributes, nor the bits setuid, setgid and sticky. Functions block; they hold no global state, and
 * several may use one store at a time. On failure -1 with *err: ERR_IO, ERR_MEMORY, ERR_LIMIT for a
 * tree too large or deep, ERR_NOT_FOUND, ERR_SYNTAX and ERR_INVALID for a store that was changed.
 */
#ifndef RUNNER_BACKUP_H
#define RUNNER_BACKUP_H

#include <stdint.h>

#include "base/err.h"

#define BACKUP_ID_CHARS 64

struct backup_info {
	char id[BACKUP_ID_CHARS + 1];
	int64_t made_at_s; /* since 1970, UTC */
	uint64_t entries;
	uint64_t bytes; /* of the files, before compression */
};

/*
 * Stores the folder and says its snapshot in *made. The store is made (0700) where there is none; it
 * may not be within the folder. Devices, sockets and pipes are refused, as is a file that changes its
 * length while it is read. No snapshot is left behind by a failure.
 */
int backup_create(const char *store, const char *folder, int64_t now_s,
		  struct backup_info *made, struct err *err) MUST_CHECK;
/* Calls `each` for every snapshot, in the order of the ids. */
int backup_list(const char *store, void (*each)(void *context, const struct backup_info *info),
		void *context, struct err *err) MUST_CHECK;
/* Reads every content that the snapshot names and compares it with its hash. */
int backup_verify(const char *store, const char *id, struct backup_info *found,
		  struct err *err) MUST_CHECK;
/*
 * Into `folder`, which must not exist; its parent must. Nothing is written outside it: names with
 * "..", and links that lead out of it, are refused. What was written before a failure stays.
 */
int backup_restore(const char *store, const char *id, const char *folder,
		   struct backup_info *found, struct err *err) MUST_CHECK;

#endif
