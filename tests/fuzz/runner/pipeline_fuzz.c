/* A pipeline file that is accepted has an order, names that are no other folders, and every limit. */
#include <assert.h>

#include "runner/pipeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_job(const struct pipeline *p, size_t n)
{
	const struct pipeline_job *job = &p->jobs.at[p->order[n]];

	for (size_t i = 0; i < job->needs.count; i++) {
		size_t at = 0;

		while (p->order[at] != job->needed[i])
			at++;
		assert(at < n);
	}
	for (size_t i = 0; i < job->artifacts.count; i++)
		assert(job->artifacts.at[i].len > 0 && job->artifacts.at[i].ptr[0] != '/' &&
		       span_find(job->artifacts.at[i], SPAN("..")) == job->artifacts.at[i].len);
	for (size_t i = 0; i < job->env.count; i++)
		assert(span_find_byte(job->env.at[i], '=') > 0);
	assert(span_find_byte(job->name, '/') == job->name.len && job->name.ptr[0] != '.');
	assert(span_eq(job->image, SPAN("host")) || job->image.ptr[0] == '/');
	assert(job->limits.timeout_ms > 0 && job->limits.timeout_ms != CONFIG_INHERIT);
	assert(job->limits.memory_bytes > 0 && job->limits.memory_bytes != CONFIG_INHERIT);
	assert(job->limits.processes > 0 && job->limits.output_bytes != CONFIG_INHERIT);
	assert((job->approvals > 0) == (job->by.len > 0));
	assert(job->run.count > 0 || job->gate);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_problems problems = {0};
	struct pipeline p;
	struct buf plan;

	if (size > 4096)
		return 0;
	buf_init(&plan, (size_t)1 << 20);
	if (pipeline_load_text(&p, span_of(data, size), "p", &problems) == 0) {
		for (size_t n = 0; n < p.jobs.count; n++)
			check_job(&p, n);
		pipeline_plan(&p, &plan);
		assert(!buf_failed(&plan));
	} else {
		assert(problems.errors > 0);
	}
	buf_release(&plan);
	pipeline_release(&p);
	return 0;
}
