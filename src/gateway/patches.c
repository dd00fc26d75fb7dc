#include "gateway/patches.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/contract_plan.h"
#include "gateway/exchange.h"
#include "gateway/inspect_policy.h"
#include "parse/json_write.h"
#include "parse/prometheus.h"
#include "waf/patch.h"

#define RULES_MAX ((size_t)1 << 20)
/* Ids of rules that templates write: a block for each patch, above those that others use. */
#define FIRST_ID 4200000000U
#define IDS_EACH 100

#define DAY_MS ((int64_t)24 * 3600 * 1000)
#define WARN_DAYS 7

static int no_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "no memory for patches");
}

/* ---- loading --------------------------------------------------------------------------------- */

bool patch_is_expired(const struct config_patch *config, int64_t now_unix_ms)
{
	return config->expires_unix_ms && now_unix_ms >= config->expires_unix_ms;
}

static struct patch_stats *stats_of(const struct config_patch *config,
				    const struct patches *previous)
{
	struct patch_stats *stats;

	for (size_t i = 0; previous && i < previous->count; i++) {
		if (!span_eq(previous->at[i].config->name, config->name))
			continue;
		stats = previous->at[i].stats;
		atomic_fetch_add_explicit(&stats->references, 1, memory_order_relaxed);
		return stats;
	}
	stats = mem_zalloc(1, sizeof(*stats));
	if (stats)
		atomic_init(&stats->references, 1);
	return stats;
}

static void stats_unref(struct patch_stats *stats)
{
	if (stats &&
	    atomic_fetch_sub_explicit(&stats->references, 1, memory_order_acq_rel) == 1)
		mem_free(stats);
}

/* What the rules are called that are not in a file of their own. */
static int name_source(struct patch *patch, struct err *err)
{
	struct span given = patch->config->name;
	char *name = mem_alloc(given.len + 7);

	if (!name)
		return no_memory(err);
	memcpy(name, "patch:", 6);
	memcpy(name + 6, given.ptr, given.len);
	name[given.len + 6] = '\0';
	patch->source = span_of(name, given.len + 6);
	return 0;
}

static int write_template(struct patch *patch, size_t index, struct err *err)
{
	const struct waf_patch_template *template =
		waf_patch_template_find(patch->config->template);

	if (!template)
		return err_set(err, ERR_NOT_FOUND,
			       "there is no template '%.*s' (sallyport patch list "
			       "--templates); give 'rules' or 'text'",
			       SPAN_ARG(patch->config->template));
	(void)waf_patch_template_write(template, FIRST_ID + (uint32_t)index * IDS_EACH,
				       &patch->text);
	return buf_failed(&patch->text) ? no_memory(err) : 0;
}

static int load_patch(struct patch *patch, size_t index, struct err *err)
{
	const struct config_patch *config = patch->config;

	if (config->rules.len) {
		patch->source = config->rules;
		return config_source_system.read_file(NULL, config->rules.ptr, RULES_MAX,
						      &patch->text, err);
	}
	if (name_source(patch, err) < 0)
		return -1;
	if (!config->text.len)
		return write_template(patch, index, err);
	return buf_append(&patch->text, config->text) == 0 ? 0 : no_memory(err);
}

static void tell(const struct patch *patch, int64_t now_unix_ms)
{
	const struct config_patch *config = patch->config;

	if (patch->expired) {
		if (!atomic_exchange(&patch->stats->expiry_told, true))
			log_message(LOG_WARN, "patch.expired",
				    "%.*s: it is off since the end of %.*s",
				    SPAN_ARG(config->name), SPAN_ARG(config->expires));
	} else if (config->expires_unix_ms &&
		   config->expires_unix_ms - now_unix_ms < WARN_DAYS * DAY_MS) {
		log_message(LOG_WARN, "patch.expires", "%.*s: its last day is %.*s",
			    SPAN_ARG(config->name), SPAN_ARG(config->expires));
	}
}

int patches_load(struct patches *patches, const struct config *cfg,
		 const struct patches *previous, struct err *err)
{
	int64_t now_unix_ms = clock_unix_ms();

	*patches = (struct patches){.at = NULL};
	if (cfg->patches.count == 0)
		return 0;
	patches->at = mem_zalloc(cfg->patches.count, sizeof(*patches->at));
	patches->texts = mem_zalloc(cfg->patches.count, sizeof(*patches->texts));
	if (!patches->at || !patches->texts)
		return no_memory(err);
	for (size_t i = 0; i < cfg->patches.count; i++) {
		struct patch *patch = &patches->at[patches->count++];

		patch->config = &cfg->patches.at[i];
		buf_init(&patch->text, RULES_MAX);
		patch->stats = stats_of(patch->config, previous);
		if (!patch->stats)
			return no_memory(err);
		patch->expired = patch_is_expired(patch->config, now_unix_ms);
		if (load_patch(patch, i, err) < 0)
			return err_wrap(err, "%s:%u: patch %.*s", patch->config->where.file,
					patch->config->where.line,
					SPAN_ARG(patch->config->name));
		if (!patch->expired)
			patches->texts[patches->text_count++] = (struct waf_text){
				.name = patch->source,
				.text = buf_span(&patch->text),
				.first = true,
				.observe = patch->config->mode == CONFIG_WAF_MODE_OBSERVE};
	}
	return 0;
}

void patches_tell(const struct patches *patches)
{
	int64_t now_unix_ms = clock_unix_ms();

	for (size_t i = 0; i < patches->count; i++)
		tell(&patches->at[i], now_unix_ms);
}

void patches_release(struct patches *patches)
{
	for (size_t i = 0; i < patches->count; i++) {
		struct patch *patch = &patches->at[i];

		if (patch->source.ptr && !patch->config->rules.len)
			mem_free((char *)(uintptr_t)patch->source.ptr);
		buf_release(&patch->text);
		stats_unref(patch->stats);
	}
	mem_free(patches->at);
	mem_free(patches->texts);
	*patches = (struct patches){.at = NULL};
}

/* ---- routes ---------------------------------------------------------------------------------- */

static bool names(const struct config_strings *list, struct span name)
{
	for (size_t i = 0; i < list->count; i++)
		if (span_eq(list->at[i], name))
			return true;
	return false;
}

/* Operations of a contract are known only with the request. */
static bool concerns(const struct patch *patch, const struct config_route *route)
{
	const struct config_patch *config = patch->config;

	if (patch->expired)
		return false;
	if (config->services.count &&
	    (!route->service || !names(&config->services, route->service->name)))
		return false;
	return config->operations.count == 0 || names(&config->operations, route->operation) ||
	       (route->service && route->service->contract);
}

static bool is_set_of(const struct patch_set *set, const struct snapshot *snapshot,
		      const struct config_route *route)
{
	if (set->mode != route->waf)
		return false;
	for (size_t i = 0; i < snapshot->patches.count; i++)
		if (set->has[i] != concerns(&snapshot->patches.at[i], route))
			return false;
	return true;
}

static int fill_set(struct patch_set *set, struct snapshot *snapshot,
		    const struct config_route *route, struct err *err)
{
	const struct patches *patches = &snapshot->patches;
	struct span *others = mem_zalloc(patches->count + 1, sizeof(*others));
	size_t other_count = 0;

	set->mode = route->waf;
	set->has = mem_zalloc(patches->count + 1, sizeof(*set->has));
	set->at = mem_zalloc(patches->count + 1, sizeof(const struct patch *));
	if (!others || !set->has || !set->at) {
		mem_free(others);
		return no_memory(err);
	}
	for (size_t i = 0; i < patches->count; i++) {
		set->has[i] = concerns(&patches->at[i], route);
		if (set->has[i])
			set->at[set->count++] = &patches->at[i];
		else if (!patches->at[i].expired)
			others[other_count++] = patches->at[i].source;
	}
	set->policy =
		inspect_policy_new(snapshot->waf_rules, snapshot->config,
				   set->mode == CONFIG_WAF_MODE_BLOCK ? WAF_BLOCK : WAF_OBSERVE,
				   others, other_count, err);
	mem_free(others);
	return set->policy ? 0 : -1;
}

static struct patch_set *set_for(struct snapshot *snapshot, const struct config_route *route,
				 struct err *err)
{
	struct patch_set **grown;
	struct patch_set *set;

	for (size_t i = 0; i < snapshot->patch_set_count; i++)
		if (is_set_of(snapshot->patch_sets[i], snapshot, route))
			return snapshot->patch_sets[i];
	grown = mem_realloc(snapshot->patch_sets,
			    (snapshot->patch_set_count + 1) * sizeof(struct patch_set *));
	if (!grown) {
		(void)no_memory(err);
		return NULL;
	}
	snapshot->patch_sets = grown;
	set = mem_zalloc(1, sizeof(*set));
	if (!set) {
		(void)no_memory(err);
		return NULL;
	}
	snapshot->patch_sets[snapshot->patch_set_count++] = set;
	return fill_set(set, snapshot, route, err) == 0 ? set : NULL;
}

int patch_sets_build(struct snapshot *snapshot, struct err *err)
{
	for (size_t i = 0; i < snapshot->config->routes.count; i++) {
		struct snapshot_route *route = &snapshot->routes[i];

		if (route->config->waf == CONFIG_WAF_MODE_OFF)
			continue;
		route->waf = set_for(snapshot, route->config, err);
		if (!route->waf)
			return -1;
	}
	return 0;
}

void patch_sets_release(struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->patch_set_count; i++) {
		struct patch_set *set = snapshot->patch_sets[i];

		waf_policy_unref(set->policy);
		mem_free(set->has);
		mem_free(set->at);
		mem_free(set);
	}
	mem_free(snapshot->patch_sets);
	snapshot->patch_sets = NULL;
	snapshot->patch_set_count = 0;
}

/* ---- exchanges ------------------------------------------------------------------------------- */

static bool is_in_force(const struct patch *patch, const struct exchange *e)
{
	const struct config_strings *operations = &patch->config->operations;

	if (patch->config->expires_unix_ms &&
	    patch_is_expired(patch->config, loop_unix_s() * 1000)) {
		if (!atomic_exchange(&patch->stats->expiry_told, true))
			log_message(LOG_WARN, "patch.expired", "%.*s: it is off from now on",
				    SPAN_ARG(patch->config->name));
		return false;
	}
	return operations->count == 0 || names(operations, e->route->config->operation) ||
	       (e->operation && names(operations, e->operation->contract->id));
}

void patch_set_prepare(const struct patch_set *set, const struct exchange *e,
		       struct waf_transaction *t)
{
	for (size_t i = 0; i < set->count; i++)
		if (!is_in_force(set->at[i], e))
			waf_remove_source(t, set->at[i]->source);
}

const struct patch *patch_set_find(const struct patch_set *set, struct span source)
{
	for (size_t i = 0; i < set->count; i++)
		if (span_eq(set->at[i]->source, source))
			return set->at[i];
	return NULL;
}

static bool has_matched(struct waf_transaction *t, const struct patch *patch)
{
	const struct waf_match *match;

	for (size_t i = 0; (match = waf_match_at(t, i)); i++)
		if (span_eq(match->file, patch->source))
			return true;
	return false;
}

void patch_set_note(const struct patch_set *set, struct waf_transaction *t, bool blocked)
{
	for (size_t i = 0; i < set->count; i++) {
		struct patch_stats *stats = set->at[i]->stats;

		if (!has_matched(t, set->at[i]))
			continue;
		atomic_fetch_add_explicit(blocked ? &stats->blocked : &stats->observed, 1,
					  memory_order_relaxed);
		atomic_store_explicit(&stats->last_unix_s, loop_unix_s(), memory_order_relaxed);
	}
}

/* ---- the admin listener ---------------------------------------------------------------------- */

static void put_strings(struct json_writer *w, struct span key,
			const struct config_strings *list)
{
	json_key(w, key);
	json_begin_array(w);
	for (size_t i = 0; i < list->count; i++)
		json_put_string(w, list->at[i]);
	json_end_array(w);
}

static void put_patch(struct json_writer *w, const struct patch *patch)
{
	const struct config_patch *config = patch->config;
	int64_t last_unix_s = atomic_load(&patch->stats->last_unix_s);
	char time[CLOCK_RFC3339_SIZE];

	json_begin_object(w);
	json_member_string(w, SPAN("name"), config->name);
	put_strings(w, SPAN("vulnerabilities"), &config->vulnerabilities);
	put_strings(w, SPAN("services"), &config->services);
	put_strings(w, SPAN("operations"), &config->operations);
	json_member_string(w, SPAN("rules"), patch->source);
	json_member_string(w, SPAN("mode"),
			   config->mode == CONFIG_WAF_MODE_BLOCK ? SPAN("block")
								 : SPAN("observe"));
	if (config->expires.len)
		json_member_string(w, SPAN("expires"), config->expires);
	json_member_bool(w, SPAN("expired"), patch_is_expired(config, clock_unix_ms()));
	json_member_int(w, SPAN("blocked"), (int64_t)atomic_load(&patch->stats->blocked));
	json_member_int(w, SPAN("observed"), (int64_t)atomic_load(&patch->stats->observed));
	if (last_unix_s) {
		clock_rfc3339(time, last_unix_s * 1000);
		json_member_string(w, SPAN("last"), span_cstr(time));
	}
	json_end_object(w);
}

void patches_print(const struct snapshot *snapshot, struct buf *to)
{
	struct json_writer w;

	json_writer_init(&w, to);
	json_begin_object(&w);
	json_key(&w, SPAN("patches"));
	json_begin_array(&w);
	for (size_t i = 0; i < snapshot->patches.count; i++)
		put_patch(&w, &snapshot->patches.at[i]);
	json_end_array(&w);
	json_end_object(&w);
	buf_append_byte(to, '\n');
}

void patches_metrics(const struct snapshot *snapshot, struct buf *to)
{
	const struct patches *patches = &snapshot->patches;

	if (patches->count == 0)
		return;
	prometheus_head(to, "sallyport_patch_hits_total", "counter",
			"Requests that a virtual patch has matched.");
	for (size_t i = 0; i < patches->count; i++) {
		struct span name = patches->at[i].config->name;
		const struct patch_stats *stats = patches->at[i].stats;

		buf_printf(
			to,
			"sallyport_patch_hits_total{patch=\"%.*s\",action=\"blocked\"} %llu\n"
			"sallyport_patch_hits_total{patch=\"%.*s\",action=\"observed\"} "
			"%llu\n",
			SPAN_ARG(name), (unsigned long long)atomic_load(&stats->blocked),
			SPAN_ARG(name), (unsigned long long)atomic_load(&stats->observed));
	}
	prometheus_head(to, "sallyport_patch_expired", "gauge",
			"Whether a virtual patch is past its last day, and off.");
	for (size_t i = 0; i < patches->count; i++)
		buf_printf(to, "sallyport_patch_expired{patch=\"%.*s\"} %d\n",
			   SPAN_ARG(patches->at[i].config->name),
			   patch_is_expired(patches->at[i].config, clock_unix_ms()));
}
