#include "runner/run.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/rand.h"
#include "base/secret.h"
#include "runner/container.h"
#include "runner/job_log.h"
#include "runner/journal.h"
#include "runner/workspace.h"

#define SECRETS_MAX 32
#define SECRET_BYTES_MAX ((size_t)64 * 1024)
#define MOUNTS_MAX 64
#define POLL_MS 1000
#define GATE_TIMEOUT_MS ((int64_t)30 * 60 * 1000)
#define TEXT_BYTES_MAX ((size_t)1 << 20)

struct run {
	const struct run_options *options;
	struct run_info *info;
	struct pipeline pipeline;
	struct run_job *jobs;
	struct journal journal;
	struct arena arena;
	char folder[PATH_MAX]; /* STATE/ID */
};

const char *run_state_name(enum run_state state)
{
	switch (state) {
	case RUN_WAITS: return "waits";
	case RUN_ASKS: return "asks";
	case RUN_RUNS: return "runs";
	case RUN_PASSED: return "passed";
	case RUN_FAILED: return "failed";
	case RUN_REFUSED: return "refused";
	case RUN_SKIPPED: return "skipped";
	}
	return "";
}

bool run_id_valid(struct span id)
{
	if (id.len != RUN_ID_BYTES)
		return false;
	for (size_t i = 0; i < id.len; i++)
		if (!(id.ptr[i] >= '0' && id.ptr[i] <= '9') &&
		    !(id.ptr[i] >= 'a' && id.ptr[i] <= 'f') && id.ptr[i] != '-')
			return false;
	return true;
}

/* STATE/ID/KIND/JOB; ptr NULL without memory. */
static struct span path_of(struct run *run, const char *kind, const struct pipeline_job *job)
{
	return arena_printf(&run->arena, "%s/%s/%.*s", run->folder, kind, SPAN_ARG(job->name));
}

static int no_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "out of memory");
}

/* The job's new state is on the disk before anybody hears of it. */
static int enter(struct run *run, size_t at, enum run_state state, struct span why,
		 struct err *err)
{
	struct run_job *job = &run->jobs[at];
	struct span name = run->pipeline.jobs.at[at].name;

	job->state = state;
	job->why = why.ptr ? why : SPAN("");
	if (journal_job(&run->journal, name, job, err) < 0)
		return -1;
	if (run->options->tell)
		run->options->tell(run->options->context, name, job);
	return 0;
}

static struct span say(struct run *run, const struct err *err)
{
	return arena_dup(&run->arena, span_cstr(err->message));
}

/* ---- secrets --------------------------------------------------------------------------------- */

struct secrets {
	struct secret values[SECRETS_MAX];
	struct span spans[SECRETS_MAX];
	size_t count;
};

static void secrets_release(struct secrets *secrets)
{
	for (size_t i = 0; i < secrets->count; i++)
		secret_release(&secrets->values[i]);
	secrets->count = 0;
}

static const struct pipeline_secret *secret_named(const struct pipeline *pipeline,
						  struct span name)
{
	size_t i = 0;

	while (!span_eq(pipeline->secrets.at[i].name, name))
		i++;
	return &pipeline->secrets.at[i];
}

static int read_secret(struct secrets *secrets, const struct pipeline_secret *from,
		       struct err *err)
{
	struct span text;
	struct buf bytes;
	int result;

	buf_init(&bytes, SECRET_BYTES_MAX + 8192);
	result = config_source_system.read_file(NULL, from->file.ptr, SECRET_BYTES_MAX, &bytes,
						err);
	text = buf_span(&bytes);
	if (text.len && text.ptr[text.len - 1] == '\n')
		text.len--;
	if (result == 0 && text.len < JOB_LOG_SECRET_BYTES_MIN)
		result = err_set(err, ERR_INVALID, "the secret %.*s has fewer than %d bytes",
				 SPAN_ARG(from->name), JOB_LOG_SECRET_BYTES_MIN);
	if (result == 0 && secret_set(&secrets->values[secrets->count], text) < 0)
		result = no_memory(err);
	if (result == 0) {
		secrets->spans[secrets->count] = secret_span(&secrets->values[secrets->count]);
		secrets->count++;
	}
	if (bytes.ptr)
		secret_wipe(bytes.ptr, bytes.len);
	buf_release(&bytes);
	return result;
}

static int read_secrets(struct run *run, const struct pipeline_job *job,
			struct secrets *secrets, struct err *err)
{
	*secrets = (struct secrets){.count = 0};
	if (job->secrets.count > SECRETS_MAX)
		return err_set(err, ERR_LIMIT, "a job has at most %d secrets", SECRETS_MAX);
	for (size_t i = 0; i < job->secrets.count; i++)
		if (read_secret(secrets, secret_named(&run->pipeline, job->secrets.at[i]),
				err) < 0)
			return -1;
	return 0;
}

/* ---- the container's part -------------------------------------------------------------------- */

static void put_output(void *context, struct span bytes)
{
	job_log_put(context, bytes);
}

static int open_log(struct run *run, const struct pipeline_job *job, struct job_log *log,
		    const struct secrets *secrets, struct err *err)
{
	struct span path = path_of(run, "log", job);

	if (!path.ptr)
		return no_memory(err);
	*log = (struct job_log){.secrets = secrets ? secrets->spans : NULL,
				.secret_count = secrets ? secrets->count : 0,
				.limit_bytes = job->limits.output_bytes,
				.output = run->options->output,
				.context = run->options->context};
	log->fd = open(path.ptr, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (log->fd < 0)
		return err_set_errno(err, errno, "%s", path.ptr);
	job_log_init(log);
	return 0;
}

static int close_log(struct job_log *log, struct err *err)
{
	job_log_end(log);
	if (close(log->fd) < 0 || log->failed)
		return err_set(err, ERR_IO, "what the job prints cannot be written");
	return 0;
}

/* Jobs that are needed, and have kept something. */
static int list_mounts(struct run *run, const struct pipeline_job *job,
		       struct container_mount *mounts, size_t *count, struct err *err)
{
	*count = 0;
	for (size_t i = 0; i < job->needs.count; i++) {
		const struct pipeline_job *needed = &run->pipeline.jobs.at[job->needed[i]];

		if (!run->jobs[job->needed[i]].artifacts.len)
			continue;
		if (*count == MOUNTS_MAX)
			return err_set(err, ERR_LIMIT, "a job has artifacts of at most %d jobs",
				       MOUNTS_MAX);
		mounts[*count] = (struct container_mount){
			path_of(run, "kept", needed).ptr,
			arena_printf(&run->arena, "/artifacts/%.*s", SPAN_ARG(needed->name))
				.ptr};
		if (!mounts[*count].from || !mounts[*count].to)
			return no_memory(err);
		++*count;
	}
	return 0;
}

static int run_container(struct run *run, const struct pipeline_job *job, const char *workspace,
			 struct container_exit *how, struct err *err)
{
	struct container_mount mounts[MOUNTS_MAX];
	struct container container = {.job = job,
				      .workspace = workspace,
				      .mounts = mounts,
				      .uid = run->options->uid,
				      .gid = run->options->gid};
	struct secrets secrets;
	struct job_log log;
	int result;

	if (list_mounts(run, job, mounts, &container.mount_count, err) < 0)
		return -1;
	result = read_secrets(run, job, &secrets, err);
	container.secrets = secrets.spans;
	if (result == 0)
		result = open_log(run, job, &log, &secrets, err);
	if (result == 0) {
		struct err why = {.message = ""};

		result = container_run(&container, put_output, &log, how, err);
		if (close_log(&log, &why) < 0 && result == 0) {
			*err = why;
			result = -1;
		}
	}
	secrets_release(&secrets);
	return result;
}

/* ---- gates ----------------------------------------------------------------------------------- */

/* 1: it passes; 0: it does not; -1. */
static int scan(struct run *run, const struct pipeline_job *job, const char *folder,
		struct err *err)
{
	const struct pipeline_gate *gate = job->gate;
	const char *argv[12] = {run->options->program, "scan"};
	struct container_exit how;
	struct job_log log;
	size_t count = 2;
	int result;

	if (gate->policy.len) {
		argv[count++] = "--policy";
		argv[count++] = gate->policy.ptr;
	}
	if (gate->database.len) {
		argv[count++] = "--database";
		argv[count++] = gate->database.ptr;
	}
	argv[count] = folder;
	if (open_log(run, job, &log, NULL, err) < 0)
		return -1;
	result = container_run_outside(argv, GATE_TIMEOUT_MS, put_output, &log, &how, err);
	if (close_log(&log, err) < 0 || result < 0)
		return -1;
	if (how.timed_out)
		return err_set(err, ERR_TIMEOUT, "the scan does not end");
	if (how.status != 0 && how.status != 1)
		return err_set(err, ERR_INTERNAL, "the scan could not be done");
	return how.status == 0;
}

static int pass_gate(struct run *run, const struct pipeline_job *job, const char *workspace,
		     struct err *err)
{
	int result = scan(run, job, workspace, err);

	for (size_t i = 0; i < job->needs.count && result == 1; i++) {
		const struct pipeline_job *needed = &run->pipeline.jobs.at[job->needed[i]];
		struct span kept = path_of(run, "kept", needed);

		if (!kept.ptr)
			return no_memory(err);
		if (run->jobs[job->needed[i]].artifacts.len)
			result = scan(run, job, kept.ptr, err);
	}
	return result;
}

/* ---- approvals ------------------------------------------------------------------------------- */

/*
 * Of the pipeline's text, the code, the job and the artifacts that it gets: what people have approved is
 * what is run.
 */
static int digest_job(struct run *run, const struct pipeline_job *job,
		      char digest[APPROVAL_DIGEST_BYTES], struct err *err)
{
	struct span given = run->journal.code;

	for (size_t i = 0; i < job->needs.count && given.ptr; i++)
		given = arena_printf(&run->arena, "%.*s %.*s", SPAN_ARG(given),
				     SPAN_ARG(run->jobs[job->needed[i]].artifacts));
	if (!given.ptr)
		return no_memory(err);
	return approval_digest(job->name, span_cstr(run->journal.digest), SPAN("pipeline"),
			       given, digest, err);
}

static int ask(struct run *run, const struct pipeline_job *job, struct approval *approval,
	       struct err *err)
{
	int64_t now_ms = clock_unix_ms();
	char digest[APPROVAL_DIGEST_BYTES];
	struct approval_request request = {
		.operation = arena_printf(&run->arena, "run/%.*s/%.*s",
					  SPAN_ARG(run->pipeline.name), SPAN_ARG(job->name)),
		.requester = run->journal.by,
		.method = SPAN("RUN"),
		.target = arena_printf(&run->arena, "%s code=%.*s", run->info->id,
				       SPAN_ARG(run->journal.code)),
		.digest = span_of(digest, sizeof(digest)),
		.role = job->by,
		.needed = job->approvals,
		.now_unix_ms = now_ms,
		.expires_unix_ms = now_ms + (int64_t)job->expires_ms};
	enum approval_result result;

	if (!run->options->store)
		return err_set(err, ERR_INVALID,
			       "%.*s needs approvals: name a configuration with a 'store'",
			       SPAN_ARG(job->name));
	if (!request.operation.ptr || !request.target.ptr)
		return no_memory(err);
	if (digest_job(run, job, digest, err) < 0)
		return -1;
	result = approval_ask(run->options->store, &request, &run->arena, approval, err);
	if (result == APPROVAL_OK)
		return 0;
	return result == APPROVAL_FAILED
		       ? -1
		       : err_set(err, ERR_UNAVAILABLE, "%s", approval_result_text(result));
}

/* 1: it is approved, and that is used up; 0: it is not; -1; 2: nobody has decided yet. */
static int look(struct run *run, const struct pipeline_job *job, struct span id,
		struct approval *approval, struct err *err)
{
	int64_t now_ms = clock_unix_ms();
	char digest[APPROVAL_DIGEST_BYTES];

	if (digest_job(run, job, digest, err) < 0)
		return -1;
	switch (approval_use(run->options->store, id, run->journal.by,
			     span_of(digest, sizeof(digest)), now_ms, &run->arena, approval,
			     err)) {
	case APPROVAL_OK: return 1;
	case APPROVAL_WAITING: return 2;
	case APPROVAL_FAILED: return -1;
	case APPROVAL_ABSENT:
	case APPROVAL_OWN:
	case APPROVAL_TWICE:
	case APPROVAL_CLOSED:
	case APPROVAL_TOO_MANY:
	case APPROVAL_OTHER: break;
	}
	return 0;
}

/* The approval that was asked for before the run was interrupted, unless it was used up; else a new one. */
static int ask_once(struct run *run, size_t at, struct err *err)
{
	struct run_job *job = &run->jobs[at];
	struct approval approval;

	if (job->state == RUN_ASKS && job->approval.len && run->options->store &&
	    approval_get(run->options->store, job->approval, clock_unix_ms(), &run->arena,
			 &approval, err) == APPROVAL_OK &&
	    approval.state != APPROVAL_USED) {
		if (run->options->tell)
			run->options->tell(run->options->context,
					   run->pipeline.jobs.at[at].name, job);
		return 0;
	}
	if (ask(run, &run->pipeline.jobs.at[at], &approval, err) < 0)
		return -1;
	job->approval = approval.id;
	return enter(run, at, RUN_ASKS, SPAN(""), err);
}

static int wait_for_people(struct run *run, size_t at, struct err *err)
{
	struct approval approval;
	int result;

	if (ask_once(run, at, err) < 0)
		return -1;
	do {
		result = look(run, &run->pipeline.jobs.at[at], run->jobs[at].approval,
			      &approval, err);
		if (result == 2 && run->options->wait)
			(void)usleep(POLL_MS * 1000);
	} while (result == 2 && run->options->wait);
	return result;
}

/* ---- a job ----------------------------------------------------------------------------------- */

static int restore_code(struct run *run, const char *workspace, struct err *err)
{
	struct backup_info found;

	if (workspace_remove(workspace, err) < 0 ||
	    backup_restore(run->options->backups, run->journal.code.ptr, workspace, &found,
			   err) < 0)
		return err_wrap(err, "the code of the run");
	if (run->options->uid != (uid_t)-1)
		return workspace_give(workspace, run->options->uid, run->options->gid, err);
	return 0;
}

/* What other jobs get is root's own copy of what was stored: who made it cannot change it any more. */
static int take_over(struct run *run, const struct backup_info *made, const char *kept,
		     struct err *err)
{
	struct backup_info found;

	if (workspace_remove(kept, err) < 0 ||
	    backup_restore(run->options->backups, made->id, kept, &found, err) < 0)
		return -1;
	return workspace_seal(kept, err);
}

static int keep_artifacts(struct run *run, size_t at, const char *workspace, struct err *err)
{
	const struct pipeline_job *job = &run->pipeline.jobs.at[at];
	struct span kept = path_of(run, "kept", job);
	struct backup_info made;

	if (!job->artifacts.count)
		return 0;
	if (!kept.ptr)
		return no_memory(err);
	if (workspace_remove(kept.ptr, err) < 0 || workspace_folder(kept.ptr, err) < 0)
		return -1;
	for (size_t i = 0; i < job->artifacts.count; i++)
		if (workspace_keep(workspace, kept.ptr, job->artifacts.at[i], err) < 0)
			return -1;
	if (backup_create(run->options->backups, kept.ptr, clock_unix_s(), &made, err) < 0 ||
	    (run->options->uid != (uid_t)-1 && take_over(run, &made, kept.ptr, err) < 0))
		return err_wrap(err, "the artifacts");
	run->jobs[at].artifacts = arena_dup(&run->arena, span_cstr(made.id));
	return run->jobs[at].artifacts.ptr ? 0 : no_memory(err);
}

static int conclude(struct run *run, size_t at, const char *workspace,
		    const struct container_exit *how, struct err *err)
{
	struct err why = {.message = ""};

	run->jobs[at].exit_status = how->status;
	if (how->timed_out)
		return enter(run, at, RUN_FAILED, SPAN("it took too long, and was killed"),
			     err);
	if (how->status != 0)
		return enter(run, at, RUN_FAILED, SPAN(""), err);
	/* A promise of the job's that it has not kept is its failure, not ours. */
	if (keep_artifacts(run, at, workspace, &why) < 0) {
		run->jobs[at].exit_status = 0;
		return enter(run, at, RUN_FAILED, say(run, &why), err);
	}
	return enter(run, at, RUN_PASSED, SPAN(""), err);
}

/* Until it has ended, or asks for approval. */
static int run_steps(struct run *run, size_t at, const char *workspace, struct err *err)
{
	const struct pipeline_job *job = &run->pipeline.jobs.at[at];
	struct container_exit how = {.status = 0};
	int result;

	if (restore_code(run, workspace, err) < 0)
		return -1;
	if (job->gate) {
		result = pass_gate(run, job, workspace, err);
		if (result <= 0)
			return result < 0
				       ? -1
				       : enter(run, at, RUN_REFUSED,
					       SPAN("its gate: the scan found what the policy "
						    "does not take"),
					       err);
	}
	if (job->approvals) {
		result = wait_for_people(run, at, err);
		if (result == 2 || result < 0)
			return result < 0 ? -1 : 0;
		if (result == 0)
			return enter(run, at, RUN_REFUSED,
				     SPAN("it was denied, or nobody approved it in time"), err);
	}
	if (enter(run, at, RUN_RUNS, SPAN(""), err) < 0)
		return -1;
	if (job->run.count && run_container(run, job, workspace, &how, err) < 0)
		return -1;
	return conclude(run, at, workspace, &how, err);
}

static int run_job(struct run *run, size_t at, struct err *err)
{
	struct span workspace = path_of(run, "work", &run->pipeline.jobs.at[at]);
	struct err why = {.message = ""};
	int result;

	if (!workspace.ptr)
		return no_memory(err);
	result = run_steps(run, at, workspace.ptr, err);
	if (workspace_remove(workspace.ptr, &why) < 0 && result == 0) {
		*err = why;
		result = -1;
	}
	return result;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static bool has_ended(enum run_state state)
{
	switch (state) {
	case RUN_WAITS:
	case RUN_ASKS:
	case RUN_RUNS: return false;
	case RUN_PASSED:
	case RUN_FAILED:
	case RUN_REFUSED:
	case RUN_SKIPPED: return true;
	}
	return true;
}

enum readiness { READY, NOT_YET, NEVER };

static enum readiness readiness_of(const struct run *run, const struct pipeline_job *job)
{
	enum readiness readiness = READY;

	for (size_t i = 0; i < job->needs.count; i++) {
		enum run_state state = run->jobs[job->needed[i]].state;

		if (!has_ended(state))
			readiness = readiness == NEVER ? NEVER : NOT_YET;
		else if (state != RUN_PASSED)
			readiness = NEVER;
	}
	return readiness;
}

static int run_all(struct run *run, struct err *err)
{
	for (size_t i = 0; i < run->pipeline.jobs.count; i++) {
		size_t at = run->pipeline.order[i];

		if (has_ended(run->jobs[at].state))
			continue;
		switch (readiness_of(run, &run->pipeline.jobs.at[at])) {
		case READY:
			if (run_job(run, at, err) < 0)
				return err_wrap(err, "%.*s",
						SPAN_ARG(run->pipeline.jobs.at[at].name));
			break;
		case NEVER:
			if (enter(run, at, RUN_SKIPPED,
				  SPAN("a job that it needs has not passed"), err) < 0)
				return -1;
			break;
		case NOT_YET: break;
		}
	}
	return 0;
}

static enum run_outcome outcome_of(const struct run *run)
{
	enum run_outcome outcome = RUN_OUTCOME_PASSED;

	for (size_t i = 0; i < run->pipeline.jobs.count; i++) {
		if (!has_ended(run->jobs[i].state))
			return RUN_OUTCOME_ASKS;
		if (run->jobs[i].state != RUN_PASSED)
			outcome = RUN_OUTCOME_FAILED;
	}
	return outcome;
}

static int go_on(struct run *run, struct err *err)
{
	/* Jobs are run in a container or not at all. */
	if (container_try(run->options->uid, run->options->gid, err) < 0 ||
	    run_all(run, err) < 0)
		return -1;
	run->info->outcome = outcome_of(run);
	if (run->info->outcome == RUN_OUTCOME_ASKS)
		return 0;
	run->info->finished = true;
	return journal_finished(&run->journal, run->info->outcome == RUN_OUTCOME_PASSED, err);
}

/* ---- beginnings ------------------------------------------------------------------------------ */

static void run_init(struct run *run, const struct run_options *options, struct run_info *info)
{
	*run = (struct run){.options = options, .info = info, .journal = {.fd = -1}};
	*info = (struct run_info){.outcome = RUN_OUTCOME_FAILED};
	arena_init(&run->arena, (size_t)64 << 20, 65536);
}

static void run_release(struct run *run)
{
	journal_close(&run->journal);
	pipeline_release(&run->pipeline);
	arena_release(&run->arena);
}

static int digest_text(struct span text, char digest[RUN_DIGEST_BYTES + 1], struct err *err)
{
	unsigned char bytes[EVP_MAX_MD_SIZE];

	if (EVP_Digest(text.ptr, text.len, bytes, NULL, EVP_sha256(), NULL) != 1)
		return no_memory(err);
	hex_encode(digest, bytes, RUN_DIGEST_BYTES / 2);
	digest[RUN_DIGEST_BYTES] = '\0';
	return 0;
}

static void make_id(char id[RUN_ID_BYTES + 1])
{
	time_t now = (time_t)clock_unix_s();
	struct tm parts;
	uint32_t mark;

	rand_bytes(&mark, sizeof(mark));
	gmtime_r(&now, &parts);
	(void)strftime(id, RUN_ID_BYTES + 1, "%Y%m%d-%H%M%S-", &parts);
	(void)snprintf(id + 16, RUN_ID_BYTES + 1 - 16, "%08x", mark);
}

static int set_folder(struct run *run, const char *id, struct err *err)
{
	int len = snprintf(run->folder, sizeof(run->folder), "%s/%s", run->options->state, id);

	if (len < 0 || (size_t)len >= sizeof(run->folder) - 64)
		return err_set(err, ERR_LIMIT, "a path is too long");
	(void)snprintf(run->info->id, sizeof(run->info->id), "%s", id);
	return 0;
}

static int make_folders(struct run *run, struct err *err)
{
	static const char *const kinds[] = {"log", "kept", "work"};
	char path[PATH_MAX + 16];

	if (workspace_folder(run->options->state, err) < 0 ||
	    workspace_folder(run->folder, err) < 0)
		return -1;
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", run->folder, kinds[i]);
		if (workspace_folder(path, err) < 0)
			return -1;
	}
	return 0;
}

static int write_pipeline(struct run *run, struct err *err)
{
	char path[PATH_MAX + 32];
	FILE *file;
	bool good;

	(void)snprintf(path, sizeof(path), "%s/pipeline.yaml", run->folder);
	file = fopen(path, "wxe");
	if (!file)
		return err_set_errno(err, errno, "%s", path);
	good = fwrite(run->pipeline.text.ptr, 1, run->pipeline.text.len, file) ==
		       run->pipeline.text.len &&
	       fflush(file) == 0 && fsync(fileno(file)) == 0;
	if (fclose(file) != 0 || !good)
		return err_set_errno(err, errno, "%s", path);
	return 0;
}

enum opening { OPENING_MAKE, OPENING_GO_ON, OPENING_LOOK };

static int open_journal(struct run *run, enum opening how, struct err *err)
{
	char path[PATH_MAX + 16];

	(void)snprintf(path, sizeof(path), "%s/journal", run->folder);
	run->jobs = arena_array(&run->arena, struct run_job, run->pipeline.jobs.count + 1);
	if (!run->jobs)
		return no_memory(err);
	if (how == OPENING_LOOK)
		return journal_look(&run->journal, path, &run->pipeline, run->jobs, &run->arena,
				    err);
	return journal_open(&run->journal, path, how == OPENING_MAKE, &run->pipeline, run->jobs,
			    &run->arena, err);
}

static int begin(struct run *run, const char *pipeline_path, const char *source,
		 struct err *err)
{
	struct config_problems problems = {0};
	struct backup_info code;
	char id[RUN_ID_BYTES + 1], digest[RUN_DIGEST_BYTES + 1], file[PATH_MAX];

	if (!realpath(pipeline_path, file))
		return err_set_errno(err, errno, "%s", pipeline_path);
	if (pipeline_load(&run->pipeline, pipeline_path, &problems) < 0)
		return config_problems_to_err(&problems, err);
	make_id(id);
	if (set_folder(run, id, err) < 0 || make_folders(run, err) < 0 ||
	    digest_text(run->pipeline.text, digest, err) < 0 ||
	    backup_create(run->options->backups, source, clock_unix_s(), &code, err) < 0 ||
	    write_pipeline(run, err) < 0 || open_journal(run, OPENING_MAKE, err) < 0)
		return -1;
	memcpy(run->journal.digest, digest, sizeof(digest));
	run->journal.code = arena_dup(&run->arena, span_cstr(code.id));
	run->journal.by = run->options->by;
	run->journal.file = arena_dup(&run->arena, span_cstr(file));
	if (!run->journal.code.ptr || !run->journal.file.ptr)
		return no_memory(err);
	return journal_started(&run->journal, &run->pipeline, err);
}

static int read_pipeline(struct run *run, struct span file, struct err *err)
{
	struct config_problems problems = {0};
	char path[PATH_MAX + 32];
	struct buf text;
	int result;

	(void)snprintf(path, sizeof(path), "%s/pipeline.yaml", run->folder);
	buf_init(&text, TEXT_BYTES_MAX + 8192);
	result = config_source_system.read_file(NULL, path, TEXT_BYTES_MAX, &text, err);
	if (result == 0 &&
	    pipeline_load_text(&run->pipeline, buf_span(&text), file.ptr, &problems) < 0)
		result = config_problems_to_err(&problems, err);
	buf_release(&text);
	return result;
}

/* The pipeline is the one that the run began with: what stands there is what was approved. */
static int begin_again(struct run *run, const char *id, enum opening how, struct err *err)
{
	char path[PATH_MAX + 32], digest[RUN_DIGEST_BYTES + 1];
	struct span file;

	if (!run_id_valid(span_cstr(id)))
		return err_set(err, ERR_INVALID, "'%s' is no run", id);
	if (set_folder(run, id, err) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/journal", run->folder);
	if (access(path, R_OK) < 0)
		return err_set(err, ERR_NOT_FOUND, "there is no run %s in %s", id,
			       run->options->state);
	/* First only to see which pipeline it is of. */
	if (journal_look(&run->journal, path, NULL, NULL, &run->arena, err) < 0)
		return -1;
	file = run->journal.file;
	journal_close(&run->journal);
	if (!file.len)
		return err_set(err, ERR_INVALID, "the run has not begun");
	if (read_pipeline(run, file, err) < 0 || open_journal(run, how, err) < 0 ||
	    digest_text(run->pipeline.text, digest, err) < 0)
		return -1;
	if (strcmp(digest, run->journal.digest) != 0)
		return err_set(err, ERR_INVALID,
			       "the pipeline is not the one that the run began with");
	return 0;
}

static void fill_info(struct run *run)
{
	struct run_info *info = run->info;

	(void)snprintf(info->code, sizeof(info->code), "%.*s", SPAN_ARG(run->journal.code));
	(void)snprintf(info->digest, sizeof(info->digest), "%s", run->journal.digest);
	info->finished = run->journal.finished;
}

int run_start(const struct run_options *options, const char *pipeline_path, const char *source,
	      struct run_info *info, struct err *err)
{
	struct run run;
	int result;

	run_init(&run, options, info);
	result = begin(&run, pipeline_path, source, err);
	if (result == 0) {
		fill_info(&run);
		result = go_on(&run, err);
	}
	run_release(&run);
	return result;
}

int run_resume(const struct run_options *options, const char *id, struct run_info *info,
	       struct err *err)
{
	struct run run;
	int result;

	run_init(&run, options, info);
	result = begin_again(&run, id, OPENING_GO_ON, err);
	if (result == 0) {
		fill_info(&run);
		result = run.journal.finished
				 ? err_set(err, ERR_INVALID, "the run has finished")
				 : go_on(&run, err);
	}
	run_release(&run);
	return result;
}

int run_show(const struct run_options *options, const char *id, struct run_info *info,
	     struct err *err)
{
	struct run run;
	int result;

	run_init(&run, options, info);
	result = begin_again(&run, id, OPENING_LOOK, err);
	if (result == 0) {
		fill_info(&run);
		info->outcome = outcome_of(&run);
		for (size_t i = 0; i < run.pipeline.jobs.count; i++)
			options->tell(options->context,
				      run.pipeline.jobs.at[run.pipeline.order[i]].name,
				      &run.jobs[run.pipeline.order[i]]);
	}
	run_release(&run);
	return result;
}
