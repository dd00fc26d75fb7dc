/*
 * patches.h - virtual patches: rules before some services, bound to known vulnerabilities. Their
 * rules are part of the firewall's; each route has a policy from which those that are not its own are
 * taken. Private to src/gateway, but for the calls that commands share.
 */
#ifndef GATEWAY_PATCHES_H
#define GATEWAY_PATCHES_H

#include <stdatomic.h>

#include "config/config.h"
#include "waf/waf.h"

struct snapshot;
struct exchange;

/* What outlives snapshots; counted. */
struct patch_stats {
	atomic_uint references;
	_Atomic uint64_t blocked;
	_Atomic uint64_t observed; /* matched, and let pass */
	_Atomic int64_t last_unix_s; /* 0: never */
	atomic_bool expiry_told;
};

struct patch {
	const struct config_patch *config;
	struct span source; /* what its rules are called: the file, or "patch:NAME" */
	struct buf text;
	bool expired; /* when it was loaded: its rules are not there */
	struct patch_stats *stats;
};

struct patches {
	struct patch *at;
	size_t count;
	struct waf_text *texts; /* of those that have not expired, for waf_rules_load */
	size_t text_count;
};

/*
 * Reads the rules of all patches of the configuration. `previous` (may be NULL) gives its counters
 * on. 0 or -1; release in either case.
 */
int patches_load(struct patches *patches, const struct config *cfg,
		 const struct patches *previous, struct err *err) MUST_CHECK;
/* Logs those that have expired, once, and those that soon will. */
void patches_tell(const struct patches *patches);
void patches_release(struct patches *patches);
bool patch_is_expired(const struct config_patch *config, int64_t now_unix_ms);

/* The policy of a route, and the patches that are part of it. */
struct patch_set {
	enum config_waf_mode mode;
	struct waf_policy *policy;
	bool *has; /* by patch */
	const struct patch **at;
	size_t count;
};

/* Makes the sets that routes need, and gives each route its own. 0 or -1. */
int patch_sets_build(struct snapshot *snapshot, struct err *err) MUST_CHECK;
void patch_sets_release(struct snapshot *snapshot);

/* Takes from the transaction what has expired, or is for other operations of the contract. */
void patch_set_prepare(const struct patch_set *set, const struct exchange *e,
		       struct waf_transaction *t);
/* Counts the patches that matched. */
void patch_set_note(const struct patch_set *set, struct waf_transaction *t, bool blocked);
/* The patch that a rule of this source belongs to; NULL: none. */
const struct patch *patch_set_find(const struct patch_set *set, struct span source);

/* ---- for the admin listener ------------------------------------------------------------------ */

void patches_print(const struct snapshot *snapshot, struct buf *to);
void patches_metrics(const struct snapshot *snapshot, struct buf *to);

#endif
