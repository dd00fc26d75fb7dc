/* config_patch.h - virtual patches. Included by config.h. */
#ifndef CONFIG_CONFIG_PATCH_H
#define CONFIG_CONFIG_PATCH_H

#include "config/config_base.h"
#include "config/config_waf.h"

struct config_patch {
	struct config_where where;
	struct span name;
	struct config_strings vulnerabilities; /* at least one */
	struct config_strings services; /* none: all */
	struct config_strings operations; /* none: all */
	struct span template; /* empty where `rules` or `text` is given */
	struct span rules; /* file; empty: `text`, or the template */
	struct span text; /* rules in SecLang; empty: none */
	enum config_waf_mode mode; /* OBSERVE or BLOCK */
	struct span expires; /* as written; empty: never */
	int64_t expires_unix_ms; /* 0: never */
};

#endif
