/*
 * osv.h - one vulnerability record of the Open Source Vulnerability format, schema 1.6 and later
 * minor versions, read into plain data. Only what matching, ranking and reporting use is kept;
 * fields that are not known are passed over.
 */
#ifndef SUPPLY_OSV_H
#define SUPPLY_OSV_H

#include "base/arena.h"
#include "base/err.h"

enum osv_event_kind {
	OSV_INTRODUCED,
	OSV_FIXED,
	OSV_LAST_AFFECTED,
	OSV_LIMIT,
};

struct osv_event {
	enum osv_event_kind kind;
	struct span version; /* "0" with OSV_INTRODUCED: before all versions */
};

enum osv_range_type {
	OSV_RANGE_SEMVER,
	OSV_RANGE_ECOSYSTEM,
	OSV_RANGE_GIT, /* of commits; `repo` says of which repository */
};

struct osv_range {
	enum osv_range_type type;
	struct span repo;
	struct osv_event *events;
	uint32_t event_count;
};

enum osv_severity_type { OSV_CVSS_V2, OSV_CVSS_V3, OSV_CVSS_V4 };
#define OSV_SEVERITY_TYPES 3

struct osv_affected {
	struct span
		ecosystem; /* with its suffix, "Debian:12"; empty when there is no package */
	struct span name;
	struct osv_range *ranges;
	uint32_t range_count;
	struct span *versions;
	uint32_t version_count;
	struct span vectors[OSV_SEVERITY_TYPES]; /* empty: see the advisory's */
};

struct osv_advisory {
	struct span id;
	struct span summary; /* else the first line of the details; may be empty */
	struct span link; /* of type ADVISORY if there is one, else WEB; may be empty */
	int64_t modified_s; /* since 1970, 0: not known */
	int64_t published_s;
	int64_t withdrawn_s; /* 0: not withdrawn */
	struct span vectors[OSV_SEVERITY_TYPES];
	struct span word; /* of database_specific: "LOW", "unmaintained" ...; may be empty */
	struct span *aliases;
	uint32_t alias_count;
	struct span *upstream; /* what this one repeats for a distribution */
	uint32_t upstream_count;
	struct osv_affected *affected;
	uint32_t affected_count;
};

/*
 * Reads one record. Everything lives in the arena or points into `text`, which must live as long.
 * -1: ERR_SYNTAX when it is no JSON, ERR_INVALID when it is no OSV record (the message says where),
 * ERR_MEMORY.
 */
int osv_read(struct arena *a, struct span text, struct osv_advisory *advisory,
	     struct err *err) MUST_CHECK;

struct json;
/* The same from a document that is parsed already. */
int osv_read_json(struct arena *a, const struct json *document, struct osv_advisory *advisory,
		  struct err *err) MUST_CHECK;

/* RFC 3339 to seconds since 1970; 0 when it is none. */
int64_t osv_time_s(struct span text);

#endif
