#include "gateway/inspect.h"

#include "base/mem.h"
#include "waf/waf.h"

static bool is_used(const struct config *cfg, enum config_waf_mode mode)
{
	for (size_t i = 0; i < cfg->routes.count; i++)
		if (cfg->routes.at[i].waf == mode)
			return true;
	return false;
}

static struct waf_rules *load_rules(const struct config_waf *config, struct err *err)
{
	struct waf_sources sources = {
		.paths = config->rules.at,
		.path_count = config->rules.count,
		.paranoia = config->paranoia,
		.cache_folder = config->cache.len ? config->cache.ptr : NULL,
	};

	return waf_rules_load(&sources, err);
}

static int make_policy(struct waf_rules *rules, const struct config *cfg, enum waf_mode mode,
		       struct waf_policy **policy, struct err *err)
{
	const struct config_waf *config = cfg->waf;
	struct waf_exclusion *exclusions =
		mem_zalloc(config->exclusions.count + 1, sizeof(*exclusions));
	struct waf_settings settings = {
		.mode = mode,
		.inbound_threshold = config->inbound_threshold,
		.outbound_threshold = config->outbound_threshold,
		.exclusions = exclusions,
		.exclusion_count = config->exclusions.count,
		.limits = {.request_body_bytes = cfg->limits.body_buffer_bytes},
	};

	if (!exclusions)
		return err_set(err, ERR_MEMORY, "no memory for the firewall's policy");
	for (size_t i = 0; i < config->exclusions.count; i++) {
		const struct config_waf_exclusion *from = &config->exclusions.at[i];

		exclusions[i] = (struct waf_exclusion){.rule_first = from->rule,
						       .rule_last = from->to,
						       .tag = from->tag,
						       .target = from->target,
						       .path = from->path};
	}
	*policy = waf_policy_new(rules, &settings, err);
	mem_free(exclusions);
	return *policy ? 0 : -1;
}

int inspect_load(struct snapshot *snapshot, struct err *err)
{
	const struct config *cfg = snapshot->config;
	bool block = is_used(cfg, CONFIG_WAF_MODE_BLOCK);
	bool observe = is_used(cfg, CONFIG_WAF_MODE_OBSERVE);

	if (!cfg->waf || (!block && !observe))
		return 0;
	snapshot->waf_rules = load_rules(cfg->waf, err);
	if (!snapshot->waf_rules)
		return -1;
	if (block &&
	    make_policy(snapshot->waf_rules, cfg, WAF_BLOCK, &snapshot->waf_block, err) < 0)
		return -1;
	if (observe &&
	    make_policy(snapshot->waf_rules, cfg, WAF_OBSERVE, &snapshot->waf_observe, err) < 0)
		return -1;
	return 0;
}

void inspect_release(struct snapshot *snapshot)
{
	if (snapshot->waf_block)
		waf_policy_unref(snapshot->waf_block);
	if (snapshot->waf_observe)
		waf_policy_unref(snapshot->waf_observe);
	if (snapshot->waf_rules)
		waf_rules_unref(snapshot->waf_rules);
}

void inspect_release_worker(struct worker *worker)
{
	if (worker->waf)
		waf_worker_free(worker->waf);
	worker->waf = NULL;
}
