/*
 * contract_plan.h - what a snapshot knows of a service's contract: its operations, with the limits,
 * approvals and timeouts that the document or the configuration gives them. Private to
 * src/gateway.
 */
#ifndef GATEWAY_CONTRACT_PLAN_H
#define GATEWAY_CONTRACT_PLAN_H

#include <pthread.h>
#include <stdatomic.h>

#include "contract/contract.h"
#include "gateway/snapshot.h"

/* What became of an operation's requests and responses; any thread. */
struct contract_stats {
	_Atomic uint64_t requests; /* checked */
	_Atomic uint64_t bad_requests; /* refused, or would have been */
	_Atomic uint64_t responses;
	_Atomic uint64_t bad_responses;
	pthread_mutex_t lock; /* of the next two */
	char *last_request; /* problems of the last bad one, a JSON array; NULL: none */
	char *last_response;
};

struct snapshot_operation {
	const struct contract_operation *contract;
	struct snapshot_limit limit;
	bool limited;
	const struct config_sensitive *sensitive; /* NULL: needs no approval */
	struct config_sensitive own_sensitive; /* from the document */
	struct contract_stats *stats;
};

/* Reads the document (blocking). 0 or -1; what was built is released with the snapshot. */
int contract_plan_load(struct snapshot_service *service, const struct config *cfg,
		       struct err *err) MUST_CHECK;
void contract_plan_release(struct snapshot_service *service);
/* Every operation that `sensitive` names must be one of a route or of a contract. 0 or -1. */
int contract_plan_check_sensitive(const struct snapshot *snapshot, struct err *err) MUST_CHECK;
/* Do people have to approve requests to an operation of a contract? */
bool contract_plan_needs_approvals(const struct snapshot *snapshot);
/* {"services": [...]}: what was, or would have been, refused. */
void contract_plan_report(const struct snapshot *snapshot, struct buf *to);

#endif
