#include "config/reader.h"
#include "config/schema_parts.h"

#define KEY_BYTES_MIN 16

static const struct schema_name kind_names[] = {
	{"cookie", CONFIG_CHALLENGE_COOKIE},
	{"work", CONFIG_CHALLENGE_WORK},
	{NULL, 0},
};

const struct schema_name schema_challenge_when_names[] = {
	{"off", CONFIG_CHALLENGE_OFF},
	{"overload", CONFIG_CHALLENGE_OVERLOAD},
	{"always", CONFIG_CHALLENGE_ALWAYS},
	{NULL, 0},
};

static void challenge_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_challenge *challenge = object;

	if (challenge->key.len && challenge->key.len < KEY_BYTES_MIN)
		reader_error(reader, node->where,
			     "the key of 'challenge' must have %d bytes or more",
			     KEY_BYTES_MIN);
}

static const struct schema_key challenge_keys[] = {
	{KEY("kind", ENUM, config_challenge, kind), .initial = "work", .names = kind_names,
	 .text = "Compute for a moment, in the page's script; or only keep a cookie."},
	{KEY("bits", COUNT, config_challenge, bits), .initial = "16", .min = 1, .max = 32,
	 .text = "Work: each bit more doubles it; 16 is about a tenth of a second."},
	{KEY("valid", DURATION, config_challenge, valid_ms), .initial = "1h", .min = 10000,
	 .text = "Then it is asked for again."},
	{KEY("key", SECRET, config_challenge, key),
	 .text = "What proofs are signed with, the same on all replicas; without, each process "
		 "makes its own."},
	{.name = NULL},
};

const struct schema_object schema_challenge = {
	.name = "challenge",
	.size = sizeof(struct config_challenge),
	.keys = challenge_keys,
	.finish = challenge_finish,
	.shorthand = "kind",
};
