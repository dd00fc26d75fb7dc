#include "contract/schema_names.h"

/* Up to here, looking at each is as fast. */
#define FEW 4

int schema_names_build(struct schema_names *names, struct arena *arena,
		       const struct span *entries, uint32_t count)
{
	uint32_t size = 8;
	uint32_t *slots;

	*names = (struct schema_names){.entries = entries, .count = count};
	if (count <= FEW)
		return 0;
	while (size < count * 2)
		size *= 2;
	slots = arena_array(arena, uint32_t, size);
	if (!slots)
		return -1;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = schema_name_hash(entries[i]);

		while (slots[at & (size - 1)])
			at++;
		slots[at & (size - 1)] = i + 1;
	}
	names->slots = slots;
	names->mask = size - 1;
	return 0;
}
