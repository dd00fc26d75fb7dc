#include "gateway/approval_internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/audit.h"
#include "gateway/webhook_service.h"
#include "parse/json_write.h"

#define THREADS 2
#define QUEUE_MAX 256
#define JOB_BYTES_MAX ((size_t)8 << 20)

struct approval_service *approval_service_new(const struct config *cfg,
					      struct audit_log *audit_log, struct err *err)
{
	struct approval_service *service = mem_zalloc(1, sizeof(*service));
	struct store_options options = {.url = secret_span(&cfg->store.url)};

	if (!service) {
		err_set(err, ERR_MEMORY, "no memory for approvals");
		return NULL;
	}
	service->audit_log = audit_log;
	service->handle =
		(struct internal_service){.serve = approval_pages_serve, .context = service};
	service->store = store_open(&options, err);
	if (service->store)
		service->threads = offload_new("approvals", THREADS, QUEUE_MAX, err);
	if (service->threads)
		return service;
	err_wrap(err, "approvals");
	approval_service_free(service);
	return NULL;
}

void approval_service_free(struct approval_service *service)
{
	if (!service)
		return;
	if (service->threads)
		offload_free(service->threads);
	store_close(service->store);
	mem_free(service);
}

const struct internal_service *approval_service_handle(struct approval_service *service)
{
	return &service->handle;
}

void approval_service_tell(struct approval_service *service, struct webhook_service *webhooks)
{
	atomic_store(&service->webhooks, webhooks);
}

static void put_event(struct json_writer *w, const struct approval *approval, struct span by,
		      struct span reason)
{
	json_member_string(w, SPAN("approval"), approval->id);
	json_member_string(w, SPAN("operation"), approval->operation);
	json_member_string(w, SPAN("requester"), approval->requester);
	json_member_string(w, SPAN("sha256"), approval->digest);
	json_member_string(w, SPAN("state"), span_cstr(approval_state_name(approval->state)));
	if (by.len)
		json_member_string(w, SPAN("by"), by);
	if (reason.len)
		json_member_string(w, SPAN("reason"), reason);
}

static void tell_webhooks(struct approval_service *service, const char *event,
			  const struct approval *approval, struct span by, struct span reason)
{
	struct webhook_service *webhooks = atomic_load(&service->webhooks);
	struct json_writer w;
	struct buf data;

	if (!webhooks)
		return;
	buf_init(&data, 32768);
	json_writer_init(&w, &data);
	json_begin_object(&w);
	put_event(&w, approval, by, reason);
	json_member_string(&w, SPAN("method"), approval->method);
	json_member_string(&w, SPAN("target"), approval->target);
	json_member_string(&w, SPAN("role"), approval->role);
	json_member_int(&w, SPAN("needed"), approval->needed);
	json_member_int(&w, SPAN("expires_unix_ms"), approval->expires_unix_ms);
	json_end_object(&w);
	if (!buf_failed(&data))
		webhook_service_tell(webhooks, CONFIG_WEBHOOK_APPROVALS, span_cstr(event),
				     buf_span(&data));
	else
		log_message(LOG_ERROR, "webhook.lost", "%s: too long", event);
	buf_release(&data);
}

/* What happened to an approval, in the thread that has made it happen: nobody may have waited. */
static void audit(struct approval_service *service, const char *event,
		  const struct approval *approval, struct span by, struct span reason)
{
	struct json_writer w;
	struct buf members;

	tell_webhooks(service, event, approval, by, reason);
	if (!service->audit_log)
		return;
	buf_init(&members, 16384);
	json_writer_init(&w, &members);
	w.need_comma = true;
	put_event(&w, approval, by, reason);
	audit_event(service->audit_log, event,
		    buf_failed(&members) ? SPAN_NONE : buf_span(&members));
	buf_release(&members);
	audit_acknowledge(service->audit_log, "approval.audit");
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static enum approval_result use(struct approval_job *job)
{
	enum approval_result result =
		approval_use(job->store, job->id, job->request.requester, job->request.digest,
			     clock_unix_ms(), &job->arena, &job->approval, &job->err);

	if (result == APPROVAL_OK)
		audit(job->service, "approval.used", &job->approval, SPAN_NONE, SPAN_NONE);
	return result;
}

static enum approval_result is_approved(const struct approval_job *job)
{
	switch (job->approval.state) {
	case APPROVAL_PENDING: return APPROVAL_WAITING;
	case APPROVAL_APPROVED: return APPROVAL_OK;
	case APPROVAL_DENIED:
	case APPROVAL_USED:
	case APPROVAL_EXPIRED: break;
	}
	return APPROVAL_CLOSED;
}

static enum approval_result read_link(struct approval_job *job)
{
	enum approval_result result = approval_link_read(job->store, job->token, &job->arena,
							 &job->id, &job->approver, &job->err);

	job->vote.by = job->approver;
	return result;
}

static enum approval_result get(struct approval_job *job)
{
	return approval_get(job->store, job->id, job->now_unix_ms, &job->arena, &job->approval,
			    &job->err);
}

static enum approval_result decide(struct approval_job *job)
{
	enum approval_result result = approval_decide(job->store, job->id, &job->vote,
						      &job->arena, &job->approval, &job->err);

	if (result == APPROVAL_OK)
		audit(job->service,
		      job->vote.approves ? "approval.approved" : "approval.denied",
		      &job->approval, job->vote.by, job->vote.reason);
	return result;
}

static enum approval_result ask(struct approval_job *job)
{
	enum approval_result result =
		approval_ask(job->store, &job->request, &job->arena, &job->approval, &job->err);

	if (result != APPROVAL_OK)
		return result;
	if (job->approval.created_unix_ms == job->request.now_unix_ms)
		audit(job->service, "approval.requested", &job->approval, SPAN_NONE, SPAN_NONE);
	return is_approved(job);
}

static enum approval_result run_step(struct approval_job *job)
{
	enum approval_result result = APPROVAL_OK;

	switch (job->step) {
	case APPROVAL_STEP_ASK: return ask(job);
	case APPROVAL_STEP_POLL:
		result = get(job);
		return result == APPROVAL_OK ? is_approved(job) : result;
	case APPROVAL_STEP_USE: return use(job);
	case APPROVAL_STEP_GET: return get(job);
	case APPROVAL_STEP_DECIDE: return decide(job);
	case APPROVAL_STEP_LIST:
		return approval_list(job->store, APPROVAL_PENDING, job->id, job->limit,
				     job->now_unix_ms, &job->arena, &job->list, &job->err) < 0
			       ? APPROVAL_FAILED
			       : APPROVAL_OK;
	case APPROVAL_STEP_LINK:
		result = read_link(job);
		return result == APPROVAL_OK ? get(job) : result;
	case APPROVAL_STEP_LINK_DECIDE:
		result = read_link(job);
		return result == APPROVAL_OK ? decide(job) : result;
	}
	return APPROVAL_FAILED;
}

static void job_run(struct offload_job *base)
{
	struct approval_job *job = CONTAINER_OF(base, struct approval_job, job);

	job->result = run_step(job);
}

void approval_job_free(struct approval_job *job)
{
	if (!job)
		return;
	arena_release(&job->arena);
	mem_free(job);
}

static void job_free(struct offload_job *base)
{
	approval_job_free(CONTAINER_OF(base, struct approval_job, job));
}

struct approval_job *approval_job_new(struct approval_service *service, enum approval_step step)
{
	struct approval_job *job = mem_zalloc(1, sizeof(*job));

	if (!job)
		return NULL;
	offload_job_init(&job->job, job_run, job_free);
	arena_init(&job->arena, JOB_BYTES_MAX, 4096);
	job->service = service;
	job->store = service->store;
	job->step = step;
	job->now_unix_ms = clock_unix_ms();
	job->vote.unix_ms = job->now_unix_ms;
	return job;
}

struct span approval_job_text(struct approval_job *job, struct span text)
{
	struct span copy = arena_dup(&job->arena, text);

	if (!copy.ptr)
		err_set(&job->err, ERR_MEMORY, "no memory for an approval");
	return copy;
}

bool approval_job_run(struct approval_service *service, struct approval_job *job,
		      int64_t deadline_ms, struct err *err)
{
	bool complete = job->err.code == ERR_NONE;

	if (complete && offload_call(service->threads, &job->job, deadline_ms, err) < 0)
		return false;
	if (complete && job->result != APPROVAL_FAILED)
		return true;
	*err = job->err;
	approval_job_free(job);
	return false;
}

/* ---- for the phase --------------------------------------------------------------------------- */

/* The approval of a job that ends, with its text in another arena. */
static bool copy_approval(const struct approval *from, struct arena *arena, struct approval *to)
{
	struct span *texts[] = {&to->id,     &to->operation, &to->requester, &to->method,
				&to->target, &to->digest,    &to->role};

	*to = *from;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		*texts[i] = arena_dup(arena, *texts[i]);
		if (!texts[i]->ptr)
			return false;
	}
	for (size_t i = 0; i < to->vote_count; i++) {
		to->votes[i].by = arena_dup(arena, to->votes[i].by);
		to->votes[i].reason = arena_dup(arena, to->votes[i].reason);
		if (!to->votes[i].by.ptr || !to->votes[i].reason.ptr)
			return false;
	}
	return true;
}

static enum approval_result finish(struct approval_service *service, struct approval_job *job,
				   struct arena *arena, struct approval *approval,
				   int64_t deadline_ms, struct err *err)
{
	enum approval_result result;

	if (!approval_job_run(service, job, deadline_ms, err))
		return APPROVAL_FAILED;
	result = job->result;
	/* Of those two there is nothing to copy. */
	if (result != APPROVAL_ABSENT && result != APPROVAL_TOO_MANY &&
	    !copy_approval(&job->approval, arena, approval)) {
		err_set(err, ERR_MEMORY, "no memory for an approval");
		result = APPROVAL_FAILED;
	}
	approval_job_free(job);
	return result;
}

static enum approval_result no_memory(struct err *err)
{
	err_set(err, ERR_MEMORY, "no memory for an approval");
	return APPROVAL_FAILED;
}

enum approval_result approval_service_ask(struct approval_service *service,
					  const struct approval_request *request,
					  struct arena *arena, struct approval *approval,
					  int64_t deadline_ms, struct err *err)
{
	struct approval_job *job = approval_job_new(service, APPROVAL_STEP_ASK);

	if (!job)
		return no_memory(err);
	job->request = *request;
	job->request.operation = approval_job_text(job, request->operation);
	job->request.requester = approval_job_text(job, request->requester);
	job->request.method = approval_job_text(job, request->method);
	job->request.target = approval_job_text(job, request->target);
	job->request.digest = approval_job_text(job, request->digest);
	job->request.role = approval_job_text(job, request->role);
	return finish(service, job, arena, approval, deadline_ms, err);
}

static enum approval_result ask_about(struct approval_service *service, enum approval_step step,
				      const struct approval *about, struct arena *arena,
				      struct approval *approval, int64_t deadline_ms,
				      struct err *err)
{
	struct approval_job *job = approval_job_new(service, step);

	if (!job)
		return no_memory(err);
	job->id = approval_job_text(job, about->id);
	job->request.requester = approval_job_text(job, about->requester);
	job->request.digest = approval_job_text(job, about->digest);
	return finish(service, job, arena, approval, deadline_ms, err);
}

enum approval_result approval_service_poll(struct approval_service *service,
					   const struct approval *waiting, struct arena *arena,
					   struct approval *approval, int64_t deadline_ms,
					   struct err *err)
{
	return ask_about(service, APPROVAL_STEP_POLL, waiting, arena, approval, deadline_ms,
			 err);
}

enum approval_result approval_service_use(struct approval_service *service,
					  const struct approval *approved, struct arena *arena,
					  struct approval *approval, int64_t deadline_ms,
					  struct err *err)
{
	return ask_about(service, APPROVAL_STEP_USE, approved, arena, approval, deadline_ms,
			 err);
}
