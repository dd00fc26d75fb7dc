/*
 * approval_service.h - approvals (guard/approval.h) for fibers: the store is asked in offload
 * threads. One a process; it also answers the routes with `service: approvals`, where people look
 * at approvals and decide. Private to src/gateway.
 *
 * Below the route's path:
 *	GET  /                     the pending ones that the caller may decide on
 *	GET  /ID                   one: its requester, and who may decide on it
 *	POST /ID/approve, /ID/deny {"reason": "..."} as application/json
 *	GET  /link?t=TOKEN         a page to decide on; needs no other credential than the link
 *	POST /link                 the page's form
 */
#ifndef GATEWAY_APPROVAL_SERVICE_H
#define GATEWAY_APPROVAL_SERVICE_H

#include "gateway/internal_service.h"
#include "guard/approval.h"

struct approval_service;
struct audit_log;
struct webhook_service;

/* Opens the store; blocks. The audit log may be NULL. */
struct approval_service *approval_service_new(const struct config *cfg,
					      struct audit_log *audit_log,
					      struct err *err) MUST_CHECK;
/* All workers must have ended. NULL is allowed. */
void approval_service_free(struct approval_service *service);
/* What happens to approvals is told to these, from now on. Any thread. */
void approval_service_tell(struct approval_service *service, struct webhook_service *webhooks);
/* For gateway_shared.internal. */
const struct internal_service *approval_service_handle(struct approval_service *service);

/*
 * Asks for the approval of a request: APPROVAL_OK when it is approved, and may be used;
 * APPROVAL_WAITING; APPROVAL_CLOSED; APPROVAL_TOO_MANY. Parks; *approval lives in `arena`.
 * APPROVAL_FAILED: the store is away, or busy.
 */
enum approval_result approval_service_ask(struct approval_service *service,
					  const struct approval_request *request,
					  struct arena *arena, struct approval *approval,
					  int64_t deadline_ms, struct err *err);
/* How it is now: as above, and APPROVAL_CLOSED when it was denied. */
enum approval_result approval_service_poll(struct approval_service *service,
					   const struct approval *waiting, struct arena *arena,
					   struct approval *approval, int64_t deadline_ms,
					   struct err *err);
/* Uses one that is approved: APPROVAL_OK, and the request may be made; APPROVAL_CLOSED when
   another request was first. */
enum approval_result approval_service_use(struct approval_service *service,
					  const struct approval *approved, struct arena *arena,
					  struct approval *approval, int64_t deadline_ms,
					  struct err *err);

#endif
