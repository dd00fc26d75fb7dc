#include "identity/names.h"

int names_make(struct names *names, const struct span *at, size_t count, struct arena *arena)
{
	struct span *texts;
	uint64_t *hashes;

	*names = (struct names){.count = 0};
	if (!count)
		return 0;
	texts = arena_array(arena, struct span, count);
	hashes = arena_array(arena, uint64_t, count);
	if (!texts || !hashes)
		return -1;
	names->at = texts;
	names->hashes = hashes;
	for (size_t i = 0; i < count; i++) {
		struct name name = name_of(at[i]);

		if (names_have(names, &name))
			continue;
		texts[names->count] = name.text;
		hashes[names->count++] = name.hash;
		names->mask |= 1ULL << (name.hash & 63);
	}
	return 0;
}
