#include "gateway/identity_service.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/audit.h"
#include "gateway/fields.h"
#include "gateway/internal_metrics.h"
#include "identity/idp.h"
#include "io/offload.h"
#include "parse/base64.h"
#include "parse/cookie.h"
#include "parse/form.h"

#define THREADS 4
#define QUEUE 256
/* Of logins at other providers and directories, which may be slow: they hold up nobody else. */
#define FEDERATION_THREADS 4
#define FEDERATION_QUEUE 64
#define UPKEEP_THREADS 3 /* one for each fiber */
#define UPKEEP_QUEUE 4
#define JOB_BYTES ((size_t)16 * 1024 * 1024)
#define JOB_TIMEOUT_MS 30000
#define BODY_BYTES_MAX ((size_t)64 * 1024)
#define COOKIE_BYTES_MAX ((size_t)16 * 1024)
#define MAINTAIN_MS 500
/* However long other servers take, another round begins after this one. */
#define ROUND_TIMEOUT_MS ((int64_t)20 * 60 * 1000)

struct identity_service {
	struct internal_service internal;
	struct idp *idp;
	struct offload *pool;
	struct offload *federation; /* for what waits for other servers */
	struct offload *upkeep; /* revocations of others are known however many log in */
	struct audit_log *audit_log;
	struct fiber *fiber; /* of maintenance */
	struct fiber *teller; /* tells clients of logouts, for which it waits longer */
	struct fiber *looker; /* asks directories whether users are there still */
	struct snapshot *snapshot; /* whose authenticator gets new keys; main thread */
	bool away; /* the store is, and that was logged */
};

/* ---- jobs: what a thread works on has its own memory, for it may outlive the exchange ---- */

struct identity_job {
	struct offload_job job;
	struct arena arena;
	struct config *config;
	struct idp *idp;
	struct audit_log *audit_log; /* NULL: none */
	struct idp_exchange x;
	/* of a look-up */
	struct span cookie;
	struct idp_login login;
	enum store_result result;
	/* of maintenance */
	bool keys_changed;
	struct err err;
};

static void job_free(struct offload_job *job)
{
	struct identity_job *j = CONTAINER_OF(job, struct identity_job, job);

	arena_release(&j->arena);
	config_unref(j->config);
	mem_free(j);
}

static struct identity_job *job_new(struct identity_service *service, struct config *config,
				    offload_function *run)
{
	struct identity_job *j = mem_zalloc(1, sizeof(*j));

	if (!j)
		return NULL;
	offload_job_init(&j->job, run, job_free);
	arena_init(&j->arena, JOB_BYTES, 8192);
	j->config = config_ref(config);
	j->idp = service->idp;
	j->audit_log = service->audit_log;
	return j;
}

/* Has the job of this thread written an audit record? */
static _Thread_local bool audited;

static void run_serve(struct offload_job *job)
{
	struct identity_job *j = CONTAINER_OF(job, struct identity_job, job);

	audited = false;
	if (j->x.rest)
		idp_serve_rest(&j->x);
	else
		idp_serve(&j->x);
	if (audited)
		audit_acknowledge(j->audit_log, "identity.audit");
}

static void run_find(struct offload_job *job)
{
	struct identity_job *j = CONTAINER_OF(job, struct identity_job, job);

	j->result = idp_login_find(j->idp, j->config, j->cookie, &j->arena, &j->login, &j->err);
}

static void run_maintain(struct offload_job *job)
{
	struct identity_job *j = CONTAINER_OF(job, struct identity_job, job);

	j->result = idp_maintain(j->idp, j->config, &j->keys_changed, &j->err) < 0
			    ? STORE_FAILED
			    : STORE_OK;
}

/* ---- requests ---- */

/* HTTP/2 clients send a cookie a field (RFC 9113 section 8.2.3). ptr NULL: no memory. */
static struct span cookies_of(const struct exchange *e, struct arena *arena)
{
	const struct http1_head *head = &e->x->request;
	struct span joined;
	struct buf all;

	if (!head->first[HTTP_FIELD_COOKIE])
		return SPAN("");
	buf_init(&all, COOKIE_BYTES_MAX);
	for (size_t i = head->first[HTTP_FIELD_COOKIE] - 1u; i < head->field_count; i++) {
		if (head->fields[i].id != HTTP_FIELD_COOKIE)
			continue;
		if (all.len)
			buf_append_cstr(&all, "; ");
		buf_append(&all, head->fields[i].value);
	}
	joined = buf_failed(&all) ? SPAN_NONE : arena_dup(arena, buf_span(&all));
	if (all.ptr)
		secret_wipe(all.ptr, all.len);
	buf_release(&all);
	return joined;
}

static struct span copy_field(const struct exchange *e, struct span name, struct arena *arena,
			      bool *failed)
{
	const struct http1_head *head = &e->x->request;

	for (size_t i = 0; i < head->field_count; i++) {
		struct span copy;

		if (!span_eq_nocase(head->fields[i].name, name))
			continue;
		copy = arena_dup(arena, head->fields[i].value);
		*failed = *failed || !copy.ptr;
		return copy;
	}
	return SPAN("");
}

static struct span copy(struct span from, struct arena *arena, bool *failed)
{
	struct span to = from.len ? arena_dup(arena, from) : SPAN("");

	*failed = *failed || !to.ptr;
	return to;
}

/* An IPv6 client commands a /64: it counts as one. */
static struct span address_text(const struct exchange *e, struct arena *arena, bool *failed)
{
	struct address address = e->client;
	char text[ADDRESS_TEXT_SIZE];

	if (!address_is_ipv4(&address))
		memset(address.bytes + 8, 0, 8);
	return copy(span_of(text, address_format(&address, text)), arena, failed);
}

static struct config_strings copy_names(const struct span *names, size_t count,
					struct arena *arena, bool *failed)
{
	struct config_strings list = {arena_array(arena, struct span, count + 1), 0};

	*failed = *failed || !list.at;
	for (size_t i = 0; list.at && i < count; i++)
		list.at[list.count++] = copy(names[i], arena, failed);
	return list;
}

/* NULL: the client has shown none that can be used. */
static const struct idp_certificate *copy_certificate(struct exchange *e, struct arena *arena,
						      bool *failed)
{
	enum tls_peer peer;
	const struct tls_identity *from = exchange_certificate(e, &peer);
	struct idp_certificate *to;
	char *text;

	*failed = *failed || peer == TLS_PEER_NO_MEMORY;
	if (!from)
		return NULL;
	to = arena_new(arena, struct idp_certificate);
	text = arena_alloc(arena, base64url_encoded_size(sizeof(from->thumbprint)) + 1);
	if (!to || !text) {
		*failed = true;
		return NULL;
	}
	*to = (struct idp_certificate){
		.verified = peer == TLS_PEER_VERIFIED,
		.subject = copy(from->subject, arena, failed),
		.dns_names = copy_names(from->dns_names, from->dns_name_count, arena, failed),
		.uris = copy_names(from->uris, from->uri_count, arena, failed),
		.thumbprint = span_of(
			text, base64url_encode(text, span_of(from->thumbprint,
							     sizeof(from->thumbprint))))};
	return to;
}

static bool has_field(const struct exchange *e, struct span name)
{
	const struct http1_head *head = &e->x->request;

	for (size_t i = 0; i < head->field_count; i++)
		if (span_eq_nocase(head->fields[i].name, name))
			return true;
	return false;
}

static bool is_repeated(const struct exchange *e, struct span name)
{
	const struct http1_head *head = &e->x->request;
	size_t count = 0;

	for (size_t i = 0; i < head->field_count; i++)
		count += span_eq_nocase(head->fields[i].name, name);
	return count > 1;
}

static int fill(struct identity_job *j, struct exchange *e, struct span body)
{
	struct arena *arena = &j->arena;
	bool failed = false;

	j->x = (struct idp_exchange){
		.idp = j->idp,
		.config = j->config,
		.arena = arena,
		.method = e->x->request.method,
		.path = copy(e->path, arena, &failed),
		.query = copy(e->query, arena, &failed),
		.body = copy(body, arena, &failed),
		.cookie = cookies_of(e, arena),
		.authorization = copy_field(e, SPAN("authorization"), arena, &failed),
		.content_type = copy_field(e, SPAN("content-type"), arena, &failed),
		.origin = copy_field(e, SPAN("origin"), arena, &failed),
		.fetch_site = copy_field(e, SPAN("sec-fetch-site"), arena, &failed),
		.user_agent = copy_field(e, SPAN("user-agent"), arena, &failed),
		.address = address_text(e, arena, &failed),
		.dpop = copy_field(e, SPAN("dpop"), arena, &failed),
		.dpop_repeated = is_repeated(e, SPAN("dpop")),
		.certificate = copy_certificate(e, arena, &failed),
		.begun_ms = clock_ms(),
	};
	return failed || !j->x.cookie.ptr ? -1 : 0;
}

/* What the caller may administer: looked at here, for an identity belongs to the worker's thread. */
static int fill_admin(struct identity_job *j, struct exchange *e)
{
	const struct identity *identity = e->identity;
	bool failed = false;

	if (!span_starts_with(e->path, SPAN(IDP_ADMIN_PATH)) || !identity ||
	    identity->kind == IDENTITY_ANONYMOUS)
		return 0;
	j->x.actor = copy(identity->subject.len ? identity->subject : identity->client,
			  &j->arena, &failed);
	j->x.if_match = copy_field(e, SPAN("if-match"), &j->arena, &failed);
	for (unsigned area = 0; area < IDP_ADMIN_AREAS; area++) {
		const char *name = idp_admin_area_name((enum idp_admin_area)area);
		struct span read = arena_printf(&j->arena, "identity:read:%s", name);
		struct span write = arena_printf(&j->arena, "identity:write:%s", name);

		if (!read.ptr || !write.ptr)
			return -1;
		j->x.may_write |= (unsigned)identity_has_permission(identity, write) << area;
		j->x.may_read |= (unsigned)identity_has_permission(identity, read) << area;
	}
	return failed ? -1 : 0;
}

static enum phase_result send_job(struct exchange *e, const struct identity_job *j)
{
	const struct http_response response = {
		.status = j->x.status, .fields = j->x.fields, .field_count = j->x.field_count};

	e->reason = j->x.reason;
	return internal_respond(e, &response, j->x.content);
}

/* What can be answered from memory needs neither another thread nor a copy of the request. */
static bool serve_now(struct exchange *e, const struct identity_service *service,
		      struct span body, enum phase_result *result)
{
	const struct http1_head *head = &e->x->request;
	struct idp_exchange x = {.idp = service->idp,
				 .config = e->snapshot->config,
				 .arena = &e->x->arena,
				 .method = head->method,
				 .path = e->path,
				 .body = body,
				 .authorization = http1_field(head, HTTP_FIELD_AUTHORIZATION),
				 .content_type = http1_field(head, HTTP_FIELD_CONTENT_TYPE),
				 .dpop_repeated = has_field(e, SPAN("dpop"))};
	struct http_response response;

	if (is_repeated(e, SPAN("authorization")) || !idp_serve_now(&x))
		return false;
	/* A signature leaves nothing of the kernel's in the near caches, and each answer wakes its client. */
	fiber_gather();
	response = (struct http_response){
		.status = x.status, .fields = x.fields, .field_count = x.field_count};
	e->reason = x.reason;
	*result = internal_respond(e, &response, x.content);
	return true;
}

/* Runs it, and what is left of it, each where it may wait for what it waits for. */
static int run_job(const struct identity_service *service, struct identity_job *j,
		   struct err *err)
{
	bool waits = idp_waits_for_others(j->config, j->x.path, j->x.body);
	int64_t deadline = loop_deadline_ms(JOB_TIMEOUT_MS);

	if (offload_call(waits ? service->federation : service->pool, &j->job, deadline, err) <
	    0)
		return -1;
	return j->x.rest ? offload_call(service->federation, &j->job, deadline, err) : 0;
}

/* -1: the client has gone, or we are ending. */
static int wait_until(int64_t not_before_ms)
{
	int64_t left_ms = not_before_ms ? not_before_ms - clock_ms() : 0;

	return left_ms > 0 && fiber_sleep_ms(left_ms) == FIBER_CANCELLED ? -1 : 0;
}

static enum phase_result serve(struct exchange *e, void *context)
{
	struct identity_service *service = context;
	struct identity_job *j;
	enum phase_result result;
	struct span body;
	struct err err;

	result = internal_read_body(e, BODY_BYTES_MAX, &body);
	if (result != PHASE_NEXT)
		return result;
	if (serve_now(e, service, body, &result))
		return result;
	j = job_new(service, e->snapshot->config, run_serve);
	if (!j || fill(j, e, body) < 0 || fill_admin(j, e) < 0) {
		if (j)
			job_free(&j->job);
		return answer_problem(e, 503, "out-of-memory", NULL);
	}
	if (run_job(service, j, &err) < 0) {
		if (e->x->client_gone || err.code == ERR_CANCELLED)
			return PHASE_GONE;
		exchange_add_field(e, SPAN("retry-after"), SPAN("1"));
		return answer_problem(e, 503, "unavailable", NULL);
	}
	result = wait_until(j->x.not_before_ms) < 0 ? PHASE_GONE : send_job(e, j);
	job_free(&j->job);
	return result;
}

/* ---- auth: session ---- */

/*
 * A request that changes something must come from a page of ours: browsers say where from in
 * Sec-Fetch-Site or Origin, and no page can make them lie. SameSite of the cookie is the other wall,
 * which stands between sites only, not between the hosts of one. A WebSocket begins with GET, and then
 * the page can say and hear anything.
 */
static bool comes_from_elsewhere(const struct exchange *e)
{
	const struct http1_head *head = &e->x->request;
	struct span origin = http1_field(head, HTTP_FIELD_ORIGIN);

	if (http_method_is_safe(head->method) &&
	    !(head->upgrade && e->route->config->websocket))
		return false;
	if (fields_value_contains(head, SPAN("sec-fetch-site"), SPAN("same-origin")))
		return false;
	return !origin.ptr || !span_eq(origin, e->snapshot->config->identity.issuer);
}

static enum phase_result send_to_login(struct exchange *e)
{
	struct http_field fields[2] = {
		{SPAN("cache-control"), SPAN("no-store"), HTTP_FIELD_CACHE_CONTROL},
		{SPAN("location"), SPAN_NONE, HTTP_FIELD_LOCATION}};
	const struct http_response response = {
		.status = 303, .fields = fields, .field_count = COUNT_OF(fields)};
	struct buf to;

	buf_init(&to, (size_t)64 * 1024);
	buf_append(&to, e->snapshot->config->identity.issuer);
	buf_append_cstr(&to, "/identity/login?return=");
	form_append_escaped(&to, e->path);
	if (e->query.len) {
		buf_append_cstr(&to, "%3F");
		form_append_escaped(&to, e->query);
	}
	fields[1].value = buf_failed(&to) ? SPAN_NONE : arena_dup(&e->x->arena, buf_span(&to));
	buf_release(&to);
	if (!fields[1].value.ptr)
		return answer_problem(e, 503, "out-of-memory", NULL);
	e->reason = "login_needed";
	return internal_respond(e, &response, SPAN(""));
}

static enum phase_result refuse_session(struct exchange *e)
{
	if (fields_want_page(&e->x->request))
		return send_to_login(e);
	e->reason = "no_session";
	exchange_add_field(e, SPAN("www-authenticate"), SPAN("Session realm=\"login\""));
	return answer_problem(e, 401, "unauthenticated", NULL);
}

enum phase_result identity_service_login(struct exchange *e)
{
	return refuse_session(e);
}

static enum phase_result use_login(struct exchange *e, struct identity_job *j)
{
	struct identity *identity;

	switch (j->result) {
	case STORE_OK: break;
	case STORE_ABSENT:
	case STORE_CONFLICT: return refuse_session(e);
	case STORE_FAILED:
		log_message(LOG_WARN, "identity.store", "%s", j->err.message);
		exchange_add_field(e, SPAN("retry-after"), SPAN("1"));
		return answer_problem(e, 503, "unavailable", NULL);
	}
	identity = idp_login_identity(&j->login, e->snapshot->authenticator);
	if (!identity)
		return answer_problem(e, 503, "out-of-memory", NULL);
	e->identity = e->identity_held = identity;
	return PHASE_NEXT;
}

static struct identity_service *service_of(const struct exchange *e)
{
	const struct internal_service *internal =
		e->worker->shared->internal[CONFIG_INTERNAL_IDENTITY];

	return internal ? internal->context : NULL;
}

enum phase_result identity_service_session(struct exchange *e)
{
	struct identity_service *service = service_of(e);
	struct identity_job *j;
	enum phase_result result;
	struct span all;
	struct err err;

	if (!service)
		return answer_problem(e, 503, "unavailable", NULL);
	if (comes_from_elsewhere(e)) {
		e->reason = "cross_site";
		return answer_problem(e, 403, "cross-site",
				      "The request does not come from a page of this site.");
	}
	j = job_new(service, e->snapshot->config, run_find);
	all = j ? cookies_of(e, &j->arena) : SPAN_NONE;
	if (!all.ptr) {
		if (j)
			job_free(&j->job);
		return answer_problem(e, 503, "out-of-memory", NULL);
	}
	if (cookie_find(all, SPAN(IDP_SESSION_COOKIE), &j->cookie) != COOKIE_FOUND) {
		job_free(&j->job);
		return refuse_session(e);
	}
	if (offload_call(service->pool, &j->job, loop_deadline_ms(JOB_TIMEOUT_MS), &err) < 0) {
		if (e->x->client_gone || err.code == ERR_CANCELLED)
			return PHASE_GONE;
		return answer_problem(e, 503, "unavailable", NULL);
	}
	result = use_login(e, j);
	job_free(&j->job);
	return result;
}

bool identity_service_revoked(const struct exchange *e, const struct identity *identity)
{
	const struct identity_service *service = service_of(e);

	return service &&
	       (identity->kind == IDENTITY_JWT || identity->kind == IDENTITY_OPAQUE) &&
	       span_eq(identity->issuer, e->snapshot->config->identity.issuer) &&
	       idp_is_revoked(service->idp, identity);
}

/* ---- life ---- */

static void on_audit(void *context, const char *event, struct span members)
{
	const struct identity_service *service = context;

	if (!service->audit_log)
		return;
	audit_event(service->audit_log, event, members);
	audited = true;
}

struct identity_service *identity_service_new(struct config *cfg, struct audit_log *audit_log,
					      struct err *err)
{
	struct identity_service *service = mem_zalloc(1, sizeof(*service));
	struct span password;

	if (!service) {
		(void)err_set(err, ERR_MEMORY, "no memory for the identity server");
		return NULL;
	}
	service->internal = (struct internal_service){serve, service};
	service->audit_log = audit_log;
	service->pool = offload_new("identity", THREADS, QUEUE, err);
	if (service->pool)
		service->federation =
			offload_new("federation", FEDERATION_THREADS, FEDERATION_QUEUE, err);
	if (service->federation)
		service->upkeep = offload_new("upkeep", UPKEEP_THREADS, UPKEEP_QUEUE, err);
	if (service->upkeep) {
		const struct idp_options options = {
			.config = cfg, .audit = on_audit, .audit_context = service};

		service->idp = idp_open(&options, true, err);
	}
	if (!service->idp) {
		identity_service_free(service);
		return NULL;
	}
	password = idp_first_password(service->idp);
	if (password.len)
		fprintf(stderr,
			"The first start has made the user \"admin\" with the one-time "
			"password "
			"%.*s\n",
			SPAN_ARG(password));
	return service;
}

void identity_service_free(struct identity_service *service)
{
	if (!service)
		return;
	if (service->pool)
		offload_free(service->pool);
	if (service->federation)
		offload_free(service->federation);
	if (service->upkeep)
		offload_free(service->upkeep);
	snapshot_unref(service->snapshot);
	idp_close(service->idp);
	mem_free(service);
}

const struct internal_service *identity_service_handle(struct identity_service *service)
{
	return &service->internal;
}

static int give_keys(struct identity_service *service, struct snapshot *snapshot,
		     struct err *err)
{
	struct buf jwks;
	int result;

	buf_init(&jwks, (size_t)1024 * 1024);
	if (idp_jwks(service->idp, &jwks) < 0)
		result = err_set(err, ERR_MEMORY, "no memory for keys");
	else
		result = authenticator_use_jwks(snapshot->authenticator, buf_span(&jwks), err);
	buf_release(&jwks);
	return result;
}

int identity_service_use(struct identity_service *service, struct snapshot *snapshot,
			 struct err *err)
{
	if (give_keys(service, snapshot, err) < 0)
		return -1;
	authenticator_use_idp(snapshot->authenticator, service->idp);
	snapshot_unref(service->snapshot);
	service->snapshot = snapshot_ref(snapshot);
	return 0;
}

/* ---- maintenance ---- */

static void log_away(struct identity_service *service, const struct err *err)
{
	if (!service->away)
		log_message(LOG_WARN, "identity.store", "%s", err->message);
	service->away = true;
}

static void maintain_once(struct identity_service *service)
{
	struct identity_job *j = job_new(service, service->snapshot->config, run_maintain);
	struct err err;

	if (!j)
		return;
	if (offload_call(service->upkeep, &j->job, loop_deadline_ms(JOB_TIMEOUT_MS), &err) <
	    0) {
		log_away(service, &err);
		return;
	}
	if (j->result == STORE_FAILED)
		log_away(service, &j->err);
	else
		service->away = false;
	if (j->keys_changed && give_keys(service, service->snapshot, &err) < 0)
		log_message(LOG_ERROR, "identity.keys", "%s", err.message);
	job_free(&j->job);
}

static void run_tell(struct offload_job *job)
{
	struct identity_job *j = CONTAINER_OF(job, struct identity_job, job);

	j->result = idp_tell_clients(j->idp, j->config, &j->err) < 0 ? STORE_FAILED : STORE_OK;
}

static void run_recheck(struct offload_job *job)
{
	struct identity_job *j = CONTAINER_OF(job, struct identity_job, job);

	j->result = idp_recheck(j->idp, j->config, &j->err) < 0 ? STORE_FAILED : STORE_OK;
}

/* That the store is away is said by what maintains. */
static void run_rounds(struct identity_service *service, offload_function *run)
{
	struct err err;

	while (fiber_sleep_ms(MAINTAIN_MS) != FIBER_CANCELLED) {
		struct identity_job *j = job_new(service, service->snapshot->config, run);

		if (j && offload_call(service->upkeep, &j->job,
				      loop_deadline_ms(ROUND_TIMEOUT_MS), &err) == 0)
			job_free(&j->job);
	}
}

static void tell_main(void *arg)
{
	struct identity_service *service = arg;

	run_rounds(service, run_tell);
	service->teller = NULL;
}

static void look_main(void *arg)
{
	struct identity_service *service = arg;

	run_rounds(service, run_recheck);
	service->looker = NULL;
}

static void maintain_main(void *arg)
{
	struct identity_service *service = arg;

	while (fiber_sleep_ms(MAINTAIN_MS) != FIBER_CANCELLED)
		maintain_once(service);
	service->fiber = NULL;
}

int identity_service_start(struct identity_service *service, struct err *err)
{
	service->fiber = fiber_start(maintain_main, service, err);
	if (service->fiber)
		service->teller = fiber_start(tell_main, service, err);
	if (service->teller)
		service->looker = fiber_start(look_main, service, err);
	return service->looker ? 0 : -1;
}

void identity_service_stop(struct identity_service *service)
{
	if (service && service->fiber)
		fiber_cancel(service->fiber);
	if (service && service->teller)
		fiber_cancel(service->teller);
	if (service && service->looker)
		fiber_cancel(service->looker);
}

void identity_service_metrics(const struct gateway_shared *shared, struct buf *out)
{
	const struct internal_service *internal = shared->internal[CONFIG_INTERNAL_IDENTITY];
	const struct identity_service *service = internal ? internal->context : NULL;

	if (service)
		idp_metrics(service->idp, out);
}
