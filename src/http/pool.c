#include "http/pool.h"

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

void http_pool_notify(struct http_pool *pool)
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

void http_pool_call_done(struct http_pool *pool)
{
	pool->active_count--;
	free_if_done(pool);
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
	enum io_result result =
		stream_connect(stream, (const struct sockaddr *)&options->address,
			       options->address_len, NULL, deadline_ms, err);

	if (result != IO_OK || !options->tls)
		return result;
	result = start_client_tls(pool, stream, deadline_ms, err);
	if (result != IO_OK)
		stream_close(stream);
	return result;
}

static struct http_call *open_h1(struct http_pool *pool, int64_t deadline_ms,
				 enum io_result *result, struct err *err)
{
	struct h1_client *client = h1_client_new(pool);

	if (!client) {
		err_set(err, ERR_MEMORY, "no memory for a connection");
		*result = IO_FAILED;
		return NULL;
	}
	pool->connection_count++;
	*result = connect_stream(pool, h1_client_stream(client), deadline_ms, err);
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
	return !pool->options.connections_max ||
	       pool->connection_count < pool->options.connections_max;
}

struct http_call *http_call_open(struct http_pool *pool, bool fresh, int64_t deadline_ms,
				 enum io_result *result, struct err *err)
{
	struct http_call *call;

	for (;;) {
		if (pool->closed) {
			err_set(err, ERR_CLOSED, "the connection pool is closed");
			*result = IO_CLOSED;
			return NULL;
		}
		call = fresh ? NULL : reuse_h1(pool);
		if (call) {
			*result = IO_OK;
			return call;
		}
		if (may_connect(pool))
			return open_h1(pool, deadline_ms, result, err);
		*result = wait_for_connection(pool, deadline_ms);
		if (*result != IO_OK) {
			err_set(err, *result == IO_TIMEOUT ? ERR_TIMEOUT : ERR_CANCELLED,
				"waiting for a free connection: %s", io_result_text(*result));
			return NULL;
		}
	}
}
