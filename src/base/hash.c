#include "base/hash.h"

#include <pthread.h>

#include "base/rand.h"

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t key[2];
static uint64_t tag_key[2];
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
	rand_bytes(key, sizeof(key));
	rand_bytes(tag_key, sizeof(tag_key));
}

__attribute__((constructor)) static void make_key_at_start(void)
{
	pthread_once(&key_once, make_key);
}

void hash_get_key(uint64_t to[2])
{
	memcpy(to, key, sizeof(key));
}

void hash_use_key(const uint64_t from[2])
{
	memcpy(key, from, sizeof(key));
}

static inline uint64_t rotate(uint64_t x, unsigned n)
{
	return (x << n) | (x >> (64 - n));
}

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word, bool twice)
{
	s->v3 ^= word;
	sip_round(s);
	if (twice)
		sip_round(s);
	s->v0 ^= word;
}

static inline struct sip sip_begin(uint64_t k0, uint64_t k1)
{
	return (struct sip){k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
			    k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
}

/* All of the text and its length, with one round or two for each eight bytes. */
static inline void sip_text(struct sip *state, struct span s, bool twice)
{
	size_t whole = s.len & ~(size_t)7;
	uint64_t word;

	for (size_t i = 0; i < whole; i += 8) {
		memcpy(&word, s.ptr + i, 8);
		sip_word(state, word, twice);
	}
	word = 0;
	if (s.len > whole)
		memcpy(&word, s.ptr + whole, s.len - whole);
	sip_word(state, word | (uint64_t)s.len << 56, twice);
}

static inline uint64_t sip_finish(struct sip *s, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++)
		sip_round(s);
	return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

HOT uint64_t hash_siphash13(struct span s, uint64_t k0, uint64_t k1)
{
	struct sip state = sip_begin(k0, k1);

	sip_text(&state, s, false);
	state.v2 ^= 0xff;
	return sip_finish(&state, 3);
}

HOT struct hash_tag hash_siphash24_tag(struct span s, uint64_t k0, uint64_t k1)
{
	struct sip state = sip_begin(k0, k1);
	struct hash_tag tag;

	state.v1 ^= 0xee;
	sip_text(&state, s, true);
	state.v2 ^= 0xee;
	tag.half[0] = sip_finish(&state, 4);
	state.v1 ^= 0xdd;
	tag.half[1] = sip_finish(&state, 4);
	return tag;
}

HOT struct hash_tag hash_tag_of(struct span s)
{
	return hash_siphash24_tag(s, tag_key[0], tag_key[1]);
}

HOT uint64_t hash_span(struct span s)
{
	return hash_siphash13(s, key[0], key[1]);
}

HOT uint64_t hash_mix(uint64_t a, uint64_t b)
{
	__uint128_t product =
		(__uint128_t)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xbf58476d1ce4e5b9u);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}
