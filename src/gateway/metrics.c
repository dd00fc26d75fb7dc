#include "gateway/metrics.h"

#include "base/mem.h"
#include "gateway/exchange.h"

const uint32_t metrics_bucket_us[METRICS_BUCKETS] = {500,     1000,    2500,	5000,	 10000,
						     25000,   50000,   100000,	250000,	 500000,
						     1000000, 2500000, 5000000, 10000000};

_Static_assert(PHASE_COUNT <= METRICS_PHASES, "a counter for each phase");

struct metrics *metrics_new(struct err *err)
{
	struct metrics *metrics = mem_zalloc_lines(1, sizeof(*metrics));

	if (!metrics)
		err_set(err, ERR_MEMORY, "no memory for metrics");
	return metrics;
}

static void release_table(struct metrics_table *table)
{
	struct metrics_series *series = table->first;

	while (series) {
		struct metrics_series *next = series->next;

		mem_free(series->name);
		mem_free(series);
		series = next;
	}
	map_release(&table->by_name);
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	release_table(&metrics->operations);
	release_table(&metrics->services);
	mem_free(metrics);
}

struct metrics_series *metrics_series_of(struct metrics_table *table, struct span name)
{
	struct metrics_series *series = map_get(&table->by_name, name);

	if (series)
		return series;
	series = mem_zalloc_lines(1, sizeof(*series));
	if (!series)
		return NULL;
	series->name = mem_strdup(name);
	if (!series->name || map_put(&table->by_name, span_cstr(series->name), series) < 0) {
		mem_free(series->name);
		mem_free(series);
		return NULL;
	}
	series->next = table->first;
	atomic_store_explicit(&table->first, series, memory_order_release);
	return series;
}

static unsigned class_of(unsigned status)
{
	return status >= 100 && status <= 599 ? status / 100 - 1 : METRICS_CLASSES - 1;
}

HOT static void count(struct metrics_series *series, unsigned status, int64_t us)
{
	unsigned bucket = 0;

	while (bucket < METRICS_BUCKETS && us > metrics_bucket_us[bucket])
		bucket++;
	counter_add(&series->requests[class_of(status)], 1);
	counter_add(&series->buckets[bucket], 1);
	counter_add(&series->duration_us, (uint64_t)us);
}

HOT void metrics_record(struct metrics *metrics, const struct exchange *e, int64_t end_ns)
{
	const struct http_exchange *x = e->x;
	struct metrics_series *series = e->metrics;

	count(series, x->head_sent ? x->status : 0, (end_ns - e->now_ns) / 1000);
	if (x->body_received_bytes)
		counter_add(&series->received_bytes, x->body_received_bytes);
	counter_add(&series->sent_bytes, x->body_sent_bytes);
	if (e->reason)
		counter_add(&metrics->refused[e->phase], 1);
	if (e->attempts)
		counter_add(&metrics->upstream_attempts, e->attempts);
	if (e->attempts > 1)
		counter_add(&metrics->upstream_retries, e->attempts - 1);
}

HOT void metrics_record_call(struct metrics_series *service, unsigned status, int64_t us)
{
	count(service, status, us);
}
