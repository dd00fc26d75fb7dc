/*
 * metrics.h - counters of one worker. Only the worker writes; any thread may read: every number is
 * an atomic that is never shared for writing, so counting costs a plain add.
 */
#ifndef GATEWAY_METRICS_H
#define GATEWAY_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"

struct auth_worker;
struct exchange;

typedef _Atomic uint64_t counter;

static inline void counter_add(counter *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

static inline uint64_t counter_read(const counter *c)
{
	return atomic_load_explicit((counter *)(uintptr_t)c, memory_order_relaxed);
}

#define METRICS_BUCKETS 14
#define METRICS_CLASSES 6 /* 1xx to 5xx, and "gone" for exchanges without an answer */
#define METRICS_PHASES 16

/*
 * Of one operation, or of the calls to one service; kept from one snapshot to the next by name. What
 * a fast request changes is in the first two cache lines.
 */
struct metrics_series {
	_Alignas(CACHE_LINE_BYTES) counter requests[METRICS_CLASSES];
	counter duration_us;
	counter sent_bytes;
	counter buckets[METRICS_BUCKETS + 1];
	counter received_bytes;
	struct metrics_series *next;
	char *name;
};

struct metrics_table {
	struct metrics_series *_Atomic first;
	struct map by_name; /* the worker's thread only */
};

struct metrics {
	const struct auth_worker *auth; /* the worker's: for its figures */
	struct metrics_table operations;
	struct metrics_table services;
	struct metrics_series unrouted; /* refused before a route was found */
	counter connections_accepted;
	counter connections_refused; /* over a limit, or without a PROXY header */
	counter handshake_failures;
	counter banned_connections; /* closed when they were accepted */
	counter banned_requests[2]; /* only observed; refused */
	counter challenges; /* posed */
	counter over_share;
	counter refused[METRICS_PHASES]; /* by the phase that answered */
	counter waf_inspected, waf_failed;
	counter waf_lookups, waf_lookups_failed; /* of block lists */
	counter waf_programs, waf_programs_failed;
	counter waf_blocked[2], waf_observed[2]; /* requests; responses */
	counter upstream_attempts;
	counter upstream_retries;
	counter upstream_hedges[2]; /* second attempts that lost; that won */
	counter fallbacks[5]; /* enum fallback_kind */
	_Atomic int64_t connections_open;
};

struct metrics *metrics_new(struct err *err) MUST_CHECK;
void metrics_free(struct metrics *metrics);
/* The counters of this name, made if need be; NULL when out of memory. The worker's thread. */
struct metrics_series *metrics_series_of(struct metrics_table *table, struct span name);
/* An exchange has ended. */
void metrics_record(struct metrics *metrics, const struct exchange *e, int64_t end_ns);
/* A call to a service has got its answer's head, or (status 0) will not get any. */
void metrics_record_call(struct metrics_series *service, unsigned status, int64_t us);

/* The limits of buckets, and their names, which are seconds. */
extern const uint32_t metrics_bucket_us[METRICS_BUCKETS];
struct json_writer;
/* The operations' counters as members of an object: for `sallyport status`. -1: out of memory. */
int metrics_put_json(struct metrics *const *all, size_t count,
		     struct json_writer *w) MUST_CHECK;
/* Prometheus text format 0.0.4 of all workers together. */
void metrics_print(struct metrics *const *all, size_t count, struct buf *out);

#endif
