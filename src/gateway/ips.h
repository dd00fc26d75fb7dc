/*
 * ips.h - clients that keep attacking are banned: what is counted against whom (guard/ban.h holds
 * the counts and the bans). Call only with a snapshot that has `ips`. Private to src/gateway.
 */
#ifndef GATEWAY_IPS_H
#define GATEWAY_IPS_H

#include "gateway/exchange.h"

/* May this address not even connect? Before TLS; not for addresses of trusted proxies. */
bool ips_refuses_connection(struct worker *worker, const struct address *address);
/* May a TLS client that starts like this not go on? In the handshake, before its keys are computed. */
bool ips_refuses_hello(struct worker *worker, const struct address *address,
		       struct span fingerprint);
/*
 * Is the exchange's client banned, by its address, a network, or its fingerprint? Then it has been
 * counted.
 */
bool ips_refuses_address(struct exchange *e);
/* Is whom its credentials name? */
bool ips_refuses_identity(struct exchange *e);
/* Answers 403, and closes an HTTP/1 connection. */
enum phase_result ips_refuse(struct exchange *e);
/* An exchange has ended: counts what is to be held against its client. */
void ips_note(struct exchange *e);

#endif
