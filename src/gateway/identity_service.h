/*
 * identity_service.h - the identity server as an internal service: its requests run in offload
 * threads, and so do the look-ups of sessions. One a process.
 */
#ifndef GATEWAY_IDENTITY_SERVICE_H
#define GATEWAY_IDENTITY_SERVICE_H

#include "gateway/internal_service.h"

struct identity_service;

/*
 * Opens the store; blocks. Prints the first administrator's one-time password to standard error
 * when there was nobody. The audit log may be NULL.
 */
struct identity_service *identity_service_new(struct config *cfg, struct audit_log *audit_log,
					      struct err *err) MUST_CHECK;
/* All workers must have ended. NULL is allowed. */
void identity_service_free(struct identity_service *service);
/* For gateway_shared.internal. */
const struct internal_service *identity_service_handle(struct identity_service *service);

/* Before workers get the snapshot: gives its authenticator our keys. Main thread. */
int identity_service_use(struct identity_service *service, struct snapshot *snapshot,
			 struct err *err) MUST_CHECK;
/* Starts the fiber that keeps keys and revocations fresh, in the calling thread's loop. */
int identity_service_start(struct identity_service *service, struct err *err) MUST_CHECK;
void identity_service_stop(struct identity_service *service);

/* Was the token that gave this identity taken back? */
bool identity_service_revoked(const struct exchange *e, const struct identity *identity);
/* The phase authenticate of routes with `auth: session`. */
enum phase_result identity_service_session(struct exchange *e);

/* The user has to log in again, or better: a page is sent to the login, others get 401. */
enum phase_result identity_service_login(struct exchange *e);

#endif
