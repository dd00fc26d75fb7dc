/* approval_internal.h - what approval_service.c and approval_pages.c share. */
#ifndef GATEWAY_APPROVAL_INTERNAL_H
#define GATEWAY_APPROVAL_INTERNAL_H

#include "gateway/approval_service.h"
#include "io/offload.h"

struct approval_service {
	struct store *store;
	struct offload *threads;
	struct audit_log *audit_log;
	struct webhook_service *_Atomic webhooks; /* NULL: none */
	struct internal_service handle;
};

enum approval_step {
	APPROVAL_STEP_ASK, /* request */
	APPROVAL_STEP_POLL, /* request.{requester,digest}, id */
	APPROVAL_STEP_USE, /* the same */
	APPROVAL_STEP_GET, /* id */
	APPROVAL_STEP_DECIDE, /* id, vote */
	APPROVAL_STEP_LIST, /* the pending ones */
	APPROVAL_STEP_LINK, /* token; id and approver, and the approval */
	APPROVAL_STEP_LINK_DECIDE, /* token, vote without `by` */
};

/* A question to the store. Inputs and results live in its own arena: it may outlive who asks. */
struct approval_job {
	struct offload_job job;
	struct arena arena;
	struct approval_service *service;
	struct store *store;
	enum approval_step step;
	struct approval_request request;
	struct span id; /* of a list: after it */
	size_t limit; /* of a list */
	struct span token;
	struct span approver;
	struct approval_vote vote;
	int64_t now_unix_ms;
	enum approval_result result;
	struct approval approval;
	struct approval_list list;
	struct err err;
};

/* NULL: out of memory. */
struct approval_job *approval_job_new(struct approval_service *service,
				      enum approval_step step);
/* A copy of text for the job; marks it failed when there is no memory. */
struct span approval_job_text(struct approval_job *job, struct span text);
/*
 * Runs it in an offload thread. True: job->result is other than APPROVAL_FAILED, and the job is the
 * caller's to free. False: it is gone, and *err says why.
 */
bool approval_job_run(struct approval_service *service, struct approval_job *job,
		      int64_t deadline_ms, struct err *err);
void approval_job_free(struct approval_job *job);

/* Answers the routes of `service: approvals`. */
enum phase_result approval_pages_serve(struct exchange *e, void *context);

#endif
