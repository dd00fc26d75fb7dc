/* Client and server connections of ours against each other. */
#include "h2_support.h"

#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/block.h"
#include "http/connection.h"

static struct world world;
static struct http_pool *pool;

/* What handlers have seen, over all exchanges of a test. */
static unsigned handled, gone, running;
static enum io_result last_read, last_sent;
static uint64_t produced_bytes;

static const char pattern[] = "0123456789abcdefghijklmnopqrstuvwxyz";
#define PATTERN_BYTES (sizeof(pattern) - 1)

/* Bytes of a long body from this offset on, at most one run of the pattern. */
static struct span pattern_at(uint64_t offset, uint64_t left)
{
	size_t skip = (size_t)(offset % PATTERN_BYTES);
	size_t len = PATTERN_BYTES - skip;

	return span_of(pattern + skip, len < left ? len : (size_t)left);
}

static bool is_pattern(struct span piece, uint64_t offset)
{
	for (size_t i = 0; i < piece.len; i++)
		if (piece.ptr[i] != pattern[(offset + i) % PATTERN_BYTES])
			return false;
	return true;
}

static bool at(const struct http_exchange *x, const char *target)
{
	return span_eq(x->request.target, span_cstr(target));
}

static void serve_echo(struct http_exchange *x)
{
	const struct http_response response = {.status = 200, .content_length = -1};
	struct span piece;

	last_sent = http_send_head(x, &response, HTTP_SEND_MORE, soon_enough());
	if (last_sent != IO_OK)
		return;
	while ((last_read = http_read_body(x, &piece, soon_enough())) == IO_OK) {
		last_sent = http_send_body(x, piece, HTTP_SEND_NOW, soon_enough());
		if (last_sent != IO_OK)
			return;
	}
	if (last_read != IO_EOF)
		return;
	if (x->trailer_count)
		last_sent = http_send_trailers(x, x->trailers, x->trailer_count, soon_enough());
	else
		last_sent = http_send_body(x, SPAN_NONE, HTTP_SEND_END, soon_enough());
}

#define BIG_BYTES ((uint64_t)3 * 1000 * 1000)

static void serve_big(struct http_exchange *x)
{
	const struct http_response response = {.status = 200, .content_length = BIG_BYTES};

	last_sent = http_send_head(x, &response, HTTP_SEND_MORE, soon_enough());
	for (uint64_t sent = 0; sent < BIG_BYTES && last_sent == IO_OK;) {
		struct span piece = pattern_at(sent, BIG_BYTES - sent);

		sent += piece.len;
		last_sent = http_send_body(x, piece, sent == BIG_BYTES ? HTTP_SEND_END : 0,
					   soon_enough());
		produced_bytes = sent;
	}
}

static void serve_statuses(struct http_exchange *x)
{
	const struct http_field link = {SPAN("Link"), SPAN("</a>; rel=preload"),
					HTTP_FIELD_OTHER};
	const struct http_response early = {.status = 103, .fields = &link, .field_count = 1};
	struct http_response response = {.status = 200, .content_length = 5};

	if (at(x, "/early")) {
		last_sent = http_send_head(x, &early, 0, soon_enough());
		assert_int_equal(last_sent, IO_OK);
		last_sent = http_send_head(x, &early, 0, soon_enough());
	} else if (at(x, "/204")) {
		response = (struct http_response){.status = 204, .content_length = -1};
	} else if (at(x, "/304")) {
		response.status = 304;
	}
	last_sent = http_respond(x, &response, SPAN("hello"), soon_enough());
}

static void serve_fields(struct http_exchange *x)
{
	const struct http_field fields[] = {
		{SPAN("Content-Type"), SPAN("text/plain"), HTTP_FIELD_CONTENT_TYPE},
		{SPAN("X-Path"), x->request.target, HTTP_FIELD_OTHER},
		{SPAN("x-authority"), x->request.authority, HTTP_FIELD_OTHER},
		{SPAN("x-cookie"), http1_field(&x->request, HTTP_FIELD_COOKIE),
		 HTTP_FIELD_OTHER},
		{SPAN("set-cookie"), SPAN("a=1"), HTTP_FIELD_SET_COOKIE},
		{SPAN("Set-Cookie"), SPAN("b=2"), HTTP_FIELD_SET_COOKIE},
		{SPAN("connection"), SPAN("close"), HTTP_FIELD_CONNECTION},
	};
	const struct http_response response = {.status = 200,
					       .fields = fields,
					       .field_count = COUNT_OF(fields),
					       .content_length = 0};

	last_sent = http_send_head(x, &response, HTTP_SEND_END, soon_enough());
}

static void serve_wait(struct http_exchange *x)
{
	while (fiber_park(soon_enough()) == FIBER_EVENT)
		;
	if (x->client_gone)
		gone++;
}

static void serve_trouble(struct http_exchange *x)
{
	struct http_response response = {.status = 200, .content_length = 10};

	if (at(x, "/nothing"))
		return;
	if (at(x, "/short") || at(x, "/long")) {
		last_sent = http_send_head(x, &response, 0, soon_enough());
		last_sent = http_send_body(
			x, at(x, "/short") ? SPAN("four") : SPAN("more than ten"),
			HTTP_SEND_END, soon_enough());
		return;
	}
	last_sent = http_send_head(x, &response, 0, soon_enough());
	last_sent = http_send_body(x, SPAN("part"), 0, soon_enough());
	if (at(x, "/abort"))
		http_abort(x);
	else if (at(x, "/hang"))
		serve_wait(x);
}

static void serve_tunnel(struct http_exchange *x)
{
	const struct http_response response = {.status = 101, .content_length = -1};
	struct span piece;

	assert_true(x->request.upgrade);
	assert_true(span_eq(x->protocol, SPAN("websocket")));
	last_sent = http_send_head(x, &response, 0, soon_enough());
	assert_true(x->tunnel);
	while ((last_read = http_read_body(x, &piece, soon_enough())) == IO_OK)
		last_sent = http_send_body(x, piece, HTTP_SEND_NOW, soon_enough());
	last_sent = http_send_body(x, SPAN("bye"), HTTP_SEND_END, soon_enough());
}

static void serve_limited(struct http_exchange *x)
{
	const struct http_response response = {.status = 413, .content_length = 0};
	struct span piece;

	x->body_limit_bytes = 1000;
	while ((last_read = http_read_body(x, &piece, soon_enough())) == IO_OK)
		;
	assert_true(x->body_too_large);
	last_sent = http_respond(x, &response, SPAN(""), soon_enough());
}

static void handler(struct http_exchange *x)
{
	static const struct {
		const char *prefix;
		void (*serve)(struct http_exchange *x);
	} routes[] = {
		{"/echo", serve_echo},	    {"/big", serve_big},
		{"/fields", serve_fields},  {"/wait", serve_wait},
		{"/tunnel", serve_tunnel},  {"/limited", serve_limited},
		{"/early", serve_statuses}, {"/204", serve_statuses},
		{"/304", serve_statuses},   {"/hello", serve_statuses},
		{"/", serve_trouble},
	};

	handled++;
	running++;
	for (size_t i = 0; i < COUNT_OF(routes); i++) {
		if (span_starts_with(x->request.target, span_cstr(routes[i].prefix))) {
			routes[i].serve(x);
			break;
		}
	}
	running--;
}

static int setup(void **state)
{
	if (loop_setup(state) < 0)
		return -1;
	handled = gone = running = 0;
	produced_bytes = 0;
	last_read = last_sent = IO_AGAIN;
	world_open(&world, handler);
	pool = world_pool(&world);
	return 0;
}

static int teardown(void **state)
{
	http_pool_close(pool);
	world_close(&world);
	return h2_teardown(state);
}

static struct http_request_head get(const char *path)
{
	return (struct http_request_head){
		.method = SPAN("GET"),
		.scheme = SPAN("http"),
		.authority = SPAN("a.test"),
		.path = span_cstr(path),
		.content_length = 0,
		.no_body = true,
	};
}

static struct http_request_head post(const char *path)
{
	struct http_request_head head = get(path);

	head.method = SPAN("POST");
	head.no_body = false;
	head.content_length = -1;
	return head;
}

static struct http_call *call_get(const char *path)
{
	const struct http_request_head head = get(path);
	struct http_call *call = open_call(pool);

	assert_int_equal(http_call_send_head(call, &head, HTTP_SEND_END, soon_enough()), IO_OK);
	return call;
}

static unsigned read_status(struct http_call *call)
{
	assert_int_equal(http_call_read_head(call, soon_enough()), IO_OK);
	return call->response.status;
}

/* The whole body must be the pattern; returns its length. */
static uint64_t read_pattern(struct http_call *call)
{
	uint64_t len = 0;
	struct span piece;
	enum io_result result;

	while ((result = http_call_read_body(call, &piece, soon_enough())) == IO_OK) {
		assert_true(is_pattern(piece, len));
		len += piece.len;
	}
	assert_int_equal(result, IO_EOF);
	assert_true(call->body_ended);
	return len;
}

/* Runs the test as a fiber, and everything it leads to. */
static void run(fiber_function *function)
{
	start_fiber(function, NULL);
	world_settle(&world);
}

/* --- in good order --- */

static void exchange_fields(void *arg)
{
	const struct http_field fields[] = {
		{SPAN("Cookie"), SPAN("c=3; d=4"), HTTP_FIELD_COOKIE},
		{SPAN("X-Mixed-Case"), SPAN("1"), HTTP_FIELD_OTHER},
	};
	struct http_request_head head = get("/fields");
	struct http_call *call = open_call(pool);
	unsigned cookies = 0, others = 0;

	(void)arg;
	head.query = SPAN("a=b");
	head.fields = fields;
	head.field_count = COUNT_OF(fields);
	assert_int_equal(http_call_send_head(call, &head, HTTP_SEND_END, soon_enough()), IO_OK);
	assert_int_equal(read_status(call), 200);
	for (size_t i = 0; i < call->response.field_count; i++) {
		struct span name = call->response.fields[i].name;
		struct span value = call->response.fields[i].value;

		cookies += call->response.fields[i].id == HTTP_FIELD_SET_COOKIE;
		if (span_eq(name, SPAN("x-path")))
			others += span_eq(value, SPAN("/fields?a=b"));
		else if (span_eq(name, SPAN("x-authority")))
			others += span_eq(value, SPAN("a.test"));
		else if (span_eq(name, SPAN("x-cookie")))
			others += span_eq(value, SPAN("c=3; d=4"));
		else
			assert_false(span_eq(name, SPAN("connection")));
	}
	assert_int_equal(cookies, 2);
	assert_int_equal(others, 3);
	assert_int_equal(read_pattern(call), 0);
	assert_int_equal(call->version, 20);
	assert_false(call->reused);
	http_call_release(call);
}

static void carries_heads_both_ways(void **state)
{
	(void)state;
	run(exchange_fields);
	assert_int_equal(handled, 1);
}

/* Sends what another fiber reads back: both directions of one call at once. */
struct upload {
	struct http_call *call;
	uint64_t bytes;
	bool trailers;
	enum io_result result;
	bool done;
};

static void upload(void *arg)
{
	struct upload *u = arg;
	const struct http_field trailers[] = {
		{SPAN("Checksum"), SPAN("abc"), HTTP_FIELD_OTHER},
		{SPAN("grpc-status"), SPAN("0"), HTTP_FIELD_OTHER},
	};

	u->result = IO_OK;
	for (uint64_t sent = 0; sent < u->bytes && u->result == IO_OK;) {
		struct span piece = pattern_at(sent, u->bytes - sent);

		u->result = http_call_send_body(u->call, piece, 0, soon_enough());
		sent += piece.len;
	}
	if (u->result == IO_OK && u->trailers)
		u->result = http_call_send_trailers(u->call, trailers, 2, soon_enough());
	else if (u->result == IO_OK)
		u->result =
			http_call_send_body(u->call, SPAN_NONE, HTTP_SEND_END, soon_enough());
	u->done = true;
}

static void echo_with(uint64_t bytes, bool trailers)
{
	const struct http_request_head head = post("/echo");
	struct upload u = {.call = open_call(pool), .bytes = bytes, .trailers = trailers};

	assert_int_equal(http_call_send_head(u.call, &head, 0, soon_enough()), IO_OK);
	start_fiber(upload, &u);
	assert_int_equal(read_status(u.call), 200);
	assert_int_equal(read_pattern(u.call), bytes);
	assert_true(u.done);
	assert_int_equal(u.result, IO_OK);
	assert_int_equal(u.call->trailer_count, trailers ? 2 : 0);
	if (trailers) {
		assert_true(span_eq(u.call->trailers[0].name, SPAN("checksum")));
		assert_true(span_eq(u.call->trailers[1].value, SPAN("0")));
	}
	http_call_release(u.call);
}

static void echo_fiber(void *arg)
{
	(void)arg;
	echo_with(0, false);
	echo_with(1, false);
	echo_with(300000, false);
	echo_with(0, true);
	echo_with(100000, true);
}

static void streams_both_ways_with_trailers(void **state)
{
	(void)state;
	run(echo_fiber);
	assert_int_equal(handled, 5);
	assert_int_equal(world.server.connection_count, 1);
}

static void streams_through_tiny_windows(void **state)
{
	(void)state;
	world.server.limits.h2_window_bytes = 100;
	run(echo_fiber);
	assert_int_equal(handled, 5);
}

static void read_slowly(void *arg)
{
	struct http_call *call = call_get("/big");
	uint64_t len = 0;
	struct span piece;

	(void)arg;
	assert_int_equal(read_status(call), 200);
	assert_int_equal(call->response.content_length, BIG_BYTES);
	fiber_sleep_ms(100);
	/* Windows, queues and socket buffers have limits, so the handler has had to wait. */
	assert_true(produced_bytes < BIG_BYTES);
	while (http_call_read_body(call, &piece, soon_enough()) == IO_OK) {
		assert_true(is_pattern(piece, len));
		len += piece.len;
	}
	assert_int_equal(len, BIG_BYTES);
	http_call_release(call);
}

static void holds_the_handler_back_for_a_slow_reader(void **state)
{
	(void)state;
	run(read_slowly);
	assert_int_equal(last_sent, IO_OK);
}

static void echo_some(void *arg)
{
	(void)arg;
	echo_with(50000, false);
}

static void runs_many_calls_at_once(void **state)
{
	(void)state;
	for (int i = 0; i < 60; i++)
		start_fiber(echo_some, NULL);
	world_settle(&world);
	assert_int_equal(handled, 60);
	assert_int_equal(world.server.connection_count, 1);
	assert_int_equal(http_pool_active_count(pool), 0);
}

static void statuses_fiber(void *arg)
{
	struct http_request_head head = get("/hello");
	struct http_call *call = call_get("/early");
	struct span piece;

	(void)arg;
	assert_int_equal(read_status(call), 103);
	assert_int_equal(call->response.field_count, 1);
	assert_int_equal(read_status(call), 103);
	assert_int_equal(read_status(call), 200);
	assert_int_equal(http_call_read_body(call, &piece, soon_enough()), IO_OK);
	assert_true(span_eq(piece, SPAN("hello")));
	http_call_release(call);

	call = call_get("/204");
	assert_int_equal(read_status(call), 204);
	assert_int_equal(read_pattern(call), 0);
	assert_true(call->reused);
	http_call_release(call);

	call = call_get("/304");
	assert_int_equal(read_status(call), 304);
	assert_int_equal(read_pattern(call), 0);
	http_call_release(call);

	head.method = SPAN("HEAD");
	call = open_call(pool);
	assert_int_equal(http_call_send_head(call, &head, HTTP_SEND_END, soon_enough()), IO_OK);
	assert_int_equal(read_status(call), 200);
	assert_int_equal(call->response.content_length, 5);
	assert_int_equal(read_pattern(call), 0);
	http_call_release(call);
}

static void knows_responses_without_bodies(void **state)
{
	(void)state;
	run(statuses_fiber);
	assert_int_equal(handled, 4);
}

static void tunnel_fiber(void *arg)
{
	struct http_request_head head = get("/tunnel");
	struct http_call *call = open_call(pool);
	struct span piece;

	(void)arg;
	head.upgrade = SPAN("websocket");
	assert_int_equal(http_call_send_head(call, &head, 0, soon_enough()), IO_OK);
	assert_int_equal(read_status(call), 200);
	assert_true(call->tunnel);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(http_call_send_body(call, SPAN("ping"), 0, soon_enough()),
				 IO_OK);
		assert_int_equal(http_call_read_body(call, &piece, soon_enough()), IO_OK);
		assert_true(span_eq(piece, SPAN("ping")));
	}
	assert_int_equal(http_call_send_body(call, SPAN_NONE, HTTP_SEND_END, soon_enough()),
			 IO_OK);
	assert_int_equal(http_call_read_body(call, &piece, soon_enough()), IO_OK);
	assert_true(span_eq(piece, SPAN("bye")));
	assert_int_equal(http_call_read_body(call, &piece, soon_enough()), IO_EOF);
	http_call_release(call);
}

static void tunnels_by_extended_connect(void **state)
{
	(void)state;
	run(tunnel_fiber);
	assert_int_equal(last_read, IO_EOF);
	assert_int_equal(last_sent, IO_OK);
}

/* --- limits --- */

static void upload_too_much(void *arg)
{
	const struct http_request_head head = post("/limited");
	struct upload u = {.call = open_call(pool), .bytes = 5000000};

	(void)arg;
	assert_int_equal(http_call_send_head(u.call, &head, 0, soon_enough()), IO_OK);
	start_fiber(upload, &u);
	assert_int_equal(read_status(u.call), 413);
	while (!u.done)
		fiber_sleep_ms(1);
	assert_int_equal(u.result, IO_CLOSED);
	http_call_release(u.call);
	/* The connection is as good as before. */
	echo_with(1000, false);
}

static void answers_before_the_body_has_come(void **state)
{
	(void)state;
	run(upload_too_much);
	assert_int_equal(world.server.connection_count, 1);
}

static void wait_fiber(void *arg)
{
	struct http_call *call = call_get("/wait");
	const bool *stop = arg;

	while (!*stop)
		fiber_sleep_ms(1);
	http_call_release(call);
}

static void fill_a_connection(void *arg)
{
	static bool stop;
	struct http_call *call;

	(void)arg;
	stop = false;
	echo_with(1, false); /* so that the service's SETTINGS are known */
	for (int i = 0; i < 3; i++)
		start_fiber(wait_fiber, &stop);
	while (handled < 4)
		fiber_sleep_ms(1);
	assert_int_equal(world.server.connection_count, 1);
	call = call_get("/hello");
	assert_int_equal(read_status(call), 200);
	assert_int_equal(world.server.connection_count, 2);
	http_call_release(call);
	stop = true;
}

static void opens_another_connection_when_one_is_full(void **state)
{
	(void)state;
	world.server.limits.h2_streams = 3;
	run(fill_a_connection);
	assert_int_equal(gone, 3);
}

/* --- trouble --- */

static void trouble_fiber(void *arg)
{
	static const char *const paths[] = {"/abort", "/short", "/long", "/stop"};
	struct http_call *call = call_get("/nothing");
	struct span piece;
	enum io_result result;

	(void)arg;
	assert_int_equal(read_status(call), 500);
	http_call_release(call);
	for (size_t i = 0; i < COUNT_OF(paths); i++) {
		call = call_get(paths[i]);
		assert_int_equal(read_status(call), 200);
		do
			result = http_call_read_body(call, &piece, soon_enough());
		while (result == IO_OK);
		if (result != IO_CLOSED || call->body_ended)
			fail_msg("%s: %s", paths[i], io_result_text(result));
		http_call_release(call);
	}
}

static void never_takes_a_cut_response_for_whole(void **state)
{
	(void)state;
	run(trouble_fiber);
	assert_int_equal(handled, 5);
	assert_int_equal(world.server.connection_count, 1);
}

static void release_early(void *arg)
{
	const struct http_request_head head = post("/echo");
	struct http_call *call;
	struct span piece;

	(void)arg;
	/* before anything is sent */
	http_call_release(open_call(pool));
	/* after the request */
	http_call_release(call_get("/wait"));
	/* while the request is sent */
	call = open_call(pool);
	assert_int_equal(http_call_send_head(call, &head, 0, soon_enough()), IO_OK);
	assert_int_equal(http_call_send_body(call, SPAN("0123"), 0, soon_enough()), IO_OK);
	http_call_release(call);
	/* after the head */
	call = call_get("/hang");
	assert_int_equal(read_status(call), 200);
	http_call_release(call);
	/* in the middle of the body */
	call = call_get("/big");
	assert_int_equal(read_status(call), 200);
	assert_int_equal(http_call_read_body(call, &piece, soon_enough()), IO_OK);
	http_call_release(call);
	echo_with(1000, false);
}

static void resets_streams_of_calls_given_up(void **state)
{
	(void)state;
	run(release_early);
	assert_int_equal(running, 0);
	assert_int_equal(world.server.connection_count, 1);
	assert_int_equal(http_pool_active_count(pool), 0);
}

static void deadlines_fiber(void *arg)
{
	struct http_call *call = call_get("/wait");
	struct span piece;

	(void)arg;
	assert_int_equal(http_call_read_head(call, loop_deadline_ms(5)), IO_TIMEOUT);
	http_call_release(call);
	call = call_get("/hang");
	assert_int_equal(read_status(call), 200);
	assert_int_equal(http_call_read_body(call, &piece, soon_enough()), IO_OK);
	assert_int_equal(http_call_read_body(call, &piece, loop_deadline_ms(5)), IO_TIMEOUT);
	http_call_release(call);
}

static void waits_no_longer_than_told(void **state)
{
	(void)state;
	run(deadlines_fiber);
	assert_int_equal(gone, 2);
}

static void body_timeout_fiber(void *arg)
{
	const struct http_request_head head = post("/echo");
	struct http_call *call = open_call(pool);
	struct span piece;
	enum io_result result;

	(void)arg;
	assert_int_equal(http_call_send_head(call, &head, 0, soon_enough()), IO_OK);
	assert_int_equal(read_status(call), 200);
	/* No byte of the body comes. */
	do
		result = http_call_read_body(call, &piece, soon_enough());
	while (result == IO_OK);
	assert_int_equal(result, IO_CLOSED);
	http_call_release(call);
}

static void ends_slow_bodies(void **state)
{
	(void)state;
	world.server.limits.body_rate_bytes = 1000;
	world.server.limits.body_grace_ms = 20;
	run(body_timeout_fiber);
	assert_int_equal(last_read, IO_TIMEOUT);
}

/* What a call is doing when its connection is lost. */
struct victim {
	const char *path;
	bool sends;
	enum io_result result;
	bool started;
	bool done;
};

static void victim_fiber(void *arg)
{
	struct victim *v = arg;
	const struct http_request_head head = v->sends ? post(v->path) : get(v->path);
	struct http_call *call = open_call(pool);
	struct span piece;

	v->result =
		http_call_send_head(call, &head, v->sends ? 0 : HTTP_SEND_END, soon_enough());
	v->started = true;
	while (v->result == IO_OK && v->sends)
		v->result = http_call_send_body(call, span_of(pattern, PATTERN_BYTES), 0,
						soon_enough());
	if (v->result == IO_OK)
		v->result = http_call_read_head(call, soon_enough());
	while (v->result == IO_OK)
		v->result = http_call_read_body(call, &piece, soon_enough());
	http_call_release(call);
	v->done = true;
}

static void tells_everybody_of_a_lost_connection(void **state)
{
	struct victim victims[] = {{.path = "/wait"},
				   {.path = "/hang"},
				   {.path = "/wait", .sends = true},
				   {.path = "/hang", .sends = true},
				   {.path = "/wait"}};
	int64_t until_ms = clock_ms() + 20000;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(victims); i++)
		start_fiber(victim_fiber, &victims[i]);
	while (running < COUNT_OF(victims)) {
		assert_true(clock_ms() < until_ms);
		loop_step(loop_current(), 10);
	}
	for (int i = 0; i < 10; i++)
		loop_step(loop_current(), 1);
	assert_int_equal(world.server.connection_count, 1);
	http_server_close_all(&world.server);
	world_settle(&world);
	assert_int_equal(gone, COUNT_OF(victims));
	for (size_t i = 0; i < COUNT_OF(victims); i++) {
		assert_true(victims[i].done);
		assert_int_equal(victims[i].result, IO_CLOSED);
	}
	assert_int_equal(world.server.connection_count, 0);
	assert_int_equal(http_pool_active_count(pool), 0);
}

static void close_pool_fiber(void *arg)
{
	struct http_call *call = call_get("/hello");
	struct http_pool *mine = pool;
	struct span piece;
	enum io_result result;

	(void)arg;
	assert_int_equal(read_status(call), 200);
	http_pool_close(mine);
	assert_null(http_call_open(mine, false, soon_enough(), &result, NULL));
	assert_int_equal(result, IO_CLOSED);
	/* What is under way goes on to its end. */
	assert_int_equal(http_call_read_body(call, &piece, soon_enough()), IO_OK);
	http_call_release(call);
}

static void ends_connections_of_a_closed_pool(void **state)
{
	int64_t until_ms = clock_ms() + 20000;

	(void)state;
	run(close_pool_fiber);
	while (world.server.connection_count) {
		assert_true(clock_ms() < until_ms);
		loop_step(loop_current(), 10);
	}
	pool = world_pool(&world);
}

static void drain_fiber(void *arg)
{
	struct upload u = {.bytes = 100000};
	const struct http_request_head head = post("/echo");

	(void)arg;
	u.call = open_call(pool);
	assert_int_equal(http_call_send_head(u.call, &head, 0, soon_enough()), IO_OK);
	assert_int_equal(read_status(u.call), 200);
	http_server_drain(&world.server);
	start_fiber(upload, &u);
	assert_int_equal(read_pattern(u.call), u.bytes);
	http_call_release(u.call);
}

static void finishes_calls_of_a_draining_server(void **state)
{
	int64_t until_ms = clock_ms() + 20000;

	(void)state;
	run(drain_fiber);
	assert_int_equal(last_sent, IO_OK);
	while (world.server.connection_count) {
		assert_true(clock_ms() < until_ms);
		loop_step(loop_current(), 10);
	}
}

static void idle_fiber(void *arg)
{
	(void)arg;
	echo_with(10, false);
}

static void closes_idle_connections(void **state)
{
	int64_t until_ms = clock_ms() + 20000;

	(void)state;
	world.server.limits.idle_timeout_ms = 30;
	run(idle_fiber);
	while (world.server.connection_count) {
		assert_true(clock_ms() < until_ms);
		loop_step(loop_current(), 10);
	}
	run(idle_fiber);
	assert_int_equal(handled, 2);
}

/* --- signs of life --- */

#define ANSWERS 2

/* A service that says little: it greets, and perhaps answers PINGs, and after some the request. */
static struct {
	struct sockaddr_in address;
	int listener;
	bool answers;
	unsigned pings;
	enum io_result result;
} silent;

static bool read_whole(int fd, void *to, size_t size)
{
	return recv(fd, to, size, MSG_WAITALL) == (ssize_t)size;
}

static void *be_silent(void *arg)
{
	static const char settings[] = "\0\0\0\4\0\0\0\0";
	static const char response[] = "\0\0\1\1\5\0\0\0\1\x88";
	int fd = accept(silent.listener, NULL, NULL);
	unsigned char frame[9], payload[65536];

	assert_int_equal(send(fd, settings, 9, MSG_NOSIGNAL), 9);
	if (!read_whole(fd, payload, NGHTTP2_CLIENT_MAGIC_LEN))
		return arg;
	while (read_whole(fd, frame, 9)) {
		size_t len = (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];

		if (len > sizeof(payload) || (len && !read_whole(fd, payload, len)))
			break;
		if (frame[3] != NGHTTP2_PING)
			continue;
		silent.pings++;
		if (!silent.answers)
			continue;
		frame[4] = NGHTTP2_FLAG_ACK;
		send(fd, frame, 9, MSG_NOSIGNAL | MSG_MORE);
		send(fd, payload, len, MSG_NOSIGNAL);
		if (silent.pings == ANSWERS)
			send(fd, response, sizeof(response) - 1, MSG_NOSIGNAL);
	}
	close(fd);
	return arg;
}

static void ask_silent(void *arg)
{
	const struct http_request_head head = {.method = SPAN("GET"),
					       .scheme = SPAN("http"),
					       .authority = SPAN("a.test"),
					       .path = SPAN("/"),
					       .no_body = true};
	struct http_call *call = open_call(pool);

	(void)arg;
	assert_int_equal(http_call_send_head(call, &head, HTTP_SEND_END, soon_enough()), IO_OK);
	silent.result = http_call_read_head(call, soon_enough());
	http_call_release(call);
}

static void call_a_silent_service(bool answers, int64_t timeout_ms)
{
	socklen_t len = sizeof(silent.address);
	struct http_pool_options options = {
		.address_len = sizeof(silent.address),
		.protocol = HTTP_PROTOCOL_H2C,
		.idle_max = 4,
		.idle_timeout_ms = 60000,
		.ping_interval_ms = 20,
		.ping_timeout_ms = timeout_ms,
		.head = http_limits_default().head,
	};
	pthread_t thread;

	silent.address = (struct sockaddr_in){.sin_family = AF_INET,
					      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	silent.answers = answers;
	silent.pings = 0;
	silent.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(silent.listener, (const struct sockaddr *)&silent.address, len),
			 0);
	assert_int_equal(getsockname(silent.listener, (struct sockaddr *)&silent.address, &len),
			 0);
	assert_int_equal(listen(silent.listener, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, be_silent, NULL), 0);
	memcpy(&options.address, &silent.address, sizeof(silent.address));
	http_pool_close(pool);
	pool = http_pool_new(&options, NULL);
	assert_non_null(pool);
	run(ask_silent);
	http_pool_close(pool);
	pool = world_pool(&world);
	pthread_join(thread, NULL);
	close(silent.listener);
}

static void gives_up_a_service_without_a_sign_of_life(void **state)
{
	(void)state;
	call_a_silent_service(false, 20);
	assert_int_equal(silent.pings, 1);
	assert_int_equal(silent.result, IO_CLOSED);
}

static void waits_for_a_service_that_answers_pings(void **state)
{
	(void)state;
	call_a_silent_service(true, 20000);
	assert_true(silent.pings >= ANSWERS);
	assert_int_equal(silent.result, IO_OK);
}

static void no_http2_fiber(void *arg)
{
	enum io_result result = IO_OK;
	struct err err;

	(void)arg;
	assert_null(http_call_open(pool, false, soon_enough(), &result, &err));
	assert_int_equal(result, IO_CLOSED);
	assert_int_equal(err.code, ERR_CLOSED);
}

static void fails_to_open_where_http2_is_not_spoken(void **state)
{
	(void)state;
	world.flags = 0; /* the preface is no HTTP/1.1 request */
	run(no_http2_fiber);
	assert_int_equal(http_pool_active_count(pool), 0);
}

static void careful_fiber(void *arg)
{
	const struct http_request_head head = post("/echo");
	bool *complete = arg;
	enum io_result result;
	struct http_call *call = http_call_open(pool, false, soon_enough(), &result, NULL);
	struct span piece;

	*complete = false;
	if (!call)
		return;
	result = http_call_send_head(call, &head, 0, soon_enough());
	if (result == IO_OK)
		result = http_call_send_body(call, SPAN("0123"), HTTP_SEND_END, soon_enough());
	if (result == IO_OK)
		result = http_call_read_head(call, soon_enough());
	if (result == IO_OK && call->response.status == 200) {
		uint64_t len = 0;

		while ((result = http_call_read_body(call, &piece, soon_enough())) == IO_OK)
			len += piece.len;
		*complete = result == IO_EOF && len == 4;
		/* A response may fail to come, but not come wrong. */
		assert_true(result != IO_EOF || len == 4);
	}
	http_call_release(call);
}

static void survives_each_failing_allocation(void **state)
{
	bool failed = true, complete = false;
	unsigned long n;

	(void)state;
	mem_fail_at(1);
	if (mem_alloc(1)) {
		mem_fail_at(0);
		skip();
	}
	for (n = 1; failed; n++) {
		http_pool_close(pool);
		http_server_close_all(&world.server);
		world.server.draining = false;
		world_settle(&world);
		http_exchange_pool_release();
		block_pool_release();
		pool = world_pool(&world);
		start_fiber(careful_fiber, &complete);
		mem_fail_at(n);
		world_settle(&world);
		failed = mem_fail_happened();
		mem_fail_at(0);
		/* The next call finds everything in order. */
		start_fiber(careful_fiber, &complete);
		world_settle(&world);
		assert_true(complete);
	}
	assert_true(n > 50);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(carries_heads_both_ways),
		TEST(streams_both_ways_with_trailers),
		TEST(streams_through_tiny_windows),
		TEST(holds_the_handler_back_for_a_slow_reader),
		TEST(runs_many_calls_at_once),
		TEST(knows_responses_without_bodies),
		TEST(tunnels_by_extended_connect),
		TEST(answers_before_the_body_has_come),
		TEST(opens_another_connection_when_one_is_full),
		TEST(never_takes_a_cut_response_for_whole),
		TEST(resets_streams_of_calls_given_up),
		TEST(waits_no_longer_than_told),
		TEST(ends_slow_bodies),
		TEST(tells_everybody_of_a_lost_connection),
		TEST(ends_connections_of_a_closed_pool),
		TEST(finishes_calls_of_a_draining_server),
		TEST(closes_idle_connections),
		TEST(gives_up_a_service_without_a_sign_of_life),
		TEST(waits_for_a_service_that_answers_pings),
		TEST(fails_to_open_where_http2_is_not_spoken),
		TEST(survives_each_failing_allocation),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
