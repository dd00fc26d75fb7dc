#include "base/hash.h"
#include "gateway/fields.h"
#include "gateway/forward.h"

static bool was_tried(uint64_t tried, size_t index)
{
	return index < 64 && tried & (uint64_t)1 << index;
}

/* Smooth weighted round robin: spreads a heavy endpoint's turns instead of bunching them. */
static struct view_endpoint *pick_round_robin(struct view_service *service, uint64_t tried)
{
	struct view_endpoint *best = NULL;
	int32_t total = 0;

	for (size_t i = 0; i < service->count; i++) {
		struct view_endpoint *candidate = &service->endpoints[i];

		if (was_tried(tried, i))
			continue;
		candidate->current_weight += (int32_t)candidate->config->weight;
		total += (int32_t)candidate->config->weight;
		if (!best || candidate->current_weight > best->current_weight)
			best = candidate;
	}
	if (best)
		best->current_weight -= total;
	return best;
}

static struct view_endpoint *pick_least_requests(struct view_service *service, uint64_t tried)
{
	struct view_endpoint *best = NULL;
	size_t start = service->rotation++ % service->count;

	for (size_t i = 0; i < service->count; i++) {
		size_t index = (start + i) % service->count;
		struct view_endpoint *candidate = &service->endpoints[index];

		if (was_tried(tried, index))
			continue;
		if (!best ||
		    (uint64_t)candidate->endpoint->active * best->config->weight <
			    (uint64_t)best->endpoint->active * candidate->config->weight)
			best = candidate;
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
static struct view_endpoint *pick_consistent(struct exchange *e, struct view_service *service,
					     uint64_t tried)
{
	uint64_t key = affinity_key(e, service->snapshot->config);
	struct view_endpoint *best = NULL;
	double best_score = 0;

	for (size_t i = 0; i < service->count; i++) {
		struct view_endpoint *candidate = &service->endpoints[i];
		uint64_t mixed;
		double score;

		if (was_tried(tried, i))
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

struct view_endpoint *balance_pick(struct exchange *e, struct view_service *service,
				   uint64_t tried)
{
	struct view_endpoint *picked = NULL;

	if (service->count == 1)
		return &service->endpoints[0];
	switch (service->snapshot->config->balance) {
	case CONFIG_BALANCE_ROUND_ROBIN: picked = pick_round_robin(service, tried); break;
	case CONFIG_BALANCE_LEAST_REQUESTS: picked = pick_least_requests(service, tried); break;
	case CONFIG_BALANCE_CONSISTENT_HASH: picked = pick_consistent(e, service, tried); break;
	}
	return picked ? picked : balance_pick(e, service, 0);
}
