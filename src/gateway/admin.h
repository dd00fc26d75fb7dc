/*
 * admin.h - the admin listener, on the maintenance thread's loop: /metrics (Prometheus), /healthz,
 * /readyz, /config (secrets masked). Bound to loopback by default; it has no authentication, so
 * whoever reaches it may read all of that.
 */
#ifndef GATEWAY_ADMIN_H
#define GATEWAY_ADMIN_H

#include "gateway/overload.h"
#include "gateway/worker.h"

struct admin;

struct admin_options {
	const struct config_admin *config;
	struct metrics *const *metrics; /* of the workers; borrowed until admin_stop */
	size_t metrics_count;
	const struct gateway_shared *shared;
	struct overload_watch *watch; /* borrowed too */
	struct snapshot *snapshot; /* a reference is taken */
};

/* In the calling thread's loop. NULL with *err, which names the address. */
struct admin *admin_start(const struct admin_options *options, struct err *err) MUST_CHECK;
/* After a reload. */
void admin_use_snapshot(struct admin *admin, struct snapshot *snapshot);
/* Stops listening; from now on /readyz says no and metrics are not read any more. */
void admin_drain(struct admin *admin);
/* Closes what is open and frees all; runs the loop for it. NULL is allowed. */
void admin_free(struct admin *admin);

#endif
