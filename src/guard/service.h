/*
 * service.h - what guards one service and its endpoints, as one configuration has it. The parts
 * with state (breakers, bulkheads) are shared: a new configuration takes them over from the
 * one before where their settings are the same, so that a reload forgets nothing. Where settings
 * have changed, the part starts anew; calls in progress end with the old one.
 *
 * A struct guard_service itself does not change once it is made; any thread may use it.
 */
#ifndef GUARD_SERVICE_H
#define GUARD_SERVICE_H

#include "config/config.h"
#include "guard/breaker.h"
#include "guard/bulkhead.h"
#include "guard/endpoints.h"
#include "guard/health.h"
#include "guard/stale.h"
#include "guard/tally.h"

struct guard_endpoint {
	struct span url; /* of the configuration */
	struct breaker *breaker; /* NULL: none */
	struct health *health; /* NULL: neither checks nor outliers */
};

struct guard_service {
	const struct config_service *config;
	struct breaker *breaker; /* NULL: none */
	struct bulkhead *bulkhead; /* NULL: none */
	struct stale_cache *stale; /* NULL: none */
	/* Of this configuration alone; NULL: no procedure looks at the service. */
	struct tally *tally;
	struct guard_endpoint *endpoints; /* by place in the list */
	size_t endpoint_count;
	struct health **members; /* the endpoints' health again, for health_group; NULL: none */
};

/*
 * 0 with *out NULL where the configuration guards nothing; -1 with ERR_MEMORY. `endpoints` are those
 * of the configuration, or those that were found. `previous` is the service of the same name
 * before, or NULL; of the same configuration, it also keeps its tally. Configuration and endpoints
 * must outlive it. One reference.
 */
int guard_service_new(struct guard_service **out, const struct config_service *config,
		      const struct endpoint_list *endpoints,
		      const struct guard_service *previous, int64_t now_ms,
		      struct err *err) MUST_CHECK;
/* NULL is allowed, and returned. */
struct guard_service *guard_service_ref(struct guard_service *guard);
void guard_service_unref(struct guard_service *guard);

/* The previous bulkhead if it has these settings, or a new one; NULL with ERR_MEMORY. */
struct bulkhead *guard_bulkhead_keep(const struct config_bulkhead *config,
				     struct bulkhead *previous, struct err *err) MUST_CHECK;

/* What a breaker makes of how a call went; fault: bits of enum config_retry_on, 0 for none. */
enum guard_verdict { GUARD_VERDICT_GOOD, GUARD_VERDICT_FAILED, GUARD_VERDICT_IGNORED };
static inline enum guard_verdict guard_verdict_of(const struct config_breaker *config,
						  unsigned fault)
{
	if (fault & config->ignore)
		return GUARD_VERDICT_IGNORED;
	return (fault & config->record) ? GUARD_VERDICT_FAILED : GUARD_VERDICT_GOOD;
}

#endif
