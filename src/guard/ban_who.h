/*
 * ban_who.h - the names of those who are banned:
 *
 *	address:192.0.2.1, address:2001:db8::/64	(an IPv6 client commands at least a /64)
 *	network:192.0.2.0/24, network:2001:db8::/48	all addresses in it
 *	user:PROVIDER/SUBJECT, client:PROVIDER/CLIENT	of API keys and certificates the provider is
 *							empty
 *	fingerprint:JA4					all TLS clients that start like this
 *							(parse/client_hello.h)
 *
 * Each function that fills a ban sets who, hash and network_bits, and nothing else.
 */
#ifndef GUARD_BAN_WHO_H
#define GUARD_BAN_WHO_H

#include "guard/ban.h"
#include "parse/address.h"

/* Of the address, or of its /64; never 0. Faster than that of its name, which has the same. */
uint64_t ban_hash_of_address(const struct address *address);
void ban_who_of_address(const struct address *address, struct ban *ban);
/* The network of that many bits (of 128; IPv4: 97 and more) that the address is in. */
void ban_who_of_network(const struct address *address, unsigned bits, struct ban *ban);
/* `kind` is "user" or "client"; false when the name does not fit or could not be printed. */
bool ban_who_of_identity(const char *kind, struct span provider, struct span name,
			 struct ban *ban) MUST_CHECK;
/* False when it is none. */
bool ban_who_of_fingerprint(struct span fingerprint, struct ban *ban) MUST_CHECK;
/*
 * Reads a name as people write it: as above, or an address or network alone. Networks that hold
 * everybody are none.
 */
bool ban_who_parse(struct span text, struct ban *ban) MUST_CHECK;

/* Until when the address, or a network that it is in, is banned; 0: neither is. */
int64_t ban_until_of_address(const struct ban_table *table, const struct address *address,
			     int64_t now_unix_ms);

#endif
