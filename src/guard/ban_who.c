#include "guard/ban_who.h"

#include "base/hash.h"

#define ADDRESS SPAN("address:")
#define IPV6_CLIENT_BITS 64

uint64_t ban_hash_of_address(const struct address *address)
{
	size_t len = address_is_ipv4(address) ? 16 : IPV6_CLIENT_BITS / 8;

	return hash_mix(hash_span(span_of(address->bytes, len)), len) | 1;
}

struct span ban_who_of_address(const struct address *address, char to[BAN_WHO_SIZE])
{
	struct cidr network = {.base = *address, .prefix = IPV6_CLIENT_BITS};
	size_t len = ADDRESS.len;

	memcpy(to, ADDRESS.ptr, len);
	if (address_is_ipv4(address)) {
		len += address_format(address, to + len);
		return span_of(to, len);
	}
	memset(network.base.bytes + IPV6_CLIENT_BITS / 8, 0, 16 - IPV6_CLIENT_BITS / 8);
	len += cidr_format(&network, to + len);
	return span_of(to, len);
}

/* Names are printed: nothing in them may pass for something else. */
static bool is_plain(struct span name)
{
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 0x7f)
			return false;
	return true;
}

struct span ban_who_of_identity(const char *kind, struct span provider, struct span name,
				char to[BAN_WHO_SIZE])
{
	int len = snprintf(to, BAN_WHO_SIZE, "%s:%.*s/%.*s", kind, SPAN_ARG(provider),
			   SPAN_ARG(name));

	return len > 0 && len < BAN_WHO_SIZE && is_plain(span_of(to, (size_t)len))
		       ? span_of(to, (size_t)len)
		       : SPAN_NONE;
}

uint64_t ban_hash_of_name(struct span who)
{
	return hash_span(who) | 1;
}

static bool read_address(struct span text, struct address *address)
{
	struct cidr network;

	if (!cidr_parse(text, &network))
		return false;
	*address = network.base;
	return network.prefix == 128 ||
	       (!address_is_ipv4(&network.base) && network.prefix == IPV6_CLIENT_BITS);
}

struct span ban_who_parse(struct span text, char to[BAN_WHO_SIZE], uint64_t *hash)
{
	struct span rest = text;
	struct address address;

	if (span_starts_with(text, ADDRESS))
		rest = span_slice(text, ADDRESS.len, text.len);
	if (read_address(rest, &address)) {
		*hash = ban_hash_of_address(&address);
		return ban_who_of_address(&address, to);
	}
	if ((!span_starts_with(text, SPAN("user:")) &&
	     !span_starts_with(text, SPAN("client:"))) ||
	    span_find_byte(text, '/') == text.len || text.len >= BAN_WHO_SIZE ||
	    !is_plain(text))
		return SPAN_NONE;
	memcpy(to, text.ptr, text.len);
	to[text.len] = '\0';
	*hash = ban_hash_of_name(text);
	return span_of(to, text.len);
}
