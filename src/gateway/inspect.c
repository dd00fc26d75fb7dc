#include "gateway/inspect.h"

#include "gateway/outside.h"

static bool is_used(const struct config *cfg, enum config_waf_mode mode)
{
	for (size_t i = 0; i < cfg->routes.count; i++)
		if (cfg->routes.at[i].waf == mode)
			return true;
	return false;
}

static struct waf_rules *load_rules(const struct snapshot *snapshot, struct err *err)
{
	const struct config_waf *config = snapshot->config->waf;
	struct waf_sources sources = {
		.paths = config->rules.at,
		.path_count = config->rules.count,
		.texts = snapshot->patches.texts,
		.text_count = snapshot->patches.text_count,
		.paranoia = config->paranoia,
		.programs = config->programs.allow.at,
		.program_count = config->programs.allow.count,
		.cache_folder = config->cache.len ? config->cache.ptr : NULL,
	};

	return waf_rules_load(&sources, err);
}

int inspect_load(struct snapshot *snapshot, const struct snapshot *previous, struct err *err)
{
	const struct config *cfg = snapshot->config;

	if (!cfg->waf ||
	    (!is_used(cfg, CONFIG_WAF_MODE_BLOCK) && !is_used(cfg, CONFIG_WAF_MODE_OBSERVE)))
		return 0;
	if (patches_load(&snapshot->patches, cfg, previous ? &previous->patches : NULL, err) <
	    0)
		return -1;
	patches_tell(&snapshot->patches);
	snapshot->waf_rules = load_rules(snapshot, err);
	return snapshot->waf_rules ? patch_sets_build(snapshot, err) : -1;
}

void inspect_release(struct snapshot *snapshot)
{
	patch_sets_release(snapshot);
	waf_rules_unref(snapshot->waf_rules);
	/* Rules point into the texts that they were read from. */
	patches_release(&snapshot->patches);
}

void inspect_release_worker(struct worker *worker)
{
	if (worker->waf)
		waf_worker_free(worker->waf);
	worker->waf = NULL;
	outside_free(worker->outside);
	worker->outside = NULL;
}
