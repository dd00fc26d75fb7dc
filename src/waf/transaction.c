#include "waf/transaction.h"

#include "base/clock.h"
#include "base/mem.h"
#include "parse/base64.h"
#include "waf/prefilter.h"

#define ARENA_CHUNK ((size_t)48 << 10)
/* A worker keeps so many transactions for reuse, and bodies' memory up to a size. */
#define KEPT_TRANSACTIONS 64
#define KEPT_BODY ((size_t)64 << 10)

static size_t or_default(uint64_t first, uint64_t second, size_t otherwise)
{
	if (first)
		return (size_t)first;
	return second ? (size_t)second : otherwise;
}

/* ---- worker ---------------------------------------------------------------------------------- */

struct waf_worker *waf_worker_new(struct waf_collections *collections, struct err *err)
{
	struct operator_limits limits = OPERATOR_LIMITS_DEFAULT;
	struct waf_worker *worker = mem_zalloc(1, sizeof(*worker));

	if (!worker) {
		err_set(err, ERR_MEMORY, "no memory for the firewall");
		return NULL;
	}
	worker->collections = collections;
	worker->operator_scratch = operator_scratch_new(&limits, err);
	if (!worker->operator_scratch) {
		mem_free(worker);
		return NULL;
	}
	return worker;
}

void waf_worker_set_hooks(struct waf_worker *worker, const struct waf_hooks *hooks)
{
	worker->hooks = *hooks;
}

static void transaction_destroy(struct waf_transaction *t)
{
	arena_release(&t->arena);
	buf_release(&t->body);
	buf_release(&t->response_body);
	mem_free(t);
}

void waf_worker_free(struct waf_worker *worker)
{
	if (!worker)
		return;
	while (worker->free) {
		struct waf_transaction *t = worker->free;

		worker->free = t->next_free;
		transaction_destroy(t);
	}
	prefilter_scratch_free(worker->prefilter_scratch);
	regex_scratch_free(worker->operator_scratch);
	mem_free(worker);
}

/* ---- begin and end --------------------------------------------------------------------------- */

static struct waf_transaction *take(struct waf_worker *worker, size_t memory)
{
	struct waf_transaction *t = worker->free;
	struct arena arena;
	struct buf body;
	struct buf response_body;

	if (!t) {
		t = mem_zalloc(1, sizeof(*t));
		if (t)
			arena_init(&t->arena, memory, ARENA_CHUNK);
		return t;
	}
	worker->free = t->next_free;
	worker->free_count--;
	arena = t->arena;
	body = t->body;
	response_body = t->response_body;
	*t = (struct waf_transaction){
		.arena = arena, .body = body, .response_body = response_body};
	t->arena.cap_bytes = memory;
	return t;
}

static int prepare(struct waf_transaction *t)
{
	const struct waf_rules *rules = t->rules;
	const struct waf_policy *policy = t->policy;

	t->lists = arena_array(&t->arena, struct value_list, rules->list_count);
	t->tx = arena_array(&t->arena, struct tx_value, rules->tx_count + 1);
	if (rules->prefilter)
		t->hits = arena_array(&t->arena, struct hits,
				      prefilter_rules(rules->prefilter) + 1);
	if (!t->lists || !t->tx || (rules->prefilter && !t->hits))
		return -1;
	for (size_t i = 0; i < rules->tx_initial_count; i++)
		t->tx[rules->tx_initial[i].slot].value = rules->tx_initial[i].value;
	if (policy->inbound_threshold.len && rules->tx_inbound_threshold != TX_NO_SLOT)
		t->tx[rules->tx_inbound_threshold].value = policy->inbound_threshold;
	if (policy->outbound_threshold.len && rules->tx_outbound_threshold != TX_NO_SLOT)
		t->tx[rules->tx_outbound_threshold].value = policy->outbound_threshold;
	t->removed = policy->removed;
	t->removed_targets = policy->removed_targets;
	return 0;
}

void transaction_fail(struct waf_transaction *t, const struct err *err)
{
	t->failed = true;
	t->why = arena_new(&t->arena, struct err);
	if (t->why)
		*t->why = *err;
}

static void set_limits(struct waf_transaction *t)
{
	const struct waf_limits *limits = &t->policy->limits;
	const struct sec_settings *settings = &t->rules->document.settings;

	t->body_limit = or_default(limits->request_body_bytes, settings->request_body_limit,
				   WAF_REQUEST_BODY_DEFAULT);
	t->response_limit =
		or_default(limits->response_body_bytes, settings->response_body_limit,
			   WAF_RESPONSE_BODY_DEFAULT);
	t->pattern_left_ns = limits->pattern_time_ms
				     ? (int64_t)limits->pattern_time_ms * 1000000
				     : OPERATOR_TIME_NS;
	t->body.max = t->body_limit;
	t->response_body.max = t->response_limit;
}

static enum sec_engine starting_engine(const struct waf_transaction *t)
{
	enum sec_engine engine = t->rules->document.settings.engine;

	if (t->policy->mode == WAF_OFF)
		return SEC_ENGINE_OFF;
	if (t->policy->mode == WAF_OBSERVE && engine == SEC_ENGINE_ON)
		return SEC_ENGINE_DETECT;
	return engine;
}

struct waf_transaction *waf_transaction_new(struct waf_worker *worker,
					    struct waf_policy *policy)
{
	struct waf_transaction *t =
		take(worker, or_default(policy->limits.memory_bytes, 0, WAF_MEMORY_DEFAULT));

	if (!t)
		return NULL;
	t->worker = worker;
	t->policy = waf_policy_ref(policy);
	t->rules = policy->rules;
	t->engine = starting_engine(t);
	t->status = 200;
	t->highest_severity = 255;
	t->started_ns = clock_ns();
	t->body_wanted = t->rules->document.settings.request_body;
	t->response_body_wanted = policy->response_bodies;
	set_limits(t);
	if (prepare(t) != 0) {
		waf_transaction_free(t);
		return NULL;
	}
	value_set(t, VAR_URLENCODED_ERROR, SPAN("0"));
	return t;
}

static void keep_small(struct buf *b)
{
	if (b->cap > KEPT_BODY)
		buf_release(b);
	else
		buf_clear(b);
}

void waf_transaction_free(struct waf_transaction *t)
{
	struct waf_worker *worker;

	if (!t)
		return;
	worker = t->worker;
	body_xml_free(t->xml);
	waf_policy_unref(t->policy);
	if (worker->free_count >= KEPT_TRANSACTIONS) {
		transaction_destroy(t);
		return;
	}
	arena_reset(&t->arena);
	keep_small(&t->body);
	keep_small(&t->response_body);
	t->next_free = worker->free;
	worker->free = t;
	worker->free_count++;
}

void waf_transaction_trace(struct waf_transaction *t, waf_trace_fn *trace, void *context)
{
	t->trace = trace;
	t->trace_context = context;
	if (trace)
		t->hits = NULL;
}

struct span waf_transaction_tx(struct waf_transaction *t, struct span name)
{
	return tx_get(t, TX_NO_SLOT, name);
}

/* ---- the request's head ---------------------------------------------------------------------- */

void waf_set_connection(struct waf_transaction *t, const struct waf_connection *connection)
{
	value_set(t, VAR_REMOTE_ADDR, connection->client_address);
	value_set(t, VAR_REMOTE_HOST, connection->client_address);
	value_set_number(t, VAR_REMOTE_PORT, connection->client_port);
	value_set(t, VAR_SERVER_ADDR, connection->server_address);
	value_set_number(t, VAR_SERVER_PORT, connection->server_port);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %HH decoded, nothing else; what is not that stays. */
static struct span decode_percent(struct waf_transaction *t, struct span text)
{
	size_t at = span_find_byte(text, '%');
	size_t len = at;
	char *out;

	if (at == text.len)
		return text;
	out = arena_alloc(&t->arena, text.len);
	if (!out) {
		t->failed = true;
		return text;
	}
	memcpy(out, text.ptr, at);
	while (at < text.len) {
		int high = at + 2 < text.len ? hex_value(text.ptr[at + 1]) : -1;
		int low = at + 2 < text.len ? hex_value(text.ptr[at + 2]) : -1;

		if (text.ptr[at] == '%' && high >= 0 && low >= 0) {
			out[len++] = (char)(high << 4 | low);
			at += 3;
		} else {
			out[len++] = text.ptr[at++];
		}
	}
	return span_of(out, len);
}

/* What is left of "http://host/path" without scheme and host. */
static struct span without_host(struct span uri)
{
	size_t colon = span_find_byte(uri, ':');
	size_t start = colon < uri.len ? colon + 1 : 0;
	struct span rest;
	size_t slash;

	if (uri.len == 0 || uri.ptr[0] == '/')
		return uri;
	rest = span_slice(uri, start, uri.len);
	if (!span_starts_with(rest, SPAN("//")))
		return uri;
	rest = span_slice(rest, 2, rest.len);
	slash = span_find_byte(rest, '/');
	return slash < rest.len ? span_slice(rest, slash, rest.len) : uri;
}

static void set_path(struct waf_transaction *t, struct span decoded)
{
	struct span path = span_slice(decoded, 0, span_find_byte(decoded, '?'));
	size_t start = path.len;

	value_set(t, VAR_PATH_INFO, path);
	value_set(t, VAR_REQUEST_FILENAME, path);
	while (start > 0 && path.ptr[start - 1] != '/' && path.ptr[start - 1] != '\\')
		start--;
	if (start > 0)
		value_set(t, VAR_REQUEST_BASENAME, span_slice(path, start, path.len));
}

static struct body_limits body_limits(const struct waf_transaction *t)
{
	const struct waf_limits *wanted = &t->policy->limits;
	const struct sec_settings *settings = &t->rules->document.settings;
	struct body_limits limits = BODY_LIMITS_DEFAULT;
	size_t arguments =
		or_default(wanted->arguments, settings->arguments, limits.max_arguments);
	size_t used = t->lists[VAR_ARGS].count;

	limits.max_arguments = arguments > used ? arguments - used : 0;
	limits.max_depth = (unsigned)or_default(wanted->json_depth, settings->json_depth,
						limits.max_depth);
	if (limits.max_depth > 512)
		limits.max_depth = 512;
	if (settings->upload_files)
		limits.max_files = settings->upload_files;
	limits.max_no_files_bytes =
		or_default(settings->request_no_files_limit, 0, t->body_limit);
	return limits;
}

static void set_query(struct waf_transaction *t, struct span query)
{
	struct body_limits limits = body_limits(t);
	struct body_pairs pairs = {NULL, 0, 0};
	struct body_error error = {.failed = false};
	bool invalid = false;

	value_set(t, VAR_QUERY_STRING, query);
	if (query.len == 0)
		return;
	if (body_query(&t->arena, query, t->rules->document.settings.argument_separator,
		       &limits, &pairs, &invalid, &error) != 0) {
		t->failed = true;
		return;
	}
	if (invalid)
		value_set(t, VAR_URLENCODED_ERROR, SPAN("1"));
	transaction_add_arguments(t, &pairs);
	t->query_arguments = t->lists[VAR_ARGS].count;
}

void waf_set_request(struct waf_transaction *t, const struct waf_request *request)
{
	struct span uri = span_slice(request->target, 0, span_find_byte(request->target, '#'));
	size_t question = span_find_byte(uri, '?');
	struct span decoded = decode_percent(t, uri);
	struct span line = arena_printf(&t->arena, "%.*s %.*s %.*s", SPAN_ARG(request->method),
					SPAN_ARG(request->target), SPAN_ARG(request->protocol));

	if (!line.ptr) {
		t->failed = true;
		line = SPAN("");
	}
	t->method = request->method;
	t->target = request->target;
	value_set(t, VAR_UNIQUE_ID, value_copy(t, request->unique_id));
	value_set(t, VAR_REQUEST_METHOD, request->method);
	value_set(t, VAR_REQUEST_PROTOCOL, request->protocol);
	value_set(t, VAR_REQUEST_LINE, line);
	value_set(t, VAR_REQUEST_URI_RAW, request->target);
	value_set(t, VAR_REQUEST_URI, without_host(decoded));
	set_path(t, decoded);
	if (question < uri.len)
		set_query(t, span_slice(uri, question + 1, uri.len));
}

static void add_cookies(struct waf_transaction *t, struct span text)
{
	struct body_pairs pairs = {NULL, 0, 0};

	if (body_cookies(&t->arena, text, &pairs) != 0) {
		t->failed = true;
		return;
	}
	for (size_t i = 0; i < pairs.count; i++) {
		value_add(t, VAR_REQUEST_COOKIES, pairs.items[i].name, pairs.items[i].value);
		value_add(t, VAR_REQUEST_COOKIES_NAMES, pairs.items[i].name,
			  pairs.items[i].name);
	}
}

static bool has_prefix_nocase(struct span text, struct span prefix)
{
	return text.len >= prefix.len &&
	       span_eq_nocase(span_slice(text, 0, prefix.len), prefix);
}

static void set_content_type(struct waf_transaction *t, struct span value)
{
	struct span processor;

	if (has_prefix_nocase(value, SPAN("multipart/form-data")))
		processor = SPAN("MULTIPART");
	else if (has_prefix_nocase(value, SPAN("application/x-www-form-urlencoded")))
		processor = SPAN("URLENCODED");
	else
		processor = SPAN_NONE;
	t->content_type = value;
	if (!processor.ptr)
		return;
	t->processor = processor;
	value_set(t, VAR_REQBODY_PROCESSOR, processor);
}

/* RFC 7617: the name before the colon of Basic credentials. */
static void set_user(struct waf_transaction *t, struct span value)
{
	size_t space = span_find_byte(value, ' ');
	struct span coded = span_trim(span_slice(value, space, value.len));
	char *decoded;
	size_t len;

	value_set(t, VAR_AUTH_TYPE, span_slice(value, 0, space));
	if (!t->rules->uses[VAR_REMOTE_USER] ||
	    !span_eq_nocase(span_slice(value, 0, space), SPAN("Basic")))
		return;
	decoded = arena_alloc(&t->arena, base64_decoded_max(coded.len) + 1);
	if (!decoded) {
		t->failed = true;
		return;
	}
	if (base64_decode(decoded, &len, coded))
		value_set(t, VAR_REMOTE_USER,
			  span_slice(span_of(decoded, len), 0,
				     span_find_byte(span_of(decoded, len), ':')));
}

void waf_add_request_header(struct waf_transaction *t, struct span name, struct span value)
{
	value_add(t, VAR_REQUEST_HEADERS, name, value);
	value_add(t, VAR_REQUEST_HEADERS_NAMES, name, name);
	switch (name.len) {
	case 4:
		if (span_eq_nocase(name, SPAN("host")))
			value_set(t, VAR_SERVER_NAME,
				  span_slice(value, 0, span_find_byte(value, ':')));
		break;
	case 6:
		if (span_eq_nocase(name, SPAN("cookie")))
			add_cookies(t, value);
		break;
	case 12:
		if (span_eq_nocase(name, SPAN("content-type")))
			set_content_type(t, value);
		break;
	case 13:
		if (span_eq_nocase(name, SPAN("authorization")))
			set_user(t, value);
		break;
	default: break;
	}
}

/* ---- phases ---------------------------------------------------------------------------------- */

static int finish_phase(struct waf_transaction *t, struct waf_verdict *verdict, struct err *err)
{
	if (t->failed && t->why)
		return err_set(err, t->why->code, "%s", t->why->message);
	if (t->failed)
		return err_set(err, ERR_LIMIT,
			       "the firewall needs more memory than it may have");
	*verdict = t->decided ? t->verdict : (struct waf_verdict){.action = WAF_PASS};
	if (!t->decided && t->would_decide) {
		verdict->would_block = true;
		verdict->status = t->would.status;
		verdict->rule_id = t->would.rule_id;
	}
	verdict->score = t->phase <= 2 ? t->score_in : t->score_out;
	return 0;
}

static int run_phase(struct waf_transaction *t, unsigned phase, struct waf_verdict *verdict,
		     struct err *err)
{
	if (!t->decided && !t->failed)
		engine_run(t, phase);
	return finish_phase(t, verdict, err);
}

static bool path_matches(const struct policy_exclusion *exclusion, struct span path)
{
	if (exclusion->path.len == 0)
		return false; /* in force from the start */
	return exclusion->prefix ? span_starts_with(path, exclusion->path)
				 : span_eq(path, exclusion->path);
}

static void exclude_by_path(struct waf_transaction *t)
{
	struct span path = span_slice(t->target, 0, span_find_byte(t->target, '?'));

	for (size_t i = 0; i < t->policy->exclusion_count; i++) {
		const struct policy_exclusion *exclusion = &t->policy->exclusions[i];

		if (!path_matches(exclusion, path))
			continue;
		if (exclusion->step.kind == SEC_CTL_REMOVE_BY_ID ||
		    exclusion->step.kind == SEC_CTL_REMOVE_BY_TAG)
			remove_rules(t, &exclusion->step);
		else
			remove_targets(t, &exclusion->step);
	}
}

int waf_request_headers(struct waf_transaction *t, struct waf_verdict *verdict, struct err *err)
{
	t->step = STEP_REQUEST_HEADERS;
	if (t->engine != SEC_ENGINE_OFF)
		exclude_by_path(t);
	return run_phase(t, 1, verdict, err);
}

bool waf_wants_request_body(const struct waf_transaction *t)
{
	return t->engine != SEC_ENGINE_OFF && !t->decided && t->body_wanted;
}

void waf_request_body_piece(struct waf_transaction *t, struct span piece)
{
	size_t room = t->body_limit > t->body.len ? t->body_limit - t->body.len : 0;

	if (piece.len > room) {
		t->body_cut = true;
		piece.len = room;
	}
	if (buf_append(&t->body, piece) != 0)
		t->failed = true;
}

void waf_request_body_whole(struct waf_transaction *t, struct span body)
{
	t->body_cut = body.len > t->body_limit;
	t->whole_body = span_slice(body, 0, t->body_limit);
	t->has_whole_body = true;
}

static void reject_large(struct waf_transaction *t, bool reject, unsigned status)
{
	struct waf_verdict verdict = {.action = WAF_BLOCKED, .status = status};

	if (!reject)
		return;
	if (t->engine == SEC_ENGINE_ON) {
		t->verdict = verdict;
		t->decided = true;
	} else if (!t->would_decide) {
		t->would = verdict;
		t->would_decide = true;
	}
}

int waf_request_body(struct waf_transaction *t, struct waf_verdict *verdict, struct err *err)
{
	const struct sec_settings *settings = &t->rules->document.settings;
	struct span body = t->has_whole_body ? t->whole_body : buf_span(&t->body);
	struct body_limits limits = body_limits(t);

	t->step = STEP_REQUEST_BODY;
	if (t->engine == SEC_ENGINE_OFF || t->decided || t->failed)
		return finish_phase(t, verdict, err);
	if (!t->body_wanted)
		return finish_phase(t, verdict, err);
	value_set(t, VAR_INBOUND_DATA_ERROR, t->body_cut ? SPAN("1") : SPAN("0"));
	if (t->body_cut)
		reject_large(t, settings->reject_large_request, 413);
	if (!t->decided)
		transaction_read_body(t, body, &limits);
	return run_phase(t, 2, verdict, err);
}

/* ---- the response ---------------------------------------------------------------------------- */

void waf_set_response(struct waf_transaction *t, unsigned status, struct span protocol)
{
	t->response_status = status;
	value_set_number(t, VAR_RESPONSE_STATUS, status);
	value_set_number(t, VAR_STATUS, status);
	value_set_number(t, VAR_STATUS_LINE, status); /* as in libmodsecurity: no line */
	value_set(t, VAR_RESPONSE_PROTOCOL, value_copy(t, protocol));
}

void waf_add_response_header(struct waf_transaction *t, struct span name, struct span value)
{
	name = value_copy(t, name);
	value = value_copy(t, value);
	value_add(t, VAR_RESPONSE_HEADERS, name, value);
	value_add(t, VAR_RESPONSE_HEADERS_NAMES, name, name);
	if (span_eq_nocase(name, SPAN("content-type")))
		value_set(t, VAR_RESPONSE_CONTENT_TYPE,
			  span_slice(value, 0, span_find_byte(value, ';')));
}

int waf_response_headers(struct waf_transaction *t, struct waf_verdict *verdict,
			 struct err *err)
{
	t->step = STEP_RESPONSE_HEADERS;
	return run_phase(t, 3, verdict, err);
}

bool waf_wants_response_body(const struct waf_transaction *t)
{
	const struct waf_policy *policy = t->policy;
	const struct value_list *type = &t->lists[VAR_RESPONSE_CONTENT_TYPE];
	struct span mime = type->count ? type->at[0].text : SPAN("");

	if (t->engine == SEC_ENGINE_OFF || t->decided || !t->response_body_wanted)
		return false;
	for (size_t i = 0; i < policy->response_type_count; i++)
		if (span_eq_nocase(span_trim(mime), policy->response_types[i]))
			return true;
	return policy->response_type_count == 0;
}

size_t waf_response_body_limit(const struct waf_transaction *t)
{
	return t->response_limit;
}

void waf_response_body_piece(struct waf_transaction *t, struct span piece)
{
	size_t room = t->response_limit > t->response_body.len
			      ? t->response_limit - t->response_body.len
			      : 0;

	if (piece.len > room) {
		t->response_cut = true;
		piece.len = room;
	}
	if (buf_append(&t->response_body, piece) != 0)
		t->failed = true;
}

void waf_response_body_whole(struct waf_transaction *t, struct span body)
{
	t->response_cut = body.len > t->response_limit;
	t->whole_response = span_slice(body, 0, t->response_limit);
	t->has_whole_response = true;
}

int waf_response_body(struct waf_transaction *t, struct waf_verdict *verdict, struct err *err)
{
	struct span body =
		t->has_whole_response ? t->whole_response : buf_span(&t->response_body);

	t->step = STEP_RESPONSE_BODY;
	if (!waf_wants_response_body(t))
		return finish_phase(t, verdict, err);
	value_set(t, VAR_OUTBOUND_DATA_ERROR, t->response_cut ? SPAN("1") : SPAN("0"));
	if (t->response_cut)
		reject_large(t, t->policy->refuse_large_responses, 502);
	value_set(t, VAR_RESPONSE_BODY, body);
	value_set_number(t, VAR_RESPONSE_CONTENT_LENGTH, body.len);
	return run_phase(t, 4, verdict, err);
}

int waf_finish(struct waf_transaction *t, struct err *err)
{
	struct waf_verdict verdict;
	bool decided = t->decided;

	t->step = STEP_FINISHED;
	if (!t->failed) {
		/* Rules of phase 5 run after a block too, and cannot block. */
		t->decided = false;
		engine_run(t, 5);
		t->decided = decided;
	}
	return finish_phase(t, &verdict, err);
}
