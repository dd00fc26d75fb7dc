#include "guard/limiter.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "base/mem.h"

#define SLOTS 4

struct slot {
	_Atomic uint64_t key; /* 0: never used */
	_Atomic int64_t
		tat_ns; /* theoretical arrival time; at or before now: as good as unused */
};

struct set {
	_Alignas(64) struct slot slots[SLOTS];
};

struct limiter {
	struct set *sets;
	size_t set_count; /* a power of two */
};

struct limiter_rate limiter_rate_of(uint64_t count, uint64_t per_ms, uint64_t burst)
{
	struct limiter_rate rate = {.burst = burst ? burst : 1};
	__uint128_t interval = (__uint128_t)per_ms * 1000000 / (count ? count : 1);
	__uint128_t tolerance;

	if (interval > INT64_MAX / 4)
		interval = INT64_MAX / 4;
	if (interval == 0)
		interval = 1;
	tolerance = interval * (rate.burst - 1);
	if (tolerance > INT64_MAX / 4)
		tolerance = INT64_MAX / 4;
	rate.interval_ns = (int64_t)interval;
	rate.tolerance_ns = (int64_t)tolerance;
	return rate;
}

struct limiter *limiter_new(size_t keys, struct err *err)
{
	struct limiter *limiter = mem_zalloc(1, sizeof(*limiter));
	size_t set_count = 1;

	while (set_count * SLOTS < keys && set_count < (size_t)1 << 28)
		set_count *= 2;
	if (limiter) {
		/* Pages that no key has touched cost nothing. */
		limiter->sets =
			mmap(NULL, set_count * sizeof(struct set), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		limiter->set_count = set_count;
	}
	if (!limiter || limiter->sets == MAP_FAILED) {
		mem_free(limiter);
		err_set(err, ERR_MEMORY, "no memory for rate limits");
		return NULL;
	}
	return limiter;
}

void limiter_free(struct limiter *limiter)
{
	if (!limiter)
		return;
	munmap(limiter->sets, limiter->set_count * sizeof(struct set));
	mem_free(limiter);
}

static struct set *set_of(struct limiter *limiter, uint64_t key)
{
	return &limiter->sets[key & (limiter->set_count - 1)];
}

static struct slot *find(struct set *set, uint64_t key)
{
	for (int i = 0; i < SLOTS; i++)
		if (atomic_load_explicit(&set->slots[i].key, memory_order_acquire) == key)
			return &set->slots[i];
	return NULL;
}

static struct slot *least_debt(struct set *set)
{
	struct slot *least = &set->slots[0];
	int64_t least_tat = INT64_MAX;

	for (int i = 0; i < SLOTS; i++) {
		int64_t tat = atomic_load_explicit(&set->slots[i].tat_ns, memory_order_relaxed);

		if (tat < least_tat) {
			least_tat = tat;
			least = &set->slots[i];
		}
	}
	return least;
}

/* The key's slot, taken over from another key if need be. */
static struct slot *claim(struct set *set, uint64_t key)
{
	for (;;) {
		struct slot *slot = find(set, key);
		uint64_t old_key;

		if (slot)
			return slot;
		slot = least_debt(set);
		old_key = atomic_load_explicit(&slot->key, memory_order_relaxed);
		if (!atomic_compare_exchange_strong_explicit(&slot->key, &old_key, key,
							     memory_order_acq_rel,
							     memory_order_relaxed))
			continue;
		atomic_store_explicit(&slot->tat_ns, 0, memory_order_relaxed);
		return slot;
	}
}

static struct limiter_result describe(const struct limiter_rate *rate, int64_t tat_ns,
				      int64_t now_ns)
{
	int64_t room_ns = rate->tolerance_ns - (tat_ns - now_ns);
	struct limiter_result result = {.allowed = true, .reset_after_ns = tat_ns - now_ns};

	if (room_ns >= 0)
		result.remaining = (uint64_t)(room_ns / rate->interval_ns) + 1;
	if (result.remaining > rate->burst)
		result.remaining = rate->burst;
	return result;
}

struct limiter_result limiter_take(struct limiter *limiter, uint64_t key,
				   const struct limiter_rate *rate, int64_t now_ns)
{
	struct slot *slot;
	int64_t tat_ns, base_ns;

	key |= key == 0;
	slot = claim(set_of(limiter, key), key);
	tat_ns = atomic_load_explicit(&slot->tat_ns, memory_order_relaxed);
	do {
		base_ns = tat_ns > now_ns ? tat_ns : now_ns;
		if (base_ns - now_ns > rate->tolerance_ns) {
			struct limiter_result refused = {.retry_after_ns = base_ns - now_ns -
									   rate->tolerance_ns,
							 .reset_after_ns = base_ns - now_ns};

			return refused;
		}
	} while (!atomic_compare_exchange_weak_explicit(
		&slot->tat_ns, &tat_ns, base_ns + rate->interval_ns, memory_order_relaxed,
		memory_order_relaxed));
	return describe(rate, base_ns + rate->interval_ns, now_ns);
}

void limiter_give_back(struct limiter *limiter, uint64_t key, const struct limiter_rate *rate)
{
	struct slot *slot;

	key |= key == 0;
	slot = find(set_of(limiter, key), key);
	if (slot)
		atomic_fetch_sub_explicit(&slot->tat_ns, rate->interval_ns,
					  memory_order_relaxed);
}
