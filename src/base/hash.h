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
/* With a key given, for values that must agree between processes. */
uint64_t hash_siphash13(struct span s, uint64_t k0, uint64_t k1);

#endif
