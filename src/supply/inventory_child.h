/* inventory_child.h - inventory_scan in a child process that can only read what is scanned. */
#ifndef SUPPLY_INVENTORY_CHILD_H
#define SUPPLY_INVENTORY_CHILD_H

#include "supply/child.h"
#include "supply/inventory.h"

/* As inventory_scan, and fails as child_run does. */
int inventory_scan_child(struct inventory *inv, const char *path,
			 const struct inventory_options *options,
			 const struct child_limits *limits, struct err *err) MUST_CHECK;

/*
 * A finished inventory as bytes, for a pipe, and back. Reading trusts nothing: -1 (ERR_INVALID,
 * ERR_MEMORY) when the bytes are not what writing gives.
 */
int inventory_pack(const struct inventory *inv, struct buf *to, struct err *err) MUST_CHECK;
int inventory_unpack(struct inventory *inv, struct span bytes, struct err *err) MUST_CHECK;

#endif
