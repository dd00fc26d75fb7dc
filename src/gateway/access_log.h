/*
 * access_log.h - one JSON object a request: who, what, which phase answered and how long each took.
 * Lines are gathered in memory and written by a thread of their own; when it cannot keep up, lines
 * are dropped and counted in a line that says so.
 */
#ifndef GATEWAY_ACCESS_LOG_H
#define GATEWAY_ACCESS_LOG_H

#include "base/err.h"
#include "config/config.h"

struct access_log;
struct exchange;

/* Opens the file, or takes standard output or error. NULL with *err. */
struct access_log *access_log_new(const struct config_log *config, struct err *err) MUST_CHECK;
/* Writes what is left. NULL is allowed. */
void access_log_free(struct access_log *log);
/* Any thread. */
void access_log_write(struct access_log *log, const struct exchange *e, int64_t end_ns);
/* After the file was rotated: opens its path anew. On failure goes on with the old file. */
int access_log_reopen(struct access_log *log, struct err *err) MUST_CHECK;

#endif
