/*
 * map.h - a hash map from byte strings to pointers: open addressing, keyed hash. Keys are
 * borrowed: their bytes must outlive the entry. Iteration order is not specified.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

struct map_slot {
	struct span key; /* ptr NULL: never used */
	void *value; /* NULL with a key: removed */
	uint64_t hash;
};

struct map {
	struct map_slot *slots;
	size_t cap; /* 0 or a power of two */
	size_t live;
	size_t used; /* live and removed */
};

#define MAP_INIT ((struct map){NULL, 0, 0, 0})

void map_release(struct map *m);
/* The value, or NULL. */
void *map_get(const struct map *m, struct span key);
/* Adds or replaces; value must not be NULL. 0, or -1 when out of memory (nothing changed). */
int map_put(struct map *m, struct span key, void *value) MUST_CHECK;
/* Removes and returns the value, or NULL. */
void *map_remove(struct map *m, struct span key);
/* *cursor starts at 0; returns the next value or NULL at the end; key may be NULL. */
void *map_next(const struct map *m, size_t *cursor, struct span *key);

#endif
