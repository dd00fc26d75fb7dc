/*
 * decision.h - what people have decided on components: approved, or denied. Kept in the store, under
 * the package URL of a release ("pkg:npm/lodash@4.17.21") or of all of a package's ("pkg:npm/lodash").
 * Blocks.
 */
#ifndef REGISTRY_DECISION_H
#define REGISTRY_DECISION_H

#include "registry/judge.h"
#include "store/store.h"

struct decision {
	struct span purl;
	bool approved; /* else denied */
	struct span by;
	struct span reason; /* may be empty */
	struct span instead; /* of a denial: what to use; may be empty */
	int64_t made_unix_ms;
	int64_t until_unix_ms; /* 0: for good */
};

struct decision_list {
	struct decision *at;
	size_t count;
};

/* -1: ERR_INVALID for what is no package URL, else the store's. Replaces an earlier one. */
int decision_put(struct store *store, const struct decision *decision,
		 struct err *err) MUST_CHECK;
/* 1 when it was there and is gone, 0 when there was none, -1. */
int decision_remove(struct store *store, struct span purl, struct arena *arena,
		    struct err *err) MUST_CHECK;
/* All whose package URL starts with the prefix; those that cannot be read are an error. */
int decision_list(struct store *store, struct span prefix, struct arena *arena,
		  struct decision_list *list, struct err *err) MUST_CHECK;
/* The one that counts for a release: its own before its package's, a denial before an approval; NULL. */
const struct decision *decision_for(const struct decision_list *list, struct span purl);
/*
 * Adds it to a judgement: what is denied is refused, and so is what nobody has approved where that is
 * needed. An approval makes nothing else good. -1 when memory ran out.
 */
int decision_apply(const struct decision_list *list, struct span purl, bool needs_approval,
		   struct arena *arena, struct judgement *judgement) MUST_CHECK;

#endif
