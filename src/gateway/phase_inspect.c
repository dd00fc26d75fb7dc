/* inspect: the web application firewall. */
#include <netinet/in.h>

#include "gateway/fields.h"
#include "gateway/inspect.h"
#include "gateway/outside.h"

static struct waf_worker *worker_of(struct exchange *e)
{
	struct worker *worker = e->worker;
	struct waf_hooks hooks;
	struct err err;

	if (worker->waf)
		return worker->waf;
	if (!worker->outside)
		worker->outside = outside_new(worker, e->snapshot->config->waf, &err);
	if (worker->outside)
		worker->waf = waf_worker_new(worker->shared->waf_collections, &err);
	if (worker->waf) {
		outside_hooks(worker->outside, &hooks);
		waf_worker_set_hooks(worker->waf, &hooks);
	}
	return worker->waf;
}

static bool is_sampled(struct exchange *e)
{
	uint32_t percent = e->snapshot->config->waf->sample_percent;

	return percent >= 100 || worker_random(e->worker) % 100 < percent;
}

static uint16_t port_of(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)address)->sin_port);
	if (address->ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
	return 0;
}

static struct span protocol_of(const struct http_exchange *x)
{
	return x->version == 20	  ? SPAN("HTTP/2.0")
	       : x->version == 10 ? SPAN("HTTP/1.0")
				  : SPAN("HTTP/1.1");
}

/* Everything that rules of phase 1 look at. */
static bool describe(struct inspection *in)
{
	struct exchange *e = in->e;
	const struct http1_head *head = &e->x->request;
	char text[ADDRESS_TEXT_SIZE];
	struct waf_connection connection = {
		.client_address = arena_dup(&e->x->arena,
					    span_of(text, address_format(&e->client, text))),
		.client_port = e->from_trusted_proxy ? 0 : port_of(&e->x->peer->address),
		.server_address = e->host,
		.server_port = e->secure ? 443 : 80,
	};
	struct waf_request request = {
		.method = head->method_name,
		.target = head->target,
		.protocol = protocol_of(e->x),
		.unique_id = e->request_id,
	};

	if (!connection.client_address.ptr)
		return false;
	waf_set_connection(in->t, &connection);
	waf_set_request(in->t, &request);
	for (size_t i = 0; i < head->field_count; i++)
		waf_add_request_header(in->t, head->fields[i].name, head->fields[i].value);
	return true;
}

static enum phase_result refuse_large(struct exchange *e)
{
	e->reason = "body_too_large";
	return answer_problem(e, 413, "body-too-large",
			      "what is inspected must fit limits.body_buffer");
}

/* PHASE_NEXT: the rules have what they may see of the body. */
static enum phase_result read_body(struct inspection *in)
{
	struct exchange *e = in->e;
	bool refuse = in->block && e->snapshot->config->waf->large == CONFIG_LARGE_REFUSE;
	size_t limit_bytes = e->snapshot->config->limits.body_buffer_bytes;
	enum phase_result result;
	bool whole;

	if (refuse && spool_cannot_hold(e))
		return refuse_large(e);
	result = spool_hold(e, &whole);
	if (result != PHASE_NEXT)
		return result;
	/* The last piece may have been longer than what was still allowed. */
	if (whole && e->spool.held.len <= limit_bytes) {
		waf_request_body_whole(in->t, e->spool.held);
		return PHASE_NEXT;
	}
	if (refuse)
		return refuse_large(e);
	waf_request_body_piece(in->t, span_slice(e->spool.held, 0, limit_bytes));
	return PHASE_NEXT;
}

/* ---- the verdict ----------------------------------------------------------------------------- */

static void count(const struct inspection *in)
{
	struct metrics *metrics = in->e->worker->metrics;

	counter_add(&metrics->waf_inspected, 1);
	if (in->failed)
		counter_add(&metrics->waf_failed, 1);
	else if (in->verdict.action != WAF_PASS)
		counter_add(&metrics->waf_blocked[in->of_response], 1);
	else if (in->verdict.would_block)
		counter_add(&metrics->waf_observed[in->of_response], 1);
}

void inspect_end(struct exchange *e)
{
	struct inspection *in = e->inspection;
	struct err err;

	if (!in->failed && waf_finish(in->t, &err) < 0) {
		in->failed = true;
		in->err = err;
	}
	inspect_record(in);
	count(in);
	if (e->route->waf->count)
		patch_set_note(e->route->waf, in->t, in->verdict.action != WAF_PASS);
	waf_transaction_free(in->t);
	buf_release(&in->decoded);
	e->inspection = NULL;
}

static enum phase_result refuse(struct exchange *e)
{
	const struct inspection *in = e->inspection;
	struct span redirect = in->verdict.redirect;

	if (in->failed) {
		e->reason = "waf_failed";
		return answer_problem(e, 503, "unavailable", NULL);
	}
	e->reason = "waf";
	e->x->close_after = in->verdict.action == WAF_DROP;
	if (redirect.len)
		exchange_add_field(e, SPAN("location"), arena_dup(&e->x->arena, redirect));
	return answer_problem(e, in->verdict.status, "blocked", NULL);
}

static enum phase_result run(struct inspection *in)
{
	enum phase_result result = PHASE_NEXT;

	in->failed = !describe(in) || waf_request_headers(in->t, &in->verdict, &in->err) < 0;
	if (!inspection_is_decided(in) && fields_announce_content(&in->e->x->request) &&
	    waf_wants_request_body(in->t))
		result = read_body(in);
	if (result != PHASE_NEXT)
		return result;
	if (!inspection_is_decided(in))
		in->failed = waf_request_body(in->t, &in->verdict, &in->err) < 0;
	in->request_score = in->verdict.score;
	return PHASE_NEXT;
}

static enum phase_result inspect(struct exchange *e, bool block)
{
	const struct patch_set *set = e->route->waf;
	struct inspection *in = arena_new(&e->x->arena, struct inspection);
	struct waf_worker *worker = worker_of(e);
	enum phase_result result;

	if (in && worker)
		in->t = waf_transaction_new(worker, set->policy);
	if (!in || !in->t) {
		e->reason = "out_of_memory";
		return answer_problem(e, 503, "out-of-memory", NULL);
	}
	in->e = e;
	in->block = block;
	e->inspection = in;
	if (set->count)
		patch_set_prepare(set, e, in->t);
	result = run(in);
	if (result != PHASE_NEXT)
		return result;
	if (block && inspection_is_decided(in))
		return refuse(e);
	/* What is left to do then can be done at once. */
	if (inspection_is_decided(in) || !waf_policy_inspects_responses(set->policy))
		inspect_end(e);
	return PHASE_NEXT;
}

enum phase_result phase_inspect(struct exchange *e)
{
	enum config_waf_mode mode = e->route->config->waf;
	enum phase_result result;

	if (mode == CONFIG_WAF_MODE_OFF || !is_sampled(e))
		return PHASE_NEXT;
	result = mode == CONFIG_WAF_MODE_BLOCK ? decode_body(e) : PHASE_NEXT;
	return result == PHASE_NEXT ? inspect(e, mode == CONFIG_WAF_MODE_BLOCK) : result;
}
