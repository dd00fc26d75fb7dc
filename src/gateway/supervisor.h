/* supervisor.h - what the files of the supervisor share. Private to them. */
#ifndef GATEWAY_SUPERVISOR_H
#define GATEWAY_SUPERVISOR_H

#include <sys/types.h>

#include "base/secret.h"
#include "config/config.h"
#include "gateway/gateway.h"
#include "gateway/sockets.h"

#define CHILDREN_MAX 8

enum child_state {
	CHILD_NONE,
	CHILD_STARTING,
	CHILD_SERVING,
	CHILD_DRAINING,
};

/* A server process. */
struct child {
	enum child_state state;
	pid_t pid;
	int channel;
	int64_t since_ms;
	int64_t kill_at_ms; /* 0: never */
};

/* The supervisor that is to follow this one. */
struct successor {
	pid_t pid; /* 0: none */
	int ready_fd; /* a byte comes when it serves; its end: it never will */
	int64_t kill_at_ms;
};

struct supervisor {
	const struct gateway_options *options;
	char *program; /* to be executed for an upgrade */
	struct config *config; /* of the serving child */
	struct config *next; /* being taken over; NULL when nothing is */
	unsigned workers; /* that `config`, or else `next`, asks for */
	struct sockets sockets;
	struct child children[CHILDREN_MAX];
	struct successor successor;
	struct secret tickets; /* last exported */
	int limits; /* memory of rate limits, which all servers share */
	int signals;
	int tell_fd; /* to the supervisor before this one; -1: none */
	int64_t restart_at_ms; /* 0: no restart is due */
	int64_t look_at_ms; /* for changes of watched files; 0: there are none */
	uint64_t files_state; /* when they were last read */
	uint64_t files_next_state; /* of `next` */
	int64_t backoff_ms;
	bool reload_again; /* SIGHUP came while a reload was under way */
	bool in_process; /* the serving child has been asked to take over `next` */
	bool ready; /* has served once */
	bool stopping;
	bool handed_over;
	int exit_code;
};

/* NULL when there is none. */
struct child *supervisor_child(struct supervisor *s, enum child_state state);
void supervisor_drain(struct supervisor *s, struct child *child);
/* Asks the serving child for its session ticket keys, for at most a second. */
void supervisor_fetch_tickets(struct supervisor *s);

/* --- upgrade.c --- */

/*
 * What the older supervisor has left in the environment: sockets, ticket keys, rate limits, whom to
 * tell. Without rate limits: memory for them.
 */
int upgrade_inherit(struct supervisor *s, struct err *err) MUST_CHECK;
/* This supervisor serves: the older one may go. */
void upgrade_tell(struct supervisor *s);
void upgrade_start(struct supervisor *s);
/* `ready_fd` is readable. */
void upgrade_on_ready(struct supervisor *s);
/* True when the process that ended was the successor. */
bool upgrade_on_exit(struct supervisor *s, pid_t pid);
/* The name of the program, which is resolved when the file may have been replaced already. */
char *upgrade_program(struct err *err) MUST_CHECK;

#endif
