#include "config/schema_parts.h"
#include "parse/base64.h"

static const struct schema_name event_names[] = {
	{"approvals", CONFIG_WEBHOOK_APPROVALS},
	{"procedures", CONFIG_WEBHOOK_PROCEDURES},
	{NULL, 0},
};

static const struct schema_key webhook_keys[] = {
	{KEY("url", TEXT, config_webhook, url), .flags = SCHEMA_REQUIRED | SCHEMA_ORIGIN,
	 .format = &format_url, .text = "Where events are posted; redirects are not followed."},
	{KEY("secret", SECRET, config_webhook, secret), .flags = SCHEMA_REQUIRED,
	 .text = "Key of the signature: whsec_ and base64, or the bytes themselves."},
	{KEY("ca", FILE, config_webhook, ca),
	 .text = "Certificates that may sign the server's; without, the system's."},
	{KEY("events", FLAGS, config_webhook, events), .names = event_names,
	 .text = "What it hears of by itself: approvals, procedures. A procedure's steps may "
		 "name any webhook."},
	{KEY("timeout", DURATION, config_webhook, timeout_ms), .initial = "10s", .min = 100,
	 .max = 120000, .text = "Of an attempt."},
	{KEY("backoff", DURATION, config_webhook, backoff_ms), .initial = "5s", .min = 10,
	 .text = "Before the second attempt; doubles each time, with jitter."},
	{KEY("max_backoff", DURATION, config_webhook, max_backoff_ms), .initial = "1h",
	 .min = 10, .text = "Between two attempts."},
	{KEY("max_age", DURATION, config_webhook, max_age_ms), .initial = "24h", .min = 1000,
	 .text = "Not delivered in this time: it goes to the dead letters."},
	{KEY("concurrent", COUNT, config_webhook, concurrent), .initial = "2", .min = 1,
	 .max = 32, .text = "Attempts at once."},
	{KEY("queue", COUNT, config_webhook, queue), .initial = "1000", .min = 1, .max = 10000,
	 .text = "Deliveries that wait, at most; more are dropped and counted."},
	{.name = NULL},
};

static void webhook_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	struct config_webhook *hook = object;
	struct span secret = secret_span(&hook->secret);
	struct span digits = span_slice(secret, 6, secret.len);
	char bytes[512];
	size_t len;

	if (hook->max_backoff_ms < hook->backoff_ms) {
		if (tree_get(node, "max_backoff"))
			reader_error(reader, node->where,
				     "'max_backoff' is less than 'backoff'");
		hook->max_backoff_ms = hook->backoff_ms;
	}
	if (!span_starts_with(secret, SPAN("whsec_"))) {
		if (secret.len && secret.len < 16)
			reader_error(reader, node->where, "'secret' has fewer than 16 bytes");
		return;
	}
	if (base64_decoded_max(digits.len) > sizeof(bytes) ||
	    !base64_decode(bytes, &len, digits) || len < 16)
		reader_error(reader, node->where,
			     "'secret': after whsec_ comes base64 of at least 16 bytes");
	secret_wipe(bytes, sizeof(bytes));
}

const struct schema_object schema_webhook = {
	.name = "webhook",
	.size = sizeof(struct config_webhook),
	.keys = webhook_keys,
	.has_where = true,
	.name_offset = offsetof(struct config_webhook, name),
	.finish = webhook_finish,
};
