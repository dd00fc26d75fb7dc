/*
 * dns_message.h - the SRV records of a DNS response (RFC 1035 section 4, RFC 2782). Pure.
 */
#ifndef IO_DNS_MESSAGE_H
#define IO_DNS_MESSAGE_H

#include <stdint.h>

#include "base/compiler.h"
#include "base/span.h"

#define DNS_NAME_MAX 253

struct dns_service {
	uint16_t priority; /* the lowest is asked first */
	uint16_t weight; /* among those of the same priority */
	uint16_t port;
	char target[DNS_NAME_MAX + 1]; /* lower case, without the final dot */
};

/*
 * The SRV records among the answers, at most `max`. *ttl_s is the least of all records that led
 * there, aliases too. A target of "." says that there is no such service (RFC 2782), and is left
 * out, as are targets that are no host names. False when the message is malformed.
 */
bool dns_message_services(struct span message, struct dns_service *services, size_t max,
			  size_t *count, uint32_t *ttl_s) MUST_CHECK;

#endif
