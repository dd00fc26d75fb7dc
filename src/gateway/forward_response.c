/* The second half of the phase `forward`: a service's response on its way to the client. */
#include "gateway/fallback.h"
#include "gateway/fields.h"
#include "gateway/forward_internal.h"
#include "gateway/inspect.h"

/*
 * For sending to the client: it must take this much at the least rate, so that one that does not
 * read cannot keep a connection to the service for as long as `idle` allows each time.
 */
HOT static int64_t client_deadline_ms(const struct forward *f, size_t len)
{
	const struct config_limits *limits = &f->e->snapshot->config->limits;
	uint64_t rate = limits->response_rate_bytes;
	uint64_t step_ms = f->timeout->idle_ms; /* 0: any time */
	uint64_t needed_ms = 1000; /* without a division where less would do */

	if (rate) {
		if (len > rate)
			needed_ms = len * 1000 / rate;
		needed_ms += limits->body_grace_ms;
		if (!step_ms || needed_ms < step_ms)
			step_ms = needed_ms;
	}
	return forward_step_deadline_ms(f, step_ms);
}

HOT static int64_t response_length(const struct http1_head *response)
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
HOT static size_t drop_named_fields(const struct http1_head *response)
{
	size_t kept = 0;

	if (!response->connection_names)
		return response->field_count;
	/* Connection itself stays until the end, because it is asked; it does not leave either. */
	for (size_t i = 0; i < response->field_count; i++)
		if (response->fields[i].id == HTTP_FIELD_CONNECTION ||
		    !fields_is_named(response, response->fields[i].name))
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

/* What the route takes off responses does not leave as a trailer either. */
static enum io_result send_trailers(struct forward *f)
{
	struct http_call *call = f->call;

	call->trailer_count = fields_drop_edited(&f->e->route->config->response_headers,
						 call->trailers, call->trailer_count);
	return http_send_trailers(f->e->x, call->trailers, call->trailer_count,
				  client_deadline_ms(f, 0));
}

HOT static enum phase_result relay_body(struct forward *f)
{
	struct http_exchange *x = f->e->x;
	struct http_call *call = f->call;
	enum io_result result;
	struct span piece;
	int flags;

	while (!x->ended) {
		result = http_call_read_body(call, &piece,
					     forward_step_deadline_ms(f, f->timeout->idle_ms));
		if (UNLIKELY(f->check.check || f->check.result) &&
		    !response_may_pass(f, result, piece))
			return give_up_broken(f);
		if (result == IO_EOF && call->trailer_count)
			result = send_trailers(f);
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
					     forward_step_deadline_ms(f, f->timeout->idle_ms));
		if (result == IO_OK)
			result = http_send_body(
				x, piece, HTTP_SEND_NOW,
				forward_step_deadline_ms(f, f->timeout->idle_ms));
	}
	if (result == IO_EOF)
		http_send_body(x, SPAN_NONE, HTTP_SEND_END, loop_deadline_ms(1000));
	pump_stop(&f->pump, result != IO_EOF);
	x->ended = true;
	return PHASE_ANSWERED;
}

/* ---- a response that is held until it has been looked at ------------------------------------- */

static enum phase_result refuse_response(struct forward *f, struct buf *held, const char *why)
{
	struct exchange *e = f->e;

	buf_release(held);
	response_check_release(&f->check, e);
	forward_end_call(f);
	e->reason = why;
	return answer_problem(e, 502, "upstream-broke-contract", NULL);
}

static enum phase_result refuse_for_rules(struct forward *f, struct buf *held)
{
	struct exchange *e = f->e;
	enum phase_result result;

	response_check_release(&f->check, e);
	forward_end_call(f);
	result = inspect_refuse_response(e);
	/* Rules of phase 5 may still look at what was held. */
	inspect_end(e);
	buf_release(held);
	return result;
}

/*
 * IO_OK: all of it is held; IO_AGAIN: no more than max_bytes may be; IO_FAILED: it breaks the
 * contract; IO_CLOSED: memory, or the process's budget, is used up, and IO_EOF: it ends too early.
 */
static enum io_result hold_response(struct forward *f, uint64_t max_bytes, struct buf *held)
{
	while (!f->call->body_ended) {
		struct span piece;
		enum io_result result = http_call_read_body(
			f->call, &piece, forward_step_deadline_ms(f, f->timeout->idle_ms));

		if (result == IO_EOF)
			break;
		if (result != IO_OK)
			return result == IO_CANCELLED ? result : IO_EOF;
		if (!response_check_feed(&f->check, piece))
			return IO_FAILED;
		if (buf_append(held, piece) < 0)
			return IO_CLOSED;
		/* What the firewall must see is not let through because there is much of it. */
		if (!spool_count(f->e, f->e->spool.owned.cap + held->cap))
			return f->e->inspection ? IO_CLOSED : IO_AGAIN;
		if (held->len > max_bytes)
			return IO_AGAIN;
	}
	return response_check_end(&f->check) ? IO_OK : IO_FAILED;
}

static enum io_result send_body_and_trailers(struct forward *f, struct span body)
{
	struct http_exchange *x = f->e->x;
	struct http_call *call = f->call;
	int64_t deadline_ms = client_deadline_ms(f, body.len);
	enum io_result result;

	if (!call->trailer_count)
		return http_send_body(x, body, HTTP_SEND_END, deadline_ms);
	result = http_send_body(x, body, HTTP_SEND_MORE, deadline_ms);
	return result == IO_OK ? send_trailers(f) : result;
}

static enum phase_result send_held(struct forward *f, struct http_response *response,
				   struct buf *held)
{
	struct exchange *e = f->e;
	bool more = held->len || f->call->trailer_count;
	struct buf stripped;
	enum io_result result;

	buf_init(&stripped, held->len + 1);
	if (f->check.enforce && f->check.check && contract_check_cuts_body(f->check.check)) {
		if (contract_check_write_body(f->check.check, buf_span(held), &stripped) < 0) {
			buf_release(&stripped);
			return refuse_response(f, held, "out_of_memory");
		}
		buf_release(held);
		*held = stripped;
	}
	if (held->len && !f->call->trailer_count)
		response->content_length = (int64_t)held->len;
	if (UNLIKELY(f->capture != NULL))
		fallback_capture_piece(f->capture, buf_span(held));
	result = respond_head(e, response, more ? HTTP_SEND_MORE : HTTP_SEND_END,
			      client_deadline_ms(f, 0));
	if (result == IO_OK && more)
		result = send_body_and_trailers(f, buf_span(held));
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
	enum io_result result =
		respond_head(e, response, HTTP_SEND_MORE, client_deadline_ms(f, 0));

	if (UNLIKELY(f->capture != NULL))
		fallback_capture_piece(f->capture, buf_span(held));
	if (result == IO_OK)
		result = http_send_body(e->x, buf_span(held), HTTP_SEND_NOW,
					client_deadline_ms(f, held->len));
	buf_release(held);
	if (result == IO_OK)
		return relay_body(f);
	e->x->client_gone = true;
	return give_up_response(f, result);
}

static enum phase_result refuse_held(struct forward *f, struct buf *held, enum io_result why)
{
	if (why == IO_CANCELLED) {
		buf_release(held);
		return forward_answer_failure(f);
	}
	if (why == IO_FAILED)
		return refuse_response(f, held, "contract_response");
	if (why == IO_AGAIN || (why == IO_CLOSED && f->check.enforce))
		return refuse_response(f, held, "response_too_large");
	buf_release(held);
	response_check_release(&f->check, f->e);
	forward_end_call(f);
	f->e->reason = why == IO_CLOSED ? "body_buffers_full" : "truncated";
	return why == IO_CLOSED ? answer_problem(f->e, 503, "unavailable", NULL)
				: answer_problem(f->e, 502, "upstream-failed", NULL);
}

/* What the contract enforces is held up to limits.body_buffer, the firewall's share up to its own. */
static enum phase_result relay_held(struct forward *f, struct http_response *response,
				    uint64_t inspect_bytes)
{
	const struct config_contract *contract = f->config->contract;
	bool may_go_on = !f->check.enforce ||
			 (contract->large == CONFIG_LARGE_STREAM &&
			  contract->unknown_response_properties != CONFIG_UNKNOWN_STRIP);
	uint64_t max_bytes = f->check.enforce ? f->e->snapshot->config->limits.body_buffer_bytes
					      : inspect_bytes;
	enum phase_result phase;
	enum io_result result;
	struct buf held;

	buf_init(&held, SIZE_MAX / 4);
	result = hold_response(f, max_bytes, &held);
	if (result != IO_OK && (result != IO_AGAIN || !may_go_on))
		return refuse_held(f, &held, result);
	if (inspect_bytes) {
		if (!inspect_response_body(f->e, buf_span(&held), result == IO_OK))
			return refuse_for_rules(f, &held);
		if (f->e->inspection)
			inspect_end(f->e);
	}
	phase = result == IO_OK ? send_held(f, response, &held) : send_on(f, response, &held);
	return phase;
}

static bool has_no_content(const struct forward *f)
{
	unsigned status = f->call->response.status;

	return f->e->x->request.method == HTTP_METHOD_HEAD || status == 204 || status == 304;
}

HOT static enum phase_result relay(struct forward *f, struct http_response *response,
				   uint64_t inspect_bytes)
{
	struct exchange *e = f->e;
	int flags = HTTP_SEND_NOW;
	enum io_result result;

	if (f->check.enforce || inspect_bytes)
		return relay_held(f, response, inspect_bytes);
	if (!f->call->tunnel && f->call->body_ended)
		flags = HTTP_SEND_END;
	else if (!f->call->tunnel && f->call->more_ready)
		flags = HTTP_SEND_MORE;
	result = respond_head(e, response, flags, client_deadline_ms(f, 0));
	if (result != IO_OK) {
		e->x->client_gone = true;
		return give_up_response(f, result);
	}
	return f->call->tunnel ? relay_tunnel(f) : relay_body(f);
}

/* Fields that were moved cannot be told apart any more: such an answer is not kept. */
static enum phase_result relay_and_keep(struct forward *f, struct http_response *response,
					uint64_t inspect_bytes)
{
	/* The call may have been given back when an answer is refused. */
	struct http1_head from = f->call->response;
	enum phase_result result;

	f->capture = response->field_count == from.field_count ? fallback_capture(f->e, &from)
							       : NULL;
	result = relay(f, response, inspect_bytes);
	if (f->capture)
		f->capture->complete = !f->e->reason && f->e->x->ended;
	fallback_capture_end(f->e, f->capture, &from);
	f->capture = NULL;
	return result;
}

HOT enum phase_result forward_relay_response(struct forward *f)
{
	struct exchange *e = f->e;
	const struct http1_head *from = &f->call->response;
	struct http_response response = {.status = from->status,
					 .fields = from->fields,
					 .content_length = response_length(from)};
	uint64_t inspect_bytes = 0;

	e->reason = NULL;
	if (from->status == 101 && !f->head.upgrade.len)
		return forward_answer_failure(f);
	if (from->status != 101 && !e->alternate)
		response_check_begin(&f->check, e, from, has_no_content(f));
	if (UNLIKELY(e->inspection != NULL) &&
	    !inspect_response_head(e, from, has_no_content(f), &inspect_bytes)) {
		struct buf nothing = {0};

		return refuse_for_rules(f, &nothing);
	}
	response.field_count = drop_named_fields(from);
	if (LIKELY(!e->route->guard || !e->route->guard->stale || f->check.enforce ||
		   f->call->tunnel))
		return relay(f, &response, inspect_bytes);
	return relay_and_keep(f, &response, inspect_bytes);
}
