/* identity_metrics.h - figures of the identity server, for the admin listener. */
#ifndef GATEWAY_IDENTITY_METRICS_H
#define GATEWAY_IDENTITY_METRICS_H

#include "base/buf.h"

struct gateway_shared;

/* In the form of Prometheus; nothing when there is no identity server. Any thread. */
void identity_service_metrics(const struct gateway_shared *shared, struct buf *out);

#endif
