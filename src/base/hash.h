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
/* With a key given, for values that must agree between processes. */
uint64_t hash_siphash13(struct span s, uint64_t k0, uint64_t k1);

#endif
