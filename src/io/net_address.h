/* net_address.h - socket addresses from and to text. */
#ifndef IO_NET_ADDRESS_H
#define IO_NET_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/span.h"

struct net_address {
	struct sockaddr_storage storage;
	socklen_t len;
};

static inline const struct sockaddr *net_address_sockaddr(const struct net_address *address)
{
	return (const struct sockaddr *)&address->storage;
}

/*
 * "192.0.2.1:80", "[2001:db8::1]:80" or "unix:/path" (at most 107 bytes of path). -1 with
 * ERR_SYNTAX otherwise; names are for dns.h.
 */
int net_address_parse(struct net_address *address, struct span text,
		      struct err *err) MUST_CHECK;
/* A literal IPv4 or IPv6 address, without brackets, and a port; false when it is neither. */
bool net_address_from_literal(struct net_address *address, struct span host, unsigned port);
/* "host:port", ":port" missing or not a number from 1 to 65535: false. Brackets are removed. */
bool net_address_split(struct span text, struct span *host, unsigned *port);

/* Holds every net_address_format result and its NUL. */
#define NET_ADDRESS_TEXT_MAX 128
/* As net_address_parse takes it, or without port; an IPv4-mapped IPv6 address as IPv4. */
struct span net_address_format(const struct sockaddr_storage *address, bool with_port,
			       char to[NET_ADDRESS_TEXT_MAX]);
/* 0 for a Unix socket. */
unsigned net_address_port(const struct sockaddr_storage *address);
void net_address_set_port(struct net_address *address, unsigned port);
/* Family, address and port (or path) are the same. */
bool net_address_eq(const struct net_address *a, const struct net_address *b);

#endif
