/*
 * turn.h - a lock that goes to who has waited longest, and is waited for no longer than a time: for
 * writers of a back end that lets one write at a time, and is not fair about it. Private to
 * src/store.
 */
#ifndef STORE_TURN_H
#define STORE_TURN_H

#include <pthread.h>

#include "base/compiler.h"
#include "base/list.h"

struct turn {
	pthread_mutex_t lock;
	bool taken;
	struct list waiting; /* longest first */
};

int turn_init(struct turn *turn) MUST_CHECK;
/* Nobody has it, or waits. */
void turn_destroy(struct turn *turn);
/* False: the time is over. */
bool turn_take(struct turn *turn, int64_t timeout_ms) MUST_CHECK;
void turn_give(struct turn *turn);

#endif
