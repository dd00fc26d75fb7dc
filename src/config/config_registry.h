/* config_registry.h - the firewall before package registries. Included by config.h. */
#ifndef CONFIG_CONFIG_REGISTRY_H
#define CONFIG_CONFIG_REGISTRY_H

#include "base/secret.h"
#include "config/config_base.h"

enum config_registry_mode {
	CONFIG_REGISTRY_OPEN, /* what the policy does not refuse */
	CONFIG_REGISTRY_APPROVED, /* of that, what somebody has approved */
};

struct config_upstream {
	struct config_where where;
	struct span name; /* of the protocol: "npm" */
	struct span url;
	struct span ca; /* empty: the system's */
	struct secret token; /* len 0: none */
	struct config_strings origins; /* others that its files may come from */
};

struct config_registry {
	struct config_where where;
	enum config_registry_mode mode;
	struct span cache; /* folder */
	struct span database; /* compiled advisories */
	struct span policy; /* empty: what holds without one */
	CONFIG_LIST(struct config_upstream) upstreams;
	struct config_strings internal; /* names that no upstream is asked for */
	uint64_t
		index_age_ms; /* after this the upstream is asked whether an index is still so */
	uint64_t stale_ms; /* as long an index is used while the upstream is away */
	uint64_t connect_ms;
	uint64_t stall_ms;
	uint64_t timeout_ms; /* of the whole of a request to an upstream */
	uint64_t index_bytes;
	uint64_t file_bytes;
	uint32_t threads;
	struct span mount; /* path of its route, without what is below; filled in by checks */
};

#endif
