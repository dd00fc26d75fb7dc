#include "guard/ban_who.h"

#include "base/hash.h"
#include "parse/client_hello.h"

#define ADDRESS SPAN("address:")
#define NETWORK SPAN("network:")
#define FINGERPRINT SPAN("fingerprint:")
#define IPV6_CLIENT_BITS 64
#define IPV4_BITS 96 /* what is before an IPv4 prefix */

uint64_t ban_hash_of_address(const struct address *address)
{
	size_t len = address_is_ipv4(address) ? 16 : IPV6_CLIENT_BITS / 8;

	return hash_mix(hash_span(span_of(address->bytes, len)), len) | 1;
}

static void mask(struct address *address, unsigned bits)
{
	for (unsigned i = 0; i < sizeof(address->bytes); i++) {
		unsigned kept = bits > 8 * i ? bits - 8 * i : 0;

		if (kept < 8)
			address->bytes[i] &= (unsigned char)(0xff00 >> kept);
	}
}

/* Other than that of an address, though it may be as long. */
static uint64_t hash_of_network(const struct address *address, unsigned bits)
{
	struct address base = *address;

	mask(&base, bits);
	return hash_mix(hash_span(span_of(base.bytes, sizeof(base.bytes))), 1000 + bits) | 1;
}

static void set_name(struct ban *ban, struct span prefix, const char *text, size_t len)
{
	memcpy(ban->who, prefix.ptr, prefix.len);
	memcpy(ban->who + prefix.len, text, len);
	ban->who[prefix.len + len] = '\0';
	ban->network_bits = 0;
}

void ban_who_of_address(const struct address *address, struct ban *ban)
{
	struct cidr network = {.base = *address, .prefix = IPV6_CLIENT_BITS};
	char text[ADDRESS_TEXT_SIZE];

	ban->hash = ban_hash_of_address(address);
	if (address_is_ipv4(address)) {
		set_name(ban, ADDRESS, text, address_format(address, text));
		return;
	}
	mask(&network.base, IPV6_CLIENT_BITS);
	set_name(ban, ADDRESS, text, cidr_format(&network, text));
}

void ban_who_of_network(const struct address *address, unsigned bits, struct ban *ban)
{
	struct cidr network = {.base = *address, .prefix = (uint8_t)bits};
	char text[ADDRESS_TEXT_SIZE];

	mask(&network.base, bits);
	set_name(ban, NETWORK, text, cidr_format(&network, text));
	ban->hash = hash_of_network(address, bits);
	ban->network_bits = bits;
}

/* Names are printed: nothing in them may pass for something else. */
static bool is_plain(struct span name)
{
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 0x7f)
			return false;
	return true;
}

static bool use_name(struct span name, struct ban *ban)
{
	if (name.len >= BAN_WHO_SIZE || !is_plain(name))
		return false;
	set_name(ban, SPAN(""), name.ptr, name.len);
	ban->hash = hash_span(name) | 1;
	return true;
}

bool ban_who_of_identity(const char *kind, struct span provider, struct span name,
			 struct ban *ban)
{
	char text[BAN_WHO_SIZE];
	int len = snprintf(text, sizeof(text), "%s:%.*s/%.*s", kind, SPAN_ARG(provider),
			   SPAN_ARG(name));

	return len > 0 && len < BAN_WHO_SIZE && use_name(span_of(text, (size_t)len), ban);
}

bool ban_who_of_fingerprint(struct span fingerprint, struct ban *ban)
{
	if (!client_hello_is_fingerprint(fingerprint))
		return false;
	set_name(ban, FINGERPRINT, fingerprint.ptr, fingerprint.len);
	ban->hash = hash_span(span_cstr(ban->who)) | 1;
	return true;
}

/* ---- names that people write ----------------------------------------------------------------- */

static bool without(struct span text, struct span prefix, struct span *rest)
{
	*rest = text;
	if (!span_starts_with(text, prefix))
		return false;
	*rest = span_slice(text, prefix.len, text.len);
	return true;
}

static bool use_network(struct span text, struct ban *ban)
{
	struct cidr network;
	bool is_ipv4;

	if (!cidr_parse(text, &network))
		return false;
	is_ipv4 = address_is_ipv4(&network.base);
	if (network.prefix == 128 || (!is_ipv4 && network.prefix == IPV6_CLIENT_BITS)) {
		ban_who_of_address(&network.base, ban);
		return true;
	}
	if (network.prefix == (is_ipv4 ? IPV4_BITS : 0))
		return false;
	ban_who_of_network(&network.base, network.prefix, ban);
	return true;
}

bool ban_who_parse(struct span text, struct ban *ban)
{
	struct span rest;

	if (without(text, FINGERPRINT, &rest))
		return ban_who_of_fingerprint(rest, ban);
	if (without(text, ADDRESS, &rest) || without(text, NETWORK, &rest))
		return use_network(rest, ban);
	if (without(text, SPAN("user:"), &rest) || without(text, SPAN("client:"), &rest))
		return span_find_byte(rest, '/') < rest.len && use_name(text, ban);
	return use_network(text, ban);
}

/* ---- asking ---------------------------------------------------------------------------------- */

int64_t ban_until_of_address(const struct ban_table *table, const struct address *address,
			     int64_t now_unix_ms)
{
	struct ban_prefixes prefixes = ban_prefixes(table);
	unsigned first = address_is_ipv4(address) ? IPV4_BITS : 0;
	int64_t until = ban_until(table, ban_hash_of_address(address), now_unix_ms);

	for (unsigned i = 0; i < COUNT_OF(prefixes.bits); i++) {
		while (until == 0 && prefixes.bits[i]) {
			unsigned bits = 64 * i + (unsigned)__builtin_ctzll(prefixes.bits[i]);

			prefixes.bits[i] &= prefixes.bits[i] - 1;
			if (bits > first)
				until = ban_until(table, hash_of_network(address, bits),
						  now_unix_ms);
		}
	}
	return until;
}
