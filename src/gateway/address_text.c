#include "gateway/address_text.h"

#include "base/compiler.h"
#include "base/hash.h"

static NOINLINE void fill(struct address_text *slot, const struct address *address)
{
	slot->address = *address;
	slot->len = address_format(address, slot->text);
	slot->limit_key = hash_span(span_of(address->bytes, address_is_ipv4(address) ? 16 : 8));
}

static inline const struct address_text *find(struct address_text_cache *cache,
					      const struct address *address)
{
	struct address_text *slot;
	uint64_t half[2];

	memcpy(half, address->bytes, sizeof(half));
	slot = &cache->slots[hash_mix(half[0], half[1]) % ADDRESS_TEXT_SLOTS];
	if (UNLIKELY(!slot->len || memcmp(&slot->address, address, sizeof(*address)) != 0))
		fill(slot, address);
	return slot;
}

HOT struct span address_text_get(struct address_text_cache *cache,
				 const struct address *address, char to[ADDRESS_TEXT_SIZE])
{
	const struct address_text *slot = find(cache, address);

	memcpy(to, slot->text, ADDRESS_TEXT_SIZE);
	return span_of(to, slot->len);
}

uint64_t address_limit_key(struct address_text_cache *cache, const struct address *address)
{
	return find(cache, address)->limit_key;
}
