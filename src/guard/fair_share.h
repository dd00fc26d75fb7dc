/*
 * fair_share.h - who sends most is shed first. While there is too much to do, each client may make so
 * many requests in a quarter of a second, and that number falls until there is no longer too much:
 * those who ask for less than their share do not notice (max-min fairness, found by trying as in
 * additive-increase/multiplicative-decrease, Chiu and Jain 1989). Then it rises until nobody is shed.
 *
 * Requests are counted a client in a sketch of fixed size (count-min, Cormode and Muthukrishnan
 * 2005): two clients are taken for one only when their hashes collide twice. While there is nothing
 * to shed nothing is counted. Any thread, no lock.
 */
#ifndef GUARD_FAIR_SHARE_H
#define GUARD_FAIR_SHARE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FAIR_SHARE_STEP_MS 250
#define FAIR_SHARE_ROWS 2
#define FAIR_SHARE_CELLS 4096

/* All zero is its first state. */
struct fair_share {
	_Atomic uint32_t allowance; /* requests a step and client; 0: nothing is counted */
	_Atomic uint32_t step; /* number of the step, modulo 4096 */
	_Atomic uint32_t most; /* requests of one client in this step */
	_Atomic uint32_t cells[FAIR_SHARE_ROWS][FAIR_SHARE_CELLS]; /* step, requests */
};

static inline bool fair_share_is_active(const struct fair_share *fair)
{
	return atomic_load_explicit(&fair->allowance, memory_order_relaxed) != 0;
}
/* Counts a request of the client while active; false: it has had its share. */
bool fair_share_takes(struct fair_share *fair, uint64_t client_hash);
/* Every FAIR_SHARE_STEP_MS, from one thread: is there too much to do? */
void fair_share_step(struct fair_share *fair, bool overloaded);

#endif
