#include "guard/overload.h"

#include "base/compiler.h"

static const char *const resource_names[] = {
	[OVERLOAD_MEMORY] = "memory", [OVERLOAD_DESCRIPTORS] = "descriptors",
	[OVERLOAD_LAG] = "lag",	      [OVERLOAD_CONNECTIONS] = "connections",
	[OVERLOAD_QUEUES] = "queues",
};

static const char *const action_names[] = {
	[OVERLOAD_FAIR_SHARE] = "fair_share",
	[OVERLOAD_NO_KEEP_ALIVE] = "no_keep_alive",
	[OVERLOAD_SHORT_TIMEOUTS] = "short_timeouts",
	[OVERLOAD_SHED_LOW] = "shed_low",
	[OVERLOAD_SHED_NORMAL] = "shed_normal",
	[OVERLOAD_REFUSE] = "refuse",
};

const char *overload_resource_name(enum overload_resource resource)
{
	return resource_names[resource];
}

const char *overload_action_name(enum overload_action action)
{
	return action_names[action];
}

uint32_t overload_percent(uint64_t used, uint64_t limit)
{
	__uint128_t percent = limit ? (__uint128_t)used * 100 / limit : 0;

	return percent > 1000 ? 1000 : (uint32_t)percent;
}

uint32_t overload_step(const struct config_overload *config, uint32_t actions,
		       const uint32_t pressure_percent[OVERLOAD_RESOURCES])
{
	const uint32_t begin[OVERLOAD_ACTIONS] = {
		[OVERLOAD_FAIR_SHARE] = config->fair_share_percent,
		[OVERLOAD_NO_KEEP_ALIVE] = config->no_keep_alive_percent,
		[OVERLOAD_SHORT_TIMEOUTS] = config->short_timeouts_percent,
		[OVERLOAD_SHED_LOW] = config->shed_low_percent,
		[OVERLOAD_SHED_NORMAL] = config->shed_normal_percent,
		[OVERLOAD_REFUSE] = config->refuse_percent,
	};
	uint32_t most = 0;

	for (unsigned i = 0; i < OVERLOAD_RESOURCES; i++)
		if (pressure_percent[i] > most)
			most = pressure_percent[i];
	for (unsigned i = 0; i < OVERLOAD_ACTIONS; i++) {
		if (begin[i] == 0)
			actions &= ~OVERLOAD_BIT(i);
		else if (most >= begin[i])
			actions |= OVERLOAD_BIT(i);
		else if (most + config->hysteresis_percent < begin[i])
			actions &= ~OVERLOAD_BIT(i);
	}
	return actions;
}

bool overload_cgroup_number(struct span text, uint64_t *number)
{
	uint64_t value;

	if (!span_to_u64(span_trim(text), &value) || value >= (uint64_t)1 << 60)
		return false;
	*number = value;
	return true;
}

uint64_t overload_cgroup_inactive(struct span stat)
{
	uint64_t inactive = 0, total = 0, value;

	while (stat.ptr) {
		struct span line = span_cut(&stat, '\n');
		struct span name = span_cut(&line, ' ');

		if (!line.ptr || !span_to_u64(span_trim(line), &value))
			continue;
		if (span_eq(name, SPAN("inactive_file")))
			inactive = value;
		else if (span_eq(name, SPAN("total_inactive_file")))
			total = value;
	}
	return total ? total : inactive;
}
