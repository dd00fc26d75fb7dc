/*
 * health_check.h - active checks of endpoints: a fiber an endpoint, in the loop of the maintenance
 * thread. What they find is in the snapshot's guards, where all workers see it.
 */
#ifndef GATEWAY_HEALTH_CHECK_H
#define GATEWAY_HEALTH_CHECK_H

#include "gateway/snapshot.h"
#include "io/dns.h"

struct health_checks;

/*
 * Starts checking every endpoint of services with `health`, and comparing those of services with
 * `outlier`, in the calling thread's loop; *out is NULL when there are none. The resolver is borrowed. -1 with ERR_MEMORY.
 */
int health_checks_start(struct health_checks **out, struct snapshot *snapshot, struct dns *dns,
			struct err *err) MUST_CHECK;
/* Its fibers end by and by, and free what they have. NULL is allowed. */
void health_checks_stop(struct health_checks *checks);

#endif
