/*
 * advisory_db.h - the compiled advisory database, mapped and read in place: opening costs a look at
 * its header whatever its size, looking a package up some memory accesses. Any number of processes
 * may have it open; replacing the file leaves them the old one. Text that is handed out lives as
 * long as the database is open. A damaged file gives errors or less results, never a read outside
 * of it.
 */
#ifndef SUPPLY_ADVISORY_DB_H
#define SUPPLY_ADVISORY_DB_H

#include "supply/db_format.h"

struct advisory_db;

/*
 * NULL with *err: ERR_NOT_FOUND, ERR_IO, ERR_INVALID for what is no database, of another version
 * or byte order, cut short or damaged in its header, ERR_MEMORY.
 */
struct advisory_db *advisory_db_open(const char *path, struct err *err) MUST_CHECK;
/* The same on bytes, aligned to 8, that must outlive it. */
struct advisory_db *advisory_db_open_bytes(struct span bytes, struct err *err) MUST_CHECK;
/* NULL is allowed. */
void advisory_db_close(struct advisory_db *db);
/* Reads all of the file and compares its hash: 0, or -1 with ERR_INVALID. */
int advisory_db_verify(const struct advisory_db *db, struct err *err) MUST_CHECK;

const struct db_header *advisory_db_header(const struct advisory_db *db);
uint64_t advisory_db_rows(const struct advisory_db *db, enum db_section section);

/* The package's row, or NULL: by ecosystem (a suffix is not looked at) and name, in any form. */
const struct db_package *advisory_db_package(const struct advisory_db *db,
					     struct span ecosystem, struct span name);

/* Rows by index, NULL past the end. */
const struct db_package *db_package_at(const struct advisory_db *db, uint64_t index);
const struct db_affected *db_affected_at(const struct advisory_db *db, uint64_t index);
const struct db_range *db_range_at(const struct advisory_db *db, uint64_t index);
const struct db_event *db_event_at(const struct advisory_db *db, uint64_t index);
const struct db_advisory *db_advisory_at(const struct advisory_db *db, uint64_t index);
const struct db_epss *db_epss_at(const struct advisory_db *db, uint64_t index);
const struct db_kev *db_kev_at(const struct advisory_db *db, uint64_t index);
/* By index in DB_TEXTS, and by reference; empty when it lies outside. */
struct span db_text_at(const struct advisory_db *db, uint64_t index);
struct span db_text_of(const struct advisory_db *db, db_text ref);

/* The index of the advisory with this id, or -1. */
int64_t advisory_db_find(const struct advisory_db *db, struct span id);
/* By db_cve(); NULL when there is none. */
const struct db_epss *advisory_db_epss(const struct advisory_db *db, uint64_t cve);
const struct db_kev *advisory_db_kev(const struct advisory_db *db, uint64_t cve);

#endif
