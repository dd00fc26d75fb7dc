#include "contract/schema_fast_seen.h"

#include "base/mem.h"

#define FIRST_COUNT 32
/* Slots that are looked at for one text: more are a sign that somebody knows the seed. */
#define PROBES_MAX 64

static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Never 0. */
static uint32_t hash_of(const struct fast_seen *s, struct span text)
{
	uint64_t state = s->seed ^ text.len;
	uint64_t second = s->seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	const char *p = text.ptr;
	size_t left = text.len;

	for (; left > 16; left -= 16, p += 16)
		state = mix(state ^ schema_load64(p), second ^ schema_load64(p + 8));
	if (left >= 8)
		return 1 | (uint32_t)mix(state ^ schema_load64(p),
					 second ^ schema_load64(p + left - 8));
	if (left >= 4)
		return 1 | (uint32_t)mix(state ^ schema_load32(p),
					 second ^ schema_load32(p + left - 4));
	for (; left; left--)
		state = state << 8 ^ (state >> 56) ^ (unsigned char)*p++;
	return 1 | (uint32_t)mix(state, second);
}

/* False when there is no free slot near. */
static bool put(struct fast_seen *s, uint32_t index)
{
	uint32_t at = s->texts[index].hash >> 1;

	for (unsigned i = 0; i < PROBES_MAX; i++, at++) {
		uint32_t *slot = &s->slots[at & (s->size - 1)];

		if (*slot)
			continue;
		*slot = index + 1;
		return true;
	}
	s->texts[index].hash = 0;
	return false;
}

/* Room for more, and a table that is at most half full. */
static bool grow(struct fast_seen *s)
{
	uint32_t cap = s->cap ? s->cap * 2 : FIRST_COUNT;
	struct fast_text *texts;
	uint32_t *slots;
	bool good = true;

	if (cap > UINT32_MAX / 16)
		return false;
	texts = mem_realloc(s->texts, cap * sizeof(*texts));
	if (!texts)
		return false;
	s->texts = texts;
	slots = mem_zalloc((size_t)cap * 2, sizeof(*slots));
	if (!slots)
		return false;
	mem_free(s->slots);
	s->slots = slots;
	s->size = cap * 2;
	s->cap = cap;
	/* In the order in which they came, so that the latest can be removed first. */
	for (uint32_t i = 0; i < s->count; i++)
		if (s->texts[i].hash)
			good = put(s, i) && good;
	return good;
}

/* True when an equal text is in the scope, or too many are in the way. */
static bool find(const struct fast_seen *s, uint32_t since, struct span text, uint32_t hash)
{
	uint32_t at = hash >> 1;

	for (unsigned i = 0; i < PROBES_MAX; i++, at++) {
		uint32_t index = s->slots[at & (s->size - 1)];

		if (!index)
			return false;
		if (--index >= since && s->texts[index].hash == hash &&
		    span_eq(s->texts[index].text, text))
			return true;
	}
	return true;
}

bool fast_seen_add_slowly(struct fast_seen *s, uint32_t since, struct span text)
{
	uint32_t hash;

	if (s->count == s->cap && !grow(s))
		return false;
	if (s->count - since < FAST_SEEN_FEW)
		return fast_seen_add(s, since, text);
	if (s->count - since == FAST_SEEN_FEW)
		for (uint32_t i = since; i < s->count; i++) {
			s->texts[i].hash = hash_of(s, s->texts[i].text);
			if (!put(s, i))
				return false;
		}
	hash = hash_of(s, text);
	if (find(s, since, text, hash))
		return false;
	s->texts[s->count] = (struct fast_text){text, hash};
	if (!put(s, s->count))
		return false;
	s->count++;
	return true;
}

void fast_seen_forget(struct fast_seen *s, uint32_t since)
{
	/* Nothing that is left was put behind the latest one: its slot may just be freed. */
	while (s->count > since) {
		uint32_t index = --s->count;
		uint32_t at = s->texts[index].hash >> 1;

		if (!s->texts[index].hash)
			continue;
		while (s->slots[at & (s->size - 1)] != index + 1)
			at++;
		s->slots[at & (s->size - 1)] = 0;
	}
}

void fast_seen_release(struct fast_seen *s)
{
	mem_free(s->texts);
	mem_free(s->slots);
}

size_t fast_seen_bytes(const struct fast_seen *s)
{
	return s->cap * sizeof(*s->texts) + s->size * sizeof(*s->slots);
}
