#include "guard/fair_share.h"

#define STEP_BITS 12
#define COUNT_BITS 20
#define COUNT_MAX ((1u << COUNT_BITS) - 1)
#define LEARNING COUNT_MAX /* nobody is shed yet: what clients ask for is not known */
#define LEAST 16

/* The client's requests in this step, by one cell. */
static uint32_t count_in(_Atomic uint32_t *cell, uint32_t step)
{
	uint32_t before = atomic_load_explicit(cell, memory_order_relaxed), after;

	do {
		if (before >> COUNT_BITS != step)
			after = step << COUNT_BITS | 1;
		else if ((before & COUNT_MAX) < COUNT_MAX)
			after = before + 1;
		else
			return COUNT_MAX;
	} while (!atomic_compare_exchange_weak_explicit(
		cell, &before, after, memory_order_relaxed, memory_order_relaxed));
	return after & COUNT_MAX;
}

static void raise_most(struct fair_share *fair, uint32_t count)
{
	uint32_t most = atomic_load_explicit(&fair->most, memory_order_relaxed);

	while (count > most && !atomic_compare_exchange_weak_explicit(&fair->most, &most, count,
								      memory_order_relaxed,
								      memory_order_relaxed))
		;
}

bool fair_share_takes(struct fair_share *fair, uint64_t client_hash)
{
	uint32_t allowance = atomic_load_explicit(&fair->allowance, memory_order_relaxed);
	uint32_t step = atomic_load_explicit(&fair->step, memory_order_relaxed);
	uint32_t least = COUNT_MAX;

	if (!allowance)
		return true;
	for (unsigned row = 0; row < FAIR_SHARE_ROWS; row++) {
		uint32_t at = (uint32_t)(client_hash >> (1 + row * 31)) % FAIR_SHARE_CELLS;
		uint32_t count = count_in(&fair->cells[row][at], step);

		if (count < least)
			least = count;
	}
	raise_most(fair, least);
	return least <= allowance;
}

static uint32_t at_least(uint32_t value)
{
	return value < LEAST ? LEAST : value;
}

void fair_share_step(struct fair_share *fair, bool overloaded)
{
	uint32_t allowance = atomic_load_explicit(&fair->allowance, memory_order_relaxed);
	uint32_t step = atomic_load_explicit(&fair->step, memory_order_relaxed);
	uint32_t most = atomic_exchange_explicit(&fair->most, 0, memory_order_relaxed);

	if (overloaded && !allowance)
		allowance = LEARNING;
	else if (overloaded)
		allowance = at_least((allowance < most ? allowance : most) / 4 * 3);
	else if (allowance)
		allowance += allowance / 4 + 1;
	if (!overloaded && allowance > most)
		allowance = 0;
	atomic_store_explicit(&fair->step, (step + 1) % (1u << STEP_BITS),
			      memory_order_relaxed);
	atomic_store_explicit(&fair->allowance, allowance, memory_order_relaxed);
}
