#include "gateway/webhook_jobs.h"

#include "base/clock.h"
#include "base/mem.h"

#define JOB_BYTES_MAX ((size_t)64 << 20)

static void job_run(struct offload_job *base)
{
	struct webhook_job *job = CONTAINER_OF(base, struct webhook_job, job);

	job->function(job);
}

void webhook_job_free(struct webhook_job *job)
{
	if (!job)
		return;
	arena_release(&job->arena);
	mem_free(job);
}

static void job_free(struct offload_job *base)
{
	webhook_job_free(CONTAINER_OF(base, struct webhook_job, job));
}

void webhook_job_again(struct webhook_job *job, webhook_job_function *function)
{
	offload_job_init(&job->job, job_run, job_free);
	job->function = function;
	job->now_unix_ms = clock_unix_ms();
}

struct webhook_job *webhook_job_new(struct store *store, webhook_job_function *function)
{
	struct webhook_job *job = mem_zalloc(1, sizeof(*job));

	if (!job)
		return NULL;
	arena_init(&job->arena, JOB_BYTES_MAX, 4096);
	job->store = store;
	webhook_job_again(job, function);
	return job;
}

struct span webhook_job_text(struct webhook_job *job, struct span text)
{
	struct span copy = arena_dup(&job->arena, text);

	if (!copy.ptr)
		err_set(&job->err, ERR_MEMORY, "no memory for a webhook");
	return copy;
}

bool webhook_job_run(struct offload *threads, struct webhook_job *job, int64_t deadline_ms,
		     struct err *err)
{
	if (job->err.code != ERR_NONE) {
		*err = job->err;
		webhook_job_free(job);
		return false;
	}
	return offload_call(threads, &job->job, deadline_ms, err) == 0;
}
