/*
 * snapshot.h - everything derived from one configuration: immutable, reference-counted, shared by
 * all threads. A reload builds the next one aside and swaps it in; the old one is freed when its
 * last exchange has ended.
 */
#ifndef GATEWAY_SNAPSHOT_H
#define GATEWAY_SNAPSHOT_H

#include "config/config.h"
#include "gateway/patches.h"
#include "gateway/router.h"
#include "guard/limiter.h"
#include "guard/service.h"
#include "http/exchange.h"
#include "identity/identity.h"
#include "identity/pass.h"
#include "io/tls.h"
#include "parse/address.h"

/* Limits of one route; a configuration with more is refused. */
#define SNAPSHOT_LIMITS_MAX 16

/* HTTP/1.0, 1.1 and 2 */
enum snapshot_via { SNAPSHOT_VIA_10, SNAPSHOT_VIA_11, SNAPSHOT_VIA_20, SNAPSHOT_VIA_COUNT };

struct snapshot_limit {
	enum config_limit_per per;
	struct limiter_rate rate;
	uint64_t
		seed; /* of the limiter's keys: the same for the same limit in every snapshot */
};

/* What few routes have, so that the others need not look into their configuration. */
enum snapshot_route_flags {
	SNAPSHOT_ROUTE_CHALLENGES = 1 << 0,
	SNAPSHOT_ROUTE_CORS = 1 << 1,
	SNAPSHOT_ROUTE_EDITS_REQUEST = 1 << 2,
	SNAPSHOT_ROUTE_EDITS_RESPONSE = 1 << 3,
	SNAPSHOT_ROUTE_EDITS_PATH = 1 << 4, /* strip_prefix, add_prefix */
	SNAPSHOT_ROUTE_OWN_POOL = 1 << 5, /* connections of its own */
};

/*
 * With thousands of routes none of them is in the near caches: what each request needs is in two
 * lines, and the configuration is only looked at where there is something special.
 */
struct snapshot_route {
	_Alignas(CACHE_LINE_BYTES) const struct config_route *config;
	const struct config_service *service; /* NULL: answered here */
	const struct config_timeout *timeout; /* one object for the many that are equal */
	uint64_t body_limit_bytes; /* UINT64_MAX: none */
	const struct guard_service *guard; /* the service's; NULL: none */
	struct bulkhead *bulkhead; /* the operation's; NULL: none */
	const struct snapshot_limit *limits;
	uint32_t idle_phases; /* a bit for each phase that has nothing to do on this route */
	uint16_t limit_count;
	uint16_t flags; /* enum snapshot_route_flags */

	struct snapshot_limit first_limit; /* what `limits` is if there is one */
	struct access_rule *access;
	const struct config_sensitive *sensitive; /* NULL: needs no approval */
	const struct patch_set *waf; /* NULL: not inspected */

	struct buf respond_file; /* content of config->respond->file */
};

struct contract;
struct waf_rules;
struct snapshot_operation;

struct snapshot_service {
	const struct config_service *config;
	/* Where it is: of the configuration, or what was found last; then it may be nowhere. */
	struct endpoint_list endpoints;
	struct endpoint_list *found; /* what `endpoints` is from; NULL: the configuration */
	struct identity_pass *pass;
	struct contract *contract; /* NULL: none, or off */
	struct snapshot_operation *operations; /* by contract_operation.index */
	struct guard_service *guard; /* NULL: none */
	struct buf fallback_file; /* content of config->fallback->answer.file */
	struct tls_context *tls; /* for https endpoints; NULL when there are none */
	uint64_t tls_key; /* differs where the TLS settings do: pools are not shared then */
};

struct snapshot_listen {
	const struct config_listen *config;
	struct tls_context *tls; /* NULL: plain */
};

struct snapshot_ips {
	const struct config_ips *config;
	struct cidr_set allow;
	struct cidr_set deny;
};

struct snapshot {
	struct snapshot *base; /* owns all but services and routes; NULL: itself */
	struct config *config;
	struct router *router;
	struct authenticator *authenticator;
	struct identity_strip *strip;
	struct span own_request_id; /* name of its field, if not the usual one; else empty */
	struct snapshot_route *routes; /* by config_route.index */
	struct snapshot_service *services; /* by config_service.index */
	struct snapshot_listen *listens;
	struct cidr_set trusted_proxies;
	struct snapshot_ips *ips; /* NULL: nobody is banned */
	/* config.headers; over TLS, Strict-Transport-Security follows. */
	struct http_field_block security, security_tls;
	uint64_t security_ids; /* a bit for each id (enum http_field_id) in there */
	struct http_field *security_fields; /* memory of the blocks */
	struct buf security_lines;
	/*
	 * X-Forwarded-Proto and Via of requests to services, as lines of one text: [over TLS][the
	 * version that the client speaks]. Without Via its name is empty.
	 */
	struct http_field proto_via[2][SNAPSHOT_VIA_COUNT][2];
	struct buf via_text;
	struct waf_rules *waf_rules; /* NULL: no route is inspected */
	struct patches patches;
	struct patch_set **patch_sets; /* what routes point to */
	size_t patch_set_count;
	uint64_t generation;
};

/*
 * Reads certificates, keys and key sets (blocking). Takes its own reference of cfg. `previous` may
 * be NULL; its fetched key sets and the state of its guards are taken over. Tickets are shared by all snapshots of a process.
 */
struct snapshot *snapshot_new(struct config *cfg, const struct snapshot *previous,
			      struct tls_tickets *tickets, struct err *err) MUST_CHECK;
/*
 * The same with other endpoints of services with `discover`: found[i] is a sealed list for the service
 * with index i, of which a reference is taken, or NULL where nothing changes. Costs little. NULL with
 * ERR_MEMORY.
 */
struct snapshot *snapshot_with_endpoints(const struct snapshot *snapshot,
					 struct endpoint_list *const *found,
					 struct err *err) MUST_CHECK;
/* Any thread. */
struct snapshot *snapshot_ref(struct snapshot *snapshot);
void snapshot_unref(struct snapshot *snapshot);

#endif
