/*
 * forward_internal.h - what the two halves of the phase `forward` share: phase_forward.c asks the
 * service, forward_response.c passes its answer on. Private to them.
 */
#ifndef GATEWAY_FORWARD_INTERNAL_H
#define GATEWAY_FORWARD_INTERNAL_H

#include "gateway/forward.h"
#include "gateway/validate.h"

struct forward {
	struct exchange *e;
	struct view_service *service;
	const struct config_service *config;
	const struct config_timeout *timeout;
	struct http_call *call;
	struct endpoint *endpoint;
	struct span body; /* what was held back of it */
	bool replayable;
	uint64_t tried;
	struct pump pump;
	struct err *err;
	size_t index; /* of the endpoint */
	struct breaker_permit permit; /* of the endpoint's breaker */
	int64_t begun_ms; /* the attempt */
	int64_t retry_after_ms; /* when every endpoint's breaker has refused: the shortest wait */
	unsigned fault; /* of the attempt: enum config_retry_on; 0: none */
	bool judged; /* the attempt says something about the service */
	bool second; /* this is the attempt beside another: it must not touch the client */
	bool hurried; /* the deadline is the client's own */
	struct capture *capture; /* the answer is put together to be kept; NULL: it is not */
	struct response_check check;
	enum phase_result refused; /* PHASE_NEXT: not; else it has been answered */
	/* What follows begins without a value. */
	struct http_request_head head;
};

static inline int64_t forward_step_deadline_ms(const struct forward *f, uint64_t step_ms)
{
	return exchange_step_deadline_ms(f->e, step_ms);
}

/* The chosen endpoint could be asked: one that was not tried and whose breaker agrees. */
bool forward_choose(struct forward *f);
/* One call to it, up to its answer's head; a stale connection is replaced. */
enum io_result forward_call(struct forward *f);
/* Tells the endpoint's guards how it went. */
void forward_judge_endpoint(struct forward *f);
/* Whether the budget has room for another attempt, which it then has no more. */
bool forward_take_budget(struct forward *f);
/*
 * As forward_call, and another endpoint is asked too when the answer takes too long. The first good
 * answer is then that of *f; the other attempt is broken off.
 */
enum io_result forward_call_hedged(struct forward *f);
/* Gives the connection to the service back; harmless when there is none. */
void forward_end_call(struct forward *f);
/* The service has given no answer: a fallback, or an error by e->reason. */
enum phase_result forward_answer_failure(struct forward *f);
/* Passes the response on whose head has been read. */
enum phase_result forward_relay_response(struct forward *f);

#endif
