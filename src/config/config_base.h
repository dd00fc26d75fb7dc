/* config_base.h - what the parts of the configuration are made of. See config.h. */
#ifndef CONFIG_CONFIG_BASE_H
#define CONFIG_CONFIG_BASE_H

#include <stdint.h>

#include "base/span.h"

#define CONFIG_LIST(type)                                                                      \
	struct {                                                                               \
		type *at;                                                                      \
		size_t count;                                                                  \
	}

/* Where something was written; file is the name as it was opened. Lines and columns from 1. */
struct config_where {
	const char *file;
	uint32_t line;
	uint32_t column;
};

struct config_strings {
	struct span *at;
	size_t count;
};

struct config_pair {
	struct span name;
	struct span value;
};

/* What a client or server can be reached at: "host:port", "[v6]:port" or "unix:/path". */
struct config_address {
	struct span text; /* as written */
	struct span host; /* without brackets; empty for a Unix socket. A name, IPv4 or IPv6 */
	struct span unix_path; /* empty for TCP */
	uint16_t port; /* 0 asks the kernel for one (tests) */
};

/* What happens to content that is too long to be held. */
enum config_large { CONFIG_LARGE_REFUSE, CONFIG_LARGE_STREAM };

/* "100/s": count events every per_ms. */
struct config_rate {
	uint64_t count;
	uint64_t per_ms;
};

#endif
