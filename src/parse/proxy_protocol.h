/*
 * proxy_protocol.h - the PROXY protocol, versions 1 and 2 (HAProxy's specification, 2.2 of 2020):
 * what a load balancer in front writes before the client's first byte to tell the client's
 * address. Only to be read on listeners that are configured to demand it, from trusted senders.
 */
#ifndef PARSE_PROXY_PROTOCOL_H
#define PARSE_PROXY_PROTOCOL_H

#include "base/span.h"
#include "parse/address.h"

enum proxy_protocol_result {
	PROXY_PROTOCOL_DONE,
	PROXY_PROTOCOL_MORE, /* the input ends before the header does: read on */
	PROXY_PROTOCOL_BAD, /* no such header: the connection must be closed */
};

/* A header with all its extensions; one that claims to be longer is refused. */
#define PROXY_PROTOCOL_MAX_BYTES 2048

struct proxy_protocol {
	/*
	 * The header gives addresses. False for LOCAL (a health check of the sender itself), for
	 * UNKNOWN and UNSPEC, and for Unix sockets: the connection's own addresses stand.
	 */
	bool has_addresses;
	bool local; /* version 2's LOCAL command */
	unsigned version; /* 1 or 2 */
	struct address source;
	struct address destination;
	uint16_t source_port;
	uint16_t destination_port;
};

/*
 * Parses a header at the start of `input`; on PROXY_PROTOCOL_DONE *consumed is its length and the
 * client's bytes follow. On MORE the caller reads on, up to PROXY_PROTOCOL_MAX_BYTES, and calls
 * again with all bytes from the start. Version 2: only streams, extensions (TLVs) are skipped but
 * must fit, and a CRC32c among them must be right.
 */
enum proxy_protocol_result proxy_protocol_parse(struct proxy_protocol *header,
						struct span input, size_t *consumed);

#endif
