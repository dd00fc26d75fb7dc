/* Where people look at approvals and decide on them: JSON for programs, a page for signed links. */
#include "base/log.h"
#include "gateway/approval_internal.h"
#include "gateway/fields.h"
#include "parse/form.h"
#include "parse/json.h"

#define STORE_MS 5000
#define BODY_BYTES_MAX 8192
/* Of the list, a page. */
#define LIST_MAX 100
#define PAGE_BYTES_MAX ((size_t)256 * 1024)

static enum phase_result answer_text(struct exchange *e, unsigned status, struct span type,
				     struct span text)
{
	struct http_field fields[] = {
		{SPAN("content-type"), type, HTTP_FIELD_CONTENT_TYPE},
		{SPAN("cache-control"), SPAN("no-store"), HTTP_FIELD_CACHE_CONTROL},
		{SPAN("content-security-policy"),
		 SPAN("default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
		      "frame-ancestors 'none'; base-uri 'none'"),
		 HTTP_FIELD_CONTENT_SECURITY_POLICY},
		{SPAN("referrer-policy"), SPAN("no-referrer"), HTTP_FIELD_REFERRER_POLICY},
	};
	struct http_response response = {
		.status = status, .fields = fields, .field_count = COUNT_OF(fields)};

	return internal_respond(e, &response, text);
}

static enum phase_result answer_buf(struct exchange *e, unsigned status, struct span type,
				    struct buf *text)
{
	struct span copy =
		buf_failed(text) ? SPAN_NONE : arena_dup(&e->x->arena, buf_span(text));

	buf_release(text);
	if (!copy.ptr)
		return answer_problem(e, 503, "out-of-memory", NULL);
	return answer_text(e, status, type, copy);
}

static enum phase_result answer_failed(struct exchange *e, const struct err *err)
{
	log_message(LOG_ERROR, "approval.failed", "%s", err->message);
	e->reason = "approval_store";
	return answer_problem(e, 503, "unavailable", NULL);
}

static enum phase_result answer_refused(struct exchange *e, enum approval_result result)
{
	unsigned status = result == APPROVAL_ABSENT ? 404 : result == APPROVAL_OWN ? 403 : 409;

	e->reason = "approval_refused";
	return answer_problem(e, status, "approval-refused", approval_result_text(result));
}

static enum phase_result answer_unknown(struct exchange *e)
{
	e->reason = "unknown_path";
	return answer_problem(e, 404, "not-found", NULL);
}

static struct span caller(const struct exchange *e)
{
	return e->identity->subject.len ? e->identity->subject : e->identity->client;
}

/* ---- for programs ---------------------------------------------------------------------------- */

/* The approval, if the caller may see it; what one may not see is not there. */
static enum phase_result show(struct exchange *e, struct approval_service *service,
			      struct span id)
{
	struct approval_job *job = approval_job_new(service, APPROVAL_STEP_GET);
	struct err err = {0};
	struct buf body;
	bool visible;

	if (!job)
		return answer_problem(e, 503, "out-of-memory", NULL);
	job->id = approval_job_text(job, id);
	if (!approval_job_run(service, job, loop_deadline_ms(STORE_MS), &err))
		return answer_failed(e, &err);
	visible = job->result == APPROVAL_OK &&
		  (span_eq(job->approval.requester, caller(e)) ||
		   identity_has_role(e->identity, job->approval.role));
	buf_init(&body, PAGE_BYTES_MAX);
	if (visible) {
		approval_write(&job->approval, &body);
		buf_append_byte(&body, '\n');
	}
	approval_job_free(job);
	if (visible)
		return answer_buf(e, 200, SPAN("application/json"), &body);
	buf_release(&body);
	return answer_unknown(e);
}

static enum phase_result list(struct exchange *e, struct approval_service *service)
{
	struct approval_job *job;
	struct form form = {0};
	struct err err = {0};
	uint64_t limit = LIST_MAX;
	struct buf body;
	size_t shown = 0;

	if (e->query.len && form_parse(&e->x->arena, e->query, &form) != FORM_OK)
		return answer_problem(e, 400, "bad-query", NULL);
	if (form_get(&form, SPAN("limit")).ptr &&
	    (!span_to_u64(form_get(&form, SPAN("limit")), &limit) || limit < 1 ||
	     limit > LIST_MAX))
		return answer_problem(e, 400, "bad-query", "limit is 1 to 100");
	job = approval_job_new(service, APPROVAL_STEP_LIST);
	if (!job)
		return answer_problem(e, 503, "out-of-memory", NULL);
	job->limit = (size_t)limit;
	job->id = approval_job_text(job, form_get(&form, SPAN("after")));
	if (!approval_job_run(service, job, loop_deadline_ms(STORE_MS), &err))
		return answer_failed(e, &err);
	buf_init(&body, PAGE_BYTES_MAX);
	buf_append_cstr(&body, "{\"approvals\":[");
	for (size_t i = 0; i < job->list.count; i++) {
		const struct approval *approval = &job->list.at[i];

		if (!identity_has_role(e->identity, approval->role) ||
		    approval->state != APPROVAL_PENDING)
			continue;
		if (shown++)
			buf_append_byte(&body, ',');
		approval_write(approval, &body);
	}
	buf_printf(&body, "],\"more\":%s", job->list.more ? "true" : "false");
	if (job->list.more && job->list.count)
		buf_printf(&body, ",\"next\":\"%.*s\"",
			   SPAN_ARG(job->list.at[job->list.count - 1].id));
	buf_append_cstr(&body, "}\n");
	approval_job_free(job);
	return answer_buf(e, 200, SPAN("application/json"), &body);
}

/* {"reason": "..."}; no body at all is fine, but its type must be right: no form can send that. */
static bool read_reason(struct exchange *e, struct span body, struct span *reason)
{
	struct span type = http1_field(&e->x->request, HTTP_FIELD_CONTENT_TYPE);
	const struct json *object;
	struct err err;

	*reason = SPAN("");
	if (!span_eq_nocase(span_trim(span_slice(type, 0, span_find_byte(type, ';'))),
			    SPAN("application/json")))
		return false;
	if (body.len == 0)
		return true;
	object = json_parse(&e->x->arena, body, NULL, &err);
	if (!object || object->type != JSON_OBJECT)
		return false;
	json_string(json_get(object, SPAN("reason")), reason);
	return reason->len <= APPROVAL_REASON_BYTES_MAX;
}

/* Who may decide is known from the approval, so it is read first. */
static enum phase_result check_role(struct exchange *e, struct approval_service *service,
				    struct span id)
{
	struct approval_job *job = approval_job_new(service, APPROVAL_STEP_GET);
	struct err err = {0};
	bool allowed;

	if (!job)
		return answer_problem(e, 503, "out-of-memory", NULL);
	job->id = approval_job_text(job, id);
	if (!approval_job_run(service, job, loop_deadline_ms(STORE_MS), &err))
		return answer_failed(e, &err);
	allowed = job->result == APPROVAL_OK &&
		  identity_has_role(e->identity, job->approval.role);
	approval_job_free(job);
	return allowed ? PHASE_NEXT : answer_unknown(e);
}

static enum phase_result answer_decided(struct exchange *e, struct approval_job *job)
{
	enum approval_result result = job->result;
	struct buf body;

	buf_init(&body, PAGE_BYTES_MAX);
	if (result == APPROVAL_OK) {
		approval_write(&job->approval, &body);
		buf_append_byte(&body, '\n');
	}
	approval_job_free(job);
	if (result == APPROVAL_OK)
		return answer_buf(e, 200, SPAN("application/json"), &body);
	buf_release(&body);
	return answer_refused(e, result);
}

static enum phase_result decide(struct exchange *e, struct approval_service *service,
				struct span id, bool approves)
{
	struct approval_job *job;
	struct span body, reason;
	struct err err = {0};
	enum phase_result result = internal_read_body(e, BODY_BYTES_MAX, &body);

	if (result != PHASE_NEXT)
		return result;
	if (!read_reason(e, body, &reason))
		return answer_problem(e, 400, "bad-request",
				      "expected application/json: {\"reason\": \"...\"}");
	result = check_role(e, service, id);
	if (result != PHASE_NEXT)
		return result;
	job = approval_job_new(service, APPROVAL_STEP_DECIDE);
	if (!job)
		return answer_problem(e, 503, "out-of-memory", NULL);
	job->id = approval_job_text(job, id);
	job->vote.by = approval_job_text(job, caller(e));
	job->vote.reason = approval_job_text(job, reason);
	job->vote.approves = approves;
	if (!approval_job_run(service, job, loop_deadline_ms(STORE_MS), &err))
		return answer_failed(e, &err);
	return answer_decided(e, job);
}

/* ---- the page of a signed link --------------------------------------------------------------- */

static void put_row(struct buf *to, const char *name, struct span value)
{
	buf_printf(to, "<dt>%s</dt><dd>", name);
	buf_append_html(to, value);
	buf_append_cstr(to, "</dd>");
}

static void put_page_begin(struct buf *to, const char *title)
{
	buf_printf(
		to,
		"<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
		"<meta name=\"viewport\" content=\"width=device-width\"><title>%s</title>"
		"<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem "
		"auto;padding:0 1rem}dt{color:#555}dd{margin:0 0 .5rem;overflow-wrap:anywhere}"
		"textarea{width:100%%;box-sizing:border-box}button{font:inherit;padding:.5rem "
		"1rem;margin:.5rem .5rem 0 0}</style></head><body><main><h1>%s</h1>",
		title, title);
}

static void put_approval(struct buf *to, const struct approval *approval)
{
	buf_append_cstr(to, "<dl>");
	put_row(to, "Operation", approval->operation);
	put_row(to, "Asked for by", approval->requester);
	put_row(to, "Request", approval->method);
	put_row(to, "Target", approval->target);
	put_row(to, "Digest of the request", approval->digest);
	put_row(to, "State", span_cstr(approval_state_name(approval->state)));
	buf_append_cstr(to, "</dl>");
}

static void put_form(struct buf *to, struct span token)
{
	buf_append_cstr(to, "<form method=\"post\"><input type=\"hidden\" name=\"t\" value=\"");
	buf_append_html(to, token);
	buf_append_cstr(to, "\"><label for=\"reason\">Reason</label><textarea id=\"reason\" "
			    "name=\"reason\" rows=\"3\" maxlength=\"1000\"></textarea>"
			    "<button name=\"decision\" value=\"approve\">Approve</button>"
			    "<button name=\"decision\" value=\"deny\">Deny</button></form>");
}

static enum phase_result answer_page(struct exchange *e, struct approval_job *job,
				     const char *title, bool with_form)
{
	enum approval_result result = job->result;
	unsigned status = result == APPROVAL_OK ? 200 : result == APPROVAL_ABSENT ? 404 : 409;
	struct buf page;

	buf_init(&page, PAGE_BYTES_MAX);
	put_page_begin(&page, title);
	if (result != APPROVAL_OK) {
		buf_append_cstr(&page, "<p>");
		buf_append_html(&page, span_cstr(approval_result_text(result)));
		buf_append_cstr(&page, ".</p>");
		e->reason = "approval_refused";
	}
	if (result != APPROVAL_ABSENT)
		put_approval(&page, &job->approval);
	if (with_form && result == APPROVAL_OK && job->approval.state == APPROVAL_PENDING)
		put_form(&page, job->token);
	buf_append_cstr(&page, "</main></body></html>\n");
	approval_job_free(job);
	return answer_buf(e, status, SPAN("text/html; charset=utf-8"), &page);
}

static enum phase_result show_link(struct exchange *e, struct approval_service *service)
{
	struct approval_job *job;
	struct err err = {0};
	struct form form;

	if (form_parse(&e->x->arena, e->query, &form) != FORM_OK)
		return answer_unknown(e);
	job = approval_job_new(service, APPROVAL_STEP_LINK);
	if (!job)
		return answer_problem(e, 503, "out-of-memory", NULL);
	job->token = approval_job_text(job, form_get(&form, SPAN("t")));
	if (!approval_job_run(service, job, loop_deadline_ms(STORE_MS), &err))
		return answer_failed(e, &err);
	return answer_page(e, job, "Decide on a request", true);
}

static enum phase_result decide_link(struct exchange *e, struct approval_service *service)
{
	enum phase_result result;
	struct approval_job *job;
	struct span body, decision, reason;
	struct err err = {0};
	struct form form;

	result = internal_read_body(e, BODY_BYTES_MAX, &body);
	if (result != PHASE_NEXT)
		return result;
	if (form_parse(&e->x->arena, body, &form) != FORM_OK)
		return answer_problem(e, 400, "bad-request", "the form cannot be read");
	decision = form_get(&form, SPAN("decision"));
	reason = form_get(&form, SPAN("reason"));
	if ((!span_eq(decision, SPAN("approve")) && !span_eq(decision, SPAN("deny"))) ||
	    reason.len > APPROVAL_REASON_BYTES_MAX)
		return answer_problem(e, 400, "bad-request", "approve or deny?");
	job = approval_job_new(service, APPROVAL_STEP_LINK_DECIDE);
	if (!job)
		return answer_problem(e, 503, "out-of-memory", NULL);
	job->token = approval_job_text(job, form_get(&form, SPAN("t")));
	job->vote.reason = approval_job_text(job, reason);
	job->vote.approves = span_eq(decision, SPAN("approve"));
	if (!approval_job_run(service, job, loop_deadline_ms(STORE_MS), &err))
		return answer_failed(e, &err);
	return answer_page(e, job, job->vote.approves ? "Approved" : "Denied", false);
}

/* ---- which of them --------------------------------------------------------------------------- */

static enum phase_result refuse_method(struct exchange *e, struct span allowed)
{
	exchange_add_field(e, SPAN("allow"), allowed);
	e->reason = "method";
	return answer_problem(e, 405, "method-not-allowed", NULL);
}

/* What of the path is below the route's: "" for the list, "ID", "ID/approve", "link". */
static struct span path_below(const struct exchange *e)
{
	struct span route = e->route->config->path;
	size_t base = span_ends_with(route, SPAN("**")) ? route.len - 2 : route.len;

	return span_slice(e->path, base, e->path.len);
}

enum phase_result approval_pages_serve(struct exchange *e, void *context)
{
	struct approval_service *service = context;
	struct span rest = path_below(e);
	enum http_method method = e->x->request.method;
	bool get = method == HTTP_METHOD_GET || method == HTTP_METHOD_HEAD;
	struct span id;

	if (span_eq(rest, SPAN("link"))) {
		if (get)
			return show_link(e, service);
		return method == HTTP_METHOD_POST ? decide_link(e, service)
						  : refuse_method(e, SPAN("GET, HEAD, POST"));
	}
	if (caller(e).len == 0) {
		e->reason = "unauthenticated";
		exchange_add_field(e, SPAN("www-authenticate"), SPAN("Bearer"));
		return answer_problem(e, 401, "unauthenticated", NULL);
	}
	id = span_cut(&rest, '/');
	if (!rest.ptr) {
		if (!get)
			return refuse_method(e, SPAN("GET, HEAD"));
		return id.len ? show(e, service, id) : list(e, service);
	}
	if (!span_eq(rest, SPAN("approve")) && !span_eq(rest, SPAN("deny")))
		return answer_unknown(e);
	if (method != HTTP_METHOD_POST)
		return refuse_method(e, SPAN("POST"));
	return decide(e, service, id, span_eq(rest, SPAN("approve")));
}
