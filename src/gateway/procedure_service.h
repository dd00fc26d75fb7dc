/*
 * procedure_service.h - the procedures of a process: looks once a second, in the maintenance loop,
 * at the services that have one, does the steps that guard/procedure.h says are due, tells workers
 * what to do with requests (guard/tally.h), and keeps a time line. What was going on survives a
 * reload for procedures that stay as they are; others begin anew. Private to src/gateway.
 */
#ifndef GATEWAY_PROCEDURE_SERVICE_H
#define GATEWAY_PROCEDURE_SERVICE_H

#include "gateway/snapshot.h"

struct audit_log;
struct command_runner;
struct procedure_service;
struct timeline;
struct webhook_service;

struct procedure_options {
	struct audit_log *audit_log; /* NULL: none */
	struct command_runner *commands; /* NULL: none are configured */
	struct timeline *timeline; /* borrowed: what was before, and what comes is added */
};

/* In the loop of the calling thread. */
struct procedure_service *procedure_service_new(const struct procedure_options *options,
						struct err *err) MUST_CHECK;
/*
 * From now on the procedures of this snapshot, before workers get it. `webhooks` may be NULL. On
 * failure those of before go on.
 */
int procedure_service_use(struct procedure_service *service, struct snapshot *snapshot,
			  struct webhook_service *webhooks, struct err *err) MUST_CHECK;
/* Looks no more; what steps are under way are broken off. NULL is allowed. */
void procedure_service_stop(struct procedure_service *service);
/* After the loop has let its fibers end. NULL is allowed. */
void procedure_service_free(struct procedure_service *service);

/* JSON for GET /guard/procedures. */
void procedure_service_print(const struct procedure_service *service, struct buf *out);
/* Prometheus text format. */
void procedure_service_metrics(const struct procedure_service *service, struct buf *out);

#endif
