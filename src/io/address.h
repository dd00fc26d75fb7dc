/* address.h - socket addresses from and to text. */
#ifndef IO_ADDRESS_H
#define IO_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/span.h"

struct address {
	struct sockaddr_storage storage;
	socklen_t len;
};

static inline const struct sockaddr *address_sockaddr(const struct address *address)
{
	return (const struct sockaddr *)&address->storage;
}

/*
 * "192.0.2.1:80", "[2001:db8::1]:80" or "unix:/path" (at most 107 bytes of path). -1 with
 * ERR_SYNTAX otherwise; names are for dns.h.
 */
int address_parse(struct address *address, struct span text, struct err *err) MUST_CHECK;
/* A literal IPv4 or IPv6 address, without brackets, and a port; false when it is neither. */
bool address_from_literal(struct address *address, struct span host, unsigned port);
/* "host:port", ":port" missing or not a number from 1 to 65535: false. Brackets are removed. */
bool address_split(struct span text, struct span *host, unsigned *port);

/* Holds every address_format result and its NUL. */
#define ADDRESS_TEXT_MAX 128
/* As address_parse takes it, or without port; an IPv4-mapped IPv6 address as IPv4. */
struct span address_format(const struct sockaddr_storage *address, bool with_port,
			   char to[ADDRESS_TEXT_MAX]);
/* 0 for a Unix socket. */
unsigned address_port(const struct sockaddr_storage *address);
void address_set_port(struct address *address, unsigned port);
/* Family, address and port (or path) are the same. */
bool address_eq(const struct address *a, const struct address *b);

#endif
