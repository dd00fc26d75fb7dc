#include "store/turn.h"

#include <errno.h>
#include <time.h>

struct waiter {
	struct list node;
	pthread_cond_t come;
	bool given;
};

int turn_init(struct turn *turn)
{
	turn->taken = false;
	list_init(&turn->waiting);
	return pthread_mutex_init(&turn->lock, NULL) == 0 ? 0 : -1;
}

void turn_destroy(struct turn *turn)
{
	pthread_mutex_destroy(&turn->lock);
}

static int init_waiter(struct waiter *waiter)
{
	pthread_condattr_t attributes;
	int result;

	waiter->given = false;
	list_init(&waiter->node);
	if (pthread_condattr_init(&attributes) != 0)
		return -1;
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	result = pthread_cond_init(&waiter->come, &attributes);
	pthread_condattr_destroy(&attributes);
	return result == 0 ? 0 : -1;
}

/* With the lock. */
static bool wait_for(struct turn *turn, int64_t timeout_ms)
{
	struct waiter waiter;
	struct timespec until;
	int result = 0;

	if (init_waiter(&waiter) < 0)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += timeout_ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	list_push_back(&turn->waiting, &waiter.node);
	while (!waiter.given && result != ETIMEDOUT)
		result = pthread_cond_timedwait(&waiter.come, &turn->lock, &until);
	if (!waiter.given)
		list_remove(&waiter.node);
	pthread_cond_destroy(&waiter.come);
	return waiter.given;
}

bool turn_take(struct turn *turn, int64_t timeout_ms)
{
	bool taken = true;

	pthread_mutex_lock(&turn->lock);
	if (turn->taken)
		taken = wait_for(turn, timeout_ms);
	else
		turn->taken = true;
	pthread_mutex_unlock(&turn->lock);
	return taken;
}

/* To the next, without a moment in which somebody else could take it. */
void turn_give(struct turn *turn)
{
	pthread_mutex_lock(&turn->lock);
	if (list_empty(&turn->waiting)) {
		turn->taken = false;
	} else {
		struct waiter *next =
			list_entry(list_pop_front(&turn->waiting), struct waiter, node);

		next->given = true;
		pthread_cond_signal(&next->come);
	}
	pthread_mutex_unlock(&turn->lock);
}
