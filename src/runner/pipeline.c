#include "runner/pipeline.h"

#include "config/check.h"
#include "config/schema_parts.h"

#define JOBS_MAX 256
#define TEXT_BYTES_MAX ((size_t)1 << 20)

/* ---- the table ------------------------------------------------------------------------------- */

#define LIMIT_KEYS(structure, flags_, timeout_, memory_, total_, file_, scratch_, output_)     \
	{KEY("timeout", DURATION, structure, limits.timeout_ms),                               \
	 .flags = (flags_),                                                                    \
	 .initial = (timeout_),                                                                \
	 .min = 100,                                                                           \
	 .max = 86400000,                                                                      \
	 .text = "Of the whole job; then all its processes are killed."},                      \
		{KEY("memory", SIZE, structure, limits.memory_bytes), .flags = (flags_),       \
		 .initial = (memory_), .min = 1 << 20,                                         \
		 .text = "Of each process of the job: its data and stacks."},                  \
		{KEY("memory_total", SIZE, structure, limits.total_bytes), .flags = (flags_),  \
		 .initial = (total_),                                                          \
		 .text = "Of all its processes, by a control group; where none can be made, "  \
			 "it is not run. 0: no limit."},                                       \
		{KEY("file_size", SIZE, structure, limits.file_bytes), .flags = (flags_),      \
		 .initial = (file_), .min = 1, .text = "Of each file that it writes."},        \
		{KEY("scratch", SIZE, structure, limits.scratch_bytes), .flags = (flags_),     \
		 .initial = (scratch_), .min = 4096, .text = "Of its /tmp, which is memory."}, \
	{                                                                                      \
		KEY("output", SIZE, structure, limits.output_bytes),                           \
			.flags = (flags_), .initial = (output_), .min = 1024,                  \
			.text = "Of what it prints that is kept; the rest is counted."         \
	}

static bool is_variable(struct span text)
{
	size_t equals = span_find_byte(text, '=');

	if (equals == 0 || equals == text.len || memchr(text.ptr, 0, text.len))
		return false;
	for (size_t i = 0; i < equals; i++) {
		char c = ascii_lower(text.ptr[i]);

		if (c != '_' && !(c >= 'a' && c <= 'z') && !(i && c >= '0' && c <= '9'))
			return false;
	}
	return true;
}

static const struct schema_format format_variable = {"NAME=value", is_variable, false,
						     "^[A-Za-z_][A-Za-z0-9_]*="};

static bool is_image(struct span text)
{
	return span_eq(text, SPAN("host")) ||
	       (text.len > 1 && text.ptr[0] == '/' && !memchr(text.ptr, 0, text.len));
}

static const struct schema_format format_image = {"host, or the absolute path of a folder",
						  is_image, false, "^(host$|/)"};

static const struct schema_key gate_keys[] = {
	{KEY("policy", FILE, pipeline_gate, policy),
	 .text = "What is not taken; without, what holds without a policy."},
	{KEY("database", OUTPUT, pipeline_gate, database),
	 .text = "Compiled advisories; without, the one of `sallyport scan`."},
	{.name = NULL},
};

static const struct schema_object gate_schema = {
	.name = "gate",
	.size = sizeof(struct pipeline_gate),
	.keys = gate_keys,
	.shorthand = "policy",
};

static const struct schema_name network_names[] = {
	{"none", PIPELINE_NETWORK_NONE},
	{"host", PIPELINE_NETWORK_HOST},
	{NULL, 0},
};

static const struct schema_key job_keys[] = {
	{KEY("needs", TEXTS, pipeline_job, needs), .format = &format_name,
	 .text = "Jobs that must have passed; their artifacts are in /artifacts/JOB."},
	{KEY("run", TEXTS, pipeline_job, run), .format = &format_content,
	 .text = "Lines for /bin/sh, in /workspace; the first that fails ends the job."},
	{KEY("artifacts", TEXTS, pipeline_job, artifacts), .format = &format_any,
	 .text = "Files and folders of the workspace that are kept when it has passed."},
	{KEY("secrets", TEXTS, pipeline_job, secrets), .format = &format_name,
	 .text = "Secrets of the pipeline that it gets, as files in /secrets."},
	{KEY("env", TEXTS, pipeline_job, env), .format = &format_variable,
	 .text = "Variables of its environment, as NAME=value."},
	{KEY("image", TEXT, pipeline_job, image), .format = &format_image,
	 .text = "As the pipeline's."},
	{KEY("network", ENUM, pipeline_job, network), .initial = "none", .names = network_names,
	 .text = "none, or host: all that this machine reaches."},
	LIMIT_KEYS(pipeline_job, SCHEMA_INHERIT, NULL, NULL, NULL, NULL, NULL, NULL),
	{KEY("processes", COUNT, pipeline_job, limits.processes), .initial = "0", .max = 65536,
	 .text = "And threads, at once; 0: as the pipeline's."},
	{KEY("gate", OPTIONAL, pipeline_job, gate), .object = &gate_schema,
	 .text = "The workspace and the artifacts of what it needs are scanned first."},
	{KEY("approvals", COUNT, pipeline_job, approvals), .initial = "0", .max = 16,
	 .text = "A critical job: so many people must approve it before it begins."},
	{KEY("by", TEXT, pipeline_job, by), .format = &format_name,
	 .text = "Role of those who approve."},
	{KEY("expires", DURATION, pipeline_job, expires_ms), .initial = "1h", .min = 1000,
	 .text = "How long it waits for them."},
	{.name = NULL},
};

static void job_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct pipeline_job *job = object;

	if (!job->run.count && !job->gate)
		reader_error(reader, node->where, "give 'run', 'gate' or both");
	if ((job->approvals > 0) != (job->by.len > 0))
		reader_error(reader, node->where, "give 'approvals' and 'by', or neither");
	for (size_t i = 0; i < job->artifacts.count; i++)
		if (job->artifacts.at[i].ptr[0] == '/' ||
		    span_find(job->artifacts.at[i], SPAN("..")) < job->artifacts.at[i].len)
			reader_error(reader, node->where,
				     "'%.*s' is no path within the workspace",
				     SPAN_ARG(job->artifacts.at[i]));
}

static const struct schema_object job_schema = {
	.name = "job",
	.size = sizeof(struct pipeline_job),
	.keys = job_keys,
	.has_where = true,
	.name_offset = offsetof(struct pipeline_job, name),
	.finish = job_finish,
};

static const struct schema_key secret_keys[] = {
	{KEY("file", FILE, pipeline_secret, file), .flags = SCHEMA_REQUIRED,
	 .text = "Where it is; a line end at its end is left out."},
	{.name = NULL},
};

static const struct schema_object secret_schema = {
	.name = "secret",
	.size = sizeof(struct pipeline_secret),
	.keys = secret_keys,
	.shorthand = "file",
	.has_where = true,
	.name_offset = offsetof(struct pipeline_secret, name),
};

static const struct schema_key pipeline_keys[] = {
	{KEY("pipeline", TEXT, pipeline, name), .flags = SCHEMA_REQUIRED,
	 .format = &format_name, .text = "Its name."},
	{KEY("image", TEXT, pipeline, image), .initial = "host", .format = &format_image,
	 .text = "What jobs see as their system, read only: host is this machine's programs "
		 "(/usr and little else); or a folder with a root file system."},
	LIMIT_KEYS(pipeline, 0, "10m", "1G", "0", "1G", "256M", "4M"),
	{KEY("processes", COUNT, pipeline, limits.processes), .initial = "256", .min = 4,
	 .max = 65536, .text = "And threads of a job, at once."},
	{KEY("secrets", MAP, pipeline, secrets), .object = &secret_schema,
	 .text = "By name. They are never printed: output that holds one is masked."},
	{KEY("jobs", MAP, pipeline, jobs), .flags = SCHEMA_REQUIRED, .object = &job_schema,
	 .text = "What is run, by name."},
	{.name = NULL},
};

/* ---- what only the whole shows --------------------------------------------------------------- */

size_t pipeline_find(const struct pipeline *pipeline, struct span name)
{
	size_t i = 0;

	while (i < pipeline->jobs.count && !span_eq(pipeline->jobs.at[i].name, name))
		i++;
	return i;
}

static struct span job_name(const void *context, size_t i)
{
	return ((const struct pipeline *)context)->jobs.at[i].name;
}

/* They become names of files and folders: "." and ".." would be other folders. */
static void check_name(struct reader *reader, struct config_where where, struct span name)
{
	if (name.len && (name.ptr[0] == '.' || name.ptr[0] == '-'))
		reader_error(reader, where,
			     "'%.*s': a name begins with a letter, a digit or '_'",
			     SPAN_ARG(name));
}

static void unknown_need(struct reader *reader, const struct pipeline *pipeline,
			 const struct pipeline_job *job, struct span need)
{
	struct span near = check_nearest(need, job_name, pipeline, pipeline->jobs.count);

	if (near.len)
		reader_error(reader, job->where,
			     "%.*s needs '%.*s', which is no job (did you mean '%.*s'?)",
			     SPAN_ARG(job->name), SPAN_ARG(need), SPAN_ARG(near));
	else
		reader_error(reader, job->where, "%.*s needs '%.*s', which is no job",
			     SPAN_ARG(job->name), SPAN_ARG(need));
}

static bool has_secret(const struct pipeline *pipeline, struct span name)
{
	for (size_t i = 0; i < pipeline->secrets.count; i++)
		if (span_eq(pipeline->secrets.at[i].name, name))
			return true;
	return false;
}

static void inherit(uint64_t *own, uint64_t from)
{
	if (*own == CONFIG_INHERIT)
		*own = from;
}

static void inherit_limits(struct pipeline_limits *own, const struct pipeline_limits *from)
{
	inherit(&own->timeout_ms, from->timeout_ms);
	inherit(&own->memory_bytes, from->memory_bytes);
	inherit(&own->total_bytes, from->total_bytes);
	inherit(&own->file_bytes, from->file_bytes);
	inherit(&own->scratch_bytes, from->scratch_bytes);
	inherit(&own->output_bytes, from->output_bytes);
	if (!own->processes)
		own->processes = from->processes;
}

static void resolve_job(struct reader *reader, struct pipeline *pipeline,
			struct pipeline_job *job)
{
	inherit_limits(&job->limits, &pipeline->limits);
	if (!job->image.len)
		job->image = pipeline->image;
	job->needed = reader_array(reader, size_t, job->needs.count + 1);
	for (size_t i = 0; job->needed && i < job->needs.count; i++) {
		job->needed[i] = pipeline_find(pipeline, job->needs.at[i]);
		if (job->needed[i] == pipeline->jobs.count)
			unknown_need(reader, pipeline, job, job->needs.at[i]);
	}
	check_name(reader, job->where, job->name);
	for (size_t i = 0; i < job->secrets.count; i++)
		if (!has_secret(pipeline, job->secrets.at[i]))
			reader_error(reader, job->where, "there is no secret '%.*s'",
				     SPAN_ARG(job->secrets.at[i]));
}

static bool is_ready(const struct pipeline_job *job, const bool *placed)
{
	for (size_t i = 0; i < job->needs.count; i++)
		if (!placed[job->needed[i]])
			return false;
	return true;
}

/* In the order of the file as far as needs allow; what is left needs itself. */
static void order_jobs(struct reader *reader, struct pipeline *pipeline)
{
	bool *placed = reader_array(reader, bool, pipeline->jobs.count + 1);
	size_t count = 0, before;

	pipeline->order = reader_array(reader, size_t, pipeline->jobs.count + 1);
	if (!placed || !pipeline->order)
		return;
	do {
		before = count;
		for (size_t i = 0; i < pipeline->jobs.count; i++)
			if (!placed[i] && is_ready(&pipeline->jobs.at[i], placed)) {
				placed[i] = true;
				pipeline->order[count++] = i;
				break;
			}
	} while (count > before);
	for (size_t i = 0; i < pipeline->jobs.count; i++)
		if (!placed[i])
			reader_error(reader, pipeline->jobs.at[i].where,
				     "%.*s needs, over others, itself",
				     SPAN_ARG(pipeline->jobs.at[i].name));
}

static void pipeline_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	struct pipeline *pipeline = object;
	size_t errors = reader->problems->errors;

	if (pipeline->jobs.count == 0 || pipeline->jobs.count > JOBS_MAX)
		reader_error(reader, node->where, "between one and %d jobs are needed",
			     JOBS_MAX);
	for (size_t i = 0; i < pipeline->secrets.count; i++)
		check_name(reader, pipeline->secrets.at[i].where, pipeline->secrets.at[i].name);
	for (size_t i = 0; i < pipeline->jobs.count; i++)
		resolve_job(reader, pipeline, &pipeline->jobs.at[i]);
	if (reader->problems->errors == errors && !reader->out_of_memory)
		order_jobs(reader, pipeline);
}

const struct schema_object pipeline_schema = {
	.name = "pipeline",
	.size = sizeof(struct pipeline),
	.keys = pipeline_keys,
	.finish = pipeline_finish,
};

/* ---- loading --------------------------------------------------------------------------------- */

int pipeline_load_text(struct pipeline *pipeline, struct span text, const char *name,
		       struct config_problems *problems)
{
	*pipeline = (struct pipeline){0};
	if (table_load_text(&pipeline_schema, text, name, pipeline, &pipeline->memory,
			    problems) < 0)
		return -1;
	pipeline->text = arena_dup(&pipeline->memory.priv.arena, text);
	return pipeline->text.ptr ? 0 : -1;
}

int pipeline_load(struct pipeline *pipeline, const char *path, struct config_problems *problems)
{
	struct err err = {.message = ""};
	struct buf text;
	int result;

	*pipeline = (struct pipeline){0};
	buf_init(&text, TEXT_BYTES_MAX);
	/* Once: what is checked, is run and has the digest. */
	result = config_source_system.read_file(NULL, path, TEXT_BYTES_MAX, &text, &err);
	if (result < 0)
		problem_add(problems, CONFIG_ERROR, (struct config_where){.file = path}, "%s",
			    err.message);
	else
		result = pipeline_load_text(pipeline, buf_span(&text), path, problems);
	buf_release(&text);
	return result;
}

void pipeline_release(struct pipeline *pipeline)
{
	table_release(&pipeline->memory);
	*pipeline = (struct pipeline){0};
}

/* ---- the plan -------------------------------------------------------------------------------- */

static void plan_names(struct buf *to, const char *what, const struct config_strings *names)
{
	for (size_t i = 0; i < names->count; i++)
		buf_printf(to, "%s%.*s%s", i ? ", " : what, SPAN_ARG(names->at[i]),
			   i + 1 == names->count ? "\n" : "");
}

static void plan_job(struct buf *to, const struct pipeline_job *job)
{
	const struct pipeline_limits *l = &job->limits;

	buf_printf(to, "%.*s\n", SPAN_ARG(job->name));
	plan_names(to, "    needs: ", &job->needs);
	if (job->gate)
		buf_printf(to, "    gate: a scan by %.*s\n",
			   SPAN_ARG(job->gate->policy.len ? job->gate->policy
							  : SPAN("the built-in policy")));
	if (job->approvals)
		buf_printf(to, "    waits: for %u approval%s by %.*s, at most %llu s\n",
			   job->approvals, job->approvals > 1 ? "s" : "", SPAN_ARG(job->by),
			   (unsigned long long)(job->expires_ms / 1000));
	for (size_t i = 0; i < job->run.count; i++)
		buf_printf(to, "    run: %.*s\n", SPAN_ARG(job->run.at[i]));
	if (job->run.count)
		buf_printf(
			to,
			"    in: %.*s, network %s; %llu s, %u processes of %llu MiB, files of "
			"%llu MiB\n",
			SPAN_ARG(job->image),
			job->network == PIPELINE_NETWORK_HOST ? "of this machine" : "none",
			(unsigned long long)(l->timeout_ms / 1000), l->processes,
			(unsigned long long)(l->memory_bytes >> 20),
			(unsigned long long)(l->file_bytes >> 20));
	plan_names(to, "    secrets: ", &job->secrets);
	plan_names(to, "    keeps: ", &job->artifacts);
}

void pipeline_plan(const struct pipeline *pipeline, struct buf *to)
{
	for (size_t i = 0; i < pipeline->jobs.count; i++)
		plan_job(to, &pipeline->jobs.at[pipeline->order[i]]);
}
