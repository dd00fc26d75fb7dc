/*
 * The way of a request through a whole worker with each of its allocations failing in turn: the
 * client gets a complete answer or a closed connection, the next client gets his, and nothing
 * leaks. Only in builds with -Dfaults=true.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/procedure_service.h"
#include "gateway/procedure_steps.h"
#include "gateway/worker.h"
#include "http/block.h"
#include "io/net_address.h"
#include "io/offload.h"

#define BODY_BYTES 30000
#define DEADLINE_MS 10000
#define SERVICE_THREADS 4
/* How long the slow one takes: longer than the wait for the hedge. */
#define SLOW_US 40000

/* --- the service: a thread that answers, and remembers what it took for complete --- */

static int service_fd = -1, slow_fd = -1;
static _Atomic unsigned long complete_posts, wrong_posts;

static bool contains(const char *text, size_t len, const char *what)
{
	return span_find(span_of(text, len), span_of(what, strlen(what))) < len;
}

static void send_all(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		data += n;
		len -= (size_t)n;
	}
}

static void answer_get(int fd)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n";
	char body[BODY_BYTES];

	memset(body, 'a', sizeof(body));
	send_all(fd, head, sizeof(head) - 1);
	send_all(fd, body, sizeof(body));
}

static void answer_post(int fd, const char *request, size_t len)
{
	static const char reply[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				    "5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n";

	complete_posts++;
	if (!contains(request, len, "abcde") || !contains(request, len, "fghij"))
		wrong_posts++;
	send_all(fd, reply, sizeof(reply) - 1);
}

static void serve(int fd)
{
	char in[16384];
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(in) && (n = recv(fd, in + len, sizeof(in) - len, 0)) > 0) {
		len += (size_t)n;
		if (!contains(in, len, "\r\n\r\n"))
			continue;
		if (memcmp(in, "GET", 3) == 0)
			answer_get(fd);
		else if (contains(in, len, "\r\n0\r\n\r\n"))
			answer_post(fd, in, len);
		else
			continue;
		len = 0;
	}
	close(fd);
}

static void *service_main(void *unused)
{
	int fd;

	(void)unused;
	while ((fd = accept(service_fd, NULL, NULL)) >= 0)
		serve(fd);
	return NULL;
}

static void *slow_main(void *unused)
{
	int fd;

	(void)unused;
	while ((fd = accept(slow_fd, NULL, NULL)) >= 0) {
		usleep(SLOW_US);
		serve(fd);
	}
	return NULL;
}

static int listen_locally(uint16_t *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 64), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	*port = ntohs(address.sin_port);
	return fd;
}

/* --- the gateway: a worker whose loop runs in this thread --- */

static struct {
	struct config *config;
	struct tls_tickets *tickets;
	struct gateway_shared *shared;
	struct snapshot *snapshot;
	struct worker *worker;
	uint16_t port, service_port, slow_port;
	pthread_t service[SERVICE_THREADS], slow[SERVICE_THREADS];
} world;

static struct config *load(void)
{
	static struct config_problems problems;
	struct config *config = NULL;
	char text[4096];
	int len = snprintf(text, sizeof(text),
			   "listen: [{address: \"127.0.0.1:1\"}]\n"
			   "log: {access: off}\n"
			   "services:\n"
			   "  up: {endpoints: [\"http://127.0.0.1:%u\"], bulkhead: 100}\n"
			   "  hedged:\n"
			   "    endpoints: [{url: \"http://127.0.0.1:%u\", weight: 1000},"
			   " \"http://127.0.0.1:%u\"]\n"
			   "    retry: {hedge: 10ms, budget_min: 1000}\n"
			   "    breaker: {window: 1000}\n"
			   "    outlier: {consecutive_5xx: 1000}\n"
			   "  found: {discover: {srv: _http._tcp.found.test}, breaker: {},"
			   " outlier: {}}\n"
			   "mail: {url: \"smtp://127.0.0.1:1\", from: a@b.test}\n"
			   "procedures:\n"
			   "  sick:\n"
			   "    service: up\n"
			   "    when: [{error_rate: 50%%, for: 1s}]\n"
			   "    steps: [{shed: low}, {mail: [c@d.test]}]\n"
			   "routes:\n"
			   "  - {path: \"/hedged/**\", service: hedged, auth: none}\n"
			   "  - {path: \"/found\", service: found, auth: none}\n"
			   "  - {path: \"/up/**\", service: up, auth: none}\n"
			   "  - {path: \"/limited\", service: up, auth: none,"
			   " limit: {per: address, rate: 1000000/s, burst: 1000000}}\n"
			   "  - {path: \"/closed\", service: up}\n",
			   world.service_port, world.slow_port, world.service_port);

	assert_int_equal(config_load_text(span_of(text, (size_t)len), "fault.yaml",
					  &config_source_system, &config, &problems),
			 0);
	return config;
}

static int setup(void **state)
{
	struct err err;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	service_fd = listen_locally(&world.service_port);
	slow_fd = listen_locally(&world.slow_port);
	world.config = load();
	world.tickets = tls_tickets_new(0, &err);
	world.shared = mem_zalloc(1, sizeof(*world.shared));
	assert_true(world.tickets && world.shared);
	world.shared->limiter = limiter_new(1024, &err);
	assert_non_null(world.shared->limiter);
	for (int i = 0; i < SERVICE_THREADS; i++) {
		assert_int_equal(pthread_create(&world.service[i], NULL, service_main, NULL),
				 0);
		assert_int_equal(pthread_create(&world.slow[i], NULL, slow_main, NULL), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	shutdown(service_fd, SHUT_RDWR);
	shutdown(slow_fd, SHUT_RDWR);
	for (int i = 0; i < SERVICE_THREADS; i++) {
		pthread_join(world.service[i], NULL);
		pthread_join(world.slow[i], NULL);
	}
	close(service_fd);
	close(slow_fd);
	limiter_free(world.shared->limiter);
	mem_free(world.shared);
	tls_tickets_unref(world.tickets);
	config_unref(world.config);
	return 0;
}

static void skip_without_faults(void)
{
	void *probe;

	mem_fail_at(1);
	probe = mem_alloc(1);
	mem_fail_at(0);
	mem_free(probe);
	if (probe) {
		print_message("allocations do not fail in this build: -Dfaults=true\n");
		skip();
	}
}

static struct worker *start_worker(int fd, struct err *err)
{
	struct worker_options options = {
		.shared = world.shared, .snapshot = world.snapshot, .fds = &fd, .fd_count = 1};

	return worker_new(&options, err);
}

static void open_gateway(void)
{
	struct err err;

	world.snapshot = snapshot_new(world.config, NULL, world.tickets, &err);
	assert_non_null(world.snapshot);
	world.worker = start_worker(listen_locally(&world.port), &err);
	assert_non_null(world.worker);
}

static void close_gateway(void)
{
	worker_free(world.worker);
	snapshot_unref(world.snapshot);
}

/* --- the client --- */

struct reply {
	char data[65536];
	size_t len;
	bool ended;
};

static int connect_client(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				      .sin_port = htons(world.port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void receive(int fd, struct reply *reply)
{
	ssize_t n = recv(fd, reply->data + reply->len, sizeof(reply->data) - reply->len,
			 MSG_DONTWAIT);

	if (n > 0)
		reply->len += (size_t)n;
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		reply->ended = true;
}

/* Sends the request and runs the loop until the connection ends, with failure `n` ahead. */
static bool exchange(const char *request, unsigned long n, struct reply *reply)
{
	int64_t until_ms = clock_ms() + DEADLINE_MS;
	int fd = connect_client();
	bool failed;

	reply->len = 0;
	reply->ended = false;
	send_all(fd, request, strlen(request));
	/* Nothing from the pools: everything is allocated anew. */
	http_exchange_pool_release();
	block_pool_release();
	mem_fail_at(n);
	while (!reply->ended && clock_ms() < until_ms) {
		loop_step(world.worker->loop, 1);
		receive(fd, reply);
	}
	while (world.worker->server.connection_count && clock_ms() < until_ms)
		loop_step(world.worker->loop, 1);
	failed = mem_fail_happened();
	mem_fail_at(0);
	close(fd);
	assert_true(reply->ended);
	assert_int_equal(world.worker->server.connection_count, 0);
	return failed;
}

/* --- what an answer may look like --- */

static size_t length_of(struct span head)
{
	static const char name[] = "content-length: ";
	size_t length = 0;

	for (size_t i = 0; i + sizeof(name) < head.len; i++) {
		if (strncasecmp(head.ptr + i, name, sizeof(name) - 1) != 0)
			continue;
		for (i += sizeof(name) - 1; head.ptr[i] >= '0' && head.ptr[i] <= '9'; i++)
			length = length * 10 + (size_t)(head.ptr[i] - '0');
		return length;
	}
	return SIZE_MAX;
}

/* The status; 0 for nothing, -1 for an answer that shows that it is cut off. */
static int judge(const struct reply *reply)
{
	struct span all = span_of(reply->data, reply->len);
	size_t end = span_find(all, SPAN("\r\n\r\n"));
	struct span head, body;
	int status;

	if (reply->len == 0)
		return 0;
	if (end == all.len)
		return -1;
	head = span_of(all.ptr, end + 2);
	body = span_of(all.ptr + end + 4, all.len - end - 4);
	assert_memory_equal(head.ptr, "HTTP/1.1 ", 9);
	status = (head.ptr[9] - '0') * 100 + (head.ptr[10] - '0') * 10 + head.ptr[11] - '0';
	if (length_of(head) != SIZE_MAX) {
		assert_true(body.len <= length_of(head));
		return body.len == length_of(head) ? status : -1;
	}
	assert_true(contains(head.ptr, head.len, "chunked"));
	if (span_find(body, SPAN("\r\n0\r\n")) == body.len)
		return -1;
	/* It looks complete: then it has to be. */
	assert_true(contains(body.ptr, body.len, "hello"));
	return status;
}

static void fail_each_allocation_of(const char *request, int expected)
{
	static struct reply reply;
	unsigned long n, refused = 0, answered = 0;
	bool failed = true;

	skip_without_faults();
	open_gateway();
	for (n = 1; failed; n++) {
		int status;

		failed = exchange(request, n, &reply);
		status = judge(&reply);
		if (status == expected)
			answered++;
		else if (status >= 500)
			refused++;
		else
			assert_true(status <= 0);
		if (!failed)
			assert_int_equal(status, expected);
	}
	/* And whoever comes next is served. */
	assert_false(exchange(request, 0, &reply));
	assert_int_equal(judge(&reply), expected);
	print_message("%lu allocations: %lu answered, %lu refused, %lu cut off\n", n - 2,
		      answered - 1, refused, n - 1 - answered - refused);
	assert_true(n > 3);
	assert_int_equal(wrong_posts, 0);
	close_gateway();
}

static void a_request_without_body(void **state)
{
	(void)state;
	fail_each_allocation_of(
		"GET /up/a?b=c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200);
}

static void a_request_with_body_and_trailers(void **state)
{
	(void)state;
	fail_each_allocation_of("POST /up/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
				"Transfer-Encoding: chunked\r\n\r\n"
				"5\r\nabcde\r\n5\r\nfghij\r\n0\r\n\r\n",
				200);
	assert_true(complete_posts > 0);
}

static void a_request_that_is_counted(void **state)
{
	(void)state;
	fail_each_allocation_of("GET /limited HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
				200);
}

static void a_request_that_is_refused(void **state)
{
	(void)state;
	fail_each_allocation_of("GET /closed HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
				401);
	fail_each_allocation_of("GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
				404);
}

static void a_request_that_is_hedged(void **state)
{
	uint64_t lost, won;

	(void)state;
	fail_each_allocation_of(
		"GET /hedged/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 200);
	open_gateway();
	for (int i = 0; i < 5; i++) {
		static struct reply reply;

		assert_false(exchange(
			"GET /hedged/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 0,
			&reply));
		assert_int_equal(judge(&reply), 200);
	}
	/* It was two attempts that were looked at. */
	lost = world.worker->metrics->upstream_hedges[0];
	won = world.worker->metrics->upstream_hedges[1];
	assert_true(lost + won > 0);
	close_gateway();
}

static void a_service_that_is_nowhere(void **state)
{
	(void)state;
	fail_each_allocation_of("GET /found HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
				503);
}

static struct endpoint_list *list_of(uint16_t port)
{
	struct endpoint_list *list = endpoint_list_new(10, NULL);
	struct endpoint_found found = {.host = SPAN("127.0.0.1"), .port = port};

	assert_non_null(list);
	assert_int_equal(endpoint_list_add(list, &found, NULL), 0);
	endpoint_list_seal(list);
	return list;
}

static void other_endpoints_of_a_service(void **state)
{
	struct endpoint_list *list = list_of(world.service_port);
	struct endpoint_list *found[3] = {NULL, NULL, list};
	static struct reply reply;
	struct snapshot *next = NULL;
	unsigned long n = 1;

	(void)state;
	skip_without_faults();
	open_gateway();
	for (bool failed = true; failed; n++) {
		struct err err = {.code = ERR_NONE};

		mem_fail_at(n);
		next = snapshot_with_endpoints(world.snapshot, found, &err);
		failed = mem_fail_happened();
		mem_fail_at(0);
		assert_int_equal(next == NULL, failed);
		assert_int_equal(err.code, failed ? ERR_MEMORY : ERR_NONE);
	}
	assert_true(n > 5);
	assert_int_equal(worker_post_snapshot(world.worker, next), 0);
	/* What it differs in from is not needed any more. */
	snapshot_unref(world.snapshot);
	world.snapshot = next;
	endpoint_list_unref(list);
	loop_step(world.worker->loop, 1);
	assert_false(exchange("GET /found HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 0,
			      &reply));
	assert_int_equal(judge(&reply), 200);
	close_gateway();
}

static unsigned count_events(const struct timeline *timeline, const char *event)
{
	unsigned count = 0;

	for (uint64_t i = 0; i < timeline->count; i++)
		count += strcmp(timeline->at[i].event, event) == 0;
	return count;
}

/* Each step is noted, and so is what comes of it. */
static void steps_of_a_procedure(void **state)
{
	static struct timeline timeline;
	struct procedure_context context = {.timeline = &timeline};
	const struct config_procedure *config = &world.config->procedures.at[0];
	unsigned long n = 1;

	(void)state;
	skip_without_faults();
	open_gateway();
	context.threads = offload_new("mail", 1, 4, NULL);
	assert_non_null(context.threads);
	for (bool failed = true; failed; n++) {
		int64_t until_ms = clock_ms() + DEADLINE_MS;

		timeline.count = 0;
		mem_fail_at(n);
		procedure_start_step(&context, world.snapshot, config, 0);
		procedure_start_step(&context, world.snapshot, config, 1);
		while (context.running && clock_ms() < until_ms)
			loop_step(world.worker->loop, 1);
		failed = mem_fail_happened();
		mem_fail_at(0);
		assert_null(context.running);
		assert_int_equal(count_events(&timeline, "step"), 2);
		assert_int_equal(count_events(&timeline, "step_failed") +
					 count_events(&timeline, "step_ended"),
				 1);
	}
	assert_true(n > 3);
	offload_free(context.threads);
	close_gateway();
}

static void taking_procedures_into_use(void **state)
{
	static struct timeline timeline;
	struct procedure_options options = {.timeline = &timeline};
	struct procedure_service *service;
	unsigned long n = 1;

	(void)state;
	skip_without_faults();
	open_gateway();
	for (bool failed = true; failed; n++) {
		struct err err = {.code = ERR_NONE};
		int used = -1;

		mem_fail_at(n);
		service = procedure_service_new(&options, &err);
		if (service)
			used = procedure_service_use(service, world.snapshot, NULL, &err);
		failed = mem_fail_happened();
		mem_fail_at(0);
		assert_int_equal(used < 0, failed);
		if (used < 0)
			assert_int_equal(err.code, ERR_MEMORY);
		procedure_service_stop(service);
		procedure_service_free(service);
	}
	assert_true(n > 3);
	close_gateway();
}

static void starting_a_worker(void **state)
{
	unsigned long n = 1;
	bool failed = true;

	(void)state;
	skip_without_faults();
	for (; failed; n++) {
		struct err err = {.code = ERR_NONE};
		struct worker *worker = NULL;

		mem_fail_at(n);
		world.snapshot = snapshot_new(world.config, NULL, world.tickets, &err);
		if (world.snapshot)
			worker = start_worker(-1, &err);
		failed = mem_fail_happened();
		mem_fail_at(0);
		if (!worker) {
			assert_true(failed);
			assert_int_equal(err.code, ERR_MEMORY);
		}
		worker_free(worker);
		snapshot_unref(world.snapshot);
	}
	assert_true(n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starting_a_worker),
		cmocka_unit_test(a_request_without_body),
		cmocka_unit_test(a_request_with_body_and_trailers),
		cmocka_unit_test(a_request_that_is_counted),
		cmocka_unit_test(a_request_that_is_refused),
		cmocka_unit_test(a_request_that_is_hedged),
		cmocka_unit_test(a_service_that_is_nowhere),
		cmocka_unit_test(other_endpoints_of_a_service),
		cmocka_unit_test(steps_of_a_procedure),
		cmocka_unit_test(taking_procedures_into_use),
	};

	return cmocka_run_group_tests_name("integration/fault", tests, setup, teardown);
}
