/* approve: requests to sensitive operations wait until people have approved them. */
#include "base/clock.h"
#include "gateway/approval_service.h"
#include "gateway/approve.h"
#include "gateway/identity_service.h"
#include "gateway/validate.h"

/* How long the store may take, and between looks at an approval that a request is held for. */
#define STORE_MS 5000
#define POLL_MS 250
#define RETRY_AFTER SPAN("5")

static enum phase_result refuse(struct exchange *e, unsigned status, const char *type,
				const char *reason, const char *detail)
{
	e->reason = reason;
	return answer_problem(e, status, type, detail);
}

/* The whole body must be at hand: the approval is for these bytes and no others. */
static enum phase_result hold_body(struct exchange *e)
{
	bool whole = false;
	enum phase_result result = spool_cannot_hold(e) ? PHASE_NEXT : spool_hold(e, &whole);

	if (result != PHASE_NEXT || whole)
		return result;
	return refuse(e, 413, "body-too-large", "body_too_large",
		      "what needs approval must fit limits.body_buffer");
}

static int describe(struct exchange *e, char digest[APPROVAL_DIGEST_BYTES],
		    struct approval_request *request, struct err *err)
{
	const struct config_sensitive *sensitive = validate_sensitive(e);
	const struct http1_head *head = &e->x->request;
	struct span target = e->query.ptr ? arena_printf(&e->x->arena, "%.*s?%.*s",
							 SPAN_ARG(e->path), SPAN_ARG(e->query))
					  : e->path;

	/*
	 * The same path at another host, or with another coding, is another request. Two issuers may
	 * give the same name to two people.
	 */
	struct span bound =
		arena_printf(&e->x->arena, "%.*s %.*s %.*s %.*s", SPAN_ARG(e->identity->issuer),
			     SPAN_ARG(head->authority), SPAN_ARG(target),
			     SPAN_ARG(http1_field(head, HTTP_FIELD_CONTENT_ENCODING)));

	if (!target.ptr || !bound.ptr)
		return err_set(err, ERR_MEMORY, "no memory for an approval");
	if (approval_digest(head->method_name, bound,
			    http1_field(head, HTTP_FIELD_CONTENT_TYPE), e->spool.held, digest,
			    err) < 0)
		return -1;
	*request = (struct approval_request){
		.operation =
			e->operation ? e->operation->contract->id : e->route->config->operation,
		.requester =
			e->identity->subject.len ? e->identity->subject : e->identity->client,
		.method = head->method_name,
		.target = target,
		.digest = span_of(digest, APPROVAL_DIGEST_BYTES),
		.role = sensitive->by,
		.needed = sensitive->approvals,
		.pending_max = sensitive->pending,
		.now_unix_ms = clock_unix_ms(),
	};
	request->expires_unix_ms = request->now_unix_ms + (int64_t)sensitive->expires_ms;
	return 0;
}

/* Where the route of the approvals is: "/approvals/" + "**" gives "/approvals/". */
static struct span approvals_path(const struct exchange *e)
{
	const struct config *cfg = e->snapshot->config;

	for (size_t i = 0; i < cfg->routes.count; i++) {
		struct span path = cfg->routes.at[i].path;

		if (cfg->routes.at[i].internal == CONFIG_INTERNAL_APPROVALS &&
		    span_ends_with(path, SPAN("/**")))
			return span_slice(path, 0, path.len - 2);
	}
	return SPAN_NONE;
}

static enum phase_result answer_accepted(struct exchange *e, const struct approval *approval)
{
	struct arena *arena = &e->x->arena;
	struct span path = approvals_path(e);
	struct span url = path.ptr ? arena_printf(arena, "%.*s%.*s", SPAN_ARG(path),
						  SPAN_ARG(approval->id))
				   : SPAN_NONE;
	char expires[CLOCK_RFC3339_SIZE];
	struct span body;
	struct http_field fields[4] = {
		{SPAN("content-type"), SPAN("application/json"), HTTP_FIELD_CONTENT_TYPE},
		{SPAN("cache-control"), SPAN("no-store"), HTTP_FIELD_CACHE_CONTROL},
		{SPAN("retry-after"), RETRY_AFTER, HTTP_FIELD_RETRY_AFTER},
		{SPAN("location"), url, HTTP_FIELD_LOCATION},
	};
	struct http_response response = {
		.status = 202, .fields = fields, .field_count = url.ptr ? 4 : 3};

	clock_rfc3339(expires, approval->expires_unix_ms);
	body = arena_printf(
		arena,
		"{\"approval\":\"%.*s\",\"state\":\"pending\",\"needed\":%u,"
		"\"expires\":\"%s\",\"detail\":\"send the same request again when it "
		"is approved\"%s%.*s%s}\n",
		SPAN_ARG(approval->id), approval->needed, expires,
		url.ptr ? ",\"status_url\":\"" : "", SPAN_ARG(url), url.ptr ? "\"" : "");
	if (!body.ptr)
		return refuse(e, 503, "unavailable", "out_of_memory", NULL);
	e->reason = "approval_pending";
	return internal_respond(e, &response, body);
}

/* Looks again and again until it is decided or the wait is over. */
static enum approval_result wait_for_decision(struct exchange *e, struct approval *approval,
					      struct err *err)
{
	int64_t until_ms = exchange_step_deadline_ms(e, validate_sensitive(e)->hold_ms);
	enum approval_result result = APPROVAL_WAITING;

	while (result == APPROVAL_WAITING && loop_now_ms() + POLL_MS < until_ms) {
		struct approval waiting = *approval;

		if (fiber_sleep_ms(POLL_MS) == FIBER_CANCELLED)
			break;
		result = approval_service_poll(e->worker->shared->approvals, &waiting,
					       &e->x->arena, approval,
					       loop_deadline_ms(STORE_MS), err);
	}
	return result;
}

static enum phase_result conclude(struct exchange *e, enum approval_result result,
				  const struct approval *approval, const struct err *err)
{
	switch (result) {
	case APPROVAL_OK: return PHASE_NEXT;
	case APPROVAL_WAITING:
		if (e->x->client_gone)
			return PHASE_GONE;
		return answer_accepted(e, approval);
	case APPROVAL_CLOSED:
		return refuse(e, 403, "approval-closed", "approval_closed",
			      approval_result_text(result));
	case APPROVAL_TOO_MANY:
		exchange_add_field(e, SPAN("retry-after"), SPAN("60"));
		return refuse(e, 429, "too-many-approvals", "approvals_pending",
			      approval_result_text(result));
	case APPROVAL_ABSENT:
	case APPROVAL_OWN:
	case APPROVAL_TWICE:
	case APPROVAL_OTHER:
		return refuse(e, 403, "approval-mismatch", "approval_mismatch",
			      approval_result_text(result));
	case APPROVAL_FAILED: break;
	}
	log_message(LOG_ERROR, "approval.failed", "%s", err->message);
	return refuse(e, 503, "unavailable", "approval_store", NULL);
}

static enum phase_result approve(struct exchange *e)
{
	struct approval_service *service = e->worker->shared->approvals;
	struct approval *approval = arena_new(&e->x->arena, struct approval);
	char *digest = arena_alloc(&e->x->arena, APPROVAL_DIGEST_BYTES);
	struct approval_request request;
	enum approval_result result;
	enum phase_result concluded;
	struct err err = {0};

	if (!service)
		return refuse(e, 503, "unavailable", "approval_store", NULL);
	if (!approval || !digest)
		return refuse(e, 503, "out-of-memory", "out_of_memory", NULL);
	if (describe(e, digest, &request, &err) < 0)
		return conclude(e, APPROVAL_FAILED, NULL, &err);
	if (request.requester.len == 0)
		return refuse(e, 403, "forbidden", "approval_anonymous",
			      "an approval needs to know who asks");
	result = approval_service_ask(service, &request, &e->x->arena, approval,
				      loop_deadline_ms(STORE_MS), &err);
	if (result == APPROVAL_WAITING && validate_sensitive(e)->hold_ms)
		result = wait_for_decision(e, approval, &err);
	concluded = conclude(e, result, approval, &err);
	if (concluded == PHASE_NEXT)
		e->approval = approval;
	return concluded;
}

bool approve_use(struct exchange *e, enum phase_result *refused)
{
	struct approval used;
	struct err err = {0};
	enum approval_result result =
		approval_service_use(e->worker->shared->approvals, e->approval, &e->x->arena,
				     &used, loop_deadline_ms(STORE_MS), &err);

	if (result == APPROVAL_OK) {
		e->approval = NULL;
		return true;
	}
	/* It was approved a moment ago. */
	if (result == APPROVAL_WAITING)
		result = APPROVAL_OTHER;
	*refused = conclude(e, result, &used, &err);
	return false;
}

/* ---- step-up authentication (RFC 9470) ------------------------------------------------------- */

static struct span join(struct arena *arena, const struct config_strings *words)
{
	struct buf text;
	struct span joined;

	buf_init(&text, 4096);
	for (size_t i = 0; i < words->count; i++) {
		if (i)
			buf_append_byte(&text, ' ');
		buf_append(&text, words->at[i]);
	}
	joined = buf_failed(&text) ? SPAN_NONE : arena_dup(arena, buf_span(&text));
	buf_release(&text);
	return joined;
}

static enum phase_result ask_for_more(struct exchange *e, const struct config_sensitive *s)
{
	struct arena *arena = &e->x->arena;
	struct span acr = s->acr.count ? join(arena, &s->acr) : SPAN("");
	struct span age = s->max_age_ms ? arena_printf(arena, ", max_age=\"%llu\"",
						       (unsigned long long)s->max_age_ms / 1000)
					: SPAN("");
	struct span challenge;

	if (e->identity->kind == IDENTITY_SESSION)
		return identity_service_login(e);
	challenge =
		arena_printf(arena,
			     "Bearer error=\"insufficient_user_authentication\", "
			     "error_description=\"The user must log in again, or in another "
			     "way\"%s%.*s%s%.*s",
			     acr.len ? ", acr_values=\"" : "", SPAN_ARG(acr),
			     acr.len ? "\"" : "", SPAN_ARG(age));
	if (!acr.ptr || !age.ptr || !challenge.ptr)
		return refuse(e, 503, "out-of-memory", "out_of_memory", NULL);
	exchange_add_field(e, SPAN("www-authenticate"), challenge);
	return refuse(e, 401, "insufficient-user-authentication", "step_up",
		      "the user must log in again, or in another way");
}

enum phase_result phase_approve(struct exchange *e)
{
	const struct config_sensitive *sensitive = validate_sensitive(e);
	enum phase_result result;

	if (LIKELY(!sensitive))
		return PHASE_NEXT;
	if ((sensitive->acr.count || sensitive->max_age_ms) &&
	    !access_is_strong(e->identity, &sensitive->acr,
			      (int64_t)sensitive->max_age_ms / 1000, clock_unix_s()))
		return ask_for_more(e, sensitive);
	if (!sensitive->by.len)
		return PHASE_NEXT;
	result = hold_body(e);
	return result == PHASE_NEXT ? approve(e) : result;
}
