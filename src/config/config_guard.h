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

/* ---- degraded operation ---------------------------------------------------------------------- */

struct config_service;

/* Another operation, which gets to know less of who asks. */
struct config_degraded {
	struct config_where where;
	struct span service_name;
	const struct config_service *service;
	struct span path; /* in the place of the request's; empty: the same */
	struct config_strings scopes; /* those that are left, if the caller has them */
	struct config_strings roles;
};

/* ---- procedures ------------------------------------------------------------------------------ */

#define CONFIG_PROCEDURE_CONDITIONS_MAX 16
#define CONFIG_PROCEDURE_STEPS_MAX 32

enum config_procedure_breaker {
	CONFIG_PROCEDURE_BREAKER_ANY, /* not looked at */
	CONFIG_PROCEDURE_BREAKER_OPEN /* the service's breaker is not closed */
};

/* One of breaker, error_percent, latency_ms and healthy_percent is set. */
struct config_procedure_condition {
	struct config_where where;
	enum config_procedure_breaker breaker;
	uint32_t
		error_percent; /* of the calls in the window failed: at least; 0: not looked at */
	uint64_t latency_ms; /* `percentile` of them took: at least; 0 */
	uint32_t percentile;
	uint32_t healthy_percent; /* of the endpoints are well: fewer; 0 */
	uint32_t minimum; /* calls in the window, or nothing is said */
	uint64_t window_ms;
	uint64_t for_ms; /* it holds for so long */
};

enum config_severity_word {
	CONFIG_SEVERITY_INFO,
	CONFIG_SEVERITY_WARNING,
	CONFIG_SEVERITY_CRITICAL
};

enum config_shed { CONFIG_SHED_NONE, CONFIG_SHED_LOW, CONFIG_SHED_NORMAL };

/* One of notify, page, mail, shift, shed, fallback and run is set. */
struct config_procedure_step {
	struct config_where where;
	uint64_t after_ms; /* since the procedure began, if it has not ended by then */
	struct span notify; /* webhook */
	struct span page; /* webhook */
	enum config_severity_word severity; /* of page */
	struct config_strings mail; /* addresses */
	struct span shift_name;
	const struct config_service
		*shift; /* asked in the service's place; NULL: this is no shift */
	uint32_t share_percent; /* of the requests */
	enum config_shed shed; /* requests of this priority, and lower ones, are refused */
	bool fallback; /* the service is not asked */
	struct config_strings run; /* program, an absolute path, and its arguments */
	uint64_t timeout_ms; /* of run */
	struct config_strings write; /* folders that it may change */
};

struct config_procedure_recovery {
	uint64_t after_ms; /* no condition has held for so long */
	uint32_t canary_percent; /* share of the requests that the service gets then */
	uint64_t hold_ms; /* for so long without a condition */
	uint64_t ramp_ms; /* then up to all of them in this time */
};

struct config_procedure {
	struct config_where where;
	struct span name;
	struct span service_name;
	const struct config_service *service;
	CONFIG_LIST(struct config_procedure_condition) when; /* any of them */
	CONFIG_LIST(struct config_procedure_step) steps;
	struct config_procedure_recovery recovery;
};

#endif
