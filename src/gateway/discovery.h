/*
 * discovery.h - where services with `discover` are: a fiber a service in the loop of the maintenance
 * thread asks DNS or the API server of a Kubernetes cluster, again and again. What was found last
 * stays when nobody answers.
 */
#ifndef GATEWAY_DISCOVERY_H
#define GATEWAY_DISCOVERY_H

#include "base/buf.h"
#include "gateway/snapshot.h"
#include "io/dns.h"

struct discovery;

struct discovery_options {
	struct snapshot *snapshot; /* a reference is taken */
	struct dns *dns; /* borrowed */
	/*
	 * Endpoints have changed: found[i] is the list of the service with index i, NULL where nothing
	 * is new. Called from the loop, and not more often than a few times a second. -1: they could
	 * not be taken, and are told again.
	 */
	int (*found)(void *context, struct endpoint_list *const *found);
	void *context;
	const struct discovery *previous; /* its counters go on; NULL: none */
};

/* *out is NULL when no service has to be found. -1 with ERR_MEMORY and the like. */
int discovery_start(struct discovery **out, const struct discovery_options *options,
		    struct err *err) MUST_CHECK;
/* Its fibers end by and by, and free what they have; found() is not called any more. NULL is allowed. */
void discovery_stop(struct discovery *discovery);

/* Has each service been found, or the time for its first answer passed? */
bool discovery_is_settled(const struct discovery *discovery);

/* {"discovery": [...]}: who is asked, and what came of it. NULL is allowed. */
void discovery_print(const struct discovery *discovery, struct buf *out);
void discovery_metrics(const struct discovery *discovery, struct buf *out);

#endif
