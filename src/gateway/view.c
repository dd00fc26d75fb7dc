#include "base/hash.h"
#include "base/mem.h"
#include "gateway/forward.h"
#include "gateway/worker.h"
#include "io/net_address.h"

static int out_of_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "no memory for a worker's services");
}

static void endpoint_unref(struct endpoint *endpoint)
{
	if (!endpoint || --endpoint->refs)
		return;
	list_remove(&endpoint->node);
	if (endpoint->pool)
		http_pool_close(endpoint->pool);
	mem_free(endpoint->host);
	mem_free(endpoint->server_name);
	mem_free(endpoint->label);
	mem_free(endpoint);
}

static enum http_protocol protocol_of(const struct config_service *service,
				      const struct config_endpoint *endpoint)
{
	if (endpoint->scheme == CONFIG_SCHEME_H2C || service->protocol == CONFIG_PROTOCOL_H2C)
		return HTTP_PROTOCOL_H2C;
	if (endpoint->scheme == CONFIG_SCHEME_HTTPS &&
	    (service->protocol == CONFIG_PROTOCOL_H2 ||
	     service->protocol == CONFIG_PROTOCOL_AUTO))
		return HTTP_PROTOCOL_H2;
	return HTTP_PROTOCOL_H1;
}

/* Whose connections they are: the service's, or those of one of its operations. */
struct owner {
	const struct snapshot_service *service;
	const struct config_pool *pool;
	struct span operation; /* empty: the service's */
};

static uint64_t endpoint_key(const struct owner *owner, const struct config_endpoint *endpoint)
{
	const struct snapshot_service *service = owner->service;
	uint64_t key = hash_mix(hash_span(service->config->name), hash_span(endpoint->url));

	key = hash_mix(key, hash_span(endpoint->server_name));
	key = hash_mix(key, service->tls_key);
	key = hash_mix(key, hash_span(owner->operation));
	key = hash_mix(key, owner->pool->size);
	key = hash_mix(key, owner->pool->requests_per_connection);
	key = hash_mix(key, (uint64_t)protocol_of(service->config, endpoint));
	key = hash_mix(key, service->config->pool.ping_interval_ms);
	key = hash_mix(key, service->config->pool.ping_timeout_ms);
	return hash_mix(key, owner->pool->idle_timeout_ms);
}

struct http_pool *endpoint_pool_new(const struct snapshot_service *service,
				    const struct config_pool *pool,
				    const struct config_endpoint *config,
				    const char *server_name, bool *is_name, struct err *err)
{
	const struct config_service *sc = service->config;
	bool https = config->scheme == CONFIG_SCHEME_HTTPS;
	struct net_address address = {.len = 0};
	struct http_pool_options options = {
		.protocol = protocol_of(sc, config),
		.tls = https ? tls_context_ssl(service->tls) : NULL,
		.server_name = sc->tls.server_name.len ? sc->tls.server_name.ptr : server_name,
		.connections_max = pool->size,
		.idle_max = pool->size ? pool->size : 1024,
		.idle_timeout_ms = (int64_t)pool->idle_timeout_ms,
		.calls_max = pool->requests_per_connection,
		.head = {.line_bytes = 8192, .head_bytes = 65536, .field_count = 128},
		.h2_streams = 100,
		.ping_interval_ms = (int64_t)sc->pool.ping_interval_ms,
		.ping_timeout_ms = (int64_t)sc->pool.ping_timeout_ms,
	};

	if (config->address.unix_path.len) {
		if (net_address_parse(&address, config->address.text, err) < 0)
			return NULL;
		*is_name = false;
	} else {
		*is_name = !net_address_from_literal(&address, config->address.host,
						     config->address.port);
	}
	options.address = address.storage;
	options.address_len = address.len;
	return http_pool_new(&options, err);
}

static struct endpoint *endpoint_new(struct worker *worker, const struct owner *owner,
				     const struct config_endpoint *config, uint64_t key,
				     struct err *err)
{
	struct endpoint *endpoint = mem_zalloc(1, sizeof(*endpoint));

	if (!endpoint) {
		out_of_memory(err);
		return NULL;
	}
	endpoint->refs = 1;
	endpoint->key = key;
	endpoint->port = config->address.port;
	list_push_back(&worker->endpoints, &endpoint->node);
	endpoint->host = mem_strdup(config->address.host);
	endpoint->label = mem_strdup(config->url);
	endpoint->server_name = mem_strdup(config->server_name.len ? config->server_name
								   : config->address.host);
	if (!endpoint->host || !endpoint->label || !endpoint->server_name) {
		out_of_memory(err);
		endpoint_unref(endpoint);
		return NULL;
	}
	endpoint->pool = endpoint_pool_new(owner->service, owner->pool, config,
					   endpoint->server_name, &endpoint->is_name, err);
	if (endpoint->pool)
		return endpoint;
	endpoint_unref(endpoint);
	return NULL;
}

static struct endpoint *endpoint_get(struct worker *worker, const struct owner *owner,
				     const struct config_endpoint *config, struct err *err)
{
	uint64_t key = endpoint_key(owner, config);

	list_for_each (node, &worker->endpoints) {
		struct endpoint *endpoint = list_entry(node, struct endpoint, node);

		if (endpoint->key == key) {
			endpoint->refs++;
			return endpoint;
		}
	}
	return endpoint_new(worker, owner, config, key, err);
}

static int build_service(struct view *view, struct view_service *service,
			 const struct owner *owner, struct err *err)
{
	const struct snapshot_service *snapshot = owner->service;
	size_t count = snapshot->endpoints.count;

	service->snapshot = snapshot;
	service->guard = snapshot->guard;
	service->endpoints = mem_zalloc(count, sizeof(*service->endpoints));
	if (!service->endpoints)
		return out_of_memory(err);
	for (size_t i = 0; i < count; i++) {
		struct view_endpoint *to = &service->endpoints[i];

		to->config = &snapshot->endpoints.at[i];
		service->has_priorities |=
			to->config->priority != snapshot->endpoints.at[0].priority;
		to->endpoint = endpoint_get(view->worker, owner, to->config, err);
		if (!to->endpoint)
			return -1;
		service->count++;
	}
	return 0;
}

/* Operations with connections of their own. */
static int build_route(struct view *view, const struct config_route *route, struct err *err)
{
	const struct owner owner = {.service = &view->snapshot->services[route->service->index],
				    .pool = route->pool,
				    .operation = route->operation};
	struct view_service *service = mem_zalloc(1, sizeof(*service));

	if (!service)
		return out_of_memory(err);
	view->route_services[route->index] = service;
	service->metrics = view->services[route->service->index].metrics;
	return build_service(view, service, &owner, err);
}

static int build(struct view *view, struct err *err)
{
	const struct config *cfg = view->snapshot->config;

	view->route_services = mem_zalloc(cfg->routes.count, sizeof(struct view_service *));
	if (!view->route_services)
		return out_of_memory(err);
	view->services = mem_zalloc(cfg->services.count, sizeof(*view->services));
	view->route_metrics = mem_zalloc(cfg->routes.count, sizeof(*view->route_metrics));
	if (!view->services || !view->route_metrics)
		return out_of_memory(err);
	for (size_t i = 0; i < cfg->services.count; i++) {
		const struct owner owner = {.service = &view->snapshot->services[i],
					    .pool = &cfg->services.at[i].pool};

		if (build_service(view, &view->services[i], &owner, err) < 0)
			return -1;
		view->services[i].metrics = metrics_series_of(&view->worker->metrics->services,
							      cfg->services.at[i].name);
		if (!view->services[i].metrics)
			return out_of_memory(err);
	}
	for (size_t i = 0; i < cfg->routes.count; i++) {
		view->route_metrics[i] = metrics_series_of(&view->worker->metrics->operations,
							   cfg->routes.at[i].operation);
		if (!view->route_metrics[i])
			return out_of_memory(err);
		if (cfg->routes.at[i].pool && cfg->routes.at[i].service &&
		    build_route(view, &cfg->routes.at[i], err) < 0)
			return -1;
	}
	return 0;
}

struct view *view_new(struct worker *worker, struct snapshot *snapshot, struct err *err)
{
	struct view *view = mem_zalloc(1, sizeof(*view));

	if (!view) {
		out_of_memory(err);
		return NULL;
	}
	view->refs = 1;
	view->worker = worker;
	view->snapshot = snapshot_ref(snapshot);
	if (build(view, err) == 0)
		return view;
	view_unref(view);
	return NULL;
}

static void release_service(struct view_service *service)
{
	for (size_t i = 0; i < service->count; i++)
		endpoint_unref(service->endpoints[i].endpoint);
	mem_free(service->endpoints);
}

HOT void view_unref(struct view *view)
{
	if (!view || --view->refs)
		return;
	for (size_t i = 0; view->services && i < view->snapshot->config->services.count; i++)
		release_service(&view->services[i]);
	for (size_t i = 0; view->route_services && i < view->snapshot->config->routes.count;
	     i++) {
		if (view->route_services[i])
			release_service(view->route_services[i]);
		mem_free(view->route_services[i]);
	}
	mem_free(view->services);
	mem_free(view->route_services);
	mem_free(view->route_metrics);
	snapshot_unref(view->snapshot);
	mem_free(view);
}

/* Names are asked for again when their answer's time is over; the resolver keeps a cache. */
static enum io_result resolve(struct worker *worker, struct endpoint *endpoint, uint64_t dns_ms,
			      int64_t deadline_ms, struct err *err)
{
	struct dns_result result;
	const struct net_address *address;

	if (loop_now_ms() < endpoint->resolved_until_ms)
		return IO_OK;
	if (dns_ms && loop_deadline_ms((int64_t)dns_ms) < deadline_ms)
		deadline_ms = loop_deadline_ms((int64_t)dns_ms);
	if (dns_resolve(worker->dns, span_cstr(endpoint->host), endpoint->port, deadline_ms,
			&result, err) < 0) {
		if (fiber_is_cancelled())
			return IO_CANCELLED;
		return err->code == ERR_TIMEOUT ? IO_TIMEOUT : IO_FAILED;
	}
	address = &result.addresses[worker_random(worker) % result.count];
	http_pool_set_address(endpoint->pool, &address->storage, address->len);
	endpoint->resolved_until_ms = result.expires_ms;
	return IO_OK;
}

HOT struct http_call *endpoint_open(struct worker *worker, struct endpoint *endpoint,
				    bool fresh, const struct config_timeout *timeout,
				    int64_t deadline_ms, enum io_result *result,
				    struct err *err)
{
	if (endpoint->is_name) {
		*result = resolve(worker, endpoint, timeout->dns_ms, deadline_ms, err);
		if (*result != IO_OK)
			return NULL;
	}
	http_pool_limit_handshake(endpoint->pool, (int64_t)timeout->tls_ms);
	return http_call_open(endpoint->pool, fresh, deadline_ms, result, err);
}
