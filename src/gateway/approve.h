/*
 * approve.h - using an approval, which the phase `approve` has found: at the last moment, so that none
 * is lost to a request that a breaker or a bulkhead then refuses. Private to src/gateway.
 */
#ifndef GATEWAY_APPROVE_H
#define GATEWAY_APPROVE_H

#include "gateway/exchange.h"

/* Takes e->approval for this request. False: it has been answered, with *refused. Parks. */
bool approve_use(struct exchange *e, enum phase_result *refused);

#endif
