/*
 * config_guard.h - webhooks, and what is done about a service that is not well. Included by
 * config.h.
 */
#ifndef CONFIG_CONFIG_GUARD_H
#define CONFIG_CONFIG_GUARD_H

#include <stdbool.h>

#include "base/secret.h"
#include "config/config_base.h"

/* What a webhook hears of by itself; procedures name theirs. */
enum config_webhook_events {
	CONFIG_WEBHOOK_APPROVALS = 1 << 0,
	CONFIG_WEBHOOK_PROCEDURES = 1 << 1,
};

struct config_webhook {
	struct config_where where;
	struct span name;
	struct span url;
	struct secret secret; /* "whsec_" and base64, or the bytes themselves */
	struct span ca; /* file: PEM bundle; empty: the system's */
	unsigned events; /* enum config_webhook_events */
	uint64_t timeout_ms; /* of an attempt */
	uint64_t backoff_ms; /* before the second; doubles, with jitter */
	uint64_t max_backoff_ms;
	uint64_t max_age_ms; /* then it is dead */
	uint32_t concurrent; /* attempts at once */
	uint32_t queue; /* deliveries that wait, at most */
};

#endif
