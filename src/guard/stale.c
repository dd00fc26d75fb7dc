#include "guard/stale.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/list.h"
#include "base/mem.h"

#define BUCKETS 1024

/* One allocation with all that it points to. */
struct entry {
	struct stale_answer answer; /* first */
	struct list in_bucket;
	struct list by_use; /* least recently used first */
	_Atomic uint32_t refs; /* the cache's, and those of who has found it */
	uint64_t bytes;
};

struct stale_cache {
	struct stale_options options;
	_Atomic uint32_t refs;
	pthread_mutex_t lock;
	struct list buckets[BUCKETS];
	struct list by_use;
	struct stale_figures figures;
};

struct stale_cache *stale_new(const struct stale_options *options, struct err *err)
{
	struct stale_cache *cache = mem_zalloc(1, sizeof(*cache));

	if (!cache) {
		err_set(err, ERR_MEMORY, "no memory for last good answers");
		return NULL;
	}
	cache->options = *options;
	cache->refs = 1;
	pthread_mutex_init(&cache->lock, NULL);
	list_init(&cache->by_use);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&cache->buckets[i]);
	return cache;
}

struct stale_cache *stale_ref(struct stale_cache *cache)
{
	atomic_fetch_add_explicit(&cache->refs, 1, memory_order_relaxed);
	return cache;
}

void stale_release(const struct stale_answer *answer)
{
	struct entry *entry = (struct entry *)(uintptr_t)answer;

	if (entry && atomic_fetch_sub_explicit(&entry->refs, 1, memory_order_acq_rel) == 1)
		mem_free(entry);
}

/* Under the lock, or by the last holder of the cache. */
static void drop(struct stale_cache *cache, struct entry *entry)
{
	list_remove(&entry->in_bucket);
	list_remove(&entry->by_use);
	cache->figures.bytes -= entry->bytes;
	cache->figures.answers--;
	stale_release(&entry->answer);
}

void stale_unref(struct stale_cache *cache)
{
	if (!cache || atomic_fetch_sub_explicit(&cache->refs, 1, memory_order_acq_rel) != 1)
		return;
	list_for_each (node, &cache->by_use)
		drop(cache, list_entry(node, struct entry, by_use));
	pthread_mutex_destroy(&cache->lock);
	mem_free(cache);
}

bool stale_has_options(const struct stale_cache *cache, const struct stale_options *options)
{
	return cache->options.bytes == options->bytes &&
	       cache->options.answer_bytes == options->answer_bytes;
}

/* --- copying --- */

static size_t pairs_bytes(const struct stale_pair *pairs, size_t count)
{
	size_t bytes = count * sizeof(*pairs);

	for (size_t i = 0; i < count; i++)
		bytes += pairs[i].name.len + pairs[i].value.len;
	return bytes;
}

static struct span put(char **to, struct span s)
{
	struct span to_span = span_of(*to, s.len);

	if (!s.ptr)
		return SPAN_NONE;
	if (s.len)
		memcpy(*to, s.ptr, s.len);
	*to += s.len;
	return to_span;
}

static void put_pairs(char **to, struct stale_pair *pairs, const struct stale_pair *from,
		      size_t count)
{
	for (size_t i = 0; i < count; i++)
		pairs[i] = (struct stale_pair){put(to, from[i].name), put(to, from[i].value)};
}

static struct entry *copy(const struct stale_answer *answer)
{
	size_t bytes = sizeof(struct entry) + pairs_bytes(answer->vary, answer->vary_count) +
		       pairs_bytes(answer->fields, answer->field_count) + answer->key.len +
		       answer->body.len;
	struct entry *entry = mem_alloc(bytes);
	struct stale_pair *pairs;
	char *at;

	if (!entry)
		return NULL;
	*entry = (struct entry){.answer = *answer, .refs = 1, .bytes = bytes};
	list_init(&entry->in_bucket);
	list_init(&entry->by_use);
	pairs = (struct stale_pair *)(void *)(entry + 1);
	at = (char *)(pairs + answer->vary_count + answer->field_count);
	put_pairs(&at, pairs, answer->vary, answer->vary_count);
	entry->answer.vary = pairs;
	put_pairs(&at, pairs + answer->vary_count, answer->fields, answer->field_count);
	entry->answer.fields = pairs + answer->vary_count;
	entry->answer.key = put(&at, answer->key);
	entry->answer.body = put(&at, answer->body);
	return entry;
}

/* --- keeping and finding --- */

static struct list *bucket_of(struct stale_cache *cache, struct span key)
{
	return &cache->buckets[hash_span(key) % BUCKETS];
}

static bool same_value(struct span a, struct span b)
{
	return (a.ptr != NULL) == (b.ptr != NULL) && span_eq(a, b);
}

static bool same_vary(const struct stale_answer *a, const struct stale_answer *b)
{
	if (a->vary_count != b->vary_count)
		return false;
	for (size_t i = 0; i < a->vary_count; i++)
		if (!span_eq_nocase(a->vary[i].name, b->vary[i].name) ||
		    !same_value(a->vary[i].value, b->vary[i].value))
			return false;
	return true;
}

static void drop_same(struct stale_cache *cache, const struct stale_answer *answer)
{
	list_for_each (node, bucket_of(cache, answer->key)) {
		struct entry *old = list_entry(node, struct entry, in_bucket);

		if (span_eq(old->answer.key, answer->key) && same_vary(&old->answer, answer))
			drop(cache, old);
	}
}

static void make_room(struct stale_cache *cache, uint64_t bytes)
{
	while (!list_empty(&cache->by_use) &&
	       cache->figures.bytes + bytes > cache->options.bytes) {
		drop(cache, list_entry(cache->by_use.next, struct entry, by_use));
		cache->figures.evicted++;
	}
}

bool stale_put(struct stale_cache *cache, const struct stale_answer *answer)
{
	struct entry *entry =
		answer->body.len <= cache->options.answer_bytes ? copy(answer) : NULL;

	if (entry && entry->bytes > cache->options.bytes) {
		mem_free(entry);
		entry = NULL;
	}
	pthread_mutex_lock(&cache->lock);
	drop_same(cache, answer);
	if (entry) {
		make_room(cache, entry->bytes);
		list_push_front(bucket_of(cache, answer->key), &entry->in_bucket);
		list_push_back(&cache->by_use, &entry->by_use);
		cache->figures.bytes += entry->bytes;
		cache->figures.answers++;
		cache->figures.stored++;
	}
	pthread_mutex_unlock(&cache->lock);
	return entry != NULL;
}

static bool matches(const struct stale_answer *answer,
		    struct span (*value_of)(const void *request, struct span name),
		    const void *request)
{
	for (size_t i = 0; i < answer->vary_count; i++)
		if (!same_value(value_of(request, answer->vary[i].name), answer->vary[i].value))
			return false;
	return true;
}

const struct stale_answer *stale_get(struct stale_cache *cache, struct span key,
				     struct span (*value_of)(const void *request,
							     struct span name),
				     const void *request, int64_t now_ms)
{
	struct entry *found = NULL;

	pthread_mutex_lock(&cache->lock);
	list_for_each (node, bucket_of(cache, key)) {
		struct entry *entry = list_entry(node, struct entry, in_bucket);

		if (!span_eq(entry->answer.key, key))
			continue;
		if (now_ms >= entry->answer.until_ms)
			drop(cache, entry);
		else if (!found && matches(&entry->answer, value_of, request))
			found = entry;
	}
	if (found) {
		atomic_fetch_add_explicit(&found->refs, 1, memory_order_relaxed);
		list_remove(&found->by_use);
		list_push_back(&cache->by_use, &found->by_use);
		cache->figures.served++;
	}
	pthread_mutex_unlock(&cache->lock);
	return found ? &found->answer : NULL;
}

void stale_read(struct stale_cache *cache, struct stale_figures *figures)
{
	pthread_mutex_lock(&cache->lock);
	*figures = cache->figures;
	pthread_mutex_unlock(&cache->lock);
}
