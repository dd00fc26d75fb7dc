/*
 * db_format.h - the layout of the advisory database: a header and sections of fixed-size rows, in
 * the byte order of the machine that built it, meant to be mapped and read in place. Rows refer to
 * each other by index and to text by offset; nothing in the file is trusted, every access through
 * advisory_db.h is checked against its section.
 */
#ifndef SUPPLY_DB_FORMAT_H
#define SUPPLY_DB_FORMAT_H

#include <stdint.h>

#include "supply/osv.h"

#define DB_MAGIC "SPADVDB\n"
/* Raised with each change of the layout, of a key's normal form or of its hash. */
#define DB_VERSION 1
#define DB_BYTE_ORDER 0x01020304u
/* Names of packages in normal form are at most this long; longer ones are not taken. */
#define DB_NAME_MAX 512

/* Offset of a text in DB_STRINGS, where its length stands before its bytes; 0 is the empty text. */
typedef uint32_t db_text;

enum db_section {
	DB_STRINGS, /* bytes */
	DB_SLOTS, /* uint32_t: index in DB_PACKAGES + 1, 0 is free; a power of two, open addressing */
	DB_PACKAGES,
	DB_AFFECTED, /* by package */
	DB_RANGES,
	DB_EVENTS, /* of a range: in ascending order */
	DB_TEXTS, /* db_text: versions in ascending order, aliases, upstream ids */
	DB_ADVISORIES, /* by id, in byte order */
	DB_EPSS, /* by CVE */
	DB_KEV, /* by CVE */
};
#define DB_SECTIONS 10

struct db_extent {
	uint64_t offset; /* from the start of the file, a multiple of 8 */
	uint64_t count; /* rows */
};

struct db_header {
	char magic[8];
	uint32_t version;
	uint32_t byte_order;
	uint64_t file_bytes;
	int64_t built_s; /* since 1970 */
	int64_t newest_s; /* the latest `modified` of an advisory */
	int64_t epss_s; /* the day of the EPSS scores, 0: none */
	int64_t kev_s;
	uint64_t body_hash; /* of all behind the header */
	struct db_extent sections[DB_SECTIONS];
	uint64_t header_hash; /* of all before */
};

struct db_package {
	uint64_t hash;
	db_text ecosystem; /* in lower case, without suffix */
	db_text name; /* in normal form */
	uint32_t affected; /* the first */
	uint32_t affected_count;
};

struct db_affected {
	uint32_t advisory;
	db_text ecosystem; /* as written, with suffix */
	db_text name; /* as written */
	uint32_t ranges;
	uint32_t range_count;
	uint32_t versions; /* in DB_TEXTS */
	uint32_t version_count;
	db_text vectors[OSV_SEVERITY_TYPES];
};

struct db_range {
	uint32_t type; /* enum osv_range_type */
	db_text repo;
	uint32_t events;
	uint32_t event_count;
};

struct db_event {
	uint32_t kind; /* enum osv_event_kind */
	db_text version;
};

struct db_advisory {
	int64_t modified_s;
	int64_t published_s;
	int64_t withdrawn_s;
	db_text id;
	db_text summary;
	db_text link;
	db_text word;
	db_text vectors[OSV_SEVERITY_TYPES];
	uint32_t aliases; /* in DB_TEXTS, the upstream ids behind them */
	uint32_t alias_count;
	uint32_t upstream_count;
};

/* A CVE as a number: year × 2^32 + number. */
struct db_epss {
	uint64_t cve;
	uint32_t probability_ppm;
	uint32_t percentile_ppm;
};

struct db_kev {
	uint64_t cve;
	int64_t added_s;
	int64_t due_s;
	uint32_t ransomware; /* 1: known to be used by ransomware */
	uint32_t unused;
};

/* Bytes of a row; 1 for DB_STRINGS. */
size_t db_row_bytes(enum db_section section);
/* With a fixed key: the file outlives the process. */
uint64_t db_hash(struct span s);
uint64_t db_package_hash(struct span ecosystem, struct span name);

/*
 * The ecosystem without suffix and in lower case, the name as its ecosystem compares names. `to`
 * has DB_NAME_MAX bytes; false when it does not fit.
 */
bool db_normal_ecosystem(struct span ecosystem, char to[DB_NAME_MAX], struct span *normal);
bool db_normal_name(struct span normal_ecosystem, struct span name, char to[DB_NAME_MAX],
		    struct span *normal);
/* "CVE-2024-3094" as a number; 0 when the text is none. */
uint64_t db_cve(struct span id);

#endif
