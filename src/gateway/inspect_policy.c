#include "gateway/inspect_policy.h"

#include "base/mem.h"

static void fill_settings(const struct config *cfg, struct waf_exclusion *exclusions,
			  struct waf_settings *settings)
{
	const struct config_waf *config = cfg->waf;

	for (size_t i = 0; i < config->exclusions.count; i++) {
		const struct config_waf_exclusion *from = &config->exclusions.at[i];

		exclusions[i] = (struct waf_exclusion){.rule_first = from->rule,
						       .rule_last = from->to,
						       .tag = from->tag,
						       .target = from->target,
						       .path = from->path};
	}
	settings->exclusions = exclusions;
	settings->exclusion_count = config->exclusions.count;
	settings->inbound_threshold = config->inbound_threshold;
	settings->outbound_threshold = config->outbound_threshold;
	settings->no_responses = !config->response.inspect;
	settings->large_responses = (enum waf_large)config->response.large;
	settings->response_types = config->response.types.at;
	settings->response_type_count = config->response.types.count;
	settings->limits.request_body_bytes = cfg->limits.body_buffer_bytes;
	settings->limits.pattern_time_ms = (uint32_t)config->pattern_time_ms;
	settings->limits.response_body_bytes = config->response.limit_bytes;
}

struct waf_policy *inspect_policy_new(struct waf_rules *rules, const struct config *cfg,
				      enum waf_mode mode, const struct span *without,
				      size_t without_count, struct err *err)
{
	size_t count = cfg && cfg->waf ? cfg->waf->exclusions.count : 0;
	struct waf_exclusion *exclusions =
		mem_zalloc(count + without_count + 1, sizeof(*exclusions));
	struct waf_settings settings = {.mode = mode, .exclusions = exclusions};
	struct waf_policy *policy;

	if (!exclusions) {
		err_set(err, ERR_MEMORY, "no memory for the firewall's policy");
		return NULL;
	}
	if (cfg && cfg->waf)
		fill_settings(cfg, exclusions, &settings);
	for (size_t i = 0; i < without_count; i++)
		exclusions[settings.exclusion_count++].source = without[i];
	policy = waf_policy_new(rules, &settings, err);
	mem_free(exclusions);
	return policy;
}
