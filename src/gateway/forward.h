/* forward.h - the parts of the phase `forward`. Private to src/gateway. */
#ifndef GATEWAY_FORWARD_H
#define GATEWAY_FORWARD_H

#include "gateway/exchange.h"
#include "identity/pass.h"

/* Whether what a proxy in front of us says of the client is believed. */
static inline bool forward_trusts_proxy(const struct exchange *e)
{
	enum config_forwarded kind = e->snapshot->config->forwarded.client_headers;

	return e->from_trusted_proxy &&
	       (kind == CONFIG_FORWARDED_TRUSTED || kind == CONFIG_FORWARDED_X);
}
/* What services trust must not come from clients; `trusted`: as above. */
static inline bool forward_is_forged(const struct exchange *e, const struct http_field *field,
				     bool trusted)
{
	if (identity_strip_has(e->snapshot->strip, field))
		return true;
	return field->id == HTTP_FIELD_OTHER && !trusted &&
	       identity_strip_is_forwarded(field->name);
}

/* The path that the service gets: the route's strip_prefix and add_prefix. ptr NULL: no memory. */
struct span forward_edited_path(const struct exchange *e);
static inline struct span forward_path(const struct exchange *e)
{
	return UNLIKELY(e->route->flags & SNAPSHOT_ROUTE_EDITS_PATH) ? forward_edited_path(e)
								     : e->path;
}
/*
 * The request head for the service: the client's fields without what is hop-by-hop, untrusted or
 * its credentials, with identity, forwarding, trace and the route's edits. 0, or -1 with *err.
 */
int forward_build_request(struct exchange *e, const struct view_service *service,
			  struct http_request_head *head, struct err *err) MUST_CHECK;

/*
 * Chooses an endpoint by the service's balance, not one of `tried` (bits) while others are left, and
 * one that is well unless too few are. NULL: none may be asked.
 */
struct view_endpoint *balance_pick(struct exchange *e, struct view_service *service,
				   uint64_t tried);

/*
 * A pool of connections to an endpoint. *is_name: its address has to be resolved and set first.
 * `server_name` (that its certificate must have) and the service must outlive the pool.
 */
struct http_pool *endpoint_pool_new(const struct snapshot_service *service,
				    const struct config_pool *pool,
				    const struct config_endpoint *config,
				    const char *server_name, bool *is_name,
				    struct err *err) MUST_CHECK;
/*
 * A call to the endpoint: resolves its name if need be, and reuses or opens a connection. `fresh`
 * asks for a new one. `timeout` bounds its steps, the deadline all of it. The error must be given.
 */
struct http_call *endpoint_open(struct worker *worker, struct endpoint *endpoint, bool fresh,
				const struct config_timeout *timeout, int64_t deadline_ms,
				enum io_result *result, struct err *err) MUST_CHECK;

/*
 * Passes the client's body on to the service in a fiber of its own, so that a response (or the
 * other direction of a tunnel) can flow meanwhile.
 */
struct pump {
	struct exchange *e;
	struct http_call *call;
	int64_t idle_ms;
	struct fiber *fiber; /* NULL: not running */
	struct fiber *waiter; /* parked in pump_stop */
	bool client_failed;
	enum io_result result; /* IO_EOF: all was passed on */
};
/* -1: no memory for a fiber. */
int pump_start(struct pump *pump) MUST_CHECK;
/* Waits for the end of a running pump, after cancelling it if asked to. */
void pump_stop(struct pump *pump, bool cancel);

#endif
