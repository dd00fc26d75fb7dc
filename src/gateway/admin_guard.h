/* admin_guard.h - what the admin listener says of guards, and does to them. Private to gateway. */
#ifndef GATEWAY_ADMIN_GUARD_H
#define GATEWAY_ADMIN_GUARD_H

#include "gateway/worker.h"

/* JSON: each service with its guards and endpoints. In a loop's thread. */
void admin_guard_print(const struct snapshot *snapshot, const struct gateway_shared *shared,
		       struct buf *out);
/* Prometheus text format. */
void admin_guard_metrics(const struct snapshot *snapshot, struct buf *out);
void admin_guard_overload_metrics(const struct gateway_shared *shared, struct buf *out);

/*
 * Carries out what a POST asks for: path "/services/NAME/breaker", body {"state": "forced_open",
 * "endpoint": URL}; without an endpoint, the service's own. The status of the answer: 200, 404, 422;
 * *why then says what is wrong, and *what names what was done for the audit log (in the arena).
 */
unsigned admin_guard_act(const struct snapshot *snapshot, struct span path, struct span body,
			 struct arena *arena, const char **why, struct span *what);

#endif
