/*
 * overload.h - what the process does when it has too much to do: the pressure on each resource, in
 * percent of what it may use, and actions that begin at a pressure and end a good way below it, so
 * that they do not flap.
 */
#ifndef GUARD_OVERLOAD_H
#define GUARD_OVERLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

enum overload_resource {
	OVERLOAD_MEMORY,
	OVERLOAD_DESCRIPTORS,
	OVERLOAD_LAG, /* of the workers' event loops */
	OVERLOAD_CONNECTIONS,
	OVERLOAD_QUEUES, /* requests that wait for a place at a service, and jobs for a thread */
	OVERLOAD_RESOURCES
};

enum overload_action {
	OVERLOAD_FAIR_SHARE, /* who sends most is shed: fair_share.h */
	OVERLOAD_NO_KEEP_ALIVE, /* answers close their connections */
	OVERLOAD_SHORT_TIMEOUTS, /* half of what is configured for connect and request */
	OVERLOAD_SHED_LOW, /* routes of priority low get 503 */
	OVERLOAD_SHED_NORMAL, /* and those of priority normal */
	OVERLOAD_REFUSE, /* new connections are closed at once */
	OVERLOAD_ACTIONS
};
#define OVERLOAD_BIT(action) (1u << (action))

/* The actions in force after a look at the pressures, from those in force before it. */
uint32_t overload_step(const struct config_overload *config, uint32_t actions,
		       const uint32_t pressure_percent[OVERLOAD_RESOURCES]);
/* used of limit in percent; 0 when there is no limit. */
uint32_t overload_percent(uint64_t used, uint64_t limit);

/*
 * The number in a cgroup's file: digits and a line end. False for "max" and anything else, and for the
 * huge number by which version 1 says that there is no limit.
 */
bool overload_cgroup_number(struct span text, uint64_t *number);
/* inactive_file (total_inactive_file in version 1) of memory.stat: can be given up at once. */
uint64_t overload_cgroup_inactive(struct span stat);

const char *overload_resource_name(enum overload_resource resource);
const char *overload_action_name(enum overload_action action);

#endif
