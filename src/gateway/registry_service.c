#include "gateway/registry_service.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/fields.h"
#include "gateway/internal_metrics.h"
#include "io/offload.h"
#include "parse/uri.h"
#include "registry/registry.h"

#define QUEUE 256
#define CHUNK_BYTES ((size_t)64 * 1024)
#define PIECE_TIMEOUT_MS 30000
#define STORE_TIMEOUT_MS 5000

struct registry_service {
	struct internal_service internal;
	struct offload *pool;
	struct store *store; /* NULL: the configuration has none */
	pthread_mutex_t lock;
	struct registry *registry; /* of now; guarded by the lock */
};

/* ---- jobs: what a thread works on has its own memory, for it may outlive the exchange ---- */

struct registry_job {
	struct offload_job job;
	struct arena arena;
	struct registry *registry;
	struct registry_request request;
	struct registry_answer answer;
};

static void job_free(struct offload_job *job)
{
	struct registry_job *j = CONTAINER_OF(job, struct registry_job, job);

	if (j->answer.fd >= 0)
		close(j->answer.fd);
	arena_release(&j->arena);
	registry_unref(j->registry);
	mem_free(j);
}

static void job_run(struct offload_job *job)
{
	struct registry_job *j = CONTAINER_OF(job, struct registry_job, job);

	registry_serve(j->registry, &j->request, &j->arena, &j->answer);
}

static struct registry *current(struct registry_service *service)
{
	struct registry *registry;

	pthread_mutex_lock(&service->lock);
	registry = registry_ref(service->registry);
	pthread_mutex_unlock(&service->lock);
	return registry;
}

static int fill(struct registry_job *j, struct exchange *e,
		const struct config_registry *config)
{
	const struct http1_head *head = &e->x->request;
	struct span url = exchange_url(e);
	struct span accept = http1_field(head, HTTP_FIELD_ACCEPT);
	struct span known = fields_find(head, SPAN("if-none-match"));

	j->request = (struct registry_request){
		.path = arena_dup(&j->arena,
				  span_slice(e->path, config->mount.len, e->path.len)),
		.base = arena_printf(&j->arena, "%.*s%.*s", SPAN_ARG(uri_origin(url)),
				     SPAN_ARG(config->mount)),
		.accept = arena_dup(&j->arena, accept),
		.if_none_match = arena_dup(&j->arena, known)};
	return url.ptr && j->request.path.ptr && j->request.base.ptr && j->request.accept.ptr &&
			       j->request.if_none_match.ptr
		       ? 0
		       : -1;
}

static struct registry_job *job_new(struct registry_service *service, struct exchange *e)
{
	const struct config_registry *config = e->snapshot->config->registry;
	struct registry_job *j = mem_zalloc(1, sizeof(*j));

	if (!j)
		return NULL;
	offload_job_init(&j->job, job_run, job_free);
	arena_init(&j->arena, (size_t)8 * config->index_bytes + ((size_t)1 << 20), 65536);
	j->answer.fd = -1;
	j->registry = current(service);
	if (fill(j, e, config) == 0)
		return j;
	job_free(&j->job);
	return NULL;
}

/* ---- answers ---- */

/* All of it was read a moment ago, to compare its digest: it comes from memory. */
static enum phase_result send_file(struct exchange *e, const struct http_response *response,
				   const struct registry_answer *a)
{
	char *chunk = arena_alloc(&e->x->arena, CHUNK_BYTES);
	uint64_t left = a->size_bytes;
	enum io_result result;

	if (!chunk)
		return answer_problem(e, 503, "out-of-memory", NULL);
	result = respond_head(e, response, left ? HTTP_SEND_MORE : HTTP_SEND_END,
			      loop_deadline_ms(PIECE_TIMEOUT_MS));
	while (result == IO_OK && left) {
		ssize_t n = read(a->fd, chunk, left < CHUNK_BYTES ? left : CHUNK_BYTES);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return PHASE_GONE; /* what was announced cannot be sent */
		left -= (uint64_t)n;
		result = http_send_body(e->x, span_of(chunk, (size_t)n),
					left ? HTTP_SEND_MORE : HTTP_SEND_END,
					loop_deadline_ms(PIECE_TIMEOUT_MS));
	}
	return result == IO_OK ? PHASE_ANSWERED : PHASE_GONE;
}

static enum phase_result send_answer(struct exchange *e, const struct registry_answer *a)
{
	struct http_field fields[5];
	struct http_response response = {.status = a->status, .fields = fields};

	fields[response.field_count++] = (struct http_field){
		SPAN("cache-control"), SPAN("private, no-cache"), HTTP_FIELD_CACHE_CONTROL};
	if (a->type.len)
		fields[response.field_count++] = (struct http_field){
			SPAN("content-type"), a->type, HTTP_FIELD_CONTENT_TYPE};
	if (a->etag.len)
		fields[response.field_count++] =
			(struct http_field){SPAN("etag"), a->etag, HTTP_FIELD_ETAG};
	if (a->by_accept)
		fields[response.field_count++] = (struct http_field){
			SPAN("vary"), SPAN("accept"), http_field_lookup(SPAN("vary"))};
	/* RFC 9111, appendix B: no longer of use to caches, but people see it. */
	if (a->stale)
		fields[response.field_count++] = (struct http_field){
			SPAN("warning"), SPAN("110 - \"Response is Stale\""),
			http_field_lookup(SPAN("warning"))};
	if (a->fd < 0)
		return internal_respond(e, &response, a->content);
	response.content_length = (int64_t)a->size_bytes;
	return send_file(e, &response, a);
}

static void log_refusal(struct exchange *e, const struct registry_answer *a)
{
	struct log_line l;

	log_begin(&l, a->status == 403 ? LOG_WARN : LOG_ERROR,
		  a->status == 403 ? "registry.refused" : "registry.failed");
	log_str(&l, "component", a->component.len ? a->component : e->path);
	log_str(&l, "problem", span_cstr(a->problem));
	log_str(&l, "detail", a->cause.len ? a->cause : a->detail);
	log_str(&l, "request_id", e->request_id);
	log_end(&l);
}

/* npm shows the member "error" of an answer to its user. */
static enum phase_result send_problem(struct exchange *e, const struct registry_answer *a)
{
	struct span detail = arena_dup(&e->x->arena, a->detail);
	struct span copy = SPAN_NONE;
	struct buf json;

	buf_init(&json, 2 * a->detail.len + 64);
	buf_append_byte(&json, '"');
	buf_append_json(&json, a->detail);
	buf_append_byte(&json, '"');
	if (!buf_failed(&json) && a->detail.len)
		copy = arena_dup(&e->x->arena, buf_span(&json));
	buf_release(&json);
	if (a->status == 403 || a->status >= 500)
		log_refusal(e, a);
	if (a->status >= 500)
		exchange_add_field(e, SPAN("retry-after"), SPAN("5"));
	return answer_problem_with(e, a->status, a->problem, detail.len ? detail.ptr : NULL,
				   SPAN("error"), copy);
}

static enum phase_result serve(struct exchange *e, void *context)
{
	struct registry_service *service = context;
	enum phase_result result;
	struct registry_job *j;
	struct err err;

	if (e->x->request.method != HTTP_METHOD_GET &&
	    e->x->request.method != HTTP_METHOD_HEAD) {
		exchange_add_field(e, SPAN("allow"), SPAN("GET, HEAD"));
		return answer_problem(e, 405, "method-not-allowed",
				      "the firewall passes on what is read, and takes nothing");
	}
	j = job_new(service, e);
	if (!j)
		return answer_problem(e, 503, "out-of-memory", NULL);
	if (offload_call(service->pool, &j->job, e->deadline_ms, &err) < 0) {
		if (e->x->client_gone || err.code == ERR_CANCELLED)
			return PHASE_GONE;
		exchange_add_field(e, SPAN("retry-after"), SPAN("1"));
		return answer_problem(e, 503, "unavailable", NULL);
	}
	result = j->answer.problem ? send_problem(e, &j->answer) : send_answer(e, &j->answer);
	job_free(&j->job);
	return result;
}

/* ---- life ---- */

int registry_service_prepare(struct registry_service *service, struct config *cfg,
			     struct registry **next, struct err *err)
{
	struct err problem = {.code = ERR_NONE};

	*next = NULL;
	if (!service || !cfg->registry)
		return 0;
	*next = registry_new(cfg, service->store, &problem, err);
	if (!*next)
		return err_wrap(err, "registry");
	if (problem.code != ERR_NONE)
		log_message(LOG_ERROR, "registry.not_ready",
			    "nothing is let through before this is mended: %s",
			    problem.message);
	return 0;
}

void registry_service_use(struct registry_service *service, struct registry *next)
{
	struct registry *old;

	if (!next)
		return;
	pthread_mutex_lock(&service->lock);
	old = service->registry;
	service->registry = next;
	pthread_mutex_unlock(&service->lock);
	registry_unref(old);
}

static int open_store(struct registry_service *service, const struct config *cfg,
		      struct err *err)
{
	const struct store_options options = {.url = secret_span(&cfg->store.url),
					      .timeout_ms = STORE_TIMEOUT_MS};

	if (!cfg->store.url.len)
		return 0;
	service->store = store_open(&options, err);
	return service->store ? 0 : -1;
}

struct registry_service *registry_service_new(struct config *cfg, struct err *err)
{
	struct registry_service *service = mem_zalloc(1, sizeof(*service));
	struct registry *first;

	if (!service) {
		(void)err_set(err, ERR_MEMORY, "no memory for the registry");
		return NULL;
	}
	service->internal = (struct internal_service){serve, service};
	pthread_mutex_init(&service->lock, NULL);
	service->pool = offload_new("registry", cfg->registry->threads, QUEUE, err);
	if (!service->pool || open_store(service, cfg, err) < 0 ||
	    registry_service_prepare(service, cfg, &first, err) < 0) {
		registry_service_free(service);
		return NULL;
	}
	registry_service_use(service, first);
	return service;
}

void registry_service_free(struct registry_service *service)
{
	if (!service)
		return;
	if (service->pool)
		offload_free(service->pool);
	registry_unref(service->registry);
	store_close(service->store);
	pthread_mutex_destroy(&service->lock);
	mem_free(service);
}

const struct internal_service *registry_service_handle(struct registry_service *service)
{
	return &service->internal;
}

/* ---- figures ---- */

void registry_service_metrics(const struct gateway_shared *shared, struct buf *out)
{
	const struct internal_service *internal = shared->internal[CONFIG_INTERNAL_REGISTRY];
	struct registry_service *service = internal ? internal->context : NULL;
	struct registry_counts c;
	struct registry *registry;

	if (!service)
		return;
	registry = current(service);
	registry_read_counts(registry, &c);
	registry_unref(registry);
	const struct {
		const char *name;
		const char *help;
		uint64_t value;
	} figures[] = {
		{"indexes", "Requests for indexes of packages.", c.indexes},
		{"files", "Requests for files.", c.files},
		{"refused", "Components that were refused.", c.refused},
		{"failed", "Requests that could not be judged or answered.", c.failed},
		{"upstream_requests", "Requests to upstreams.", c.upstream_requests},
		{"upstream_failures", "Requests to upstreams that failed.",
		 c.upstream_failures},
		{"cache_hits", "Files that were in the cache.", c.cache_hits},
	};

	for (size_t i = 0; i < COUNT_OF(figures); i++)
		buf_printf(out,
			   "# HELP sallyport_registry_%s_total %s\n"
			   "# TYPE sallyport_registry_%s_total counter\n"
			   "sallyport_registry_%s_total %llu\n",
			   figures[i].name, figures[i].help, figures[i].name, figures[i].name,
			   (unsigned long long)figures[i].value);
}
