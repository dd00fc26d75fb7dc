/* config_challenge.h - what clients must do before they are let on. See config.h. */
#ifndef CONFIG_CONFIG_CHALLENGE_H
#define CONFIG_CONFIG_CHALLENGE_H

#include "base/secret.h"
#include "config/config_base.h"

enum config_challenge_kind {
	CONFIG_CHALLENGE_COOKIE, /* keep a cookie */
	CONFIG_CHALLENGE_WORK, /* compute for a while */
};

struct config_challenge {
	enum config_challenge_kind kind;
	uint32_t bits; /* of work */
	uint64_t valid_ms;
	struct secret key; /* empty: each process makes its own */
};

/* On a route. */
enum config_challenge_when {
	CONFIG_CHALLENGE_OFF,
	CONFIG_CHALLENGE_OVERLOAD, /* while there is too much to do */
	CONFIG_CHALLENGE_ALWAYS,
};

#endif
