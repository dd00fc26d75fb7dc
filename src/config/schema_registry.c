#include "config/schema_parts.h"

static const struct schema_key upstream_keys[] = {
	{KEY("url", TEXT, config_upstream, url), .flags = SCHEMA_REQUIRED,
	 .format = &format_url, .text = "Address of the registry that packages come from."},
	{KEY("ca", FILE, config_upstream, ca),
	 .text = "Certificates that may sign its own; without, the system's."},
	{KEY("token", SECRET, config_upstream, token),
	 .text = "Sent to it as bearer token; to other origins it is never sent."},
	{KEY("origins", TEXTS, config_upstream, origins), .format = &format_origin,
	 .text = "Other origins that its files and redirects may lead to."},
	{.name = NULL},
};

static void upstream_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_upstream *upstream = object;

	if (!span_eq(upstream->name, SPAN("npm")) && !span_eq(upstream->name, SPAN("pypi")))
		reader_error(reader, node->where,
			     "there is no registry protocol '%.*s': npm, pypi",
			     SPAN_ARG(upstream->name));
	if (upstream->token.len && span_starts_with(upstream->url, SPAN("http://")))
		reader_warn(reader, node->where, "the token travels in the clear (http://)");
}

static const struct schema_object upstream = {
	.name = "upstream",
	.size = sizeof(struct config_upstream),
	.keys = upstream_keys,
	.has_where = true,
	.name_offset = offsetof(struct config_upstream, name),
	.finish = upstream_finish,
};

static const struct schema_name mode_names[] = {
	{"open", CONFIG_REGISTRY_OPEN},
	{"approved", CONFIG_REGISTRY_APPROVED},
	{NULL, 0},
};

static const struct schema_key registry_keys[] = {
	{KEY("mode", ENUM, config_registry, mode), .initial = "open", .names = mode_names,
	 .text = "open: what the policy does not refuse; approved: of that, what somebody has "
		 "approved."},
	{KEY("cache", OUTPUT, config_registry, cache), .flags = SCHEMA_REQUIRED,
	 .text = "Folder for indexes and files that have been let through."},
	{KEY("database", OUTPUT, config_registry, database),
	 .initial = "/var/lib/sallyport/advisories.db",
	 .text = "Compiled advisories (sallyport db update)."},
	{KEY("policy", FILE, config_registry, policy),
	 .text = "What is not taken, as for scans; without, what holds without a policy."},
	{KEY("upstreams", MAP, config_registry, upstreams), .flags = SCHEMA_REQUIRED,
	 .object = &upstream, .text = "Where packages come from, by protocol: npm, pypi."},
	{KEY("internal", TEXTS, config_registry, internal), .format = &format_any,
	 .text = "Names, with * as in @acme/*, that are yours: no upstream is asked for them."},
	{KEY("index_age", DURATION, config_registry, index_age_ms), .initial = "5m",
	 .text = "After this an upstream is asked whether an index is still the same."},
	{KEY("stale", DURATION, config_registry, stale_ms), .initial = "1d",
	 .text = "An index is used for so long while its upstream is away."},
	{KEY("connect_timeout", DURATION, config_registry, connect_ms), .initial = "5s",
	 .min = 10, .max = 60000, .text = "For a connection to an upstream."},
	{KEY("stall_timeout", DURATION, config_registry, stall_ms), .initial = "20s",
	 .min = 1000, .max = 600000, .text = "Given up when nothing has come for so long."},
	{KEY("timeout", DURATION, config_registry, timeout_ms), .initial = "5m", .min = 1000,
	 .max = 3600000, .text = "Of the whole of a request to an upstream."},
	{KEY("max_index", SIZE, config_registry, index_bytes), .initial = "32M", .min = 1024,
	 .max = 1 << 30, .text = "Of an index."},
	{KEY("max_file", SIZE, config_registry, file_bytes), .initial = "512M", .min = 1024,
	 .text = "Of a file."},
	{KEY("threads", COUNT, config_registry, threads), .initial = "8", .min = 1, .max = 64,
	 .text = "Requests that are worked on at once; each may take eight times max_index of "
		 "memory."},
	{.name = NULL},
};

static void registry_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_registry *registry = object;

	if (registry->upstreams.count == 0)
		reader_error(reader, node->where, "name an upstream");
}

const struct schema_object schema_registry = {
	.name = "registry",
	.size = sizeof(struct config_registry),
	.keys = registry_keys,
	.has_where = true,
	.finish = registry_finish,
};
