/*
 * health.h - whether an endpoint is well: what active checks say, and what its answers to real
 * calls say (passive outlier ejection as Envoy does it). Shared by all threads; every member of the
 * state is an atomic of its own.
 *
 * An endpoint that fails `consecutive_5xx` calls in a row, or more calls than the others do, is ejected: it gets no calls for
 * `ejection` times the number of ejections in a row, up to a maximum. Each `interval` that it then
 * stays in takes one off that number. Only a share of a service's endpoints is ejected at a time.
 */
#ifndef GUARD_HEALTH_H
#define GUARD_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "config/config.h"

struct health;

/* Well until something says otherwise. NULL with ERR_MEMORY. One reference. */
struct health *health_new(struct err *err) MUST_CHECK;
struct health *health_ref(struct health *health);
/* NULL is allowed. */
void health_unref(struct health *health);

/* May it be asked? Ends an ejection whose time is over. */
bool health_is_well(struct health *health, int64_t now_ms);
/*
 * Percent of its share of calls that it should get: 100, or less for slow_start_ms after it has come
 * back (slow start), at least 10.
 */
uint32_t health_share_percent(const struct health *health, uint64_t slow_start_ms,
			      int64_t now_ms);

/*
 * One active check has ended. Checks of one endpoint come one after the other. True when it has
 * changed whether the endpoint is up.
 */
bool health_checked(struct health *health, const struct config_health *config, bool good,
		    int64_t now_ms);

/* When the last active check has ended; 0: there was none. */
int64_t health_checked_ms(const struct health *health);

/* The ejection of the endpoints of one service. */
struct health_group {
	struct health *const *members;
	size_t count;
};
/* How a call went: fault as in guard/service.h. True when the endpoint has been ejected for it. */
bool health_note_call(struct health *health, const struct config_outlier *config,
		      const struct health_group *group, unsigned fault, int64_t now_ms);

/*
 * Once each interval, from one thread: ejects endpoints with a share of good calls since the last time
 * that is far below the others', or too small. `ejected` is told of each, by its place.
 */
void health_sweep(const struct health_group *group, const struct config_outlier *config,
		  int64_t now_ms, void (*ejected)(void *context, size_t index), void *context);

struct health_figures {
	bool up; /* by active checks */
	bool ejected;
	int64_t ejected_for_ms; /* more */
	uint64_t checks, failed_checks, ejections;
};
void health_read(const struct health *health, int64_t now_ms, struct health_figures *figures);

/* The message of grpc.health.v1.HealthCheckResponse in a body of gRPC: does it say SERVING? */
bool health_grpc_serving(struct span body);
/* A request message for that: frame and HealthCheckRequest. The length, 0 when it does not fit. */
size_t health_grpc_request(char *to, size_t size, struct span service);

#endif
