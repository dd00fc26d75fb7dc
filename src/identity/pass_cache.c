#include "identity/pass_cache.h"

#include "base/hash.h"
#include "base/mem.h"

#define WAYS ((size_t)4)
#define SETS_MIN ((size_t)16)

void pass_cache_init(struct pass_cache *cache, size_t entries)
{
	size_t sets = entries / WAYS;

	if (sets < SETS_MIN)
		sets = SETS_MIN;
	*cache = (struct pass_cache){.sets = sets};
}

static void clear(struct pass_entry *entry)
{
	mem_free(entry->token);
	*entry = (struct pass_entry){.identity_serial = 0};
}

void pass_cache_flush(struct pass_cache *cache)
{
	for (size_t i = 0; cache->entries && i < cache->sets * WAYS; i++)
		clear(&cache->entries[i]);
}

void pass_cache_release(struct pass_cache *cache)
{
	pass_cache_flush(cache);
	mem_free(cache->entries);
	cache->entries = NULL;
}

static struct pass_entry *set_of(const struct pass_cache *cache, uint64_t identity_serial,
				 uint64_t signer_serial)
{
	return &cache->entries[hash_mix(identity_serial, signer_serial) % cache->sets * WAYS];
}

struct span pass_cache_get(const struct pass_cache *cache, uint64_t identity_serial,
			   uint64_t signer_serial, int64_t now_unix_s)
{
	const struct pass_entry *set;

	if (!cache->entries)
		return SPAN_NONE;
	set = set_of(cache, identity_serial, signer_serial);
	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].identity_serial == identity_serial &&
		    set[i].signer_serial == signer_serial &&
		    now_unix_s < set[i].fresh_until_unix_s)
			return span_of(set[i].token, set[i].token_len);
	}
	return SPAN_NONE;
}

/* The same pair, or an empty entry, or the one that ends first. */
static struct pass_entry *choose(struct pass_entry *set, uint64_t identity_serial,
				 uint64_t signer_serial)
{
	struct pass_entry *victim = &set[0];

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].identity_serial == identity_serial &&
		    set[i].signer_serial == signer_serial)
			return &set[i];
		if (set[i].fresh_until_unix_s < victim->fresh_until_unix_s)
			victim = &set[i];
	}
	return victim;
}

void pass_cache_put(struct pass_cache *cache, uint64_t identity_serial, uint64_t signer_serial,
		    struct span token, int64_t fresh_until_unix_s)
{
	struct pass_entry *entry;
	char *copy = mem_strdup(token);

	if (!cache->entries)
		cache->entries = mem_zalloc(cache->sets * WAYS, sizeof(*cache->entries));
	if (!copy || !cache->entries) {
		mem_free(copy);
		return;
	}
	entry = choose(set_of(cache, identity_serial, signer_serial), identity_serial,
		       signer_serial);
	clear(entry);
	*entry = (struct pass_entry){
		.identity_serial = identity_serial,
		.signer_serial = signer_serial,
		.fresh_until_unix_s = fresh_until_unix_s,
		.token = copy,
		.token_len = token.len,
	};
}
