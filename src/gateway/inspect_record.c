/* The firewall's records: one of JSON a transaction that has something to say. */
#include "base/clock.h"
#include "base/log.h"
#include "gateway/inspect.h"
#include "gateway/line_writer.h"
#include "parse/json_write.h"

#define RECORD_BYTES_MAX 65536
#define MATCHES_MAX 100

static void put_match(struct json_writer *w, const struct patch_set *set,
		      struct waf_transaction *t, const struct waf_match *match)
{
	const struct patch *patch = patch_set_find(set, match->file);

	json_begin_object(w);
	json_member_int(w, SPAN("rule"), match->rule_id);
	if (patch)
		json_member_string(w, SPAN("patch"), patch->config->name);
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
	if (e->x->peer->fingerprint && !e->from_trusted_proxy)
		json_member_string(w, SPAN("fingerprint"), span_cstr(e->x->peer->fingerprint));
	json_member_string(w, SPAN("method"), e->x->request.method_name);
	json_member_string(w, SPAN("host"), e->x->request.authority);
	json_member_string(w, SPAN("path"), e->path);
	json_member_string(w, SPAN("route"), e->route->config->operation);
	json_member_string(w, SPAN("action"), span_cstr(action_word(in)));
	json_member_int(w, SPAN("rule"), in->verdict.rule_id);
	json_member_int(w, SPAN("score"), in->request_score);
	if (in->of_response) {
		json_member_int(w, SPAN("response_score"), in->verdict.score);
		json_member_string(w, SPAN("of"), SPAN("response"));
	}
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

void inspect_record(struct inspection *in)
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
		put_match(&w, in->e->route->waf, in->t, match);
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
