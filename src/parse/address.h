/*
 * address.h - IP addresses, prefixes and compiled sets of prefixes. An IPv4 address is held as
 * the IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2), so that both kinds compare alike; a
 * mapped address in IPv6 spelling is the IPv4 address.
 */
#ifndef PARSE_ADDRESS_H
#define PARSE_ADDRESS_H

#include "base/err.h"
#include "base/span.h"

struct address {
	uint8_t bytes[16]; /* network order */
};

/* The longest text, "ffff:…:ffff" or "[…]:65535", and a NUL. */
#define ADDRESS_TEXT_SIZE 48

/* From the 4 or 16 bytes of a socket address; a mapped 16-byte address becomes IPv4. */
struct address address_from_ipv4(const void *bytes4);
struct address address_from_ipv6(const void *bytes16);

bool address_is_ipv4(const struct address *a);
static inline bool address_eq(const struct address *a, const struct address *b)
{
	return memcmp(a->bytes, b->bytes, 16) == 0;
}
/* 127.0.0.0/8 and ::1. */
bool address_is_loopback(const struct address *a);

/*
 * The whole span as an address: four decimal numbers without leading zeros, or RFC 4291 section
 * 2.2 without brackets or zone. False for anything else.
 */
bool address_parse(struct span text, struct address *address);
/*
 * "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]" or "[2001:db8::1]:80". Without a
 * port, *port is 0. A port has 1 to 5 digits and is at most 65535.
 */
bool address_parse_port(struct span text, struct address *address, uint16_t *port);
/* RFC 5952, or dotted decimal; returns the length, and a NUL follows. */
size_t address_format(const struct address *a, char to[ADDRESS_TEXT_SIZE]);

struct cidr {
	struct address base;
	uint8_t prefix; /* of 128 bits; an IPv4 prefix length plus 96 */
};

/*
 * "10.0.0.0/8", "2001:db8::/32", or one address. Bits after the prefix must be zero, so that a
 * mistyped prefix is noticed.
 */
bool cidr_parse(struct span text, struct cidr *cidr);
/* IPv4 prefixes contain IPv4 addresses only, IPv6 prefixes (also ::/0) IPv6 addresses only. */
bool cidr_contains(const struct cidr *cidr, const struct address *a);
size_t cidr_format(const struct cidr *cidr, char to[ADDRESS_TEXT_SIZE]);

struct cidr_range;

/* Build once, then read from any thread. */
struct cidr_set {
	struct cidr_range *ranges; /* after the build: ascending and apart */
	size_t count;
	size_t cap;
};

void cidr_set_init(struct cidr_set *set);
void cidr_set_release(struct cidr_set *set);
/* 0, or -1 when out of memory (nothing changed). */
int cidr_set_add(struct cidr_set *set, const struct cidr *cidr) MUST_CHECK;
/* Parses and adds; the error names the text. */
int cidr_set_add_text(struct cidr_set *set, struct span text, struct err *err) MUST_CHECK;
/* Sorts and merges. Adding more needs another build before the next look-up. */
void cidr_set_build(struct cidr_set *set);
/* Logarithmic in the number of prefixes; an empty set contains nothing. */
bool cidr_set_contains(const struct cidr_set *set, const struct address *a);

#endif
