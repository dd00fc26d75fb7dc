/*
 * webhook_service.h - sends what guard/webhook.h queues: a few fibers a configured webhook in the
 * maintenance loop, so that one that does not answer holds up only itself, with the store asked in
 * offload threads. Only configured URLs are posted to; redirects are not followed. One a process;
 * private to src/gateway.
 */
#ifndef GATEWAY_WEBHOOK_SERVICE_H
#define GATEWAY_WEBHOOK_SERVICE_H

#include "config/config.h"
#include "http/exchange.h"

struct audit_log;
struct dns;
struct webhook_service;

/* Opens the store; blocks. The audit log may be NULL. */
struct webhook_service *webhook_service_new(const struct config *cfg,
					    struct audit_log *audit_log,
					    struct err *err) MUST_CHECK;
/*
 * From now on the webhooks of this configuration are sent to, in the calling thread's loop. `dns`
 * is of that loop. On failure those of before go on.
 */
int webhook_service_use(struct webhook_service *service, struct config *cfg, struct dns *dns,
			struct err *err) MUST_CHECK;
/* Nothing is sent any more; what waits stays in the store. */
void webhook_service_stop(struct webhook_service *service);
/* Everybody who may queue an event must have ended. NULL is allowed. */
void webhook_service_free(struct webhook_service *service);

/*
 * Queues an event for one webhook, or for all that are configured to hear of this kind; `data` is a
 * JSON value. Blocks for the store: any thread but those of loops. What cannot be queued is logged
 * and counted. NULL is allowed for the service.
 */
void webhook_service_send(struct webhook_service *service, struct span hook, struct span event,
			  struct span data);
void webhook_service_tell(struct webhook_service *service, enum config_webhook_events kind,
			  struct span event, struct span data);
/* As webhook_service_send, from a fiber. */
void webhook_service_send_parked(struct webhook_service *service, struct span hook,
				 struct span event, struct span data);

/* The one in use; of the loop's thread, until the next webhook_service_use. NULL: none. */
const struct config *webhook_service_config(const struct webhook_service *service);

/* GET /webhooks of the admin listener: the webhooks, and what is dead. Parks. 0 or -1. */
int webhook_service_print(struct webhook_service *service, struct buf *out,
			  struct err *err) MUST_CHECK;
/*
 * POST /webhooks/retry and /webhooks/discard. The status to answer, 200 when it was done; else *why
 * says what is wrong. Parks.
 */
unsigned webhook_service_act(struct webhook_service *service, struct span path, struct span id,
			     const char **why);
/* Prometheus text format. */
void webhook_service_metrics(struct webhook_service *service, struct buf *out);

#endif
