/* pipeline.h - the phases that a route has no use for. Private to src/gateway. */
#ifndef GATEWAY_PIPELINE_H
#define GATEWAY_PIPELINE_H

#include "gateway/snapshot.h"

/*
 * A bit for each phase (enum phase_id) that cannot do anything but let requests of this route on.
 * Everything else of the snapshot must be built.
 */
uint32_t pipeline_idle_phases(const struct snapshot *s, const struct snapshot_route *route);

#endif
