/*
 * threat.h - the threat model of a configuration: what can go wrong at each boundary that it draws
 * (listeners, operations, services, logins, the process itself), by the categories of STRIDE
 * (Kohnfelder and Garg, 1999), and whether the configuration does something about it. What it says
 * follows from the configuration alone; nothing is opened or asked.
 */
#ifndef CONFIG_THREAT_H
#define CONFIG_THREAT_H

#include "base/finding.h"
#include "config/config.h"

enum threat_category {
	THREAT_SPOOFING,
	THREAT_TAMPERING,
	THREAT_REPUDIATION,
	THREAT_DISCLOSURE,
	THREAT_DENIAL,
	THREAT_ELEVATION,
};
#define THREAT_CATEGORIES 6

/* In ascending order of what is left to do. */
enum threat_state { THREAT_MITIGATED, THREAT_PARTLY, THREAT_OPEN };
#define THREAT_STATES 3

struct threat_kind {
	const char *id; /* stable: "threat-plain-text" */
	enum threat_category category;
	enum finding_severity severity; /* when nothing is done about it */
	const char *title; /* one sentence: what can go wrong */
	const char *advice; /* one sentence: what to do */
	const char *standards; /* "CWE-319, API8:2023" */
};

struct threat {
	const struct threat_kind *kind;
	enum threat_state state;
	struct span element; /* "operation getOrder", "service orders" */
	struct span because; /* what the configuration says that decides it */
	struct config_where where; /* of the element; file NULL where it is nowhere */
};

/* By element, in the order of the configuration; all text lives in the arena or the configuration. */
struct threat_list {
	struct arena *arena;
	struct threat *at;
	size_t count;
	bool failed;
};

/* Appends all threats. -1 when memory ran out; the list is not complete then. */
int threat_find(const struct config *cfg, struct threat_list *list) MUST_CHECK;

/* "spoofing", "information disclosure", ... */
const char *threat_category_name(enum threat_category category);
/* "mitigated", "partly", "open". */
const char *threat_state_name(enum threat_state state);
/* The kind's; a step less for what is done about in part; info for what is mitigated. */
enum finding_severity threat_severity(const struct threat *threat);

/* Adds what is not mitigated as findings. -1 when memory ran out. */
int threat_to_findings(const struct threat_list *list,
		       struct finding_list *findings) MUST_CHECK;

/* The whole model: for terminals (`detailed`: what is mitigated too), and for programs. */
void threat_text(const struct threat_list *list, bool detailed, bool coloured, struct buf *out);
void threat_json(const struct config *cfg, const struct threat_list *list, struct buf *out);
/* A page with a diagram of the flows (Mermaid) and a table an element. */
void threat_markdown(const struct config *cfg, const struct threat_list *list, struct buf *out);

#endif
