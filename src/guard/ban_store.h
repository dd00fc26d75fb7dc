/*
 * ban_store.h - bans in a store, for replicas and command lines: records of kind "ban" under the
 * client's name (ban_who.h), and a counter of changes, so that asking whether there are any is
 * cheap. All calls block.
 */
#ifndef GUARD_BAN_STORE_H
#define GUARD_BAN_STORE_H

#include "guard/ban.h"
#include "store/store.h"

/* Adds or replaces; it is kept for memory_ms after its end. */
int ban_store_put(struct store *store, const struct ban *ban, uint64_t memory_ms,
		  struct err *err) MUST_CHECK;
/* STORE_OK, STORE_ABSENT or STORE_FAILED. */
enum store_result ban_store_remove(struct store *store, struct span who,
				   struct err *err) MUST_CHECK;
/* Differs from what it was before when there have been changes. */
int ban_store_changes(struct store *store, int64_t *changes, struct err *err) MUST_CHECK;
/*
 * Calls `each` for every record that is well formed, also those whose ban has ended; hash and mark
 * are not filled in.
 */
int ban_store_each(struct store *store, void (*each)(void *context, const struct ban *ban),
		   void *context, struct err *err) MUST_CHECK;
/* What a ban is for: "attack" and the like, or "manual". */
const char *ban_kind_name(unsigned kind);

#endif
