/*
 * fallback.h - what a client gets when the service cannot give an answer: its last good one, that of
 * another service, or a fixed one. Each says so in the field Sallyport-Fallback. Private to
 * src/gateway.
 */
#ifndef GATEWAY_FALLBACK_H
#define GATEWAY_FALLBACK_H

#include "gateway/exchange.h"

enum fallback_kind {
	FALLBACK_STALE,
	FALLBACK_SERVICE,
	FALLBACK_FIXED,
	FALLBACK_SHIFT, /* a procedure has another service asked */
	FALLBACK_DEGRADED, /* another service, with fewer privileges */
	FALLBACK_KINDS
};

/*
 * Tries the service's fallbacks, when no head has been sent. True with *result: PHASE_ANSWERED or
 * PHASE_GONE; or, where `unread` says that the request's body can still be sent, PHASE_NEXT with
 * e->alternate set: forward then asks that service. At most one other service is asked.
 */
bool fallback_try(struct exchange *e, bool unread, enum phase_result *result);
/* The answer will be that of another service, by a procedure. */
void fallback_mark_shift(struct exchange *e);
/* Whether an answer with this fault (enum config_retry_on) is to be replaced. */
bool fallback_wants(const struct exchange *e, unsigned fault);

/* The answer under way, put together to be kept. */
struct capture {
	struct buf body;
	size_t max_bytes;
	bool complete;
};

/* NULL: this answer is not to be kept. From its head. */
struct capture *fallback_capture(struct exchange *e, const struct http1_head *response);
void fallback_capture_piece(struct capture *capture, struct span piece);
/* Keeps the answer if it is complete; releases the capture. */
void fallback_capture_end(struct exchange *e, struct capture *capture,
			  const struct http1_head *response);

#endif
