/* forward: choose an endpoint, pass the request on, and the response back. */
#include "base/log.h"
#include "gateway/deadline.h"
#include "gateway/fallback.h"
#include "gateway/fields.h"
#include "gateway/forward.h"
#include "gateway/internal_service.h"
#include "gateway/protect.h"
#include "gateway/validate.h"

/* A request body up to this size is read before it is sent: it can then be sent again. */
#define REPLAY_MAX ((uint64_t)16 * 1024)

struct forward {
	struct exchange *e;
	struct view_service *service;
	const struct config_service *config;
	const struct config_timeout *timeout;
	struct http_request_head head;
	struct http_call *call;
	struct endpoint *endpoint;
	struct span body; /* what was held back of it */
	bool replayable;
	uint64_t tried;
	struct pump pump;
	struct err *err;
	size_t index; /* of the endpoint */
	struct breaker_permit permit; /* of the endpoint's breaker */
	int64_t begun_ms; /* the attempt */
	int64_t retry_after_ms; /* when every endpoint's breaker has refused: the shortest wait */
	unsigned fault; /* of the attempt: enum config_retry_on; 0: none */
	bool judged; /* the attempt says something about the service */
	bool hurried; /* the deadline is the client's own */
	struct capture *capture; /* the answer is put together to be kept; NULL: it is not */
	struct response_check check;
};

enum attempt_result {
	ATTEMPT_DONE, /* a final response head is there */
	ATTEMPT_RETRY, /* may be tried again */
	ATTEMPT_FAILED, /* answer with an error */
};

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t step_deadline_ms(const struct forward *f, uint64_t step_ms)
{
	return exchange_step_deadline_ms(f->e, step_ms);
}

static uint64_t hasty_ms(const struct forward *f, uint64_t step_ms)
{
	return step_ms >> !!(f->e->overload & OVERLOAD_BIT(OVERLOAD_SHORT_TIMEOUTS));
}

/*
 * For sending to the client: it must take this much at the least rate, so that one that does not
 * read cannot keep a connection to the service for as long as `idle` allows each time.
 */
static int64_t client_deadline_ms(const struct forward *f, size_t len)
{
	const struct config_limits *limits = &f->e->snapshot->config->limits;
	int64_t deadline_ms = step_deadline_ms(f, f->timeout->idle_ms);
	uint64_t rate = limits->response_rate_bytes;
	uint64_t needed_ms = 1000; /* without a division where less would do */

	if (!rate)
		return deadline_ms;
	if (len > rate)
		needed_ms = len * 1000 / rate;
	return earlier(deadline_ms,
		       loop_deadline_ms((int64_t)(limits->body_grace_ms + needed_ms)));
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

static enum phase_result prepare_body(struct forward *f)
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

static enum io_result send_request(struct forward *f)
{
	int64_t deadline_ms = step_deadline_ms(f, f->timeout->idle_ms);
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
static enum io_result read_final_head(struct forward *f)
{
	for (;;) {
		const struct http1_head *response = &f->call->response;
		enum io_result result = http_call_read_head(
			f->call, step_deadline_ms(f, hasty_ms(f, f->timeout->request_ms)));

		if (result != IO_OK || response->status >= 200 || response->status == 101)
			return result;
		if (response->status == 103) {
			struct http_response hints = {.status = 103,
						      .fields = response->fields,
						      .field_count = response->field_count,
						      .content_length = -1};

			result = http_send_head(f->e->x, &hints, HTTP_SEND_NOW,
						loop_deadline_ms(1000));
			if (result != IO_OK)
				return result;
		}
	}
}

static void end_call(struct forward *f)
{
	if (!f->call)
		return;
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
static bool take_retry(struct forward *f, unsigned on)
{
	const struct config_retry *retry = &f->config->retry;
	struct view_service *service = f->service;

	if (!(retry->on & on) || f->e->attempts > retry->attempts || !f->replayable)
		return false;
	if (on != CONFIG_RETRY_ON_CONNECT && !is_idempotent(f))
		return false;
	if (service->window_retries >=
	    retry->budget_min +
		    service->window_requests * (uint64_t)retry->budget_percent / 100)
		return false;
	service->window_retries++;
	return true;
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
static bool choose(struct forward *f)
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
	struct health_group group = {guard->members, config->endpoints.count};

	if (f->judged && config->outlier &&
	    health_note_call(guard->members[f->index], config->outlier, &group, f->fault,
			     loop_now_ms()))
		log_message(LOG_WARN, "endpoint.ejected", "service %.*s: %s",
			    SPAN_ARG(config->name), f->endpoint->label);
}

/* Tells the endpoint's guards how it went. */
static void judge_endpoint(struct forward *f)
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
static enum io_result call(struct forward *f, bool fresh)
{
	enum io_result result;

	f->judged = false;
	f->fault = 0;
	f->err->code = ERR_NONE;
	f->call = endpoint_open(f->e->worker, f->endpoint, fresh,
				step_deadline_ms(f, hasty_ms(f, f->timeout->connect_ms)),
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

static enum attempt_result attempt(struct forward *f)
{
	struct exchange *e = f->e;
	enum io_result result;

	e->attempts++;
	if (!choose(f)) {
		e->reason = f->retry_after_ms ? "breaker_open" : "no_endpoint";
		return ATTEMPT_FAILED;
	}
	e->endpoint = f->endpoint;
	result = call(f, false);
	if (was_stale(f, result)) {
		end_call(f);
		result = call(f, true);
	}
	judge_endpoint(f);
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

static enum phase_result answer_failure(struct forward *f)
{
	struct exchange *e = f->e;
	bool timed_out = e->reason && (span_ends_with(span_cstr(e->reason), SPAN("timeout")));
	enum phase_result result;

	/* The client's own body was the trouble, or the client is gone. */
	if (f->pump.client_failed) {
		enum io_result why = f->pump.result;

		end_call(f);
		fiber_uncancel();
		e->reason = "client_body";
		return answer_bad_body(e, why);
	}
	end_call(f);
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

/* --- the response --- */

static int64_t response_length(const struct http1_head *response)
{
	struct span field;
	uint64_t length;

	if (response->framing == HTTP1_LENGTH)
		return (int64_t)response->content_length;
	if (response->framing != HTTP1_NO_BODY)
		return -1;
	/* To HEAD, and 304: the length that a GET would have had. */
	field = http1_field(response, HTTP_FIELD_CONTENT_LENGTH);
	if (field.ptr && span_to_u64(field, &length) && length <= INT64_MAX)
		return (int64_t)length;
	return -1;
}

/*
 * Fields that the service's Connection names stay with the service. Moves the others up: the head's
 * fields cannot be looked up by id any more.
 */
static size_t drop_named_fields(const struct http1_head *response)
{
	struct span connection = http1_field(response, HTTP_FIELD_CONNECTION);
	size_t kept = 0;

	if (!fields_named_by_connection(connection))
		return response->field_count;
	for (size_t i = 0; i < response->field_count; i++)
		if (!http_list_has(connection, response->fields[i].name))
			response->fields[kept++] = response->fields[i];
	return kept;
}

static enum phase_result give_up_response(struct forward *f, enum io_result result)
{
	struct exchange *e = f->e;

	if (result == IO_CANCELLED && f->pump.client_failed)
		e->reason = "client_body";
	else if (e->x->client_gone || result == IO_CANCELLED)
		e->reason = "client_gone";
	else
		e->reason = result == IO_TIMEOUT ? "body_timeout" : "truncated";
	http_abort(e->x);
	return e->x->client_gone ? PHASE_GONE : PHASE_ANSWERED;
}

/* The end of a response that proves to be broken only there must not be sent. */
static bool response_may_pass(struct forward *f, enum io_result result, struct span piece)
{
	bool good = true;

	if (result == IO_OK)
		good = response_check_feed(&f->check, piece);
	if (result == IO_EOF || (result == IO_OK && f->call->body_ended))
		good = response_check_end(&f->check) && good;
	return good;
}

static enum phase_result give_up_broken(struct forward *f)
{
	f->e->reason = "contract_response";
	http_abort(f->e->x);
	return PHASE_ANSWERED;
}

static enum phase_result relay_body(struct forward *f)
{
	struct http_exchange *x = f->e->x;
	struct http_call *call = f->call;
	enum io_result result;
	struct span piece;
	int flags;

	while (!x->ended) {
		result = http_call_read_body(call, &piece,
					     step_deadline_ms(f, f->timeout->idle_ms));
		if (!response_may_pass(f, result, piece))
			return give_up_broken(f);
		if (result == IO_EOF && call->trailer_count)
			result = http_send_trailers(x, call->trailers, call->trailer_count,
						    client_deadline_ms(f, 0));
		else if (result == IO_EOF)
			result = http_send_body(x, SPAN_NONE, HTTP_SEND_END,
						client_deadline_ms(f, 0));
		else if (result == IO_OK) {
			if (UNLIKELY(f->capture != NULL))
				fallback_capture_piece(f->capture, piece);
			flags = call->body_ended   ? HTTP_SEND_END
				: call->more_ready ? HTTP_SEND_MORE
						   : HTTP_SEND_NOW;
			result = http_send_body(x, piece, flags,
						client_deadline_ms(f, piece.len));
			if (result != IO_OK)
				x->client_gone = true;
		}
		if (result != IO_OK)
			return give_up_response(f, result);
	}
	return PHASE_ANSWERED;
}

/* After 101 bytes flow both ways until both sides have ended, or nothing has moved for long. */
static enum phase_result relay_tunnel(struct forward *f)
{
	struct http_exchange *x = f->e->x;
	enum io_result result = IO_OK;
	struct span piece;

	f->pump = (struct pump){
		.e = f->e, .call = f->call, .idle_ms = (int64_t)f->timeout->idle_ms};
	if (pump_start(&f->pump) < 0)
		return give_up_response(f, IO_FAILED);
	while (result == IO_OK) {
		result = http_call_read_body(f->call, &piece,
					     step_deadline_ms(f, f->timeout->idle_ms));
		if (result == IO_OK)
			result = http_send_body(x, piece, HTTP_SEND_NOW,
						step_deadline_ms(f, f->timeout->idle_ms));
	}
	if (result == IO_EOF)
		http_send_body(x, SPAN_NONE, HTTP_SEND_END, loop_deadline_ms(1000));
	pump_stop(&f->pump, result != IO_EOF);
	x->ended = true;
	return PHASE_ANSWERED;
}

/* Fields that were moved cannot be told apart any more: such an answer is not kept. */
static enum phase_result relay_and_keep(struct forward *f, bool fields_whole)
{
	const struct http1_head *from = &f->call->response;
	enum phase_result result;

	f->capture = fields_whole ? fallback_capture(f->e, from) : NULL;
	result = relay_body(f);
	if (f->capture)
		f->capture->complete = !f->e->reason && f->e->x->ended;
	fallback_capture_end(f->e, f->capture, from);
	f->capture = NULL;
	return result;
}

/* ---- a response that must keep the contract ---- */

static enum phase_result refuse_response(struct forward *f, struct buf *held, const char *why)
{
	struct exchange *e = f->e;

	buf_release(held);
	response_check_release(&f->check, e);
	end_call(f);
	e->reason = why;
	return answer_problem(e, 502, "upstream-broke-contract", NULL);
}

/* IO_OK: all of it is held; IO_AGAIN: no more of it may be; IO_FAILED: it is broken. */
static enum io_result hold_response(struct forward *f, struct buf *held)
{
	while (!f->call->body_ended) {
		struct span piece;
		enum io_result result = http_call_read_body(
			f->call, &piece, step_deadline_ms(f, f->timeout->idle_ms));

		if (result == IO_EOF)
			break;
		if (result != IO_OK)
			return result;
		if (!response_check_feed(&f->check, piece))
			return IO_FAILED;
		if (buf_append(held, piece) < 0)
			return IO_CLOSED;
		if (held->len > f->e->snapshot->config->limits.body_buffer_bytes ||
		    !spool_count(f->e, f->e->spool.owned.cap + held->cap))
			return IO_AGAIN;
	}
	return response_check_end(&f->check) ? IO_OK : IO_FAILED;
}

static enum phase_result send_held(struct forward *f, struct http_response *response,
				   struct buf *held)
{
	struct exchange *e = f->e;
	int64_t deadline_ms = step_deadline_ms(f, f->timeout->idle_ms);
	struct buf stripped;
	enum io_result result;

	buf_init(&stripped, held->len + 1);
	if (f->check.check && contract_check_cuts_body(f->check.check)) {
		if (contract_check_write_body(f->check.check, buf_span(held), &stripped) < 0) {
			buf_release(&stripped);
			return refuse_response(f, held, "out_of_memory");
		}
		buf_release(held);
		*held = stripped;
	}
	if (held->len)
		response->content_length = (int64_t)held->len;
	result = respond_head(e, response, held->len ? HTTP_SEND_MORE : HTTP_SEND_END,
			      deadline_ms);
	if (result == IO_OK && held->len)
		result = http_send_body(e->x, buf_span(held), HTTP_SEND_END, deadline_ms);
	buf_release(held);
	if (result == IO_OK)
		return PHASE_ANSWERED;
	e->x->client_gone = true;
	return give_up_response(f, result);
}

/* Too long to be held: the beginning goes out, and the rest is checked while it passes. */
static enum phase_result send_on(struct forward *f, const struct http_response *response,
				 struct buf *held)
{
	struct exchange *e = f->e;
	int64_t deadline_ms = step_deadline_ms(f, f->timeout->idle_ms);
	enum io_result result = respond_head(e, response, HTTP_SEND_MORE, deadline_ms);

	if (result == IO_OK)
		result = http_send_body(e->x, buf_span(held), HTTP_SEND_NOW, deadline_ms);
	buf_release(held);
	if (result == IO_OK)
		return relay_body(f);
	e->x->client_gone = true;
	return give_up_response(f, result);
}

static enum phase_result relay_checked(struct forward *f, struct http_response *response)
{
	const struct config_contract *contract = f->config->contract;
	enum io_result result;
	struct buf held;

	buf_init(&held, SIZE_MAX / 4);
	result = hold_response(f, &held);
	if (result == IO_OK)
		return send_held(f, response, &held);
	/* What is to be cut out must be held. */
	if (result == IO_AGAIN && contract->large == CONFIG_LARGE_STREAM &&
	    contract->unknown_response_properties != CONFIG_UNKNOWN_STRIP)
		return send_on(f, response, &held);
	if (result == IO_CANCELLED) {
		buf_release(&held);
		return answer_failure(f);
	}
	return refuse_response(f, &held,
			       result == IO_AGAIN    ? "response_too_large"
			       : result == IO_FAILED ? "contract_response"
						     : "truncated");
}

static bool has_no_content(const struct forward *f)
{
	unsigned status = f->call->response.status;

	return f->e->x->request.method == HTTP_METHOD_HEAD || status == 204 || status == 304;
}

static enum phase_result relay_response(struct forward *f)
{
	struct exchange *e = f->e;
	const struct http1_head *from = &f->call->response;
	struct http_response response = {.status = from->status,
					 .fields = from->fields,
					 .content_length = response_length(from)};
	int flags = HTTP_SEND_NOW;
	enum io_result result;

	e->reason = NULL;
	if (from->status == 101 && !f->head.upgrade.len)
		return answer_failure(f);
	if (from->status != 101 && !e->alternate)
		response_check_begin(&f->check, e, from, has_no_content(f));
	response.field_count = drop_named_fields(from);
	if (f->check.enforce)
		return relay_checked(f, &response);
	if (!f->call->tunnel && f->call->body_ended)
		flags = HTTP_SEND_END;
	else if (!f->call->tunnel && f->call->more_ready)
		flags = HTTP_SEND_MORE;
	result = respond_head(e, &response, flags, client_deadline_ms(f, 0));
	if (result != IO_OK) {
		e->x->client_gone = true;
		return give_up_response(f, result);
	}
	if (f->call->tunnel)
		return relay_tunnel(f);
	if (LIKELY(!e->route->guard || !e->route->guard->stale))
		return relay_body(f);
	return relay_and_keep(f, response.field_count == from->field_count);
}

/* PHASE_NEXT: the fallback is another service, e->alternate. */
static enum phase_result ask_service(struct forward *f)
{
	struct exchange *e = f->e;
	enum attempt_result attempted;
	enum phase_result result;

	roll_window(f->service);
	f->service->window_requests++;
	while ((attempted = attempt(f)) == ATTEMPT_RETRY) {
		end_call(f);
		if (back_off(f) == FIBER_CANCELLED)
			return answer_failure(f);
	}
	if (e->protection && f->judged)
		protect_judge(e, f->fault);
	if (attempted == ATTEMPT_FAILED)
		return answer_failure(f);
	if (UNLIKELY(f->fault != 0) && fallback_wants(e, f->fault)) {
		e->reason = "bad_status";
		if (fallback_try(e, f->replayable, &result)) {
			end_call(f);
			return result;
		}
	}
	result = relay_response(f);
	response_check_release(&f->check, e);
	end_call(f);
	return result;
}

static void use_service(struct forward *f, const struct config_service *config)
{
	f->service = &f->e->view->services[config->index];
	f->config = config;
	f->tried = 0;
}

static enum phase_result forward(struct forward *f)
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

enum phase_result phase_forward(struct exchange *e)
{
	const struct config_route *route = e->route->config;
	struct err err; /* apart, because clearing it for every request would cost */
	struct forward f = {.e = e, .timeout = &route->timeout, .err = &err};

	if (e->x->request.framing == HTTP1_LENGTH &&
	    e->x->request.content_length > e->x->body_limit_bytes)
		return answer_problem(e, 413, "body-too-large", NULL);
	if (route->respond)
		return answer_fixed(e, route->respond, &e->route->respond_file);
	if (route->internal != CONFIG_INTERNAL_NONE)
		return internal_service_serve(e);
	use_service(&f, e->alternate ? e->alternate : route->service);
	f.hurried = deadline_read(e, f.config);
	return forward(&f);
}
