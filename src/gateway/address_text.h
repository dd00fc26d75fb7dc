/*
 * address_text.h - addresses as text and as keys of rate limits. The last ones are remembered, because
 * making these costs more than looking for them. Private to src/gateway.
 */
#ifndef GATEWAY_ADDRESS_TEXT_H
#define GATEWAY_ADDRESS_TEXT_H

#include "base/span.h"
#include "parse/address.h"

#define ADDRESS_TEXT_SLOTS 64

struct address_text {
	struct address address;
	uint64_t limit_key;
	char text[ADDRESS_TEXT_SIZE];
	size_t len; /* 0: an empty slot */
};

/* Zeroed memory is an empty cache. */
struct address_text_cache {
	struct address_text slots[ADDRESS_TEXT_SLOTS];
};

/* For rate limits: an IPv6 client commands at least a /64. */
uint64_t address_limit_key(struct address_text_cache *cache, const struct address *address);
/* As address_format, without a NUL. */
struct span address_text_get(struct address_text_cache *cache, const struct address *address,
			     char to[ADDRESS_TEXT_SIZE]);

#endif
