#include "config/schema_parts.h"

static const struct schema_key bulkhead_keys[] = {
	{KEY("concurrent", COUNT, config_bulkhead, concurrent), .flags = SCHEMA_REQUIRED,
	 .min = 1, .max = 1000000, .text = "Requests in progress at the service."},
	{KEY("queue", COUNT, config_bulkhead, queue), .initial = "0", .max = 1000000,
	 .text = "Requests that may wait."},
	{KEY("wait", DURATION, config_bulkhead, wait_ms), .initial = "1s",
	 .text = "How long at most."},
	{KEY("adaptive", BOOL, config_bulkhead, adaptive), .initial = "false",
	 .text = "Let measured latency set the number, between 'least' and 'concurrent'."},
	{KEY("least", COUNT, config_bulkhead, least), .initial = "4", .min = 1, .max = 1000000,
	 .text = "With adaptive: it never goes below."},
	{.name = NULL},
};

static void bulkhead_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	struct config_bulkhead *bulkhead = object;

	if (tree_get(node, "least") && bulkhead->least > bulkhead->concurrent)
		reader_error(reader, node->where, "'least' is more than 'concurrent'");
	if (bulkhead->least > bulkhead->concurrent)
		bulkhead->least = bulkhead->concurrent;
}

const struct schema_object schema_bulkhead = {
	.name = "bulkhead",
	.size = sizeof(struct config_bulkhead),
	.keys = bulkhead_keys,
	.shorthand = "concurrent",
	.finish = bulkhead_finish,
};

static const struct schema_name scope_names[] = {
	{"both", CONFIG_BREAKER_SCOPE_BOTH},
	{"service", CONFIG_BREAKER_SCOPE_SERVICE},
	{"endpoint", CONFIG_BREAKER_SCOPE_ENDPOINT},
	{NULL, 0},
};

static const struct schema_key breaker_keys[] = {
	{KEY("window", COUNT, config_breaker, window), .initial = "100", .min = 1,
	 .max = 100000, .text = "Last requests that are looked at; or"},
	{KEY("window_time", DURATION, config_breaker, window_ms), .initial = "0",
	 .max = 86400000, .text = "those of this time, in place of a number."},
	{KEY("minimum", COUNT, config_breaker, minimum), .initial = "100", .min = 1,
	 .max = 1000000,
	 .text = "Requests in the window before it decides; at most 'window' of them."},
	{KEY("failure_rate", PERCENT, config_breaker, failure_rate_percent), .initial = "50%",
	 .text = "Failures among them that open it."},
	{KEY("slow_rate", PERCENT, config_breaker, slow_rate_percent), .initial = "100%",
	 .text = "Slow answers among them that open it."},
	{KEY("slow", DURATION, config_breaker, slow_ms), .initial = "0",
	 .text = "An answer that takes longer is slow; 0: none is."},
	{KEY("open", DURATION, config_breaker, open_ms), .initial = "30s", .min = 1,
	 .max = 86400000, .text = "How long requests are then refused."},
	{KEY("growth", COUNT, config_breaker, growth_percent), .initial = "100", .min = 100,
	 .max = 1000,
	 .text = "Percent of that wait that the next is, as long as probes fail; 100: the "
		 "same."},
	{KEY("open_max", DURATION, config_breaker, open_max_ms), .initial = "10m", .min = 1,
	 .max = 86400000, .text = "The wait does not grow over this."},
	{KEY("probes", COUNT, config_breaker, probes), .initial = "5", .min = 1, .max = 1000,
	 .text = "Requests that are then let through to see."},
	{KEY("half_open", DURATION, config_breaker, half_open_ms), .initial = "0",
	 .text = "Probes that take longer together open it again; 0: they are waited for."},
	{KEY("scope", ENUM, config_breaker, scope), .initial = "both", .names = scope_names,
	 .text = "One for the service, one an endpoint (where there are several), or both."},
	{KEY("record", FLAGS, config_breaker, record), .initial = "connect reset timeout 5xx",
	 .names = schema_retry_names, .text = "What counts as a failure."},
	{KEY("ignore", FLAGS, config_breaker, ignore), .names = schema_retry_names,
	 .text = "What counts neither as a failure nor as a success."},
	{.name = NULL},
};

static void breaker_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_breaker *breaker = object;

	if (tree_get(node, "window") && breaker->window_ms)
		reader_error(reader, node->where,
			     "give either 'window' or 'window_time', not both");
	if (breaker->open_max_ms < breaker->open_ms && tree_get(node, "open_max"))
		reader_error(reader, node->where, "'open_max' is less than 'open'");
}

const struct schema_object schema_breaker = {
	.name = "breaker",
	.size = sizeof(struct config_breaker),
	.keys = breaker_keys,
	.finish = breaker_finish,
};

static bool read_statuses(struct reader *reader, const struct tree_node *node, void *object)
{
	struct config_health *health = object;
	size_t dash = span_find_byte(node->text, '-');
	struct span last = span_slice(node->text, dash + 1, node->text.len);
	uint64_t from, to;

	(void)reader;
	if (!span_to_u64(span_slice(node->text, 0, dash), &from))
		return false;
	if (dash == node->text.len)
		to = from;
	else if (!span_to_u64(last, &to))
		return false;
	if (from < 100 || to > 599 || from > to)
		return false;
	health->status_from = (uint32_t)from;
	health->status_to = (uint32_t)to;
	return true;
}

static void print_statuses(const void *object, struct buf *out)
{
	const struct config_health *health = object;

	buf_printf(out, "\"%u-%u\"", health->status_from, health->status_to);
}

static const struct schema_custom statuses = {
	.what = "a status such as 200, or a range such as 200-299",
	.read = read_statuses,
	.print = print_statuses,
	.json_schema = "\"type\":[\"string\",\"integer\"],\"pattern\":"
		       "\"^[1-5][0-9]{2}(-[1-5][0-9]{2})?$\"",
};

static const struct schema_name health_names[] = {
	{"http", CONFIG_HEALTH_HTTP},
	{"tcp", CONFIG_HEALTH_TCP},
	{"grpc", CONFIG_HEALTH_GRPC},
	{NULL, 0},
};

static const struct schema_key health_keys[] = {
	{KEY("type", ENUM, config_health, type), .initial = "http", .names = health_names,
	 .text = "A request, a connection, or grpc.health.v1."},
	{KEY("path", TEXT, config_health, path), .initial = "/healthz", .format = &format_path,
	 .text = "What is asked for."},
	{KEY("interval", DURATION, config_health, interval_ms), .initial = "5s", .min = 100,
	 .text = "Time between checks."},
	{KEY("timeout", DURATION, config_health, timeout_ms), .initial = "2s", .min = 1,
	 .text = "For one check."},
	{KEY("healthy", COUNT, config_health, healthy), .initial = "2", .min = 1, .max = 100,
	 .text = "Good answers in a row that bring an endpoint back."},
	{KEY("unhealthy", COUNT, config_health, unhealthy), .initial = "3", .min = 1,
	 .max = 100, .text = "Bad answers in a row that take it out."},
	{.name = "status",
	 .type = SCHEMA_CUSTOM,
	 .initial = "200-299",
	 .custom = &statuses,
	 .text = "Good answers."},
	{KEY("body", TEXT, config_health, body), .format = &format_any,
	 .text = "What a good answer contains in its first 64 KiB."},
	{KEY("service", TEXT, config_health, service), .format = &format_any,
	 .text = "For grpc: the service that is asked for; without, the whole server."},
	{.name = NULL},
};

static void health_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	static const char *const of_http[] = {"path", "status", "body", NULL};
	const struct config_health *health = object;

	if (health->type != CONFIG_HEALTH_HTTP && schema_given(node, of_http) > 0)
		reader_error(reader, node->where, "path, status and body are for type http");
	if (health->type != CONFIG_HEALTH_GRPC && health->service.len > 0)
		reader_error(reader, node->where, "'service' is for type grpc");
	if (health->service.len > 127)
		reader_error(reader, node->where, "'service' is longer than 127 bytes");
}

const struct schema_object schema_health = {
	.name = "health",
	.size = sizeof(struct config_health),
	.keys = health_keys,
	.shorthand = "path",
	.finish = health_finish,
};

static const struct schema_key outlier_keys[] = {
	{KEY("consecutive_5xx", COUNT, config_outlier, consecutive_5xx), .initial = "5",
	 .text = "Failures in a row that eject an endpoint: any 5xx, or no answer; 0: none "
		 "do."},
	{KEY("consecutive_gateway", COUNT, config_outlier, consecutive_gateway), .initial = "0",
	 .text = "The same of 502, 503, 504 and no answer; 0: none do."},
	{KEY("interval", DURATION, config_outlier, interval_ms), .initial = "10s", .min = 1,
	 .text = "For each that it is in again, its next ejection is a step shorter; and how "
		 "often shares are compared."},
	{KEY("ejection", DURATION, config_outlier, ejection_ms), .initial = "30s", .min = 1,
	 .max = 86400000, .text = "The first ejection; the next are that much longer each."},
	{KEY("ejection_max", DURATION, config_outlier, ejection_max_ms), .initial = "5m",
	 .min = 1, .max = 86400000, .text = "At most."},
	{KEY("max_ejected", PERCENT, config_outlier, max_percent), .initial = "10%",
	 .text = "Endpoints that may be out at once; one of several always may."},
	{KEY("deviation", COUNT, config_outlier, deviation_percent), .initial = "190",
	 .max = 10000,
	 .text = "Percent of the standard deviation that an endpoint's share of good calls may "
		 "be below the mean; 0: any."},
	{KEY("deviation_endpoints", COUNT, config_outlier, deviation_endpoints), .initial = "5",
	 .min = 2, .max = 10000, .text = "Only where so many have enough calls."},
	{KEY("deviation_calls", COUNT, config_outlier, deviation_calls), .initial = "100",
	 .min = 1, .text = "Calls in an interval that are enough."},
	{KEY("failure_rate", PERCENT, config_outlier, failure_percent), .initial = "0%",
	 .text = "Failures among an endpoint's calls in an interval that eject it; 0%: none "
		 "do."},
	{KEY("failure_calls", COUNT, config_outlier, failure_calls), .initial = "50", .min = 1,
	 .text = "Calls that are enough for that."},
	{.name = NULL},
};

const struct schema_object schema_outlier = {
	.name = "outlier",
	.size = sizeof(struct config_outlier),
	.keys = outlier_keys,
};

static const struct schema_key degraded_keys[] = {
	{KEY("service", TEXT, config_degraded, service_name), .flags = SCHEMA_REQUIRED,
	 .format = &format_name, .text = "The service that is asked."},
	{KEY("path", TEXT, config_degraded, path), .format = &format_prefix,
	 .text = "In the place of the request's path; without, the same, with its query."},
	{KEY("scopes", TEXTS, config_degraded, scopes), .format = &format_scope,
	 .text = "Scopes that are left to the caller, of those that they have; others are "
		 "not."},
	{KEY("roles", TEXTS, config_degraded, roles), .format = &format_name,
	 .text = "The same of roles."},
	{.name = NULL},
};

static const struct schema_object degraded = {
	.name = "degraded",
	.size = sizeof(struct config_degraded),
	.keys = degraded_keys,
	.has_where = true,
};

static const struct schema_key fallback_keys[] = {
	{KEY("status", COUNT, config_fallback, answer.status), .initial = "200", .min = 200,
	 .max = 599, .text = "A fixed answer: its status code."},
	{KEY("body", TEXT, config_fallback, answer.body), .format = &format_content,
	 .text = "The body itself; or"},
	{KEY("file", FILE, config_fallback, answer.file), .text = "the file that holds it."},
	{KEY("content_type", TEXT, config_fallback, answer.content_type),
	 .format = &format_field_value, .text = "Content-Type; without, by the file's name."},
	{KEY("headers", PAIRS, config_fallback, answer.headers),
	 .text = "Further header fields."},
	{KEY("stale", DURATION, config_fallback, stale_ms), .initial = "0",
	 .text = "Before that: the last good answer to the same GET, this old at most; 0: "
		 "none."},
	{KEY("stale_size", SIZE, config_fallback, stale_bytes), .initial = "16MiB", .min = 4096,
	 .text = "Memory for them."},
	{KEY("stale_answer", SIZE, config_fallback, stale_answer_bytes), .initial = "256KiB",
	 .min = 1, .max = 67108864, .text = "The largest body that is kept."},
	{KEY("service", TEXT, config_fallback, service_name), .format = &format_name,
	 .text = "Between the two: another service, if the request can be sent to it."},
	{KEY("degraded", OPTIONAL, config_fallback, degraded), .object = &degraded,
	 .text = "Or, in its place, another operation with fewer privileges."},
	{KEY("on", FLAGS, config_fallback, on), .initial = "connect reset timeout 502 503 504",
	 .names = schema_retry_names,
	 .text = "Failures that it is for; refusals of breaker and bulkhead always are."},
	{.name = NULL},
};

static void fallback_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	static const char *const fixed[] = {"status",	    "body",    "file",
					    "content_type", "headers", NULL};
	struct config_fallback *fallback = object;

	schema_answer_finish(reader, node, &fallback->answer);
	fallback->has_answer = schema_given(node, fixed) > 0;
	if (fallback->degraded && fallback->service_name.len)
		reader_error(reader, node->where, "give either 'service' or 'degraded'");
	if (!fallback->has_answer && !fallback->stale_ms && !fallback->service_name.len &&
	    !fallback->degraded)
		reader_error(reader, node->where,
			     "give a fixed answer ('status', 'body' or 'file'), 'stale', "
			     "'service' or 'degraded'");
}

const struct schema_object schema_fallback = {
	.name = "fallback",
	.size = sizeof(struct config_fallback),
	.keys = fallback_keys,
	.shorthand = "status",
	.has_where = true,
	.finish = fallback_finish,
};

static const struct schema_key overload_keys[] = {
	{KEY("memory", SIZE, config_overload, memory_bytes), .initial = "0",
	 .text = "Resident memory that is 100 %; 0: the limit of the cgroup, if there is one."},
	{KEY("lag", DURATION, config_overload, lag_ms), .initial = "200ms", .min = 1,
	 .text = "Lag of a worker's event loop that is 100 %."},
	{KEY("queued", COUNT, config_overload, queued), .initial = "10000", .min = 1,
	 .text = "Requests in the queues of all bulkheads, and jobs that wait for threads, "
		 "that are 100 %."},
	{KEY("hysteresis", PERCENT, config_overload, hysteresis_percent), .initial = "10%",
	 .text = "Actions end this much below where they begin."},
	{KEY("fair_share", PERCENT, config_overload, fair_share_percent), .initial = "70%",
	 .text = "Addresses that send most get 503, until there is room again; 0%: never."},
	{KEY("no_keep_alive", PERCENT, config_overload, no_keep_alive_percent),
	 .initial = "75%", .text = "Answers close their connections (HTTP/1); 0%: never."},
	{KEY("short_timeouts", PERCENT, config_overload, short_timeouts_percent),
	 .initial = "80%", .text = "Half of timeout.connect and timeout.request."},
	{KEY("shed_low", PERCENT, config_overload, shed_low_percent), .initial = "85%",
	 .text = "503 for routes of priority low."},
	{KEY("shed_normal", PERCENT, config_overload, shed_normal_percent), .initial = "90%",
	 .text = "And of priority normal."},
	{KEY("refuse", PERCENT, config_overload, refuse_percent), .initial = "95%",
	 .text = "New connections are closed."},
	{.name = NULL},
};

const struct schema_object schema_overload = {
	.name = "overload",
	.size = sizeof(struct config_overload),
	.keys = overload_keys,
};
