/* config_waf.h - the web application firewall. Included by config.h. */
#ifndef CONFIG_CONFIG_WAF_H
#define CONFIG_CONFIG_WAF_H

#include <stdint.h>

#include "base/span.h"
#include "config/config_base.h"

/* Of routes and services; CONFIG_WAF_MODE_INHERIT: as the level above says. */
enum config_waf_mode {
	CONFIG_WAF_MODE_INHERIT,
	CONFIG_WAF_MODE_OFF,
	CONFIG_WAF_MODE_OBSERVE,
	CONFIG_WAF_MODE_BLOCK
};

/* What rules do not look at; what is empty or 0 does not restrict. */
struct config_waf_exclusion {
	struct config_where where;
	uint32_t rule; /* id; with `to` the first of a range */
	uint32_t to;
	struct span tag;
	struct span target; /* "ARGS:name", "REQUEST_COOKIES:/^x/" */
	struct span path; /* "/a", or "/a/" + "*" */
};

/* What happens to bodies of responses that are longer than what is inspected of them. */
enum config_waf_large {
	CONFIG_WAF_LARGE_RULES, /* what SecResponseBodyLimitAction says */
	CONFIG_WAF_LARGE_BEGINNING,
	CONFIG_WAF_LARGE_REFUSE
};

/* How bodies of responses come that are to be inspected. */
enum config_waf_coding {
	CONFIG_WAF_CODING_DECODE, /* the service may code them: rules see a decoded copy */
	CONFIG_WAF_CODING_PLAIN /* the service is asked for plain ones */
};

/* Rules of phases 3 and 4. */
struct config_waf_response {
	bool inspect;
	uint64_t limit_bytes; /* of a body; 0: the rules' own */
	enum config_waf_large large;
	struct config_strings types; /* of bodies; none: the rules' own */
	enum config_waf_coding coding;
};

/* What @rbl asks. */
struct config_waf_lists {
	uint64_t timeout_ms; /* then the list has not answered */
	uint64_t unlisted_ms; /* "no such name" is remembered so long */
	uint32_t names; /* answers that a worker remembers */
	struct config_strings servers; /* none: those of resolv.conf */
};

/* What @inspectFile and exec may run. */
struct config_waf_programs {
	struct config_strings allow;
	uint64_t timeout_ms; /* from when it is asked until it has ended */
	uint32_t at_once; /* that run, and as many may wait */
	uint64_t memory_bytes; /* of the address space of each */
	struct config_strings read; /* folders and files, beside those of the system */
	struct config_strings write;
};

struct config_waf {
	struct config_where where;
	struct config_strings rules; /* "owasp-crs" or files */
	uint32_t paranoia; /* 1 to 4 */
	enum config_waf_mode mode; /* never CONFIG_WAF_MODE_INHERIT */
	uint32_t inbound_threshold; /* anomaly score at which to block; 0: the rules' own */
	uint32_t outbound_threshold;
	uint32_t sample_percent; /* of requests that are inspected */
	uint64_t pattern_time_ms; /* of patterns in the long values of a request */
	enum config_large large; /* bodies over limits.body_buffer; STREAM: their beginning */
	struct span cache; /* folder for compiled pattern databases; empty: none */
	struct span log; /* file: one JSON record a transaction that matched; empty: the log */
	struct config_waf_response response;
	struct config_waf_lists block_lists;
	struct config_waf_programs programs;
	CONFIG_LIST(struct config_waf_exclusion) exclusions;
};

#endif
