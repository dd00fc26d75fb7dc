/* h2_support.h - a server of ours on a loopback port, pools that call it, and raw HTTP/2 clients. */
#ifndef TESTS_HTTP_H2_SUPPORT_H
#define TESTS_HTTP_H2_SUPPORT_H

#include "../io/support.h"

#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "http/client.h"
#include "http/server.h"
#include "io/listener.h"

struct world {
	struct http_server server;
	struct listener listener;
	int flags; /* of http_server_accept */
	struct sockaddr_storage address;
	socklen_t address_len;
};

/* Starts a server with this handler; limits may be changed in world->server afterwards. */
void world_open(struct world *world, void (*handler)(struct http_exchange *x));
/* Ends all its connections and waits for them; no fiber may be left that the test has started. */
void world_close(struct world *world);
/* Runs the loop until no fiber is left and no exchange runs; fails after 20 s. */
void world_settle(struct world *world);
/* An HTTP/2 pool to the server, without TLS. */
struct http_pool *world_pool(const struct world *world);
/* A call on it that must succeed. */
struct http_call *open_call(struct http_pool *pool);

/* cmocka teardown: frees the thread's pools, then as loop_teardown. */
int h2_teardown(void **state);

/* A deadline that no test reaches unless it hangs. */
int64_t soon_enough(void);

/* --- raw clients: frames as the test writes them --- */

struct raw {
	int fd;
	nghttp2_hd_deflater *deflater;
	nghttp2_hd_inflater *inflater;
	struct buf in;
	bool ended; /* the server has closed */
	/* of what has come */
	unsigned goaway_count;
	uint32_t goaway_code;
	int32_t goaway_last;
	unsigned reset_count;
	uint32_t reset_code;
	unsigned status; /* of the last final or interim response */
	unsigned response_count;
	size_t data_bytes;
	unsigned end_count; /* streams ended by END_STREAM */
	unsigned ping_acks;
	unsigned pings; /* that ask for an answer */
	unsigned settings_acks;
	uint64_t window_updates; /* sum of the connection's increments */
	uint64_t stream_window_updates;
};

/* Connects; sends the preface and empty SETTINGS. */
void raw_open(struct raw *raw, const struct world *world);
void raw_open_without_preface(struct raw *raw, const struct world *world);
void raw_close(struct raw *raw);
/* False when the connection does not take it any more. */
bool raw_send(struct raw *raw, const void *bytes, size_t len);
bool raw_frame(struct raw *raw, unsigned type, unsigned flags, int32_t stream,
	       const void *payload, size_t len);
/* A header block into `to`, without a frame; returns its length. */
size_t raw_block(struct raw *raw, const nghttp2_nv *nv, size_t count, uint8_t *to, size_t size);
/* HEADERS with END_HEADERS and these flags. */
bool raw_headers(struct raw *raw, unsigned flags, int32_t stream, const nghttp2_nv *nv,
		 size_t count);
/* GET https://a.test/ with END_STREAM. */
bool raw_get(struct raw *raw, int32_t stream);
nghttp2_nv raw_nv(const char *name, const char *value);
/* Runs the loop once or twice and reads what has come. */
void raw_step(struct raw *raw);
/* Until the condition holds; fails the test after 20 s. */
#define raw_until(raw, condition)                                                              \
	do {                                                                                   \
		int64_t until_ms_ = clock_ms() + 20000;                                        \
		while (!(condition)) {                                                         \
			assert_true(clock_ms() < until_ms_);                                   \
			raw_step(raw);                                                         \
		}                                                                              \
	} while (0)

#endif
