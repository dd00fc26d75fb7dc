#include "gateway/address_text.h"

#include "base/compiler.h"
#include "base/hash.h"

struct span address_text_get(struct address_text_cache *cache, const struct address *address,
			     char to[ADDRESS_TEXT_SIZE])
{
	struct address_text *slot;
	uint64_t half[2];

	memcpy(half, address->bytes, sizeof(half));
	slot = &cache->slots[hash_mix(half[0], half[1]) % ADDRESS_TEXT_SLOTS];
	if (UNLIKELY(!slot->len || memcmp(&slot->address, address, sizeof(*address)) != 0)) {
		slot->address = *address;
		slot->len = address_format(address, slot->text);
	}
	memcpy(to, slot->text, ADDRESS_TEXT_SIZE);
	return span_of(to, slot->len);
}
