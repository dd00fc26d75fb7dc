/* metrics_print.c - what the workers have counted, added up. Private to src/gateway. */
#include "base/mem.h"
#include "gateway/exchange.h"
#include "gateway/fallback.h"
#include "gateway/metrics.h"
#include "parse/json_write.h"
#include "parse/prometheus.h"

static const char *const bucket_names[METRICS_BUCKETS] = {
	"0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05",
	"0.1",	  "0.25",  "0.5",    "1",     "2.5",  "5",     "10"};
static const char *const class_names[METRICS_CLASSES] = {"1xx", "2xx", "3xx",
							 "4xx", "5xx", "gone"};

static const char *const fallback_names[] = {[FALLBACK_STALE] = "stale",
					     [FALLBACK_SERVICE] = "service",
					     [FALLBACK_FIXED] = "fixed",
					     "shift",
					     "degraded"};

/* --- series of all workers added up --- */

struct sum {
	const char *name; /* the first worker's; "" for what has none */
	uint64_t requests[METRICS_CLASSES];
	uint64_t total;
	uint64_t duration_us;
	uint64_t sent_bytes;
	uint64_t buckets[METRICS_BUCKETS + 1];
};

struct sums {
	struct sum *at;
	size_t count;
	size_t room;
};

static void add(struct sum *sum, const struct metrics_series *series)
{
	for (unsigned i = 0; i < METRICS_CLASSES; i++)
		sum->requests[i] += counter_read(&series->requests[i]);
	for (unsigned i = 0; i <= METRICS_BUCKETS; i++)
		sum->buckets[i] += counter_read(&series->buckets[i]);
	sum->duration_us += counter_read(&series->duration_us);
	sum->sent_bytes += counter_read(&series->sent_bytes);
}

static const struct metrics_series *first_of(struct metrics *metrics, size_t table)
{
	struct metrics_table *at = (struct metrics_table *)(void *)((char *)metrics + table);

	return atomic_load_explicit(&at->first, memory_order_acquire);
}

/* Workers add to their lists while we look, each in its own order. */
static int add_worker(struct sums *sums, struct map *by_name, struct metrics *metrics,
		      size_t table)
{
	const struct metrics_series *series = first_of(metrics, table);

	for (; series; series = series->next) {
		struct sum *sum = map_get(by_name, span_cstr(series->name));

		/* They became longer meanwhile: the next who asks sees it all. */
		if (!sum && sums->count + 1 == sums->room)
			return 0;
		if (!sum) {
			sum = &sums->at[sums->count++];
			sum->name = series->name;
			if (map_put(by_name, span_cstr(sum->name), sum) < 0)
				return -1;
		}
		add(sum, series);
	}
	return 0;
}

static size_t length_of(struct metrics *const *all, size_t count, size_t table)
{
	size_t length = 0;

	for (size_t i = 0; i < count; i++)
		for (const struct metrics_series *at = first_of(all[i], table); at;
		     at = at->next)
			length++;
	return length;
}

/* `table`: its offset in struct metrics. The last element is of what was not routed, if asked for. */
static int add_up(struct sums *sums, struct metrics *const *all, size_t count, size_t table,
		  bool unrouted)
{
	size_t room = length_of(all, count, table) + 1;
	struct map by_name = MAP_INIT;
	int result = 0;

	*sums = (struct sums){.at = mem_zalloc(room, sizeof(*sums->at)), .room = room};
	if (!sums->at)
		return -1;
	for (size_t i = 0; i < count && result == 0; i++)
		result = add_worker(sums, &by_name, all[i], table);
	map_release(&by_name);
	if (unrouted) {
		struct sum *sum = &sums->at[sums->count++];

		sum->name = "";
		for (size_t i = 0; i < count; i++)
			add(sum, &all[i]->unrouted);
	}
	for (size_t i = 0; i < sums->count; i++)
		for (unsigned b = 0; b <= METRICS_BUCKETS; b++)
			sums->at[i].total += sums->at[i].buckets[b];
	if (result < 0)
		mem_free(sums->at);
	return result;
}

/* --- printing --- */

/* How a table is told. */
struct wording {
	const char *label;
	const char *requests, *requests_help;
	const char *duration, *duration_help;
};

static void put_label(struct buf *out, const struct wording *w, const char *name)
{
	buf_printf(out, "%s=\"", w->label);
	for (const char *at = name; *at; at++) {
		if (*at == '"' || *at == '\\')
			buf_append_byte(out, '\\');
		buf_append_byte(out, *at == '\n' ? ' ' : *at);
	}
	buf_append_byte(out, '"');
}

static void print_requests(const struct sum *sum, const struct wording *w, struct buf *out)
{
	for (unsigned c = 0; c < METRICS_CLASSES; c++) {
		if (!sum->requests[c])
			continue;
		buf_printf(out, "%s{", w->requests);
		put_label(out, w, sum->name);
		buf_printf(out, ",code=\"%s\"} %llu\n", class_names[c],
			   (unsigned long long)sum->requests[c]);
	}
}

static void print_histogram(const struct sum *sum, const struct wording *w, struct buf *out)
{
	uint64_t total = 0;

	for (unsigned b = 0; b <= METRICS_BUCKETS; b++) {
		total += sum->buckets[b];
		buf_printf(out, "%s_bucket{", w->duration);
		put_label(out, w, sum->name);
		buf_printf(out, ",le=\"%s\"} %llu\n",
			   b < METRICS_BUCKETS ? bucket_names[b] : "+Inf",
			   (unsigned long long)total);
	}
	buf_printf(out, "%s_sum{", w->duration);
	put_label(out, w, sum->name);
	buf_printf(out, "} %.6f\n%s_count{", (double)sum->duration_us / 1e6, w->duration);
	put_label(out, w, sum->name);
	buf_printf(out, "} %llu\n", (unsigned long long)total);
}

static uint64_t sum_counters(struct metrics *const *all, size_t count, size_t offset)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += counter_read(
			(const counter *)(const void *)((const char *)all[i] + offset));
	return sum;
}

static void print_total(struct metrics *const *all, size_t count, struct buf *out,
			const char *name, const char *help, size_t offset)
{
	prometheus_number(out, name, "counter", help, sum_counters(all, count, offset));
}

/* Of two counters, one of requests and one of responses. */
static void print_of_two(struct metrics *const *all, size_t count, struct buf *out,
			 const char *name, const char *help, size_t offset)
{
	static const char *const of[2] = {"request", "response"};

	prometheus_head(out, name, "counter", help);
	for (size_t i = 0; i < 2; i++)
		buf_printf(out, "%s{of=\"%s\"} %llu\n", name, of[i],
			   (unsigned long long)sum_counters(all, count,
							    offset + i * sizeof(counter)));
}

/* What was done beside or in the place of a plain call to a service. */
static void print_instead(struct metrics *const *all, size_t count, struct buf *out)
{
	prometheus_head(
		out, "sallyport_upstream_hedges_total", "counter",
		"Second attempts beside a first, by whether theirs was the first good answer.");
	for (unsigned i = 0; i < 2; i++)
		buf_printf(out, "sallyport_upstream_hedges_total{result=\"%s\"} %llu\n",
			   i ? "won" : "lost",
			   (unsigned long long)sum_counters(
				   all, count,
				   offsetof(struct metrics, upstream_hedges) +
					   i * sizeof(counter)));
	prometheus_head(out, "sallyport_fallbacks_total", "counter",
			"Answers in the place of a service's.");
	for (unsigned i = 0; i < COUNT_OF(fallback_names); i++)
		buf_printf(out, "sallyport_fallbacks_total{kind=\"%s\"} %llu\n",
			   fallback_names[i],
			   (unsigned long long)sum_counters(
				   all, count,
				   offsetof(struct metrics, fallbacks) + i * sizeof(counter)));
}

/* Those that nobody has asked for have no lines: there may be thousands of routes. */
static void print_sums(const struct sums *sums, const struct wording *w, struct buf *out)
{
	prometheus_head(out, w->requests, "counter", w->requests_help);
	for (size_t i = 0; i < sums->count; i++)
		print_requests(&sums->at[i], w, out);
	prometheus_head(out, w->duration, "histogram", w->duration_help);
	for (size_t i = 0; i < sums->count; i++)
		if (sums->at[i].total)
			print_histogram(&sums->at[i], w, out);
}

static void print_operations(struct metrics *const *all, size_t count, struct buf *out)
{
	static const struct wording wording = {
		.label = "operation",
		.requests = "sallyport_http_requests_total",
		.requests_help = "Requests by operation and class.",
		.duration = "sallyport_http_request_duration_seconds",
		.duration_help =
			"From the first byte of a request to the end of its response."};
	struct sums sums;

	if (add_up(&sums, all, count, offsetof(struct metrics, operations), true) < 0) {
		out->failed = true;
		return;
	}
	print_sums(&sums, &wording, out);
	prometheus_head(out, "sallyport_http_response_body_bytes_total", "counter",
			"Body bytes sent.");
	for (size_t i = 0; i < sums.count; i++) {
		if (!sums.at[i].total)
			continue;
		buf_append_cstr(out, "sallyport_http_response_body_bytes_total{");
		put_label(out, &wording, sums.at[i].name);
		buf_printf(out, "} %llu\n", (unsigned long long)sums.at[i].sent_bytes);
	}
	mem_free(sums.at);
}

static void print_services(struct metrics *const *all, size_t count, struct buf *out)
{
	static const struct wording wording = {
		.label = "service",
		.requests = "sallyport_upstream_requests_total",
		.requests_help =
			"Calls to a service by the class of its answer; gone: it gave none.",
		.duration = "sallyport_upstream_request_duration_seconds",
		.duration_help =
			"From asking a service to the head of its answer, or that none came."};
	struct sums sums;

	if (add_up(&sums, all, count, offsetof(struct metrics, services), false) < 0) {
		out->failed = true;
		return;
	}
	print_sums(&sums, &wording, out);
	mem_free(sums.at);
}

/* Of verified tokens, which each worker has its own cache of. */
static void print_tokens(struct metrics *const *all, size_t count, struct buf *out)
{
	struct auth_worker_stats sum = {0};

	for (size_t i = 0; i < count; i++) {
		struct auth_worker_stats stats;

		auth_worker_read_stats(all[i]->auth, &stats);
		sum.hits += stats.hits;
		sum.misses += stats.misses;
		sum.evictions += stats.evictions;
		sum.introspections += stats.introspections;
		sum.entries += stats.entries;
		sum.capacity += stats.capacity;
	}
	prometheus_head(out, "sallyport_token_cache_lookups_total", "counter",
			"Bearer tokens looked for among those that were verified before.");
	buf_printf(out,
		   "sallyport_token_cache_lookups_total{result=\"hit\"} %llu\n"
		   "sallyport_token_cache_lookups_total{result=\"miss\"} %llu\n",
		   (unsigned long long)sum.hits, (unsigned long long)sum.misses);
	prometheus_number(out, "sallyport_token_cache_entries", "gauge",
			  "Tokens that are remembered.", sum.entries);
	prometheus_number(out, "sallyport_token_cache_entries_max", "gauge",
			  "Tokens that can be remembered.", sum.capacity);
	prometheus_number(out, "sallyport_token_cache_evictions_total", "counter",
			  "Tokens forgotten before their time to make room.", sum.evictions);
	prometheus_number(out, "sallyport_introspections_total", "counter",
			  "Questions to introspection endpoints.", sum.introspections);
}

void metrics_print(struct metrics *const *all, size_t count, struct buf *out)
{
	int64_t open = 0;

	print_operations(all, count, out);
	print_services(all, count, out);
	print_tokens(all, count, out);
	prometheus_head(out, "sallyport_refused_total", "counter",
			"Requests refused or failed, by phase.");
	for (unsigned i = 0; i < PHASE_COUNT; i++)
		buf_printf(out, "sallyport_refused_total{phase=\"%s\"} %llu\n",
			   phase_name((enum phase_id)i),
			   (unsigned long long)sum_counters(all, count,
							    offsetof(struct metrics, refused) +
								    i * sizeof(counter)));
	print_total(all, count, out, "sallyport_connections_accepted_total",
		    "Connections accepted.", offsetof(struct metrics, connections_accepted));
	print_total(all, count, out, "sallyport_connections_refused_total",
		    "Connections closed at once because of a limit.",
		    offsetof(struct metrics, connections_refused));
	print_total(all, count, out, "sallyport_handshake_failures_total",
		    "Connections that failed before their first request.",
		    offsetof(struct metrics, handshake_failures));
	print_total(all, count, out, "sallyport_waf_inspected_total",
		    "Requests that the firewall's rules have seen.",
		    offsetof(struct metrics, waf_inspected));
	print_of_two(all, count, out, "sallyport_waf_blocked_total",
		     "Requests and responses that the firewall has refused.",
		     offsetof(struct metrics, waf_blocked));
	print_of_two(all, count, out, "sallyport_waf_observed_total",
		     "Requests and responses that the firewall would have refused.",
		     offsetof(struct metrics, waf_observed));
	print_total(all, count, out, "sallyport_waf_failed_total",
		    "Requests on which the rules could not be run to their end.",
		    offsetof(struct metrics, waf_failed));
	print_total(all, count, out, "sallyport_waf_lookups_total",
		    "Questions of the firewall's rules to block lists.",
		    offsetof(struct metrics, waf_lookups));
	print_total(all, count, out, "sallyport_waf_lookups_failed_total",
		    "Of them, those that were not answered.",
		    offsetof(struct metrics, waf_lookups_failed));
	print_total(all, count, out, "sallyport_waf_programs_total",
		    "Programs that the firewall's rules have asked for.",
		    offsetof(struct metrics, waf_programs));
	print_total(all, count, out, "sallyport_waf_programs_failed_total",
		    "Of them, those that could not be run to their end.",
		    offsetof(struct metrics, waf_programs_failed));
	print_total(all, count, out, "sallyport_banned_connections_total",
		    "Connections of banned clients, closed at once.",
		    offsetof(struct metrics, banned_connections));
	prometheus_head(out, "sallyport_banned_requests_total", "counter",
			"Requests of banned clients: refused, or in mode observe let through.");
	for (unsigned i = 0; i < 2; i++)
		buf_printf(out, "sallyport_banned_requests_total{mode=\"%s\"} %llu\n",
			   i ? "block" : "observe",
			   (unsigned long long)sum_counters(
				   all, count,
				   offsetof(struct metrics, banned_requests) +
					   i * sizeof(counter)));
	print_total(all, count, out, "sallyport_over_share_total",
		    "Requests of clients that sent most while there was too much to do.",
		    offsetof(struct metrics, over_share));
	print_total(all, count, out, "sallyport_challenges_total",
		    "Challenges that clients were given.",
		    offsetof(struct metrics, challenges));
	print_total(all, count, out, "sallyport_upstream_attempts_total", "Calls to services.",
		    offsetof(struct metrics, upstream_attempts));
	print_total(all, count, out, "sallyport_upstream_retries_total",
		    "Calls to services that repeat an earlier one.",
		    offsetof(struct metrics, upstream_retries));
	print_instead(all, count, out);
	for (size_t i = 0; i < count; i++)
		open += atomic_load_explicit(&all[i]->connections_open, memory_order_relaxed);
	prometheus_head(out, "sallyport_connections_open", "gauge",
			"Client connections that are open.");
	buf_printf(out, "sallyport_connections_open %lld\n", (long long)open);
}

/* --- as JSON --- */

static void put_numbers(struct json_writer *w, struct span name, const uint64_t *numbers,
			size_t count)
{
	json_key(w, name);
	json_begin_array(w);
	for (size_t i = 0; i < count; i++)
		json_put_uint(w, numbers[i]);
	json_end_array(w);
}

static void put_operation(struct json_writer *w, const struct sum *sum)
{
	json_begin_object(w);
	json_member_string(w, SPAN("operation"), span_cstr(sum->name[0] ? sum->name : "-"));
	put_numbers(w, SPAN("requests"), sum->requests, METRICS_CLASSES);
	put_numbers(w, SPAN("buckets"), sum->buckets, METRICS_BUCKETS + 1);
	json_end_object(w);
}

int metrics_put_json(struct metrics *const *all, size_t count, struct json_writer *w)
{
	struct sums sums;
	int64_t open = 0;

	if (add_up(&sums, all, count, offsetof(struct metrics, operations), true) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		open += atomic_load_explicit(&all[i]->connections_open, memory_order_relaxed);
	json_member_int(w, SPAN("connections"), open);
	json_key(w, SPAN("bucket_us"));
	json_begin_array(w);
	for (size_t i = 0; i < METRICS_BUCKETS; i++)
		json_put_int(w, metrics_bucket_us[i]);
	json_end_array(w);
	json_key(w, SPAN("operations"));
	json_begin_array(w);
	/* What was not routed first. */
	put_operation(w, &sums.at[sums.count - 1]);
	for (size_t i = 0; i + 1 < sums.count; i++)
		put_operation(w, &sums.at[i]);
	json_end_array(w);
	mem_free(sums.at);
	return 0;
}
