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
	int64_t retry_after_ns; /* until the next event is allowed; 0 when allowed */
};

/* Room for about `keys` keys at 16 bytes each, rounded up to a power of two. */
struct limiter *limiter_new(size_t keys, struct err *err) MUST_CHECK;
void limiter_free(struct limiter *limiter);

/*
 * The same table in memory that has a descriptor (memfd_create(2)), so that processes that follow
 * one another, or run beside each other for a while, limit together: whoever has used up a burst
 * does not get another by a reload or an upgrade. The descriptor, or -1; it is the caller's.
 */
int limiter_file_new(size_t keys, struct err *err) MUST_CHECK;
/*
 * In a program that has inherited such a descriptor from another one: takes over the key of hash.h
 * under which the limited are known. -1: it is no such memory.
 */
int limiter_file_adopt(int fd, struct err *err) MUST_CHECK;
/* Maps it; the descriptor is not needed afterwards. */
struct limiter *limiter_open(int fd, struct err *err) MUST_CHECK;

struct limiter_stats {
	uint64_t
		keys; /* remembered; those whose time is over stay until their place is needed */
	uint64_t capacity;
	uint64_t evictions; /* keys forgotten to make room, before their time was over */
};
/* Any thread. */
void limiter_read_stats(const struct limiter *limiter, struct limiter_stats *stats);

/*
 * Takes one event of the key if the rate allows it. The key is a keyed hash of what is limited
 * together with the limit itself (hash.h); now_ns is clock_ns time. Any thread.
 */
struct limiter_result limiter_take(struct limiter *limiter, uint64_t key,
				   const struct limiter_rate *rate, int64_t now_ns);
/* Undoes one successful take, when another limit of the same request has refused it. */
void limiter_give_back(struct limiter *limiter, uint64_t key, const struct limiter_rate *rate);

#endif
