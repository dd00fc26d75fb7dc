#include "gateway/health_check.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "gateway/forward.h"
#include "io/net_address.h"

#define ANSWER_MAX ((size_t)64 << 10)

struct checker {
	struct health_checks *checks;
	const struct snapshot_service *service;
	const struct config_endpoint *config;
	struct health *health;
	struct http_pool *pool;
	bool is_name;
	struct fiber *fiber; /* NULL: has ended */
};

/* Compares the endpoints of a service with each other. */
struct sweeper {
	struct health_checks *checks;
	const struct snapshot_service *service;
	struct fiber *fiber; /* NULL: has ended */
};

struct health_checks {
	struct snapshot *snapshot;
	struct dns *dns;
	struct checker *checkers;
	size_t count;
	struct sweeper *sweepers;
	size_t sweeper_count;
	size_t running;
	bool stopped;
};

static void release(struct health_checks *checks)
{
	if (!checks->stopped || checks->running)
		return;
	for (size_t i = 0; checks->checkers && i < checks->count; i++)
		if (checks->checkers[i].pool)
			http_pool_close(checks->checkers[i].pool);
	snapshot_unref(checks->snapshot);
	mem_free(checks->checkers);
	mem_free(checks->sweepers);
	mem_free(checks);
}

/* --- one check --- */

static int resolve(struct checker *checker, struct net_address *address, int64_t deadline_ms)
{
	const struct config_address *config = &checker->config->address;
	struct dns_result result;

	if (config->unix_path.len)
		return net_address_parse(address, config->text, NULL);
	if (net_address_from_literal(address, config->host, config->port))
		return 0;
	if (dns_resolve(checker->checks->dns, config->host, config->port, deadline_ms, &result,
			NULL) < 0)
		return -1;
	*address = result.addresses[rand_below(result.count)];
	return 0;
}

static bool check_tcp(const struct net_address *address, int64_t deadline_ms)
{
	struct stream stream;

	if (stream_connect(&stream, (const struct sockaddr *)&address->storage, address->len,
			   NULL, deadline_ms, NULL) != IO_OK)
		return false;
	stream_close(&stream);
	return true;
}

/* The whole body, as far as ANSWER_MAX. */
static bool read_answer(struct http_call *call, struct buf *body, int64_t deadline_ms)
{
	enum io_result result;
	struct span piece;

	while ((result = http_call_read_body(call, &piece, deadline_ms)) == IO_OK) {
		if (body->len + piece.len > ANSWER_MAX)
			return true;
		if (buf_append(body, piece) < 0)
			return false;
	}
	return result == IO_EOF;
}

static bool judge_http(const struct config_health *config, struct http_call *call,
		       int64_t deadline_ms)
{
	unsigned status = call->response.status;
	struct buf body;
	bool good;

	if (status < config->status_from || status > config->status_to)
		return false;
	buf_init(&body, ANSWER_MAX);
	good = read_answer(call, &body, deadline_ms) &&
	       (!config->body.len || span_find(buf_span(&body), config->body) < body.len);
	buf_release(&body);
	return good;
}

static struct span field_of(const struct http_field *fields, size_t count, struct span name)
{
	for (size_t i = 0; i < count; i++)
		if (span_eq_nocase(fields[i].name, name))
			return fields[i].value;
	return SPAN_NONE;
}

static bool judge_grpc(struct http_call *call, int64_t deadline_ms)
{
	struct span status;
	struct buf body;
	bool good;

	if (call->response.status != 200)
		return false;
	buf_init(&body, ANSWER_MAX);
	good = read_answer(call, &body, deadline_ms) && health_grpc_serving(buf_span(&body));
	status = field_of(call->trailers, call->trailer_count, SPAN("grpc-status"));
	good = good && span_eq(status, SPAN("0"));
	buf_release(&body);
	return good;
}

static enum io_result ask(const struct checker *checker, struct http_call *call,
			  int64_t deadline_ms)
{
	static const struct http_field http[] = {
		{SPAN_INIT("user-agent"), SPAN_INIT("sallyport-health"), HTTP_FIELD_OTHER}};
	static const struct http_field grpc[] = {
		{SPAN_INIT("user-agent"), SPAN_INIT("sallyport-health"), HTTP_FIELD_OTHER},
		{SPAN_INIT("content-type"), SPAN_INIT("application/grpc"),
		 HTTP_FIELD_CONTENT_TYPE},
		{SPAN_INIT("te"), SPAN_INIT("trailers"), HTTP_FIELD_OTHER}};
	const struct config_service *service = checker->service->config;
	bool https = checker->config->scheme == CONFIG_SCHEME_HTTPS;
	struct http_request_head head = {
		.method = SPAN("GET"),
		.scheme = https ? SPAN("https") : SPAN("http"),
		.authority = service->host.len ? service->host : checker->config->authority,
		.path = service->health->path,
		.fields = http,
		.field_count = COUNT_OF(http),
		.no_body = true};
	char message[256];
	enum io_result result;
	size_t len;

	if (service->health->type == CONFIG_HEALTH_HTTP)
		return http_call_send_head(call, &head, HTTP_SEND_END, deadline_ms);
	len = health_grpc_request(message, sizeof(message), service->health->service);
	head.method = SPAN("POST");
	head.path = SPAN("/grpc.health.v1.Health/Check");
	head.fields = grpc;
	head.field_count = COUNT_OF(grpc);
	head.no_body = false;
	head.content_length = (int64_t)len;
	result = http_call_send_head(call, &head, HTTP_SEND_MORE, deadline_ms);
	if (result != IO_OK)
		return result;
	return http_call_send_body(call, span_of(message, len), HTTP_SEND_END, deadline_ms);
}

static bool check_call(struct checker *checker, int64_t deadline_ms)
{
	const struct config_health *config = checker->service->config->health;
	enum io_result result;
	struct http_call *call =
		http_call_open(checker->pool, false, deadline_ms, &result, NULL);
	bool good = false;

	if (!call)
		return false;
	result = ask(checker, call, deadline_ms);
	while (result == IO_OK) {
		result = http_call_read_head(call, deadline_ms);
		if (result == IO_OK && call->response.status >= 200)
			break;
	}
	if (result == IO_OK)
		good = config->type == CONFIG_HEALTH_GRPC
			       ? judge_grpc(call, deadline_ms)
			       : judge_http(config, call, deadline_ms);
	http_call_release(call);
	return good;
}

static bool check(struct checker *checker)
{
	const struct config_health *config = checker->service->config->health;
	int64_t deadline_ms = loop_deadline_ms((int64_t)config->timeout_ms);
	struct net_address address;

	if (resolve(checker, &address, deadline_ms) < 0)
		return false;
	if (config->type == CONFIG_HEALTH_TCP)
		return check_tcp(&address, deadline_ms);
	if (checker->is_name)
		http_pool_set_address(checker->pool, &address.storage, address.len);
	return check_call(checker, deadline_ms);
}

/* --- the fiber of an endpoint --- */

static void note(struct checker *checker, bool good)
{
	const struct config_service *service = checker->service->config;

	if (!health_checked(checker->health, service->health, good, loop_now_ms()))
		return;
	log_message(good ? LOG_INFO : LOG_WARN, good ? "endpoint.up" : "endpoint.down",
		    "service %.*s: %.*s", SPAN_ARG(service->name),
		    SPAN_ARG(checker->config->url));
}

/* A reload, and other endpoints of the service, shall not cause more checks than without. */
static void wait_for_turn(const struct checker *checker, int64_t interval_ms)
{
	int64_t checked_ms = health_checked_ms(checker->health);
	int64_t wait_ms = checked_ms + interval_ms - loop_now_ms();

	if (checked_ms && wait_ms > 0)
		(void)fiber_sleep_ms(wait_ms < interval_ms ? wait_ms : interval_ms);
}

static void checker_main(void *arg)
{
	struct checker *checker = arg;
	struct health_checks *checks = checker->checks;
	int64_t interval_ms = (int64_t)checker->service->config->health->interval_ms;

	wait_for_turn(checker, interval_ms);
	while (!fiber_is_cancelled()) {
		bool good = check(checker);

		/* A check that was broken off says nothing. */
		if (fiber_is_cancelled())
			break;
		note(checker, good);
		/* Not all endpoints at the same moment: a tenth sooner or later. */
		if (fiber_sleep_ms(interval_ms * 9 / 10 +
				   (int64_t)rand_below((uint64_t)interval_ms / 5 + 1)) ==
		    FIBER_CANCELLED)
			break;
	}
	checker->fiber = NULL;
	checks->running--;
	release(checks);
}

static int start_checker(struct health_checks *checks, const struct snapshot_service *service,
			 size_t i, struct err *err)
{
	struct checker *checker = &checks->checkers[checks->count];

	*checker = (struct checker){.checks = checks,
				    .service = service,
				    .config = &service->endpoints.at[i],
				    .health = service->guard->endpoints[i].health};
	checker->pool = endpoint_pool_new(service, &service->config->pool, checker->config,
					  (checker->config->server_name.len
						   ? checker->config->server_name
						   : checker->config->address.host)
						  .ptr,
					  &checker->is_name, err);
	if (!checker->pool)
		return -1;
	checks->count++;
	checker->fiber = fiber_start(checker_main, checker, err);
	if (!checker->fiber)
		return -1;
	checks->running++;
	return 0;
}

/* --- outliers --- */

static void on_ejected(void *context, size_t index)
{
	const struct snapshot_service *service = context;

	log_message(LOG_WARN, "endpoint.ejected", "service %.*s: %.*s fails more than others",
		    SPAN_ARG(service->config->name),
		    SPAN_ARG(service->guard->endpoints[index].url));
}

static void sweeper_main(void *arg)
{
	struct sweeper *sweeper = arg;
	struct health_checks *checks = sweeper->checks;
	const struct config_outlier *config = sweeper->service->config->outlier;
	const struct guard_service *guard = sweeper->service->guard;
	struct health_group group = {guard->members, guard->endpoint_count};
	int64_t interval_ms = (int64_t)config->interval_ms;

	/* By the clock: endpoints may change more often than this. */
	while (fiber_sleep_ms(interval_ms - loop_now_ms() % interval_ms) != FIBER_CANCELLED)
		health_sweep(&group, config, loop_now_ms(), on_ejected,
			     (void *)(uintptr_t)sweeper->service);
	sweeper->fiber = NULL;
	checks->running--;
	release(checks);
}

static bool is_swept(const struct snapshot_service *service)
{
	const struct config_outlier *outlier = service->config->outlier;

	return outlier && service->endpoints.count > 1 &&
	       (outlier->deviation_percent || outlier->failure_percent);
}

static size_t count_sweepers(const struct snapshot *snapshot)
{
	size_t n = 0;

	for (size_t i = 0; i < snapshot->config->services.count; i++)
		n += is_swept(&snapshot->services[i]);
	return n;
}

static int start_sweepers(struct health_checks *checks, struct err *err)
{
	for (size_t i = 0; i < checks->snapshot->config->services.count; i++) {
		const struct snapshot_service *service = &checks->snapshot->services[i];
		struct sweeper *sweeper = &checks->sweepers[checks->sweeper_count];

		if (!is_swept(service))
			continue;
		*sweeper = (struct sweeper){.checks = checks, .service = service};
		checks->sweeper_count++;
		sweeper->fiber = fiber_start(sweeper_main, sweeper, err);
		if (!sweeper->fiber)
			return -1;
		checks->running++;
	}
	return 0;
}

/* --- all of them --- */

static size_t count_endpoints(const struct snapshot *snapshot)
{
	size_t n = 0;

	for (size_t i = 0; i < snapshot->config->services.count; i++)
		if (snapshot->services[i].config->health)
			n += snapshot->services[i].endpoints.count;
	return n;
}

static int start_all(struct health_checks *checks, struct err *err)
{
	const struct snapshot *snapshot = checks->snapshot;

	for (size_t i = 0; i < snapshot->config->services.count; i++) {
		const struct snapshot_service *service = &snapshot->services[i];

		for (size_t j = 0; service->config->health && j < service->endpoints.count; j++)
			if (start_checker(checks, service, j, err) < 0)
				return -1;
	}
	return 0;
}

int health_checks_start(struct health_checks **out, struct snapshot *snapshot, struct dns *dns,
			struct err *err)
{
	size_t count = count_endpoints(snapshot), sweepers = count_sweepers(snapshot);
	struct health_checks *checks;

	*out = NULL;
	if (!count && !sweepers)
		return 0;
	checks = mem_zalloc(1, sizeof(*checks));
	if (!checks)
		return err_set(err, ERR_MEMORY, "no memory for health checks");
	checks->snapshot = snapshot_ref(snapshot);
	checks->dns = dns;
	checks->checkers = mem_zalloc(count, sizeof(*checks->checkers));
	checks->sweepers = mem_zalloc(sweepers, sizeof(*checks->sweepers));
	if (!checks->checkers || !checks->sweepers) {
		err_set(err, ERR_MEMORY, "no memory for health checks");
		health_checks_stop(checks);
		return -1;
	}
	if (start_all(checks, err) < 0 || start_sweepers(checks, err) < 0) {
		health_checks_stop(checks);
		return -1;
	}
	*out = checks;
	return 0;
}

void health_checks_stop(struct health_checks *checks)
{
	if (!checks)
		return;
	checks->stopped = true;
	for (size_t i = 0; checks->checkers && i < checks->count; i++)
		if (checks->checkers[i].fiber)
			fiber_cancel(checks->checkers[i].fiber);
	for (size_t i = 0; checks->sweepers && i < checks->sweeper_count; i++)
		if (checks->sweepers[i].fiber)
			fiber_cancel(checks->sweepers[i].fiber);
	release(checks);
}
