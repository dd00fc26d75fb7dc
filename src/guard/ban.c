#include "guard/ban.h"

#include <pthread.h>
#include <sys/mman.h>

#include "base/hash.h"
#include "base/mem.h"
#include "guard/limiter.h"

#define SLOTS 4
/* Clients that have strikes are more than those that are banned. */
#define STRIKE_KEYS_PER_BAN 4

struct slot {
	_Atomic uint64_t hash; /* 0: free */
	_Atomic int64_t until_unix_ms;
};

/* One line of cache: all that asking looks at. */
struct set {
	_Alignas(64) struct slot slots[SLOTS];
};

struct ban_table {
	struct set *sets;
	struct ban *bans; /* of the slots, in their order; guarded by the lock */
	struct limiter *strikes;
	size_t set_count; /* a power of two */
	_Atomic size_t used; /* slots; written under the lock */
	_Atomic uint64_t prefixes[3]; /* those of networks that may be in it; the same */
	pthread_mutex_t lock;
};

static void *map_pages(size_t bytes)
{
	/* Pages that no client has touched cost nothing. */
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

struct ban_table *ban_table_new(size_t bans, struct err *err)
{
	struct ban_table *table = mem_zalloc(1, sizeof(*table));

	if (!table) {
		err_set(err, ERR_MEMORY, "no memory for bans");
		return NULL;
	}
	table->set_count = 1;
	while (table->set_count * SLOTS < bans && table->set_count < (size_t)1 << 24)
		table->set_count *= 2;
	pthread_mutex_init(&table->lock, NULL);
	table->sets = map_pages(table->set_count * sizeof(struct set));
	table->bans = map_pages(table->set_count * SLOTS * sizeof(struct ban));
	table->strikes =
		limiter_new(table->set_count * (size_t)SLOTS * STRIKE_KEYS_PER_BAN, err);
	if (table->sets && table->bans && table->strikes)
		return table;
	err_set(err, ERR_MEMORY, "no memory for bans");
	ban_table_free(table);
	return NULL;
}

void ban_table_free(struct ban_table *table)
{
	if (!table)
		return;
	if (table->sets)
		munmap(table->sets, table->set_count * sizeof(struct set));
	if (table->bans)
		munmap(table->bans, table->set_count * SLOTS * sizeof(struct ban));
	limiter_free(table->strikes);
	pthread_mutex_destroy(&table->lock);
	mem_free(table);
}

bool ban_table_is_empty(const struct ban_table *table)
{
	return atomic_load_explicit(&table->used, memory_order_relaxed) == 0;
}

struct ban_prefixes ban_prefixes(const struct ban_table *table)
{
	struct ban_prefixes prefixes;

	for (size_t i = 0; i < COUNT_OF(prefixes.bits); i++)
		prefixes.bits[i] =
			atomic_load_explicit(&table->prefixes[i], memory_order_relaxed);
	return prefixes;
}

static size_t set_of(const struct ban_table *table, uint64_t hash)
{
	return (size_t)hash & (table->set_count - 1);
}

/*
 * A slot changes hands in three steps: until = 0, hash, until. Who has seen the last one also sees
 * the hash that belongs to it, so a second look tells whether they belong together.
 */
int64_t ban_until(const struct ban_table *table, uint64_t hash, int64_t now_unix_ms)
{
	const struct set *set = &table->sets[set_of(table, hash)];

	for (int i = 0; i < SLOTS; i++) {
		const struct slot *slot = &set->slots[i];
		int64_t until, again;

		if (atomic_load_explicit(&slot->hash, memory_order_acquire) != hash)
			continue;
		until = atomic_load_explicit(&slot->until_unix_ms, memory_order_acquire);
		if (until <= now_unix_ms)
			continue;
		if (atomic_load_explicit(&slot->hash, memory_order_acquire) != hash)
			continue;
		again = atomic_load_explicit(&slot->until_unix_ms, memory_order_relaxed);
		if (again == until)
			return until;
	}
	return 0;
}

/* ---- under the lock -------------------------------------------------------------------------- */

static struct slot *slot_at(const struct ban_table *table, size_t index)
{
	return &table->sets[index / SLOTS].slots[index % SLOTS];
}

static uint64_t hash_at(const struct ban_table *table, size_t index)
{
	return atomic_load_explicit(&slot_at(table, index)->hash, memory_order_relaxed);
}

static int64_t until_at(const struct ban_table *table, size_t index)
{
	return atomic_load_explicit(&slot_at(table, index)->until_unix_ms,
				    memory_order_relaxed);
}

#define NOWHERE SIZE_MAX

static size_t find(const struct ban_table *table, uint64_t hash)
{
	size_t first = set_of(table, hash) * SLOTS;

	for (size_t i = first; i < first + SLOTS; i++)
		if (hash_at(table, i) == hash)
			return i;
	return NOWHERE;
}

static void clear(struct ban_table *table, size_t index)
{
	struct slot *slot = slot_at(table, index);

	atomic_store_explicit(&slot->until_unix_ms, 0, memory_order_release);
	atomic_store_explicit(&slot->hash, 0, memory_order_release);
	atomic_fetch_sub_explicit(&table->used, 1, memory_order_relaxed);
}

/* The client's slot, a free one, or the one whose ban ends first. */
static size_t place_for(struct ban_table *table, uint64_t hash)
{
	size_t first = set_of(table, hash) * SLOTS;
	size_t place = find(table, hash);

	if (place != NOWHERE)
		return place;
	place = first;
	for (size_t i = first; i < first + SLOTS; i++) {
		if (hash_at(table, i) == 0)
			return i;
		if (until_at(table, i) < until_at(table, place))
			place = i;
	}
	clear(table, place);
	return place;
}

/* Networks of this length must be looked for from now on. */
static void note_prefix(struct ban_table *table, const struct ban *ban)
{
	if (ban->network_bits)
		atomic_fetch_or_explicit(&table->prefixes[ban->network_bits / 64],
					 (uint64_t)1 << ban->network_bits % 64,
					 memory_order_relaxed);
}

static void put(struct ban_table *table, const struct ban *ban)
{
	size_t place = place_for(table, ban->hash);
	struct slot *slot = slot_at(table, place);

	if (hash_at(table, place) == 0)
		atomic_fetch_add_explicit(&table->used, 1, memory_order_relaxed);
	table->bans[place] = *ban;
	note_prefix(table, ban);
	atomic_store_explicit(&slot->hash, ban->hash, memory_order_release);
	atomic_store_explicit(&slot->until_unix_ms, ban->until_unix_ms, memory_order_release);
}

/* ---- strikes --------------------------------------------------------------------------------- */

uint64_t ban_duration_ms(const struct config_ips_rule *rule, uint32_t offences)
{
	uint64_t ms = rule->ban_ms;

	for (uint32_t i = 1; i < offences && ms < rule->ban_max_ms; i++) {
		uint64_t next = ms * rule->growth_percent / 100;

		if (next <= ms)
			break;
		ms = next;
	}
	return ms < rule->ban_max_ms ? ms : rule->ban_max_ms;
}

static bool is_too_much(struct ban_table *table, const struct config_ips_rule *rule,
			unsigned kind, uint64_t hash, int64_t now_unix_ms)
{
	struct limiter_rate rate;

	if (rule->threshold <= 1)
		return rule->threshold == 1;
	rate = limiter_rate_of(rule->threshold, rule->window_ms, rule->threshold - 1);
	return !limiter_take(table->strikes, hash_mix(hash, kind), &rate, now_unix_ms * 1000000)
			.allowed;
}

static bool punish(struct ban_table *table, const struct config_ips *config, struct ban *ban,
		   int64_t now_unix_ms)
{
	size_t place = find(table, ban->hash);

	if (place != NOWHERE) {
		int64_t until = until_at(table, place);

		if (until > now_unix_ms)
			return false; /* somebody else was faster, or bans are only observed */
		if (now_unix_ms - until < (int64_t)config->memory_ms)
			ban->offences += table->bans[place].offences;
	}
	ban->until_unix_ms = now_unix_ms +
			     (int64_t)ban_duration_ms(&config->rules[ban->kind], ban->offences);
	put(table, ban);
	return true;
}

bool ban_strike(struct ban_table *table, const struct config_ips *config,
		enum config_ips_kind kind, int64_t now_unix_ms, struct ban *added)
{
	bool banned;

	if (!is_too_much(table, &config->rules[kind], kind, added->hash, now_unix_ms))
		return false;
	added->since_unix_ms = now_unix_ms;
	added->offences = 1;
	added->kind = kind;
	added->mark = 0;
	pthread_mutex_lock(&table->lock);
	banned = punish(table, config, added, now_unix_ms);
	pthread_mutex_unlock(&table->lock);
	return banned;
}

/* ---- bans ------------------------------------------------------------------------------------ */

void ban_put(struct ban_table *table, const struct ban *ban)
{
	size_t place;

	pthread_mutex_lock(&table->lock);
	place = find(table, ban->hash);
	if (place == NOWHERE || ban->mark == 0 || table->bans[place].mark != 0 ||
	    table->bans[place].until_unix_ms <= ban->until_unix_ms)
		put(table, ban);
	pthread_mutex_unlock(&table->lock);
}

void ban_mark(struct ban_table *table, const struct ban *ban, uint32_t mark)
{
	size_t place;

	pthread_mutex_lock(&table->lock);
	place = find(table, ban->hash);
	if (place != NOWHERE && table->bans[place].until_unix_ms == ban->until_unix_ms)
		table->bans[place].mark = mark;
	pthread_mutex_unlock(&table->lock);
}

bool ban_lift(struct ban_table *table, uint64_t hash, struct ban *was)
{
	size_t place;

	pthread_mutex_lock(&table->lock);
	place = find(table, hash);
	if (place != NOWHERE) {
		if (was)
			*was = table->bans[place];
		clear(table, place);
	}
	pthread_mutex_unlock(&table->lock);
	return place != NOWHERE;
}

size_t ban_lift_unmarked(struct ban_table *table, uint32_t mark, int64_t now_unix_ms)
{
	size_t lifted = 0;

	pthread_mutex_lock(&table->lock);
	for (size_t i = 0; i < table->set_count * SLOTS; i++) {
		if (hash_at(table, i) == 0 || table->bans[i].mark == 0 ||
		    table->bans[i].mark == mark)
			continue;
		lifted += until_at(table, i) > now_unix_ms;
		clear(table, i);
	}
	pthread_mutex_unlock(&table->lock);
	return lifted;
}

void ban_sweep(struct ban_table *table, int64_t before_unix_ms)
{
	if (ban_table_is_empty(table))
		return;
	pthread_mutex_lock(&table->lock);
	for (size_t i = 0; i < COUNT_OF(table->prefixes); i++)
		atomic_store_explicit(&table->prefixes[i], 0, memory_order_relaxed);
	for (size_t i = 0; i < table->set_count * SLOTS; i++) {
		if (hash_at(table, i) == 0)
			continue;
		if (until_at(table, i) < before_unix_ms)
			clear(table, i);
		else
			note_prefix(table, &table->bans[i]);
	}
	pthread_mutex_unlock(&table->lock);
}

size_t ban_count(const struct ban_table *table, int64_t now_unix_ms)
{
	size_t count = 0;

	if (ban_table_is_empty(table))
		return 0;
	for (size_t i = 0; i < table->set_count * SLOTS; i++)
		count += until_at(table, i) > now_unix_ms;
	return count;
}

size_t ban_list(struct ban_table *table, int64_t now_unix_ms, size_t *cursor, struct ban *bans,
		size_t max)
{
	size_t count = 0;

	if (ban_table_is_empty(table))
		return 0;
	pthread_mutex_lock(&table->lock);
	for (; *cursor < table->set_count * SLOTS && count < max; ++*cursor)
		if (until_at(table, *cursor) > now_unix_ms)
			bans[count++] = table->bans[*cursor];
	pthread_mutex_unlock(&table->lock);
	return count;
}
