/* backup_manifest.h - the list of what a backup holds: a first line and records, each ended by NUL. */
#ifndef RUNNER_BACKUP_MANIFEST_H
#define RUNNER_BACKUP_MANIFEST_H

#include "base/buf.h"
#include "base/err.h"
#include "runner/backup.h"

#define BACKUP_MANIFEST_MAX_BYTES ((size_t)256 * 1024 * 1024)
#define BACKUP_PATH_MAX_BYTES 4095
#define BACKUP_LINK_MAX_BYTES 4096

enum backup_kind { BACKUP_FOLDER = 'd', BACKUP_FILE = 'f', BACKUP_LINK = 'l' };

struct backup_entry {
	enum backup_kind kind;
	unsigned mode; /* permission bits; 0 for a link */
	uint64_t size_bytes; /* 0 for a folder */
	struct span hash; /* 64 hexadecimal digits; "-" for a folder */
	struct span path; /* relative, in the memory of the list */
};

/* Both append; look at buf_failed afterwards. */
void backup_manifest_begin(struct buf *to, int64_t made_at_s);
void backup_manifest_add(struct buf *to, const struct backup_entry *entry);

/* Takes the first line off *rest. -1: ERR_SYNTAX. */
int backup_manifest_open(struct span *rest, int64_t *made_at_s, struct err *err) MUST_CHECK;
/* Takes a record off *rest: 1, 0 at the end, -1 (ERR_SYNTAX) when it is none or its path leaves. */
int backup_manifest_next(struct span *rest, struct backup_entry *entry,
			 struct err *err) MUST_CHECK;

/* 64 lower-case hexadecimal digits? */
bool backup_is_hash(struct span s);
/* A relative path without empty parts, "." and ".."? */
bool backup_path_is_safe(struct span path);
/*
 * Does the link at `path` stay within the root, whatever other such links there are? Only then: ".."
 * comes first in its target alone, and no more often than folders are above the link.
 */
bool backup_link_is_safe(struct span path, struct span target);

#endif
