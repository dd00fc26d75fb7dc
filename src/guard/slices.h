/*
 * slices.h - the EndpointSlices of one Kubernetes service (discovery.k8s.io/v1), as its API server
 * tells them: whole lists in pages, then changes. Sees bytes, never sockets. Belongs to one thread.
 */
#ifndef GUARD_SLICES_H
#define GUARD_SLICES_H

#include "base/buf.h"
#include "guard/endpoints.h"

/* A change is one line; a page of a list has at most SLICES_PAGE slices of 100 endpoints or more. */
#define SLICES_EVENT_MAX ((size_t)4 << 20)
#define SLICES_LIST_MAX ((size_t)32 << 20)
#define SLICES_PAGE 100

struct slices;

/* The configuration must outlive it. NULL with ERR_MEMORY. */
struct slices *slices_new(const struct config_discover *config, struct err *err) MUST_CHECK;
/* NULL is allowed. */
void slices_free(struct slices *slices);

/* Where to go on: the version that a watch begins behind; empty before the first whole list. */
struct span slices_version(const struct slices *slices);

/* The first of the pages of a list follows. */
void slices_begin_list(struct slices *slices);
/*
 * One page. *more is what the next request has to say in `continue`, empty behind the last page:
 * then slices that were on none of the pages are forgotten. It lives until the next call. -1 with
 * ERR_SYNTAX (no such list), ERR_LIMIT or ERR_MEMORY: the list has to be asked for from its beginning,
 * and what was known before is still there.
 */
int slices_take_page(struct slices *slices, struct span json, struct span *more,
		     struct err *err) MUST_CHECK;

enum slices_event {
	SLICES_CHANGED,
	SLICES_BOOKMARK, /* nothing but a newer version */
	SLICES_EXPIRED, /* 410: the version is too old, a list is needed */
	SLICES_FAILED /* *err says why: the watch is of no use any more */
};
/* One line of a watch. */
enum slices_event slices_take_event(struct slices *slices, struct span json, struct err *err);

/*
 * Adds the endpoints that may be asked: those that are ready; if none is, those that still serve
 * while they end, as kube-proxy does. Of a service with two families of addresses, IPv4 is taken,
 * then IPv6, then names. -1 with ERR_MEMORY.
 */
int slices_endpoints(const struct slices *slices, struct endpoint_list *list,
		     struct err *err) MUST_CHECK;

#endif
