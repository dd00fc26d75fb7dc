/*
 * collection.h - named sets of variables that outlive a transaction (IP, SESSION, USER, GLOBAL,
 * RESOURCE). Safe from several threads: every call locks, copies and unlocks.
 */
#ifndef WAF_COLLECTION_H
#define WAF_COLLECTION_H

#include "base/arena.h"
#include "waf/waf.h"

enum collection_kind {
	COLLECTION_IP,
	COLLECTION_SESSION,
	COLLECTION_USER,
	COLLECTION_GLOBAL,
	COLLECTION_RESOURCE,
	COLLECTION_KINDS,
};

/* Names longer than this are not kept. */
#define COLLECTION_NAME_MAX 256
/* Variables of one collection; more are not kept. */
#define COLLECTION_VARIABLES_MAX 256

struct collection_variable {
	struct span name;
	struct span value;
};

/*
 * All variables of a collection that have not expired at `now_ms`, in the arena; *count is 0 when
 * there is no such collection. 0, or -1 when the arena is full.
 */
int collection_read(struct waf_collections *c, enum collection_kind kind, struct span key,
		    int64_t now_ms, struct arena *arena, struct collection_variable **variables,
		    size_t *count);
/*
 * Sets a variable; a collection not used for `timeout_s` goes. When memory is short the variable
 * is not kept: the collections are a cache. Names are compared without case.
 */
void collection_set(struct waf_collections *c, enum collection_kind kind, struct span key,
		    struct collection_variable variable, uint32_t timeout_s, int64_t now_ms);
/*
 * Adds to what the variable is now (nothing, or no number: 0), whoever has changed it since it was
 * read; *sum is what it is then, an int as everywhere in the language. False when it is not kept.
 */
bool collection_add(struct waf_collections *c, enum collection_kind kind, struct span key,
		    struct span name, int64_t change, uint32_t timeout_s, int64_t now_ms,
		    int64_t *sum) MUST_CHECK;
void collection_remove(struct waf_collections *c, enum collection_kind kind, struct span key,
		       struct span name);
/* The variable goes at `at_ms`. */
void collection_expire(struct waf_collections *c, enum collection_kind kind, struct span key,
		       struct span name, int64_t at_ms);
/* "IP" and so on, without case; -1 for none of them. */
int collection_kind_of(struct span name);

#endif
