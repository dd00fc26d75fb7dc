/*
 * limiter.h - rate limits by the generic cell rate algorithm (GCRA, ITU-T I.371, the "leaky bucket
 * as a meter"): one 64-bit word of state a key. The table is fixed in size, shared by all workers
 * and lock-free. When a set of slots is full, the key with the least debt is forgotten: under a
 * flood of keys a client may get its burst again, but memory never grows.
 */
#ifndef GUARD_LIMITER_H
#define GUARD_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

struct limiter;

struct limiter_rate {
	int64_t interval_ns; /* between two events at the permitted rate */
	int64_t tolerance_ns; /* (burst - 1) × interval */
	uint64_t burst;
};

/* `count` events every `per_ms`, of which `burst` may come at once. All at least 1. */
struct limiter_rate limiter_rate_of(uint64_t count, uint64_t per_ms, uint64_t burst);

struct limiter_result {
	bool allowed;
	uint64_t remaining; /* events that would be allowed now */
	int64_t retry_after_ns; /* until the next event is allowed; 0 when allowed */
	int64_t reset_after_ns; /* until the whole burst is there again */
};

/* Room for about `keys` keys at 16 bytes each, rounded up to a power of two. */
struct limiter *limiter_new(size_t keys, struct err *err) MUST_CHECK;
void limiter_free(struct limiter *limiter);

/*
 * Takes one event of the key if the rate allows it. The key is a keyed hash of what is limited
 * together with the limit itself (hash.h); now_ns is clock_ns time. Any thread.
 */
struct limiter_result limiter_take(struct limiter *limiter, uint64_t key,
				   const struct limiter_rate *rate, int64_t now_ns);
/* Undoes one successful take, when another limit of the same request has refused it. */
void limiter_give_back(struct limiter *limiter, uint64_t key, const struct limiter_rate *rate);

#endif
