#include "h2_support.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/block.h"
#include "http/connection.h"

#define GIVE_UP_MS 20000

int64_t soon_enough(void)
{
	return loop_deadline_ms(GIVE_UP_MS);
}

static void on_accept(struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
	struct world *world = CONTAINER_OF(listener, struct world, listener);

	http_server_accept(&world->server, fd, peer, NULL, world->flags, NULL, 0);
}

void world_open(struct world *world, void (*handler)(struct http_exchange *x))
{
	struct net_address address;
	int fd;

	*world = (struct world){.flags = HTTP_ACCEPT_H2C};
	http_server_init(&world->server, handler);
	assert_int_equal(net_address_parse(&address, SPAN("127.0.0.1:0"), NULL), 0);
	fd = listener_open(&address, &(struct listener_options){.backlog = 64}, NULL);
	assert_true(fd >= 0);
	world->address_len = sizeof(world->address);
	assert_int_equal(
		getsockname(fd, (struct sockaddr *)&world->address, &world->address_len), 0);
	assert_int_equal(listener_start(&world->listener, fd, on_accept, NULL), 0);
}

void world_settle(struct world *world)
{
	int64_t until_ms = clock_ms() + GIVE_UP_MS;

	while (world->server.exchange_count || fiber_live_count()) {
		assert_true(clock_ms() < until_ms);
		loop_step(loop_current(), 10);
	}
}

void world_close(struct world *world)
{
	int64_t until_ms = clock_ms() + GIVE_UP_MS;

	listener_close(&world->listener);
	http_server_close_all(&world->server);
	while (world->server.connection_count || fiber_live_count()) {
		assert_true(clock_ms() < until_ms);
		loop_step(loop_current(), 10);
	}
	assert_int_equal(world->server.exchange_count, 0);
}

struct http_pool *world_pool(const struct world *world)
{
	struct http_pool_options options = {
		.address = world->address,
		.address_len = world->address_len,
		.protocol = HTTP_PROTOCOL_H2C,
		.idle_max = 4,
		.idle_timeout_ms = 60000,
		.head = http_limits_default().head,
	};
	struct http_pool *pool = http_pool_new(&options, NULL);

	assert_non_null(pool);
	return pool;
}

struct http_call *open_call(struct http_pool *pool)
{
	enum io_result result;
	struct http_call *call = http_call_open(pool, false, soon_enough(), &result, NULL);

	assert_int_equal(result, IO_OK);
	assert_non_null(call);
	return call;
}

int h2_teardown(void **state)
{
	http_exchange_pool_release();
	block_pool_release();
	return loop_teardown(state);
}

/* --- raw clients --- */

void raw_open_without_preface(struct raw *raw, const struct world *world)
{
	*raw = (struct raw){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	assert_true(raw->fd >= 0);
	assert_int_equal(
		connect(raw->fd, (const struct sockaddr *)&world->address, world->address_len),
		0);
	assert_int_equal(fcntl(raw->fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(nghttp2_hd_deflate_new(&raw->deflater, 4096), 0);
	assert_int_equal(nghttp2_hd_inflate_new(&raw->inflater), 0);
	buf_init(&raw->in, (size_t)1 << 24);
}

void raw_open(struct raw *raw, const struct world *world)
{
	raw_open_without_preface(raw, world);
	assert_true(raw_send(raw, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN));
	assert_true(raw_frame(raw, NGHTTP2_SETTINGS, 0, 0, NULL, 0));
}

void raw_close(struct raw *raw)
{
	close(raw->fd);
	nghttp2_hd_deflate_del(raw->deflater);
	nghttp2_hd_inflate_del(raw->inflater);
	buf_release(&raw->in);
}

bool raw_send(struct raw *raw, const void *bytes, size_t len)
{
	const char *at = bytes;
	int64_t until_ms = clock_ms() + GIVE_UP_MS;

	while (len) {
		ssize_t n = send(raw->fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0) {
			assert_true(clock_ms() < until_ms);
			raw_step(raw);
			if (raw->ended)
				return false;
			continue;
		}
		at += n;
		len -= (size_t)n;
	}
	return true;
}

bool raw_frame(struct raw *raw, unsigned type, unsigned flags, int32_t stream,
	       const void *payload, size_t len)
{
	const uint32_t id = (uint32_t)stream;
	uint8_t frame[9 + 16384];

	assert_true(len <= 16384);
	frame[0] = (uint8_t)(len >> 16);
	frame[1] = (uint8_t)(len >> 8);
	frame[2] = (uint8_t)len;
	frame[3] = (uint8_t)type;
	frame[4] = (uint8_t)flags;
	frame[5] = (uint8_t)(id >> 24);
	frame[6] = (uint8_t)(id >> 16);
	frame[7] = (uint8_t)(id >> 8);
	frame[8] = (uint8_t)id;
	if (len)
		memcpy(frame + 9, payload, len);
	return raw_send(raw, frame, 9 + len);
}

nghttp2_nv raw_nv(const char *name, const char *value)
{
	return (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name,
		.namelen = strlen(name),
		.value = (uint8_t *)(uintptr_t)value,
		.valuelen = strlen(value),
	};
}

size_t raw_block(struct raw *raw, const nghttp2_nv *nv, size_t count, uint8_t *to, size_t size)
{
	ssize_t len = nghttp2_hd_deflate_hd(raw->deflater, to, size, nv, count);

	assert_true(len >= 0);
	return (size_t)len;
}

bool raw_headers(struct raw *raw, unsigned flags, int32_t stream, const nghttp2_nv *nv,
		 size_t count)
{
	uint8_t block[16384];
	size_t len = raw_block(raw, nv, count, block, sizeof(block));

	return raw_frame(raw, NGHTTP2_HEADERS, flags | NGHTTP2_FLAG_END_HEADERS, stream, block,
			 len);
}

bool raw_get(struct raw *raw, int32_t stream)
{
	const nghttp2_nv nv[] = {
		raw_nv(":method", "GET"),
		raw_nv(":scheme", "https"),
		raw_nv(":authority", "a.test"),
		raw_nv(":path", "/"),
	};

	return raw_headers(raw, NGHTTP2_FLAG_END_STREAM, stream, nv, COUNT_OF(nv));
}

static uint32_t u32_at(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void take_block(struct raw *raw, const uint8_t *at, size_t len)
{
	for (;;) {
		nghttp2_nv nv;
		int flags = 0;
		ssize_t used = nghttp2_hd_inflate_hd2(raw->inflater, &nv, &flags, at, len, 1);

		assert_true(used >= 0);
		at += used;
		len -= (size_t)used;
		if (flags & NGHTTP2_HD_INFLATE_EMIT &&
		    span_eq(span_of(nv.name, nv.namelen), SPAN(":status"))) {
			uint64_t status = 0;

			assert_true(span_to_u64(span_of(nv.value, nv.valuelen), &status));
			raw->status = (unsigned)status;
			raw->response_count++;
		}
		if (flags & NGHTTP2_HD_INFLATE_FINAL)
			break;
		assert_true(len || flags & NGHTTP2_HD_INFLATE_EMIT);
	}
	nghttp2_hd_inflate_end_headers(raw->inflater);
}

static void take_frame(struct raw *raw, unsigned type, unsigned flags, uint32_t stream,
		       const uint8_t *payload, size_t len)
{
	switch (type) {
	case NGHTTP2_DATA: raw->data_bytes += len; break;
	case NGHTTP2_HEADERS: take_block(raw, payload, len); break;
	case NGHTTP2_RST_STREAM:
		raw->reset_count++;
		raw->reset_code = u32_at(payload);
		return;
	case NGHTTP2_SETTINGS: raw->settings_acks += flags & NGHTTP2_FLAG_ACK; return;
	case NGHTTP2_PING:
		*(flags & NGHTTP2_FLAG_ACK ? &raw->ping_acks : &raw->pings) += 1;
		return;
	case NGHTTP2_WINDOW_UPDATE:
		*(stream ? &raw->stream_window_updates : &raw->window_updates) +=
			u32_at(payload);
		return;
	case NGHTTP2_GOAWAY:
		raw->goaway_count++;
		raw->goaway_last = (int32_t)u32_at(payload);
		raw->goaway_code = u32_at(payload + 4);
		return;
	default: return;
	}
	if (flags & NGHTTP2_FLAG_END_STREAM)
		raw->end_count++;
}

void raw_step(struct raw *raw)
{
	char bytes[16384];
	ssize_t n;

	loop_step(loop_current(), 1);
	while ((n = recv(raw->fd, bytes, sizeof(bytes), 0)) > 0)
		assert_int_equal(buf_append_bytes(&raw->in, bytes, (size_t)n), 0);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		raw->ended = true;
	for (;;) {
		const uint8_t *at = (const uint8_t *)raw->in.ptr;
		size_t len;

		if (raw->in.len < 9)
			return;
		len = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
		if (raw->in.len < 9 + len)
			return;
		take_frame(raw, at[3], at[4], u32_at(at + 5), at + 9, len);
		buf_consume(&raw->in, 9 + len);
	}
}
