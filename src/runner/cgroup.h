/*
 * cgroup.h - a control group for one job, which limits the memory of all its processes together, files in
 * memory and shared memory too. It is made below our own group: in the memory hierarchy of version 1, or
 * of version 2 where the memory controller is handed down to us (cgroup.subtree_control). Private to
 * src/runner.
 */
#ifndef RUNNER_CGROUP_H
#define RUNNER_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct cgroup {
	char folder[PATH_MAX]; /* "": none */
};

/* Without swap. -1: ERR_UNAVAILABLE where this system does not let us, ERR_IO. */
int cgroup_make(struct cgroup *group, uint64_t memory_bytes, struct err *err) MUST_CHECK;
/* Puts the calling process into it, if there is one; those it starts later are in it, too. */
bool cgroup_enter(const struct cgroup *group) MUST_CHECK;
/* When all in it have ended. Nothing where there is none. */
void cgroup_remove(const struct cgroup *group);

#endif
