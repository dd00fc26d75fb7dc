/*
 * inventory_child.h - inventory_scan in a child process that can do nothing but read what is
 * scanned: no network, no other files (Landlock), few system calls (seccomp), limited memory and
 * time. For single-threaded callers, such as commands: it forks.
 */
#ifndef SUPPLY_INVENTORY_CHILD_H
#define SUPPLY_INVENTORY_CHILD_H

#include "base/buf.h"
#include "supply/inventory.h"

struct inventory_child_limits {
	size_t memory_bytes; /* address space; ignored by builds with sanitizers */
	unsigned cpu_seconds;
};

#define INVENTORY_CHILD_LIMITS_DEFAULT                                                         \
	((struct inventory_child_limits){.memory_bytes = (size_t)16 << 30, .cpu_seconds = 3600})

/*
 * As inventory_scan. Also -1 when the child was ended by a limit or a signal (ERR_LIMIT), or the
 * sandbox could not be set up (ERR_IO, ERR_DENIED).
 */
int inventory_scan_child(struct inventory *inv, const char *path,
			 const struct inventory_options *options,
			 const struct inventory_child_limits *limits,
			 struct err *err) MUST_CHECK;

/*
 * A finished inventory as bytes, for a pipe, and back. Reading trusts nothing: -1 (ERR_INVALID,
 * ERR_MEMORY) when the bytes are not what writing gives.
 */
int inventory_pack(const struct inventory *inv, struct buf *to, struct err *err) MUST_CHECK;
int inventory_unpack(struct inventory *inv, struct span bytes, struct err *err) MUST_CHECK;

#endif
