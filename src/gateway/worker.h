/*
 * worker.h - a worker thread: its loop, listeners, connections, upstream pools and caches.
 * Everything in it belongs to that thread, unless it says otherwise.
 */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include <stdatomic.h>

#include "base/list.h"
#include "gateway/address_text.h"
#include "gateway/metrics.h"
#include "gateway/snapshot.h"
#include "guard/fair_share.h"
#include "guard/limiter.h"
#include "guard/overload.h"
#include "http/client.h"
#include "http/server.h"
#include "io/dns.h"
#include "io/listener.h"

/*
 * An endpoint as one worker sees it. Kept under the key of what it connects to, so that a reload
 * that leaves it as it is keeps its connections.
 */
struct endpoint {
	struct list node; /* in worker->endpoints */
	uint64_t key;
	unsigned refs; /* views */
	struct http_pool *pool;
	char *host; /* NUL-terminated */
	char *server_name; /* that its certificate must have */
	uint16_t port;
	bool is_name; /* to be resolved */
	int64_t resolved_until_ms;
	unsigned active; /* requests under way from this worker */
	char *label; /* for logs: as configured */
};

struct view_endpoint {
	struct endpoint *endpoint;
	const struct config_endpoint *config;
	int32_t current_weight; /* smooth weighted round robin */
};

struct view_service {
	const struct snapshot_service *snapshot;
	const struct guard_service *guard; /* the snapshot's; NULL: none */
	struct metrics_series *metrics;
	struct view_endpoint *endpoints; /* by priority */
	size_t count; /* 0: where the service is has not been found */
	bool has_priorities; /* not all are of the same */
	/* retry budget: a window of the last second's requests and retries */
	int64_t window_start_ms;
	uint32_t window_requests;
	uint32_t window_retries;
	uint32_t rotation;
	uint32_t hedge_us; /* the percentile of latencies after which to hedge, as measured */
};

/* A snapshot together with this worker's endpoints for it; freed with its last exchange. */
struct view {
	struct snapshot *snapshot;
	struct worker *worker;
	unsigned refs;
	struct view_service *services; /* by config_service.index */
	struct metrics_series **route_metrics; /* by config_route.index */
	struct view_service **route_services; /* the same; NULL: the service's connections */
};

struct view *view_new(struct worker *worker, struct snapshot *snapshot,
		      struct err *err) MUST_CHECK;
static inline struct view *view_ref(struct view *view)
{
	view->refs++;
	return view;
}
void view_unref(struct view *view);

#define GATEWAY_ADDRESS_COUNTERS 65536

struct approval_service;
struct ban_service;
struct challenge_maker;
struct contract_check;
struct discovery;
struct line_writer;
struct waf_collections;
struct outside;
struct procedure_service;
struct program_helper;
struct timeline;
struct waf_worker;
struct webhook_service;
struct internal_service;

/* What all workers of a process share. */
struct gateway_shared {
	struct limiter *limiter;
	struct access_log *access_log; /* NULL: off */
	/* Services of the program itself, by enum config_internal; NULL: not there. */
	const struct internal_service *internal[CONFIG_INTERNAL_COUNT];
	struct audit_log *audit_log; /* NULL: off */
	struct approval_service *approvals; /* NULL: no operation needs them */
	struct procedure_service *procedures; /* NULL: none have been configured */
	struct timeline *timeline; /* of procedures; the maintenance thread's */
	struct discovery *discovery; /* the maintenance thread's; NULL: nothing to be found */
	struct webhook_service *webhooks; /* NULL: none are configured */
	struct waf_collections *waf_collections; /* NULL: no firewall */
	struct program_helper *programs; /* NULL: its rules may run none */
	struct challenge_maker *challenge;
	struct line_writer *waf_log; /* NULL without a firewall */
	/* There when a snapshot that workers have been given bans clients, and from then on. */
	struct ban_service *bans;
	_Atomic uint64_t connections;
	struct fair_share fair_share;
	_Atomic uint64_t waiting; /* requests in the queues of bulkheads */
	_Atomic uint32_t overload; /* OVERLOAD_BITs of the actions in force */
	_Atomic uint32_t pressure[OVERLOAD_RESOURCES]; /* percent, when it was last measured */
	_Atomic uint64_t spooled_bytes; /* bodies that are held back */
	_Atomic uint32_t address_counters[2][GATEWAY_ADDRESS_COUNTERS];
	int64_t started_unix_s;
};

struct worker_listener {
	struct listener listener; /* first */
	struct worker *worker;
	size_t index; /* in config.listen */
};

struct worker {
	struct loop *loop;
	struct gateway_shared *shared;
	struct view *view; /* current */
	struct http_server server;
	struct auth_worker *auth;
	struct dns *dns;
	struct list endpoints;
	struct worker_listener *listeners;
	size_t listener_count;
	struct metrics *metrics;
	uint64_t random[2]; /* state for ids that need not be secret */
	struct address_text_cache address_texts;
	struct contract_check *checks[32]; /* kept for reuse */
	struct waf_worker *waf; /* NULL until it is needed */
	struct outside *outside; /* of its hooks */
	unsigned check_count;
	unsigned index;
	struct timer drain_timer;
	int64_t drain_until_ms;
};

/* Unique ids, not secret ones (xoroshiro128+, Blackman and Vigna 2018). */
static inline uint64_t worker_random(struct worker *worker)
{
	uint64_t s0 = worker->random[0], s1 = worker->random[1];
	uint64_t result = s0 + s1;

	s1 ^= s0;
	worker->random[0] = ((s0 << 24) | (s0 >> 40)) ^ s1 ^ (s1 << 16);
	worker->random[1] = (s1 << 37) | (s1 >> 27);
	return result;
}

/*
 * Creates loop and worker in the calling thread; worker_run returns when it has been drained. `fds` are listening sockets by config.listen index, -1 where another worker accepts;
 * they are taken over.
 */
struct worker_options {
	unsigned index;
	unsigned
		workers; /* how many there are: they share what the configuration gives the process */
	struct gateway_shared *shared;
	struct snapshot *snapshot; /* a reference is taken */
	const int *fds;
	size_t fd_count;
};
struct worker *worker_new(const struct worker_options *options, struct err *err) MUST_CHECK;
void worker_run(struct worker *worker);
void worker_free(struct worker *worker);

/* Any thread: uses the snapshot (a reference is taken) for new exchanges. */
int worker_post_snapshot(struct worker *worker, struct snapshot *snapshot) MUST_CHECK;
/* Any thread: stops accepting, lets exchanges end until the deadline, then worker_run returns. */
int worker_post_drain(struct worker *worker, int64_t timeout_ms) MUST_CHECK;

#endif
