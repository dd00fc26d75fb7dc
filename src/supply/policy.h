/*
 * policy.h - one file that says what a scan does not take: severities, ages, licences, components,
 * labels; what is excepted, whose waivers count, what VEX documents say, and which files belong to
 * which service. Described by a table, from which docs/policy.schema.json and the reference in
 * docs/policy.md are made.
 */
#ifndef SUPPLY_POLICY_H
#define SUPPLY_POLICY_H

#include "config/table.h"
#include "supply/advisory_db.h"
#include "supply/licence.h"
#include "supply/result.h"

enum policy_action { POLICY_IGNORE, POLICY_WARN, POLICY_FAIL };

/* From this severity on; FINDING_SEVERITIES: never. */
struct policy_levels {
	unsigned fail;
	unsigned warn; /* what is less severe is not shown */
};

struct policy_vulnerabilities {
	struct policy_levels levels;
	enum policy_action exploited; /* at least, of those known to be exploited */
	enum policy_action unfixed; /* at most */
	enum policy_action development; /* at most, of components used in development only */
	enum policy_action unexposed; /* at most, of services that the gateway does not serve */
	uint32_t epss_percent; /* this likely to be exploited: fails; 0: not asked */
	uint64_t grace_ms; /* an advisory that is younger only warns */
	uint64_t overdue_ms; /* one that is older, and has a fix, fails; 0: never */
};

struct policy_licences {
	struct config_strings allow; /* empty: all that is not denied */
	struct config_strings deny;
	enum policy_action denied;
	enum policy_action unknown; /* none is declared, or it is no SPDX expression */
	bool development; /* components used in development only, too */
};

struct policy_denied {
	struct config_where where;
	struct span purl;
	struct span versions; /* empty: all */
	struct span reason;
	struct span instead; /* may be empty */
	enum policy_action action;
};

struct policy_components {
	CONFIG_LIST(struct policy_denied) deny;
	uint64_t min_age_ms; /* releases that are younger, where the source tells; 0: any */
	uint64_t max_age_ms;
	enum policy_action age;
};

struct policy_database {
	uint64_t max_age_ms;
	enum policy_action stale;
};

struct policy_labels {
	struct config_strings required; /* of images */
	enum policy_action missing;
};

/* What is empty does not restrict. */
struct policy_scope {
	struct span component; /* see pattern_purl */
	struct span versions;
	struct span path;
	struct span service;
};

struct policy_exception {
	struct config_where where;
	struct span id;
	struct policy_scope scope;
	struct span reason;
	struct span until; /* the last day; empty: for good */
};

struct policy_champion {
	struct config_where where;
	struct span name;
	struct span key; /* Ed25519, base64 */
};

struct policy_file {
	struct span file;
};

struct policy_service {
	struct config_where where;
	struct span name; /* as the gateway's configuration calls it */
	struct config_strings paths;
	struct config_strings images; /* patterns of their names */
};

struct policy {
	struct policy_vulnerabilities vulnerabilities;
	struct policy_levels misconfigurations;
	struct policy_levels secrets;
	struct policy_levels imported;
	struct policy_licences licences;
	struct policy_components components;
	struct policy_database database;
	struct policy_labels labels;
	CONFIG_LIST(struct policy_exception) exceptions;
	CONFIG_LIST(struct policy_champion) champions;
	CONFIG_LIST(struct policy_file) waivers;
	CONFIG_LIST(struct policy_file) vex;
	CONFIG_LIST(struct policy_service) services;
	struct table_memory memory;
};

/* The table; its struct is struct policy. */
extern const struct schema_object policy_schema;
extern const struct schema_name policy_severity_names[];
extern const struct schema_format policy_format_text; /* of several lines */
extern const struct schema_format policy_format_purl;
extern const struct schema_format policy_format_versions;
extern const struct schema_format policy_format_day;
extern const struct schema_format policy_format_key;

/*
 * -1 with at least one error in *problems. Either way release it. Files that it names are resolved
 * against its folder, and not opened.
 */
int policy_load(struct policy *policy, const char *path,
		struct config_problems *problems) MUST_CHECK;
int policy_load_text(struct policy *policy, struct span text, const char *name,
		     struct config_problems *problems) MUST_CHECK;
/* What holds without a file. */
int policy_load_default(struct policy *policy, struct config_problems *problems) MUST_CHECK;
/* A zeroed policy is allowed. */
void policy_release(struct policy *policy);

/* Fills in the results' services by their files, or the name of what was scanned. */
void policy_find_services(const struct policy *policy, struct result_list *results);
struct span policy_service_of(const struct policy *policy, const struct inventory *inv,
			      struct span file);

/*
 * Adds what the policy itself finds (licences, denied components, labels, ages) to the results.
 * `db` may be NULL. -1 when memory ran out.
 */
int policy_find(const struct policy *policy, const struct advisory_db *db, int64_t now_s,
		struct result_list *results) MUST_CHECK;
/* Decides which results fail, and applies exceptions. After policy_find_services. */
void policy_judge(const struct policy *policy, const struct advisory_db *db, int64_t now_s,
		  struct result_list *results);

/* Does a result lie in it? */
bool policy_scope_holds(const struct policy_scope *scope, const struct inventory *inv,
			const struct result *r);

/*
 * SPDX expressions against the lists; an element may end in '*', or be "A WITH B". A licence with
 * '+' is also sought without it.
 */
enum licence_verdict policy_licence(const struct policy_licences *licences,
				    struct span expression);

#endif
