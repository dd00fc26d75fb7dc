/* cmd_run.c - run check, start, resume, show, log. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/admin_work.h"
#include "cli/problems.h"
#include "gateway/audit.h"
#include "parse/json_write.h"
#include "runner/run.h"

#define CHUNK_BYTES 65536

struct work {
	const struct options *given;
	struct run_options options;
	struct config *cfg; /* NULL: none was named */
	struct store *store;
	struct audit_log *audit_log;
	char program[PATH_MAX];
	const char *run; /* id, once there is one */
	bool json;
	bool quiet;
};

/* ---- what is told ---------------------------------------------------------------------------- */

static void put_job(struct json_writer *w, struct span name, const struct run_job *job)
{
	json_member_string(w, SPAN("job"), name);
	json_member_string(w, SPAN("state"), span_cstr(run_state_name(job->state)));
	if (job->state == RUN_FAILED)
		json_member_int(w, SPAN("exit"), job->exit_status);
	if (job->why.len)
		json_member_string(w, SPAN("why"), job->why);
	if (job->approval.len)
		json_member_string(w, SPAN("approval"), job->approval);
	if (job->artifacts.len)
		json_member_string(w, SPAN("artifacts"), job->artifacts);
}

static void audit(const struct work *work, const char *event, struct span name,
		  const struct run_job *job)
{
	struct json_writer w;
	struct buf members;

	if (!work->audit_log)
		return;
	buf_init(&members, 16384);
	json_writer_init(&w, &members);
	w.need_comma = true;
	if (job)
		put_job(&w, name, job);
	json_member_string(&w, SPAN("by"), work->options.by);
	audit_event(work->audit_log, event,
		    buf_failed(&members) ? SPAN_NONE : buf_span(&members));
	buf_release(&members);
	audit_acknowledge(work->audit_log, "run.audit");
}

static void print_job(const struct work *work, struct span name, const struct run_job *job)
{
	struct json_writer w;
	struct buf out;

	buf_init(&out, 65536);
	if (work->json) {
		json_writer_init(&w, &out);
		json_begin_object(&w);
		put_job(&w, name, job);
		json_end_object(&w);
	} else {
		buf_printf(&out, "%.*s: %s", SPAN_ARG(name), run_state_name(job->state));
		if (job->state == RUN_FAILED && job->exit_status > 0)
			buf_printf(&out, " with %d", job->exit_status);
		if (job->why.len)
			buf_printf(&out, ": %.*s", SPAN_ARG(job->why));
		if (job->state == RUN_ASKS)
			buf_printf(&out, " for approval: %.*s", SPAN_ARG(job->approval));
	}
	buf_append_byte(&out, '\n');
	(void)output_text(&out);
}

static void on_job(void *context, struct span name, const struct run_job *job)
{
	const struct work *work = context;

	audit(work, "run.job", name, job);
	print_job(work, name, job);
}

static void on_shown(void *context, struct span name, const struct run_job *job)
{
	print_job(context, name, job);
}

/* What jobs print goes beside what is said of them. */
static void on_output(void *context, struct span bytes)
{
	(void)context;
	(void)fwrite(bytes.ptr, 1, bytes.len, stderr);
}

/* ---- what is given --------------------------------------------------------------------------- */

static int set_user(struct work *work, struct err *err)
{
	const char *name = options_text(work->given, "user");
	const struct passwd *user;

	work->options.uid = (uid_t)-1;
	work->options.gid = (gid_t)-1;
	if (geteuid() != 0)
		return 0;
	user = getpwnam(name);
	if (!user || user->pw_uid == 0)
		return err_set(err, ERR_INVALID, "'%s' is no user without privileges", name);
	work->options.uid = user->pw_uid;
	work->options.gid = user->pw_gid;
	return 0;
}

/* Where approvals are kept, and what is done is written down. */
static int open_config(struct work *work, struct err *err)
{
	struct store_options store = {0};

	if (!options_text(work->given, "config"))
		return 0;
	work->cfg = admin_load(work->given, err);
	if (!work->cfg)
		return -1;
	store.url = secret_span(&work->cfg->store.url);
	if (store.url.len) {
		work->store = store_open(&store, err);
		if (!work->store)
			return -1;
	}
	if (!work->cfg->log.audit_path.len)
		return 0;
	work->audit_log = audit_open(work->cfg->log.audit_path.ptr, err);
	return work->audit_log ? 0 : -1;
}

static int open_work(struct work *work, const struct options *given, struct err *err)
{
	ssize_t len;

	*work = (struct work){.given = given,
			      .json = strcmp(options_text(given, "format"), "json") == 0};
	work->options = (struct run_options){.state = options_text(given, "state"),
					     .program = work->program,
					     .tell = on_shown,
					     .context = work};
	len = readlink("/proc/self/exe", work->program, sizeof(work->program) - 1);
	if (len < 0)
		return err_set_errno(err, errno, "/proc/self/exe");
	work->program[len] = '\0';
	return 0;
}

static int open_to_run(struct work *work, const struct options *given, struct err *err)
{
	if (open_work(work, given, err) < 0)
		return -1;
	work->options.tell = on_job;
	work->options.output = options_flag(given, "quiet") ? NULL : on_output;
	work->options.backups = options_text(given, "backups");
	work->options.wait = !options_flag(given, "no-wait");
	work->options.by = span_cstr(options_text(given, "by"));
	if (!work->options.by.len)
		return err_set(err, ERR_INVALID, "say who runs it: --by NAME");
	if (set_user(work, err) < 0 || open_config(work, err) < 0)
		return -1;
	work->options.store = work->store;
	return 0;
}

static void close_work(struct work *work)
{
	audit_close(work->audit_log);
	store_close(work->store);
	config_unref(work->cfg);
}

/* ---- the commands ---------------------------------------------------------------------------- */

static const char *outcome_name(const struct run_info *info)
{
	switch (info->outcome) {
	case RUN_OUTCOME_PASSED: return "passed";
	case RUN_OUTCOME_FAILED: return "failed";
	case RUN_OUTCOME_ASKS: break;
	}
	return info->finished ? "finished" : "not finished";
}

static void print_info(const struct work *work, const struct run_info *info)
{
	struct json_writer w;
	struct buf out;

	buf_init(&out, 4096);
	if (work->json) {
		json_writer_init(&w, &out);
		json_begin_object(&w);
		json_member_string(&w, SPAN("run"), span_cstr(info->id));
		json_member_string(&w, SPAN("outcome"), span_cstr(outcome_name(info)));
		json_member_bool(&w, SPAN("finished"), info->finished);
		json_member_string(&w, SPAN("code"), span_cstr(info->code));
		json_member_string(&w, SPAN("sha256"), span_cstr(info->digest));
		json_end_object(&w);
		buf_append_byte(&out, '\n');
	} else {
		buf_printf(&out, "run %s: %s\n", info->id, outcome_name(info));
	}
	(void)output_text(&out);
}

static enum exit_status status_of(const struct run_info *info)
{
	switch (info->outcome) {
	case RUN_OUTCOME_PASSED: return EXIT_STATUS_OK;
	case RUN_OUTCOME_FAILED: return EXIT_STATUS_FAILED;
	case RUN_OUTCOME_ASKS: break;
	}
	return EXIT_STATUS_WAITS;
}

static enum exit_status finish(struct work *work, int result, const struct run_info *info,
			       const struct err *err)
{
	enum exit_status status = EXIT_STATUS_FAILED;

	if (result == 0) {
		print_info(work, info);
		status = status_of(info);
	} else {
		output_error(work->given, err);
		if (info->id[0] && info->code[0])
			fprintf(stderr,
				"sallyport: the run can go on: sallyport run resume %s\n",
				info->id);
	}
	close_work(work);
	return status;
}

static enum exit_status run_start_command(const struct options *given)
{
	struct err err = {.code = ERR_NONE};
	struct run_info info = {.id = ""};
	struct work work;
	int result = open_to_run(&work, given, &err);

	if (result == 0) {
		audit(&work, "run.started", SPAN_NONE, NULL);
		result = run_start(&work.options, options_operand(given, 0),
				   options_text(given, "source"), &info, &err);
	}
	return finish(&work, result, &info, &err);
}

static enum exit_status run_resume_command(const struct options *given)
{
	struct err err = {.code = ERR_NONE};
	struct run_info info = {.id = ""};
	struct work work;
	int result = open_to_run(&work, given, &err);

	if (result == 0) {
		audit(&work, "run.resumed", SPAN_NONE, NULL);
		result = run_resume(&work.options, options_operand(given, 0), &info, &err);
	}
	return finish(&work, result, &info, &err);
}

static enum exit_status run_show_command(const struct options *given)
{
	struct err err = {.code = ERR_NONE};
	struct run_info info = {.id = ""};
	struct work work;
	int result = open_work(&work, given, &err);

	if (result == 0)
		result = run_show(&work.options, options_operand(given, 0), &info, &err);
	if (result == 0)
		print_info(&work, &info);
	else
		output_error(given, &err);
	close_work(&work);
	return result == 0 ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;
}

static bool is_job_name(const char *name)
{
	return name[0] != '.' && !strchr(name, '/');
}

static int print_log(const struct options *given, struct err *err)
{
	const char *id = options_operand(given, 0), *job = options_operand(given, 1);
	char path[PATH_MAX], chunk[CHUNK_BYTES];
	size_t n;
	FILE *file;

	if (!run_id_valid(span_cstr(id)) || !is_job_name(job))
		return err_set(err, ERR_INVALID, "'%s' is no run, or '%s' no job", id, job);
	(void)snprintf(path, sizeof(path), "%s/%s/log/%s", options_text(given, "state"), id,
		       job);
	file = fopen(path, "re");
	if (!file)
		return err_set_errno(err, errno, "%s", path);
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
		(void)fwrite(chunk, 1, n, stdout);
	(void)fclose(file);
	return fflush(stdout) == 0 ? 0 : err_set_errno(err, errno, "cannot write");
}

static enum exit_status run_log_command(const struct options *given)
{
	struct err err = {.code = ERR_NONE};

	if (print_log(given, &err) == 0)
		return EXIT_STATUS_OK;
	output_error(given, &err);
	return EXIT_STATUS_FAILED;
}

static enum exit_status run_check_command(const struct options *given)
{
	struct config_problems problems = {0};
	struct pipeline pipeline;
	enum exit_status status;
	struct buf out;

	buf_init(&out, OUTPUT_MAX_BYTES);
	if (pipeline_load(&pipeline, options_operand(given, 0), &problems) < 0) {
		status = problems_report(given, &problems);
	} else {
		problems_print(given, &problems);
		pipeline_plan(&pipeline, &out);
		status = output_text(&out);
	}
	pipeline_release(&pipeline);
	return status;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static const char *const formats[] = {"text", "json", NULL};

#define FORMAT_OPTION                                                                          \
	{                                                                                      \
		.name = "format", .short_name = 'f', .kind = OPTION_CHOICE,                    \
		.argument = "FORM", .help = "How to print: text, or json, an object a line.",  \
		.initial = "text", .choices = formats                                          \
	}
#define STATE_OPTION                                                                           \
	{                                                                                      \
		.name = "state", .kind = OPTION_FILE, .argument = "FOLDER",                    \
		.help = "Where runs are kept.", .initial = "/var/lib/sallyport/runs",          \
		.environment = "SALLYPORT_RUNS"                                                \
	}
#define RUN_OPTIONS                                                                            \
	STATE_OPTION,                                                                          \
		{.name = "backups",                                                            \
		 .kind = OPTION_FILE,                                                          \
		 .argument = "STORE",                                                          \
		 .help = "Store for the code and the artifacts (sallyport backup).",           \
		 .initial = "/var/lib/sallyport/backups",                                      \
		 .environment = "SALLYPORT_BACKUPS"},                                          \
		{.name = "config",                                                             \
		 .short_name = 'c',                                                            \
		 .kind = OPTION_FILE,                                                          \
		 .argument = "FILE",                                                           \
		 .help = "A configuration of the gateway, whose store keeps approvals and "    \
			 "whose audit log is written.",                                        \
		 .environment = "SALLYPORT_CONFIG"},                                           \
		{.name = "by",                                                                 \
		 .kind = OPTION_TEXT,                                                          \
		 .argument = "NAME",                                                           \
		 .help = "Who runs it, and so may not approve.",                               \
		 .environment = "USER"},                                                       \
		{.name = "user",                                                               \
		 .kind = OPTION_TEXT,                                                          \
		 .argument = "NAME",                                                           \
		 .help = "Whom jobs run as, when you are root.",                               \
		 .initial = "nobody"},                                                         \
		{.name = "no-wait",                                                            \
		 .help = "End with 3 when a job waits for approval; resume it later."},        \
		{.name = "quiet", .short_name = 'q', .help = "Do not show what jobs print."},  \
		FORMAT_OPTION,                                                                 \
	{                                                                                      \
		.name = NULL                                                                   \
	}

static const struct option_spec start_options[] = {{.name = "source",
						    .short_name = 's',
						    .kind = OPTION_FILE,
						    .argument = "FOLDER",
						    .help = "The code that jobs get a copy of.",
						    .initial = "."},
						   RUN_OPTIONS};
static const struct option_spec resume_options[] = {RUN_OPTIONS};
static const struct option_spec show_options[] = {STATE_OPTION, FORMAT_OPTION, {.name = NULL}};
static const struct option_spec check_options[] = {
	{.name = "format",
	 .short_name = 'f',
	 .kind = OPTION_CHOICE,
	 .argument = "FORM",
	 .help = "How to print problems: text or json.",
	 .initial = "text",
	 .choices = formats},
	{.name = NULL}};
static const struct option_spec log_options[] = {STATE_OPTION, {.name = NULL}};

static const struct operand_spec file_operand[] = {
	{.name = "FILE", .help = "The pipeline.", .required = true, .is_file = true},
	{.name = NULL}};
static const struct operand_spec id_operand[] = {
	{.name = "RUN", .help = "As `run start` printed it.", .required = true},
	{.name = NULL}};
static const struct operand_spec log_operands[] = {
	{.name = "RUN", .help = "As `run start` printed it.", .required = true},
	{.name = "JOB", .help = "Its name.", .required = true},
	{.name = NULL}};

static const struct command_example start_examples[] = {
	{"sallyport run start pipeline.yaml --source .", "Run all jobs on a copy of the code."},
	{"sallyport run start pipeline.yaml -c sallyport.yaml --no-wait --by carol",
	 "Stop where people must approve; their votes are taken by the gateway."},
	{NULL, NULL}};
static const struct command_example check_examples[] = {
	{"sallyport run check pipeline.yaml", "Say what would be done."}, {NULL, NULL}};

const struct command cmd_run_check = {.name = "run check",
				      .summary = "check a pipeline and print what it would do",
				      .description = "Nothing is run.",
				      .options = check_options,
				      .operands = file_operand,
				      .examples = check_examples,
				      .run = run_check_command};

const struct command cmd_run_start = {
	.name = "run start",
	.summary = "run the jobs of a pipeline in locked-down containers",
	.description =
		"The code is kept as a backup first, and every job gets a fresh copy of it in "
		"a "
		"container of its own: no network, no capabilities, a read-only system, limits "
		"on time, memory, processes and files. Where this system cannot make one, "
		"nothing is run.\n\n"
		"Ends with 0 when all jobs have passed, 1 when one has not, 3 when one waits "
		"for "
		"approval (--no-wait).",
	.options = start_options,
	.operands = file_operand,
	.examples = start_examples,
	.run = run_start_command};

const struct command cmd_run_resume = {
	.name = "run resume",
	.summary = "go on with a run that was killed or waits for approval",
	.description =
		"Jobs that have ended are not run again; one that was under way is begun "
		"anew. The pipeline and the code are those with which the run began.",
	.options = resume_options,
	.operands = id_operand,
	.run = run_resume_command};

const struct command cmd_run_show = {.name = "run show",
				     .summary = "say how a run and its jobs are",
				     .description = "A line for each job.",
				     .options = show_options,
				     .operands = id_operand,
				     .run = run_show_command};

const struct command cmd_run_log = {.name = "run log",
				    .summary = "print what a job has printed",
				    .description = "Secrets are masked in it.",
				    .options = log_options,
				    .operands = log_operands,
				    .run = run_log_command};
