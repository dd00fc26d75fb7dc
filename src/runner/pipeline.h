/*
 * pipeline.h - a file that says which jobs are run, in which order and within which limits. Described
 * by a table, from which its JSON Schema is made.
 */
#ifndef RUNNER_PIPELINE_H
#define RUNNER_PIPELINE_H

#include "config/table.h"

/* What a job may have. UINT64_MAX or CONFIG_INHERIT: as the pipeline's defaults say. */
struct pipeline_limits {
	uint64_t timeout_ms;
	uint64_t memory_bytes; /* of each process: data and stacks */
	uint64_t total_bytes; /* of all its processes together; 0: no limit is asked for */
	uint64_t file_bytes; /* of each file that it writes */
	uint64_t scratch_bytes; /* of /tmp */
	uint64_t output_bytes; /* that are kept of what it prints */
	uint32_t processes; /* and threads, at once */
};

enum pipeline_network { PIPELINE_NETWORK_NONE, PIPELINE_NETWORK_HOST };

struct pipeline_gate {
	struct span policy; /* empty: what holds without one */
	struct span database; /* empty: as `sallyport scan` has it */
};

struct pipeline_job {
	struct config_where where;
	struct span name;
	struct config_strings needs;
	struct config_strings run; /* lines of shell; one that fails ends the job */
	struct config_strings artifacts; /* paths in the workspace */
	struct config_strings secrets; /* names of the pipeline's */
	struct config_strings env; /* "NAME=value" */
	struct span
		image; /* "host", or a folder with a root file system; empty: the defaults' */
	enum pipeline_network network;
	struct pipeline_limits limits;
	struct pipeline_gate *gate; /* NULL: none. Scans before anything is run */
	uint32_t approvals; /* 0: it is not critical */
	struct span by; /* role of those who approve */
	uint64_t expires_ms; /* how long it waits for them */
	size_t *needed; /* places in jobs; needs.count of them, filled in by loading */
};

struct pipeline_secret {
	struct config_where where;
	struct span name;
	struct span file; /* that holds it */
};

struct pipeline {
	struct span name;
	struct span image;
	struct pipeline_limits limits;
	CONFIG_LIST(struct pipeline_secret) secrets;
	CONFIG_LIST(struct pipeline_job) jobs;
	size_t *order; /* jobs.count places: each job behind those that it needs */
	struct span text; /* of the file, for its digest */
	struct table_memory memory;
};

extern const struct schema_object pipeline_schema;

/*
 * -1 with at least one error in *problems. Either way release it. Names of folders and policies are
 * resolved against the file's folder.
 */
int pipeline_load(struct pipeline *pipeline, const char *path,
		  struct config_problems *problems) MUST_CHECK;
int pipeline_load_text(struct pipeline *pipeline, struct span text, const char *name,
		       struct config_problems *problems) MUST_CHECK;
/* A zeroed one is allowed. */
void pipeline_release(struct pipeline *pipeline);

/* The job's place; jobs.count when there is none of that name. */
size_t pipeline_find(const struct pipeline *pipeline, struct span name);
/* What would be done, for people. */
void pipeline_plan(const struct pipeline *pipeline, struct buf *to);

#endif
