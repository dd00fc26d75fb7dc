#include "config/schema_parts.h"
#include "parse/address.h"

const struct schema_name schema_waf_mode_names[] = {
	{"off", CONFIG_WAF_MODE_OFF},
	{"observe", CONFIG_WAF_MODE_OBSERVE},
	{"block", CONFIG_WAF_MODE_BLOCK},
	{NULL, 0},
};

/* For routes and services. */
const struct schema_name schema_waf_override_names[] = {
	{"inherit", CONFIG_WAF_MODE_INHERIT},
	{"off", CONFIG_WAF_MODE_OFF},
	{"observe", CONFIG_WAF_MODE_OBSERVE},
	{"block", CONFIG_WAF_MODE_BLOCK},
	{NULL, 0},
};

static const struct schema_key exclusion_keys[] = {
	{KEY("rule", COUNT, config_waf_exclusion, rule), .initial = "0", .max = 4294967295,
	 .text = "Id of a rule; 0 is every rule."},
	{KEY("to", COUNT, config_waf_exclusion, to), .initial = "0", .max = 4294967295,
	 .text = "The last rule of a range that `rule` begins."},
	{KEY("tag", TEXT, config_waf_exclusion, tag), .format = &format_any,
	 .text = "Rules with this tag."},
	{KEY("target", TEXT, config_waf_exclusion, target), .format = &format_any,
	 .text = "What they do not look at, such as ARGS:comment; without, not at anything."},
	{KEY("path", TEXT, config_waf_exclusion, path), .format = &format_any,
	 .text = "Only on this path, or below it when it ends in *."},
	{.name = NULL},
};

static void exclusion_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_waf_exclusion *exclusion = object;

	if (!exclusion->rule && !exclusion->tag.len && !exclusion->target.len)
		reader_error(reader, node->where,
			     "name a rule, a tag or a target: this would exclude everything");
	if (exclusion->to && exclusion->to < exclusion->rule)
		reader_error(reader, node->where, "'to' is below 'rule'");
}

static const struct schema_object exclusion = {
	.name = "waf_exclusion",
	.size = sizeof(struct config_waf_exclusion),
	.keys = exclusion_keys,
	.has_where = true,
	.finish = exclusion_finish,
};

static const struct schema_name waf_large_names[] = {
	{"refuse", CONFIG_LARGE_REFUSE},
	{"inspect_beginning", CONFIG_LARGE_STREAM},
	{NULL, 0},
};

/* Names of files are relative to the configuration's folder. */
static void waf_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	struct config_waf *waf = object;

	for (size_t i = 0; i < waf->rules.count; i++)
		if (!span_eq(waf->rules.at[i], SPAN("owasp-crs")))
			waf->rules.at[i] = reader_resolve(reader, node, waf->rules.at[i]);
}

static const struct schema_name response_large_names[] = {
	{"rules", CONFIG_WAF_LARGE_RULES},
	{"inspect_beginning", CONFIG_WAF_LARGE_BEGINNING},
	{"refuse", CONFIG_WAF_LARGE_REFUSE},
	{NULL, 0},
};

static const struct schema_name coding_names[] = {
	{"decode", CONFIG_WAF_CODING_DECODE},
	{"plain", CONFIG_WAF_CODING_PLAIN},
	{NULL, 0},
};

static const struct schema_key response_keys[] = {
	{KEY("inspect", BOOL, config_waf_response, inspect), .initial = "on",
	 .text = "Rules look at what services answer, too."},
	{KEY("limit", SIZE, config_waf_response, limit_bytes), .initial = "0",
	 .max = (uint64_t)8 << 20,
	 .text = "So much of a body is held and inspected; 0: as the rules say, or 512k."},
	{KEY("large", ENUM, config_waf_response, large), .initial = "rules",
	 .names = response_large_names,
	 .text = "Longer bodies: as the rules say, only their beginning is inspected, or 502."},
	{KEY("types", TEXTS, config_waf_response, types), .format = &format_any,
	 .text = "Media types of bodies that are inspected; without, those that the rules "
		 "name."},
	{KEY("coding", ENUM, config_waf_response, coding), .initial = "decode",
	 .names = coding_names,
	 .text = "Compressed bodies: rules see a decoded copy, or services are asked for plain "
		 "ones."},
	{.name = NULL},
};

static const struct schema_object response = {
	.name = "waf_response",
	.size = sizeof(struct config_waf_response),
	.keys = response_keys,
	.shorthand = "inspect",
};

static bool is_server(struct span text)
{
	struct address address;
	uint16_t port;

	return address_parse_port(text, &address, &port);
}

static const struct schema_format format_server = {
	.what = "the address of a name server, such as 192.0.2.1 or [2001:db8::1]:5353",
	.valid = is_server,
};

static const struct schema_key lists_keys[] = {
	{KEY("timeout", DURATION, config_waf_lists, timeout_ms), .initial = "500ms", .min = 10,
	 .max = 30000, .text = "Then a list has not answered, and the rule does not match."},
	{KEY("unlisted", DURATION, config_waf_lists, unlisted_ms), .initial = "1m", .min = 1000,
	 .max = 86400000, .text = "What a list does not have is not asked again for so long."},
	{KEY("names", COUNT, config_waf_lists, names), .initial = "4096", .min = 16,
	 .max = 1000000, .text = "Answers that each worker remembers."},
	{KEY("servers", TEXTS, config_waf_lists, servers), .format = &format_server,
	 .text = "Name servers to ask; without, those of resolv.conf."},
	{.name = NULL},
};

static const struct schema_object lists = {
	.name = "waf_block_lists",
	.size = sizeof(struct config_waf_lists),
	.keys = lists_keys,
};

static const struct schema_key programs_keys[] = {
	{KEY("allow", TEXTS, config_waf_programs, allow), .format = &format_prefix,
	 .text = "Programs, absolute paths, that rules may run with @inspectFile and exec."},
	{KEY("timeout", DURATION, config_waf_programs, timeout_ms), .initial = "5s", .min = 100,
	 .max = 60000, .text = "From when one is asked; then it is killed."},
	{KEY("at_once", COUNT, config_waf_programs, at_once), .initial = "8", .min = 1,
	 .max = 256, .text = "So many run at once; of each worker as many may wait."},
	{KEY("memory", SIZE, config_waf_programs, memory_bytes), .initial = "1g",
	 .min = 16777216, .text = "Of the address space of each."},
	{KEY("read", TEXTS, config_waf_programs, read), .format = &format_prefix,
	 .text = "Files and folders that they may read beside those of the system."},
	{KEY("write", TEXTS, config_waf_programs, write), .format = &format_prefix,
	 .text = "Folders that they may change."},
	{.name = NULL},
};

static const struct schema_object programs = {
	.name = "waf_programs",
	.size = sizeof(struct config_waf_programs),
	.keys = programs_keys,
};

static const struct schema_key waf_keys[] = {
	{KEY("rules", TEXTS, config_waf, rules), .initial = "owasp-crs", .format = &format_any,
	 .text = "owasp-crs, or files or folders of rules."},
	{KEY("paranoia", COUNT, config_waf, paranoia), .initial = "1", .min = 1, .max = 4,
	 .text = "How much is suspicious."},
	{KEY("mode", ENUM, config_waf, mode), .initial = "block",
	 .names = schema_waf_mode_names, .text = "What happens to what matches."},
	{KEY("inbound_threshold", COUNT, config_waf, inbound_threshold), .initial = "0",
	 .max = 100000,
	 .text = "Anomaly score of requests at which to block; 0: the rules' own."},
	{KEY("outbound_threshold", COUNT, config_waf, outbound_threshold), .initial = "0",
	 .max = 100000, .text = "The same for responses."},
	{KEY("sample", PERCENT, config_waf, sample_percent), .initial = "100%",
	 .text = "Share of the requests that are inspected."},
	{KEY("pattern_time", DURATION, config_waf, pattern_time_ms), .initial = "500ms",
	 .min = 1, .max = 60000,
	 .text = "Processor time that patterns may take for the long values of a request; then "
		 "it "
		 "is refused."},
	{KEY("large", ENUM, config_waf, large), .initial = "refuse", .names = waf_large_names,
	 .text = "Bodies over limits.body_buffer: 413, or only their beginning is inspected."},
	{KEY("cache", OUTPUT, config_waf, cache),
	 .text = "Folder for compiled patterns, so that the next start is quick."},
	{KEY("log", OUTPUT, config_waf, log),
	 .text = "File for a JSON record of each transaction that matched; without, standard "
		 "error."},
	{KEY("response", OBJECT, config_waf, response), .object = &response,
	 .text = "What rules make of responses."},
	{KEY("block_lists", OBJECT, config_waf, block_lists), .object = &lists,
	 .text = "How @rbl asks."},
	{KEY("programs", OBJECT, config_waf, programs), .object = &programs,
	 .text = "What @inspectFile and exec may run."},
	{KEY("exclusions", LIST, config_waf, exclusions), .object = &exclusion,
	 .text = "What rules must not look at."},
	{.name = NULL},
};

const struct schema_object schema_waf = {
	.name = "waf",
	.size = sizeof(struct config_waf),
	.keys = waf_keys,
	.has_where = true,
	.finish = waf_finish,
};
