#include "gateway/procedure_service.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/procedure_steps.h"
#include "guard/procedure.h"
#include "io/offload.h"
#include "parse/json_write.h"
#include "parse/prometheus.h"

#define PERIOD_MS 1000
#define MAIL_THREADS 1
#define MAIL_QUEUE_MAX 64

/* A procedure of the current snapshot. */
struct run {
	struct procedure procedure;
	struct tally_window window;
	struct guard_service *guard;
	uint64_t episodes; /* times that it began, since the start */
};

struct procedure_service {
	struct procedure_context context;
	struct snapshot *snapshot; /* NULL: none yet */
	struct run *runs;
	size_t count;
	struct timer timer;
	bool stopped;
};

/* ---- looking --------------------------------------------------------------------------------- */

static uint32_t healthy_percent(const struct guard_service *guard, int64_t now_ms)
{
	size_t count = guard->endpoint_count, well = 0;

	for (size_t i = 0; i < count; i++) {
		const struct guard_endpoint *endpoint = &guard->endpoints[i];

		well += (!endpoint->health || health_is_well(endpoint->health, now_ms)) &&
			(!endpoint->breaker || breaker_would_allow(endpoint->breaker, now_ms));
	}
	/* A service that has not been found anywhere is not well. */
	return count ? (uint32_t)(well * 100 / count) : 0;
}

static struct procedure_sample sample_of(const struct guard_service *guard, int64_t now_ms)
{
	struct procedure_sample sample = {.breaker_closed = true,
					  .healthy_percent = healthy_percent(guard, now_ms)};
	struct breaker_figures figures;
	const struct breaker *breaker = guard->breaker;

	/* Of `scope: endpoint` there is none for the service: it is open when all of them are. */
	if (!breaker && !guard->endpoint_count)
		return sample;
	if (!breaker) {
		for (size_t i = 0; guard->config->breaker && i < guard->endpoint_count; i++) {
			if (!guard->endpoints[i].breaker ||
			    breaker_would_allow(guard->endpoints[i].breaker, now_ms))
				return sample;
		}
		sample.breaker_closed = !guard->config->breaker;
		sample.breaker_refuses = !sample.breaker_closed;
		return sample;
	}
	breaker_read(breaker, now_ms, &figures);
	sample.breaker_closed = figures.state == BREAKER_CLOSED ||
				figures.state == BREAKER_FORCED_CLOSED ||
				figures.state == BREAKER_DISABLED;
	sample.breaker_refuses = figures.state == BREAKER_FORCED_OPEN ||
				 (figures.state == BREAKER_OPEN && figures.open_for_ms > 0);
	return sample;
}

static uint32_t conditions_that_hold(const struct run *run, int64_t now_ms)
{
	const struct config_procedure *config = run->procedure.config;
	struct procedure_sample sample = sample_of(run->guard, now_ms);
	uint32_t holds = 0;

	for (unsigned i = 0; i < config->when.count; i++)
		if (procedure_holds(&run->procedure, &config->when.at[i], &sample,
				    &run->window))
			holds |= 1u << i;
	return holds;
}

/* In words, for people. */
static void describe_cause(const struct run *run, char *to, size_t size)
{
	const struct config_procedure_condition *c =
		&run->procedure.config->when.at[run->procedure.cause];
	struct tally_figures figures =
		tally_window_read(&run->window, (unsigned)(c->window_ms / 1000));
	struct procedure_sample sample = sample_of(run->guard, loop_now_ms());

	if (c->breaker == CONFIG_PROCEDURE_BREAKER_OPEN)
		snprintf(to, size, "the breaker is not closed, for %llu ms",
			 (unsigned long long)c->for_ms);
	else if (c->healthy_percent)
		snprintf(to, size, "%u%% of the endpoints are well", sample.healthy_percent);
	else if (c->latency_ms)
		snprintf(to, size, "percentile %u of %llu calls took %lld ms", c->percentile,
			 (unsigned long long)figures.calls,
			 (long long)tally_percentile_ms(&figures, c->percentile));
	else
		snprintf(to, size, "%llu of %llu calls failed",
			 (unsigned long long)figures.failed, (unsigned long long)figures.calls);
}

static void note_event(struct procedure_service *service, struct run *run,
		       enum procedure_event event)
{
	const struct procedure *p = &run->procedure;
	char detail[160] = "";

	switch (event) {
	case PROCEDURE_NOTHING: return;
	case PROCEDURE_BEGAN:
		run->episodes++;
		describe_cause(run, detail, sizeof(detail));
		break;
	case PROCEDURE_CANARY_BEGAN:
		/* What was counted before says nothing about how it is now. */
		tally_window_reset(&run->window, run->guard->tally);
		snprintf(detail, sizeof(detail), "%u%% of the requests",
			 p->config->recovery.canary_percent);
		break;
	case PROCEDURE_RAMP_BEGAN:
		snprintf(detail, sizeof(detail), "to all requests in %llu ms",
			 (unsigned long long)p->config->recovery.ramp_ms);
		break;
	case PROCEDURE_RELAPSED: snprintf(detail, sizeof(detail), "%u", p->relapses); break;
	case PROCEDURE_RECOVERED:
		snprintf(detail, sizeof(detail), "after %lld s",
			 (long long)(loop_now_ms() - p->begun_ms) / 1000);
		break;
	}
	procedure_note(&service->context, p->config, procedure_event_name(event), detail);
	procedure_tell_hooks(&service->context, p, event, detail);
}

static void look(struct procedure_service *service, struct run *run, int64_t now_ms)
{
	struct procedure_change change;

	tally_window_look(&run->window, run->guard->tally);
	change = procedure_look(&run->procedure, conditions_that_hold(run, now_ms), now_ms);
	note_event(service, run, change.event);
	for (unsigned i = 0; i < run->procedure.config->steps.count; i++)
		if (change.steps & (1u << i))
			procedure_start_step(&service->context, service->snapshot,
					     run->procedure.config, i);
}

static void set_control(const struct procedure_service *service, const struct run *run,
			int64_t now_ms)
{
	struct tally_control control = procedure_control(&run->procedure, now_ms);

	for (size_t i = 0; i < service->count; i++)
		if (&service->runs[i] != run && service->runs[i].guard == run->guard)
			control = procedure_control_both(
				control,
				procedure_control(&service->runs[i].procedure, now_ms));
	tally_set(run->guard->tally, control);
}

static void on_timer(struct timer *timer)
{
	struct procedure_service *service =
		CONTAINER_OF(timer, struct procedure_service, timer);
	int64_t now_ms = loop_now_ms();

	for (size_t i = 0; i < service->count; i++)
		look(service, &service->runs[i], now_ms);
	for (size_t i = 0; i < service->count; i++)
		set_control(service, &service->runs[i], now_ms);
	timer_set(timer, loop_deadline_ms(PERIOD_MS));
}

/* ---- snapshots ------------------------------------------------------------------------------- */

static bool same_condition(const struct config_procedure_condition *a,
			   const struct config_procedure_condition *b)
{
	return a->breaker == b->breaker && a->error_percent == b->error_percent &&
	       a->latency_ms == b->latency_ms && a->percentile == b->percentile &&
	       a->healthy_percent == b->healthy_percent && a->minimum == b->minimum &&
	       a->window_ms == b->window_ms && a->for_ms == b->for_ms;
}

static bool same_step(const struct config_procedure_step *a,
		      const struct config_procedure_step *b)
{
	bool same = span_eq(a->notify, b->notify) && span_eq(a->page, b->page) &&
		    a->severity == b->severity && a->after_ms == b->after_ms &&
		    span_eq(a->shift_name, b->shift_name) &&
		    a->share_percent == b->share_percent && a->shed == b->shed &&
		    a->fallback == b->fallback && a->mail.count == b->mail.count &&
		    a->run.count == b->run.count;

	for (size_t i = 0; same && i < a->mail.count; i++)
		same = span_eq(a->mail.at[i], b->mail.at[i]);
	for (size_t i = 0; same && i < a->run.count; i++)
		same = span_eq(a->run.at[i], b->run.at[i]);
	return same;
}

/* Whether what is going on by one can go on by the other. */
static bool same_procedure(const struct config_procedure *a, const struct config_procedure *b)
{
	bool same = span_eq(a->name, b->name) && span_eq(a->service_name, b->service_name) &&
		    a->when.count == b->when.count && a->steps.count == b->steps.count;

	for (size_t i = 0; same && i < a->when.count; i++)
		same = same_condition(&a->when.at[i], &b->when.at[i]);
	for (size_t i = 0; same && i < a->steps.count; i++)
		same = same_step(&a->steps.at[i], &b->steps.at[i]);
	return same;
}

static void begin_run(struct run *run, const struct procedure_service *service,
		      const struct snapshot *snapshot, const struct config_procedure *config)
{
	run->guard = snapshot->services[config->service->index].guard;
	procedure_init(&run->procedure, config, loop_now_ms());
	tally_window_reset(&run->window, run->guard->tally);
	for (size_t i = 0; i < service->count; i++) {
		const struct run *before = &service->runs[i];

		if (!span_eq(before->procedure.config->name, config->name))
			continue;
		run->episodes = before->episodes;
		if (before->guard->tally == run->guard->tally)
			run->window = before->window;
		if (!same_procedure(before->procedure.config, config))
			continue;
		run->procedure = before->procedure;
		run->procedure.config = config;
	}
}

int procedure_service_use(struct procedure_service *service, struct snapshot *snapshot,
			  struct webhook_service *webhooks, struct err *err)
{
	const struct config *cfg = snapshot->config;
	struct snapshot *old = service->snapshot;
	struct run *runs = mem_zalloc(cfg->procedures.count + 1, sizeof(*runs));

	if (!runs)
		return err_set(err, ERR_MEMORY, "no memory for procedures");
	for (size_t i = 0; i < cfg->procedures.count; i++)
		begin_run(&runs[i], service, snapshot, &cfg->procedures.at[i]);
	mem_free(service->runs);
	service->runs = runs;
	service->count = cfg->procedures.count;
	service->snapshot = snapshot_ref(snapshot);
	service->context.webhooks = webhooks;
	snapshot_unref(old);
	for (size_t i = 0; i < service->count; i++)
		set_control(service, &service->runs[i], loop_now_ms());
	/* One that runs goes on: endpoints may change more often than it fires. */
	if (!service->count)
		timer_clear(&service->timer);
	else if (!service->timer.armed && !service->stopped)
		timer_set(&service->timer, loop_deadline_ms(PERIOD_MS));
	return 0;
}

struct procedure_service *procedure_service_new(const struct procedure_options *options,
						struct err *err)
{
	struct procedure_service *service = mem_zalloc(1, sizeof(*service));

	if (!service) {
		err_set(err, ERR_MEMORY, "no memory for procedures");
		return NULL;
	}
	service->context.audit_log = options->audit_log;
	service->context.commands = options->commands;
	service->context.timeline = options->timeline;
	timer_init(&service->timer, on_timer);
	service->context.threads = offload_new("mail", MAIL_THREADS, MAIL_QUEUE_MAX, err);
	if (service->context.threads)
		return service;
	mem_free(service);
	return NULL;
}

void procedure_service_stop(struct procedure_service *service)
{
	if (!service)
		return;
	service->stopped = true;
	timer_clear(&service->timer);
	procedure_cancel_steps(&service->context);
}

void procedure_service_free(struct procedure_service *service)
{
	if (!service)
		return;
	offload_free(service->context.threads);
	snapshot_unref(service->snapshot);
	mem_free(service->runs);
	mem_free(service);
}

/* ---- what is said of it ---------------------------------------------------------------------- */

static void put_run(struct json_writer *w, const struct run *run)
{
	const struct procedure *p = &run->procedure;
	struct tally_control control = procedure_control(p, loop_now_ms());

	json_begin_object(w);
	json_member_string(w, SPAN("name"), p->config->name);
	json_member_string(w, SPAN("service"), p->config->service_name);
	json_member_string(w, SPAN("state"), span_cstr(procedure_state_name(p->state)));
	json_member_int(w, SPAN("for_ms"), loop_now_ms() - p->since_ms);
	json_member_int(w, SPAN("episodes"), (int64_t)run->episodes);
	json_member_int(w, SPAN("relapses"), p->relapses);
	json_member_int(w, SPAN("withheld_percent"), control.withheld_percent);
	json_member_int(w, SPAN("shed"), control.shed);
	json_key(w, SPAN("holding"));
	json_begin_array(w);
	for (unsigned i = 0; i < p->config->when.count; i++)
		if (p->holding & (1u << i))
			json_put_int(w, i);
	json_end_array(w);
	json_key(w, SPAN("steps"));
	json_begin_array(w);
	for (unsigned i = 0; p->state != PROCEDURE_WATCHING && i < p->config->steps.count; i++)
		if (p->started & (1u << i))
			json_put_string(
				w, span_cstr(procedure_step_name(&p->config->steps.at[i])));
	json_end_array(w);
	json_end_object(w);
}

void procedure_service_print(const struct procedure_service *service, struct buf *out)
{
	struct json_writer w;

	json_writer_init(&w, out);
	json_begin_object(&w);
	json_key(&w, SPAN("procedures"));
	json_begin_array(&w);
	for (size_t i = 0; i < service->count; i++)
		put_run(&w, &service->runs[i]);
	json_end_array(&w);
	json_end_object(&w);
	buf_append_byte(out, '\n');
}

void procedure_service_metrics(const struct procedure_service *service, struct buf *out)
{
	if (!service->count)
		return;
	prometheus_head(out, "sallyport_procedure_state", "gauge",
			"0 watching, 1 active, 2 canary, 3 ramp.");
	for (size_t i = 0; i < service->count; i++)
		buf_printf(out, "sallyport_procedure_state{procedure=\"%.*s\"} %d\n",
			   SPAN_ARG(service->runs[i].procedure.config->name),
			   (int)service->runs[i].procedure.state);
	prometheus_head(out, "sallyport_procedure_episodes_total", "counter",
			"Times it has begun.");
	for (size_t i = 0; i < service->count; i++)
		buf_printf(out, "sallyport_procedure_episodes_total{procedure=\"%.*s\"} %llu\n",
			   SPAN_ARG(service->runs[i].procedure.config->name),
			   (unsigned long long)service->runs[i].episodes);
}
