#include "gateway/contract_plan.h"

#include "base/hash.h"
#include "base/mem.h"
#include "guard/approval.h"
#include "parse/json_write.h"

#define EXPIRES_MS_DEFAULT ((uint64_t)600000)
/* As in the configuration. */
#define PENDING_DEFAULT 20

static int bad_extension(const struct contract_operation *operation, const char *what,
			 struct err *err)
{
	return err_set(err, ERR_INVALID, "%.*s:%u: operation %.*s: %s",
		       SPAN_ARG(operation->place.file), operation->place.line,
		       SPAN_ARG(operation->id), what);
}

/* They go into a challenge, in quotes and with spaces between. */
static bool are_classes(const struct span *classes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (classes[i].len == 0)
			return false;
		for (size_t k = 0; k < classes[i].len; k++) {
			char c = classes[i].ptr[k];

			if (c <= ' ' || c > '~' || c == '"' || c == '\\')
				return false;
		}
	}
	return true;
}

static int check_approvals(const struct snapshot_operation *plan, const struct config *cfg,
			   struct err *err)
{
	if (plan->contract->extensions.approvals > APPROVAL_VOTES_MAX)
		return bad_extension(plan->contract,
				     "x-sallyport-sensitive: at most 16 'approvals'", err);
	if (cfg->store.url.len == 0)
		return bad_extension(plan->contract,
				     "approvals are kept in a 'store': name one", err);
	return 0;
}

/* The configuration goes before the document. */
static int plan_sensitive(struct snapshot_operation *plan, const struct config *cfg,
			  struct err *err)
{
	const struct contract_extensions *extensions = &plan->contract->extensions;

	plan->sensitive = config_sensitive_find(cfg, plan->contract->id);
	if (plan->sensitive || !extensions->sensitive)
		return 0;
	if (!extensions->approved_by.len && !extensions->acr_count && !extensions->max_age_ms)
		return bad_extension(
			plan->contract,
			"x-sallyport-sensitive needs a role in 'by' (approvals), 'acr' "
			"or 'max_age' (step-up)",
			err);
	if (!are_classes(extensions->acr, extensions->acr_count))
		return bad_extension(plan->contract,
				     "x-sallyport-sensitive: 'acr' holds what is no class",
				     err);
	if (extensions->approved_by.len && check_approvals(plan, cfg, err) < 0)
		return -1;
	plan->own_sensitive = (struct config_sensitive){
		.operation = plan->contract->id,
		.approvals = (uint32_t)extensions->approvals,
		.by = extensions->approved_by,
		.acr = {(struct span *)(uintptr_t)extensions->acr, extensions->acr_count},
		.max_age_ms = extensions->max_age_ms,
		.pending = PENDING_DEFAULT,
		.expires_ms = extensions->approval_expires_ms ? extensions->approval_expires_ms
							      : EXPIRES_MS_DEFAULT,
	};
	plan->sensitive = &plan->own_sensitive;
	return 0;
}

static bool limit_per(struct span word, enum config_limit_per *per)
{
	static const struct {
		const char *word;
		enum config_limit_per per;
	} words[] = {
		{"", CONFIG_LIMIT_PER_USER},	       {"user", CONFIG_LIMIT_PER_USER},
		{"client", CONFIG_LIMIT_PER_CLIENT},   {"address", CONFIG_LIMIT_PER_ADDRESS},
		{"key", CONFIG_LIMIT_PER_KEY},	       {"route", CONFIG_LIMIT_PER_ROUTE},
		{"service", CONFIG_LIMIT_PER_SERVICE},
	};

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		if (!span_eq(word, span_cstr(words[i].word)))
			continue;
		*per = words[i].per;
		return true;
	}
	return false;
}

static int plan_limit(struct snapshot_operation *plan, struct span service, struct err *err)
{
	const struct contract_extensions *extensions = &plan->contract->extensions;
	uint64_t burst =
		extensions->limit_burst ? extensions->limit_burst : extensions->limit_count;
	uint64_t seed = hash_mix(hash_span(service), hash_span(plan->contract->id));

	if (!extensions->limit_count)
		return 0;
	if (!limit_per(extensions->limit_per, &plan->limit.per))
		return bad_extension(plan->contract,
				     "x-sallyport-limit: per is user, client, address, key, "
				     "route or service",
				     err);
	plan->limited = true;
	plan->limit.rate =
		limiter_rate_of(extensions->limit_count, extensions->limit_per_ms, burst);
	seed = hash_mix(seed, (uint64_t)plan->limit.per + 101);
	seed = hash_mix(seed, extensions->limit_count);
	plan->limit.seed = hash_mix(seed, hash_mix(extensions->limit_per_ms, burst));
	return 0;
}

static struct contract_stats *stats_new(void)
{
	struct contract_stats *stats = mem_zalloc(1, sizeof(*stats));

	if (stats)
		pthread_mutex_init(&stats->lock, NULL);
	return stats;
}

static void stats_free(struct contract_stats *stats)
{
	if (!stats)
		return;
	pthread_mutex_destroy(&stats->lock);
	mem_free(stats->last_request);
	mem_free(stats->last_response);
	mem_free(stats);
}

static int plan_operations(struct snapshot_service *service, const struct config *cfg,
			   struct err *err)
{
	size_t count = contract_operation_count(service->contract);

	service->operations = mem_zalloc(count ? count : 1, sizeof(*service->operations));
	if (!service->operations)
		return err_set(err, ERR_MEMORY, "no memory for a contract");
	for (size_t i = 0; i < count; i++) {
		struct snapshot_operation *plan = &service->operations[i];

		plan->contract = contract_operation_at(service->contract, i);
		plan->stats = stats_new();
		if (!plan->stats)
			return err_set(err, ERR_MEMORY, "no memory for a contract");
		if (plan_sensitive(plan, cfg, err) < 0 ||
		    plan_limit(plan, service->config->name, err) < 0)
			return -1;
	}
	return 0;
}

int contract_plan_load(struct snapshot_service *service, const struct config *cfg,
		       struct err *err)
{
	const struct config_contract *config = service->config->contract;
	struct contract_options options = {.head_as_get = true};
	struct document_limits documents;

	if (!config || config->mode == CONFIG_CHECK_OFF)
		return 0;
	options.assert_formats = config->formats;
	contract_options_memory(&options, &documents, config->memory_bytes);
	if (config->base_path.len)
		options.base_path =
			span_eq(config->base_path, SPAN("/")) ? SPAN("") : config->base_path;
	service->contract = contract_load(config->file.ptr, &options, err);
	return service->contract ? plan_operations(service, cfg, err) : -1;
}

void contract_plan_release(struct snapshot_service *service)
{
	size_t count = service->contract ? contract_operation_count(service->contract) : 0;

	for (size_t i = 0; service->operations && i < count; i++)
		stats_free(service->operations[i].stats);
	mem_free(service->operations);
	contract_unref(service->contract);
}

static bool is_operation(const struct snapshot *snapshot, struct span name)
{
	const struct config *cfg = snapshot->config;

	for (size_t i = 0; i < cfg->routes.count; i++)
		if (span_eq(cfg->routes.at[i].operation, name))
			return true;
	for (size_t i = 0; i < cfg->services.count; i++)
		if (snapshot->services[i].contract &&
		    contract_operation_find(snapshot->services[i].contract, name))
			return true;
	return false;
}

int contract_plan_check_sensitive(const struct snapshot *snapshot, struct err *err)
{
	const struct config *cfg = snapshot->config;

	for (size_t i = 0; i < cfg->sensitive.count; i++) {
		const struct config_sensitive *sensitive = &cfg->sensitive.at[i];

		if (!is_operation(snapshot, sensitive->operation))
			return err_set(
				err, ERR_INVALID,
				"%s:%u: sensitive: neither a route nor a contract has the "
				"operation '%.*s'",
				sensitive->where.file, sensitive->where.line,
				SPAN_ARG(sensitive->operation));
	}
	return 0;
}

bool contract_plan_needs_approvals(const struct snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->config->services.count; i++) {
		const struct snapshot_service *service = &snapshot->services[i];
		size_t count =
			service->contract ? contract_operation_count(service->contract) : 0;

		for (size_t j = 0; j < count; j++)
			if (service->operations[j].sensitive &&
			    service->operations[j].sensitive->by.len)
				return true;
	}
	return false;
}

/* ---- the report ------------------------------------------------------------------------------ */

static void put_count(struct json_writer *w, const char *name, _Atomic uint64_t *count)
{
	json_key(w, span_cstr(name));
	json_put_uint(w, atomic_load_explicit(count, memory_order_relaxed));
}

static void put_last(struct json_writer *w, const char *name, const char *problems)
{
	if (!problems)
		return;
	json_key(w, span_cstr(name));
	json_put_raw(w, span_cstr(problems));
}

static void report_operation(struct json_writer *w, const struct snapshot_operation *operation)
{
	struct contract_stats *stats = operation->stats;

	json_begin_object(w);
	json_member_string(w, SPAN("operation"), operation->contract->id);
	json_member_string(w, SPAN("method"), operation->contract->method);
	json_member_string(w, SPAN("path"), operation->contract->path);
	put_count(w, "requests", &stats->requests);
	put_count(w, "bad_requests", &stats->bad_requests);
	put_count(w, "responses", &stats->responses);
	put_count(w, "bad_responses", &stats->bad_responses);
	pthread_mutex_lock(&stats->lock);
	put_last(w, "last_bad_request", stats->last_request);
	put_last(w, "last_bad_response", stats->last_response);
	pthread_mutex_unlock(&stats->lock);
	json_end_object(w);
}

void contract_plan_report(const struct snapshot *snapshot, struct buf *to)
{
	static const char *const modes[] = {"off", "observe", "enforce"};
	struct json_writer w;

	json_writer_init(&w, to);
	json_begin_object(&w);
	json_key(&w, SPAN("services"));
	json_begin_array(&w);
	for (size_t i = 0; i < snapshot->config->services.count; i++) {
		const struct snapshot_service *service = &snapshot->services[i];

		if (!service->contract)
			continue;
		json_begin_object(&w);
		json_member_string(&w, SPAN("service"), service->config->name);
		json_member_string(&w, SPAN("requests"),
				   span_cstr(modes[service->config->contract->mode]));
		json_member_string(&w, SPAN("responses"),
				   span_cstr(modes[service->config->contract->responses]));
		json_key(&w, SPAN("operations"));
		json_begin_array(&w);
		for (size_t j = 0; j < contract_operation_count(service->contract); j++)
			report_operation(&w, &service->operations[j]);
		json_end_array(&w);
		json_end_object(&w);
	}
	json_end_array(&w);
	json_end_object(&w);
	buf_append_byte(to, '\n');
}
