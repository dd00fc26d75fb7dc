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

static void run_phases(struct exchange *e)
{
	for (unsigned i = 0; i < PHASE_COUNT; i++) {
		e->phase = (enum phase_id)i;
		if (e->timed)
			e->phase_ns[i] = clock_ns();
		if (phases[i].enter(e) != PHASE_NEXT)
			return;
	}
}

static void finish(struct exchange *e)
{
	int64_t end_ns = clock_ns();

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

void exchange_serve(struct http_exchange *x)
{
	struct worker *worker = x->server->data;
	struct exchange *e = arena_new(&x->arena, struct exchange);

	if (!e) {
		answer_out_of_memory(x);
		return;
	}
	e->x = x;
	e->worker = worker;
	e->view = view_ref(worker->view);
	e->snapshot = e->view->snapshot;
	e->identity = identity_anonymous();
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
