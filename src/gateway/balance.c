#include "base/hash.h"
#include "gateway/fields.h"
#include "gateway/forward.h"

/* Weights of services with slow start are counted in percent of themselves. */
#define WEIGHT_SCALE 100

struct choice {
	struct view_service *service;
	uint64_t tried;
	int64_t now_ms;
	const struct guard_service *guard; /* NULL: none, or its word does not count */
	size_t from, to; /* the endpoints of the priority that is looked at */
};

static bool was_tried(uint64_t tried, size_t index)
{
	return index < 64 && tried & (uint64_t)1 << index;
}

static bool is_well(const struct guard_endpoint *endpoint, int64_t now_ms)
{
	return (!endpoint->health || health_is_well(endpoint->health, now_ms)) &&
	       (!endpoint->breaker || breaker_would_allow(endpoint->breaker, now_ms));
}

/* Its weight now; 0: not to be chosen. */
static int32_t weight_of(const struct choice *choice, size_t i)
{
	const struct view_service *service = choice->service;
	int32_t weight = (int32_t)service->endpoints[i].config->weight;

	if (was_tried(choice->tried, i))
		return 0;
	if (LIKELY(!choice->guard))
		return weight;
	if (!is_well(&choice->guard->endpoints[i], choice->now_ms))
		return 0;
	if (!choice->guard->endpoints[i].health)
		return weight * WEIGHT_SCALE;
	return weight * (int32_t)health_share_percent(choice->guard->endpoints[i].health,
						      choice->guard->config->slow_start_ms,
						      choice->now_ms);
}

/* Smooth weighted round robin: spreads a heavy endpoint's turns instead of bunching them. */
static struct view_endpoint *pick_round_robin(const struct choice *choice)
{
	struct view_service *service = choice->service;
	struct view_endpoint *best = NULL;
	int32_t total = 0;

	for (size_t i = choice->from; i < choice->to; i++) {
		struct view_endpoint *candidate = &service->endpoints[i];
		int32_t weight = weight_of(choice, i);

		if (!weight)
			continue;
		candidate->current_weight += weight;
		total += weight;
		if (!best || candidate->current_weight > best->current_weight)
			best = candidate;
	}
	if (best)
		best->current_weight -= total;
	return best;
}

static struct view_endpoint *pick_least_requests(const struct choice *choice)
{
	struct view_service *service = choice->service;
	struct view_endpoint *best = NULL;
	size_t count = choice->to - choice->from;
	size_t start = service->rotation++ % count;
	int32_t best_weight = 0;

	for (size_t i = 0; i < count; i++) {
		size_t index = choice->from + (start + i) % count;
		struct view_endpoint *candidate = &service->endpoints[index];
		int32_t weight = weight_of(choice, index);

		if (!weight)
			continue;
		if (!best || (int64_t)candidate->endpoint->active * best_weight <
				     (int64_t)best->endpoint->active * weight) {
			best = candidate;
			best_weight = weight;
		}
	}
	return best;
}

static struct span cookie_value(struct span cookies, struct span name)
{
	while (cookies.ptr) {
		struct span pair = span_trim(span_cut(&cookies, ';'));
		struct span value = pair;
		struct span key = span_cut(&value, '=');

		if (value.ptr && span_eq(key, name))
			return value;
	}
	return SPAN_NONE;
}

static uint64_t affinity_key(const struct exchange *e, const struct config_service *config)
{
	const struct http1_head *head = &e->x->request;
	struct span value = SPAN_NONE;

	switch (config->hash_by) {
	case CONFIG_HASH_BY_HEADER: value = fields_find(head, config->hash_name); break;
	case CONFIG_HASH_BY_COOKIE:
		value = cookie_value(http1_field(head, HTTP_FIELD_COOKIE), config->hash_name);
		break;
	case CONFIG_HASH_BY_PATH: value = e->path; break;
	case CONFIG_HASH_BY_USER: value = e->identity->subject; break;
	case CONFIG_HASH_BY_ADDRESS: break;
	}
	if (!value.len)
		value = span_of(e->client.bytes, sizeof(e->client.bytes));
	/* The same key on every replica and after every restart. */
	return hash_siphash13(value, 0, 0);
}

/* Rendezvous hashing (Thaler and Ravishankar, 1998): only the keys of a lost endpoint move. */
static struct view_endpoint *pick_consistent(const struct exchange *e,
					     const struct choice *choice)
{
	struct view_service *service = choice->service;
	uint64_t key = affinity_key(e, service->snapshot->config);
	struct view_endpoint *best = NULL;
	double best_score = 0;

	for (size_t i = choice->from; i < choice->to; i++) {
		struct view_endpoint *candidate = &service->endpoints[i];
		uint64_t mixed;
		double score;

		if (!weight_of(choice, i))
			continue;
		mixed = hash_mix(key, hash_siphash13(candidate->config->url, 0, 0));
		score = (double)candidate->config->weight /
			-__builtin_log(((double)(mixed >> 11) + 0.5) / 9007199254740992.0);
		if (!best || score > best_score) {
			best = candidate;
			best_score = score;
		}
	}
	return best;
}

/*
 * Where too few endpoints are well, the load of all would bring down those few: then their health is
 * not asked about (Envoy's panic threshold).
 */
static bool is_panic(const struct choice *choice)
{
	const struct view_service *service = choice->service;
	size_t well = 0;

	for (size_t i = 0; i < service->count; i++)
		well += is_well(&choice->guard->endpoints[i], choice->now_ms);
	/* Those of further priorities take the load. */
	if (service->has_priorities)
		return well == 0;
	return well * 100 < service->count * (size_t)choice->guard->config->panic_percent;
}

static struct view_endpoint *pick_level(struct exchange *e, const struct choice *choice)
{
	switch (choice->service->snapshot->config->balance) {
	case CONFIG_BALANCE_ROUND_ROBIN: break;
	case CONFIG_BALANCE_LEAST_REQUESTS: return pick_least_requests(choice);
	case CONFIG_BALANCE_CONSISTENT_HASH: return pick_consistent(e, choice);
	}
	return pick_round_robin(choice);
}

/* RFC 2782: those of the lowest priority as long as one of them can be asked. */
static struct view_endpoint *pick(struct exchange *e, struct choice *choice)
{
	const struct view_service *service = choice->service;
	struct view_endpoint *picked = NULL;

	choice->from = 0;
	choice->to = service->count;
	if (LIKELY(!service->has_priorities))
		return pick_level(e, choice);
	while (!picked && choice->from < service->count) {
		choice->to = choice->from + 1;
		while (choice->to < service->count &&
		       service->endpoints[choice->to].config->priority ==
			       service->endpoints[choice->from].config->priority)
			choice->to++;
		picked = pick_level(e, choice);
		choice->from = choice->to;
	}
	return picked;
}

HOT struct view_endpoint *balance_pick(struct exchange *e, struct view_service *service,
				       uint64_t tried)
{
	struct choice choice = {.service = service, .tried = tried};
	struct view_endpoint *picked;

	if (UNLIKELY(service->count == 0))
		return NULL;
	if (UNLIKELY(service->guard != NULL)) {
		choice.guard = service->guard;
		choice.now_ms = loop_now_ms();
		if (service->guard->config->panic_percent && is_panic(&choice))
			choice.guard = NULL;
	}
	if (service->count == 1)
		return !choice.guard || is_well(&choice.guard->endpoints[0], choice.now_ms)
			       ? &service->endpoints[0]
			       : NULL;
	picked = pick(e, &choice);
	if (picked || !tried)
		return picked;
	choice.tried = 0;
	return pick(e, &choice);
}
