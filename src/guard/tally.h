/*
 * tally.h - what comes of a service's calls, counted for procedures, and what procedures have
 * decided about the next ones. Both are atomics that any thread may use; a service without a
 * procedure has none of it.
 */
#ifndef GUARD_TALLY_H
#define GUARD_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Latencies in half octaves of milliseconds: up to 65 s. */
#define TALLY_BUCKETS 33
/* Looks that a window remembers: one a second. */
#define TALLY_WINDOW_MAX 60

struct tally {
	_Atomic uint64_t control; /* a struct tally_control, packed; 0: everything as usual */
	_Atomic uint64_t failed;
	_Atomic uint64_t buckets[TALLY_BUCKETS]; /* calls, by how long they took */
};

/* One call has ended. */
void tally_count(struct tally *tally, int64_t duration_ms, bool failed);

struct tally_control {
	uint32_t withheld_percent; /* of the requests that do not go to the service */
	bool fallback; /* they get its fallback; or */
	uint32_t shift; /* go to this service of the configuration, counted from 1; 0: none */
	unsigned shed; /* enum config_shed */
};

void tally_set(struct tally *tally, struct tally_control control);
/* False: everything as usual. */
static inline bool tally_interferes(const struct tally *tally)
{
	return atomic_load_explicit(&tally->control, memory_order_relaxed) != 0;
}
struct tally_control tally_get(const struct tally *tally);

/* The calls of the last looks. Belongs to one thread. */
struct tally_counts {
	uint32_t failed;
	uint32_t buckets[TALLY_BUCKETS];
};
struct tally_window {
	uint64_t seen_failed; /* of the tally, at the last look */
	uint64_t seen[TALLY_BUCKETS];
	struct tally_counts looks[TALLY_WINDOW_MAX];
	unsigned next;
};

/* Forgets what was; counts from now on. */
void tally_window_reset(struct tally_window *window, const struct tally *tally);
/* Once a second. */
void tally_window_look(struct tally_window *window, const struct tally *tally);

struct tally_figures {
	uint64_t calls, failed;
	uint64_t buckets[TALLY_BUCKETS];
};
/* Of the last `looks`, 1 to TALLY_WINDOW_MAX. */
struct tally_figures tally_window_read(const struct tally_window *window, unsigned looks);
/* This percentile of the calls took at least so many milliseconds; 0 without calls. */
int64_t tally_percentile_ms(const struct tally_figures *figures, uint32_t percentile);

#endif
