#include "guard/service.h"

#include <stdatomic.h>

#include "base/mem.h"

struct counted_service {
	struct guard_service guard; /* first */
	_Atomic uint32_t refs;
};

struct counted_tally {
	struct tally tally; /* first */
	_Atomic uint32_t refs;
};

static struct breaker_options breaker_options_of(const struct config_breaker *config)
{
	return (struct breaker_options){.window = config->window,
					.window_ms = config->window_ms,
					.minimum = config->minimum,
					.failure_percent = config->failure_rate_percent,
					.slow_percent = config->slow_rate_percent,
					.slow_ms = config->slow_ms,
					.open_ms = config->open_ms,
					.growth_percent = config->growth_percent,
					.open_max_ms = config->open_max_ms > config->open_ms
							       ? config->open_max_ms
							       : config->open_ms,
					.probes = config->probes,
					.half_open_max_ms = config->half_open_ms};
}

static struct breaker *keep_breaker(const struct config_breaker *config,
				    struct breaker *previous, int64_t now_ms, struct err *err)
{
	struct breaker_options options = breaker_options_of(config);

	if (previous && breaker_has_options(previous, &options))
		return breaker_ref(previous);
	return breaker_new(&options, now_ms, err);
}

struct bulkhead *guard_bulkhead_keep(const struct config_bulkhead *config,
				     struct bulkhead *previous, struct err *err)
{
	struct bulkhead_options options = {.concurrent = config->concurrent,
					   .queue = config->queue,
					   .wait_ms = config->wait_ms,
					   .adaptive = config->adaptive,
					   .least = config->least};

	if (previous && bulkhead_has_options(previous, &options))
		return bulkhead_ref(previous);
	return bulkhead_new(&options, err);
}

static const struct guard_endpoint *find_endpoint(const struct guard_service *guard,
						  struct span url)
{
	for (size_t i = 0; guard && i < guard->endpoint_count; i++)
		if (span_eq(guard->endpoints[i].url, url))
			return &guard->endpoints[i];
	return NULL;
}

static bool breaks_service(const struct config_breaker *config)
{
	return config && config->scope != CONFIG_BREAKER_SCOPE_ENDPOINT;
}

static bool breaks_endpoints(const struct config_service *config, size_t count)
{
	return config->breaker &&
	       (config->breaker->scope == CONFIG_BREAKER_SCOPE_ENDPOINT ||
		(config->breaker->scope == CONFIG_BREAKER_SCOPE_BOTH && count > 1));
}

/* Without checks, nothing would ever say that an endpoint is up again. */
static struct health *keep_health(const struct guard_service *guard,
				  const struct guard_service *previous,
				  const struct guard_endpoint *before, struct err *err)
{
	if (before && before->health && previous &&
	    !guard->config->health == !previous->config->health)
		return health_ref(before->health);
	return health_new(err);
}

static int build_endpoints(struct guard_service *guard, const struct endpoint_list *endpoints,
			   const struct guard_service *previous, int64_t now_ms,
			   struct err *err)
{
	const struct config_service *config = guard->config;

	guard->endpoints = mem_zalloc(endpoints->count, sizeof(*guard->endpoints));
	guard->members = mem_zalloc(endpoints->count, sizeof(struct health *));
	if (!guard->endpoints || !guard->members)
		return err_set(err, ERR_MEMORY, "no memory for a service's guards");
	guard->endpoint_count = endpoints->count;
	for (size_t i = 0; i < endpoints->count; i++) {
		struct guard_endpoint *endpoint = &guard->endpoints[i];
		const struct guard_endpoint *before;

		endpoint->url = endpoints->at[i].url;
		before = find_endpoint(previous, endpoint->url);
		if (config->health || config->outlier) {
			endpoint->health = keep_health(guard, previous, before, err);
			if (!endpoint->health)
				return -1;
			guard->members[i] = endpoint->health;
		}
		if (!breaks_endpoints(config, endpoints->count))
			continue;
		endpoint->breaker = keep_breaker(config->breaker,
						 before ? before->breaker : NULL, now_ms, err);
		if (!endpoint->breaker)
			return -1;
	}
	return 0;
}

static bool keeps_answers(const struct config_service *config)
{
	return config->fallback && config->fallback->stale_ms;
}

static struct stale_cache *keep_stale(const struct config_fallback *config,
				      struct stale_cache *previous, struct err *err)
{
	struct stale_options options = {.bytes = config->stale_bytes,
					.answer_bytes = config->stale_answer_bytes};

	if (previous && stale_has_options(previous, &options))
		return stale_ref(previous);
	return stale_new(&options, err);
}

/* With other endpoints of the same configuration, counting goes on. */
static struct tally *keep_tally(const struct guard_service *guard,
				const struct guard_service *previous)
{
	struct counted_tally *counted;

	if (previous && previous->tally && previous->config == guard->config) {
		counted = CONTAINER_OF(previous->tally, struct counted_tally, tally);
		atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
		return previous->tally;
	}
	counted = mem_zalloc(1, sizeof(*counted));
	if (!counted)
		return NULL;
	counted->refs = 1;
	return &counted->tally;
}

static void unref_tally(struct tally *tally)
{
	struct counted_tally *counted;

	if (!tally)
		return;
	counted = CONTAINER_OF(tally, struct counted_tally, tally);
	if (atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel) == 1)
		mem_free(counted);
}

static int build(struct guard_service *guard, const struct endpoint_list *endpoints,
		 const struct guard_service *previous, int64_t now_ms, struct err *err)
{
	const struct config_service *config = guard->config;

	if (breaks_service(config->breaker)) {
		guard->breaker = keep_breaker(config->breaker,
					      previous ? previous->breaker : NULL, now_ms, err);
		if (!guard->breaker)
			return -1;
	}
	if (config->has_procedure) {
		guard->tally = keep_tally(guard, previous);
		if (!guard->tally)
			return err_set(err, ERR_MEMORY, "no memory for a service's guards");
	}
	if (config->bulkhead) {
		guard->bulkhead = guard_bulkhead_keep(
			config->bulkhead, previous ? previous->bulkhead : NULL, err);
		if (!guard->bulkhead)
			return -1;
	}
	if (keeps_answers(config)) {
		guard->stale =
			keep_stale(config->fallback, previous ? previous->stale : NULL, err);
		if (!guard->stale)
			return -1;
	}
	return build_endpoints(guard, endpoints, previous, now_ms, err);
}

int guard_service_new(struct guard_service **out, const struct config_service *config,
		      const struct endpoint_list *endpoints,
		      const struct guard_service *previous, int64_t now_ms, struct err *err)
{
	struct counted_service *counted;

	*out = NULL;
	if (!config->breaker && !config->bulkhead && !config->health && !config->outlier &&
	    !keeps_answers(config) && !config->has_procedure)
		return 0;
	counted = mem_zalloc(1, sizeof(*counted));
	if (!counted)
		return err_set(err, ERR_MEMORY, "no memory for a service's guards");
	counted->refs = 1;
	counted->guard.config = config;
	if (build(&counted->guard, endpoints, previous, now_ms, err) < 0) {
		guard_service_unref(&counted->guard);
		return -1;
	}
	*out = &counted->guard;
	return 0;
}

struct guard_service *guard_service_ref(struct guard_service *guard)
{
	struct counted_service *counted;

	if (!guard)
		return NULL;
	counted = CONTAINER_OF(guard, struct counted_service, guard);
	atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
	return guard;
}

void guard_service_unref(struct guard_service *guard)
{
	struct counted_service *counted;

	if (!guard)
		return;
	counted = CONTAINER_OF(guard, struct counted_service, guard);
	if (atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < guard->endpoint_count; i++) {
		breaker_unref(guard->endpoints[i].breaker);
		health_unref(guard->endpoints[i].health);
	}
	mem_free(guard->endpoints);
	mem_free(guard->members);
	unref_tally(guard->tally);
	breaker_unref(guard->breaker);
	bulkhead_unref(guard->bulkhead);
	stale_unref(guard->stale);
	mem_free(counted);
}
