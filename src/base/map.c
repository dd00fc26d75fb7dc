#include "base/map.h"

#include "base/hash.h"
#include "base/mem.h"

void map_release(struct map *m)
{
	mem_free(m->slots);
	*m = MAP_INIT;
}

/* The slot of the key, or the first slot where it could be added; NULL when there are no slots. */
static struct map_slot *find_slot(const struct map *m, struct span key, uint64_t hash)
{
	struct map_slot *removed = NULL;

	if (m->cap == 0)
		return NULL;
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct map_slot *slot = &m->slots[i];

		if (!slot->key.ptr)
			return removed ? removed : slot;
		if (!slot->value && !removed)
			removed = slot;
		if (slot->value && slot->hash == hash && span_eq(slot->key, key))
			return slot;
	}
}

static int grow(struct map *m)
{
	size_t cap = m->live * 2 < m->cap / 2 ? m->cap : (m->cap ? m->cap * 2 : 8);
	struct map grown = {.slots = mem_zalloc(cap, sizeof(*m->slots)), .cap = cap};

	if (!grown.slots)
		return -1;
	for (size_t i = 0; i < m->cap; i++) {
		if (!m->slots[i].value)
			continue;
		*find_slot(&grown, m->slots[i].key, m->slots[i].hash) = m->slots[i];
		grown.live++;
		grown.used++;
	}
	mem_free(m->slots);
	*m = grown;
	return 0;
}

static struct span keyed(struct span key)
{
	return key.ptr ? key : span_of("", 0);
}

void *map_get(const struct map *m, struct span key)
{
	const struct map_slot *slot;

	key = keyed(key);
	slot = find_slot(m, key, hash_span(key));
	return slot ? slot->value : NULL;
}

int map_put(struct map *m, struct span key, void *value)
{
	uint64_t hash;
	struct map_slot *slot;

	key = keyed(key);
	hash = hash_span(key);
	slot = find_slot(m, key, hash);
	if (slot && slot->value) {
		slot->key = key;
		slot->value = value;
		return 0;
	}
	if (!slot || m->used + 1 > m->cap - m->cap / 4) {
		if (grow(m) < 0)
			return -1;
		slot = find_slot(m, key, hash);
	}
	if (!slot->key.ptr)
		m->used++;
	m->live++;
	*slot = (struct map_slot){key, value, hash};
	return 0;
}

void *map_remove(struct map *m, struct span key)
{
	struct map_slot *slot;
	void *value;

	key = keyed(key);
	slot = find_slot(m, key, hash_span(key));
	if (!slot || !slot->value)
		return NULL;
	value = slot->value;
	slot->value = NULL;
	slot->key = span_of("", 0);
	m->live--;
	return value;
}

void *map_next(const struct map *m, size_t *cursor, struct span *key)
{
	while (*cursor < m->cap) {
		const struct map_slot *slot = &m->slots[(*cursor)++];

		if (!slot->value)
			continue;
		if (key)
			*key = slot->key;
		return slot->value;
	}
	return NULL;
}
