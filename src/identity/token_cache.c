#include "identity/token_cache.h"

#include "base/mem.h"

#define WAYS ((size_t)8)

int token_cache_init(struct token_cache *cache, size_t entries)
{
	*cache = (struct token_cache){.ways = entries < WAYS ? entries : WAYS};
	if (!entries)
		return 0;
	cache->sets = entries / cache->ways;
	/* The index is a product of 32-bit numbers. */
	if (cache->sets > UINT32_MAX)
		cache->sets = UINT32_MAX;
	cache->entries = mem_zalloc(cache->sets * cache->ways, sizeof(*cache->entries));
	if (cache->entries)
		return 0;
	cache->sets = 0; /* it can still be flushed and released */
	return -1;
}

static void clear(struct token_cache *cache, struct token_entry *entry)
{
	if (!entry->generation)
		return;
	identity_unref(entry->identity);
	*entry = (struct token_entry){.generation = 0};
	cache->live--;
}

void token_cache_flush(struct token_cache *cache)
{
	for (size_t i = 0; i < cache->sets * cache->ways; i++)
		clear(cache, &cache->entries[i]);
}

void token_cache_release(struct token_cache *cache)
{
	token_cache_flush(cache);
	mem_free(cache->entries);
	*cache = (struct token_cache){.sets = 0};
}

/* Tags are made with a key: nobody can look for tokens that share a set. */
HOT static struct token_entry *set_of(const struct token_cache *cache, struct hash_tag tag)
{
	return &cache->entries[(tag.half[0] >> 32) * cache->sets / ((uint64_t)1 << 32) *
			       cache->ways];
}

HOT static bool is_fresh(const struct token_entry *entry, uint64_t generation,
			 struct token_now now)
{
	return entry->generation == generation && now.ms < entry->until_ms &&
	       now.unix_s < entry->until_unix_s;
}

HOT struct token_entry *token_cache_find(struct token_cache *cache, struct hash_tag tag,
					 uint64_t generation, struct token_now now)
{
	struct token_entry *set;

	if (!cache->sets)
		return NULL;
	set = set_of(cache, tag);
	for (size_t i = 0; i < cache->ways; i++) {
		struct token_entry *entry = &set[i];

		if (!entry->generation || !hash_tag_eq(entry->tag, tag))
			continue;
		if (!is_fresh(entry, generation, now)) {
			/* Another generation may still be in use by exchanges under way. */
			if (entry->generation == generation)
				clear(cache, entry);
			return NULL;
		}
		entry->used = ++cache->clock;
		return entry;
	}
	return NULL;
}

static struct token_entry *choose(struct token_cache *cache, struct token_entry *set,
				  const struct token_entry *entry, struct token_now now)
{
	struct token_entry *victim = NULL;
	struct token_entry *last = &set[cache->ways - 1];

	for (size_t i = 0; i < cache->ways; i++) {
		if (set[i].generation && hash_tag_eq(set[i].tag, entry->tag))
			return &set[i];
	}
	if (!entry->identity)
		return cache->ways > 1 ? last : NULL;
	for (size_t i = 0; i < cache->ways; i++) {
		if (!is_fresh(&set[i], entry->generation, now))
			return &set[i];
		if (!victim || set[i].used < victim->used)
			victim = &set[i];
	}
	return victim;
}

void token_cache_put(struct token_cache *cache, const struct token_entry *entry,
		     struct token_now now)
{
	struct token_entry *to;

	if (!cache->sets || !is_fresh(entry, entry->generation, now))
		return;
	to = choose(cache, set_of(cache, entry->tag), entry, now);
	if (!to)
		return;
	if (is_fresh(to, entry->generation, now) && !hash_tag_eq(to->tag, entry->tag))
		cache->evictions++;
	clear(cache, to);
	*to = *entry;
	to->used = ++cache->clock;
	identity_ref(to->identity);
	cache->live++;
}
