/*
 * inspect.h - the web application firewall in the pipeline: what a snapshot and a worker hold for
 * it, and its log. Private to src/gateway.
 */
#ifndef GATEWAY_INSPECT_H
#define GATEWAY_INSPECT_H

#include "gateway/exchange.h"

/*
 * Compiles the rules (blocking, seconds without a warm cache) and makes the policies that routes
 * need. 0 or -1; what was built is released with the snapshot.
 */
int inspect_load(struct snapshot *snapshot, struct err *err) MUST_CHECK;
void inspect_release(struct snapshot *snapshot);
/* Frees what a worker keeps for it. */
void inspect_release_worker(struct worker *worker);

#endif
