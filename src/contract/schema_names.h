/* schema_names.h - a fixed set of names that is asked for the index of one, fast. */
#ifndef CONTRACT_SCHEMA_NAMES_H
#define CONTRACT_SCHEMA_NAMES_H

#include "base/arena.h"

#define SCHEMA_NAME_NONE UINT32_MAX

struct schema_names {
	const struct span *entries;
	uint32_t count;
	uint32_t mask; /* of slots; 0 when there are few names and no slots */
	const uint32_t *slots; /* index + 1 */
};

/* Makes the slots; `entries` are distinct and stay the caller's. 0, or -1 when out of memory. */
int schema_names_build(struct schema_names *names, struct arena *arena,
		       const struct span *entries, uint32_t count) MUST_CHECK;

static inline uint64_t schema_load64(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static inline uint32_t schema_load32(const char *p)
{
	uint32_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* As memcmp() == 0, in a few instructions for the length of names. */
static inline bool schema_bytes_equal(const char *a, const char *b, size_t len)
{
	if (len >= 8) {
		if (len > 16)
			return memcmp(a, b, len) == 0;
		return ((schema_load64(a) ^ schema_load64(b)) |
			(schema_load64(a + (len - 8)) ^ schema_load64(b + (len - 8)))) == 0;
	}
	if (len >= 4)
		return ((schema_load32(a) ^ schema_load32(b)) |
			(schema_load32(a + (len - 4)) ^ schema_load32(b + (len - 4)))) == 0;
	for (size_t i = 0; i < len; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

/* Length, first and last bytes; the whole name is compared afterwards. */
static inline uint32_t schema_name_hash(struct span name)
{
	const char *p = name.ptr;
	size_t len = name.len;
	uint64_t a = 0;
	uint64_t b = 0;

	if (len >= 8) {
		a = schema_load64(p);
		b = schema_load64(p + len - 8);
	} else if (len >= 4) {
		a = schema_load32(p);
		b = schema_load32(p + len - 4);
	} else if (len) {
		a = (unsigned char)p[0];
		b = (uint64_t)(unsigned char)p[len / 2] << 8 | (unsigned char)p[len - 1];
	}
	a = (a + len * 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
	b = (b ^ (a >> 29)) * 0x94d049bb133111ebu;
	return (uint32_t)((a ^ b) >> 32);
}

/* The index of the name; `likely` is tried first. */
static inline uint32_t schema_names_find(const struct schema_names *names, struct span name,
					 uint32_t likely)
{
	const struct span *entries = names->entries;

	if (likely < names->count && entries[likely].len == name.len &&
	    schema_bytes_equal(entries[likely].ptr, name.ptr, name.len))
		return likely;
	if (!names->mask) {
		for (uint32_t i = 0; i < names->count; i++)
			if (entries[i].len == name.len &&
			    schema_bytes_equal(entries[i].ptr, name.ptr, name.len))
				return i;
		return SCHEMA_NAME_NONE;
	}
	for (uint32_t at = schema_name_hash(name);; at++) {
		uint32_t slot = names->slots[at & names->mask];

		if (!slot)
			return SCHEMA_NAME_NONE;
		if (entries[slot - 1].len == name.len &&
		    schema_bytes_equal(entries[slot - 1].ptr, name.ptr, name.len))
			return slot - 1;
	}
}

#endif
