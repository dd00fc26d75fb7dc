#include "guard/limiter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
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

/* In front of the sets, also for the processes that share them. */
struct header {
	uint64_t magic;
	uint64_t set_count;
	uint64_t hash_key[2];
	_Alignas(64) _Atomic uint64_t keys;
	_Atomic uint64_t evictions;
};

/* A page, whatever its size, and a version of this layout. */
#define HEADER_BYTES ((size_t)65536)
#define MAGIC ((uint64_t)0x31304c5953)
#define SET_COUNT_MAX ((size_t)1 << 28)
/* Nobody can make the memory shorter under those that have mapped it. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct limiter {
	struct header *header;
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

static size_t sets_for(size_t keys)
{
	size_t set_count = 1;

	while (set_count * SLOTS < keys && set_count < SET_COUNT_MAX)
		set_count *= 2;
	return set_count;
}

static size_t bytes_of(size_t set_count)
{
	return HEADER_BYTES + set_count * sizeof(struct set);
}

static void describe_table(struct header *header, size_t set_count)
{
	header->magic = MAGIC;
	header->set_count = set_count;
	hash_get_key(header->hash_key);
}

/* `fd` -1: memory of this process. Pages that no key has touched cost nothing. */
static struct limiter *map_table(size_t set_count, int fd, struct err *err)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
	struct limiter *limiter = mem_zalloc(1, sizeof(*limiter));
	char *base;

	if (limiter) {
		base = mmap(NULL, bytes_of(set_count), PROT_READ | PROT_WRITE, flags, fd, 0);
		if (base != MAP_FAILED) {
			limiter->header = (struct header *)(void *)base;
			limiter->sets = (struct set *)(void *)(base + HEADER_BYTES);
			limiter->set_count = set_count;
			return limiter;
		}
		mem_free(limiter);
	}
	err_set(err, ERR_MEMORY, "no memory for rate limits");
	return NULL;
}

struct limiter *limiter_new(size_t keys, struct err *err)
{
	struct limiter *limiter = map_table(sets_for(keys), -1, err);

	if (limiter)
		describe_table(limiter->header, limiter->set_count);
	return limiter;
}

void limiter_free(struct limiter *limiter)
{
	if (!limiter)
		return;
	munmap(limiter->header, bytes_of(limiter->set_count));
	mem_free(limiter);
}

int limiter_file_new(size_t keys, struct err *err)
{
	struct header header = {.magic = 0};
	int fd = memfd_create("limits", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_set_errno(err, errno, "no memory for rate limits");
	describe_table(&header, sets_for(keys));
	if (ftruncate(fd, (off_t)bytes_of(header.set_count)) == 0 &&
	    pwrite(fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
	    fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
	err_set_errno(err, errno, "no memory for rate limits");
	close(fd);
	return -1;
}

static int read_header(int fd, struct header *header, struct err *err)
{
	struct stat stat;

	if (pread(fd, header, sizeof(*header), 0) != (ssize_t)sizeof(*header) ||
	    fstat(fd, &stat) < 0 || fcntl(fd, F_GET_SEALS) != SEALS || header->magic != MAGIC ||
	    header->set_count == 0 || header->set_count > SET_COUNT_MAX ||
	    (header->set_count & (header->set_count - 1)) != 0 ||
	    (size_t)stat.st_size != bytes_of(header->set_count))
		return err_set(err, ERR_INVALID, "this is no memory of rate limits");
	return 0;
}

int limiter_file_adopt(int fd, struct err *err)
{
	struct header header;

	if (read_header(fd, &header, err) < 0)
		return -1;
	hash_use_key(header.hash_key);
	return 0;
}

struct limiter *limiter_open(int fd, struct err *err)
{
	struct header header;

	return read_header(fd, &header, err) < 0 ? NULL : map_table(header.set_count, fd, err);
}

void limiter_read_stats(const struct limiter *limiter, struct limiter_stats *stats)
{
	const struct header *header = limiter->header;

	stats->keys = atomic_load_explicit(&header->keys, memory_order_relaxed);
	stats->evictions = atomic_load_explicit(&header->evictions, memory_order_relaxed);
	stats->capacity = (uint64_t)limiter->set_count * SLOTS;
}

static struct set *set_of(struct limiter *limiter, uint64_t key)
{
	return &limiter->sets[key & (limiter->set_count - 1)];
}

HOT static struct slot *find(struct set *set, uint64_t key)
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

static void count_claim(struct limiter *limiter, uint64_t old_key, int64_t old_tat_ns,
			int64_t now_ns)
{
	struct header *header = limiter->header;

	if (!old_key)
		atomic_fetch_add_explicit(&header->keys, 1, memory_order_relaxed);
	else if (old_tat_ns > now_ns)
		atomic_fetch_add_explicit(&header->evictions, 1, memory_order_relaxed);
}

/* A slot for a new key, taken over from another one if need be. NULL: look again. */
static NOINLINE struct slot *take_over(struct limiter *limiter, struct set *set, uint64_t key,
				       int64_t now_ns)
{
	struct slot *slot = least_debt(set);
	uint64_t old_key = atomic_load_explicit(&slot->key, memory_order_relaxed);
	int64_t tat_ns = atomic_load_explicit(&slot->tat_ns, memory_order_relaxed);

	if (!atomic_compare_exchange_strong_explicit(
		    &slot->key, &old_key, key, memory_order_acq_rel, memory_order_relaxed))
		return NULL;
	atomic_store_explicit(&slot->tat_ns, 0, memory_order_relaxed);
	count_claim(limiter, old_key, tat_ns, now_ns);
	return slot;
}

HOT static struct slot *claim(struct limiter *limiter, uint64_t key, int64_t now_ns)
{
	struct set *set = set_of(limiter, key);
	struct slot *slot;

	do {
		slot = find(set, key);
		if (UNLIKELY(!slot))
			slot = take_over(limiter, set, key, now_ns);
	} while (UNLIKELY(!slot));
	return slot;
}

HOT struct limiter_result limiter_take(struct limiter *limiter, uint64_t key,
				       const struct limiter_rate *rate, int64_t now_ns)
{
	struct slot *slot;
	int64_t tat_ns, base_ns;

	key |= key == 0;
	slot = claim(limiter, key, now_ns);
	tat_ns = atomic_load_explicit(&slot->tat_ns, memory_order_relaxed);
	do {
		base_ns = tat_ns > now_ns ? tat_ns : now_ns;
		if (base_ns - now_ns > rate->tolerance_ns)
			return (struct limiter_result){.retry_after_ns = base_ns - now_ns -
									 rate->tolerance_ns};
	} while (!atomic_compare_exchange_weak_explicit(
		&slot->tat_ns, &tat_ns, base_ns + rate->interval_ns, memory_order_relaxed,
		memory_order_relaxed));
	return (struct limiter_result){.allowed = true};
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
