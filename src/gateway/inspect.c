#include "gateway/inspect.h"

#include "gateway/inspect_policy.h"

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
	if (block && !(snapshot->waf_block =
			       inspect_policy_new(snapshot->waf_rules, cfg, WAF_BLOCK, err)))
		return -1;
	if (observe && !(snapshot->waf_observe = inspect_policy_new(snapshot->waf_rules, cfg,
								    WAF_OBSERVE, err)))
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
