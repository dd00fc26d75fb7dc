#include "waf/transaction.h"

struct span value_copy(struct waf_transaction *t, struct span text)
{
	struct span copy = arena_dup(&t->arena, text);

	if (!copy.ptr) {
		t->failed = true;
		return SPAN("");
	}
	return copy;
}

struct span value_number(struct waf_transaction *t, int64_t number)
{
	char digits[BUF_U64_DIGITS];
	uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
	struct span text = buf_u64_digits(digits, magnitude);
	char *bytes = arena_alloc(&t->arena, text.len + 1);
	size_t sign = number < 0;

	if (!bytes) {
		t->failed = true;
		return SPAN("0");
	}
	bytes[0] = '-';
	memcpy(bytes + sign, text.ptr, text.len);
	return span_of(bytes, text.len + sign);
}

/* ---- lists ----------------------------------------------------------------------------------- */

void list_add(struct waf_transaction *t, struct value_list *list, struct span key,
	      struct span text)
{
	if (list->count == list->cap) {
		uint32_t cap = list->cap ? 2 * list->cap : 4;
		struct value *grown = arena_alloc(&t->arena, cap * sizeof(*grown));

		if (!grown) {
			t->failed = true;
			return;
		}
		if (list->count)
			memcpy(grown, list->at, list->count * sizeof(*grown));
		list->at = grown;
		list->cap = cap;
	}
	list->at[list->count++] = (struct value){key, text, NULL};
}

void value_add(struct waf_transaction *t, uint32_t list, struct span key, struct span text)
{
	list_add(t, &t->lists[list], key, text);
}

void value_set(struct waf_transaction *t, enum variable variable, struct span text)
{
	struct value_list *list = &t->lists[variable];

	list->scanned = 0;
	if (list->count == 1) {
		list->at[0] = (struct value){SPAN_NONE, text, NULL};
		return;
	}
	if (list->cap == 0) {
		list->at = arena_alloc(&t->arena, sizeof(*list->at));
		if (!list->at) {
			t->failed = true;
			return;
		}
		list->cap = 1;
	}
	list->count = 0;
	list_add(t, list, SPAN_NONE, text);
}

void value_set_number(struct waf_transaction *t, enum variable variable, uint64_t number)
{
	static const char small[] = "01";

	if (number < 2)
		value_set(t, variable, span_of(small + number, 1));
	else
		value_set(t, variable, value_number(t, (int64_t)number));
}

/* ---- texts ----------------------------------------------------------------------------------- */

static struct value_cache *new_cache(struct waf_transaction *t, struct span text)
{
	size_t chains = t->rules->chain_count;
	struct value_cache *cache = arena_new(&t->arena, struct value_cache);

	if (!cache)
		return NULL;
	cache->cap = 4;
	cache->ids = arena_alloc(&t->arena, chains);
	cache->texts = arena_alloc(&t->arena, cache->cap * sizeof(*cache->texts));
	cache->classes = arena_alloc(&t->arena, cache->cap * sizeof(*cache->classes));
	if (!cache->ids || !cache->texts || !cache->classes)
		return NULL;
	memset(cache->ids, TEXT_UNKNOWN, chains);
	cache->ids[0] = 0;
	cache->texts[0] = text;
	cache->classes[0] = transform_classes(text);
	cache->count = 1;
	return cache;
}

static int grow_cache(struct waf_transaction *t, struct value_cache *cache)
{
	uint8_t cap = cache->cap < TEXTS_MAX / 2 ? (uint8_t)(2 * cache->cap) : TEXTS_MAX;
	struct span *texts = arena_alloc(&t->arena, cap * sizeof(*texts));
	uint32_t *classes = arena_alloc(&t->arena, cap * sizeof(*classes));

	if (!texts || !classes || cap == cache->cap)
		return -1;
	memcpy(texts, cache->texts, cache->count * sizeof(*texts));
	memcpy(classes, cache->classes, cache->count * sizeof(*classes));
	cache->texts = texts;
	cache->classes = classes;
	cache->cap = cap;
	return 0;
}

/* The number of a text, which is kept when it is not there yet. */
static uint8_t intern_text(struct waf_transaction *t, struct value_cache *cache,
			   struct span text)
{
	for (uint8_t i = 0; i < cache->count; i++)
		if (span_eq(cache->texts[i], text))
			return i;
	if (cache->count == cache->cap && grow_cache(t, cache) != 0) {
		/* Never seen in real rules: some hundred different texts of one value. */
		t->failed = true;
		return 0;
	}
	cache->texts[cache->count] = text;
	cache->classes[cache->count] = transform_classes(text);
	return cache->count++;
}

static uint8_t apply(struct waf_transaction *t, struct value_cache *cache, uint8_t from,
		     enum transform transform)
{
	struct span text = cache->texts[from];
	struct span result;
	char *room;

	if (!transform_may_change(transform, cache->classes[from]))
		return from;
	room = arena_alloc(&t->arena, transform_bound(transform, text.len) + 1);
	if (!room) {
		t->failed = true;
		return from;
	}
	if (!transform_apply(transform, t->rules->unicode_map, text, room, &result))
		return from;
	return intern_text(t, cache, result);
}

static uint8_t text_number(struct waf_transaction *t, struct value_cache *cache, uint16_t chain)
{
	const struct chain *chains = t->rules->chains;
	uint16_t path[UINT8_MAX];
	unsigned depth = 0;
	uint8_t number;

	/* Up to the nearest ancestor that is known, then down again. */
	while (cache->ids[chain] == TEXT_UNKNOWN) {
		path[depth++] = chain;
		chain = chains[chain].parent;
	}
	number = cache->ids[chain];
	while (depth > 0) {
		chain = path[--depth];
		number = apply(t, cache, number, (enum transform)chains[chain].transform);
		cache->ids[chain] = number;
	}
	return number;
}

struct span value_text(struct waf_transaction *t, struct value *value, uint16_t chain,
		       uint8_t *number)
{
	uint8_t at;

	if (chain == 0 && !number)
		return value->text;
	if (!value->cache) {
		value->cache = new_cache(t, value->text);
		if (!value->cache) {
			t->failed = true;
			return value->text;
		}
	}
	at = text_number(t, value->cache, chain);
	if (number)
		*number = at;
	return value->cache->texts[at];
}
