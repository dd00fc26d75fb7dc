#include "gateway/discovery.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "gateway/discovery_internal.h"
#include "parse/json_write.h"
#include "parse/prometheus.h"

/* Changes that come together are told together. */
#define GATHER_MS 100
/* What could not be told is told again. */
#define AGAIN_MS 1000
#define BACKOFF_FIRST_MS 250
#define BACKOFF_MAX_MS 30000
/* More failures do not make the wait longer. */
#define BACKOFF_STEPS 8

struct discovery {
	struct discovery_options options;
	struct snapshot *snapshot;
	struct finder *finders;
	size_t count;
	size_t running;
	struct timer timer;
	int64_t settle_until_ms;
	bool stopped;
};

static void release(struct discovery *discovery)
{
	if (!discovery->stopped || discovery->running)
		return;
	for (size_t i = 0; discovery->finders && i < discovery->count; i++) {
		endpoint_list_unref(discovery->finders[i].found);
		dns_free(discovery->finders[i].own_dns);
	}
	timer_clear(&discovery->timer);
	snapshot_unref(discovery->snapshot);
	mem_free(discovery->finders);
	mem_free(discovery);
}

/* --- what finders say --- */

static void log_found(const struct finder *finder)
{
	size_t left_out = endpoint_list_left_out(finder->found);

	log_message(finder->found->count ? LOG_INFO : LOG_WARN, "discovery.found",
		    "service %.*s: %zu endpoints", SPAN_ARG(finder->service->name),
		    finder->found->count);
	if (left_out)
		log_message(LOG_WARN, "discovery.left_out",
			    "service %.*s: %zu endpoints more than discover.endpoints",
			    SPAN_ARG(finder->service->name), left_out);
}

void finder_publish(struct finder *finder, struct endpoint_list *list)
{
	struct discovery *discovery = finder->discovery;

	endpoint_list_seal(list);
	if (finder->found && endpoint_list_same(finder->found, list)) {
		endpoint_list_unref(list);
		return;
	}
	endpoint_list_unref(finder->found);
	finder->found = list;
	finder->changed = true;
	finder->changes++;
	log_found(finder);
	if (!discovery->timer.armed && !discovery->stopped)
		timer_set(&discovery->timer, loop_deadline_ms(GATHER_MS));
}

void finder_answered(struct finder *finder)
{
	if (finder->failed_in_row)
		log_message(LOG_INFO, "discovery.answers", "service %.*s: answers come again",
			    SPAN_ARG(finder->service->name));
	finder->answers++;
	finder->failed_in_row = 0;
	finder->problem[0] = '\0';
}

void finder_failed(struct finder *finder, const struct err *err)
{
	finder->failures++;
	/* Once for each trouble, not once for each try. */
	if (finder->failed_in_row == 0 ||
	    strncmp(finder->problem, err->message, sizeof(finder->problem) - 1) != 0)
		log_message(LOG_WARN, "discovery.failed",
			    "service %.*s: %s; it has %zu endpoints from before",
			    SPAN_ARG(finder->service->name), err->message,
			    finder->found ? finder->found->count : 0);
	snprintf(finder->problem, sizeof(finder->problem), "%.159s", err->message);
	if (finder->failed_in_row < UINT32_MAX)
		finder->failed_in_row++;
}

enum fiber_wake finder_back_off(const struct finder *finder)
{
	unsigned steps =
		finder->failed_in_row < BACKOFF_STEPS ? finder->failed_in_row : BACKOFF_STEPS;
	int64_t wait_ms = BACKOFF_FIRST_MS;

	for (unsigned i = 1; i < steps; i++)
		wait_ms *= 2;
	if (wait_ms > BACKOFF_MAX_MS)
		wait_ms = BACKOFF_MAX_MS;
	return fiber_sleep_ms(wait_ms / 2 + (int64_t)rand_below((uint64_t)wait_ms / 2 + 1));
}

static void on_timer(struct timer *timer)
{
	struct discovery *discovery = CONTAINER_OF(timer, struct discovery, timer);
	size_t services = discovery->snapshot->config->services.count;
	struct endpoint_list **found = mem_zalloc(services, sizeof(struct endpoint_list *));

	if (!found) {
		timer_set(timer, loop_deadline_ms(AGAIN_MS));
		return;
	}
	for (size_t i = 0; i < discovery->count; i++)
		if (discovery->finders[i].changed)
			found[discovery->finders[i].service->index] =
				discovery->finders[i].found;
	if (discovery->options.found(discovery->options.context, found) == 0)
		for (size_t i = 0; i < discovery->count; i++)
			discovery->finders[i].changed = false;
	else
		timer_set(timer, loop_deadline_ms(AGAIN_MS));
	mem_free(found);
}

/* --- fibers --- */

static void finder_main(void *arg)
{
	struct finder *finder = arg;
	struct discovery *discovery = finder->discovery;

	if (finder->config->kubernetes)
		discovery_kubernetes_main(finder);
	else
		discovery_dns_main(finder);
	finder->fiber = NULL;
	discovery->running--;
	release(discovery);
}

/* "a:1,b:2", as the resolver takes it. */
static int start_own_dns(struct finder *finder, struct err *err)
{
	struct dns_options options = {.entries_max = 0};
	struct buf servers;

	if (finder->config->resolvers.count == 0)
		return 0;
	buf_init(&servers, 65536);
	for (size_t i = 0; i < finder->config->resolvers.count; i++) {
		if (i)
			buf_append_byte(&servers, ',');
		buf_append(&servers, finder->config->resolvers.at[i]);
	}
	options.servers = buf_cstr(&servers);
	if (options.servers)
		finder->own_dns = dns_new(&options, err);
	else
		err_set(err, ERR_MEMORY, "no memory for name servers");
	buf_release(&servers);
	finder->dns = finder->own_dns;
	return finder->own_dns ? 0 : -1;
}

static void take_over(struct finder *finder, const struct discovery *previous)
{
	const struct snapshot_service *service =
		&finder->discovery->snapshot->services[finder->service->index];

	if (service->found)
		finder->found = endpoint_list_ref(service->found);
	for (size_t i = 0; previous && i < previous->count; i++) {
		const struct finder *before = &previous->finders[i];

		if (!span_eq(before->service->name, finder->service->name))
			continue;
		finder->answers = before->answers;
		finder->failures = before->failures;
		finder->changes = before->changes;
	}
}

static int start_finder(struct discovery *discovery, const struct config_service *service,
			struct err *err)
{
	struct finder *finder = &discovery->finders[discovery->count];

	*finder = (struct finder){.discovery = discovery,
				  .service = service,
				  .config = service->discover,
				  .dns = discovery->options.dns};
	discovery->count++;
	take_over(finder, discovery->options.previous);
	if (start_own_dns(finder, err) < 0)
		return -1;
	finder->fiber = fiber_start(finder_main, finder, err);
	if (!finder->fiber)
		return -1;
	discovery->running++;
	if (loop_deadline_ms((int64_t)finder->config->timeout_ms) > discovery->settle_until_ms)
		discovery->settle_until_ms =
			loop_deadline_ms((int64_t)finder->config->timeout_ms);
	return 0;
}

static size_t count_services(const struct config *cfg)
{
	size_t n = 0;

	for (size_t i = 0; i < cfg->services.count; i++)
		n += cfg->services.at[i].discover != NULL;
	return n;
}

static int start_all(struct discovery *discovery, size_t count, struct err *err)
{
	const struct config *cfg = discovery->snapshot->config;

	discovery->finders = mem_zalloc(count, sizeof(*discovery->finders));
	if (!discovery->finders)
		return err_set(err, ERR_MEMORY, "no memory for discovery");
	for (size_t i = 0; i < cfg->services.count; i++)
		if (cfg->services.at[i].discover &&
		    start_finder(discovery, &cfg->services.at[i], err) < 0)
			return -1;
	/* That of before may not be there any more later. */
	discovery->options.previous = NULL;
	return 0;
}

int discovery_start(struct discovery **out, const struct discovery_options *options,
		    struct err *err)
{
	size_t count = count_services(options->snapshot->config);
	struct discovery *discovery;

	*out = NULL;
	if (!count)
		return 0;
	discovery = mem_zalloc(1, sizeof(*discovery));
	if (!discovery)
		return err_set(err, ERR_MEMORY, "no memory for discovery");
	discovery->options = *options;
	discovery->snapshot = snapshot_ref(options->snapshot);
	timer_init(&discovery->timer, on_timer);
	if (start_all(discovery, count, err) < 0) {
		discovery_stop(discovery);
		return -1;
	}
	*out = discovery;
	return 0;
}

void discovery_stop(struct discovery *discovery)
{
	if (!discovery)
		return;
	discovery->stopped = true;
	timer_clear(&discovery->timer);
	for (size_t i = 0; discovery->finders && i < discovery->count; i++)
		if (discovery->finders[i].fiber)
			fiber_cancel(discovery->finders[i].fiber);
	release(discovery);
}

bool discovery_is_settled(const struct discovery *discovery)
{
	if (!discovery || loop_now_ms() >= discovery->settle_until_ms)
		return true;
	for (size_t i = 0; i < discovery->count; i++)
		if (!discovery->finders[i].found || discovery->finders[i].changed)
			return false;
	return true;
}

/* --- what is said of it --- */

static const char *kind_of(const struct config_discover *config)
{
	if (config->kubernetes)
		return "kubernetes";
	return config->srv.len ? "srv" : "dns";
}

static void put_finder(struct json_writer *w, const struct finder *finder)
{
	json_begin_object(w);
	json_member_string(w, SPAN("service"), finder->service->name);
	json_member_string(w, SPAN("kind"), span_cstr(kind_of(finder->config)));
	json_member_string(w, SPAN("state"),
			   finder->failed_in_row ? SPAN("failing")
			   : finder->found	 ? SPAN("found")
						 : SPAN("asking"));
	json_member_int(w, SPAN("endpoints"),
			finder->found ? (int64_t)finder->found->count : 0);
	json_member_int(w, SPAN("answers"), (int64_t)finder->answers);
	json_member_int(w, SPAN("failures"), (int64_t)finder->failures);
	json_member_int(w, SPAN("changes"), (int64_t)finder->changes);
	if (finder->problem[0])
		json_member_string(w, SPAN("problem"), span_cstr(finder->problem));
	json_end_object(w);
}

void discovery_print(const struct discovery *discovery, struct buf *out)
{
	struct json_writer w;

	json_writer_init(&w, out);
	json_begin_object(&w);
	json_key(&w, SPAN("discovery"));
	json_begin_array(&w);
	for (size_t i = 0; discovery && i < discovery->count; i++)
		put_finder(&w, &discovery->finders[i]);
	json_end_array(&w);
	json_end_object(&w);
	buf_append_byte(out, '\n');
}

static void print_metric(const struct discovery *discovery, struct buf *out, const char *name,
			 const char *type, const char *help,
			 uint64_t (*value)(const struct finder *finder))
{
	prometheus_head(out, name, type, help);
	for (size_t i = 0; i < discovery->count; i++)
		buf_printf(out, "%s{service=\"%.*s\"} %llu\n", name,
			   SPAN_ARG(discovery->finders[i].service->name),
			   (unsigned long long)value(&discovery->finders[i]));
}

static uint64_t endpoints_value(const struct finder *finder)
{
	return finder->found ? finder->found->count : 0;
}

static uint64_t failing_value(const struct finder *finder)
{
	return finder->failed_in_row > 0;
}

static uint64_t failures_value(const struct finder *finder)
{
	return finder->failures;
}

static uint64_t changes_value(const struct finder *finder)
{
	return finder->changes;
}

void discovery_metrics(const struct discovery *discovery, struct buf *out)
{
	if (!discovery)
		return;
	print_metric(discovery, out, "sallyport_discovery_endpoints", "gauge",
		     "Endpoints that were found last.", endpoints_value);
	print_metric(discovery, out, "sallyport_discovery_failing", "gauge",
		     "1: nobody tells at present, and the last endpoints are used.",
		     failing_value);
	print_metric(discovery, out, "sallyport_discovery_failures_total", "counter",
		     "Questions without a usable answer.", failures_value);
	print_metric(discovery, out, "sallyport_discovery_changes_total", "counter",
		     "Times that the endpoints were others.", changes_value);
}
