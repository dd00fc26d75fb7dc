/*
 * prometheus.h - the text format of Prometheus (version 0.0.4): what a metric is, and one that is a
 * single number. Names and help are words of ours, and need no escaping.
 */
#ifndef PARSE_PROMETHEUS_H
#define PARSE_PROMETHEUS_H

#include <stdint.h>

#include "base/buf.h"

/* "gauge", "counter" or "histogram"; its samples follow. */
void prometheus_head(struct buf *out, const char *name, const char *type, const char *help);
void prometheus_number(struct buf *out, const char *name, const char *type, const char *help,
		       uint64_t value);

#endif
