#include "gateway/admin.h"

#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/admin_guard.h"
#include "gateway/audit.h"
#include "gateway/ban_service.h"
#include "gateway/contract_plan.h"
#include "gateway/discovery.h"
#include "gateway/internal_metrics.h"
#include "gateway/procedure_service.h"
#include "gateway/procedure_timeline.h"
#include "gateway/webhook_service.h"
#include "guard/ban_who.h"
#include "io/net_address.h"
#include "parse/json.h"
#include "parse/json_write.h"
#include "parse/prometheus.h"
#include "parse/uri.h"

#define BODY_MAX ((size_t)16 << 20)
#define ANSWER_TIMEOUT_MS 10000
#define ACTION_MAX 4096

struct admin {
	struct listener listener;
	struct http_server server;
	struct snapshot *snapshot;
	struct metrics *const *metrics;
	size_t metrics_count;
	const struct gateway_shared *shared;
	struct overload_watch *watch;
	bool loopback;
	bool draining;
};

static void answer(struct http_exchange *x, unsigned status, struct span type, struct span body)
{
	struct http_field fields[] = {
		{SPAN("content-type"), type, HTTP_FIELD_CONTENT_TYPE},
		{SPAN("cache-control"), SPAN("no-store"), HTTP_FIELD_CACHE_CONTROL},
		{SPAN("x-content-type-options"), SPAN("nosniff"),
		 HTTP_FIELD_X_CONTENT_TYPE_OPTIONS},
		{SPAN("allow"), SPAN("GET, HEAD, POST"), HTTP_FIELD_ALLOW},
	};
	struct http_response response = {.status = status,
					 .fields = fields,
					 .field_count = status == 405 ? 4 : 3,
					 .content_length = (int64_t)body.len};

	/* A client that does not take the answer is closed by the connection. */
	http_respond(x, &response, body, loop_deadline_ms(ANSWER_TIMEOUT_MS));
}

static void answer_problem(struct http_exchange *x, unsigned status, struct span type,
			   struct span detail)
{
	struct span body = arena_printf(
		&x->arena,
		"{\"type\":\"urn:sallyport:problem:%.*s\",\"title\":\"%.*s\",\"status\":%u,"
		"\"detail\":\"%.*s\"}\n",
		SPAN_ARG(type), SPAN_ARG(http_reason_phrase(status)), status, SPAN_ARG(detail));

	answer(x, status, SPAN("application/problem+json"), body);
}

static void answer_buf(struct http_exchange *x, struct span type, struct buf *body)
{
	if (buf_failed(body))
		answer_problem(x, 503, SPAN("out-of-memory"), SPAN("no memory for the answer"));
	else
		answer(x, 200, type, buf_span(body));
	buf_release(body);
}

/* What is not known is not said. */
static void print_usage(const struct admin *admin, struct buf *out)
{
	struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
	struct overload_usage used;
	struct rusage usage;

	overload_watch_read(admin->watch, &used);
	if (used.resident_bytes)
		prometheus_number(out, "process_resident_memory_bytes", "gauge",
				  "Resident memory.", used.resident_bytes);
	if (used.descriptors)
		prometheus_number(out, "process_open_fds", "gauge", "Open file descriptors.",
				  used.descriptors);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		prometheus_number(out, "process_max_fds", "gauge", "How many may be open.",
				  limit.rlim_cur);
	if (getrusage(RUSAGE_SELF, &usage) < 0)
		return;
	prometheus_head(out, "process_cpu_seconds_total", "counter",
			"Processor time, user and system.");
	buf_printf(out, "process_cpu_seconds_total %.6f\n",
		   (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
}

static void print_limiter(const struct limiter *limiter, struct buf *out)
{
	struct limiter_stats stats;

	limiter_read_stats(limiter, &stats);
	prometheus_number(out, "sallyport_limiter_keys", "gauge",
			  "Users, addresses and so on that rate limits remember.", stats.keys);
	prometheus_number(out, "sallyport_limiter_keys_max", "gauge",
			  "How many they can remember.", stats.capacity);
	prometheus_number(out, "sallyport_limiter_evictions_total", "counter",
			  "Keys forgotten before their time to make room.", stats.evictions);
}

static void print_process(const struct admin *admin, struct buf *out)
{
	struct authenticator_stats stats = {0};

	authenticator_read_stats(admin->snapshot->authenticator, &stats);
	prometheus_head(out, "sallyport_build_info", "gauge", "The version that runs.");
	buf_append_cstr(out, "sallyport_build_info{version=\"" SALLYPORT_VERSION "\"} 1\n");
	prometheus_number(out, "process_start_time_seconds", "gauge",
			  "When the server process started.",
			  (uint64_t)admin->shared->started_unix_s);
	prometheus_number(out, "sallyport_config_generation", "gauge",
			  "Configurations loaded so far.", admin->snapshot->generation);
	prometheus_head(out, "sallyport_key_set_refreshes_total", "counter",
			"Key sets read or fetched.");
	buf_printf(out,
		   "sallyport_key_set_refreshes_total{result=\"ok\"} %llu\n"
		   "sallyport_key_set_refreshes_total{result=\"error\"} %llu\n",
		   (unsigned long long)stats.refreshes,
		   (unsigned long long)stats.refresh_errors);
}

static void print_audit(struct audit_log *log, struct buf *out)
{
	struct audit_stats stats;

	if (!log)
		return;
	audit_read_stats(log, &stats);
	prometheus_number(out, "sallyport_audit_records_total", "counter",
			  "Records written to the audit log.", stats.written);
	prometheus_number(out, "sallyport_audit_lost_total", "counter",
			  "Events that the audit log has lost.", stats.lost);
	prometheus_number(out, "sallyport_audit_failures_total", "counter",
			  "Writes of the audit log that failed.", stats.failures);
}

static void answer_metrics(struct admin *admin, struct http_exchange *x)
{
	struct buf body;

	if (admin->draining) {
		answer_problem(x, 503, SPAN("draining"), SPAN("the server is ending"));
		return;
	}
	buf_init(&body, BODY_MAX);
	metrics_print(admin->metrics, admin->metrics_count, &body);
	print_process(admin, &body);
	print_usage(admin, &body);
	print_limiter(admin->shared->limiter, &body);
	admin_guard_metrics(admin->snapshot, &body);
	admin_guard_overload_metrics(admin->shared, &body);
	if (admin->shared->bans)
		ban_service_metrics(admin->shared->bans, &body);
	if (admin->shared->procedures)
		procedure_service_metrics(admin->shared->procedures, &body);
	if (admin->shared->webhooks)
		webhook_service_metrics(admin->shared->webhooks, &body);
	discovery_metrics(admin->shared->discovery, &body);
	identity_service_metrics(admin->shared, &body);
	registry_service_metrics(admin->shared, &body);
	patches_metrics(admin->snapshot, &body);
	print_audit(admin->shared->audit_log, &body);
	answer_buf(x, SPAN("text/plain; version=0.0.4; charset=utf-8"), &body);
}

static void answer_ready(struct admin *admin, struct http_exchange *x)
{
	if (admin->draining)
		answer_problem(x, 503, SPAN("draining"), SPAN("the server is ending"));
	else if (!authenticator_is_ready(admin->snapshot->authenticator))
		answer_problem(x, 503, SPAN("no-keys"),
			       SPAN("a provider's keys are not there yet"));
	else
		answer(x, 200, SPAN("text/plain"), SPAN("ready\n"));
}

static void answer_config(struct admin *admin, struct http_exchange *x)
{
	struct buf body;

	if (admin->shared->audit_log)
		audit_event(admin->shared->audit_log, "admin.config_read", SPAN_NONE);
	buf_init(&body, BODY_MAX);
	config_print_masked(admin->snapshot->config, &body);
	answer_buf(x, SPAN("application/json"), &body);
}

static void answer_services(struct admin *admin, struct http_exchange *x)
{
	struct buf body;

	buf_init(&body, BODY_MAX);
	admin_guard_print(admin->snapshot, admin->shared, &body);
	answer_buf(x, SPAN("application/json"), &body);
}

/* The whole body in the arena; false when it is too large, or does not come. */
static bool read_request_body(struct http_exchange *x, struct span *body)
{
	struct buf whole;
	struct span piece;
	enum io_result result;

	buf_init(&whole, ACTION_MAX);
	while ((result = http_read_body(x, &piece, loop_deadline_ms(ANSWER_TIMEOUT_MS))) ==
	       IO_OK)
		buf_append(&whole, piece);
	*body = result == IO_EOF && !buf_failed(&whole) ? arena_dup(&x->arena, buf_span(&whole))
							: SPAN_NONE;
	buf_release(&whole);
	return body->ptr != NULL;
}

/*
 * A web page can make a browser post to us, but not with this type and without asking first
 * (Fetch standard: a preflight, which we refuse).
 */
static bool is_from_a_page(const struct http_exchange *x)
{
	struct span type = http1_field(&x->request, HTTP_FIELD_CONTENT_TYPE);

	return http1_field(&x->request, HTTP_FIELD_ORIGIN).ptr ||
	       !span_eq_nocase(span_trim(span_cut(&type, ';')), SPAN("application/json"));
}

static void answer_bans(struct admin *admin, struct http_exchange *x)
{
	struct buf body;

	if (!admin->shared->bans) {
		answer(x, 200, SPAN("application/json"), SPAN("{\"bans\":[]}\n"));
		return;
	}
	buf_init(&body, BODY_MAX);
	ban_service_print(admin->shared->bans, &body);
	answer_buf(x, SPAN("application/json"), &body);
}

/* {"client": NAME}, as the list of bans shows it, or an address. */
static void lift_ban(struct admin *admin, struct http_exchange *x, struct span body)
{
	const struct json *json = json_parse(&x->arena, body, NULL, NULL);
	struct span client;
	struct ban ban;

	if (!json_string(json_get(json, SPAN("client")), &client) ||
	    !ban_who_parse(client, &ban))
		answer_problem(x, 422, SPAN("invalid"),
			       SPAN("post the client: an address, or a name as /bans has it"));
	else if (!admin->shared->bans ||
		 !ban_service_lift(admin->shared->bans, ban.hash, "by the admin listener"))
		answer_problem(x, 404, SPAN("not-found"), SPAN("no such client is banned"));
	else
		answer_bans(admin, x);
}

/* All that `sallyport status` shows, in one answer, so that its parts are of one moment. */
static void answer_status(struct admin *admin, struct http_exchange *x)
{
	struct overload_usage used;
	struct json_writer w;
	struct buf body;

	overload_watch_read(admin->watch, &used);
	buf_init(&body, BODY_MAX);
	json_writer_init(&w, &body);
	json_begin_object(&w);
	json_member_string(&w, SPAN("version"), SPAN(SALLYPORT_VERSION));
	json_member_int(&w, SPAN("time_unix_ms"), clock_unix_ms());
	json_member_int(&w, SPAN("started_unix_s"), admin->shared->started_unix_s);
	json_member_int(&w, SPAN("generation"), (int64_t)admin->snapshot->generation);
	json_member_int(&w, SPAN("memory_bytes"), (int64_t)used.resident_bytes);
	json_member_bool(&w, SPAN("draining"), admin->draining);
	if (metrics_put_json(admin->metrics, admin->draining ? 0 : admin->metrics_count, &w) <
	    0)
		body.failed = true;
	json_key(&w, SPAN("guard"));
	json_put_raw(&w, SPAN(""));
	admin_guard_print(admin->snapshot, admin->shared, &body);
	if (admin->shared->procedures) {
		json_key(&w, SPAN("procedures"));
		json_put_raw(&w, SPAN(""));
		procedure_service_print(admin->shared->procedures, &body);
	}
	if (admin->shared->discovery) {
		json_key(&w, SPAN("discovery"));
		json_put_raw(&w, SPAN(""));
		discovery_print(admin->shared->discovery, &body);
	}
	json_end_object(&w);
	buf_append_byte(&body, '\n');
	answer_buf(x, SPAN("application/json"), &body);
}

static void answer_procedures(struct admin *admin, struct http_exchange *x)
{
	bool timeline = span_eq(x->request.target, SPAN("/guard/timeline"));
	struct buf body;

	if (!timeline && !admin->shared->procedures) {
		answer(x, 200, SPAN("application/json"), SPAN("{\"procedures\":[]}\n"));
		return;
	}
	buf_init(&body, BODY_MAX);
	if (timeline)
		timeline_print(admin->shared->timeline, &body);
	else
		procedure_service_print(admin->shared->procedures, &body);
	answer_buf(x, SPAN("application/json"), &body);
}

static void answer_discovery(struct admin *admin, struct http_exchange *x)
{
	struct buf body;

	buf_init(&body, BODY_MAX);
	discovery_print(admin->shared->discovery, &body);
	answer_buf(x, SPAN("application/json"), &body);
}

static void answer_webhooks(struct admin *admin, struct http_exchange *x)
{
	struct buf body;
	struct err err;

	if (!admin->shared->webhooks) {
		answer(x, 200, SPAN("application/json"),
		       SPAN("{\"webhooks\":[],\"dead\":[]}\n"));
		return;
	}
	buf_init(&body, BODY_MAX);
	if (webhook_service_print(admin->shared->webhooks, &body, &err) == 0) {
		answer_buf(x, SPAN("application/json"), &body);
		return;
	}
	log_message(LOG_ERROR, "admin.webhooks", "%s", err.message);
	answer_problem(x, 503, SPAN("unavailable"), SPAN("the store failed"));
	buf_release(&body);
}

/* {"id": ID} to /webhooks/retry or /webhooks/discard. */
static void act_on_webhook(struct admin *admin, struct http_exchange *x, struct span body)
{
	const struct json *json = json_parse(&x->arena, body, NULL, NULL);
	const char *why = "no webhooks are configured";
	unsigned status = 404;
	struct span id;

	if (!json_string(json_get(json, SPAN("id")), &id)) {
		answer_problem(x, 422, SPAN("invalid"), SPAN("post the id of a delivery"));
		return;
	}
	if (admin->shared->webhooks)
		status = webhook_service_act(admin->shared->webhooks, x->request.target, id,
					     &why);
	if (status != 200)
		answer_problem(x, status,
			       status == 404 ? SPAN("not-found") : SPAN("unavailable"),
			       span_cstr(why));
	else
		answer_webhooks(admin, x);
}

static void act(struct admin *admin, struct http_exchange *x)
{
	struct span body, what = SPAN_NONE;
	const char *why = NULL;
	unsigned status;

	if (!admin->snapshot->config->admin.actions) {
		answer_problem(x, 403, SPAN("actions-off"), SPAN("admin.actions is off"));
		return;
	}
	if (is_from_a_page(x)) {
		answer_problem(x, 415, SPAN("not-json"),
			       SPAN("post application/json, not from a web page"));
		return;
	}
	if (!read_request_body(x, &body)) {
		answer_problem(x, 413, SPAN("body-too-large"), SPAN("at most 4 KiB"));
		return;
	}
	if (span_eq(x->request.target, SPAN("/bans/lift"))) {
		lift_ban(admin, x, body);
		return;
	}
	if (span_starts_with(x->request.target, SPAN("/webhooks/"))) {
		act_on_webhook(admin, x, body);
		return;
	}
	status = admin_guard_act(admin->snapshot, x->request.target, body, &x->arena, &why,
				 &what);
	if (status != 200) {
		answer_problem(x, status, status == 404 ? SPAN("not-found") : SPAN("invalid"),
			       span_cstr(why));
		return;
	}
	if (admin->shared->audit_log)
		audit_event(admin->shared->audit_log, "admin.breaker", what);
	answer_services(admin, x);
}

static void answer_patches(struct admin *admin, struct http_exchange *x)
{
	struct buf body;

	buf_init(&body, BODY_MAX);
	patches_print(admin->snapshot, &body);
	answer_buf(x, SPAN("application/json"), &body);
}

/* What broke a contract, or would have been refused. */
static void answer_contracts(struct admin *admin, struct http_exchange *x)
{
	struct buf body;

	buf_init(&body, BODY_MAX);
	contract_plan_report(admin->snapshot, &body);
	answer_buf(x, SPAN("application/json"), &body);
}

/* A web page must not reach us through a name that it points at the loopback address. */
static bool host_is_ours(const struct admin *admin, struct span authority)
{
	struct span host;
	unsigned port;

	if (!admin->loopback)
		return true;
	if (!uri_split_authority(authority, &host, &port))
		return false;
	return span_eq_nocase(host, SPAN("localhost")) || span_eq(host, SPAN("127.0.0.1")) ||
	       span_eq(host, SPAN("[::1]"));
}

static void handle(struct http_exchange *x)
{
	struct admin *admin = x->server->data;
	struct span path = x->request.target;

	if (x->malformed_status)
		answer_problem(x, x->malformed_status, SPAN("malformed-request"),
			       span_cstr(x->malformed));
	else if (!host_is_ours(admin, x->request.authority))
		answer_problem(x, 403, SPAN("wrong-host"),
			       SPAN("use localhost or the address"));
	else if (x->request.method == HTTP_METHOD_POST)
		act(admin, x);
	else if (x->request.method != HTTP_METHOD_GET && x->request.method != HTTP_METHOD_HEAD)
		answer_problem(x, 405, SPAN("method-not-allowed"),
			       SPAN("only GET, HEAD and POST"));
	else if (span_eq(path, SPAN("/metrics")))
		answer_metrics(admin, x);
	else if (span_eq(path, SPAN("/healthz")))
		answer(x, 200, SPAN("text/plain"), SPAN("ok\n"));
	else if (span_eq(path, SPAN("/readyz")))
		answer_ready(admin, x);
	else if (span_eq(path, SPAN("/config")))
		answer_config(admin, x);
	else if (span_eq(path, SPAN("/services")) || span_eq(path, SPAN("/guard")))
		answer_services(admin, x);
	else if (span_eq(path, SPAN("/patches")))
		answer_patches(admin, x);
	else if (span_eq(path, SPAN("/bans")))
		answer_bans(admin, x);
	else if (span_eq(path, SPAN("/status")))
		answer_status(admin, x);
	else if (span_eq(path, SPAN("/guard/procedures")) ||
		 span_eq(path, SPAN("/guard/timeline")))
		answer_procedures(admin, x);
	else if (span_eq(path, SPAN("/guard/discovery")))
		answer_discovery(admin, x);
	else if (span_eq(path, SPAN("/webhooks")))
		answer_webhooks(admin, x);
	else if (span_eq(path, SPAN("/contracts")))
		answer_contracts(admin, x);
	else if (span_eq(path, SPAN("/")))
		answer(x, 200, SPAN("text/plain"),
		       SPAN("/metrics\n/healthz\n/readyz\n/config\n/services\n/contracts\n/"
			    "bans\n/webhooks\n/status\n/guard/procedures\n/guard/timeline\n"
			    "/guard/discovery\n"));
	else
		answer_problem(x, 404, SPAN("not-found"), SPAN("see / for what there is"));
}

static void on_accept(struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
	struct admin *admin = CONTAINER_OF(listener, struct admin, listener);

	http_server_accept(&admin->server, fd, peer, NULL, 0, NULL, 0);
}

/* With SO_REUSEPORT a new server process can listen before the old one has ended. */
static int open_listener(struct admin *admin, const struct config_admin *config,
			 struct err *err)
{
	struct listener_options options = {.reuse_port = true, .unix_mode = 0600};
	struct net_address address;
	struct address ip;
	int fd;

	if (net_address_parse(&address, config->address.text, err) < 0)
		return -1;
	fd = listener_open(&address, &options, err);
	if (fd < 0)
		return -1;
	if (listener_start(&admin->listener, fd, on_accept, err) < 0) {
		close(fd);
		return -1;
	}
	admin->loopback = address_parse(config->address.host, &ip) && address_is_loopback(&ip);
	return 0;
}

struct admin *admin_start(const struct admin_options *options, struct err *err)
{
	struct admin *admin = mem_zalloc(1, sizeof(*admin));

	if (!admin) {
		err_set(err, ERR_MEMORY, "no memory for the admin listener");
		return NULL;
	}
	http_server_init(&admin->server, handle);
	admin->server.data = admin;
	admin->metrics = options->metrics;
	admin->shared = options->shared;
	admin->metrics_count = options->metrics_count;
	admin->watch = options->watch;
	if (open_listener(admin, options->config, err) < 0) {
		err_wrap(err, "admin listener");
		mem_free(admin);
		return NULL;
	}
	admin->snapshot = snapshot_ref(options->snapshot);
	return admin;
}

void admin_use_snapshot(struct admin *admin, struct snapshot *snapshot)
{
	struct snapshot *old = admin->snapshot;

	admin->snapshot = snapshot_ref(snapshot);
	snapshot_unref(old);
}

void admin_drain(struct admin *admin)
{
	admin->draining = true;
	listener_close(&admin->listener);
	http_server_drain(&admin->server);
}

void admin_free(struct admin *admin)
{
	int64_t until_ms = clock_ms() + 1000;

	if (!admin)
		return;
	if (!admin->draining)
		admin_drain(admin);
	http_server_close_all(&admin->server);
	while (admin->server.connection_count && clock_ms() < until_ms)
		loop_step(loop_current(), 10);
	snapshot_unref(admin->snapshot);
	mem_free(admin);
}
