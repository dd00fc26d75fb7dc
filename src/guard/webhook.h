/*
 * webhook.h - events for other systems, in the store until they have been delivered or are given
 * up. A delivery is taken by one sender at a time (several processes may share a store): taking it
 * moves the time of its next attempt, in a commit that expects the version it has read, so that it
 * comes back by itself when the sender ends in between. So an event arrives at least once; whoever
 * receives it tells repetitions by its id.
 *
 * Signatures are those of Standard Webhooks: HMAC-SHA256 over "ID.TIMESTAMP.BODY".
 *
 * All functions but webhook_sign and webhook_backoff_ms block (store.h); any thread may call them.
 */
#ifndef GUARD_WEBHOOK_H
#define GUARD_WEBHOOK_H

#include "base/buf.h"
#include "store/store.h"

#define WEBHOOK_ID_BYTES 31 /* "wh_" and 28 hexadecimal digits, which sort by time */
#define WEBHOOK_BODY_BYTES_MAX ((size_t)64 * 1024)
#define WEBHOOK_PROBLEM_BYTES_MAX 200
/* "v1," and 32 bytes in base64 */
#define WEBHOOK_SIGNATURE_BYTES 47

enum webhook_state {
	WEBHOOK_PENDING,
	WEBHOOK_DELIVERED, /* kept for a day, to be looked at */
	WEBHOOK_DEAD, /* given up; kept for 30 days */
};

struct webhook_delivery {
	struct span id;
	struct span hook; /* name of the configured webhook */
	struct span event; /* "approval.requested" */
	struct span body; /* what is posted: JSON */
	struct span problem; /* of the last attempt; empty: none */
	int64_t created_unix_ms;
	int64_t since_unix_ms; /* when it was queued, or retried by hand: its age counts from it */
	int64_t due_unix_ms; /* the next attempt, when it is pending */
	uint32_t attempts;
	enum webhook_state state;
	uint64_t version; /* of the record */
};

/* How often and for how long it is tried. */
struct webhook_policy {
	uint64_t backoff_ms;
	uint64_t max_backoff_ms;
	uint64_t max_age_ms;
};

enum webhook_outcome {
	WEBHOOK_TAKEN_OVER, /* any 2xx */
	WEBHOOK_FAILED, /* to be tried again */
	WEBHOOK_REFUSED, /* 410 Gone: not to be tried again */
};

/* Queues an event; `id` gets WEBHOOK_ID_BYTES. `data` is JSON. 0 or -1. */
int webhook_put(struct store *store, struct span hook, struct span event, struct span data,
		int64_t now_unix_ms, char id[WEBHOOK_ID_BYTES], struct err *err) MUST_CHECK;
/*
 * Takes the oldest delivery of the hook that is due, for lease_ms: STORE_OK; STORE_ABSENT, with the
 * time of the next in *next_unix_ms (INT64_MAX: none waits); or STORE_FAILED. *waiting: how many of
 * the hook wait in all.
 */
enum store_result webhook_take(struct store *store, struct span hook, int64_t now_unix_ms,
			       int64_t lease_ms, struct arena *arena,
			       struct webhook_delivery *delivery, int64_t *next_unix_ms,
			       size_t *waiting, struct err *err);
/*
 * What came of the attempt. `random` is any number, for jitter. The delivery is then as the store
 * has it. STORE_OK; STORE_CONFLICT: somebody else has changed it since it was taken, and that
 * stands; STORE_FAILED.
 */
enum store_result webhook_settle(struct store *store, struct webhook_delivery *delivery,
				 enum webhook_outcome outcome, struct span problem,
				 const struct webhook_policy *policy, int64_t now_unix_ms,
				 uint64_t random, struct err *err);

struct webhook_list {
	struct webhook_delivery *at;
	size_t count;
	bool more; /* ask again, after the last id */
};
/* In the order in which they came. 0 or -1. */
int webhook_list(struct store *store, enum webhook_state state, struct span after, size_t limit,
		 struct arena *arena, struct webhook_list *list, struct err *err) MUST_CHECK;
enum store_result webhook_get(struct store *store, struct span id, struct arena *arena,
			      struct webhook_delivery *delivery, struct err *err);
/* Dead or waiting: due at once, and young again. STORE_ABSENT: none, or it is delivered. */
enum store_result webhook_retry(struct store *store, struct span id, int64_t now_unix_ms,
				struct arena *arena, struct webhook_delivery *delivery,
				struct err *err);
/* Removes it, whatever its state. */
enum store_result webhook_discard(struct store *store, struct span id, struct arena *arena,
				  struct err *err);

/* "pending", "delivered", "dead". */
const char *webhook_state_name(enum webhook_state state);
bool webhook_state_parse(struct span word, enum webhook_state *state);
/* As a JSON object: what the store keeps, the admin API and commands print. */
void webhook_write(const struct webhook_delivery *delivery, struct buf *to);

/* Wait after so many attempts (1 or more): the doubled backoff, and of that half to all. */
uint64_t webhook_backoff_ms(const struct webhook_policy *policy, uint32_t attempts,
			    uint64_t random);
/* `secret` as configured. 0, or -1 with ERR_INVALID or ERR_MEMORY. */
int webhook_sign(struct span secret, struct span id, int64_t unix_s, struct span body,
		 char signature[WEBHOOK_SIGNATURE_BYTES], struct err *err) MUST_CHECK;

#endif
