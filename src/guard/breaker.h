/*
 * breaker.h - a circuit breaker with the semantics of Resilience4j: it looks at the last calls (by
 * number or by time), opens when too many of them failed or were slow, refuses calls for a while,
 * then lets a few probes through and decides by them alone.
 *
 * Lock-free, for any number of threads. The state, its generation and, in half-open, the count of
 * probes are one word that is only changed as a whole: never more than `probes` calls are let
 * through in one half-open state. A permit carries the generation of the state that gave it; a
 * result of an older state changes nothing.
 *
 * Times are milliseconds of one monotonic clock.
 */
#ifndef GUARD_BREAKER_H
#define GUARD_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

struct breaker;

#define BREAKER_WINDOW_MAX 100000
#define BREAKER_PROBES_MAX 1000

struct breaker_options {
	uint32_t window; /* calls that are looked at, 1 to BREAKER_WINDOW_MAX; or */
	uint64_t window_ms; /* not 0: those of this time, to within 1/32 of it */
	uint32_t minimum; /* calls in the window before it decides; at most `window` of them */
	uint32_t failure_percent; /* of them failed: it opens; over 100: never */
	uint32_t slow_percent; /* of them slow: it opens; over 100: never */
	uint64_t slow_ms; /* a call that takes longer is slow; 0: none is */
	uint64_t open_ms; /* first wait, at least 1 */
	uint32_t growth_percent; /* of the wait, each time that probes fail; 100: none */
	uint64_t open_max_ms; /* the wait does not grow over this; 0: no bound */
	uint32_t probes; /* 1 to BREAKER_PROBES_MAX */
	uint64_t
		half_open_max_ms; /* probes without a decision for longer: open again; 0: wait */
};

enum breaker_state {
	BREAKER_CLOSED,
	BREAKER_OPEN,
	BREAKER_HALF_OPEN,
	BREAKER_FORCED_OPEN, /* refuses all, until told otherwise */
	BREAKER_FORCED_CLOSED, /* lets all through, counts, and never opens */
	BREAKER_DISABLED, /* lets all through and counts nothing */
};

/* What breaker_acquire gave; zero it before. To be given back by record or release, once. */
struct breaker_permit {
	uint32_t generation;
	bool held;
};

/* NULL with ERR_MEMORY. One reference. */
struct breaker *breaker_new(const struct breaker_options *options, int64_t now_ms,
			    struct err *err) MUST_CHECK;
struct breaker *breaker_ref(struct breaker *breaker);
/* NULL is allowed. */
void breaker_unref(struct breaker *breaker);
/* Whether it was made with these. */
bool breaker_has_options(const struct breaker *breaker, const struct breaker_options *options);

/*
 * May a call be made? When not, *retry_after_ms says how long the breaker stays open at least (0:
 * not known). An open breaker whose wait is over goes half-open here, with this call as its first
 * probe.
 */
bool breaker_acquire(struct breaker *breaker, int64_t now_ms, struct breaker_permit *permit,
		     int64_t *retry_after_ms);
/*
 * As acquire would answer, without taking anything. When that is enough for a refusal,
 * breaker_count_refusal counts it.
 */
bool breaker_would_allow(const struct breaker *breaker, int64_t now_ms);
void breaker_count_refusal(struct breaker *breaker);
/* How the call went: counted, and the permit is given back. */
void breaker_record(struct breaker *breaker, struct breaker_permit *permit, int64_t now_ms,
		    int64_t duration_ms, bool failed);
/* The call says nothing about the service (the client left, an ignored error). */
void breaker_release(struct breaker *breaker, struct breaker_permit *permit);

/* BREAKER_CLOSED starts anew; OPEN waits as if it had just opened; the forced states stay. */
void breaker_force(struct breaker *breaker, enum breaker_state state, int64_t now_ms);

struct breaker_figures {
	enum breaker_state state;
	uint32_t calls, failed, slow; /* in the window; in half-open: of the probes */
	uint32_t probes_issued;
	int64_t open_for_ms; /* until probes are let through; 0 when not open */
	int64_t since_ms; /* when the state began */
	uint64_t refused; /* calls, since it was made */
	uint64_t opened; /* times, since it was made */
};
void breaker_read(const struct breaker *breaker, int64_t now_ms,
		  struct breaker_figures *figures);
/* "closed", "open", "half_open", "forced_open", "forced_closed", "disabled". */
const char *breaker_state_name(enum breaker_state state);
/* False when it is no such name. */
bool breaker_state_from_name(const char *name, size_t len, enum breaker_state *state);

#endif
