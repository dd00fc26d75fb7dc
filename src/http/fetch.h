/*
 * fetch.h - our own calls: one request to one URL, the whole answer in memory. For key sets,
 * introspection, webhooks. A fetcher belongs to one thread and one URL and keeps its connections;
 * redirects are not followed, content codings are not accepted.
 */
#ifndef HTTP_FETCH_H
#define HTTP_FETCH_H

#include "base/buf.h"
#include "http/client.h"
#include "io/dns.h"
#include "io/tls.h"

struct http_fetcher;

struct http_fetcher_options {
	struct span url; /* absolute, http or https; copied */
	struct tls_context *tls; /* for https, where it must be given; a reference is taken */
	struct dns *dns; /* of the thread's loop; borrowed */
	size_t connections_max; /* 0: no limit */
	size_t idle_max; /* connections kept for the next fetch */
	int64_t idle_timeout_ms;
	bool secret_path; /* errors name the URL's origin alone */
};

/* NULL with *err: ERR_INVALID for a URL that cannot be used, ERR_MEMORY. */
struct http_fetcher *http_fetcher_new(const struct http_fetcher_options *options,
				      struct err *err) MUST_CHECK;
/* No fetch may be running. NULL is allowed. */
void http_fetcher_close(struct http_fetcher *fetcher);

struct http_fetch {
	struct span method; /* empty: GET */
	const struct http_field *fields; /* no Host, no framing or connection fields */
	size_t field_count;
	struct span body; /* ptr NULL: none */
	bool repeatable; /* may be sent again when a kept connection turns out to be dead */
};

/*
 * Sends the request and appends the answer's body to `body` (whose max is the limit). 0 with
 * *status, any but 3xx; or -1: ERR_TIMEOUT, ERR_CANCELLED, ERR_DENIED (a redirect), ERR_LIMIT (the
 * answer is larger than body->max), ERR_MEMORY, ERR_NOT_FOUND or ERR_UNAVAILABLE (no address, no
 * connection), ERR_IO (cut short, malformed). Parks; not after deadline_ms.
 */
int http_fetch(struct http_fetcher *fetcher, const struct http_fetch *fetch,
	       int64_t deadline_ms, unsigned *status, struct buf *body,
	       struct err *err) MUST_CHECK;

#endif
