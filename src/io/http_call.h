/*
 * http_call.h - one HTTP request to a server that somebody has configured, by libcurl. Blocks for
 * at most the timeout: it belongs to an offload thread or a command line, never to a fiber (fibers
 * use http/fetch.h). No redirects, no proxies, no cookies; certificates are verified.
 */
#ifndef IO_HTTP_CALL_H
#define IO_HTTP_CALL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

#define HTTP_CALL_HEADERS_MAX 16

struct http_call {
	struct span url; /* http:// or https:// */
	bool post; /* else GET */
	struct span
		headers[HTTP_CALL_HEADERS_MAX]; /* "Name: value", without control characters */
	size_t header_count;
	struct span body;
	struct span ca; /* file of trust anchors; empty: the system's */
	int64_t timeout_ms; /* of the whole; 0: 10 s */
	size_t answer_max; /* bytes; 0: 1 MiB */
};

/*
 * 0 with the status and the body in the arena, whatever the status is. -1: ERR_TIMEOUT, ERR_LIMIT
 * (the answer is too large), ERR_INVALID (the request cannot be sent), else ERR_UNAVAILABLE.
 */
int http_call(const struct http_call *call, struct arena *arena, unsigned *status,
	      struct span *answer, struct err *err) MUST_CHECK;

/* libcurl, once a process. */
int curl_start(void) MUST_CHECK;
/*
 * What holds of every transfer of ours (`curl` is a CURL *): no redirects, no proxies, no signals; TLS 1.2
 * or later with certificates verified, by the anchors of the file `ca` or, when it is NULL, the system's.
 */
void curl_protect(void *curl, const char *ca);

#endif
