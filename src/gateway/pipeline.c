#include "gateway/pipeline.h"

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/access_log.h"
#include "gateway/audit.h"
#include "gateway/inspect.h"
#include "gateway/ips.h"
#include "gateway/protect.h"
#include "gateway/validate.h"

static const struct phase phases[PHASE_COUNT] = {
	[PHASE_ADMIT] = {"admit", phase_admit},
	[PHASE_ROUTE] = {"route", phase_route},
	[PHASE_AUTHENTICATE] = {"authenticate", phase_authenticate},
	[PHASE_AUTHORIZE] = {"authorize", phase_authorize},
	[PHASE_LIMIT] = {"limit", phase_limit},
	[PHASE_VALIDATE] = {"validate", phase_validate},
	[PHASE_INSPECT] = {"inspect", phase_inspect},
	[PHASE_APPROVE] = {"approve", phase_approve},
	[PHASE_PROTECT] = {"protect", phase_protect},
	[PHASE_FORWARD] = {"forward", phase_forward},
};

const char *phase_name(enum phase_id id)
{
	return id < PHASE_COUNT ? phases[id].name : "none";
}

void exchange_add_field(struct exchange *e, struct span name, struct span value)
{
	if (e->extra_count == COUNT_OF(e->extra))
		return;
	e->extra[e->extra_count++] = (struct http_field){name, value, http_field_lookup(name)};
}

#define PHASE_BIT(id) ((uint32_t)1 << (id))

/* Each of these phases begins with the same question, and would go on at once. */
uint32_t pipeline_idle_phases(const struct snapshot *s, const struct snapshot_route *route)
{
	const struct config_service *service = route->config->service;
	bool contract = service && s->services[service->index].contract;
	uint32_t idle = 0;

	if (!access_rule_wants_identity(route->access)) {
		idle |= PHASE_BIT(PHASE_AUTHENTICATE);
		/* Clients that are banned are told so there. */
		if (!s->ips)
			idle |= PHASE_BIT(PHASE_AUTHORIZE);
	}
	if (route->config->waf == CONFIG_WAF_MODE_OFF)
		idle |= PHASE_BIT(PHASE_INSPECT);
	/* Only while there is too much to do: see run_phases. */
	if (!route->guard && !route->bulkhead)
		idle |= PHASE_BIT(PHASE_PROTECT);
	if (contract)
		return idle;
	/* Without a contract no operation is known that could have rules of its own. */
	idle |= PHASE_BIT(PHASE_VALIDATE);
	if (!route->limit_count)
		idle |= PHASE_BIT(PHASE_LIMIT);
	if (!route->sensitive)
		idle |= PHASE_BIT(PHASE_APPROVE);
	return idle;
}

/* The time of each phase is told, so each is entered. */
static void run_timed_phases(struct exchange *e)
{
	for (unsigned i = 0; i < PHASE_COUNT; i++) {
		e->phase = (enum phase_id)i;
		e->phase_ns[i] = clock_ns();
		if (phases[i].enter(e) != PHASE_NEXT)
			return;
	}
}

HOT static enum phase_result enter(struct exchange *e, enum phase_id id)
{
	e->phase = id;
	return phases[id].enter(e);
}

HOT static void run_phases(struct exchange *e)
{
	uint32_t left, idle;

	if (e->timed) {
		run_timed_phases(e);
		return;
	}
	if (enter(e, PHASE_ADMIT) != PHASE_NEXT || enter(e, PHASE_ROUTE) != PHASE_NEXT)
		return;
	idle = e->route->idle_phases;
	if (UNLIKELY(e->overload != 0))
		idle &= ~PHASE_BIT(PHASE_PROTECT);
	left = (PHASE_BIT(PHASE_COUNT) - PHASE_BIT(PHASE_AUTHENTICATE)) & ~idle;
	for (; left; left &= left - 1)
		if (enter(e, (enum phase_id)__builtin_ctz(left)) != PHASE_NEXT)
			return;
}

/*
 * A service's answer that was only passed on ended in the round of the loop that brought its last
 * bytes: then the clock need not be read again.
 */
static int64_t end_of(const struct exchange *e)
{
	if (LIKELY(e->attempts && !e->timed && !e->operation && !e->route->waf))
		return loop_round_ns();
	return clock_ns();
}

HOT static void finish(struct exchange *e)
{
	int64_t end_ns = end_of(e);

	if (UNLIKELY(e->inspection != NULL))
		inspect_end(e);
	if (e->protection)
		protect_end(e);
	if (UNLIKELY(e->snapshot->ips))
		ips_note(e);
	metrics_record(e->worker->metrics, e, end_ns);
	if (e->worker->shared->access_log)
		access_log_write(e->worker->shared->access_log, e, end_ns);
	if (e->worker->shared->audit_log && e->reason)
		audit_exchange(e->worker->shared->audit_log, e);
	validate_finish(e);
	spool_release(e);
	identity_unref(e->reduced);
	identity_unref(e->identity_held);
	view_unref(e->view);
}

static void answer_out_of_memory(struct http_exchange *x)
{
	static const struct http_field retry = {SPAN_INIT("retry-after"), SPAN_INIT("1"),
						HTTP_FIELD_RETRY_AFTER};
	static const struct http_response response = {
		.status = 503, .fields = &retry, .field_count = 1};

	http_respond(x, &response, SPAN_NONE, loop_deadline_ms(1000));
}

HOT void exchange_serve(struct http_exchange *x)
{
	struct worker *worker = x->server->data;
	struct exchange *e = arena_alloc(&x->arena, sizeof(*e));

	if (!e) {
		answer_out_of_memory(x);
		return;
	}
	memset(e, 0, offsetof(struct exchange, id));
	e->x = x;
	e->worker = worker;
	e->view = view_ref(worker->view);
	e->snapshot = e->view->snapshot;
	e->identity = identity_anonymous();
	e->metrics = &worker->metrics->unrouted;
	e->now_ns = x->start_ns;
	e->deadline_ms = FIBER_FOREVER;
	e->timed = worker->shared->access_log != NULL;
	e->overload = atomic_load_explicit(&worker->shared->overload, memory_order_relaxed);
	if (UNLIKELY(e->overload & OVERLOAD_BIT(OVERLOAD_NO_KEEP_ALIVE)))
		x->close_after = true;
	x->data = e;
	run_phases(e);
	finish(e);
}
