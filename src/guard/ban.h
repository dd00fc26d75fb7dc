/*
 * ban.h - who is banned, and how often clients have misbehaved. A table of fixed size that all
 * workers share: asking takes no lock; adding and lifting, which is rare, takes one. Times are
 * milliseconds since 1970, as bans are shared with other processes.
 *
 * Strikes are counted for each client and kind by the generic cell rate algorithm (limiter.h): a
 * client that makes `threshold` of them at once is banned, and `threshold` of them are forgotten,
 * evenly, in each window. Each further ban is longer, until the client has behaved for `memory`.
 *
 * When a set of slots is full, the ban that ends first is forgotten: memory never grows.
 */
#ifndef GUARD_BAN_H
#define GUARD_BAN_H

#include <stdatomic.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"
#include "config/config.h"

#define BAN_WHO_SIZE 232
#define BAN_FOREVER INT64_MAX
/* The kind of a ban that a person has made. */
#define BAN_MANUAL CONFIG_IPS_KINDS

struct ban {
	char who[BAN_WHO_SIZE]; /* the caller's name for the client, NUL-terminated */
	uint64_t hash; /* of who; never 0 */
	int64_t since_unix_ms;
	int64_t until_unix_ms; /* or BAN_FOREVER */
	uint32_t offences; /* bans of this client, this one included, that are remembered */
	uint32_t mark; /* see ban_lift_unmarked */
	unsigned kind; /* enum config_ips_kind, or BAN_MANUAL */
	unsigned network_bits; /* of the prefix, where `who` is a network; else 0 */
};

/* Lengths of prefixes that are in use, of 128 bits (IPv4: 96 and more): bit n of the array. */
struct ban_prefixes {
	uint64_t bits[3];
};

struct ban_table;

/* Room for about `bans` clients, rounded up to a power of two. */
struct ban_table *ban_table_new(size_t bans, struct err *err) MUST_CHECK;
/* NULL is allowed. */
void ban_table_free(struct ban_table *table);

/* No client is banned or remembered: nothing needs to be hashed. */
bool ban_table_is_empty(const struct ban_table *table);
/* Until when the client is banned; 0: it is not. Any thread, without a lock. */
int64_t ban_until(const struct ban_table *table, uint64_t hash, int64_t now_unix_ms);
/* The lengths of the networks that may be banned. Any thread, without a lock. */
struct ban_prefixes ban_prefixes(const struct ban_table *table);
/*
 * Counts one strike of `kind` against the client, by config->rules[kind]. True when that has banned
 * it; *added, of which the caller sets who, hash and network_bits, is then the ban.
 */
bool ban_strike(struct ban_table *table, const struct config_ips *config,
		enum config_ips_kind kind, int64_t now_unix_ms, struct ban *added);
/* How long the n-th ban (from 1) by this rule is. */
uint64_t ban_duration_ms(const struct config_ips_rule *rule, uint32_t offences);

/*
 * Adds the ban, or replaces what there is of its client, unless that was made in this process
 * (mark 0), is not marked yet and is longer.
 */
void ban_put(struct ban_table *table, const struct ban *ban);
/* Marks the client's ban; nothing when it has been replaced since by one that ends otherwise. */
void ban_mark(struct ban_table *table, const struct ban *ban, uint32_t mark);
/* Lifts and forgets it. False when nothing is known of the client. *was may be NULL. */
bool ban_lift(struct ban_table *table, uint64_t hash, struct ban *was);
/* Lifts all that have another mark than this one and 0; how many were still banned. */
size_t ban_lift_unmarked(struct ban_table *table, uint32_t mark, int64_t now_unix_ms);
/* Forgets clients whose ban ended before that time. */
void ban_sweep(struct ban_table *table, int64_t before_unix_ms);

/* Clients that are banned now. */
size_t ban_count(const struct ban_table *table, int64_t now_unix_ms);
/* Copies up to `max` bans that are in force; *cursor starts at 0; 0 at the end. */
size_t ban_list(struct ban_table *table, int64_t now_unix_ms, size_t *cursor, struct ban *bans,
		size_t max);

#endif
