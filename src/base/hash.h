/*
 * hash.h - SipHash-1-3 (Aumasson and Bernstein, 2012) with a key drawn at process start, so that
 * a peer cannot choose colliding keys. Values differ between processes: never store them.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdint.h>

#include "base/span.h"

uint64_t hash_span(struct span s);
/* Mixes a second value into a hash. */
uint64_t hash_mix(uint64_t a, uint64_t b);
/*
 * The process's key, and taking over that of a program before this one, so that what it has hashed is
 * known here too. Before anything else is hashed that is kept: maps made earlier find nothing any more.
 */
void hash_get_key(uint64_t to[2]);
void hash_use_key(const uint64_t from[2]);
/*
 * A tag that stands for the text: 128 bits of SipHash-2-4, which is a pseudorandom function, under a
 * key that is drawn at start for this alone and never leaves the process. Who cannot see tags finds
 * no second text with the tag of another but by chance, one in 2^128 a try.
 */
struct hash_tag {
	uint64_t half[2];
};
struct hash_tag hash_tag_of(struct span s);
static inline bool hash_tag_eq(struct hash_tag a, struct hash_tag b)
{
	return ((a.half[0] ^ b.half[0]) | (a.half[1] ^ b.half[1])) == 0;
}
/* With a key given, for values that must agree between processes. */
struct hash_tag hash_siphash24_tag(struct span s, uint64_t k0, uint64_t k1);
uint64_t hash_siphash13(struct span s, uint64_t k0, uint64_t k1);

#endif
