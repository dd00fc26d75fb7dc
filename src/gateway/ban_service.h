/*
 * ban_service.h - the bans of a process: the table that workers ask, and a thread that writes bans
 * to the store, where one is configured, and reads there every second what other replicas and
 * command lines have done. Outlives snapshots. Private to src/gateway.
 */
#ifndef GATEWAY_BAN_SERVICE_H
#define GATEWAY_BAN_SERVICE_H

#include "guard/ban.h"

struct audit_log;
struct ban_service;

/*
 * Opens the shared store, else the store, else none, and reads what is banned: blocks. The audit
 * log may be NULL. A store that is away is tried again later.
 */
struct ban_service *ban_service_new(const struct config *cfg, struct audit_log *audit_log,
				    struct err *err) MUST_CHECK;
/* Writes what is left; all workers must have ended. NULL is allowed. */
void ban_service_free(struct ban_service *service);

struct ban_table *ban_service_table(struct ban_service *service);
/* A client has been banned: log, audit log, store. Any thread; never waits for the store. */
void ban_service_added(struct ban_service *service, const struct ban *ban, bool observed);
/*
 * Lifts the ban of the client with that hash (ban_who.h), which other replicas do within two
 * seconds. False when there is none. `by` is for the audit log.
 */
bool ban_service_lift(struct ban_service *service, uint64_t hash, const char *by);
/* JSON: {"bans":[...]}, at most 1000. */
void ban_service_print(struct ban_service *service, struct buf *out);
/* Prometheus text format. */
void ban_service_metrics(struct ban_service *service, struct buf *out);

#endif
