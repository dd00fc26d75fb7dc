/* forward: choose an endpoint, pass the request on, and the response back. */
#include "base/log.h"
#include "gateway/approve.h"
#include "gateway/deadline.h"
#include "gateway/fallback.h"
#include "gateway/forward_internal.h"
#include "gateway/internal_service.h"
#include "gateway/protect.h"
#include "gateway/validate.h"

/* A request body up to this size is read before it is sent: it can then be sent again. */
#define REPLAY_MAX ((uint64_t)16 * 1024)

enum attempt_result {
	ATTEMPT_DONE, /* a final response head is there */
	ATTEMPT_RETRY, /* may be tried again */
	ATTEMPT_FAILED, /* answer with an error */
};

static uint64_t hasty_ms(const struct forward *f, uint64_t step_ms)
{
	return step_ms >> !!(f->e->overload & OVERLOAD_BIT(OVERLOAD_SHORT_TIMEOUTS));
}

/* --- the request's body --- */

/* A small body is held back, so that it can be sent again. */
static enum phase_result hold_small_body(struct forward *f)
{
	struct exchange *e = f->e;
	enum io_result why = IO_OK;

	if (e->x->request.framing != HTTP1_LENGTH || e->x->request.content_length > REPLAY_MAX)
		return PHASE_NEXT;
	switch (spool_read(e, REPLAY_MAX, f->timeout->idle_ms, &why)) {
	case SPOOL_COMPLETE:
	case SPOOL_FULL: return PHASE_NEXT;
	case SPOOL_BUSY: return answer_problem(e, 503, "out-of-memory", NULL);
	case SPOOL_FAILED: return answer_bad_body(e, why);
	}
	return PHASE_NEXT;
}

HOT static enum phase_result prepare_body(struct forward *f)
{
	struct exchange *e = f->e;
	enum phase_result result;

	if (f->head.no_body || f->head.content_length == 0) {
		f->replayable = true;
		return PHASE_NEXT;
	}
	if (!e->spool.used) {
		result = hold_small_body(f);
		if (result != PHASE_NEXT)
			return result;
	}
	f->body = e->spool.held;
	/* Trailers come after the body, by way of the pump. */
	f->replayable = e->spool.complete && e->x->trailer_count == 0;
	/* It may be another one by now than the client has told the length of. */
	if (e->spool.complete)
		f->head.content_length = f->replayable ? (int64_t)f->body.len : -1;
	return PHASE_NEXT;
}

/* --- one attempt --- */

HOT static enum io_result send_request(struct forward *f)
{
	int64_t deadline_ms = forward_step_deadline_ms(f, f->timeout->idle_ms);
	enum io_result result;

	/* Anew for each attempt: less is left each time. */
	if (UNLIKELY(f->e->deadline_ms != FIBER_FOREVER) &&
	    !deadline_write(f->e, f->config, &f->head))
		return IO_FAILED;
	if (f->head.upgrade.len)
		return http_call_send_head(f->call, &f->head, HTTP_SEND_NOW, deadline_ms);
	if (f->replayable && !f->body.len)
		return http_call_send_head(f->call, &f->head, HTTP_SEND_END, deadline_ms);
	result = http_call_send_head(f->call, &f->head,
				     f->body.len ? HTTP_SEND_MORE : HTTP_SEND_NOW, deadline_ms);
	if (result == IO_OK && f->body.len)
		result = http_call_send_body(f->call, f->body,
					     f->replayable ? HTTP_SEND_END : HTTP_SEND_NOW,
					     deadline_ms);
	if (result != IO_OK || f->replayable)
		return result;
	f->pump = (struct pump){
		.e = f->e, .call = f->call, .idle_ms = (int64_t)f->timeout->idle_ms};
	return pump_start(&f->pump) < 0 ? IO_FAILED : IO_OK;
}

/* Reads heads until the final one; early hints are passed on, 100 was ours to send. */
HOT static enum io_result read_final_head(struct forward *f)
{
	for (;;) {
		const struct http1_head *response = &f->call->response;
		enum io_result result = http_call_read_head(
			f->call,
			forward_step_deadline_ms(f, hasty_ms(f, f->timeout->request_ms)));

		if (result != IO_OK || response->status >= 200 || response->status == 101)
			return result;
		if (response->status == 103 && !f->second) {
			result = respond_hints(f->e, response, loop_deadline_ms(1000));
			if (result != IO_OK)
				return result;
		}
	}
}

HOT void forward_end_call(struct forward *f)
{
	if (!f->call)
		return;
	if (UNLIKELY(f->pump.fiber != NULL))
		pump_stop(&f->pump, true);
	http_call_release(f->call);
	f->call = NULL;
	f->endpoint->active--;
}

static bool is_idempotent(const struct forward *f)
{
	return http_method_is_idempotent(f->e->x->request.method);
}

static void roll_window(struct view_service *service)
{
	int64_t now_ms = loop_now_ms();

	if (now_ms - service->window_start_ms < 1000)
		return;
	service->window_start_ms = now_ms;
	service->window_requests = 0;
	service->window_retries = 0;
}

/* Retries stay a share of the requests, so that they cannot multiply an outage. */
bool forward_take_budget(struct forward *f)
{
	const struct config_retry *retry = &f->config->retry;
	struct view_service *service = f->service;

	if (service->window_retries >=
	    retry->budget_min +
		    service->window_requests * (uint64_t)retry->budget_percent / 100)
		return false;
	service->window_retries++;
	return true;
}

static bool take_retry(struct forward *f, unsigned on)
{
	const struct config_retry *retry = &f->config->retry;

	if (!(retry->on & on) || f->e->attempts > retry->attempts || !f->replayable)
		return false;
	if (on != CONFIG_RETRY_ON_CONNECT && !is_idempotent(f))
		return false;
	return forward_take_budget(f);
}

static unsigned retry_class(unsigned status)
{
	unsigned on = status >= 500 && status <= 599 ? CONFIG_RETRY_ON_5XX : 0;

	if (status == 502)
		on |= CONFIG_RETRY_ON_502;
	if (status == 503)
		on |= CONFIG_RETRY_ON_503;
	if (status == 504)
		on |= CONFIG_RETRY_ON_504;
	return on;
}

/* Which endpoint: one whose breaker lets the call through. False: none does. */
HOT bool forward_choose(struct forward *f)
{
	const struct guard_service *guard = f->service->guard;
	struct view_endpoint *picked;
	int64_t wait_ms;

	for (size_t looked = 0; looked < f->service->count; looked++) {
		picked = balance_pick(f->e, f->service, f->tried);
		if (!picked)
			return false;
		f->index = (size_t)(picked - f->service->endpoints);
		f->tried |= f->index < 64 ? (uint64_t)1 << f->index : 0;
		f->endpoint = picked->endpoint;
		f->begun_ms = loop_now_ms();
		if (LIKELY(!guard) || !guard->endpoints[f->index].breaker ||
		    breaker_acquire(guard->endpoints[f->index].breaker, f->begun_ms, &f->permit,
				    &wait_ms))
			return true;
		if (looked == 0 || wait_ms < f->retry_after_ms)
			f->retry_after_ms = wait_ms;
	}
	return false;
}

static void judge_health(const struct forward *f, const struct guard_service *guard)
{
	const struct config_service *config = guard->config;
	struct health_group group = {guard->members, guard->endpoint_count};

	if (f->judged && config->outlier &&
	    health_note_call(guard->members[f->index], config->outlier, &group, f->fault,
			     loop_now_ms()))
		log_message(LOG_WARN, "endpoint.ejected", "service %.*s: %s",
			    SPAN_ARG(config->name), f->endpoint->label);
}

/* Tells the endpoint's guards how it went. */
HOT void forward_judge_endpoint(struct forward *f)
{
	const struct guard_service *guard = f->service->guard;
	enum guard_verdict verdict = GUARD_VERDICT_IGNORED;
	int64_t now_ms = loop_now_ms();

	if (LIKELY(!guard))
		return;
	judge_health(f, guard);
	if (!f->permit.held)
		return;
	if (f->judged)
		verdict = guard_verdict_of(guard->config->breaker, f->fault);
	if (verdict == GUARD_VERDICT_IGNORED)
		breaker_release(guard->endpoints[f->index].breaker, &f->permit);
	else
		breaker_record(guard->endpoints[f->index].breaker, &f->permit, now_ms,
			       now_ms - f->begun_ms, verdict == GUARD_VERDICT_FAILED);
}

/* Clients that are in a hurry must not be able to open breakers for the others. */
static bool ran_out(const struct forward *f, enum io_result result)
{
	return result == IO_TIMEOUT && f->hurried && loop_now_ms() >= f->e->deadline_ms;
}

/* No connection: whose fault that is. */
static void blame_open(struct forward *f, enum io_result result)
{
	struct exchange *e = f->e;

	if (result != IO_CANCELLED && f->err->code == ERR_LIMIT) {
		e->reason = "pool_exhausted";
		return;
	}
	e->reason = result == IO_TIMEOUT ? "connect_timeout" : "connect_failed";
	f->judged = result != IO_CANCELLED && !ran_out(f, result);
	f->fault = CONFIG_RETRY_ON_CONNECT;
}

static void blame_call(struct forward *f, enum io_result result)
{
	f->e->reason = result == IO_TIMEOUT ? "response_timeout"
		       : f->call->failure   ? "bad_response"
					    : "connection_lost";
	f->judged = !ran_out(f, result);
	f->fault = result == IO_TIMEOUT ? CONFIG_RETRY_ON_TIMEOUT : CONFIG_RETRY_ON_RESET;
}

/* One call to the chosen endpoint, up to its answer's head. */
HOT static enum io_result call(struct forward *f, bool fresh)
{
	enum io_result result;

	f->judged = false;
	f->fault = 0;
	f->err->code = ERR_NONE;
	f->call =
		endpoint_open(f->e->worker, f->endpoint, fresh, f->timeout,
			      forward_step_deadline_ms(f, hasty_ms(f, f->timeout->connect_ms)),
			      &result, f->err);
	if (!f->call) {
		blame_open(f, result);
		return result == IO_OK ? IO_FAILED : result;
	}
	f->endpoint->active++;
	result = send_request(f);
	/* A service may answer and close before it has read everything: look for its answer. */
	if (result == IO_OK || result == IO_CLOSED)
		result = read_final_head(f);
	if (result == IO_OK) {
		f->judged = true;
		f->fault = retry_class(f->call->response.status);
	} else if (result != IO_CANCELLED) {
		blame_call(f, result);
	}
	return result;
}

/* The service closed an idle connection as we used it: not its fault, nor ours. */
static bool was_stale(const struct forward *f, enum io_result result)
{
	return result == IO_CLOSED && f->call && f->call->reused &&
	       !f->call->response_started && f->replayable && is_idempotent(f);
}

HOT enum io_result forward_call(struct forward *f)
{
	int64_t begun_ns = loop_round_ns();
	enum io_result result = call(f, false);

	if (was_stale(f, result)) {
		forward_end_call(f);
		result = call(f, true);
	}
	if (result != IO_CANCELLED)
		metrics_record_call(f->service->metrics,
				    result == IO_OK ? f->call->response.status : 0,
				    (loop_round_ns() - begun_ns) / 1000);
	return result;
}

static bool may_hedge(const struct forward *f)
{
	return f->replayable && f->service->count > 1 && !f->head.upgrade.len &&
	       is_idempotent(f);
}

HOT static enum attempt_result attempt(struct forward *f)
{
	struct exchange *e = f->e;
	enum io_result result;

	e->attempts++;
	f->judged = false;
	if (!forward_choose(f)) {
		e->reason = f->retry_after_ms ? "breaker_open" : "no_endpoint";
		return ATTEMPT_FAILED;
	}
	e->endpoint = f->endpoint;
	/* Only now is it sure that the request will be made. */
	if (UNLIKELY(e->approval != NULL) && !approve_use(e, &f->refused)) {
		forward_judge_endpoint(f);
		return ATTEMPT_FAILED;
	}
	if (UNLIKELY(f->config->retry.hedge_ms != 0) && may_hedge(f))
		result = forward_call_hedged(f);
	else
		result = forward_call(f);
	if (UNLIKELY(f->service->guard != NULL))
		forward_judge_endpoint(f);
	if (result == IO_OK)
		return f->fault && take_retry(f, f->fault) ? ATTEMPT_RETRY : ATTEMPT_DONE;
	if (result == IO_CANCELLED || (f->call && f->call->response_started))
		return ATTEMPT_FAILED;
	return take_retry(f, f->call ? f->fault : CONFIG_RETRY_ON_CONNECT) ? ATTEMPT_RETRY
									   : ATTEMPT_FAILED;
}

/* Half to all of the doubled wait, so that clients that failed together do not return together. */
static enum fiber_wake back_off(struct forward *f)
{
	const struct config_retry *retry = &f->config->retry;
	uint64_t wait_ms = retry->backoff_ms;

	for (unsigned i = 1; i < f->e->attempts && wait_ms < retry->max_backoff_ms; i++)
		wait_ms *= 2;
	if (wait_ms > retry->max_backoff_ms)
		wait_ms = retry->max_backoff_ms;
	if (wait_ms == 0)
		return FIBER_EVENT;
	wait_ms -= worker_random(f->e->worker) % (wait_ms / 2 + 1);
	return fiber_sleep_ms((int64_t)wait_ms);
}

enum phase_result forward_answer_failure(struct forward *f)
{
	struct exchange *e = f->e;
	bool timed_out = e->reason && (span_ends_with(span_cstr(e->reason), SPAN("timeout")));
	enum phase_result result;

	if (UNLIKELY(f->refused != PHASE_NEXT))
		return f->refused;
	/* The client's own body was the trouble, or the client is gone. */
	if (f->pump.client_failed) {
		enum io_result why = f->pump.result;

		forward_end_call(f);
		fiber_uncancel();
		e->reason = "client_body";
		return answer_bad_body(e, why);
	}
	forward_end_call(f);
	if (e->x->client_gone || fiber_is_cancelled()) {
		e->reason = "client_gone";
		return PHASE_GONE;
	}
	if (fallback_try(e, f->replayable, &result))
		return result;
	if (span_eq(span_cstr(e->reason), SPAN("pool_exhausted")))
		return protect_refuse(e, "pool_exhausted", "pool-exhausted", 0);
	if (span_eq(span_cstr(e->reason), SPAN("no_endpoint")))
		return protect_refuse(e, "no_endpoint", "no-endpoint", 0);
	if (span_eq(span_cstr(e->reason), SPAN("breaker_open")))
		return protect_refuse(e, "breaker_open", "breaker-open", f->retry_after_ms);
	return answer_problem(e, timed_out ? 504 : 502,
			      timed_out ? "upstream-timeout" : "upstream-failed", NULL);
}

/* PHASE_NEXT: the fallback is another service, e->alternate. */
HOT static enum phase_result ask_service(struct forward *f)
{
	struct exchange *e = f->e;
	enum attempt_result attempted;
	enum phase_result result;

	roll_window(f->service);
	f->service->window_requests++;
	while ((attempted = attempt(f)) == ATTEMPT_RETRY) {
		forward_end_call(f);
		if (back_off(f) == FIBER_CANCELLED)
			return forward_answer_failure(f);
	}
	if (e->protection && f->judged)
		protect_judge(e, f->fault);
	if (attempted == ATTEMPT_FAILED)
		return forward_answer_failure(f);
	if (UNLIKELY(f->fault != 0) && fallback_wants(e, f->fault)) {
		e->reason = "bad_status";
		if (fallback_try(e, f->replayable, &result)) {
			forward_end_call(f);
			return result;
		}
	}
	result = forward_relay_response(f);
	response_check_release(&f->check, e);
	forward_end_call(f);
	return result;
}

static void use_service(struct forward *f, const struct config_service *config)
{
	f->service = &f->e->view->services[config->index];
	f->config = config;
	f->tried = 0;
}

HOT static enum phase_result forward(struct forward *f)
{
	struct exchange *e = f->e;
	enum phase_result result;

	if (forward_build_request(e, f->service, &f->head, f->err) < 0)
		return answer_problem(e, 503, "unavailable", NULL);
	result = prepare_body(f);
	if (result != PHASE_NEXT)
		return result;
	result = ask_service(f);
	if (LIKELY(result != PHASE_NEXT))
		return result;
	use_service(f, e->alternate);
	if (forward_build_request(e, f->service, &f->head, f->err) < 0)
		return answer_problem(e, 503, "unavailable", NULL);
	return ask_service(f);
}

/* The route names no service. */
static enum phase_result answer_here(struct exchange *e, struct forward *f)
{
	const struct config_route *route = e->route->config;

	if (!route->respond)
		return internal_service_serve(e);
	if (e->approval && !approve_use(e, &f->refused))
		return f->refused;
	return answer_fixed(e, route->respond, &e->route->respond_file);
}

HOT enum phase_result phase_forward(struct exchange *e)
{
	const struct snapshot_route *route = e->route;
	struct err err; /* apart, because clearing it for every request would cost */
	struct forward f;

	memset(&f, 0, offsetof(struct forward, head));
	f.e = e;
	f.timeout = route->timeout;
	f.err = &err;
	if (e->x->request.framing == HTTP1_LENGTH &&
	    e->x->request.content_length > e->x->body_limit_bytes)
		return answer_problem(e, 413, "body-too-large", NULL);
	if (UNLIKELY(!route->service))
		return answer_here(e, &f);
	use_service(&f, e->alternate ? e->alternate : route->service);
	if (UNLIKELY(route->flags & SNAPSHOT_ROUTE_OWN_POOL) && !e->alternate)
		f.service = e->view->route_services[route->config->index];
	f.hurried = deadline_read(e, f.config);
	return forward(&f);
}
