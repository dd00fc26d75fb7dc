#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/admin_work.h"
#include "parse/http1.h"
#include "parse/json.h"
#include "parse/json_write.h"
#include "waf/waf.h"

#define INPUT_BYTES_MAX ((size_t)256 << 20)
#define FIELDS_MAX 200

struct work {
	const struct options *given;
	struct config *cfg; /* NULL: the rules come from --rules */
	struct arena arena;
	struct waf_rules *rules;
	struct buf out;
	bool json;
};

/* ---- the rules ------------------------------------------------------------------------------- */

static int load_rules(struct work *w, bool check_only, struct err *err)
{
	const char *named = options_text(w->given, "rules");
	struct span one = span_cstr(named);
	struct waf_sources sources = {.check_only = check_only, .no_prefilter = !check_only};

	if (named) {
		sources.paths = &one;
		sources.path_count = 1;
		sources.paranoia = (unsigned)options_number(w->given, "paranoia");
	} else {
		w->cfg = admin_load(w->given, err);
		if (!w->cfg)
			return -1;
		if (!w->cfg->waf)
			return err_set(err, ERR_INVALID,
				       "the configuration has no 'waf'; or name rules: "
				       "--rules owasp-crs");
		sources.paths = w->cfg->waf->rules.at;
		sources.path_count = w->cfg->waf->rules.count;
		sources.paranoia = w->cfg->waf->paranoia;
	}
	w->rules = waf_rules_load(&sources, err);
	return w->rules ? 0 : -1;
}

static struct waf_policy *make_policy(struct work *w, struct err *err)
{
	struct waf_settings settings = {.mode = WAF_BLOCK};
	const struct config_waf *config = w->cfg ? w->cfg->waf : NULL;
	size_t count = config ? config->exclusions.count : 0;
	struct waf_exclusion *exclusions =
		arena_array(&w->arena, struct waf_exclusion, count + 1);

	if (!exclusions) {
		err_set(err, ERR_MEMORY, "out of memory");
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		const struct config_waf_exclusion *from = &config->exclusions.at[i];

		exclusions[i] = (struct waf_exclusion){.rule_first = from->rule,
						       .rule_last = from->to,
						       .tag = from->tag,
						       .target = from->target,
						       .path = from->path};
	}
	settings.exclusions = exclusions;
	settings.exclusion_count = count;
	if (config) {
		settings.inbound_threshold = config->inbound_threshold;
		settings.outbound_threshold = config->outbound_threshold;
	}
	return waf_policy_new(w->rules, &settings, err);
}

static enum exit_status run_work(const struct options *given,
				 enum exit_status (*work)(struct work *w, struct err *err))
{
	struct work w = {.given = given};
	struct err err = {.code = ERR_NONE};
	enum exit_status status;

	arena_init(&w.arena, INPUT_BYTES_MAX, 65536);
	buf_init(&w.out, OUTPUT_MAX_BYTES);
	w.json = span_eq(span_cstr(options_text(given, "format")), SPAN("json"));
	status = work(&w, &err);
	if (err.code != ERR_NONE)
		output_error(given, &err);
	if (w.out.len && output_text(&w.out) != EXIT_STATUS_OK)
		status = EXIT_STATUS_FAILED;
	buf_release(&w.out);
	if (w.rules)
		waf_rules_unref(w.rules);
	config_unref(w.cfg);
	arena_release(&w.arena);
	return status;
}

/* ---- check ----------------------------------------------------------------------------------- */

static enum exit_status check(struct work *w, struct err *err)
{
	struct waf_rules_info info;
	struct json_writer json;
	struct span ignored;

	if (load_rules(w, true, err) < 0)
		return EXIT_STATUS_FAILED;
	waf_rules_info(w->rules, &info);
	if (w->json) {
		json_writer_init(&json, &w->out);
		json_begin_object(&json);
		json_member_int(&json, SPAN("files"), (int64_t)info.files);
		json_member_int(&json, SPAN("rules"), (int64_t)info.rules);
		json_member_int(&json, SPAN("active"), (int64_t)info.active);
		json_key(&json, SPAN("ignored"));
		json_begin_array(&json);
		for (size_t i = 0; (ignored = waf_rules_ignored(w->rules, i)).ptr; i++)
			json_put_string(&json, ignored);
		json_end_array(&json);
		json_end_object(&json);
		buf_append_byte(&w->out, '\n');
		return EXIT_STATUS_OK;
	}
	buf_printf(&w->out, "%zu files, %zu rules, %zu of them active\n", info.files,
		   info.rules, info.active);
	for (size_t i = 0; (ignored = waf_rules_ignored(w->rules, i)).ptr; i++)
		buf_printf(&w->out, "ignored: %.*s\n", SPAN_ARG(ignored));
	return EXIT_STATUS_OK;
}

/* ---- input ----------------------------------------------------------------------------------- */

static int read_all(int file, const char *name, struct buf *to, struct err *err)
{
	for (;;) {
		ssize_t n;

		if (buf_reserve(to, 65536) < 0)
			return err_set(err, ERR_LIMIT, "%.200s: too long", name);
		n = read(file, to->ptr + to->len, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set_errno(err, errno, "%.200s", name);
		if (n == 0)
			return 0;
		to->len += (size_t)n;
	}
}

/* "-" is standard input. */
static int read_input(const char *name, struct buf *to, struct err *err)
{
	bool standard = strcmp(name, "-") == 0;
	int file = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
	int result;

	if (file < 0)
		return err_set_errno(err, errno, "%.200s", name);
	result = read_all(file, name, to, err);
	if (!standard)
		close(file);
	return result;
}

/* ---- explain --------------------------------------------------------------------------------- */

struct explanation {
	struct work *w;
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

static int parse_request(struct work *w, struct span text, struct http1_head *head,
			 struct span *body, struct err *err)
{
	static const struct http1_limits limits = {
		.line_bytes = 1 << 20, .head_bytes = 4 << 20, .field_count = FIELDS_MAX};
	size_t consumed = 0;
	enum http1_result result;

	*head = (struct http1_head){
		.fields = arena_array(&w->arena, struct http_field, FIELDS_MAX)};
	if (!head->fields)
		return err_set(err, ERR_MEMORY, "out of memory");
	result = http1_parse_request(head, text, &limits, &consumed);
	if (result != HTTP1_DONE)
		return err_set(err, ERR_SYNTAX,
			       "the gateway itself refuses this request with %u: %s",
			       http1_result_status(result), http1_result_text(result));
	*body = span_slice(text, consumed, text.len);
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

static int run_phases(struct waf_transaction *t, const struct http1_head *head,
		      struct span body, struct waf_verdict *verdict, struct err *err)
{
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
	if (body.len && waf_wants_request_body(t))
		waf_request_body_whole(t, body);
	return waf_request_body(t, verdict, err);
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

static int replay(struct work *w, struct waf_transaction *t, const struct http1_head *head,
		  struct span body, struct waf_verdict *verdict, struct err *err)
{
	struct explanation x = {.w = w, .all = options_flag(w->given, "all")};

	json_writer_init(&x.json, &w->out);
	if (w->json) {
		json_begin_object(&x.json);
		json_key(&x.json, SPAN("steps"));
		json_begin_array(&x.json);
	}
	waf_transaction_trace(t, trace, &x);
	if (run_phases(t, head, body, verdict, err) < 0 || waf_finish(t, err) < 0)
		return -1;
	if (w->json) {
		json_end_array(&x.json);
		json_key(&x.json, SPAN("matches"));
		json_begin_array(&x.json);
	}
	print_matches(&x, t);
	if (w->json)
		json_end_array(&x.json);
	print_verdict(&x, verdict);
	if (w->json) {
		json_end_object(&x.json);
		buf_append_byte(&w->out, '\n');
	}
	return 0;
}

static enum exit_status explain_text(struct work *w, struct span text, struct err *err)
{
	enum exit_status status = EXIT_STATUS_USAGE;
	struct waf_verdict verdict = {0};
	struct waf_transaction *t = NULL;
	struct waf_worker *worker = NULL;
	struct waf_policy *policy = NULL;
	struct http1_head head;
	struct span body;

	if (parse_request(w, text, &head, &body, err) < 0 || load_rules(w, false, err) < 0)
		return EXIT_STATUS_USAGE;
	policy = make_policy(w, err);
	worker = policy ? waf_worker_new(NULL, err) : NULL;
	t = worker ? waf_transaction_new(worker, policy) : NULL;
	if (worker && !t)
		err_set(err, ERR_MEMORY, "out of memory");
	if (t && replay(w, t, &head, body, &verdict, err) == 0)
		status = verdict.action == WAF_PASS ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;
	if (t)
		waf_transaction_free(t);
	if (worker)
		waf_worker_free(worker);
	if (policy)
		waf_policy_unref(policy);
	return status;
}

static enum exit_status explain(struct work *w, struct err *err)
{
	enum exit_status status = EXIT_STATUS_USAGE;
	struct buf raw, text;

	buf_init(&raw, INPUT_BYTES_MAX);
	buf_init(&text, INPUT_BYTES_MAX);
	if (read_input(options_operand(w->given, 0), &raw, err) == 0 &&
	    normalise(buf_span(&raw), &text, err) == 0)
		status = explain_text(w, buf_span(&text), err);
	buf_release(&raw);
	buf_release(&text);
	return status;
}

/* ---- tune ------------------------------------------------------------------------------------ */

struct proposal {
	struct span exclusion;
	struct span message;
	uint64_t count;
	uint64_t blocked;
};

struct tuning {
	struct work *w;
	struct proposal *at;
	size_t count;
	size_t capacity;
	uint64_t records;
	uint64_t unreadable;
};

static struct proposal *proposal_for(struct tuning *tuning, struct span exclusion)
{
	struct proposal *grown;

	for (size_t i = 0; i < tuning->count; i++)
		if (span_eq(tuning->at[i].exclusion, exclusion))
			return &tuning->at[i];
	if (tuning->count == tuning->capacity) {
		size_t capacity = tuning->capacity ? tuning->capacity * 2 : 64;

		grown = mem_realloc(tuning->at, capacity * sizeof(*grown));
		if (!grown)
			return NULL;
		tuning->at = grown;
		tuning->capacity = capacity;
	}
	tuning->at[tuning->count] = (struct proposal){.exclusion = exclusion};
	return &tuning->at[tuning->count++];
}

/* Rules that only add scores up are no cause: an exclusion of them would silence everything. */
static int take_match(struct tuning *tuning, const struct json *match, bool blocked,
		      struct err *err)
{
	struct span exclusion, message = SPAN("");
	struct proposal *proposal;
	int64_t score = 0;

	json_int(json_get(match, SPAN("score")), &score);
	if (score <= 0 || !json_string(json_get(match, SPAN("exclusion")), &exclusion) ||
	    exclusion.len == 0)
		return 0;
	json_string(json_get(match, SPAN("message")), &message);
	proposal = proposal_for(tuning, exclusion);
	if (!proposal)
		return err_set(err, ERR_MEMORY, "out of memory");
	proposal->message = message;
	proposal->count++;
	proposal->blocked += blocked;
	return 0;
}

static int take_line(struct tuning *tuning, struct span line, struct err *err)
{
	struct err ignored;
	const struct json *record = json_parse(&tuning->w->arena, line, NULL, &ignored);
	const struct json *matches;

	matches = json_get(record, SPAN("matches"));
	if (!matches || matches->type != JSON_ARRAY) {
		tuning->unreadable++;
		return 0;
	}
	tuning->records++;
	for (size_t i = 0; i < matches->array.count; i++)
		if (take_match(tuning, json_at(matches, i),
			       json_is(json_get(record, SPAN("action")), SPAN("blocked")),
			       err) < 0)
			return -1;
	return 0;
}

static int by_count(const void *left, const void *right)
{
	const struct proposal *a = left, *b = right;

	if (a->count != b->count)
		return a->count < b->count ? 1 : -1;
	return span_compare(a->exclusion, b->exclusion);
}

static void print_proposals(struct tuning *tuning)
{
	uint64_t least = options_number(tuning->w->given, "min");
	struct buf *out = &tuning->w->out;

	if (tuning->count > 1)
		qsort(tuning->at, tuning->count, sizeof(*tuning->at), by_count);
	buf_printf(out,
		   "# %llu records, %llu lines that are none\n"
		   "# Look at each before you take it: an attack has matched too.\n"
		   "waf:\n  exclusions:\n",
		   (unsigned long long)tuning->records, (unsigned long long)tuning->unreadable);
	for (size_t i = 0; i < tuning->count; i++) {
		const struct proposal *proposal = &tuning->at[i];

		if (proposal->count < least)
			break;
		buf_printf(out, "    # %llu times, %llu blocked: %.*s\n    - %.*s\n",
			   (unsigned long long)proposal->count,
			   (unsigned long long)proposal->blocked, SPAN_ARG(proposal->message),
			   SPAN_ARG(proposal->exclusion));
	}
}

static enum exit_status tune(struct work *w, struct err *err)
{
	struct tuning tuning = {.w = w};
	enum exit_status status = EXIT_STATUS_FAILED;
	struct span rest;
	struct buf log;

	buf_init(&log, INPUT_BYTES_MAX);
	if (read_input(options_operand(w->given, 0), &log, err) < 0)
		goto out;
	rest = buf_span(&log);
	while (rest.ptr) {
		struct span line = span_trim(span_cut(&rest, '\n'));

		if (line.len && take_line(&tuning, line, err) < 0)
			goto out;
	}
	print_proposals(&tuning);
	status = EXIT_STATUS_OK;
out:
	mem_free(tuning.at);
	buf_release(&log);
	return status;
}

/* ---- the commands ---------------------------------------------------------------------------- */

static enum exit_status run_check(const struct options *given)
{
	return run_work(given, check);
}

static enum exit_status run_explain(const struct options *given)
{
	return run_work(given, explain);
}

static enum exit_status run_tune(const struct options *given)
{
	return run_work(given, tune);
}

static const char *const formats[] = {"text", "json", NULL};

#define RULES_OPTIONS                                                                          \
	ADMIN_CONFIG_OPTION,                                                                   \
		{.name = "rules",                                                              \
		 .kind = OPTION_TEXT,                                                          \
		 .argument = "RULES",                                                          \
		 .help = "owasp-crs, a file or a folder, in place of the configuration's."},   \
		{.name = "paranoia",                                                           \
		 .kind = OPTION_NUMBER,                                                        \
		 .argument = "LEVEL",                                                          \
		 .help = "1 to 4; 0 leaves it to the rules. With --rules.",                    \
		 .initial = "0"},                                                              \
	{                                                                                      \
		.name = "format", .kind = OPTION_CHOICE, .argument = "FORM",                   \
		.help = "How to print the result: text or json.", .initial = "text",           \
		.choices = formats                                                             \
	}

static const struct option_spec check_options[] = {RULES_OPTIONS, {.name = NULL}};

static const struct option_spec explain_options[] = {
	RULES_OPTIONS,
	{.name = "all", .help = "Show also the rules that did not match."},
	{.name = NULL},
};

static const struct option_spec tune_options[] = {
	{.name = "min",
	 .kind = OPTION_NUMBER,
	 .argument = "COUNT",
	 .help = "Leave out what happened less often.",
	 .initial = "1"},
	{.name = "format",
	 .kind = OPTION_CHOICE,
	 .argument = "FORM",
	 .help = "YAML for the configuration, which is what `text` is.",
	 .initial = "text",
	 .choices = formats},
	{.name = NULL},
};

static const struct operand_spec request_operand[] = {
	{.name = "FILE",
	 .help = "A raw HTTP/1.1 request; - is standard input.",
	 .required = true,
	 .is_file = true},
	{.name = NULL},
};

static const struct operand_spec log_operand[] = {
	{.name = "LOG",
	 .help = "The firewall's log, or the program's; - is standard input.",
	 .required = true,
	 .is_file = true},
	{.name = NULL},
};

static const struct command_example explain_examples[] = {
	{"printf 'GET /?q=<script> HTTP/1.1\\nHost: shop.example\\n\\n' | sallyport waf "
	 "explain "
	 "--rules owasp-crs -",
	 "Why would this be refused?"},
	{NULL, NULL},
};

static const struct command_example tune_examples[] = {
	{"sallyport waf tune --min 20 /var/log/sallyport/waf.log",
	 "Exclusions for what ordinary use has matched."},
	{NULL, NULL},
};

const struct command cmd_waf_check = {
	.name = "waf check",
	.summary = "read the rules of the firewall and say what they are",
	.description =
		"Reads the rules of the configuration, or those that --rules names. What is "
		"not "
		"supported is an error with file and line; directives that are ignored on "
		"purpose are listed.",
	.options = check_options,
	.run = run_check,
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

const struct command cmd_waf_tune = {
	.name = "waf tune",
	.summary = "propose exclusions from the log of the firewall",
	.description =
		"Counts what has matched and prints the exclusions that would silence it, the "
		"most frequent first, as YAML for the configuration. Run the firewall in mode "
		"observe over ordinary use first.",
	.options = tune_options,
	.operands = log_operand,
	.examples = tune_examples,
	.run = run_tune,
};
