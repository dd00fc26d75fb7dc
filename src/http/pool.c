#include "http/pool.h"
#include "http/h2_client.h"

#include <openssl/ssl.h>

#include "base/mem.h"

struct waiter {
	struct list node;
	struct fiber *fiber;
};

struct http_pool *http_pool_new(const struct http_pool_options *options, struct err *err)
{
	struct http_pool *pool = mem_zalloc(1, sizeof(*pool));

	if (pool && options->tls)
		pool->session = tls_session_slot_new();
	if (!pool || (options->tls && !pool->session)) {
		mem_free(pool);
		err_set(err, ERR_MEMORY, "no memory for a connection pool");
		return NULL;
	}
	pool->options = *options;
	list_init(&pool->idle);
	list_init(&pool->multiplexed);
	list_init(&pool->waiters);
	return pool;
}

static void free_if_done(struct http_pool *pool)
{
	if (!pool->closed || pool->connection_count || pool->active_count)
		return;
	tls_session_slot_unref(pool->session);
	mem_free(pool);
}

void http_pool_close(struct http_pool *pool)
{
	pool->closed = true;
	pool->active_count++;
	h1_client_close_idle(pool);
	h2_client_close_all(pool);
	while (!list_empty(&pool->waiters))
		http_pool_notify(pool);
	pool->active_count--;
	free_if_done(pool);
}

void http_pool_set_address(struct http_pool *pool, const struct sockaddr_storage *address,
			   socklen_t address_len)
{
	pool->options.address = *address;
	pool->options.address_len = address_len;
}

size_t http_pool_idle_count(const struct http_pool *pool)
{
	return pool->idle_count;
}

size_t http_pool_active_count(const struct http_pool *pool)
{
	return pool->active_count;
}

HOT void http_pool_notify(struct http_pool *pool)
{
	struct list *node = list_pop_front(&pool->waiters);

	if (node)
		fiber_wake(list_entry(node, struct waiter, node)->fiber);
}

void http_pool_connection_gone(struct http_pool *pool)
{
	pool->connection_count--;
	http_pool_notify(pool);
	free_if_done(pool);
}

HOT void http_pool_call_done(struct http_pool *pool)
{
	pool->active_count--;
	free_if_done(pool);
}

void http_pool_limit_handshake(struct http_pool *pool, int64_t handshake_ms)
{
	pool->handshake_ms = handshake_ms;
}

static enum io_result wait_for_connection(struct http_pool *pool, int64_t deadline_ms)
{
	struct waiter waiter = {.fiber = fiber_self()};
	enum fiber_wake wake;

	list_push_back(&pool->waiters, &waiter.node);
	wake = fiber_park(deadline_ms);
	list_remove(&waiter.node);
	if (wake == FIBER_CANCELLED)
		return IO_CANCELLED;
	return wake == FIBER_TIMEOUT ? IO_TIMEOUT : IO_OK;
}

static enum io_result start_client_tls(struct http_pool *pool, struct stream *stream,
				       int64_t deadline_ms, struct err *err)
{
	const struct http_pool_options *options = &pool->options;

	if (stream_start_tls(stream, options->tls, false, err) < 0 ||
	    tls_client_setup(stream->ssl, span_cstr(options->server_name), err) < 0)
		return IO_FAILED;
	/* Without memory for it the connection does a full handshake: slower, not wrong. */
	(void)tls_client_resume(stream->ssl, pool->session);
	return stream_handshake(stream, deadline_ms, err);
}

/* Connects in place; on failure the stream is closed. */
static enum io_result connect_stream(struct http_pool *pool, struct stream *stream,
				     int64_t deadline_ms, struct err *err)
{
	const struct http_pool_options *options = &pool->options;
	/* Others may ask with another limit while this one connects. */
	int64_t handshake_ms = pool->handshake_ms;
	enum io_result result =
		stream_connect(stream, (const struct sockaddr *)&options->address,
			       options->address_len, NULL, deadline_ms, err);

	if (result != IO_OK || !options->tls)
		return result;
	if (handshake_ms && loop_deadline_ms(handshake_ms) < deadline_ms)
		deadline_ms = loop_deadline_ms(handshake_ms);
	result = start_client_tls(pool, stream, deadline_ms, err);
	if (result != IO_OK)
		stream_close(stream);
	return result;
}

static struct http_call *no_memory(enum io_result *result, struct err *err)
{
	err_set(err, ERR_MEMORY, "no memory for a connection");
	*result = IO_FAILED;
	return NULL;
}

static struct http_call *open_h1(struct http_pool *pool, int64_t deadline_ms,
				 enum io_result *result, struct err *err)
{
	struct h1_client *client = h1_client_new(pool);

	if (!client)
		return no_memory(result, err);
	pool->connection_count++;
	*result = connect_stream(pool, h1_client_stream(client), deadline_ms, err);
	if (*result == IO_OK && span_eq(stream_alpn(h1_client_stream(client)), SPAN("h2"))) {
		/* It did not offer HTTP/2 when we last asked; the next call will use it. */
		pool->options.protocol = HTTP_PROTOCOL_H2;
		*result = IO_FAILED;
		err_set(err, ERR_UNAVAILABLE, "the service has changed its protocol");
	}
	if (*result == IO_OK)
		return h1_client_begin(client, false);
	h1_client_discard(client);
	return NULL;
}

static struct http_call *reuse_h1(struct http_pool *pool)
{
	struct h1_client *client = h1_client_take_idle(pool);

	return client ? h1_client_begin(client, true) : NULL;
}

static bool may_connect(const struct http_pool *pool)
{
	return !pool->connecting && (!pool->options.connections_max ||
				     pool->connection_count < pool->options.connections_max);
}

static bool is_multiplexed(const struct http_pool *pool)
{
	return pool->options.protocol != HTTP_PROTOCOL_H1;
}

/* Connects and starts; IO_AGAIN: the service speaks HTTP/1.1 only, which the pool now knows. */
static enum io_result connect_h2(struct http_pool *pool, struct h2_client *client,
				 int64_t deadline_ms, struct err *err)
{
	struct stream *stream = h2_client_stream(client);
	enum io_result result = connect_stream(pool, stream, deadline_ms, err);

	if (result != IO_OK)
		return result;
	if (pool->options.tls && !span_eq(stream_alpn(stream), SPAN("h2"))) {
		pool->options.protocol = HTTP_PROTOCOL_H1;
		return IO_AGAIN;
	}
	return h2_client_start(client, deadline_ms, err);
}

/* One connection carries many calls: those that come meanwhile wait for it. */
static enum io_result open_h2(struct http_pool *pool, int64_t deadline_ms, struct err *err)
{
	struct h2_client *client = h2_client_new(pool);
	enum io_result result;

	if (!client) {
		err_set(err, ERR_MEMORY, "no memory for a connection");
		return IO_FAILED;
	}
	pool->connection_count++;
	pool->connecting = true;
	result = connect_h2(pool, client, deadline_ms, err);
	pool->connecting = false;
	if (result != IO_OK)
		h2_client_discard(client);
	while (!list_empty(&pool->waiters))
		http_pool_notify(pool);
	return result == IO_AGAIN ? IO_OK : result;
}

HOT static struct http_call *reuse(struct http_pool *pool, bool fresh)
{
	if (is_multiplexed(pool))
		return h2_client_open(pool);
	return fresh ? NULL : reuse_h1(pool);
}

static enum io_result wait_or_fail(struct http_pool *pool, int64_t deadline_ms, struct err *err)
{
	enum io_result result = wait_for_connection(pool, deadline_ms);

	if (result != IO_OK)
		err_set(err,
			result != IO_TIMEOUT ? ERR_CANCELLED
			: pool->connecting   ? ERR_TIMEOUT
					     : ERR_LIMIT,
			"waiting for a free connection: %s", io_result_text(result));
	return result;
}

static NOINLINE struct http_call *open_slowly(struct http_pool *pool, bool fresh,
					      int64_t deadline_ms, enum io_result *result,
					      struct err *err)
{
	struct http_call *call = NULL;

	*result = IO_OK;
	while (*result == IO_OK) {
		if (pool->closed) {
			err_set(err, ERR_CLOSED, "the connection pool is closed");
			*result = IO_CLOSED;
			return NULL;
		}
		call = reuse(pool, fresh);
		if (call)
			return call;
		if (!may_connect(pool))
			*result = wait_or_fail(pool, deadline_ms, err);
		else if (is_multiplexed(pool))
			*result = open_h2(pool, deadline_ms, err);
		else
			return open_h1(pool, deadline_ms, result, err);
	}
	return NULL;
}

/* Most find a connection that waits for them. */
HOT struct http_call *http_call_open(struct http_pool *pool, bool fresh, int64_t deadline_ms,
				     enum io_result *result, struct err *err)
{
	struct http_call *call = pool->closed ? NULL : reuse(pool, fresh);

	if (UNLIKELY(!call))
		return open_slowly(pool, fresh, deadline_ms, result, err);
	*result = IO_OK;
	return call;
}
