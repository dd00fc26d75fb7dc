/* validate: valid requests only, by the service's contract. */
#include "base/log.h"
#include "base/mem.h"
#include "gateway/fields.h"
#include "gateway/forward.h"
#include "gateway/validate.h"

#define PROBLEMS_BYTES_MAX 16384

static const struct config_contract *contract_of(const struct exchange *e)
{
	return e->route->service->contract;
}

static const struct snapshot_service *service_of(const struct exchange *e)
{
	return &e->snapshot->services[e->route->service->index];
}

/* ---- route, authorize, approve --------------------------------------------------------------- */

static enum phase_result refuse_operation(struct exchange *e, enum contract_match match,
					  struct span allow)
{
	if (match == CONTRACT_NO_PATH) {
		e->reason = "not_in_contract";
		return answer_problem(e, 404, "not-found", NULL);
	}
	exchange_add_field(e, SPAN("allow"), allow);
	e->reason = "method_not_in_contract";
	return answer_problem(e, 405, "method-not-allowed", NULL);
}

HOT enum phase_result validate_route(struct exchange *e)
{
	const struct snapshot_service *service;
	struct contract_route *route;
	enum contract_match match;
	struct span path;

	if (!e->route->service)
		return PHASE_NEXT;
	service = service_of(e);
	if (!service->contract)
		return PHASE_NEXT;
	route = arena_alloc(&e->x->arena, sizeof(*route));
	path = forward_path(e);
	if (!route || !path.ptr)
		return answer_problem(e, 503, "out-of-memory", NULL);
	match = contract_match(service->contract, e->x->request.method_name, path, route);
	if (match == CONTRACT_FOUND) {
		e->operation = &service->operations[route->operation->index];
		e->contract_route = route;
		e->deadline_ms =
			exchange_step_deadline_ms(e, route->operation->extensions.timeout_ms);
		return PHASE_NEXT;
	}
	if (contract_of(e)->mode == CONFIG_CHECK_ENFORCE)
		return refuse_operation(e, match, route->allow);
	log_message(LOG_INFO, "contract.unknown_operation", "%.*s: %.*s %.*s",
		    SPAN_ARG(service->config->name), SPAN_ARG(e->x->request.method_name),
		    SPAN_ARG(path));
	return PHASE_NEXT;
}

static bool meets_demand(const struct identity *identity, const struct contract_demand *demand)
{
	if (demand->scheme->kind == CONTRACT_SCHEME_UNKNOWN)
		return false;
	if (demand->scheme->kind == CONTRACT_SCHEME_MUTUAL_TLS &&
	    identity->kind != IDENTITY_CERTIFICATE)
		return false;
	for (size_t i = 0; i < demand->scope_count; i++)
		if (!identity_has_scope(identity, demand->scopes[i]))
			return false;
	return true;
}

static bool meets(const struct identity *identity, const struct contract_alternative *all)
{
	if (all->demand_count && identity->kind == IDENTITY_ANONYMOUS)
		return false;
	for (size_t i = 0; i < all->demand_count; i++)
		if (!meets_demand(identity, &all->demands[i]))
			return false;
	return true;
}

/* The scopes of the first alternative: what a client should ask for. */
static struct span challenge(struct exchange *e, const struct contract_alternative *first)
{
	struct buf text;
	struct span copy;

	buf_init(&text, 4096);
	buf_append_cstr(&text, "Bearer error=\"insufficient_scope\", scope=\"");
	for (size_t i = 0, n = 0; i < first->demand_count; i++)
		for (size_t j = 0; j < first->demands[i].scope_count; j++) {
			if (n++)
				buf_append_byte(&text, ' ');
			buf_append(&text, first->demands[i].scopes[j]);
		}
	buf_append_byte(&text, '"');
	copy = buf_failed(&text) ? SPAN("Bearer error=\"insufficient_scope\"")
				 : arena_dup(&e->x->arena, buf_span(&text));
	buf_release(&text);
	return copy;
}

enum phase_result validate_security(struct exchange *e)
{
	const struct contract_operation *operation;

	if (!e->operation || !contract_of(e)->security ||
	    contract_of(e)->mode != CONFIG_CHECK_ENFORCE ||
	    e->route->config->auth == CONFIG_AUTH_NONE)
		return PHASE_NEXT;
	operation = e->operation->contract;
	for (size_t i = 0; i < operation->security_count; i++)
		if (meets(e->identity, &operation->security[i]))
			return PHASE_NEXT;
	if (operation->security_count == 0)
		return PHASE_NEXT;
	if (e->identity->kind == IDENTITY_ANONYMOUS) {
		e->reason = "unauthenticated";
		exchange_add_field(e, SPAN("www-authenticate"), SPAN("Bearer"));
		return answer_problem(e, 401, "unauthenticated", NULL);
	}
	e->reason = "insufficient_scope";
	exchange_add_field(e, SPAN("www-authenticate"), challenge(e, &operation->security[0]));
	return answer_problem(e, 403, "forbidden", NULL);
}

const struct config_sensitive *validate_sensitive(const struct exchange *e)
{
	const struct snapshot_operation *operation = e->operation;

	/* What the document asks for must not soften what the configuration does. */
	if (operation && operation->sensitive &&
	    (operation->sensitive != &operation->own_sensitive || !e->route->sensitive))
		return operation->sensitive;
	return e->route->sensitive;
}

/* ---- checks ---------------------------------------------------------------------------------- */

static struct contract_check *take_check(struct worker *worker)
{
	/* How long bodies may be, limits.body and the routes say, and the document. */
	static const struct contract_check_limits limits = {.max_body_bytes = UINT64_MAX};
	struct err err;

	if (worker->check_count)
		return worker->checks[--worker->check_count];
	return contract_check_new(&limits, &err);
}

static void give_check(struct worker *worker, struct contract_check *check)
{
	if (worker->check_count == COUNT_OF(worker->checks))
		contract_check_free(check);
	else
		worker->checks[worker->check_count++] = check;
}

void validate_release_checks(struct worker *worker)
{
	while (worker->check_count)
		contract_check_free(worker->checks[--worker->check_count]);
}

static char *problems_text(const struct contract_check *check)
{
	struct buf text;

	buf_init(&text, PROBLEMS_BYTES_MAX);
	contract_check_problems_json(check, &text);
	if (buf_failed(&text) || !buf_cstr(&text)) {
		buf_release(&text);
		return NULL;
	}
	return text.ptr;
}

/* Counts, keeps the problems for the report, and logs them. Takes `problems`. */
static void note_bad(struct exchange *e, bool response, char *problems)
{
	struct contract_stats *stats = e->operation->stats;
	char **last = response ? &stats->last_response : &stats->last_request;
	struct log_line line;
	char *before;

	if (log_wanted(LOG_INFO)) {
		log_begin(&line, LOG_INFO,
			  response ? "contract.bad_response" : "contract.bad_request");
		log_str(&line, "service", e->route->config->service->name);
		log_str(&line, "operation", e->operation->contract->id);
		log_str(&line, "request_id", e->request_id);
		log_str(&line, "problems", span_cstr(problems ? problems : "[]"));
		log_end(&line);
	}
	atomic_fetch_add_explicit(response ? &stats->bad_responses : &stats->bad_requests, 1,
				  memory_order_relaxed);
	if (!problems)
		return;
	pthread_mutex_lock(&stats->lock);
	before = *last;
	*last = problems;
	pthread_mutex_unlock(&stats->lock);
	mem_free(before);
}

static struct contract_policy policy_of(const struct config_contract *config, bool enforce)
{
	/* What is only observed is not changed either. */
	if (!enforce)
		return (struct contract_policy){
			.query = config->unknown_query == CONFIG_UNKNOWN_REFUSE
					 ? CONTRACT_UNKNOWN_REFUSE
					 : CONTRACT_UNKNOWN_ALLOW,
			.properties = config->unknown_properties == CONFIG_UNKNOWN_REFUSE
					      ? CONTRACT_UNKNOWN_REFUSE
					      : CONTRACT_UNKNOWN_ALLOW,
			.pattern_time_ms = (uint32_t)config->pattern_time_ms};
	return (struct contract_policy){
		.query = (enum contract_unknown)config->unknown_query,
		.properties = (enum contract_unknown)config->unknown_properties,
		.pattern_time_ms = (uint32_t)config->pattern_time_ms};
}

static bool is_bad(enum contract_result result)
{
	return result != CONTRACT_MORE && result != CONTRACT_VALID;
}

/* ---- the request ----------------------------------------------------------------------------- */

enum phase_result validate_answer_broken(struct exchange *e)
{
	unsigned status = contract_result_status(e->check_result);
	char *problems = problems_text(e->check);
	struct span copy = problems ? arena_dup(&e->x->arena, span_cstr(problems)) : SPAN_NONE;

	e->reason = e->check_result == CONTRACT_MEMORY ? "out_of_memory" : "contract";
	e->check_noted = true;
	note_bad(e, false, problems);
	if (e->check_result == CONTRACT_MEMORY)
		return answer_problem(e, 503, "out-of-memory", NULL);
	return answer_problem_with(e, status,
				   status == 415   ? "unsupported-media-type"
				   : status == 413 ? "body-too-large"
						   : "contract-violation",
				   NULL, SPAN("errors"), copy);
}

static bool strip_query(struct exchange *e)
{
	struct span query = SPAN_NONE;
	struct buf text;
	bool done;

	if (!contract_check_cuts_query(e->check))
		return true;
	buf_init(&text, e->query.len + 1);
	done = contract_check_write_query(e->check, &text) == 0;
	if (done && text.len) {
		query = arena_dup(&e->x->arena, buf_span(&text));
		done = query.ptr != NULL;
	}
	buf_release(&text);
	if (done)
		e->query = query;
	return done;
}

static bool strip_body(struct exchange *e)
{
	struct buf text;

	if (!contract_check_cuts_body(e->check))
		return true;
	buf_init(&text, e->spool.held.len + 1);
	if (contract_check_write_body(e->check, e->spool.held, &text) < 0) {
		buf_release(&text);
		return false;
	}
	spool_replace(e, &text);
	return true;
}

/* Unknown parameters and properties are cut out of what is passed on. */
static enum phase_result strip(struct exchange *e)
{
	if (strip_query(e) && strip_body(e))
		return PHASE_NEXT;
	return answer_problem(e, 503, "out-of-memory", NULL);
}

static enum phase_result conclude(struct exchange *e)
{
	enum phase_result result;

	if (contract_of(e)->mode != CONFIG_CHECK_ENFORCE)
		return PHASE_NEXT;
	if (e->check_result != CONTRACT_VALID)
		return validate_answer_broken(e);
	result = strip(e);
	validate_finish(e);
	return result;
}

/* The body has been read and decoded. */
static enum phase_result check_held(struct exchange *e)
{
	e->check_result = contract_check_feed(e->check, e->spool.held);
	if (e->check_result == CONTRACT_MORE)
		e->check_result = contract_check_finish(e->check);
	return conclude(e);
}

static enum phase_result go_on_streaming(struct exchange *e)
{
	e->check_streams = true;
	e->check_result = contract_check_stop(e->check);
	if (e->check_result != CONTRACT_MORE)
		return validate_answer_broken(e);
	return strip_query(e) ? PHASE_NEXT : answer_problem(e, 503, "out-of-memory", NULL);
}

static enum phase_result refuse_large(struct exchange *e)
{
	e->reason = "body_too_large";
	return answer_problem(e, 413, "body-too-large", NULL);
}

/*
 * Reads the body, as much as is held of it, each piece of which is checked as it comes. The rest is
 * checked while it passes. What is to be cut out must be held.
 */
static enum phase_result check_content(struct exchange *e)
{
	bool stream = contract_of(e)->large == CONFIG_LARGE_STREAM &&
		      contract_of(e)->unknown_properties != CONFIG_UNKNOWN_STRIP;
	enum phase_result result;
	bool whole;

	if (e->spool.complete)
		return check_held(e);
	if (!stream && spool_cannot_hold(e))
		return refuse_large(e);
	result = spool_hold(e, &whole);
	if (result != PHASE_NEXT)
		return result;
	if (whole)
		return conclude(e);
	return stream ? go_on_streaming(e) : refuse_large(e);
}

static enum phase_result validate(struct exchange *e)
{
	const struct http1_head *head = &e->x->request;
	const struct config_contract *config;
	struct contract_policy policy;
	struct contract_request request = {
		.query = e->query,
		.fields = head->fields,
		.field_count = head->field_count,
		.has_content = fields_announce_content(head),
	};

	config = contract_of(e);
	policy = policy_of(config, config->mode == CONFIG_CHECK_ENFORCE);
	e->check = take_check(e->worker);
	if (!e->check)
		return answer_problem(e, 503, "out-of-memory", NULL);
	atomic_fetch_add_explicit(&e->operation->stats->requests, 1, memory_order_relaxed);
	e->check_result = contract_check_request(e->check, service_of(e)->contract,
						 e->contract_route, &request, &policy);
	if (e->check_result == CONTRACT_MORE && !request.has_content)
		e->check_result = contract_check_finish(e->check);
	if (e->check_result != CONTRACT_MORE)
		return conclude(e);
	if (config->mode != CONFIG_CHECK_ENFORCE)
		return PHASE_NEXT; /* checked while it passes */
	if (contract_check_failed(e->check)) {
		e->check_result = CONTRACT_INVALID;
		return validate_answer_broken(e);
	}
	return check_content(e);
}

enum phase_result phase_validate(struct exchange *e)
{
	enum phase_result result = PHASE_NEXT;

	if (LIKELY(!e->operation))
		return PHASE_NEXT;
	if (contract_of(e)->mode == CONFIG_CHECK_ENFORCE)
		result = decode_body(e);
	return result == PHASE_NEXT ? validate(e) : result;
}

/*
 * With the last byte that was announced a service has the whole request, whether the end has been
 * seen here or not (a frame of HTTP/2 that is still to come).
 */
static bool has_all(const struct http_exchange *x)
{
	return x->body_ended || (x->request.framing == HTTP1_LENGTH &&
				 x->body_received_bytes >= x->request.content_length);
}

enum io_result validate_read_body(struct exchange *e, struct span *piece, int64_t deadline_ms)
{
	enum io_result result = http_read_body(e->x, piece, deadline_ms);

	if (!e->check || e->check_result != CONTRACT_MORE)
		return result;
	if (result == IO_OK)
		e->check_result = contract_check_feed(e->check, *piece);
	if (e->check_streams && e->check_result == CONTRACT_MORE)
		e->check_result = contract_check_stop(e->check);
	if (e->check_result == CONTRACT_MORE && (result == IO_EOF || has_all(e->x)))
		e->check_result = contract_check_finish(e->check);
	if (!is_bad(e->check_result) || contract_of(e)->mode != CONFIG_CHECK_ENFORCE)
		return result;
	e->contract_broken = true;
	return IO_FAILED;
}

HOT void validate_finish(struct exchange *e)
{
	if (!e->check)
		return;
	if (is_bad(e->check_result) && !e->check_noted)
		note_bad(e, false, problems_text(e->check));
	give_check(e->worker, e->check);
	e->check = NULL;
}

/* ---- the response ---------------------------------------------------------------------------- */

HOT bool validate_wants_plain_response(const struct exchange *e)
{
	return e->operation && contract_of(e)->responses != CONFIG_CHECK_OFF;
}

HOT void response_check_begin(struct response_check *rc, struct exchange *e,
			      const struct http1_head *head, bool no_content)
{
	struct contract_response response = {
		.status = head->status,
		.fields = head->fields,
		.field_count = head->field_count,
		.no_content = no_content,
	};
	struct contract_policy policy = {.properties = CONTRACT_UNKNOWN_ALLOW};

	*rc = (struct response_check){.check = NULL};
	if (!validate_wants_plain_response(e))
		return;
	rc->enforce = contract_of(e)->responses == CONFIG_CHECK_ENFORCE;
	policy.pattern_time_ms = (uint32_t)contract_of(e)->pattern_time_ms;
	rc->has_length = head->framing == HTTP1_LENGTH;
	rc->left_bytes = head->content_length;
	rc->check = take_check(e->worker);
	if (!rc->check) {
		rc->result = CONTRACT_MEMORY;
		return;
	}
	if (rc->enforce || contract_of(e)->unknown_response_properties == CONFIG_UNKNOWN_REFUSE)
		policy.properties =
			(enum contract_unknown)contract_of(e)->unknown_response_properties;
	atomic_fetch_add_explicit(&e->operation->stats->responses, 1, memory_order_relaxed);
	rc->result = contract_check_response(rc->check, service_of(e)->contract,
					     e->operation->contract, &response, &policy);
}

static bool may_go_on(const struct response_check *rc)
{
	return !rc->enforce || !is_bad(rc->result);
}

HOT bool response_check_feed(struct response_check *rc, struct span piece)
{
	if (rc->check && rc->result == CONTRACT_MORE)
		rc->result = contract_check_feed(rc->check, piece);
	rc->left_bytes -= piece.len < rc->left_bytes ? piece.len : rc->left_bytes;
	/* With the last byte the client has the whole response. */
	if (rc->has_length && rc->left_bytes == 0)
		return response_check_end(rc);
	return may_go_on(rc);
}

HOT bool response_check_end(struct response_check *rc)
{
	if (rc->check && rc->result == CONTRACT_MORE)
		rc->result = contract_check_finish(rc->check);
	return may_go_on(rc);
}

HOT void response_check_release(struct response_check *rc, struct exchange *e)
{
	if (!rc->check)
		return;
	if (is_bad(rc->result))
		note_bad(e, true, problems_text(rc->check));
	give_check(e->worker, rc->check);
	rc->check = NULL;
}
