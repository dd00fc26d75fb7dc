#include "gateway/metrics.h"

#include "base/mem.h"
#include "gateway/exchange.h"
#include "gateway/fallback.h"
#include "parse/json_write.h"

static const uint32_t bucket_us[METRICS_BUCKETS] = {500,     1000,    2500,    5000,	10000,
						    25000,   50000,   100000,  250000,	500000,
						    1000000, 2500000, 5000000, 10000000};
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

struct metrics *metrics_new(struct err *err)
{
	struct metrics *metrics = mem_zalloc(1, sizeof(*metrics));

	if (!metrics)
		err_set(err, ERR_MEMORY, "no memory for metrics");
	return metrics;
}

void metrics_free(struct metrics *metrics)
{
	struct route_metrics *route;

	if (!metrics)
		return;
	route = metrics->routes;
	while (route) {
		struct route_metrics *next = route->next;

		mem_free(route->operation);
		mem_free(route);
		route = next;
	}
	mem_free(metrics);
}

struct route_metrics *metrics_route(struct metrics *metrics, struct span operation)
{
	struct route_metrics *route = metrics->routes;

	for (; route; route = route->next)
		if (span_eq(span_cstr(route->operation), operation))
			return route;
	route = mem_zalloc(1, sizeof(*route));
	if (!route)
		return NULL;
	route->operation = mem_strdup(operation);
	if (!route->operation) {
		mem_free(route);
		return NULL;
	}
	route->next = metrics->routes;
	atomic_store_explicit(&metrics->routes, route, memory_order_release);
	return route;
}

_Static_assert(PHASE_COUNT <= METRICS_PHASES, "a counter for each phase");

static unsigned class_of(const struct http_exchange *x)
{
	if (!x->head_sent || x->status < 100 || x->status > 599)
		return METRICS_CLASSES - 1;
	return x->status / 100 - 1;
}

static unsigned bucket_of(int64_t us)
{
	unsigned i = 0;

	while (i < METRICS_BUCKETS && us > bucket_us[i])
		i++;
	return i;
}

void metrics_record(struct metrics *metrics, const struct exchange *e, int64_t end_ns)
{
	const struct http_exchange *x = e->x;
	int64_t us = (end_ns - e->now_ns) / 1000;
	struct route_metrics *route =
		e->route ? e->view->route_metrics[e->route->config->index] : &metrics->unrouted;

	counter_add(&route->requests[class_of(x)], 1);
	counter_add(&route->buckets[bucket_of(us)], 1);
	counter_add(&route->duration_us, (uint64_t)us);
	counter_add(&route->received_bytes, x->body_received_bytes);
	counter_add(&route->sent_bytes, x->body_sent_bytes);
	if (e->reason)
		counter_add(&metrics->refused[e->phase], 1);
	if (e->attempts)
		counter_add(&metrics->upstream_attempts, e->attempts);
	if (e->attempts > 1)
		counter_add(&metrics->upstream_retries, e->attempts - 1);
}

/* --- printing --- */

static uint64_t sum_at(struct metrics *const *all, size_t count, const char *operation,
		       size_t offset)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++) {
		const struct route_metrics *route;

		if (!operation) {
			sum += counter_read((
				const counter *)(const void *)((const char *)&all[i]->unrouted +
							       offset));
			continue;
		}
		route = atomic_load_explicit(&all[i]->routes, memory_order_acquire);
		for (; route; route = route->next)
			if (span_eq(span_cstr(route->operation), span_cstr(operation)))
				sum += counter_read(
					(const counter *)(const void *)((const char *)route +
									offset));
	}
	return sum;
}

static void put_label(struct buf *out, const char *operation)
{
	buf_append_cstr(out, "operation=\"");
	for (const char *at = operation ? operation : ""; *at; at++) {
		if (*at == '"' || *at == '\\')
			buf_append_byte(out, '\\');
		buf_append_byte(out, *at == '\n' ? ' ' : *at);
	}
	buf_append_byte(out, '"');
}

static void print_requests(struct metrics *const *all, size_t count, const char *operation,
			   struct buf *out)
{
	for (unsigned c = 0; c < METRICS_CLASSES; c++) {
		uint64_t n =
			sum_at(all, count, operation,
			       offsetof(struct route_metrics, requests) + c * sizeof(counter));

		if (!n)
			continue;
		buf_append_cstr(out, "sallyport_http_requests_total{");
		put_label(out, operation);
		buf_printf(out, ",code=\"%s\"} %llu\n", class_names[c], (unsigned long long)n);
	}
}

static void print_histogram(struct metrics *const *all, size_t count, const char *operation,
			    struct buf *out)
{
	uint64_t total = 0;
	uint64_t us =
		sum_at(all, count, operation, offsetof(struct route_metrics, duration_us));

	for (unsigned b = 0; b <= METRICS_BUCKETS; b++) {
		total += sum_at(all, count, operation,
				offsetof(struct route_metrics, buckets) + b * sizeof(counter));
		buf_append_cstr(out, "sallyport_http_request_duration_seconds_bucket{");
		put_label(out, operation);
		buf_printf(out, ",le=\"%s\"} %llu\n",
			   b < METRICS_BUCKETS ? bucket_names[b] : "+Inf",
			   (unsigned long long)total);
	}
	buf_append_cstr(out, "sallyport_http_request_duration_seconds_sum{");
	put_label(out, operation);
	buf_printf(out, "} %.6f\nsallyport_http_request_duration_seconds_count{",
		   (double)us / 1e6);
	put_label(out, operation);
	buf_printf(out, "} %llu\n", (unsigned long long)total);
}

typedef void print_function(struct metrics *const *all, size_t count, const char *operation,
			    struct buf *out);

/* Every worker knows the routes of its view, so the first worker's list names them all. */
static void for_each_operation(struct metrics *const *all, size_t count, struct buf *out,
			       print_function *print)
{
	const struct route_metrics *route =
		count ? atomic_load_explicit(&all[0]->routes, memory_order_acquire) : NULL;

	for (; route; route = route->next)
		print(all, count, route->operation, out);
	print(all, count, NULL, out);
}

static void print_bytes(struct metrics *const *all, size_t count, const char *operation,
			struct buf *out)
{
	buf_append_cstr(out, "sallyport_http_response_body_bytes_total{");
	put_label(out, operation);
	buf_printf(out, "} %llu\n",
		   (unsigned long long)sum_at(all, count, operation,
					      offsetof(struct route_metrics, sent_bytes)));
}

static void head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
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
	head(out, name, "counter", help);
	buf_printf(out, "%s %llu\n", name,
		   (unsigned long long)sum_counters(all, count, offset));
}

/* Of two counters, one of requests and one of responses. */
static void print_of_two(struct metrics *const *all, size_t count, struct buf *out,
			 const char *name, const char *help, size_t offset)
{
	static const char *const of[2] = {"request", "response"};

	head(out, name, "counter", help);
	for (size_t i = 0; i < 2; i++)
		buf_printf(out, "%s{of=\"%s\"} %llu\n", name, of[i],
			   (unsigned long long)sum_counters(all, count,
							    offset + i * sizeof(counter)));
}

/* What was done beside or in the place of a plain call to a service. */
static void print_instead(struct metrics *const *all, size_t count, struct buf *out)
{
	head(out, "sallyport_upstream_hedges_total", "counter",
	     "Second attempts beside a first, by whether theirs was the first good answer.");
	for (unsigned i = 0; i < 2; i++)
		buf_printf(out, "sallyport_upstream_hedges_total{result=\"%s\"} %llu\n",
			   i ? "won" : "lost",
			   (unsigned long long)sum_counters(
				   all, count,
				   offsetof(struct metrics, upstream_hedges) +
					   i * sizeof(counter)));
	head(out, "sallyport_fallbacks_total", "counter",
	     "Answers in the place of a service's.");
	for (unsigned i = 0; i < COUNT_OF(fallback_names); i++)
		buf_printf(out, "sallyport_fallbacks_total{kind=\"%s\"} %llu\n",
			   fallback_names[i],
			   (unsigned long long)sum_counters(
				   all, count,
				   offsetof(struct metrics, fallbacks) + i * sizeof(counter)));
}

void metrics_print(struct metrics *const *all, size_t count, struct buf *out)
{
	int64_t open = 0;

	head(out, "sallyport_http_requests_total", "counter",
	     "Requests by operation and class.");
	for_each_operation(all, count, out, print_requests);
	head(out, "sallyport_http_request_duration_seconds", "histogram",
	     "From the first byte of a request to the end of its response.");
	for_each_operation(all, count, out, print_histogram);
	head(out, "sallyport_http_response_body_bytes_total", "counter", "Body bytes sent.");
	for_each_operation(all, count, out, print_bytes);
	head(out, "sallyport_refused_total", "counter",
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
	print_total(all, count, out, "sallyport_banned_connections_total",
		    "Connections of banned clients, closed at once.",
		    offsetof(struct metrics, banned_connections));
	head(out, "sallyport_banned_requests_total", "counter",
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
	head(out, "sallyport_connections_open", "gauge", "Client connections that are open.");
	buf_printf(out, "sallyport_connections_open %lld\n", (long long)open);
}

/* --- as JSON --- */

static void put_numbers(struct json_writer *w, struct span name, struct metrics *const *all,
			size_t count, const char *operation, size_t offset, size_t n)
{
	json_key(w, name);
	json_begin_array(w);
	for (size_t i = 0; i < n; i++)
		json_put_uint(w, sum_at(all, count, operation, offset + i * sizeof(counter)));
	json_end_array(w);
}

static void put_operation(struct json_writer *w, struct metrics *const *all, size_t count,
			  const char *operation)
{
	json_begin_object(w);
	json_member_string(w, SPAN("operation"), span_cstr(operation ? operation : "-"));
	put_numbers(w, SPAN("requests"), all, count, operation,
		    offsetof(struct route_metrics, requests), METRICS_CLASSES);
	put_numbers(w, SPAN("buckets"), all, count, operation,
		    offsetof(struct route_metrics, buckets), METRICS_BUCKETS + 1);
	json_end_object(w);
}

void metrics_put_json(struct metrics *const *all, size_t count, struct json_writer *w)
{
	const struct route_metrics *route =
		count ? atomic_load_explicit(&all[0]->routes, memory_order_acquire) : NULL;
	int64_t open = 0;

	for (size_t i = 0; i < count; i++)
		open += atomic_load_explicit(&all[i]->connections_open, memory_order_relaxed);
	json_member_int(w, SPAN("connections"), open);
	json_key(w, SPAN("bucket_us"));
	json_begin_array(w);
	for (size_t i = 0; i < METRICS_BUCKETS; i++)
		json_put_int(w, bucket_us[i]);
	json_end_array(w);
	json_key(w, SPAN("operations"));
	json_begin_array(w);
	put_operation(w, all, count, NULL);
	for (; route; route = route->next)
		put_operation(w, all, count, route->operation);
	json_end_array(w);
}
