/*
 * upstream.h - the registry that packages come from, by libcurl: connections are kept, certificates
 * verified, no proxies. Redirects are followed to the upstream's own origin and to those that the
 * configuration names, three at most; credentials go to its own origin alone. Blocks: for offload
 * threads; any number may use one upstream.
 */
#ifndef REGISTRY_UPSTREAM_H
#define REGISTRY_UPSTREAM_H

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "config/config_base.h"

struct upstream;

struct upstream_options {
	struct span url; /* http or https; a '/' at its end is left out */
	struct span ca; /* file of trust anchors; empty: the system's */
	struct span token; /* sent as "Authorization: Bearer"; empty: none */
	const struct config_strings *origins; /* others that files may come from */
	int64_t connect_ms;
	int64_t stall_ms; /* gives up when next to nothing has come for so long */
	int64_t timeout_ms; /* of the whole of a request */
};

/* Copies its options. NULL with ERR_MEMORY. */
struct upstream *upstream_new(const struct upstream_options *options,
			      struct err *err) MUST_CHECK;
/* No request may be under way. NULL is allowed. */
void upstream_free(struct upstream *upstream);

enum upstream_result {
	UPSTREAM_OK,
	UPSTREAM_SAME, /* it still has the entity tag that was asked with */
	UPSTREAM_ABSENT, /* 404, 410 */
	UPSTREAM_FAILED, /* *err: ERR_UNAVAILABLE, ERR_TIMEOUT: no answer; ERR_IO: another status; ERR_LIMIT ... */
};

/*
 * A text by its path ("/name") into `to`, whose maximum counts; its entity tag into `etag` (of `etag_size`
 * bytes, a NUL behind it; empty when there is none or it is too long). `known` may be empty.
 */
enum upstream_result upstream_text(struct upstream *upstream, struct span path,
				   struct span accept, struct span known, struct buf *to,
				   char *etag, size_t etag_size, struct err *err);

/* A file by its absolute address, a piece at a time; -1 from `take` ends it with its error. */
enum upstream_result
upstream_file(struct upstream *upstream, struct span url, uint64_t max_bytes,
	      int (*take)(void *context, struct span bytes, struct err *err), void *context,
	      struct err *err);

#endif
