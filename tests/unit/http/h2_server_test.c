/* What a server connection does with frames that no decent client sends, and with good ones. */
#include "h2_support.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "http/block.h"
#include "http/connection.h"

/* What the handler has seen of the last request. */
static struct {
	unsigned count;
	unsigned malformed_status;
	bool client_gone;
	bool upgrade;
	enum http_method method;
	enum http1_framing framing;
	char target[64];
	char authority[64];
	char cookie[64];
	size_t field_count;
	size_t body_bytes;
	size_t trailer_count;
	enum io_result read;
	enum io_result sent;
} seen;
static bool hold; /* the handler waits for the client to go away */

static void note(char *to, size_t size, struct span text)
{
	snprintf(to, size, "%.*s", SPAN_ARG(text));
}

static void handler(struct http_exchange *x)
{
	const struct http_field fields[] = {
		{SPAN("Content-Type"), SPAN("text/plain"), HTTP_FIELD_CONTENT_TYPE}};
	struct http_response response = {
		.status = x->malformed_status ? x->malformed_status : 200,
		.fields = fields,
		.field_count = 1,
		.content_length = 5,
	};
	struct span piece;

	seen.count++;
	seen.malformed_status = x->malformed_status;
	seen.upgrade = x->request.upgrade;
	seen.method = x->request.method;
	seen.framing = x->request.framing;
	seen.field_count = x->request.field_count;
	seen.body_bytes = 0;
	note(seen.target, sizeof(seen.target), x->request.target);
	note(seen.authority, sizeof(seen.authority), x->request.authority);
	note(seen.cookie, sizeof(seen.cookie),
	     x->malformed_status ? SPAN_NONE : http1_field(&x->request, HTTP_FIELD_COOKIE));
	if (hold) {
		while (fiber_park(soon_enough()) == FIBER_EVENT)
			;
		seen.client_gone = x->client_gone;
		return;
	}
	while ((seen.read = http_read_body(x, &piece, soon_enough())) == IO_OK)
		seen.body_bytes += piece.len;
	seen.trailer_count = x->trailer_count;
	seen.sent = http_respond(x, &response, SPAN("hello"), soon_enough());
	seen.client_gone = x->client_gone;
}

static struct world world;
static struct raw raw;

static int setup(void **state)
{
	if (loop_setup(state) < 0)
		return -1;
	memset(&seen, 0, sizeof(seen));
	hold = false;
	world_open(&world, handler);
	return 0;
}

static int teardown(void **state)
{
	world_close(&world);
	return h2_teardown(state);
}

/* --- good requests --- */

static void answers_a_get(void **state)
{
	(void)state;
	raw_open(&raw, &world);
	assert_true(raw_get(&raw, 1));
	raw_until(&raw, raw.end_count == 1);
	assert_int_equal(raw.status, 200);
	assert_int_equal(raw.data_bytes, 5);
	assert_string_equal(seen.target, "/");
	assert_string_equal(seen.authority, "a.test");
	assert_int_equal(seen.framing, HTTP1_NO_BODY);
	assert_int_equal(raw.goaway_count, 0);
	assert_true(raw.settings_acks > 0);
	raw_close(&raw);
}

static void takes_bytes_one_by_one(void **state)
{
	const nghttp2_nv nv[] = {
		raw_nv(":method", "POST"),	raw_nv(":scheme", "https"),
		raw_nv(":authority", "a.test"), raw_nv(":path", "/slow?q=1"),
		raw_nv("content-length", "3"),	raw_nv("cookie", "a=1"),
		raw_nv("cookie", "b=2"),
	};
	uint8_t bytes[512] = NGHTTP2_CLIENT_MAGIC;
	size_t len = NGHTTP2_CLIENT_MAGIC_LEN, block;

	(void)state;
	raw_open_without_preface(&raw, &world);
	memcpy(bytes + len, "\0\0\0\4\0\0\0\0\0", 9);
	len += 9;
	block = raw_block(&raw, nv, COUNT_OF(nv), bytes + len + 9, sizeof(bytes) - len - 9);
	memcpy(bytes + len, "\0\0\0\1\4\0\0\0\1", 9);
	bytes[len + 2] = (uint8_t)block;
	len += 9 + block;
	memcpy(bytes + len, "\0\0\3\0\1\0\0\0\1abc", 12);
	len += 12;
	for (size_t i = 0; i < len; i++) {
		assert_true(raw_send(&raw, bytes + i, 1));
		raw_step(&raw);
	}
	raw_until(&raw, raw.end_count == 1);
	assert_int_equal(raw.status, 200);
	assert_int_equal(seen.body_bytes, 3);
	assert_int_equal(seen.read, IO_EOF);
	assert_string_equal(seen.target, "/slow?q=1");
	assert_string_equal(seen.cookie, "a=1; b=2");
	assert_int_equal(seen.framing, HTTP1_LENGTH);
	raw_close(&raw);
}

static void sends_continue_when_the_body_is_wanted(void **state)
{
	const nghttp2_nv nv[] = {
		raw_nv(":method", "POST"),	  raw_nv(":scheme", "https"),
		raw_nv(":authority", "a.test"),	  raw_nv(":path", "/"),
		raw_nv("expect", "100-continue"),
	};

	(void)state;
	raw_open(&raw, &world);
	assert_true(raw_headers(&raw, 0, 1, nv, COUNT_OF(nv)));
	raw_until(&raw, raw.status == 100);
	assert_true(raw_frame(&raw, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "x", 1));
	raw_until(&raw, raw.end_count == 1);
	assert_int_equal(raw.status, 200);
	assert_int_equal(raw.response_count, 2);
	raw_close(&raw);
}

static void takes_trailers(void **state)
{
	const nghttp2_nv nv[] = {
		raw_nv(":method", "POST"),	raw_nv(":scheme", "https"),
		raw_nv(":authority", "a.test"), raw_nv(":path", "/"),
		raw_nv("te", "trailers"),
	};
	const nghttp2_nv trailers[] = {raw_nv("checksum", "1"), raw_nv("x-more", "2")};

	(void)state;
	raw_open(&raw, &world);
	assert_true(raw_headers(&raw, 0, 1, nv, COUNT_OF(nv)));
	assert_true(raw_frame(&raw, NGHTTP2_DATA, 0, 1, "xyz", 3));
	assert_true(raw_headers(&raw, NGHTTP2_FLAG_END_STREAM, 1, trailers, 2));
	raw_until(&raw, raw.end_count == 1);
	assert_int_equal(seen.body_bytes, 3);
	assert_int_equal(seen.trailer_count, 2);
	raw_close(&raw);
}

static void opens_the_windows_as_the_body_is_read(void **state)
{
	const nghttp2_nv nv[] = {
		raw_nv(":method", "POST"),
		raw_nv(":scheme", "https"),
		raw_nv(":authority", "a.test"),
		raw_nv(":path", "/"),
	};
	static const char piece[10000];
	size_t sent = 0;

	(void)state;
	world.server.limits.h2_window_bytes = 65536;
	raw_open(&raw, &world);
	assert_true(raw_headers(&raw, 0, 1, nv, COUNT_OF(nv)));
	/* The first increment is the connection's window, made larger than the default. */
	raw_until(&raw, raw.window_updates == 4 * 65536 - 65535);
	for (int i = 0; i < 60; i++) {
		sent += sizeof(piece);
		raw_until(&raw, raw.stream_window_updates + 65536 >= sent &&
					raw.window_updates + 65535 >= sent);
		assert_true(raw_frame(&raw, NGHTTP2_DATA, 0, 1, piece, sizeof(piece)));
	}
	assert_true(raw_frame(&raw, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, NULL, 0));
	raw_until(&raw, raw.end_count == 1);
	assert_int_equal(seen.body_bytes, sent);
	assert_int_equal(raw.reset_count, 0);
	raw_close(&raw);
}

static void does_not_read_more_than_the_window_for_a_handler_that_does_not(void **state)
{
	const nghttp2_nv nv[] = {
		raw_nv(":method", "POST"),
		raw_nv(":scheme", "https"),
		raw_nv(":authority", "a.test"),
		raw_nv(":path", "/"),
	};
	static const char piece[16384];

	(void)state;
	hold = true;
	raw_open(&raw, &world);
	assert_true(raw_headers(&raw, 0, 1, nv, COUNT_OF(nv)));
	raw_until(&raw, raw.window_updates > 0);
	for (int i = 0; i < 4; i++)
		assert_true(raw_frame(&raw, NGHTTP2_DATA, 0, 1, piece, sizeof(piece)));
	raw_step(&raw);
	raw_step(&raw);
	assert_int_equal(raw.window_updates, 4 * 65536 - 65535);
	assert_int_equal(raw.reset_count + raw.goaway_count, 0);
	/* One byte more than the window. */
	assert_true(raw_frame(&raw, NGHTTP2_DATA, 0, 1, piece, 1));
	raw_until(&raw, raw.reset_count + raw.goaway_count > 0);
	assert_int_equal(raw.reset_count ? raw.reset_code : raw.goaway_code,
			 NGHTTP2_FLOW_CONTROL_ERROR);
	raw_close(&raw);
}

static void presents_extended_connect_as_an_upgrade(void **state)
{
	const nghttp2_nv nv[] = {
		raw_nv(":method", "CONNECT"),	 raw_nv(":protocol", "websocket"),
		raw_nv(":scheme", "https"),	 raw_nv(":authority", "a.test"),
		raw_nv(":path", "/chat?room=1"), raw_nv("sec-websocket-version", "13"),
	};

	(void)state;
	hold = true;
	raw_open(&raw, &world);
	assert_true(raw_headers(&raw, 0, 1, nv, COUNT_OF(nv)));
	raw_until(&raw, seen.count == 1);
	assert_true(seen.upgrade);
	assert_int_equal(seen.malformed_status, 0);
	assert_int_equal(seen.method, HTTP_METHOD_GET);
	assert_string_equal(seen.target, "/chat?room=1");
	raw_close(&raw);
	world_settle(&world);
	assert_true(seen.client_gone);
}

/* --- malformed requests --- */

struct bad_request {
	const char *what;
	unsigned status; /* 0: RST_STREAM */
	struct {
		const char *name, *value;
	} fields[8];
};

#define GOOD                                                                                   \
	{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"},                    \
	{                                                                                      \
		":path", "/"                                                                   \
	}

static const struct bad_request bad_requests[] = {
	{"upper-case name", 0, {GOOD, {"X-Upper", "1"}}},
	{"connection field", 0, {GOOD, {"connection", "close"}}},
	{"keep-alive field", 0, {GOOD, {"keep-alive", "1"}}},
	{"proxy-connection field", 0, {GOOD, {"proxy-connection", "close"}}},
	{"transfer-encoding field", 0, {GOOD, {"transfer-encoding", "chunked"}}},
	{"upgrade field", 0, {GOOD, {"upgrade", "websocket"}}},
	{"te other than trailers", 0, {GOOD, {"te", "gzip"}}},
	{"no path", 0, {{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}}},
	{"no method", 0, {{":scheme", "https"}, {":authority", "a.test"}, {":path", "/"}}},
	{"no scheme", 0, {{":method", "GET"}, {":authority", "a.test"}, {":path", "/"}}},
	{"empty path",
	 0,
	 {{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", ""}}},
	{"repeated method", 0, {GOOD, {":method", "GET"}}},
	{"repeated path",
	 0,
	 {{":method", "GET"}, {":scheme", "https"}, {":path", "/a"}, {":path", "/b"}}},
	{"pseudo-header after a field",
	 0,
	 {{":method", "GET"}, {":scheme", "https"}, {"a", "b"}, {":path", "/"}}},
	{"unknown pseudo-header", 0, {GOOD, {":unknown", "1"}}},
	{"response pseudo-header", 0, {GOOD, {":status", "200"}}},
	{"repeated content-length",
	 0,
	 {GOOD, {"content-length", "0"}, {"content-length", "0"}}},
	{"content-length without a body", 0, {GOOD, {"content-length", "3"}}},
	{"absolute path",
	 0,
	 {{":method", "GET"},
	  {":scheme", "https"},
	  {":authority", "a.test"},
	  {":path", "https://a.test/"}}},
	{"asterisk with GET",
	 0,
	 {{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "*"}}},
	{"plain CONNECT", 400, {{":method", "CONNECT"}, {":authority", "a.test:443"}}},
	{"host unlike authority", 400, {GOOD, {"host", "b.test"}}},
	{"no host at all", 0, {{":method", "GET"}, {":scheme", "https"}, {":path", "/"}}},
	{"malformed authority",
	 400,
	 {{":method", "GET"}, {":scheme", "https"}, {":authority", "a:b:c"}, {":path", "/"}}},
	{"userinfo in authority",
	 400,
	 {{":method", "GET"},
	  {":scheme", "https"},
	  {":authority", "u@a.test"},
	  {":path", "/"}}},
	{"other scheme",
	 400,
	 {{":method", "GET"}, {":scheme", "ftp"}, {":authority", "a.test"}, {":path", "/"}}},
	{"name like a framing field", 400, {GOOD, {"content_length", "3"}}},
	{"line break in a value", 400, {GOOD, {"a", "b\r\nc: d"}}},
	{"control byte in a value", 400, {GOOD, {"a", "b\001"}}},
	{"expectation that is unknown", 400, {GOOD, {"expect", "wonders"}}},
	{"repeated authorization", 400, {GOOD, {"authorization", "a"}, {"authorization", "b"}}},
	{"malformed content-length", 0, {GOOD, {"content-length", "+1"}}},
};

static void refuses_malformed_requests(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad_requests); i++) {
		const struct bad_request *bad = &bad_requests[i];
		nghttp2_nv nv[8];
		size_t count = 0;

		memset(&seen, 0, sizeof(seen));
		for (; count < 8 && bad->fields[count].name; count++)
			nv[count] = raw_nv(bad->fields[count].name, bad->fields[count].value);
		raw_open(&raw, &world);
		assert_true(raw_headers(&raw, NGHTTP2_FLAG_END_STREAM, 1, nv, count));
		raw_until(&raw, raw.end_count + raw.reset_count > 0);
		world_settle(&world);
		if (seen.count != 1 || raw.status != bad->status || raw.goaway_count)
			fail_msg("%s: status %u, reset %u, handler %u times", bad->what,
				 raw.status, raw.reset_count, seen.count);
		/* Refused, but seen: it can be logged. */
		assert_int_equal(seen.malformed_status, 400);
		if (!bad->status) {
			assert_int_equal(raw.reset_code, NGHTTP2_PROTOCOL_ERROR);
			assert_true(seen.client_gone);
		}
		/* The connection goes on. */
		assert_true(raw_get(&raw, 3));
		raw_until(&raw, raw.end_count == (bad->status ? 2 : 1));
		assert_int_equal(raw.status, 200);
		raw_close(&raw);
	}
}

static void refuses_bodies_unlike_their_length(void **state)
{
	const nghttp2_nv nv[] = {
		raw_nv(":method", "POST"),	raw_nv(":scheme", "https"),
		raw_nv(":authority", "a.test"), raw_nv(":path", "/"),
		raw_nv("content-length", "3"),
	};

	(void)state;
	raw_open(&raw, &world);
	assert_true(raw_headers(&raw, 0, 1, nv, COUNT_OF(nv)));
	assert_true(raw_frame(&raw, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "toolong", 7));
	raw_until(&raw, raw.reset_count == 1);
	assert_true(raw_headers(&raw, 0, 3, nv, COUNT_OF(nv)));
	assert_true(raw_frame(&raw, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 3, "s", 1));
	raw_until(&raw, raw.reset_count == 2);
	world_settle(&world);
	assert_int_equal(raw.reset_code, NGHTTP2_PROTOCOL_ERROR);
	assert_true(seen.client_gone);
	assert_int_not_equal(seen.read, IO_EOF);
	raw_close(&raw);
}

static void refuses_content_of_a_get(void **state)
{
	const nghttp2_nv nv[] = {
		raw_nv(":method", "GET"),
		raw_nv(":scheme", "https"),
		raw_nv(":authority", "a.test"),
		raw_nv(":path", "/"),
	};

	(void)state;
	hold = true;
	raw_open(&raw, &world);
	assert_true(raw_headers(&raw, 0, 1, nv, COUNT_OF(nv)));
	raw_until(&raw, seen.count == 1);
	assert_true(raw_frame(&raw, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "x", 1));
	raw_until(&raw, raw.reset_count == 1);
	world_settle(&world);
	assert_true(seen.client_gone);
	raw_close(&raw);
}

static void refuses_bad_trailers(void **state)
{
	const nghttp2_nv nv[] = {
		raw_nv(":method", "POST"),
		raw_nv(":scheme", "https"),
		raw_nv(":authority", "a.test"),
		raw_nv(":path", "/"),
	};
	const nghttp2_nv trailers[] = {raw_nv("authorization", "Bearer x")};

	(void)state;
	raw_open(&raw, &world);
	assert_true(raw_headers(&raw, 0, 1, nv, COUNT_OF(nv)));
	raw_until(&raw, seen.count == 1);
	assert_true(raw_headers(&raw, NGHTTP2_FLAG_END_STREAM, 1, trailers, 1));
	raw_until(&raw, raw.reset_count == 1);
	world_settle(&world);
	assert_int_not_equal(seen.read, IO_EOF);
	raw_close(&raw);
}

static void answers_431_to_too_many_or_too_large_fields(void **state)
{
	static char large[1024];
	nghttp2_nv nv[120] = {
		raw_nv(":method", "GET"),
		raw_nv(":scheme", "https"),
		raw_nv(":authority", "a.test"),
		raw_nv(":path", "/"),
	};
	uint8_t block[60000];
	size_t len, first;

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	for (size_t i = 4; i < COUNT_OF(nv); i++)
		nv[i] = raw_nv("a", "b");
	raw_open(&raw, &world);
	assert_true(raw_headers(&raw, NGHTTP2_FLAG_END_STREAM, 1, nv, COUNT_OF(nv)));
	raw_until(&raw, raw.end_count == 1);
	assert_int_equal(raw.status, 431);
	/* 48 fields of 1 KiB, with a CONTINUATION frame as they are over 16 KiB. */
	for (size_t i = 4; i < 52; i++)
		nv[i] = raw_nv("a", large);
	for (size_t i = 4; i < 52; i++)
		nv[i].flags = NGHTTP2_NV_FLAG_NO_INDEX;
	len = raw_block(&raw, nv, 52, block, sizeof(block));
	assert_true(len > 16384);
	assert_true(raw_frame(&raw, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 3, block, 16384));
	for (first = 16384; len - first > 16384; first += 16384)
		assert_true(raw_frame(&raw, NGHTTP2_CONTINUATION, 0, 3, block + first, 16384));
	assert_true(raw_frame(&raw, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 3,
			      block + first, len - first));
	raw_until(&raw, raw.end_count == 2);
	assert_int_equal(raw.status, 431);
	assert_true(raw_get(&raw, 5));
	raw_until(&raw, raw.end_count == 3);
	assert_int_equal(raw.status, 200);
	raw_close(&raw);
}

static void closes_without_the_preface(void **state)
{
	uint8_t preface[] = NGHTTP2_CLIENT_MAGIC;

	(void)state;
	raw_open_without_preface(&raw, &world);
	/* SETTINGS must follow. */
	assert_true(raw_send(&raw, preface, NGHTTP2_CLIENT_MAGIC_LEN));
	assert_true(raw_frame(&raw, NGHTTP2_PING, 0, 0, "12345678", 8));
	raw_until(&raw, raw.ended);
	assert_int_equal(raw.goaway_code, NGHTTP2_PROTOCOL_ERROR);
	raw_close(&raw);
}

/* --- floods --- */

static struct raw other;

/* The flooding connection is told to calm down and closed; another one is served. */
static void expect_calm(void)
{
	raw_until(&raw, raw.goaway_count > 0 || raw.ended);
	assert_int_equal(raw.goaway_count, 1);
	assert_int_equal(raw.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
	raw_close(&raw);
	raw_open(&other, &world);
	assert_true(raw_get(&other, 1));
	raw_until(&other, other.end_count == 1);
	raw_close(&other);
	world_settle(&world);
}

static void ends_rapid_resets(void **state)
{
	(void)state;
	hold = true;
	raw_open(&raw, &world);
	for (int32_t id = 1; id < 2000 && !raw.ended; id += 2) {
		if (!raw_get(&raw, id) ||
		    !raw_frame(&raw, NGHTTP2_RST_STREAM, 0, id, "\0\0\0\10", 4))
			break;
		raw_step(&raw);
	}
	hold = false;
	assert_true(seen.count <= world.server.limits.h2_resets + 1);
	expect_calm();
}

static void ends_rapid_resets_in_one_write(void **state)
{
	uint8_t bytes[32768];
	size_t len = 0;

	(void)state;
	hold = true;
	raw_open(&raw, &world);
	raw_step(&raw);
	for (int32_t id = 1; id < 601; id += 2) {
		const nghttp2_nv nv[] = {
			raw_nv(":method", "GET"),
			raw_nv(":scheme", "https"),
			raw_nv(":authority", "a.test"),
			raw_nv(":path", "/"),
		};
		const uint8_t stream[] = {0, 0, (uint8_t)(id >> 8), (uint8_t)id};
		size_t block = raw_block(&raw, nv, 4, bytes + len + 9, sizeof(bytes) - len - 9);

		memcpy(bytes + len, "\0\0\0\1\5", 5);
		bytes[len + 2] = (uint8_t)block;
		memcpy(bytes + len + 5, stream, 4);
		len += 9 + block;
		memcpy(bytes + len, "\0\0\4\3\0", 5);
		memcpy(bytes + len + 5, stream, 4);
		memcpy(bytes + len + 9, "\0\0\0\10", 4);
		len += 13;
	}
	(void)raw_send(&raw, bytes, len);
	raw_until(&raw, raw.goaway_count > 0);
	hold = false;
	/* Those cancelled before they were begun may or may not have run. */
	assert_true(seen.count <= world.server.limits.h2_resets + 1);
	expect_calm();
}

/* CVE-2025-8671: the server is made to reset the streams itself. */
static void ends_provoked_resets(void **state)
{
	(void)state;
	hold = true;
	raw_open(&raw, &world);
	for (int32_t id = 1; id < 2000 && !raw.ended; id += 2) {
		if (!raw_get(&raw, id) ||
		    !raw_frame(&raw, NGHTTP2_WINDOW_UPDATE, 0, id, "\x7f\xff\xff\xff", 4))
			break;
		raw_step(&raw);
	}
	hold = false;
	expect_calm();
}

static void ends_malformed_requests_without_end(void **state)
{
	const nghttp2_nv nv[] = {
		raw_nv(":method", "GET"),	raw_nv(":scheme", "https"),
		raw_nv(":authority", "a.test"), raw_nv(":path", "/"),
		raw_nv("connection", "close"),
	};

	(void)state;
	raw_open(&raw, &world);
	for (int32_t id = 1; id < 2000 && !raw.ended; id += 2) {
		if (!raw_headers(&raw, NGHTTP2_FLAG_END_STREAM, id, nv, COUNT_OF(nv)))
			break;
		raw_step(&raw);
	}
	expect_calm();
}

static void ends_control_frame_floods(void **state)
{
	static const struct {
		const char *what;
		unsigned type, flags;
		const char *payload;
		size_t len;
	} floods[] = {
		{"PING", NGHTTP2_PING, 0, "12345678", 8},
		{"PING answers", NGHTTP2_PING, NGHTTP2_FLAG_ACK, "12345678", 8},
		{"SETTINGS", NGHTTP2_SETTINGS, 0, NULL, 0},
		{"SETTINGS with values", NGHTTP2_SETTINGS, 0, "\0\4\0\1\0\0", 6},
		{"window updates", NGHTTP2_WINDOW_UPDATE, 0, "\0\0\0\1", 4},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(floods); i++) {
		raw_open(&raw, &world);
		for (int n = 0; n < 100000 && !raw.goaway_count && !raw.ended; n++) {
			if (!raw_frame(&raw, floods[i].type, floods[i].flags, 0,
				       floods[i].payload, floods[i].len))
				break;
			if (n % 100 == 0)
				raw_step(&raw);
		}
		if (raw.goaway_count && raw.goaway_code != NGHTTP2_ENHANCE_YOUR_CALM)
			fail_msg("%s: code %u", floods[i].what, raw.goaway_code);
		expect_calm();
	}
}

static void ends_floods_whose_answers_are_not_read(void **state)
{
	int64_t until_ms = clock_ms() + 20000;

	(void)state;
	world.server.limits.h2_control_frames = 1000000;
	raw_open(&raw, &world);
	for (;;) {
		uint8_t frame[17] = {0, 0, 8, NGHTTP2_PING};
		ssize_t n = send(raw.fd, frame, sizeof(frame), MSG_NOSIGNAL);

		/* Partial frames may go out of step: that ends the connection too. */
		if (n < 0 && errno != EAGAIN)
			break;
		if (n < 0)
			loop_step(loop_current(), 1);
		if (world.server.connection_count == 0 && n < 0)
			break;
		assert_true(clock_ms() < until_ms);
	}
	raw_close(&raw);
}

static void ends_priority_floods(void **state)
{
	(void)state;
	raw_open(&raw, &world);
	for (int n = 0; n < 100000 && !raw.goaway_count && !raw.ended; n++) {
		if (!raw_frame(&raw, NGHTTP2_PRIORITY, 0, 1, "\0\0\0\0\20", 5))
			break;
		if (n % 100 == 0)
			raw_step(&raw);
	}
	expect_calm();
}

static void ends_empty_data_floods(void **state)
{
	const nghttp2_nv nv[] = {
		raw_nv(":method", "POST"),
		raw_nv(":scheme", "https"),
		raw_nv(":authority", "a.test"),
		raw_nv(":path", "/"),
	};

	(void)state;
	raw_open(&raw, &world);
	assert_true(raw_headers(&raw, 0, 1, nv, COUNT_OF(nv)));
	for (int n = 0; n < 100000 && !raw.goaway_count && !raw.ended; n++) {
		if (!raw_frame(&raw, NGHTTP2_DATA, 0, 1, NULL, 0))
			break;
		if (n % 100 == 0)
			raw_step(&raw);
	}
	expect_calm();
}

static void ends_continuation_floods(void **state)
{
	uint8_t block[256];
	size_t len;
	const nghttp2_nv nv[] = {raw_nv(":method", "GET")};

	(void)state;
	raw_open(&raw, &world);
	len = raw_block(&raw, nv, 1, block, sizeof(block));
	assert_true(raw_frame(&raw, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, block, len));
	for (int n = 0; n < 100000 && !raw.goaway_count && !raw.ended; n++) {
		/* A literal field that is never indexed: "a: b". */
		if (!raw_frame(&raw, NGHTTP2_CONTINUATION, 0, 1, "\20\1a\1b", 5))
			break;
		raw_step(&raw);
	}
	assert_int_equal(seen.count, 0);
	expect_calm();
}

static void refuses_streams_beyond_the_limit(void **state)
{
	(void)state;
	world.server.limits.h2_streams = 4;
	hold = true;
	raw_open(&raw, &world);
	raw_until(&raw, raw.settings_acks > 0);
	assert_true(raw_frame(&raw, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0));
	for (int32_t id = 1; id < 13; id += 2)
		assert_true(raw_get(&raw, id));
	raw_until(&raw, raw.reset_count + raw.goaway_count > 0);
	assert_int_equal(seen.count, 4);
	raw_close(&raw);
	world_settle(&world);
}

/* Each request beyond the limit is answered with a reset, whether SETTINGS were acknowledged or not. */
static void ends_requests_beyond_the_limit_without_end(void **state)
{
	(void)state;
	world.server.limits.h2_streams = 4;
	hold = true;
	raw_open(&raw, &world);
	for (int32_t id = 1; id < 2000 && !raw.ended; id += 2) {
		if (!raw_get(&raw, id))
			break;
		raw_step(&raw);
	}
	hold = false;
	assert_int_equal(seen.count, 4);
	assert_true(raw.reset_count <= world.server.limits.h2_resets);
	expect_calm();
}

/* --- time limits and ends --- */

static void times_out(void **state)
{
	const nghttp2_nv nv[] = {raw_nv(":method", "GET")};
	uint8_t block[64];
	size_t len;

	(void)state;
	world.server.limits.head_timeout_ms = 30;
	world.server.limits.idle_timeout_ms = 60;
	/* A header block that does not end. */
	raw_open(&raw, &world);
	len = raw_block(&raw, nv, 1, block, sizeof(block));
	assert_true(raw_frame(&raw, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, block, len));
	raw_until(&raw, raw.ended);
	assert_int_equal(raw.goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
	raw_close(&raw);
	/* Nothing after the preface. */
	raw_open_without_preface(&raw, &world);
	assert_true(raw_send(&raw, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN));
	raw_until(&raw, raw.ended);
	raw_close(&raw);
	/* No request. */
	raw_open(&raw, &world);
	raw_until(&raw, raw.ended);
	assert_int_equal(raw.goaway_count, 1);
	assert_int_equal(raw.goaway_code, NGHTTP2_NO_ERROR);
	raw_close(&raw);
	assert_int_equal(seen.count, 0);
}

static void big_handler(struct http_exchange *x)
{
	static const char piece[16384];
	const struct http_response response = {.status = 200, .content_length = -1};

	seen.count++;
	seen.sent = http_send_head(x, &response, HTTP_SEND_MORE, soon_enough());
	while (seen.sent == IO_OK) {
		seen.sent = http_send_body(x, span_of(piece, sizeof(piece)), 0, soon_enough());
		seen.body_bytes += sizeof(piece);
	}
	seen.client_gone = x->client_gone;
}

static void closes_when_the_client_does_not_read(void **state)
{
	int64_t until_ms = clock_ms() + 20000;

	(void)state;
	world.server.handler = big_handler;
	world.server.limits.write_timeout_ms = 100;
	raw_open(&raw, &world);
	assert_true(raw_frame(&raw, NGHTTP2_SETTINGS, 0, 0, "\0\4\x7f\xff\xff\xff", 6));
	assert_true(raw_frame(&raw, NGHTTP2_WINDOW_UPDATE, 0, 0, "\x70\0\0\0", 4));
	assert_true(raw_get(&raw, 1));
	while (world.server.connection_count || !seen.count) {
		assert_true(clock_ms() < until_ms);
		loop_step(loop_current(), 10);
	}
	assert_true(seen.client_gone);
	raw_close(&raw);
}

static void asks_silent_clients_for_a_sign_of_life(void **state)
{
	(void)state;
	world.server.limits.h2_ping_interval_ms = 20;
	raw_open(&raw, &world);
	for (unsigned asked = 1; asked <= 3; asked++) {
		raw_until(&raw, raw.pings == asked);
		assert_true(raw_frame(&raw, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "\0\0\0\0\0\0\0",
				      8));
	}
	/* Who answers is let be, and served. */
	assert_true(raw_get(&raw, 1));
	raw_until(&raw, raw.end_count == 1);
	assert_false(raw.ended);
	raw_close(&raw);
}

static void closes_the_connection_of_a_client_that_gives_no_sign_of_life(void **state)
{
	(void)state;
	hold = true;
	world.server.limits.h2_ping_interval_ms = 20;
	world.server.limits.h2_ping_timeout_ms = 20;
	raw_open(&raw, &world);
	assert_true(raw_get(&raw, 1));
	raw_until(&raw, raw.ended);
	assert_int_equal(raw.pings, 1);
	world_settle(&world);
	assert_true(seen.client_gone);
	raw_close(&raw);
}

static bool give_up; /* handlers that wait */

/* A response without end to a GET; a POST is given up without an answer when it is told so. */
static void giving_up_handler(struct http_exchange *x)
{
	if (x->request.method == HTTP_METHOD_GET) {
		big_handler(x);
		return;
	}
	seen.count++;
	while (!give_up)
		fiber_sleep_ms(1);
	http_abort(x);
}

static void trailers_may_come_on_when_their_request_is_over(void **state)
{
	const nghttp2_nv nv[] = {
		raw_nv(":method", "POST"),
		raw_nv(":scheme", "https"),
		raw_nv(":authority", "a.test"),
		raw_nv(":path", "/"),
	};
	static char large[4000];
	nghttp2_nv trailers[] = {raw_nv("a", "b"), raw_nv("c", large)};
	uint8_t block[8192];
	uint64_t written = 1;
	size_t len;

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	trailers[1].valuelen = sizeof(large) - 1;
	give_up = false;
	world.server.handler = giving_up_handler;
	raw_open(&raw, &world);
	assert_true(raw_frame(&raw, NGHTTP2_SETTINGS, 0, 0, "\0\4\x7f\xff\xff\xff", 6));
	assert_true(raw_frame(&raw, NGHTTP2_WINDOW_UPDATE, 0, 0, "\x70\0\0\0", 4));
	assert_true(raw_headers(&raw, 0, 1, nv, COUNT_OF(nv)));
	raw_until(&raw, seen.count == 1);
	/* Nothing is read any more: what the server has to say, a reset too, must wait. */
	assert_true(raw_get(&raw, 3));
	while (!seen.body_bytes || seen.body_bytes != written) {
		written = seen.body_bytes;
		for (int i = 0; i < 20; i++)
			loop_step(loop_current(), 1);
	}
	len = raw_block(&raw, trailers, COUNT_OF(trailers), block, sizeof(block));
	assert_true(raw_frame(&raw, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, block, 20));
	for (int i = 0; i < 20; i++)
		loop_step(loop_current(), 1);
	give_up = true;
	while (world.server.exchange_count > 1)
		loop_step(loop_current(), 1);
	assert_true(raw_frame(&raw, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1,
			      block + 20, len - 20));
	for (int i = 0; i < 20; i++)
		loop_step(loop_current(), 1);
	raw_until(&raw, raw.reset_count == 1);
	assert_int_equal(raw.goaway_count, 0);
	raw_close(&raw);
}

/* Answers before the request's body has come. */
static void early_handler(struct http_exchange *x)
{
	const struct http_response response = {.status = 413, .content_length = 5};

	seen.count++;
	seen.sent = http_respond(x, &response, SPAN("large"), soon_enough());
}

static bool post(int32_t stream)
{
	const nghttp2_nv nv[] = {
		raw_nv(":method", "POST"),
		raw_nv(":scheme", "https"),
		raw_nv(":authority", "a.test"),
		raw_nv(":path", "/"),
	};

	return raw_headers(&raw, 0, stream, nv, COUNT_OF(nv));
}

static void a_client_may_end_a_request_that_was_answered_early(void **state)
{
	static const char piece[16384];

	(void)state;
	world.server.handler = early_handler;
	world.server.limits.h2_window_bytes = 65536;
	raw_open(&raw, &world);
	assert_true(post(1));
	raw_until(&raw, raw.end_count == 1);
	assert_int_equal(raw.status, 413);
	/* More than the window: what is thrown away opens it again. */
	for (size_t sent = 0; sent < 10 * sizeof(piece); sent += sizeof(piece)) {
		raw_until(&raw, raw.stream_window_updates + 65536 >= sent + sizeof(piece) &&
					raw.window_updates + 65535 >= sent + sizeof(piece));
		assert_true(raw_frame(&raw, NGHTTP2_DATA, 0, 1, piece, sizeof(piece)));
	}
	assert_true(raw_frame(&raw, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, NULL, 0));
	world_settle(&world);
	assert_true(raw_get(&raw, 3));
	raw_until(&raw, raw.end_count == 2);
	assert_int_equal(raw.reset_count, 0);
	raw_close(&raw);
}

static void a_client_may_leave_off_a_request_that_was_answered_early(void **state)
{
	(void)state;
	world.server.handler = early_handler;
	raw_open(&raw, &world);
	/* More often than it may reset streams that it waits for. */
	for (int32_t id = 1; id < 401; id += 2) {
		unsigned before = raw.end_count;

		assert_true(post(id));
		raw_until(&raw, raw.end_count == before + 1);
		assert_true(raw_frame(&raw, NGHTTP2_RST_STREAM, 0, id, "\0\0\0\10", 4));
	}
	world_settle(&world);
	assert_int_equal(raw.reset_count + raw.goaway_count, 0);
	raw_close(&raw);
}

static void a_client_that_goes_on_after_its_answer_is_reset(void **state)
{
	(void)state;
	world.server.handler = early_handler;
	raw_open(&raw, &world);
	assert_true(post(1));
	raw_until(&raw, raw.end_count == 1);
	raw_until(&raw, raw.reset_count == 1);
	assert_int_equal(raw.reset_code, NGHTTP2_NO_ERROR);
	world_settle(&world);
	raw_close(&raw);
}

static void drains_in_two_steps(void **state)
{
	(void)state;
	hold = true;
	raw_open(&raw, &world);
	assert_true(raw_get(&raw, 1));
	raw_until(&raw, seen.count == 1);
	http_server_drain(&world.server);
	raw_until(&raw, raw.goaway_count == 1);
	assert_int_equal(raw.goaway_last, INT32_MAX);
	/* What was on its way is still answered. */
	hold = false;
	assert_true(raw_get(&raw, 3));
	raw_until(&raw, raw.end_count == 1);
	raw_until(&raw, raw.goaway_count == 2);
	assert_int_equal(raw.goaway_last, 3);
	assert_int_equal(raw.goaway_code, NGHTTP2_NO_ERROR);
	assert_false(raw.ended);
	/* The connection ends with its last exchange. */
	assert_true(raw_frame(&raw, NGHTTP2_RST_STREAM, 0, 1, "\0\0\0\10", 4));
	raw_until(&raw, raw.ended);
	assert_int_equal(world.server.connection_count, 0);
	raw_close(&raw);
}

static void survives_random_frames(void **state)
{
	(void)state;
	for (int round = 0; round < 300; round++) {
		uint8_t payload[64];

		raw_open(&raw, &world);
		for (int n = 0; n < 20; n++) {
			size_t len = (size_t)rand_below(sizeof(payload));

			rand_bytes(payload, len);
			if (rand_below(3) == 0 &&
			    !raw_get(&raw, (int32_t)rand_below(8) * 2 + 1))
				break;
			if (!raw_frame(&raw, (unsigned)rand_below(11), (unsigned)rand_below(64),
				       (int32_t)rand_below(9), payload, len))
				break;
		}
		raw_step(&raw);
		raw_close(&raw);
	}
	world_settle(&world);
}

static void survives_each_failing_allocation(void **state)
{
	const nghttp2_nv nv[] = {
		raw_nv(":method", "POST"),
		raw_nv(":scheme", "https"),
		raw_nv(":authority", "a.test"),
		raw_nv(":path", "/"),
	};
	unsigned long n = 1;
	bool failed = true;

	(void)state;
	mem_fail_at(1);
	if (mem_alloc(1)) {
		mem_fail_at(0);
		skip();
	}
	for (; failed; n++) {
		memset(&seen, 0, sizeof(seen));
		/* Nothing from the pools: everything is allocated anew. */
		http_exchange_pool_release();
		block_pool_release();
		raw_open(&raw, &world);
		assert_true(raw_headers(&raw, 0, 1, nv, COUNT_OF(nv)));
		assert_true(raw_frame(&raw, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "x", 1));
		mem_fail_at(n);
		for (int step = 0; step < 20 && !mem_fail_happened(); step++)
			loop_step(loop_current(), 1);
		failed = mem_fail_happened();
		mem_fail_at(0);
		/* It is answered, reset or closed, but never left alone. */
		raw_until(&raw, raw.ended || raw.end_count || raw.reset_count);
		raw_close(&raw);
		world_settle(&world);
	}
	assert_true(n > 20);
	assert_int_equal(seen.sent, IO_OK);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(answers_a_get),
		TEST(takes_bytes_one_by_one),
		TEST(sends_continue_when_the_body_is_wanted),
		TEST(takes_trailers),
		TEST(opens_the_windows_as_the_body_is_read),
		TEST(does_not_read_more_than_the_window_for_a_handler_that_does_not),
		TEST(presents_extended_connect_as_an_upgrade),
		TEST(refuses_malformed_requests),
		TEST(refuses_bodies_unlike_their_length),
		TEST(refuses_content_of_a_get),
		TEST(refuses_bad_trailers),
		TEST(answers_431_to_too_many_or_too_large_fields),
		TEST(closes_without_the_preface),
		TEST(ends_rapid_resets),
		TEST(ends_rapid_resets_in_one_write),
		TEST(ends_provoked_resets),
		TEST(ends_malformed_requests_without_end),
		TEST(ends_control_frame_floods),
		TEST(ends_floods_whose_answers_are_not_read),
		TEST(ends_priority_floods),
		TEST(ends_empty_data_floods),
		TEST(ends_continuation_floods),
		TEST(refuses_streams_beyond_the_limit),
		TEST(ends_requests_beyond_the_limit_without_end),
		TEST(times_out),
		TEST(closes_when_the_client_does_not_read),
		TEST(asks_silent_clients_for_a_sign_of_life),
		TEST(closes_the_connection_of_a_client_that_gives_no_sign_of_life),
		TEST(trailers_may_come_on_when_their_request_is_over),
		TEST(a_client_may_end_a_request_that_was_answered_early),
		TEST(a_client_may_leave_off_a_request_that_was_answered_early),
		TEST(a_client_that_goes_on_after_its_answer_is_reset),
		TEST(drains_in_two_steps),
		TEST(survives_random_frames),
		TEST(survives_each_failing_allocation),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
