/* notify.h - telling the service manager, and whoever reads the pid file. */
#ifndef GATEWAY_NOTIFY_H
#define GATEWAY_NOTIFY_H

#include <sys/types.h>

#include "base/err.h"

/*
 * Sends lines such as "READY=1" to the socket that NOTIFY_SOCKET names (sd_notify(3)). Without it
 * nothing happens; failures are logged.
 */
void notify_send(const char *state);
/* RELOADING=1 with the monotonic time that Type=notify-reload asks for. */
void notify_reloading(void);

/* Replaces the file in one step. */
int pid_file_write(const char *path, struct err *err) MUST_CHECK;
/* Removes it if it holds the calling process's id. */
void pid_file_remove(const char *path);

#endif
