/*
 * protect.h - what the phase `protect` holds for an exchange until it ends, and how the phase
 * `forward` tells it how the call went. Private to src/gateway.
 */
#ifndef GATEWAY_PROTECT_H
#define GATEWAY_PROTECT_H

#include "gateway/exchange.h"

/* Of an exchange whose service or operation has guards; e->protection is NULL for others. */
struct protection {
	const struct guard_service *guard; /* of the service that is asked; NULL: none */
	struct breaker_permit permit; /* of its breaker */
	struct bulkhead *held[2]; /* the operation's, the service's; NULL: none */
	int64_t entered_ns; /* only with an adaptive bulkhead */
	int64_t entered_ms;
	int64_t latency_us; /* -1: not known */
	bool entered; /* and what comes of the call is not known yet */
};

/*
 * How the last attempt of a call went: fault has bits of enum config_retry_on; 0 for a good answer.
 */
void protect_judge(struct exchange *e, unsigned fault);
/* Answers 503 with Retry-After of this time, at least a second. */
enum phase_result protect_refuse(struct exchange *e, const char *reason, const char *type,
				 int64_t retry_after_ms);
/* The exchange has ended: gives back what is held. */
void protect_end(struct exchange *e);

#endif
