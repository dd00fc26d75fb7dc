#include "gateway/worker.h"
#include "gateway/inspect.h"
#include "gateway/validate.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "gateway/exchange.h"
#include "gateway/ips.h"
#include "http/block.h"

#define DNS_ENTRIES 1024
/* Between checks whether a draining worker has come to its end. */
#define DRAIN_CHECK_MS 20

struct snapshot_message {
	struct loop_message message;
	struct worker *worker;
	struct snapshot *snapshot;
};

struct drain_message {
	struct loop_message message;
	struct worker *worker;
	int64_t timeout_ms;
};

static bool on_hello(struct http_server *server, const struct http_peer *peer)
{
	struct worker *worker = server->data;
	struct address address = exchange_peer_address(&peer->address);

	/* A proxy before us has the fingerprint of all its clients. */
	return cidr_set_contains(&worker->view->snapshot->trusted_proxies, &address) ||
	       !ips_refuses_hello(worker, &address, span_cstr(peer->fingerprint));
}

static void apply_limits(struct worker *worker)
{
	const struct config_limits *from = &worker->view->snapshot->config->limits;
	struct http_limits *to = &worker->server.limits;

	to->head.line_bytes = from->request_line_bytes;
	to->head.head_bytes = from->request_line_bytes + 2 + from->header_bytes;
	to->head.fields_bytes = from->header_bytes;
	to->head.field_count = from->header_count;
	to->body_bytes = from->body_bytes ? from->body_bytes : UINT64_MAX;
	to->exchange_bytes = from->exchange_memory_bytes;
	to->head_timeout_ms = (int64_t)from->headers_timeout_ms;
	to->idle_timeout_ms = (int64_t)from->keep_alive_timeout_ms;
	to->body_rate_bytes = from->body_rate_bytes;
	to->body_grace_ms = (int64_t)from->body_grace_ms;
	to->requests_per_connection = from->requests_per_connection;
	to->h2_streams = from->http2.streams;
	to->h2_head_bytes = from->http2.header_list_bytes;
	to->h2_window_bytes = (uint32_t)from->http2.window_bytes;
	to->h2_connection_window_bytes = (uint32_t)from->http2.connection_window_bytes;
	to->h2_resets = from->http2.resets;
	to->h2_continuations = from->http2.continuations;
	to->h2_interval_ms = (int64_t)from->http2.resets_interval_ms;
	to->h2_ping_interval_ms = (int64_t)from->http2.ping_interval_ms;
	to->h2_ping_timeout_ms = (int64_t)from->http2.ping_timeout_ms;
	worker->server.on_hello = worker->view->snapshot->ips ? on_hello : NULL;
}

static void on_refused(struct http_server *server, const struct sockaddr_storage *address,
		       const char *reason)
{
	struct worker *worker = server->data;

	(void)address;
	counter_add(&worker->metrics->handshake_failures, 1);
	log_message(LOG_DEBUG, "connection.refused", "%s", reason);
}

/*
 * Connections an address has open, in two rows of counters (a count-min sketch, Cormode and
 * Muthukrishnan 2005): an address is over its limit when both of its counters are.
 */
static _Atomic uint32_t *address_counter(struct gateway_shared *shared, uint64_t key, int row)
{
	uint32_t index = (uint32_t)(row ? key >> 32 : key) % GATEWAY_ADDRESS_COUNTERS;

	return &shared->address_counters[row][index];
}

static void release_address(struct gateway_shared *shared, uint64_t key)
{
	for (int row = 0; key && row < 2; row++)
		atomic_fetch_sub_explicit(address_counter(shared, key, row), 1,
					  memory_order_relaxed);
}

/* False when the address has its share already. *key is what release_address takes; 0: nothing. */
static bool take_address(struct worker *worker, const struct address *address, bool trusted,
			 uint64_t *key)
{
	uint32_t limit = worker->view->snapshot->config->limits.connections_per_address;
	uint32_t least = UINT32_MAX;

	*key = 0;
	if (!limit || trusted)
		return true;
	*key = address_limit_key(&worker->address_texts, address) | 1;
	for (int row = 0; row < 2; row++) {
		uint32_t before = atomic_fetch_add_explicit(
			address_counter(worker->shared, *key, row), 1, memory_order_relaxed);

		if (before < least)
			least = before;
	}
	if (least < limit)
		return true;
	release_address(worker->shared, *key);
	return false;
}

static void on_close(struct http_server *server, struct http_peer *peer)
{
	struct worker *worker = server->data;

	gateway_connection_closed(server, peer);
	release_address(worker->shared, peer->tag);
	atomic_fetch_sub_explicit(&worker->shared->connections, 1, memory_order_relaxed);
	atomic_fetch_sub_explicit(&worker->metrics->connections_open, 1, memory_order_relaxed);
}

/* False: the connection must be closed. */
static bool proxy_protocol_flag(const struct config_listen *config, bool trusted, int *flags)
{
	if (config->proxy_protocol == CONFIG_PROXY_PROTOCOL_OFF)
		return true;
	if (trusted)
		*flags |= HTTP_ACCEPT_PROXY_PROTOCOL;
	return trusted || config->proxy_protocol == CONFIG_PROXY_PROTOCOL_ACCEPT;
}

static void on_accept(struct listener *listener, int fd, const struct sockaddr_storage *peer)
{
	struct worker_listener *wl = CONTAINER_OF(listener, struct worker_listener, listener);
	struct worker *worker = wl->worker;
	const struct snapshot *snapshot = worker->view->snapshot;
	const struct snapshot_listen *listen = &snapshot->listens[wl->index];
	struct address address = exchange_peer_address(peer);
	bool trusted = cidr_set_contains(&snapshot->trusted_proxies, &address);
	int flags = listen->config->h2c ? HTTP_ACCEPT_H2C : 0;
	_Atomic uint64_t *open = &worker->shared->connections;
	uint64_t key;

	if (!proxy_protocol_flag(listen->config, trusted, &flags) ||
	    atomic_load_explicit(&worker->shared->overload, memory_order_relaxed) &
		    OVERLOAD_BIT(OVERLOAD_REFUSE) ||
	    atomic_load_explicit(open, memory_order_relaxed) >=
		    snapshot->config->limits.connections ||
	    (snapshot->ips && !trusted && ips_refuses_connection(worker, &address)) ||
	    !take_address(worker, &address, trusted, &key)) {
		counter_add(&worker->metrics->connections_refused, 1);
		close(fd);
		return;
	}
	atomic_fetch_add_explicit(open, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&worker->metrics->connections_open, 1, memory_order_relaxed);
	counter_add(&worker->metrics->connections_accepted, 1);
	http_server_accept(&worker->server, fd, peer,
			   listen->tls ? tls_context_ssl(listen->tls) : NULL, flags, wl, key);
}

static int start_listeners(struct worker *worker, const struct worker_options *options,
			   struct err *err)
{
	worker->listeners = mem_zalloc(options->fd_count, sizeof(*worker->listeners));
	if (!worker->listeners)
		return err_set(err, ERR_MEMORY, "no memory for listeners");
	worker->listener_count = options->fd_count;
	for (size_t i = 0; i < options->fd_count; i++) {
		struct worker_listener *wl = &worker->listeners[i];

		wl->worker = worker;
		wl->index = i % options->snapshot->config->listen.count;
		wl->listener.watch.fd = -1;
		if (options->fds[i] >= 0 &&
		    listener_start(&wl->listener, options->fds[i], on_accept, err) < 0)
			return -1;
	}
	return 0;
}

static int start(struct worker *worker, const struct worker_options *options, struct err *err)
{
	const struct config_identity *identity = &options->snapshot->config->identity;
	unsigned workers = options->workers ? options->workers : 1;
	struct auth_worker_options auth = {
		.cache_entries = (identity->token_cache_size + workers - 1) / workers};
	struct dns_options dns = {.entries_max = DNS_ENTRIES};

	worker->loop = loop_new(err);
	if (!worker->loop)
		return -1;
	worker->dns = dns_new(&dns, err);
	worker->metrics = metrics_new(err);
	if (!worker->dns || !worker->metrics)
		return -1;
	auth.dns = worker->dns;
	worker->auth = auth_worker_new(&auth, err);
	worker->metrics->auth = worker->auth;
	worker->view = worker->auth ? view_new(worker, options->snapshot, err) : NULL;
	if (!worker->view)
		return -1;
	http_server_init(&worker->server, exchange_serve);
	worker->server.data = worker;
	worker->server.on_close = on_close;
	worker->server.on_refused = on_refused;
	apply_limits(worker);
	return start_listeners(worker, options, err);
}

struct worker *worker_new(const struct worker_options *options, struct err *err)
{
	struct worker *worker = mem_zalloc(1, sizeof(*worker));

	if (!worker) {
		err_set(err, ERR_MEMORY, "no memory for a worker");
		return NULL;
	}
	worker->shared = options->shared;
	worker->index = options->index;
	worker->random[0] = rand_u64() | 1;
	worker->random[1] = rand_u64();
	list_init(&worker->endpoints);
	list_init(&worker->server.connections);
	if (start(worker, options, err) == 0)
		return worker;
	worker_free(worker);
	return NULL;
}

void worker_run(struct worker *worker)
{
	loop_run(worker->loop);
}

/* Fibers that are still there have been cancelled: let them unwind. */
static void run_down(struct worker *worker)
{
	int64_t until_ms = clock_ms() + 2000;

	http_server_close_all(&worker->server);
	while ((worker->server.connection_count || fiber_live_count()) && clock_ms() < until_ms)
		loop_step(worker->loop, 10);
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	for (size_t i = 0; worker->listeners && i < worker->listener_count; i++)
		if (worker->listeners[i].listener.watch.fd >= 0)
			listener_close(&worker->listeners[i].listener);
	if (worker->loop && worker->view)
		run_down(worker);
	view_unref(worker->view);
	if (worker->loop)
		loop_step(worker->loop, 0);
	validate_release_checks(worker);
	inspect_release_worker(worker);
	auth_worker_free(worker->auth);
	dns_free(worker->dns);
	metrics_free(worker->metrics);
	mem_free(worker->listeners);
	http_exchange_pool_release();
	block_pool_release();
	loop_free(worker->loop);
	mem_free(worker);
}

static void use_snapshot(struct loop_message *message)
{
	struct snapshot_message *m = CONTAINER_OF(message, struct snapshot_message, message);
	struct worker *worker = m->worker;
	struct err err;
	struct view *view = view_new(worker, m->snapshot, &err);

	if (view) {
		view_unref(worker->view);
		worker->view = view;
		apply_limits(worker);
	} else {
		log_message(LOG_ERROR, "worker.reload_failed", "%s", err.message);
	}
	snapshot_unref(m->snapshot);
	mem_free(m);
}

int worker_post_snapshot(struct worker *worker, struct snapshot *snapshot)
{
	struct snapshot_message *m = mem_zalloc(1, sizeof(*m));

	if (!m)
		return -1;
	m->message.run = use_snapshot;
	m->worker = worker;
	m->snapshot = snapshot_ref(snapshot);
	loop_post(worker->loop, &m->message);
	return 0;
}

static void check_drained(struct timer *timer)
{
	struct worker *worker = CONTAINER_OF(timer, struct worker, drain_timer);

	if (worker->server.connection_count == 0 || loop_now_ms() >= worker->drain_until_ms)
		loop_stop(worker->loop);
	else
		timer_set(timer, loop_now_ms() + DRAIN_CHECK_MS);
}

static void drain(struct loop_message *message)
{
	struct drain_message *m = CONTAINER_OF(message, struct drain_message, message);
	struct worker *worker = m->worker;

	for (size_t i = 0; i < worker->listener_count; i++)
		if (worker->listeners[i].listener.watch.fd >= 0)
			listener_close(&worker->listeners[i].listener);
	http_server_drain(&worker->server);
	worker->drain_until_ms = loop_deadline_ms(m->timeout_ms);
	timer_init(&worker->drain_timer, check_drained);
	timer_set(&worker->drain_timer, loop_now_ms() + 1);
	mem_free(m);
}

int worker_post_drain(struct worker *worker, int64_t timeout_ms)
{
	struct drain_message *m = mem_zalloc(1, sizeof(*m));

	if (!m)
		return -1;
	m->message.run = drain;
	m->worker = worker;
	m->timeout_ms = timeout_ms;
	loop_post(worker->loop, &m->message);
	return 0;
}
