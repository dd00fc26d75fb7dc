/* limit: how often, per user, client, address, key, route or service; all limits must allow it. */
#include "base/hash.h"
#include "gateway/contract_plan.h"
#include "gateway/exchange.h"

HOT static uint64_t key_of(const struct exchange *e, const struct snapshot_limit *limit)
{
	const struct identity *identity = e->identity;
	uint64_t who = 0;

	switch (limit->per) {
	case CONFIG_LIMIT_PER_USER: who = identity->user_hash; break;
	case CONFIG_LIMIT_PER_CLIENT: who = identity->client_hash; break;
	case CONFIG_LIMIT_PER_KEY: who = identity->key_hash; break;
	case CONFIG_LIMIT_PER_ROUTE:
	case CONFIG_LIMIT_PER_SERVICE: return limit->seed;
	case CONFIG_LIMIT_PER_ADDRESS: break;
	}
	return hash_mix(limit->seed,
			who ? who : address_limit_key(&e->worker->address_texts, &e->client));
}

static int64_t seconds_up(int64_t ns)
{
	return (ns + 999999999) / 1000000000;
}

/*
 * draft-ietf-httpapi-ratelimit-headers, sections 3 and 4: the burst may be used up in the time in which
 * it comes back. Clients know the three fields of its versions up to 6 as well.
 */
static void tell_limit(struct exchange *e, const struct snapshot_limit *limit, long long wait_s)
{
	struct arena *arena = &e->x->arena;
	const struct limiter_rate *rate = &limit->rate;
	unsigned long long burst = rate->burst;
	const char *name = config_limit_per_name(limit->per);

	exchange_add_field(
		e, SPAN("ratelimit-policy"),
		arena_printf(arena, "\"%s\";q=%llu;w=%lld", name, burst,
			     (long long)seconds_up(rate->tolerance_ns + rate->interval_ns)));
	exchange_add_field(e, SPAN("ratelimit"),
			   arena_printf(arena, "\"%s\";r=0;t=%lld", name, wait_s));
	exchange_add_field(e, SPAN("ratelimit-limit"), arena_printf(arena, "%llu", burst));
	exchange_add_field(e, SPAN("ratelimit-remaining"), SPAN("0"));
	exchange_add_field(e, SPAN("ratelimit-reset"), arena_printf(arena, "%lld", wait_s));
}

static enum phase_result refuse(struct exchange *e, const struct snapshot_limit *limit,
				const struct limiter_result *result)
{
	long long wait_s = (long long)seconds_up(result->retry_after_ns);

	exchange_add_field(e, SPAN("retry-after"), arena_printf(&e->x->arena, "%lld", wait_s));
	tell_limit(e, limit, wait_s);
	e->reason = "rate_limited";
	return answer_problem(e, 429, "rate-limited", NULL);
}

/* The route's limits, then the one that the contract gives the operation. */
static const struct snapshot_limit *limit_at(const struct exchange *e, size_t i)
{
	if (i < e->route->limit_count)
		return &e->route->limits[i];
	return &e->operation->limit;
}

HOT enum phase_result phase_limit(struct exchange *e)
{
	struct limiter *limiter = e->worker->shared->limiter;
	uint64_t taken[SNAPSHOT_LIMITS_MAX + 1];
	size_t count =
		(size_t)e->route->limit_count + (e->operation && e->operation->limited ? 1 : 0);

	for (size_t i = 0; i < count; i++) {
		const struct snapshot_limit *limit = limit_at(e, i);
		struct limiter_result result;

		taken[i] = key_of(e, limit);
		result = limiter_take(limiter, taken[i], &limit->rate, e->now_ns);
		if (result.allowed)
			continue;
		while (i-- > 0)
			limiter_give_back(limiter, taken[i], &limit_at(e, i)->rate);
		return refuse(e, limit, &result);
	}
	return PHASE_NEXT;
}
