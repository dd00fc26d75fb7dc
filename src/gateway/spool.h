/*
 * spool.h - a request's body that is held back until it has been looked at: by the contract, the
 * attack filter and approvals, and so that it can be sent again. One buffer for all of them, with
 * a maximum a request (limits.body_buffer) and one for the process (limits.body_buffers).
 */
#ifndef GATEWAY_SPOOL_H
#define GATEWAY_SPOOL_H

#include "base/buf.h"
#include "http/exchange.h"

struct exchange;

struct spool {
	struct span held; /* what has been read of the body, in order */
	bool used; /* held stands for the beginning of the body */
	bool complete; /* ... and the whole of it */
	struct buf owned; /* where held lies, unless in the connection's own buffer */
	uint64_t counted_bytes; /* of the process's budget */
	bool secret; /* wiped when it is given back */
};

enum spool_result {
	SPOOL_COMPLETE, /* e->spool.held is the whole body; of no bytes when there is none */
	SPOOL_FULL, /* it is longer than max_bytes: the rest is still with the client */
	SPOOL_BUSY, /* the process holds as much as it may: answer 503 */
	SPOOL_FAILED, /* reading failed: *why says how */
};

/*
 * Reads the body up to `max_bytes`. Again after SPOOL_FULL with a higher maximum it goes on. Waits
 * at most idle_ms (0: without a limit of its own) for each piece.
 */
enum spool_result spool_read(struct exchange *e, uint64_t max_bytes, uint64_t idle_ms,
			     enum io_result *why);
/* The body to forward is another one, of the same meaning; takes over the buffer. */
void spool_replace(struct exchange *e, struct buf *body);
/*
 * Counts what an exchange holds back, in all, against the process's budget: false when that is used
 * up.
 */
bool spool_count(struct exchange *e, uint64_t bytes);
/* Gives everything back; called once an exchange. */
void spool_release(struct exchange *e);

#endif
