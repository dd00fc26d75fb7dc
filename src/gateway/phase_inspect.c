/* inspect: the web application firewall. */
#include <netinet/in.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/fields.h"
#include "gateway/inspect.h"
#include "gateway/line_writer.h"
#include "parse/json_write.h"
#include "waf/waf.h"

#define RECORD_BYTES_MAX 65536
#define MATCHES_MAX 100

struct inspection {
	struct exchange *e;
	struct waf_transaction *t;
	struct waf_verdict verdict;
	bool block; /* the mode */
	bool failed; /* the rules could not be run to their end */
	struct err err;
};

static struct waf_worker *worker_of(struct exchange *e)
{
	struct worker *worker = e->worker;
	struct err err;

	if (!worker->waf)
		worker->waf = waf_worker_new(worker->shared->waf_collections, &err);
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

static bool decided(const struct inspection *in)
{
	return in->failed || in->verdict.action != WAF_PASS;
}

/* PHASE_NEXT: the rules have what they may see of the body. */
static enum phase_result read_body(struct inspection *in)
{
	struct exchange *e = in->e;
	bool whole;
	enum phase_result result = spool_hold(e, &whole);

	if (result != PHASE_NEXT)
		return result;
	if (whole) {
		waf_request_body_whole(in->t, e->spool.held);
		return PHASE_NEXT;
	}
	if (in->block && e->snapshot->config->waf->large == CONFIG_LARGE_REFUSE) {
		e->reason = "body_too_large";
		return answer_problem(e, 413, "body-too-large",
				      "what is inspected must fit limits.body_buffer");
	}
	waf_request_body_piece(in->t, e->spool.held);
	return PHASE_NEXT;
}

/* ---- the record ------------------------------------------------------------------------------ */

static void put_match(struct json_writer *w, struct waf_transaction *t,
		      const struct waf_match *match)
{
	json_begin_object(w);
	json_member_int(w, SPAN("rule"), match->rule_id);
	json_member_int(w, SPAN("phase"), match->phase);
	json_member_string(w, SPAN("message"), match->message);
	json_member_string(w, SPAN("variable"), match->variable);
	json_member_string(w, SPAN("piece"), match->piece);
	json_member_int(w, SPAN("score"), match->score);
	json_member_int(w, SPAN("severity"), match->severity);
	json_key(w, SPAN("tags"));
	json_begin_array(w);
	for (size_t i = 0; i < match->tag_count; i++)
		json_put_string(w, match->tags[i]);
	json_end_array(w);
	json_member_string(w, SPAN("file"), match->file);
	json_member_int(w, SPAN("line"), match->line);
	json_member_string(w, SPAN("exclusion"), waf_match_exclusion(t, match));
	json_end_object(w);
}

static const char *action_word(const struct inspection *in)
{
	if (in->failed)
		return "failed";
	if (in->verdict.action != WAF_PASS)
		return "blocked";
	return in->verdict.would_block ? "observed" : "passed";
}

static void put_record(struct inspection *in, struct json_writer *w)
{
	struct exchange *e = in->e;
	char client[ADDRESS_TEXT_SIZE];
	char time[CLOCK_RFC3339_SIZE];

	clock_rfc3339(time, clock_unix_ms());
	json_begin_object(w);
	json_member_string(w, SPAN("time"), span_cstr(time));
	json_member_string(w, SPAN("event"), SPAN("waf"));
	json_member_string(w, SPAN("request_id"), e->request_id);
	json_member_string(w, SPAN("client"),
			   span_of(client, address_format(&e->client, client)));
	json_member_string(w, SPAN("method"), e->x->request.method_name);
	json_member_string(w, SPAN("host"), e->x->request.authority);
	json_member_string(w, SPAN("path"), e->path);
	json_member_string(w, SPAN("route"), e->route->config->operation);
	json_member_string(w, SPAN("action"), span_cstr(action_word(in)));
	json_member_int(w, SPAN("rule"), in->verdict.rule_id);
	json_member_int(w, SPAN("score"), in->verdict.score);
	if (in->failed)
		json_member_string(w, SPAN("error"), span_cstr(in->err.message));
}

static bool has_logged_match(const struct waf_transaction *t)
{
	const struct waf_match *match;

	for (size_t i = 0; (match = waf_match_at(t, i)); i++)
		if (match->logged)
			return true;
	return false;
}

static void record(struct inspection *in)
{
	struct line_writer *log = in->e->worker->shared->waf_log;
	const struct waf_match *match;
	struct json_writer w;
	struct buf text;
	size_t written = 0;

	if (!in->failed && !has_logged_match(in->t))
		return;
	buf_init(&text, RECORD_BYTES_MAX);
	json_writer_init(&w, &text);
	put_record(in, &w);
	json_key(&w, SPAN("matches"));
	json_begin_array(&w);
	for (size_t i = 0; (match = waf_match_at(in->t, i)) && written < MATCHES_MAX; i++) {
		if (!match->logged)
			continue;
		put_match(&w, in->t, match);
		written++;
	}
	json_end_array(&w);
	json_end_object(&w);
	if (buf_append_byte(&text, '\n') < 0 || !line_writer_put(log, buf_span(&text)))
		log_message(LOG_WARN, "waf.match",
			    "rule %u: the record is too long or there "
			    "is no memory for it",
			    in->verdict.rule_id);
	buf_release(&text);
}

/* ---- the verdict ----------------------------------------------------------------------------- */

static void count(const struct inspection *in)
{
	struct metrics *metrics = in->e->worker->metrics;

	counter_add(&metrics->waf_inspected, 1);
	if (in->failed)
		counter_add(&metrics->waf_failed, 1);
	else if (in->verdict.action != WAF_PASS)
		counter_add(&metrics->waf_blocked, 1);
	else if (in->verdict.would_block)
		counter_add(&metrics->waf_observed, 1);
}

static enum phase_result conclude(struct inspection *in)
{
	struct exchange *e = in->e;
	struct span redirect = in->verdict.redirect;

	if (in->failed && in->block) {
		e->reason = "waf_failed";
		return answer_problem(e, 503, "unavailable", NULL);
	}
	if (in->failed || in->verdict.action == WAF_PASS)
		return PHASE_NEXT;
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
	if (!decided(in) && fields_announce_content(&in->e->x->request) &&
	    waf_wants_request_body(in->t))
		result = read_body(in);
	if (result != PHASE_NEXT)
		return result;
	if (!decided(in))
		in->failed = waf_request_body(in->t, &in->verdict, &in->err) < 0;
	return PHASE_NEXT;
}

static enum phase_result inspect(struct exchange *e, enum config_waf_mode mode)
{
	struct inspection in = {.e = e, .block = mode == CONFIG_WAF_MODE_BLOCK};
	struct waf_worker *worker = worker_of(e);
	enum phase_result result;
	struct err err;

	if (worker)
		in.t = waf_transaction_new(worker, in.block ? e->snapshot->waf_block
							    : e->snapshot->waf_observe);
	if (!in.t) {
		e->reason = "out_of_memory";
		return answer_problem(e, 503, "out-of-memory", NULL);
	}
	result = run(&in);
	if (result == PHASE_NEXT) {
		if (waf_finish(in.t, &err) < 0 && !in.failed) {
			in.failed = true;
			in.err = err;
		}
		record(&in);
		count(&in);
		result = conclude(&in);
	}
	waf_transaction_free(in.t);
	return result;
}

enum phase_result phase_inspect(struct exchange *e)
{
	enum config_waf_mode mode = e->route->config->waf;

	enum phase_result result;

	if (mode == CONFIG_WAF_MODE_OFF || !is_sampled(e))
		return PHASE_NEXT;
	result = mode == CONFIG_WAF_MODE_BLOCK ? decode_body(e) : PHASE_NEXT;
	return result == PHASE_NEXT ? inspect(e, mode) : result;
}
