#include "config/schema_parts.h"

static const char *const kind_names[CONFIG_IPS_KINDS] = {
	[CONFIG_IPS_ATTACK] = "attack",	      [CONFIG_IPS_CONTRACT] = "contract",
	[CONFIG_IPS_MALFORMED] = "malformed", [CONFIG_IPS_SCAN] = "scan",
	[CONFIG_IPS_LOGIN] = "login",	      [CONFIG_IPS_LIMIT] = "limit",
	[CONFIG_IPS_NETWORK] = "network",     [CONFIG_IPS_FINGERPRINT] = "fingerprint",
};

const char *config_ips_kind_name(enum config_ips_kind kind)
{
	return kind < CONFIG_IPS_KINDS ? kind_names[kind] : "unknown";
}

static void rule_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	struct config_ips_rule *rule = object;

	if (rule->ban_max_ms >= rule->ban_ms)
		return;
	if (tree_get(node, "ban_max"))
		reader_error(reader, node->where, "'ban_max' is less than 'ban'");
	rule->ban_max_ms = rule->ban_ms;
}

/* The same keys for every kind, with defaults of its own. */
#define RULE(kind, threshold_, window_, ban_, ban_max_)                                        \
	static const struct schema_key kind##_keys[] = {                                       \
		{KEY("threshold", COUNT, config_ips_rule, threshold), .initial = (threshold_), \
		 .max = 1000000, .text = "So many within 'window' ban the client; 0: never."}, \
		{KEY("window", DURATION, config_ips_rule, window_ms), .initial = (window_),    \
		 .min = 1000, .max = 86400000,                                                 \
		 .text = "'threshold' of them are forgotten, evenly, in this time."},          \
		{KEY("ban", DURATION, config_ips_rule, ban_ms), .initial = (ban_),             \
		 .min = 1000, .max = 31536000000, .text = "How long the first ban is."},       \
		{KEY("growth", COUNT, config_ips_rule, growth_percent), .initial = "200",      \
		 .min = 100, .max = 10000,                                                     \
		 .text = "Percent of a ban that the client's next is; 100: the same."},        \
		{KEY("ban_max", DURATION, config_ips_rule, ban_max_ms), .initial = (ban_max_), \
		 .min = 1000, .max = 31536000000, .text = "No ban is longer."},                \
		{.name = NULL},                                                                \
	};                                                                                     \
	static const struct schema_object kind = {                                             \
		.name = "ips_" #kind,                                                          \
		.size = sizeof(struct config_ips_rule),                                        \
		.keys = kind##_keys,                                                           \
		.shorthand = "threshold",                                                      \
		.finish = rule_finish,                                                         \
	}

RULE(attacks, "5", "1m", "5m", "24h");
RULE(contract, "30", "1m", "1m", "1h");
RULE(malformed, "10", "1m", "1m", "1h");
RULE(scans, "40", "1m", "5m", "24h");
RULE(logins, "10", "5m", "5m", "24h");
RULE(limits, "200", "1m", "1m", "1h");
RULE(networks, "0", "10m", "10m", "24h");
RULE(fingerprints, "0", "10m", "10m", "24h");

static const struct schema_name mode_names[] = {
	{"off", CONFIG_IPS_OFF},
	{"observe", CONFIG_IPS_OBSERVE},
	{"block", CONFIG_IPS_BLOCK},
	{NULL, 0},
};

static const struct schema_name by_names[] = {
	{"address", CONFIG_IPS_BY_ADDRESS},
	{"identity", CONFIG_IPS_BY_IDENTITY},
	{NULL, 0},
};

static const struct schema_key ips_keys[] = {
	{KEY("mode", ENUM, config_ips, mode), .initial = "block", .names = mode_names,
	 .text = "off, observe (count and log, refuse nobody) or block."},
	{KEY("allow", NETWORKS, config_ips, allow), .text = "Networks that are never banned."},
	{KEY("deny", NETWORKS, config_ips, deny), .text = "Networks that always are."},
	{KEY("by", FLAGS, config_ips, by), .initial = "address identity", .names = by_names,
	 .text = "Who is banned: whom the credentials name, else (or only) the address."},
	{KEY("attacks", OBJECT, config_ips, rules[CONFIG_IPS_ATTACK]), .object = &attacks,
	 .text = "Requests that the WAF has refused."},
	{KEY("contract", OBJECT, config_ips, rules[CONFIG_IPS_CONTRACT]), .object = &contract,
	 .text = "Requests that break a contract."},
	{KEY("malformed", OBJECT, config_ips, rules[CONFIG_IPS_MALFORMED]),
	 .object = &malformed, .text = "Requests that are malformed."},
	{KEY("scans", OBJECT, config_ips, rules[CONFIG_IPS_SCAN]), .object = &scans,
	 .text = "Answers 403, 404 and 405, also those of services."},
	{KEY("logins", OBJECT, config_ips, rules[CONFIG_IPS_LOGIN]), .object = &logins,
	 .text = "Credentials that are wrong."},
	{KEY("limits", OBJECT, config_ips, rules[CONFIG_IPS_LIMIT]), .object = &limits,
	 .text = "Requests over a rate limit."},
	{KEY("networks", OBJECT, config_ips, rules[CONFIG_IPS_NETWORK]), .object = &networks,
	 .text = "Bans of addresses in one network; so many ban the network."},
	{KEY("ipv4_prefix", COUNT, config_ips, ipv4_prefix), .initial = "24", .min = 8,
	 .max = 31, .text = "Length of the networks of IPv4 that 'networks' bans."},
	{KEY("ipv6_prefix", COUNT, config_ips, ipv6_prefix), .initial = "48", .min = 16,
	 .max = 63, .text = "The same of IPv6."},
	{KEY("fingerprints", OBJECT, config_ips, rules[CONFIG_IPS_FINGERPRINT]),
	 .object = &fingerprints,
	 .text = "Bans of clients whose TLS starts alike (JA4); so many ban the fingerprint."},
	{KEY("memory", DURATION, config_ips, memory_ms), .initial = "24h", .max = 31536000000,
	 .text = "So long after a ban has ended, it makes the client's next one longer."},
	{KEY("bans", COUNT, config_ips, bans_max), .initial = "65536", .min = 64,
	 .max = 16777216, .text = "Clients that can be banned at once."},
	{.name = NULL},
};

const struct schema_object schema_ips = {
	.name = "ips",
	.size = sizeof(struct config_ips),
	.keys = ips_keys,
	.shorthand = "mode",
};
