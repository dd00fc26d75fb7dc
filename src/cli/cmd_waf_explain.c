/* waf explain */
#include "cli/input.h"
#include "cli/waf_work.h"
#include "gateway/inspect_policy.h"
#include "parse/http1.h"
#include "parse/json_write.h"

#define FIELDS_MAX 200

struct explanation {
	struct waf_work *w;
	struct json_writer json;
	bool all;
};

static void trace(void *context, const struct waf_step *step)
{
	struct explanation *x = context;
	struct buf *out = &x->w->out;

	if (!x->all && !step->matched)
		return;
	if (!x->w->json) {
		buf_printf(out, "%s phase %u rule %u (%.*s:%u)%s%.*s%s%.*s%s%s\n",
			   step->matched ? "match" : "     ", step->phase, step->rule_id,
			   SPAN_ARG(step->file), step->line, step->variable.len ? " " : "",
			   SPAN_ARG(step->variable), step->value.len ? " = " : "",
			   SPAN_ARG(step->value), step->note ? ": " : "",
			   step->note ? step->note : "");
		return;
	}
	json_begin_object(&x->json);
	json_member_int(&x->json, SPAN("phase"), step->phase);
	json_member_int(&x->json, SPAN("rule"), step->rule_id);
	json_member_string(&x->json, SPAN("file"), step->file);
	json_member_int(&x->json, SPAN("line"), step->line);
	json_member_string(&x->json, SPAN("variable"), step->variable);
	json_member_string(&x->json, SPAN("value"), step->value);
	json_member_bool(&x->json, SPAN("matched"), step->matched);
	if (step->note)
		json_member_string(&x->json, SPAN("note"), span_cstr(step->note));
	json_end_object(&x->json);
}

/* The file's line ends may be those of an editor: in the head LF becomes CRLF. */
static int normalise(struct span raw, struct buf *to, struct err *err)
{
	struct span rest = raw;

	while (rest.ptr) {
		struct span line = span_cut(&rest, '\n');

		if (line.len && line.ptr[line.len - 1] == '\r')
			line.len--;
		buf_append(to, line);
		buf_append_cstr(to, "\r\n");
		if (line.len == 0)
			break;
	}
	if (rest.ptr)
		buf_append(to, rest);
	return buf_failed(to) ? err_set(err, ERR_MEMORY, "out of memory") : 0;
}

/* A request or a response as it was sent, from a file. */
struct message {
	struct buf text;
	struct http1_head head;
	struct span body;
};

static int read_message(struct waf_work *w, const char *name, const struct http1_head *request,
			struct message *to, struct err *err)
{
	static const struct http1_limits limits = {
		.line_bytes = 1 << 20, .head_bytes = 4 << 20, .field_count = FIELDS_MAX};
	enum http1_result result;
	size_t consumed = 0;
	struct buf raw;

	buf_init(&raw, WAF_INPUT_MAX);
	if (input_read(name, &raw, err) < 0 || normalise(buf_span(&raw), &to->text, err) < 0) {
		buf_release(&raw);
		return -1;
	}
	buf_release(&raw);
	to->head.fields = arena_array(&w->arena, struct http_field, FIELDS_MAX);
	if (!to->head.fields)
		return err_set(err, ERR_MEMORY, "out of memory");
	if (request)
		result = http1_parse_response(&to->head, buf_span(&to->text), &limits,
					      request->method == HTTP_METHOD_HEAD, false,
					      &consumed);
	else
		result =
			http1_parse_request(&to->head, buf_span(&to->text), &limits, &consumed);
	if (result != HTTP1_DONE && request)
		return err_set(err, ERR_SYNTAX, "%.200s: this is no response: %s", name,
			       http1_result_text(result));
	if (result != HTTP1_DONE)
		return err_set(err, ERR_SYNTAX,
			       "the gateway itself refuses this request with %u: %s",
			       http1_result_status(result), http1_result_text(result));
	to->body = span_slice(buf_span(&to->text), consumed, to->text.len);
	return 0;
}

static void print_matches(struct explanation *x, struct waf_transaction *t)
{
	const struct waf_match *match;
	struct buf *out = &x->w->out;

	for (size_t i = 0; (match = waf_match_at(t, i)); i++) {
		struct span exclusion;

		if (!match->logged)
			continue;
		exclusion = waf_match_exclusion(t, match);
		if (!x->w->json) {
			buf_printf(out, "\nrule %u, score %d: %.*s\n  %.*s: %.*s\n",
				   match->rule_id, match->score, SPAN_ARG(match->message),
				   SPAN_ARG(match->variable), SPAN_ARG(match->piece));
			if (exclusion.len)
				buf_printf(out, "  exclusion: %.*s\n", SPAN_ARG(exclusion));
			continue;
		}
		json_begin_object(&x->json);
		json_member_int(&x->json, SPAN("rule"), match->rule_id);
		json_member_int(&x->json, SPAN("score"), match->score);
		json_member_string(&x->json, SPAN("message"), match->message);
		json_member_string(&x->json, SPAN("variable"), match->variable);
		json_member_string(&x->json, SPAN("piece"), match->piece);
		json_member_string(&x->json, SPAN("exclusion"), exclusion);
		json_end_object(&x->json);
	}
}

static int run_request(struct waf_transaction *t, const struct message *message,
		       struct waf_verdict *verdict, struct err *err)
{
	const struct http1_head *head = &message->head;
	struct waf_connection connection = {.client_address = SPAN("192.0.2.1"),
					    .client_port = 40000,
					    .server_address = SPAN("192.0.2.2"),
					    .server_port = 443};
	struct waf_request request = {.method = head->method_name,
				      .target = head->target,
				      .protocol = SPAN("HTTP/1.1"),
				      .unique_id = SPAN("explain")};

	waf_set_connection(t, &connection);
	waf_set_request(t, &request);
	for (size_t i = 0; i < head->field_count; i++)
		waf_add_request_header(t, head->fields[i].name, head->fields[i].value);
	if (waf_request_headers(t, verdict, err) < 0)
		return -1;
	if (verdict->action != WAF_PASS)
		return 0;
	if (message->body.len && waf_wants_request_body(t))
		waf_request_body_whole(t, message->body);
	return waf_request_body(t, verdict, err);
}

static int run_response(struct waf_transaction *t, const struct message *message,
			struct waf_verdict *verdict, struct err *err)
{
	const struct http1_head *head = &message->head;

	waf_set_response(t, head->status, SPAN("HTTP/1.1"));
	for (size_t i = 0; i < head->field_count; i++)
		waf_add_response_header(t, head->fields[i].name, head->fields[i].value);
	if (waf_response_headers(t, verdict, err) < 0)
		return -1;
	if (verdict->action != WAF_PASS || !waf_wants_response_body(t))
		return 0;
	waf_response_body_whole(t, message->body);
	return waf_response_body(t, verdict, err);
}

static void print_verdict(struct explanation *x, const struct waf_verdict *verdict)
{
	bool blocked = verdict->action != WAF_PASS;

	if (!x->w->json) {
		buf_printf(&x->w->out, "\n%s", blocked ? "blocked" : "passed");
		if (blocked)
			buf_printf(&x->w->out, " by rule %u with status %u", verdict->rule_id,
				   verdict->status);
		buf_printf(&x->w->out, ", score %d\n", verdict->score);
		return;
	}
	json_member_bool(&x->json, SPAN("blocked"), blocked);
	json_member_int(&x->json, SPAN("rule"), verdict->rule_id);
	json_member_int(&x->json, SPAN("status"), verdict->status);
	json_member_int(&x->json, SPAN("score"), verdict->score);
}

struct replay {
	struct message request;
	struct message response;
	bool has_response;
	struct waf_verdict verdict;
};

static int run_phases(struct replay *replay, struct waf_transaction *t, struct err *err)
{
	if (run_request(t, &replay->request, &replay->verdict, err) < 0)
		return -1;
	if (replay->has_response && replay->verdict.action == WAF_PASS &&
	    run_response(t, &replay->response, &replay->verdict, err) < 0)
		return -1;
	return waf_finish(t, err);
}

static int print_replay(struct waf_work *w, struct waf_transaction *t, struct replay *replay,
			struct err *err)
{
	struct explanation x = {.w = w, .all = options_flag(w->given, "all")};

	json_writer_init(&x.json, &w->out);
	if (w->json) {
		json_begin_object(&x.json);
		json_key(&x.json, SPAN("steps"));
		json_begin_array(&x.json);
	}
	waf_transaction_trace(t, trace, &x);
	if (run_phases(replay, t, err) < 0)
		return -1;
	if (w->json) {
		json_end_array(&x.json);
		json_key(&x.json, SPAN("matches"));
		json_begin_array(&x.json);
	}
	print_matches(&x, t);
	if (w->json)
		json_end_array(&x.json);
	print_verdict(&x, &replay->verdict);
	if (w->json) {
		json_end_object(&x.json);
		buf_append_byte(&w->out, '\n');
	}
	return 0;
}

static enum exit_status explain_messages(struct waf_work *w, struct replay *replay,
					 struct err *err)
{
	enum exit_status status = EXIT_STATUS_USAGE;
	struct waf_policy *policy =
		inspect_policy_new(w->rules, w->cfg, WAF_BLOCK, NULL, 0, err);
	struct waf_worker *worker = policy ? waf_worker_new(NULL, err) : NULL;
	struct waf_transaction *t = worker ? waf_transaction_new(worker, policy) : NULL;

	if (worker && !t)
		err_set(err, ERR_MEMORY, "out of memory");
	if (t && print_replay(w, t, replay, err) == 0)
		status = replay->verdict.action == WAF_PASS ? EXIT_STATUS_OK
							    : EXIT_STATUS_FAILED;
	waf_transaction_free(t);
	waf_worker_free(worker);
	waf_policy_unref(policy);
	return status;
}

static enum exit_status explain(struct waf_work *w, struct err *err)
{
	const char *response = options_text(w->given, "response");
	enum exit_status status = EXIT_STATUS_USAGE;
	struct replay replay = {.has_response = response != NULL};

	buf_init(&replay.request.text, WAF_INPUT_MAX);
	buf_init(&replay.response.text, WAF_INPUT_MAX);
	if (read_message(w, options_operand(w->given, 0), NULL, &replay.request, err) == 0 &&
	    (!response ||
	     read_message(w, response, &replay.request.head, &replay.response, err) == 0) &&
	    waf_work_load(w, false, err) == 0)
		status = explain_messages(w, &replay, err);
	buf_release(&replay.request.text);
	buf_release(&replay.response.text);
	return status;
}

static enum exit_status run_explain(const struct options *given)
{
	return waf_work_run(given, true, explain);
}

static const struct option_spec explain_options[] = {
	WAF_RULES_OPTIONS,
	{.name = "response",
	 .kind = OPTION_TEXT,
	 .argument = "FILE",
	 .help = "A raw HTTP/1.1 response to the request: rules of phases 3 and 4 run too."},
	{.name = "all", .help = "Show also the rules that did not match."},
	{.name = NULL},
};

static const struct operand_spec request_operand[] = {
	{.name = "FILE",
	 .help = "A raw HTTP/1.1 request; - is standard input.",
	 .required = true,
	 .is_file = true},
	{.name = NULL},
};

static const struct command_example explain_examples[] = {
	{"printf 'GET /?q=<script> HTTP/1.1\\nHost: shop.example\\n\\n' | sallyport waf "
	 "explain "
	 "--rules owasp-crs -",
	 "Why would this be refused?"},
	{"sallyport waf explain -c sallyport.yaml --response answer.txt request.txt",
	 "Would this answer be kept in?"},
	{NULL, NULL},
};

const struct command cmd_waf_explain = {
	.name = "waf explain",
	.summary = "replay a request and show what the rules make of it",
	.description =
		"Runs the rules over a request in a file and prints each rule that matched, "
		"the "
		"verdict, and for each match the exclusion that would silence it. Values are "
		"shown as they are. The exit status is 0 when the request passes, 1 when it is "
		"blocked, 2 when it cannot be read.",
	.options = explain_options,
	.operands = request_operand,
	.examples = explain_examples,
	.run = run_explain,
};
