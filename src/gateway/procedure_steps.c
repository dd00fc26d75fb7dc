#include "gateway/procedure_steps.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "config/mail_options.h"
#include "gateway/audit.h"
#include "gateway/command_runner.h"
#include "gateway/webhook_service.h"
#include "io/offload.h"
#include "parse/json_write.h"

#define MAIL_MS 60000
#define OUTPUT_SHOWN 200

/* A step, or a message to webhooks, that is under way. */
struct step_run {
	struct step_run *next;
	struct procedure_context *context;
	struct snapshot *snapshot; /* held; NULL for messages */
	const struct config_procedure *config;
	unsigned step;
	struct fiber *fiber;
	char *hook; /* of a message: one webhook */
	char *event;
	char *data;
};

/* ---- the time line --------------------------------------------------------------------------- */

static void audit(struct procedure_context *context, const struct timeline_entry *entry)
{
	struct json_writer w;
	struct buf members;
	char event[40];

	if (!context->audit_log)
		return;
	snprintf(event, sizeof(event), "procedure.%s", entry->event);
	buf_init(&members, 4096);
	json_writer_init(&w, &members);
	w.need_comma = true;
	json_member_string(&w, SPAN("procedure"), span_cstr(entry->procedure));
	json_member_string(&w, SPAN("service"), span_cstr(entry->service));
	json_member_string(&w, SPAN("detail"), span_cstr(entry->detail));
	audit_event(context->audit_log, event,
		    buf_failed(&members) ? SPAN_NONE : buf_span(&members));
	buf_release(&members);
}

void procedure_note(struct procedure_context *context, const struct config_procedure *config,
		    const char *event, const char *detail)
{
	char time[CLOCK_RFC3339_SIZE];
	const struct timeline_entry *entry;

	clock_rfc3339(time, clock_unix_ms());
	entry = timeline_add(context->timeline, span_cstr(time), config->name,
			     config->service_name, span_cstr(event), span_cstr(detail));
	log_message(LOG_WARN, "procedure", "%s of service %s: %s %s", entry->procedure,
		    entry->service, event, entry->detail);
	audit(context, entry);
}

/* ---- fibers ---------------------------------------------------------------------------------- */

static void forget(struct step_run *run)
{
	struct step_run **at = &run->context->running;

	while (*at != run)
		at = &(*at)->next;
	*at = run->next;
}

static void end_run(struct step_run *run)
{
	forget(run);
	snapshot_unref(run->snapshot);
	mem_free(run->hook);
	mem_free(run->event);
	mem_free(run->data);
	mem_free(run);
}

static struct step_run *new_run(struct procedure_context *context)
{
	struct step_run *run = mem_zalloc(1, sizeof(*run));

	if (!run)
		return NULL;
	run->context = context;
	run->next = context->running;
	context->running = run;
	return run;
}

void procedure_cancel_steps(struct procedure_context *context)
{
	for (struct step_run *run = context->running; run; run = run->next)
		if (run->fiber)
			fiber_cancel(run->fiber);
}

/* ---- webhooks -------------------------------------------------------------------------------- */

static const char *severity_name(enum config_severity_word severity)
{
	switch (severity) {
	case CONFIG_SEVERITY_INFO: return "info";
	case CONFIG_SEVERITY_WARNING: return "warning";
	case CONFIG_SEVERITY_CRITICAL: break;
	}
	return "critical";
}

static void put_event(struct buf *to, const struct config_procedure *config, const char *event,
		      const char *detail, const char *severity)
{
	struct json_writer w;

	json_writer_init(&w, to);
	json_begin_object(&w);
	json_member_string(&w, SPAN("procedure"), config->name);
	json_member_string(&w, SPAN("service"), config->service_name);
	json_member_string(&w, SPAN("event"), span_cstr(event));
	if (detail[0])
		json_member_string(&w, SPAN("detail"), span_cstr(detail));
	if (severity)
		json_member_string(&w, SPAN("severity"), span_cstr(severity));
	json_end_object(&w);
}

static void message_main(void *arg)
{
	struct step_run *run = arg;

	webhook_service_send_parked(run->context->webhooks, span_cstr(run->hook),
				    span_cstr(run->event), span_cstr(run->data));
	end_run(run);
}

static void send_message(struct procedure_context *context, struct span hook,
			 const struct config_procedure *config, const char *event,
			 const char *detail, const char *severity)
{
	struct step_run *run = new_run(context);
	struct buf data;
	char type[40];
	struct err err = {.code = ERR_MEMORY, .message = "no memory"};

	snprintf(type, sizeof(type), "procedure.%s", event);
	buf_init(&data, 8192);
	put_event(&data, config, event, detail, severity);
	if (run) {
		run->hook = mem_strdup(hook);
		run->event = mem_strdup(span_cstr(type));
		run->data = buf_failed(&data) ? NULL : mem_strdup(buf_span(&data));
		if (run->hook && run->event && run->data)
			run->fiber = fiber_start(message_main, run, &err);
	}
	buf_release(&data);
	if (run && run->fiber)
		return;
	if (run)
		end_run(run);
	log_message(LOG_ERROR, "procedure.not_told", "%.*s: %s", SPAN_ARG(hook), err.message);
}

static bool was_told(const struct procedure *p, struct span hook)
{
	for (unsigned i = 0; i < p->config->steps.count; i++)
		if (p->started & (1u << i) && (span_eq(p->config->steps.at[i].notify, hook) ||
					       span_eq(p->config->steps.at[i].page, hook)))
			return true;
	return false;
}

void procedure_tell_hooks(struct procedure_context *context, const struct procedure *p,
			  enum procedure_event event, const char *detail)
{
	const struct config *cfg = webhook_service_config(context->webhooks);

	for (size_t i = 0; cfg && i < cfg->webhooks.count; i++) {
		const struct config_webhook *hook = &cfg->webhooks.at[i];

		if (hook->events & CONFIG_WEBHOOK_PROCEDURES ||
		    (event != PROCEDURE_BEGAN && was_told(p, hook->name)))
			send_message(context, hook->name, p->config,
				     procedure_event_name(event), detail, NULL);
	}
}

/* ---- mail ------------------------------------------------------------------------------------ */

struct mail_job {
	struct offload_job job;
	struct snapshot *snapshot;
	const struct config_strings *to;
	struct buf subject, text;
	unsigned sent;
	struct err err;
};

static void mail_run(struct offload_job *base)
{
	struct mail_job *job = CONTAINER_OF(base, struct mail_job, job);
	struct mail_options options = config_mail_options(job->snapshot->config->mail);

	for (size_t i = 0; i < job->to->count; i++) {
		struct mail mail = {.to = job->to->at[i],
				    .subject = buf_span(&job->subject),
				    .text = buf_span(&job->text)};

		if (mail_send(&options, &mail, &job->err) == 0)
			job->sent++;
	}
}

static void mail_free(struct offload_job *base)
{
	struct mail_job *job = CONTAINER_OF(base, struct mail_job, job);

	buf_release(&job->subject);
	buf_release(&job->text);
	snapshot_unref(job->snapshot);
	mem_free(job);
}

static void write_mail(struct mail_job *job, const struct config_procedure *config)
{
	char time[CLOCK_RFC3339_SIZE];

	clock_rfc3339(time, clock_unix_ms());
	buf_init(&job->subject, MAIL_SUBJECT_BYTES_MAX);
	buf_init(&job->text, MAIL_TEXT_BYTES_MAX);
	buf_printf(&job->subject, "Service %.*s is not well: procedure %.*s has begun",
		   SPAN_ARG(config->service_name), SPAN_ARG(config->name));
	buf_printf(&job->text,
		   "%s\n\nThe procedure %.*s has begun for the service %.*s.\n"
		   "What happens is at /guard/timeline of the admin listener, and in the audit "
		   "log.\n",
		   time, SPAN_ARG(config->name), SPAN_ARG(config->service_name));
}

static void do_mail(struct step_run *run, char *detail, size_t size)
{
	const struct config_strings *to = &run->config->steps.at[run->step].mail;
	struct mail_job *job = mem_zalloc(1, sizeof(*job));
	struct err err;

	if (!job) {
		snprintf(detail, size, "mail: no memory");
		return;
	}
	offload_job_init(&job->job, mail_run, mail_free);
	job->snapshot = snapshot_ref(run->snapshot);
	job->to = to;
	write_mail(job, run->config);
	if (offload_call(run->context->threads, &job->job,
			 loop_deadline_ms(MAIL_MS * (int64_t)to->count), &err) < 0) {
		snprintf(detail, size, "mail: %.300s", err.message);
		return;
	}
	snprintf(detail, size, "mail: sent to %u of %zu%s%.200s", job->sent, to->count,
		 job->sent < to->count ? ": " : "",
		 job->sent < to->count ? job->err.message : "");
	mail_free(&job->job);
}

/* ---- commands -------------------------------------------------------------------------------- */

static void do_command(struct step_run *run, char *detail, size_t size)
{
	const struct config *cfg = run->snapshot->config;
	uint32_t procedure = (uint32_t)(run->config - cfg->procedures.at);
	struct command_result *result = mem_zalloc(1, sizeof(*result));
	struct err err = {.message = "no memory"};
	struct span output;

	if (!run->context->commands || !result ||
	    command_runner_call(run->context->commands, procedure, run->step, result, &err) <
		    0) {
		snprintf(detail, size, "run: %s", err.message);
		mem_free(result);
		return;
	}
	output = span_trim(span_of(result->output, result->output_len));
	if (output.len > OUTPUT_SHOWN)
		output.len = OUTPUT_SHOWN;
	if (result->timed_out)
		snprintf(detail, size, "run: killed after its time: %.*s", SPAN_ARG(output));
	else if (result->signal)
		snprintf(detail, size, "run: ended by signal %d: %.*s", result->signal,
			 SPAN_ARG(output));
	else
		snprintf(detail, size, "run: status %d: %.*s", result->code, SPAN_ARG(output));
	mem_free(result);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void step_main(void *arg)
{
	struct step_run *run = arg;
	const struct config_procedure_step *step = &run->config->steps.at[run->step];
	char detail[320] = "";

	if (step->mail.count)
		do_mail(run, detail, sizeof(detail));
	else
		do_command(run, detail, sizeof(detail));
	procedure_note(run->context, run->config, "step_ended", detail);
	end_run(run);
}

static void describe_step(const struct config_procedure_step *step, char *to, size_t size)
{
	static const char *const shed[] = {"none", "low", "normal and low"};

	if (step->notify.len)
		snprintf(to, size, "notify %.*s", SPAN_ARG(step->notify));
	else if (step->page.len)
		snprintf(to, size, "page %.*s (%s)", SPAN_ARG(step->page),
			 severity_name(step->severity));
	else if (step->mail.count)
		snprintf(to, size, "mail %zu addresses", step->mail.count);
	else if (step->shift)
		snprintf(to, size, "shift %u%% to %.*s", step->share_percent,
			 SPAN_ARG(step->shift_name));
	else if (step->shed != CONFIG_SHED_NONE)
		snprintf(to, size, "shed priority %s", shed[step->shed]);
	else if (step->fallback)
		snprintf(to, size, "fallback for %u%%", step->share_percent);
	else
		snprintf(to, size, "run %.*s", SPAN_ARG(step->run.at[0]));
}

void procedure_start_step(struct procedure_context *context, struct snapshot *snapshot,
			  const struct config_procedure *config, unsigned step)
{
	const struct config_procedure_step *s = &config->steps.at[step];
	struct step_run *run;
	struct err err = {.message = "no memory"};
	char detail[160];

	describe_step(s, detail, sizeof(detail));
	procedure_note(context, config, "step", detail);
	if (s->notify.len)
		send_message(context, s->notify, config, "began", detail, NULL);
	if (s->page.len)
		send_message(context, s->page, config, "page", detail,
			     severity_name(s->severity));
	if (!s->mail.count && !s->run.count)
		return;
	run = new_run(context);
	if (run) {
		run->snapshot = snapshot_ref(snapshot);
		run->config = config;
		run->step = step;
		run->fiber = fiber_start(step_main, run, &err);
	}
	if (run && run->fiber)
		return;
	if (run)
		end_run(run);
	procedure_note(context, config, "step_failed", err.message);
}
