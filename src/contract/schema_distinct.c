/* Hashes of keys and items: a table with linear probing, emptied in the reverse order of filling. */
#include "base/mem.h"
#include "contract/schema_run.h"

#define FIRST_SIZE 64

static uint32_t find(const struct distinct *d, uint64_t hash)
{
	uint32_t at = (uint32_t)hash & (d->size - 1);

	while (d->slots[at] && d->slots[at] != hash)
		at = (at + 1) & (d->size - 1);
	return at;
}

static bool grow(struct schema_run *run)
{
	struct distinct *d = &run->distinct;
	uint32_t size = d->size ? d->size * 2 : FIRST_SIZE;
	uint64_t *slots = mem_zalloc(size, sizeof(*slots));

	if (!slots)
		return run_no_memory(run);
	mem_free(d->slots);
	d->slots = slots;
	d->size = size;
	/* In the same order as before, or the latest could not be removed first. */
	for (uint32_t i = 0; i < d->count; i++)
		slots[find(d, d->entries[i])] = d->entries[i];
	return true;
}

bool run_distinct_add(struct schema_run *run, uint64_t hash, uint64_t max, const char *limit)
{
	struct distinct *d = &run->distinct;
	uint32_t at;

	hash += hash == 0;
	if ((d->count + 1) * 2 > d->size && !grow(run))
		return false;
	if (!run_reserve(run, (void *)&d->entries, &d->cap, d->count, 1, sizeof(*d->entries),
			 max, limit))
		return false;
	at = find(d, hash);
	if (d->slots[at])
		return false;
	d->slots[at] = hash;
	d->entries[d->count++] = hash;
	return true;
}

void run_distinct_drop(struct schema_run *run, uint32_t count)
{
	struct distinct *d = &run->distinct;

	/* Nothing that is left was put behind the latest one: its slot may just be freed. */
	while (d->count > count)
		d->slots[find(d, d->entries[--d->count])] = 0;
}
