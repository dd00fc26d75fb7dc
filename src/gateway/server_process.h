/* server_process.h - the process that serves: it has the workers and no privileges. */
#ifndef GATEWAY_SERVER_PROCESS_H
#define GATEWAY_SERVER_PROCESS_H

#include "config/config.h"
#include "gateway/sockets.h"

struct server_options {
	const char *config_path;
	struct config *config; /* a reference is taken */
	struct sockets *sockets; /* closed when the workers have their own duplicates */
	unsigned workers;
	int channel; /* to the supervisor; its end drains the server */
	int limits; /* of limiter_file_new; closed when it has been mapped */
	struct span tickets; /* exported keys to go on with; may be empty */
};

/*
 * To be called in a child process without threads. Serves until it is told to drain; returns the
 * exit code.
 */
int server_process_main(const struct server_options *options);

/*
 * Gives up what serving does not need: root, files beyond those of the configuration. Before
 * threads start. -1 with *err: the process must end.
 */
int confine_process(const char *config_path, const struct config *cfg,
		    struct err *err) MUST_CHECK;
/* Only the user; part of confine_process, for a child that runs other programs. */
int confine_drop(const struct config *cfg, struct err *err) MUST_CHECK;
/* The user and group to become. -1 with *err when they do not exist. */
int confine_user(const struct config *cfg, unsigned *uid, unsigned *gid,
		 struct err *err) MUST_CHECK;
/*
 * Whether a server that was confined for `old` may read what `next` names: false when it takes a
 * folder that was not opened for it.
 */
bool confine_covers(const char *config_path, const struct config *old,
		    const struct config *next);
/* With root and a configured user: makes the log files, owned by that user. */
int confine_prepare_logs(const struct config *cfg, struct err *err) MUST_CHECK;

#endif
