/*
 * dns.h - host names to addresses, and services to hosts (SRV), for the fibers of one loop: c-ares
 * underneath, a cache of addresses that honours TTLs in front. /etc/hosts and the search list of resolv.conf apply. Questions for the
 * same name at the same time become one query.
 */
#ifndef IO_DNS_H
#define IO_DNS_H

#include "io/dns_message.h"
#include "io/loop.h"
#include "io/net_address.h"

#define DNS_ADDRESSES_MAX 16

struct dns;

/* Zero means the default given in brackets. */
struct dns_options {
	const char *servers; /* "127.0.0.1:5353,[::1]:53"; NULL: as in resolv.conf */
	int64_t min_ttl_ms; /* answers are kept at least so long [1 s] */
	int64_t max_ttl_ms; /* and at most so long [1 h] */
	int64_t negative_ttl_ms; /* "no such name" [5 s] */
	int64_t failure_ttl_ms; /* servers fail or are silent: next try after [1 s] */
	int64_t stale_ms; /* an expired answer serves so much longer while servers fail [10 min] */
	int64_t try_ms; /* a server's time for the first try; it doubles [2 s] */
	unsigned tries; /* per server [3] */
	unsigned entries_max; /* names in the cache [1024] */
	/* Names are whole: resolv.conf's search list and /etc/hosts do not apply. */
	bool whole_names;
	bool ipv4_only; /* no other addresses are asked for */
};

struct dns_result {
	size_t count; /* at least 1 */
	/* IPv4 before IPv6, otherwise as the server sent them. */
	struct net_address addresses[DNS_ADDRESSES_MAX];
	/* loop_now_ms time from when a new dns_resolve may say something new; FIBER_FOREVER for a
	 * literal address. */
	int64_t expires_ms;
	bool stale; /* expired: no server could be reached */
};

/* For the calling thread's loop. */
struct dns *dns_new(const struct dns_options *options, struct err *err) MUST_CHECK;
/* No dns_resolve may be running. */
void dns_free(struct dns *dns);

/*
 * Addresses of `host` (a name of at most 253 bytes, or a literal address without brackets) with
 * `port` filled in. Parks when the cache does not know. 0, or -1: ERR_NOT_FOUND (no such name, or
 * no address), ERR_TIMEOUT, ERR_CANCELLED, ERR_UNAVAILABLE (servers fail), ERR_INVALID (not a
 * host name), ERR_MEMORY.
 */
int dns_resolve(struct dns *dns, struct span host, unsigned port, int64_t deadline_ms,
		struct dns_result *result, struct err *err) MUST_CHECK;

#define DNS_SERVICES_MAX 256

struct dns_services {
	size_t count; /* 0: the servers say that there are none */
	/* loop_now_ms time from when to ask again */
	int64_t expires_ms;
	struct dns_service at[DNS_SERVICES_MAX]; /* in no order; what is more is left out */
};

/*
 * The SRV records of `name`, asked for each time: the caller keeps the answer until it expires. "No
 * such name" is an answer without records, good for negative_ttl_ms. 0, or -1 with ERR_TIMEOUT,
 * ERR_CANCELLED, ERR_UNAVAILABLE, ERR_INVALID or ERR_MEMORY.
 */
int dns_find_services(struct dns *dns, struct span name, int64_t deadline_ms,
		      struct dns_services *result, struct err *err) MUST_CHECK;

/* Forgets all answers, so that the next question of each name goes to a server. */
void dns_flush(struct dns *dns);

#endif
