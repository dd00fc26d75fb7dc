#include "gateway/fallback.h"

#include "gateway/fields.h"
#include "guard/stale.h"

#define VARY_MAX 8
#define FIELDS_MAX 64
#define SEND_TIMEOUT_MS 10000

static const struct config_fallback *config_of(const struct exchange *e)
{
	return e->route->service ? e->route->service->fallback : NULL;
}

bool fallback_wants(const struct exchange *e, unsigned fault)
{
	const struct config_fallback *config = config_of(e);

	return config && !e->alternate && fault & config->on;
}

/* The last one counts: what another service has failed to do is not said. */
static void mark(struct exchange *e, enum fallback_kind kind, struct span name)
{
	static const struct span field = SPAN_INIT("sallyport-fallback");

	for (size_t i = 0; i < e->extra_count; i++)
		if (span_eq(e->extra[i].name, field))
			e->extra[i].value = SPAN_NONE;
	exchange_add_field(e, field, name);
	counter_add(&e->worker->metrics->fallbacks[kind], 1);
}

void fallback_mark_shift(struct exchange *e)
{
	mark(e, FALLBACK_SHIFT, SPAN("shift"));
}

/* --- last good answers: RFC 9111 for a shared cache, RFC 5861 section 4 --- */

/* Method and whole URI; the host as it was asked for. */
static struct span key_of(struct exchange *e)
{
	const struct http1_head *request = &e->x->request;

	return arena_printf(&e->x->arena, "%.*s %.*s", SPAN_ARG(request->authority),
			    SPAN_ARG(request->target));
}

static struct span request_value(const void *request, struct span name)
{
	return fields_find(request, name);
}

struct directives {
	bool no_store, is_private, no_cache, revalidate, is_public;
	int64_t max_age_s, stale_if_error_s; /* -1: not there */
};

static void read_seconds(struct span value, int64_t *seconds)
{
	uint64_t number;

	if (value.len >= 2 && value.ptr[0] == '"')
		value = span_slice(value, 1, value.len - 1);
	*seconds = span_to_u64(value, &number) && number < INT32_MAX ? (int64_t)number : 0;
}

static void read_directive(struct span directive, struct directives *d)
{
	struct span value = directive;
	struct span name = span_trim(span_cut(&value, '='));

	value = span_trim(value);
	if (span_eq_nocase(name, SPAN("no-store")))
		d->no_store = true;
	else if (span_eq_nocase(name, SPAN("private")))
		d->is_private = true;
	else if (span_eq_nocase(name, SPAN("no-cache")))
		d->no_cache = true;
	else if (span_eq_nocase(name, SPAN("must-revalidate")) ||
		 span_eq_nocase(name, SPAN("proxy-revalidate")) ||
		 span_eq_nocase(name, SPAN("s-maxage")))
		d->revalidate = true; /* sections 4.2.4 and 5.2.2.10: never stale */
	else if (span_eq_nocase(name, SPAN("public")))
		d->is_public = true;
	else if (span_eq_nocase(name, SPAN("max-age")))
		read_seconds(value, &d->max_age_s);
	else if (span_eq_nocase(name, SPAN("stale-if-error")))
		read_seconds(value, &d->stale_if_error_s);
}

/* Of all fields of that name together. */
static struct directives read_directives(const struct http_field *fields, size_t count)
{
	struct directives d = {.max_age_s = -1, .stale_if_error_s = -1};

	for (size_t i = 0; i < count; i++) {
		struct span rest = fields[i].value;

		if (fields[i].id != HTTP_FIELD_CACHE_CONTROL)
			continue;
		while (rest.ptr)
			read_directive(span_trim(span_cut(&rest, ',')), &d);
	}
	return d;
}

static bool has_field(const struct http1_head *head, enum http_field_id id)
{
	for (size_t i = 0; i < head->field_count; i++)
		if (head->fields[i].id == id)
			return true;
	return false;
}

/* Whose answer is it: anybody's, or that of whoever asked? */
static bool is_personal(const struct exchange *e)
{
	const struct http1_head *request = &e->x->request;

	return e->identity != identity_anonymous() ||
	       http1_field(request, HTTP_FIELD_AUTHORIZATION).ptr ||
	       http1_field(request, HTTP_FIELD_COOKIE).ptr;
}

static bool may_keep(const struct exchange *e, const struct http1_head *response)
{
	const struct http1_head *request = &e->x->request;
	struct directives asked = read_directives(request->fields, request->field_count);
	struct directives d = read_directives(response->fields, response->field_count);

	if (request->method != HTTP_METHOD_GET || response->status != 200 || asked.no_store ||
	    has_field(request, HTTP_FIELD_RANGE))
		return false;
	if (d.no_store || d.is_private || d.no_cache || d.revalidate)
		return false;
	if (has_field(response, HTTP_FIELD_SET_COOKIE) ||
	    has_field(response, HTTP_FIELD_TRAILER))
		return false;
	return d.is_public || !is_personal(e);
}

/* The fields of the request that Vary names; false: it varies by more than we can say. */
static bool vary_of(const struct exchange *e, const struct http1_head *response,
		    struct stale_pair vary[VARY_MAX], size_t *count)
{
	*count = 0;
	for (size_t i = 0; i < response->field_count; i++) {
		struct span rest = response->fields[i].value;

		if (response->fields[i].id != HTTP_FIELD_VARY)
			continue;
		while (rest.ptr) {
			struct span name = span_trim(span_cut(&rest, ','));

			if (!name.len)
				continue;
			if (span_eq(name, SPAN("*")) || *count == VARY_MAX)
				return false;
			vary[*count].name = name;
			vary[(*count)++].value = fields_find(&e->x->request, name);
		}
	}
	return true;
}

struct capture *fallback_capture(struct exchange *e, const struct http1_head *response)
{
	const struct config_fallback *config = config_of(e);
	struct capture *capture;

	if (!e->route->guard || !e->route->guard->stale || e->alternate ||
	    !may_keep(e, response))
		return NULL;
	if (response->framing == HTTP1_LENGTH &&
	    response->content_length > config->stale_answer_bytes)
		return NULL;
	capture = arena_new(&e->x->arena, struct capture);
	if (!capture)
		return NULL;
	buf_init(&capture->body, config->stale_answer_bytes);
	return capture;
}

void fallback_capture_piece(struct capture *capture, struct span piece)
{
	/* A buffer that has failed is looked at at the end. */
	(void)buf_append(&capture->body, piece);
}

/* Fields that belong to the connection, or are made anew, are not. */
static bool is_kept(const struct http_field *field)
{
	const uint64_t dropped =
		FIELD_BIT(HTTP_FIELD_CONNECTION) | FIELD_BIT(HTTP_FIELD_KEEP_ALIVE) |
		FIELD_BIT(HTTP_FIELD_PROXY_CONNECTION) | FIELD_BIT(HTTP_FIELD_UPGRADE) |
		FIELD_BIT(HTTP_FIELD_TRANSFER_ENCODING) | FIELD_BIT(HTTP_FIELD_AGE) |
		FIELD_BIT(HTTP_FIELD_CONTENT_LENGTH);

	return !(dropped & FIELD_BIT(field->id));
}

static int64_t lifetime_ms(const struct config_fallback *config,
			   const struct http1_head *response)
{
	struct directives d = read_directives(response->fields, response->field_count);
	int64_t limit_ms = (int64_t)config->stale_ms, own_ms;

	if (d.stale_if_error_s < 0)
		return limit_ms;
	own_ms = (d.stale_if_error_s + (d.max_age_s > 0 ? d.max_age_s : 0)) * 1000;
	return own_ms < limit_ms ? own_ms : limit_ms;
}

static void keep(struct exchange *e, const struct capture *capture,
		 const struct http1_head *response)
{
	struct stale_pair fields[FIELDS_MAX], vary[VARY_MAX];
	int64_t now_ms = loop_now_ms();
	struct stale_answer answer = {.key = key_of(e),
				      .vary = vary,
				      .status = response->status,
				      .fields = fields,
				      .body = buf_span(&capture->body),
				      .stored_ms = now_ms,
				      .until_ms = now_ms + lifetime_ms(config_of(e), response)};

	if (!answer.key.ptr || response->field_count > FIELDS_MAX ||
	    !vary_of(e, response, vary, &answer.vary_count))
		return;
	for (size_t i = 0; i < response->field_count; i++)
		if (is_kept(&response->fields[i]))
			fields[answer.field_count++] = (struct stale_pair){
				response->fields[i].name, response->fields[i].value};
	/* What does not fit is not kept; that is what a bound is for. */
	(void)stale_put(e->route->guard->stale, &answer);
}

void fallback_capture_end(struct exchange *e, struct capture *capture,
			  const struct http1_head *response)
{
	if (!capture)
		return;
	if (capture->complete && !buf_failed(&capture->body))
		keep(e, capture, response);
	buf_release(&capture->body);
}

static enum phase_result send_stale(struct exchange *e, const struct stale_answer *answer)
{
	struct arena *arena = &e->x->arena;
	struct http_field *fields =
		arena_array(arena, struct http_field, answer->field_count + 1);
	struct http_response response = {.status = answer->status,
					 .fields = fields,
					 .content_length = (int64_t)answer->body.len};
	bool head = e->x->request.method == HTTP_METHOD_HEAD;
	bool bodiless = head || !answer->body.len;
	int64_t deadline_ms = loop_deadline_ms(SEND_TIMEOUT_MS);
	enum io_result result;

	if (!fields)
		return answer_problem(e, 503, "out-of-memory", NULL);
	for (size_t i = 0; i < answer->field_count; i++)
		fields[i] = (struct http_field){answer->fields[i].name, answer->fields[i].value,
						http_field_lookup(answer->fields[i].name)};
	response.field_count = answer->field_count;
	fields[response.field_count++] = (struct http_field){
		SPAN("age"),
		arena_printf(arena, "%lld",
			     (long long)((loop_now_ms() - answer->stored_ms) / 1000)),
		HTTP_FIELD_AGE};
	result = respond_head(e, &response, bodiless ? HTTP_SEND_END : HTTP_SEND_MORE,
			      deadline_ms);
	if (result == IO_OK && !bodiless)
		result = http_send_body(e->x, answer->body, HTTP_SEND_END, deadline_ms);
	return result == IO_OK ? PHASE_ANSWERED : PHASE_GONE;
}

static bool try_stale(struct exchange *e, enum phase_result *result)
{
	struct stale_cache *cache = e->route->guard ? e->route->guard->stale : NULL;
	enum http_method method = e->x->request.method;
	const struct stale_answer *answer;
	struct span key;

	if (!cache || (method != HTTP_METHOD_GET && method != HTTP_METHOD_HEAD))
		return false;
	key = key_of(e);
	if (!key.ptr)
		return false;
	answer = stale_get(cache, key, request_value, &e->x->request, loop_now_ms());
	if (!answer)
		return false;
	mark(e, FALLBACK_STALE, SPAN("stale"));
	*result = send_stale(e, answer);
	stale_release(answer);
	return true;
}

/* --- another operation, with fewer privileges --- */

/* False: not possible; the next fallback may be. */
static bool degrade(struct exchange *e, const struct config_degraded *config,
		    enum phase_result *result)
{
	e->reduced = identity_reduce(e->identity, &config->scopes, &config->roles);
	if (!e->reduced)
		return false;
	e->alternate = config->service;
	e->degraded = config;
	mark(e, FALLBACK_DEGRADED, SPAN("degraded"));
	*result = PHASE_NEXT;
	return true;
}

/* --- all of them, in this order --- */

bool fallback_try(struct exchange *e, bool unread, enum phase_result *result)
{
	const struct config_fallback *config = config_of(e);
	const struct snapshot_service *service;

	if (!config || e->x->head_sent || e->x->client_gone)
		return false;
	if (try_stale(e, result))
		return true;
	if (config->service && unread && !e->alternate) {
		e->alternate = config->service;
		mark(e, FALLBACK_SERVICE, SPAN("service"));
		*result = PHASE_NEXT;
		return true;
	}
	if (config->degraded && unread && !e->alternate && degrade(e, config->degraded, result))
		return true;
	if (!config->has_answer)
		return false;
	mark(e, FALLBACK_FIXED, SPAN("fixed"));
	service = &e->snapshot->services[e->route->service->index];
	*result = answer_fixed(e, &config->answer, &service->fallback_file);
	return true;
}
