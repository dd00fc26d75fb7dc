/* A journal, whole or cut, of a run with two jobs: states are known ones, and what is read holds. */
#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runner/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct span text = SPAN_INIT("pipeline: p\n"
					  "jobs: {a: {run: x}, b: {run: y, needs: a}}\n");

static void look(const char *path, const struct pipeline *pipeline)
{
	struct run_job jobs[2] = {{.state = RUN_WAITS}, {.state = RUN_WAITS}};
	struct journal journal;
	struct arena arena;
	struct err err = {0};

	arena_init(&arena, (size_t)16 << 20, 16384);
	if (journal_look(&journal, path, pipeline, jobs, &arena, &err) == 0) {
		for (size_t i = 0; i < 2; i++) {
			assert(jobs[i].state < RUN_STATES);
			assert(run_state_name(jobs[i].state)[0]);
			assert(jobs[i].why.len <= 65536);
		}
		assert(!journal.digest[0] || strlen(journal.digest) <= RUN_DIGEST_BYTES);
		journal_close(&journal);
	} else {
		assert(err.code != ERR_NONE);
	}
	arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pipeline pipeline;
	static int fd = -1;
	struct config_problems problems = {0};
	char path[64];

	if (size > 16384)
		return 0;
	if (fd < 0) {
		fd = memfd_create("journal", MFD_CLOEXEC);
		assert(fd >= 0);
		assert(pipeline_load_text(&pipeline, text, "p", &problems) == 0);
	}
	assert(ftruncate(fd, 0) == 0);
	assert(pwrite(fd, data, size, 0) == (ssize_t)size);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	look(path, &pipeline);
	return 0;
}
