/* webhook_jobs.h - questions of webhook_service.c to the store, for offload threads. */
#ifndef GATEWAY_WEBHOOK_JOBS_H
#define GATEWAY_WEBHOOK_JOBS_H

#include "guard/webhook.h"
#include "io/offload.h"

struct webhook_job;
typedef void webhook_job_function(struct webhook_job *job);

/* Inputs and results live in its own arena: it may outlive who asks. */
struct webhook_job {
	struct offload_job job;
	struct arena arena;
	struct store *store;
	webhook_job_function *function;
	void *context; /* outlives the threads */
	struct span hook, event, data, id, problem;
	int64_t now_unix_ms;
	int64_t lease_ms;
	int64_t next_unix_ms;
	size_t waiting;
	enum webhook_outcome outcome;
	struct webhook_policy policy;
	enum store_result result;
	struct webhook_delivery delivery;
	struct webhook_list list;
	struct err err;
};

/* NULL: out of memory. */
struct webhook_job *webhook_job_new(struct store *store, webhook_job_function *function);
/* The same job for another function; what it has found stays. */
void webhook_job_again(struct webhook_job *job, webhook_job_function *function);
/* A copy of text for the job; marks it failed when there is no memory. */
struct span webhook_job_text(struct webhook_job *job, struct span text);
/* Runs it. True: the job is the caller's to free. False: it is gone, and *err says why. */
bool webhook_job_run(struct offload *threads, struct webhook_job *job, int64_t deadline_ms,
		     struct err *err);
void webhook_job_free(struct webhook_job *job);

#endif
