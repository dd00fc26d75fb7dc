/* protect: is the service well enough, and is there room at it? */
#include "base/clock.h"
#include "base/hash.h"
#include "gateway/fallback.h"
#include "gateway/protect.h"

static int64_t seconds_up(int64_t ms)
{
	return ms > 1000 ? (ms + 999) / 1000 : 1;
}

enum phase_result protect_refuse(struct exchange *e, const char *reason, const char *type,
				 int64_t retry_after_ms)
{
	enum phase_result result;

	e->reason = reason;
	if (fallback_try(e, true, &result))
		return result;
	exchange_add_field(
		e, SPAN("retry-after"),
		arena_printf(&e->x->arena, "%lld", (long long)seconds_up(retry_after_ms)));
	return answer_problem(e, 503, type, NULL);
}

static enum phase_result refuse_open(struct exchange *e, int64_t retry_after_ms)
{
	return protect_refuse(e, "breaker_open", "breaker-open", retry_after_ms);
}

/* Whose turn it is in a queue. */
static uint64_t user_of(const struct exchange *e)
{
	if (e->identity->user_hash)
		return e->identity->user_hash;
	if (e->identity->client_hash)
		return e->identity->client_hash;
	return hash_span(span_of(e->client.bytes, sizeof(e->client.bytes)));
}

static enum guard_class class_of(const struct exchange *e)
{
	switch (e->route->config->priority) {
	case CONFIG_PRIORITY_CORE: return GUARD_CLASS_CORE;
	case CONFIG_PRIORITY_LOW: return GUARD_CLASS_LOW;
	case CONFIG_PRIORITY_NORMAL: break;
	}
	return GUARD_CLASS_NORMAL;
}

static enum bulkhead_result enter(struct exchange *e, struct bulkhead *bulkhead)
{
	_Atomic uint64_t *waiting = &e->worker->shared->waiting;
	enum bulkhead_result result;

	if (bulkhead_try(bulkhead))
		return BULKHEAD_ENTERED;
	atomic_fetch_add_explicit(waiting, 1, memory_order_relaxed);
	result = bulkhead_enter(bulkhead, class_of(e), user_of(e), e->deadline_ms);
	atomic_fetch_sub_explicit(waiting, 1, memory_order_relaxed);
	return result;
}

/* PHASE_NEXT with a place in each, or the answer. */
static enum phase_result enter_all(struct exchange *e, struct protection *p)
{
	struct bulkhead *bulkheads[2] = {e->route->bulkhead,
					 p->guard ? p->guard->bulkhead : NULL};

	for (unsigned i = 0; i < 2; i++) {
		if (!bulkheads[i])
			continue;
		switch (enter(e, bulkheads[i])) {
		case BULKHEAD_ENTERED: break;
		case BULKHEAD_FULL:
		case BULKHEAD_TIMEOUT:
			return protect_refuse(e, "bulkhead_full", "bulkhead-full", 0);
		case BULKHEAD_CANCELLED: e->reason = "client_gone"; return PHASE_GONE;
		}
		p->held[i] = bulkheads[i];
		if (bulkhead_is_adaptive(bulkheads[i]))
			p->entered_ns = clock_ns();
	}
	return PHASE_NEXT;
}

static enum phase_result protect(struct exchange *e, const struct guard_service *guard)
{
	struct breaker *breaker = guard ? guard->breaker : NULL;
	struct protection *p = arena_new(&e->x->arena, struct protection);
	enum phase_result result;
	int64_t wait_ms;

	if (!p)
		return answer_problem(e, 503, "out-of-memory", NULL);
	p->guard = guard;
	p->latency_us = -1;
	e->protection = p;
	/* No use in waiting for a place at a service that will not be asked. */
	if (breaker && !breaker_would_allow(breaker, loop_now_ms())) {
		struct breaker_figures figures;

		breaker_read(breaker, loop_now_ms(), &figures);
		breaker_count_refusal(breaker);
		return refuse_open(e, figures.open_for_ms);
	}
	result = enter_all(e, p);
	if (result != PHASE_NEXT)
		return result;
	p->entered_ms = loop_now_ms();
	if (breaker && !breaker_acquire(breaker, p->entered_ms, &p->permit, &wait_ms))
		return refuse_open(e, wait_ms);
	p->entered = true;
	return PHASE_NEXT;
}

/* Each class is shed from its own pressure on; core never is. */
static bool is_shed(const struct exchange *e)
{
	switch (e->route->config->priority) {
	case CONFIG_PRIORITY_LOW: return e->overload & OVERLOAD_BIT(OVERLOAD_SHED_LOW);
	case CONFIG_PRIORITY_NORMAL: return e->overload & OVERLOAD_BIT(OVERLOAD_SHED_NORMAL);
	case CONFIG_PRIORITY_CORE: break;
	}
	return false;
}

/* What procedures have decided about the service. PHASE_NEXT: ask it, or e->alternate. */
static enum phase_result follow_procedures(struct exchange *e, const struct tally *tally)
{
	struct tally_control control = tally_get(tally);
	enum config_priority priority = e->route->config->priority;

	if ((control.shed >= CONFIG_SHED_LOW && priority == CONFIG_PRIORITY_LOW) ||
	    (control.shed >= CONFIG_SHED_NORMAL && priority == CONFIG_PRIORITY_NORMAL))
		return protect_refuse(e, "procedure_shed", "shed", 1000);
	if (worker_random(e->worker) % 100 >= control.withheld_percent)
		return PHASE_NEXT;
	if (!control.shift)
		return protect_refuse(e, "procedure_fallback", "service-withheld", 1000);
	e->alternate = &e->snapshot->config->services.at[control.shift - 1];
	fallback_mark_shift(e);
	return PHASE_NEXT;
}

HOT enum phase_result phase_protect(struct exchange *e)
{
	const struct guard_service *guard = e->route->guard;
	enum phase_result result;

	if (UNLIKELY(e->overload != 0) && is_shed(e))
		return protect_refuse(e, "overloaded", "overloaded", 1000);
	if (LIKELY(!guard && !e->route->bulkhead))
		return PHASE_NEXT;
	if (guard && UNLIKELY(guard->tally != NULL) && tally_interferes(guard->tally)) {
		result = follow_procedures(e, guard->tally);
		if (result != PHASE_NEXT || e->reason)
			return result;
		if (e->alternate)
			guard = e->snapshot->services[e->alternate->index].guard;
	}
	return protect(e, guard);
}

void protect_judge(struct exchange *e, unsigned fault)
{
	struct protection *p = e->protection;
	const struct guard_service *guard = p->guard;
	int64_t now_ms = loop_now_ms();

	/* Another service was asked after this one: that is not its doing. */
	if (!p->entered)
		return;
	p->entered = false;
	if (p->entered_ns)
		p->latency_us = (clock_ns() - p->entered_ns) / 1000;
	if (guard && UNLIKELY(guard->tally != NULL))
		tally_count(guard->tally, now_ms - p->entered_ms, fault != 0);
	if (!guard || !p->permit.held)
		return;
	switch (guard_verdict_of(guard->config->breaker, fault)) {
	case GUARD_VERDICT_GOOD:
		breaker_record(guard->breaker, &p->permit, now_ms, now_ms - p->entered_ms,
			       false);
		break;
	case GUARD_VERDICT_FAILED:
		breaker_record(guard->breaker, &p->permit, now_ms, now_ms - p->entered_ms,
			       true);
		break;
	case GUARD_VERDICT_IGNORED: breaker_release(guard->breaker, &p->permit); break;
	}
}

void protect_end(struct exchange *e)
{
	struct protection *p = e->protection;

	if (p->permit.held)
		breaker_release(p->guard->breaker, &p->permit);
	for (unsigned i = 0; i < 2; i++)
		if (p->held[i])
			bulkhead_leave(p->held[i], p->latency_us);
}
