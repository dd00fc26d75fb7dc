/*
 * ban_who.h - the names of those who are banned: "address:192.0.2.1", "address:2001:db8::/64" (an
 * IPv6 client commands at least a /64), "user:PROVIDER/SUBJECT", "client:PROVIDER/CLIENT". Users
 * and clients of API keys and certificates have an empty provider.
 */
#ifndef GUARD_BAN_WHO_H
#define GUARD_BAN_WHO_H

#include "guard/ban.h"
#include "parse/address.h"

/* Of the address, or of its /64; never 0. Faster than that of its name, which has the same. */
uint64_t ban_hash_of_address(const struct address *address);
/* `to` holds the name afterwards, NUL-terminated. */
struct span ban_who_of_address(const struct address *address, char to[BAN_WHO_SIZE]);
/* The same of "user" or "client"; SPAN_NONE when it does not fit. */
struct span ban_who_of_identity(const char *kind, struct span provider, struct span name,
				char to[BAN_WHO_SIZE]);
/*
 * Reads a name as people write it: as above, or an address or /64 alone. `to` is then the name as
 * it is kept, and *hash its hash in this process. SPAN_NONE when it is none.
 */
struct span ban_who_parse(struct span text, char to[BAN_WHO_SIZE], uint64_t *hash);
/* Of a name that is kept, but no address; never 0. */
uint64_t ban_hash_of_name(struct span who);

#endif
