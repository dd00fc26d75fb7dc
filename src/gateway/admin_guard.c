#include "gateway/admin_guard.h"

#include "io/loop.h"
#include "parse/json.h"
#include "parse/json_write.h"
#include "parse/prometheus.h"

static void put_breaker(struct json_writer *w, const struct breaker *breaker)
{
	int64_t now_ms = loop_now_ms();
	struct breaker_figures figures;

	if (!breaker)
		return;
	breaker_read(breaker, now_ms, &figures);
	json_key(w, SPAN("breaker"));
	json_begin_object(w);
	json_member_string(w, SPAN("state"), span_cstr(breaker_state_name(figures.state)));
	json_member_int(w, SPAN("for_ms"), now_ms - figures.since_ms);
	json_member_int(w, SPAN("calls"), figures.calls);
	json_member_int(w, SPAN("failed"), figures.failed);
	json_member_int(w, SPAN("slow"), figures.slow);
	if (figures.state == BREAKER_OPEN)
		json_member_int(w, SPAN("open_for_ms"), figures.open_for_ms);
	if (figures.state == BREAKER_HALF_OPEN)
		json_member_int(w, SPAN("probes"), figures.probes_issued);
	json_member_int(w, SPAN("opened"), (int64_t)figures.opened);
	json_member_int(w, SPAN("refused"), (int64_t)figures.refused);
	json_end_object(w);
}

static void put_bulkhead(struct json_writer *w, const struct bulkhead *bulkhead)
{
	struct bulkhead_figures figures;

	if (!bulkhead)
		return;
	bulkhead_read(bulkhead, &figures);
	json_key(w, SPAN("bulkhead"));
	json_begin_object(w);
	json_member_int(w, SPAN("limit"), figures.limit);
	json_member_int(w, SPAN("in_use"), figures.in_use);
	json_member_int(w, SPAN("queue"), figures.queue);
	json_member_int(w, SPAN("waiting"), figures.waiting);
	json_member_int(w, SPAN("waited"), (int64_t)figures.waited);
	json_member_int(w, SPAN("refused"), (int64_t)(figures.refused + figures.timeouts));
	json_end_object(w);
}

static void put_health(struct json_writer *w, const struct health *health)
{
	struct health_figures figures;

	if (!health)
		return;
	health_read(health, loop_now_ms(), &figures);
	json_key(w, SPAN("health"));
	json_begin_object(w);
	json_member_bool(w, SPAN("up"), figures.up);
	json_member_bool(w, SPAN("ejected"), figures.ejected);
	if (figures.ejected)
		json_member_int(w, SPAN("ejected_for_ms"), figures.ejected_for_ms);
	json_member_int(w, SPAN("checks"), (int64_t)figures.checks);
	json_member_int(w, SPAN("failed_checks"), (int64_t)figures.failed_checks);
	json_member_int(w, SPAN("ejections"), (int64_t)figures.ejections);
	json_end_object(w);
}

static void put_service(struct json_writer *w, const struct snapshot_service *service)
{
	const struct guard_service *guard = service->guard;

	json_begin_object(w);
	json_member_string(w, SPAN("name"), service->config->name);
	if (guard) {
		put_breaker(w, guard->breaker);
		put_bulkhead(w, guard->bulkhead);
	}
	json_key(w, SPAN("endpoints"));
	json_begin_array(w);
	for (size_t i = 0; i < service->endpoints.count; i++) {
		json_begin_object(w);
		json_member_string(w, SPAN("url"), service->endpoints.at[i].url);
		if (service->endpoints.at[i].priority)
			json_member_int(w, SPAN("priority"), service->endpoints.at[i].priority);
		if (guard) {
			put_health(w, guard->endpoints[i].health);
			put_breaker(w, guard->endpoints[i].breaker);
		}
		json_end_object(w);
	}
	json_end_array(w);
	json_end_object(w);
}

static void put_operation(struct json_writer *w, const struct snapshot_route *route)
{
	json_begin_object(w);
	json_member_string(w, SPAN("operation"), route->config->operation);
	put_bulkhead(w, route->bulkhead);
	json_end_object(w);
}

static void put_overload(struct json_writer *w, const struct gateway_shared *shared)
{
	uint32_t actions = atomic_load_explicit(&shared->overload, memory_order_relaxed);

	json_key(w, SPAN("overload"));
	json_begin_object(w);
	for (unsigned i = 0; i < OVERLOAD_RESOURCES; i++)
		json_member_int(
			w, span_cstr(overload_resource_name((enum overload_resource)i)),
			atomic_load_explicit(&shared->pressure[i], memory_order_relaxed));
	json_key(w, SPAN("actions"));
	json_begin_array(w);
	for (unsigned i = 0; i < OVERLOAD_ACTIONS; i++)
		if (actions & OVERLOAD_BIT(i))
			json_put_string(
				w, span_cstr(overload_action_name((enum overload_action)i)));
	json_end_array(w);
	json_end_object(w);
}

void admin_guard_overload_metrics(const struct gateway_shared *shared, struct buf *out)
{
	uint32_t actions = atomic_load_explicit(&shared->overload, memory_order_relaxed);

	prometheus_head(out, "sallyport_overload_pressure", "gauge",
			"Percent of a resource in use.");
	for (unsigned i = 0; i < OVERLOAD_RESOURCES; i++)
		buf_printf(out, "sallyport_overload_pressure{resource=\"%s\"} %u\n",
			   overload_resource_name((enum overload_resource)i),
			   atomic_load_explicit(&shared->pressure[i], memory_order_relaxed));
	prometheus_head(out, "sallyport_overload_action", "gauge", "1: in force.");
	for (unsigned i = 0; i < OVERLOAD_ACTIONS; i++)
		buf_printf(out, "sallyport_overload_action{action=\"%s\"} %d\n",
			   overload_action_name((enum overload_action)i),
			   !!(actions & OVERLOAD_BIT(i)));
}

void admin_guard_print(const struct snapshot *snapshot, const struct gateway_shared *shared,
		       struct buf *out)
{
	const struct config *cfg = snapshot->config;
	struct json_writer w;

	json_writer_init(&w, out);
	json_begin_object(&w);
	json_key(&w, SPAN("services"));
	json_begin_array(&w);
	for (size_t i = 0; i < cfg->services.count; i++)
		put_service(&w, &snapshot->services[i]);
	json_end_array(&w);
	json_key(&w, SPAN("operations"));
	json_begin_array(&w);
	for (size_t i = 0; i < cfg->routes.count; i++)
		if (snapshot->routes[i].bulkhead)
			put_operation(&w, &snapshot->routes[i]);
	json_end_array(&w);
	put_overload(&w, shared);
	json_end_object(&w);
	buf_append_byte(out, '\n');
}

/* --- metrics --- */

static void put_value(struct buf *out, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '"' || text.ptr[i] == '\\')
			buf_append_byte(out, '\\');
		buf_append_byte(out, text.ptr[i] == '\n' ? ' ' : text.ptr[i]);
	}
}

struct part { /* of a service: what a line of metrics is about */
	const struct guard_service *guard;
	const struct breaker *breaker;
	const struct bulkhead *bulkhead;
	const struct health *health;
	struct span service, endpoint, operation;
};

typedef bool part_value(const struct part *part, uint64_t *value);

static void print_part(struct buf *out, const char *name, part_value *value,
		       const struct part *part)
{
	uint64_t number;

	if (!value(part, &number))
		return;
	buf_printf(out, "%s{service=\"", name);
	put_value(out, part->service);
	if (part->endpoint.len) {
		buf_append_cstr(out, "\",endpoint=\"");
		put_value(out, part->endpoint);
	}
	if (part->operation.len) {
		buf_append_cstr(out, "\",operation=\"");
		put_value(out, part->operation);
	}
	buf_printf(out, "\"} %llu\n", (unsigned long long)number);
}

static void print_service_parts(struct buf *out, const char *name, part_value *value,
				const struct guard_service *guard)
{
	struct part part = {.guard = guard,
			    .breaker = guard->breaker,
			    .bulkhead = guard->bulkhead,
			    .service = guard->config->name};

	print_part(out, name, value, &part);
	for (size_t i = 0; i < guard->endpoint_count; i++) {
		part = (struct part){.guard = guard,
				     .breaker = guard->endpoints[i].breaker,
				     .health = guard->endpoints[i].health,
				     .service = guard->config->name,
				     .endpoint = guard->endpoints[i].url};
		print_part(out, name, value, &part);
	}
}

static void print_metric(struct buf *out, const struct snapshot *snapshot, const char *name,
			 const char *type, const char *help, part_value *value)
{
	const struct config *cfg = snapshot->config;

	prometheus_head(out, name, type, help);
	for (size_t i = 0; i < cfg->services.count; i++)
		if (snapshot->services[i].guard)
			print_service_parts(out, name, value, snapshot->services[i].guard);
	for (size_t i = 0; i < cfg->routes.count; i++) {
		struct part part = {.bulkhead = snapshot->routes[i].bulkhead,
				    .service = cfg->routes.at[i].service_name,
				    .operation = cfg->routes.at[i].operation};

		print_part(out, name, value, &part);
	}
}

static bool breaker_figures_of(const struct part *part, struct breaker_figures *figures)
{
	if (part->breaker)
		breaker_read(part->breaker, loop_now_ms(), figures);
	return part->breaker != NULL;
}

static bool breaker_state_value(const struct part *part, uint64_t *value)
{
	struct breaker_figures figures;

	if (!breaker_figures_of(part, &figures))
		return false;
	*value = (uint64_t)figures.state;
	return true;
}

static bool breaker_refused_value(const struct part *part, uint64_t *value)
{
	struct breaker_figures figures;

	if (!breaker_figures_of(part, &figures))
		return false;
	*value = figures.refused;
	return true;
}

static bool breaker_opened_value(const struct part *part, uint64_t *value)
{
	struct breaker_figures figures;

	if (!breaker_figures_of(part, &figures))
		return false;
	*value = figures.opened;
	return true;
}

static bool bulkhead_figures_of(const struct part *part, struct bulkhead_figures *figures)
{
	if (part->bulkhead)
		bulkhead_read(part->bulkhead, figures);
	return part->bulkhead != NULL;
}

static bool bulkhead_limit_value(const struct part *part, uint64_t *value)
{
	struct bulkhead_figures figures;

	if (!bulkhead_figures_of(part, &figures))
		return false;
	*value = figures.limit;
	return true;
}

static bool bulkhead_in_use_value(const struct part *part, uint64_t *value)
{
	struct bulkhead_figures figures;

	if (!bulkhead_figures_of(part, &figures))
		return false;
	*value = figures.in_use;
	return true;
}

static bool bulkhead_waiting_value(const struct part *part, uint64_t *value)
{
	struct bulkhead_figures figures;

	if (!bulkhead_figures_of(part, &figures))
		return false;
	*value = figures.waiting;
	return true;
}

static bool bulkhead_refused_value(const struct part *part, uint64_t *value)
{
	struct bulkhead_figures figures;

	if (!bulkhead_figures_of(part, &figures))
		return false;
	*value = figures.refused + figures.timeouts;
	return true;
}

static bool health_well_value(const struct part *part, uint64_t *value)
{
	struct health_figures figures;

	if (!part->health)
		return false;
	health_read(part->health, loop_now_ms(), &figures);
	*value = figures.up && !figures.ejected;
	return true;
}

static bool health_failed_value(const struct part *part, uint64_t *value)
{
	struct health_figures figures;

	if (!part->health)
		return false;
	health_read(part->health, loop_now_ms(), &figures);
	*value = figures.failed_checks;
	return true;
}

static bool health_ejections_value(const struct part *part, uint64_t *value)
{
	struct health_figures figures;

	if (!part->health)
		return false;
	health_read(part->health, loop_now_ms(), &figures);
	*value = figures.ejections;
	return true;
}

void admin_guard_metrics(const struct snapshot *snapshot, struct buf *out)
{
	static const struct {
		const char *name, *type, *help;
		part_value *value;
	} metrics[] = {
		{"sallyport_breaker_state", "gauge",
		 "0 closed, 1 open, 2 half-open, 3 forced open, 4 forced closed, 5 disabled.",
		 breaker_state_value},
		{"sallyport_breaker_opened_total", "counter", "Times a breaker has opened.",
		 breaker_opened_value},
		{"sallyport_breaker_refused_total", "counter", "Calls a breaker has refused.",
		 breaker_refused_value},
		{"sallyport_bulkhead_limit", "gauge", "Calls that may be in progress.",
		 bulkhead_limit_value},
		{"sallyport_bulkhead_in_use", "gauge", "Calls in progress.",
		 bulkhead_in_use_value},
		{"sallyport_bulkhead_waiting", "gauge", "Calls that wait for a place.",
		 bulkhead_waiting_value},
		{"sallyport_bulkhead_refused_total", "counter",
		 "Calls that got no place, at once or after waiting.", bulkhead_refused_value},
		{"sallyport_endpoint_well", "gauge", "1: up by active checks, and not ejected.",
		 health_well_value},
		{"sallyport_endpoint_failed_checks_total", "counter",
		 "Active checks that failed.", health_failed_value},
		{"sallyport_endpoint_ejections_total", "counter",
		 "Times an endpoint was ejected for failing calls.", health_ejections_value},
	};

	for (size_t i = 0; i < COUNT_OF(metrics); i++)
		print_metric(out, snapshot, metrics[i].name, metrics[i].type, metrics[i].help,
			     metrics[i].value);
}

/* --- actions --- */

static struct breaker *find_breaker(const struct snapshot *snapshot, struct span name,
				    struct span endpoint, bool *service_found)
{
	for (size_t i = 0; i < snapshot->config->services.count; i++) {
		const struct snapshot_service *service = &snapshot->services[i];

		if (!span_eq(service->config->name, name))
			continue;
		*service_found = true;
		if (!service->guard)
			return NULL;
		if (!endpoint.len)
			return service->guard->breaker;
		for (size_t j = 0; j < service->guard->endpoint_count; j++)
			if (span_eq(service->guard->endpoints[j].url, endpoint))
				return service->guard->endpoints[j].breaker;
	}
	return NULL;
}

unsigned admin_guard_act(const struct snapshot *snapshot, struct span path, struct span body,
			 struct arena *arena, const char **why, struct span *what)
{
	static const struct span prefix = SPAN_INIT("/services/"),
				 suffix = SPAN_INIT("/breaker");
	struct span name, state_name = SPAN_NONE, endpoint = SPAN_NONE;
	enum breaker_state state;
	const struct json *json;
	struct breaker *breaker;
	bool found = false;

	*why = "there is no such action";
	if (!span_starts_with(path, prefix) || !span_ends_with(path, suffix) ||
	    path.len < prefix.len + suffix.len)
		return 404;
	name = span_slice(path, prefix.len, path.len - suffix.len);
	json = json_parse(arena, body, NULL, NULL);
	*why = "expected {\\\"state\\\": one of closed, open, forced_open, forced_closed, "
	       "disabled}";
	if (!json_string(json_get(json, SPAN("state")), &state_name) ||
	    !breaker_state_from_name(state_name.ptr, state_name.len, &state) ||
	    state == BREAKER_HALF_OPEN)
		return 422;
	(void)json_string(json_get(json, SPAN("endpoint")), &endpoint);
	breaker = find_breaker(snapshot, name, endpoint, &found);
	*why = found ? "it has no such breaker" : "there is no such service";
	if (!breaker)
		return 404;
	breaker_force(breaker, state, loop_now_ms());
	*what = arena_printf(arena,
			     ",\"service\":\"%.*s\",\"endpoint\":\"%.*s\",\"state\":\"%s\"",
			     SPAN_ARG(name), SPAN_ARG(endpoint), breaker_state_name(state));
	return 200;
}
