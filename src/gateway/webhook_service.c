#include "gateway/webhook_service.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "gateway/audit.h"
#include "gateway/webhook_jobs.h"
#include "http/fetch.h"
#include "parse/json_write.h"
#include "parse/prometheus.h"
#include "parse/uri.h"

#define THREADS 2
#define QUEUE_MAX 256
#define STORE_MS 10000
/* Between looks at what other processes and commands have done to the queue. */
#define POLL_MS 2000
/* Of what is answered nothing is looked at but the status. */
#define ANSWER_MAX ((size_t)1 << 20)
/* What a delivery is taken for, beyond the attempt itself. */
#define LEASE_MORE_MS 15000

struct sender {
	struct hook *hook;
	struct fiber *fiber; /* NULL: has ended */
	bool idle; /* parked until something is due */
};

/* A webhook of one configuration. */
struct hook {
	struct hook *next;
	struct webhook_service *service;
	struct config *cfg; /* held */
	const struct config_webhook *config;
	struct http_fetcher *fetcher;
	struct sender *senders;
	unsigned running;
	bool stopped;
	bool failing; /* the store; said once */
	struct hook_figures *figures;
};

/* Outlives configurations; found by name. */
struct hook_figures {
	struct hook_figures *next;
	char *text;
	struct span name;
	_Atomic uint64_t delivered, failed, lost;
	_Atomic uint64_t waiting;
};

struct webhook_service {
	struct store *store;
	struct offload *threads;
	struct audit_log *audit_log; /* NULL: none */
	struct loop *loop; /* NULL: not started */
	struct hook *hooks; /* of the current configuration; the loop's */
	pthread_mutex_t lock;
	/* with the lock */
	struct config *cfg;
	struct hook_figures *figures;
	struct loop_message wake;
	bool wake_posted;
};

/* ---- figures --------------------------------------------------------------------------------- */

static struct hook_figures *figures_of(struct webhook_service *service, struct span name)
{
	struct hook_figures *f;

	pthread_mutex_lock(&service->lock);
	for (f = service->figures; f && !span_eq(f->name, name); f = f->next)
		;
	if (!f) {
		f = mem_zalloc(1, sizeof(*f));
		if (f) {
			f->text = mem_strdup(name);
			f->name = span_of(f->text, name.len);
			if (!f->text) {
				mem_free(f);
				f = NULL;
			}
		}
		if (f) {
			f->next = service->figures;
			service->figures = f;
		}
	}
	pthread_mutex_unlock(&service->lock);
	return f;
}

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static uint64_t read_count(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* ---- queueing -------------------------------------------------------------------------------- */

static void on_wake(struct loop_message *message)
{
	struct webhook_service *service = CONTAINER_OF(message, struct webhook_service, wake);

	pthread_mutex_lock(&service->lock);
	service->wake_posted = false;
	pthread_mutex_unlock(&service->lock);
	for (struct hook *hook = service->hooks; hook; hook = hook->next)
		for (uint32_t i = 0; i < hook->config->concurrent; i++)
			if (hook->senders[i].fiber && hook->senders[i].idle)
				fiber_wake(hook->senders[i].fiber);
}

static void wake_senders(struct webhook_service *service)
{
	pthread_mutex_lock(&service->lock);
	if (service->loop && !service->wake_posted) {
		service->wake_posted = true;
		loop_post(service->loop, &service->wake);
	}
	pthread_mutex_unlock(&service->lock);
}

static void lose(struct hook_figures *figures, struct span hook, struct span event,
		 const char *why)
{
	if (figures)
		count(&figures->lost);
	log_message(LOG_ERROR, "webhook.lost", "%.*s to %.*s: %s", SPAN_ARG(event),
		    SPAN_ARG(hook), why);
}

static void queue_event(struct webhook_service *service, const struct config_webhook *config,
			struct span event, struct span data)
{
	struct hook_figures *figures = figures_of(service, config->name);
	char id[WEBHOOK_ID_BYTES];
	struct err err;

	if (!figures) {
		lose(NULL, config->name, event, "no memory");
		return;
	}
	if (read_count(&figures->waiting) >= config->queue) {
		lose(figures, config->name, event, "its queue is full");
		return;
	}
	if (webhook_put(service->store, config->name, event, data, clock_unix_ms(), id, &err) <
	    0) {
		lose(figures, config->name, event, err.message);
		return;
	}
	count(&figures->waiting);
	wake_senders(service);
}

static struct config *hold_config(struct webhook_service *service)
{
	struct config *cfg;

	pthread_mutex_lock(&service->lock);
	cfg = service->cfg ? config_ref(service->cfg) : NULL;
	pthread_mutex_unlock(&service->lock);
	return cfg;
}

void webhook_service_send(struct webhook_service *service, struct span hook, struct span event,
			  struct span data)
{
	struct config *cfg = service ? hold_config(service) : NULL;

	for (size_t i = 0; cfg && i < cfg->webhooks.count; i++)
		if (span_eq(cfg->webhooks.at[i].name, hook))
			queue_event(service, &cfg->webhooks.at[i], event, data);
	config_unref(cfg);
}

void webhook_service_tell(struct webhook_service *service, enum config_webhook_events kind,
			  struct span event, struct span data)
{
	struct config *cfg = service ? hold_config(service) : NULL;

	for (size_t i = 0; cfg && i < cfg->webhooks.count; i++)
		if (cfg->webhooks.at[i].events & kind)
			queue_event(service, &cfg->webhooks.at[i], event, data);
	config_unref(cfg);
}

const struct config *webhook_service_config(const struct webhook_service *service)
{
	return service ? service->cfg : NULL;
}

static void run_send(struct webhook_job *job)
{
	webhook_service_send(job->context, job->hook, job->event, job->data);
}

void webhook_service_send_parked(struct webhook_service *service, struct span hook,
				 struct span event, struct span data)
{
	struct webhook_job *job;
	struct err err = {.code = ERR_NONE};

	if (!service)
		return;
	job = webhook_job_new(service->store, run_send);
	if (!job) {
		lose(NULL, hook, event, "no memory");
		return;
	}
	job->context = service;
	job->hook = webhook_job_text(job, hook);
	job->event = webhook_job_text(job, event);
	job->data = webhook_job_text(job, data);
	if (webhook_job_run(service->threads, job, loop_deadline_ms(STORE_MS), &err))
		webhook_job_free(job);
	else if (err.code != ERR_TIMEOUT && err.code != ERR_CANCELLED)
		lose(NULL, hook, event, err.message);
}

/* ---- sending --------------------------------------------------------------------------------- */

static void run_take(struct webhook_job *job)
{
	job->result = webhook_take(job->store, job->hook, job->now_unix_ms, job->lease_ms,
				   &job->arena, &job->delivery, &job->next_unix_ms,
				   &job->waiting, &job->err);
}

static void run_settle(struct webhook_job *job)
{
	job->result = webhook_settle(job->store, &job->delivery, job->outcome, job->problem,
				     &job->policy, job->now_unix_ms, rand_u64(), &job->err);
}

static void store_failed(struct hook *hook, const struct err *err)
{
	if (!hook->failing)
		log_message(LOG_ERROR, "webhook.store", "%.*s: %s",
			    SPAN_ARG(hook->config->name), err->message);
	hook->failing = true;
}

/* A delivery that is now ours; NULL: none is due, and the next is at *next_unix_ms. */
static struct webhook_job *take_next(struct hook *hook, int64_t *next_unix_ms)
{
	struct webhook_job *job = webhook_job_new(hook->service->store, run_take);
	struct err err = {.code = ERR_NONE};
	bool taken;

	*next_unix_ms = INT64_MAX;
	if (!job)
		return NULL;
	job->hook = webhook_job_text(job, hook->config->name);
	job->lease_ms = (int64_t)hook->config->timeout_ms + LEASE_MORE_MS;
	if (!webhook_job_run(hook->service->threads, job, loop_deadline_ms(STORE_MS), &err)) {
		if (err.code != ERR_CANCELLED)
			store_failed(hook, &err);
		return NULL;
	}
	if (job->result == STORE_FAILED)
		store_failed(hook, &job->err);
	else
		hook->failing = false;
	taken = job->result == STORE_OK;
	*next_unix_ms = job->next_unix_ms;
	if (job->result != STORE_FAILED)
		atomic_store_explicit(&hook->figures->waiting, job->waiting,
				      memory_order_relaxed);
	if (taken)
		return job;
	webhook_job_free(job);
	return NULL;
}

static int post(struct hook *hook, const struct webhook_delivery *d, unsigned *status,
		struct err *err)
{
	char signature[WEBHOOK_SIGNATURE_BYTES], time[24];
	int64_t now_s = clock_unix_s();
	struct http_field fields[] = {
		{SPAN("content-type"), SPAN("application/json"), HTTP_FIELD_CONTENT_TYPE},
		{SPAN("user-agent"), SPAN("sallyport-webhook"), HTTP_FIELD_OTHER},
		{SPAN("webhook-id"), d->id, HTTP_FIELD_OTHER},
		{SPAN("webhook-timestamp"), SPAN_NONE, HTTP_FIELD_OTHER},
		{SPAN("webhook-signature"), span_of(signature, sizeof(signature)),
		 HTTP_FIELD_OTHER},
	};
	const struct http_fetch fetch = {.method = SPAN("POST"),
					 .fields = fields,
					 .field_count = COUNT_OF(fields),
					 .body = d->body,
					 .repeatable = true};
	struct buf answer;
	int result;

	snprintf(time, sizeof(time), "%lld", (long long)now_s);
	fields[3].value = span_cstr(time);
	if (webhook_sign(secret_span(&hook->config->secret), d->id, now_s, d->body, signature,
			 err) < 0)
		return -1;
	buf_init(&answer, ANSWER_MAX);
	result = http_fetch(hook->fetcher, &fetch,
			    loop_deadline_ms((int64_t)hook->config->timeout_ms), status,
			    &answer, err);
	buf_release(&answer);
	return result;
}

static void tell(struct hook *hook, const char *event, const struct webhook_delivery *d)
{
	struct json_writer w;
	struct buf members;

	log_message(LOG_WARN, event, "%.*s to %.*s: %.*s", SPAN_ARG(d->event),
		    SPAN_ARG(d->hook), SPAN_ARG(d->problem));
	if (!hook->service->audit_log)
		return;
	buf_init(&members, 4096);
	json_writer_init(&w, &members);
	w.need_comma = true;
	json_member_string(&w, SPAN("delivery"), d->id);
	json_member_string(&w, SPAN("webhook"), d->hook);
	json_member_string(&w, SPAN("about"), d->event);
	json_member_string(&w, SPAN("problem"), d->problem);
	audit_event(hook->service->audit_log, event,
		    buf_failed(&members) ? SPAN_NONE : buf_span(&members));
	buf_release(&members);
}

/* Writes down what came of it. The job is gone afterwards. */
static void settle(struct hook *hook, struct webhook_job *job)
{
	const struct config_webhook *config = hook->config;
	struct err err;

	webhook_job_again(job, run_settle);
	job->policy = (struct webhook_policy){.backoff_ms = config->backoff_ms,
					      .max_backoff_ms = config->max_backoff_ms,
					      .max_age_ms = config->max_age_ms};
	/* What has happened must be known, also when the server is about to end. */
	(void)fiber_uncancel();
	if (!webhook_job_run(hook->service->threads, job, loop_deadline_ms(STORE_MS), &err)) {
		store_failed(hook, &err);
		return;
	}
	if (job->result == STORE_FAILED)
		store_failed(hook, &job->err);
	else if (job->delivery.state == WEBHOOK_DEAD)
		tell(hook, "webhook.dead", &job->delivery);
	webhook_job_free(job);
}

static void deliver(struct hook *hook, struct webhook_job *job)
{
	struct hook_figures *figures = hook->figures;
	struct err err = {.code = ERR_NONE};
	unsigned status = 0;
	int result = post(hook, &job->delivery, &status, &err);
	bool cancelled = result < 0 && err.code == ERR_CANCELLED;

	/* The lease ends by itself: it is sent again. */
	if (cancelled) {
		webhook_job_free(job);
		return;
	}
	job->outcome = WEBHOOK_FAILED;
	if (result == 0 && status >= 200 && status < 300)
		job->outcome = WEBHOOK_TAKEN_OVER;
	else if (result == 0 && status == 410)
		job->outcome = WEBHOOK_REFUSED;
	job->problem = SPAN("");
	if (result < 0)
		job->problem = webhook_job_text(job, span_cstr(err.message));
	else if (job->outcome != WEBHOOK_TAKEN_OVER)
		job->problem = arena_printf(&job->arena, "answered %u", status);
	count(job->outcome == WEBHOOK_TAKEN_OVER ? &figures->delivered : &figures->failed);
	settle(hook, job);
}

static void release_hook(struct hook *hook)
{
	if (!hook->stopped || hook->running)
		return;
	http_fetcher_close(hook->fetcher);
	config_unref(hook->cfg);
	mem_free(hook->senders);
	mem_free(hook);
}

static void sender_main(void *arg)
{
	struct sender *sender = arg;
	struct hook *hook = sender->hook;

	while (!hook->stopped && !fiber_is_cancelled()) {
		int64_t next_unix_ms, wait_ms;
		struct webhook_job *job = take_next(hook, &next_unix_ms);

		if (job) {
			deliver(hook, job);
			continue;
		}
		wait_ms = next_unix_ms == INT64_MAX ? POLL_MS : next_unix_ms - clock_unix_ms();
		if (wait_ms > POLL_MS)
			wait_ms = POLL_MS;
		sender->idle = true;
		if (!hook->stopped)
			(void)fiber_park(loop_deadline_ms(wait_ms > 1 ? wait_ms : 1));
		sender->idle = false;
	}
	sender->fiber = NULL;
	hook->running--;
	release_hook(hook);
}

/* ---- configurations -------------------------------------------------------------------------- */

static int make_fetcher(struct hook *hook, struct dns *dns, struct err *err)
{
	const struct config_webhook *config = hook->config;
	struct tls_client_options tls = {.min_version = TLS_VERSION_1_2};
	struct http_fetcher_options options = {.url = config->url,
					       .dns = dns,
					       .connections_max = config->concurrent,
					       .idle_max = 1,
					       .idle_timeout_ms = 30000,
					       .secret_path = true};
	struct uri_parts parts;

	if (!uri_parse_absolute(config->url, &parts))
		return err_set(err, ERR_INVALID, "\"%.*s\" is not a http or https URL",
			       SPAN_ARG(uri_origin(config->url)));
	if (config->ca.len)
		tls.ca.path = config->ca.ptr;
	if (span_eq(parts.scheme, SPAN("https"))) {
		options.tls = tls_client_context_new(&tls, err);
		if (!options.tls)
			return -1;
	}
	hook->fetcher = http_fetcher_new(&options, err);
	tls_context_unref(options.tls);
	return hook->fetcher ? 0 : -1;
}

static void stop_hook(struct hook *hook)
{
	hook->stopped = true;
	for (uint32_t i = 0; hook->senders && i < hook->config->concurrent; i++)
		if (hook->senders[i].fiber)
			fiber_cancel(hook->senders[i].fiber);
	release_hook(hook);
}

static void stop_hooks(struct hook *hooks)
{
	while (hooks) {
		struct hook *next = hooks->next;

		stop_hook(hooks);
		hooks = next;
	}
}

static int start_senders(struct hook *hook, struct err *err)
{
	for (uint32_t i = 0; i < hook->config->concurrent; i++) {
		hook->senders[i].hook = hook;
		hook->senders[i].fiber = fiber_start(sender_main, &hook->senders[i], err);
		if (!hook->senders[i].fiber)
			return -1;
		hook->running++;
	}
	return 0;
}

static struct hook *start_hook(struct webhook_service *service, struct config *cfg, size_t i,
			       struct dns *dns, struct err *err)
{
	struct hook *hook = mem_zalloc(1, sizeof(*hook));

	if (!hook) {
		err_set(err, ERR_MEMORY, "no memory for a webhook");
		return NULL;
	}
	hook->service = service;
	hook->cfg = config_ref(cfg);
	hook->config = &cfg->webhooks.at[i];
	hook->figures = figures_of(service, hook->config->name);
	hook->senders = mem_zalloc(hook->config->concurrent, sizeof(*hook->senders));
	if (!hook->figures || !hook->senders)
		err_set(err, ERR_MEMORY, "no memory for a webhook");
	else if (make_fetcher(hook, dns, err) == 0 && start_senders(hook, err) == 0)
		return hook;
	err_wrap(err, "webhook %.*s", SPAN_ARG(hook->config->name));
	stop_hook(hook);
	return NULL;
}

int webhook_service_use(struct webhook_service *service, struct config *cfg, struct dns *dns,
			struct err *err)
{
	struct hook *hooks = NULL;
	struct config *old;

	for (size_t i = 0; i < cfg->webhooks.count; i++) {
		struct hook *hook = start_hook(service, cfg, i, dns, err);

		if (!hook) {
			stop_hooks(hooks);
			return -1;
		}
		hook->next = hooks;
		hooks = hook;
	}
	stop_hooks(service->hooks);
	service->hooks = hooks;
	pthread_mutex_lock(&service->lock);
	service->loop = loop_current();
	old = service->cfg;
	service->cfg = config_ref(cfg);
	pthread_mutex_unlock(&service->lock);
	config_unref(old);
	return 0;
}

struct webhook_service *webhook_service_new(const struct config *cfg,
					    struct audit_log *audit_log, struct err *err)
{
	struct webhook_service *service = mem_zalloc(1, sizeof(*service));
	struct store_options options = {.url = secret_span(&cfg->store.url)};

	if (!service) {
		err_set(err, ERR_MEMORY, "no memory for webhooks");
		return NULL;
	}
	service->audit_log = audit_log;
	service->wake.run = on_wake;
	pthread_mutex_init(&service->lock, NULL);
	service->store = store_open(&options, err);
	if (service->store)
		service->threads = offload_new("webhooks", THREADS, QUEUE_MAX, err);
	if (service->threads)
		return service;
	err_wrap(err, "webhooks");
	webhook_service_free(service);
	return NULL;
}

void webhook_service_stop(struct webhook_service *service)
{
	if (!service)
		return;
	stop_hooks(service->hooks);
	service->hooks = NULL;
}

void webhook_service_free(struct webhook_service *service)
{
	if (!service)
		return;
	if (service->threads)
		offload_free(service->threads);
	store_close(service->store);
	config_unref(service->cfg);
	while (service->figures) {
		struct hook_figures *figures = service->figures;

		service->figures = figures->next;
		mem_free(figures->text);
		mem_free(figures);
	}
	pthread_mutex_destroy(&service->lock);
	mem_free(service);
}

/* ---- the admin listener ---------------------------------------------------------------------- */

static void run_list(struct webhook_job *job)
{
	job->result = webhook_list(job->store, WEBHOOK_DEAD, SPAN(""), 100, &job->arena,
				   &job->list, &job->err) < 0
			      ? STORE_FAILED
			      : STORE_OK;
}

static void put_figures(struct json_writer *w, struct hook_figures *f)
{
	json_begin_object(w);
	json_member_string(w, SPAN("name"), f->name);
	json_member_int(w, SPAN("waiting"), (int64_t)read_count(&f->waiting));
	json_member_int(w, SPAN("delivered"), (int64_t)read_count(&f->delivered));
	json_member_int(w, SPAN("failed"), (int64_t)read_count(&f->failed));
	json_member_int(w, SPAN("lost"), (int64_t)read_count(&f->lost));
	json_end_object(w);
}

int webhook_service_print(struct webhook_service *service, struct buf *out, struct err *err)
{
	struct webhook_job *job = webhook_job_new(service->store, run_list);
	struct json_writer w;
	int result = -1;

	if (!job)
		return err_set(err, ERR_MEMORY, "no memory for webhooks");
	if (!webhook_job_run(service->threads, job, loop_deadline_ms(STORE_MS), err))
		return -1;
	if (job->result != STORE_OK) {
		*err = job->err;
		goto out;
	}
	json_writer_init(&w, out);
	json_begin_object(&w);
	json_key(&w, SPAN("webhooks"));
	json_begin_array(&w);
	for (struct hook *hook = service->hooks; hook; hook = hook->next)
		put_figures(&w, hook->figures);
	json_end_array(&w);
	json_key(&w, SPAN("dead"));
	json_begin_array(&w);
	for (size_t i = 0; i < job->list.count; i++) {
		json_put_raw(&w, SPAN("")); /* the comma */
		webhook_write(&job->list.at[i], out);
	}
	json_end_array(&w);
	json_end_object(&w);
	buf_append_byte(out, '\n');
	result = 0;
out:
	webhook_job_free(job);
	return result;
}

static void run_retry(struct webhook_job *job)
{
	job->result = webhook_retry(job->store, job->id, job->now_unix_ms, &job->arena,
				    &job->delivery, &job->err);
}

static void run_discard(struct webhook_job *job)
{
	job->result = webhook_discard(job->store, job->id, &job->arena, &job->err);
}

static unsigned status_of(enum store_result result, const char **why)
{
	switch (result) {
	case STORE_OK: return 200;
	case STORE_ABSENT: *why = "there is no such delivery, or it has arrived"; return 404;
	case STORE_CONFLICT: *why = "it is being sent; try again"; return 409;
	case STORE_FAILED: break;
	}
	*why = "the store failed";
	return 503;
}

unsigned webhook_service_act(struct webhook_service *service, struct span path, struct span id,
			     const char **why)
{
	bool retry = span_eq(path, SPAN("/webhooks/retry"));
	struct webhook_job *job;
	struct err err;
	unsigned status;

	*why = "there is no such action";
	if (!retry && !span_eq(path, SPAN("/webhooks/discard")))
		return 404;
	job = webhook_job_new(service->store, retry ? run_retry : run_discard);
	*why = "the store failed";
	if (!job)
		return 503;
	job->id = webhook_job_text(job, id);
	if (!webhook_job_run(service->threads, job, loop_deadline_ms(STORE_MS), &err))
		return 503;
	status = status_of(job->result, why);
	webhook_job_free(job);
	if (status == 200)
		wake_senders(service);
	return status;
}

void webhook_service_metrics(struct webhook_service *service, struct buf *out)
{
	static const char *const words[] = {"delivered", "failed", "lost"};

	prometheus_head(out, "sallyport_webhook_waiting", "gauge", "Deliveries in the queue.");
	for (struct hook *hook = service->hooks; hook; hook = hook->next)
		buf_printf(out, "sallyport_webhook_waiting{webhook=\"%.*s\"} %llu\n",
			   SPAN_ARG(hook->config->name),
			   (unsigned long long)read_count(&hook->figures->waiting));
	prometheus_head(out, "sallyport_webhook_attempts_total", "counter",
			"What came of attempts; lost: events that could not be queued.");
	for (struct hook *hook = service->hooks; hook; hook = hook->next) {
		uint64_t values[] = {read_count(&hook->figures->delivered),
				     read_count(&hook->figures->failed),
				     read_count(&hook->figures->lost)};

		for (size_t i = 0; i < COUNT_OF(values); i++)
			buf_printf(out,
				   "sallyport_webhook_attempts_total{webhook=\"%.*s\","
				   "result=\"%s\"} %llu\n",
				   SPAN_ARG(hook->config->name), words[i],
				   (unsigned long long)values[i]);
	}
}
