/* internal_metrics.h - figures of internal services, for the admin listener. */
#ifndef GATEWAY_INTERNAL_METRICS_H
#define GATEWAY_INTERNAL_METRICS_H

#include "base/buf.h"

struct gateway_shared;

/* In the form of Prometheus; nothing when there is no such service. Any thread. */
void identity_service_metrics(const struct gateway_shared *shared, struct buf *out);
void registry_service_metrics(const struct gateway_shared *shared, struct buf *out);

#endif
