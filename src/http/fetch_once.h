/*
 * fetch_once.h - one call of ours from a thread without a loop (an offload thread, a command): it
 * makes a loop, fetches, and ends it. For what is rare and may block: key sets of OAuth clients,
 * logout tokens, discovery. Nothing is kept between calls.
 */
#ifndef HTTP_FETCH_ONCE_H
#define HTTP_FETCH_ONCE_H

#include "http/fetch.h"

struct http_fetch_once {
	struct span url; /* absolute, http or https */
	struct tls_context *tls; /* for https */
	struct http_fetch request;
	int64_t timeout_ms; /* for all of it */
};

/*
 * As http_fetch: 0 with *status and the answer's body appended to `body`, or -1. Blocks for
 * timeout_ms at most. The calling thread must not have a loop.
 */
int http_fetch_once(const struct http_fetch_once *fetch, unsigned *status, struct buf *body,
		    struct err *err) MUST_CHECK;

#endif
