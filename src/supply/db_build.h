/*
 * db_build.h - makes an advisory database: records are added in any order, then all is written
 * to a file in one atomic step. A record with an id that was added before replaces it, unless it
 * is older. After a failure a builder is good for db_builder_free only.
 */
#ifndef SUPPLY_DB_BUILD_H
#define SUPPLY_DB_BUILD_H

#include "supply/advisory_db.h"
#include "supply/osv.h"

struct db_builder;

/* NULL when memory ran out. */
struct db_builder *db_builder_new(void);
void db_builder_free(struct db_builder *b);
/* Copies what it needs; puts the advisory's events and versions into order. -1: ERR_MEMORY; ERR_LIMIT when indexes of 32 bits do not reach. */
int db_builder_add(struct db_builder *b, const struct osv_advisory *advisory,
		   struct err *err) MUST_CHECK;
/* Everything of an open database, as if its sources were added again. */
int db_builder_add_all(struct db_builder *b, const struct advisory_db *db,
		       struct err *err) MUST_CHECK;
/*
 * Replaces all EPSS scores, or all of the KEV catalogue, that there are: begin, then any number of
 * puts. `day_s` is the day of publication.
 */
void db_builder_begin_epss(struct db_builder *b, int64_t day_s);
int db_builder_put_epss(struct db_builder *b, const struct db_epss *score,
			struct err *err) MUST_CHECK;
void db_builder_begin_kev(struct db_builder *b, int64_t day_s);
int db_builder_put_kev(struct db_builder *b, const struct db_kev *entry,
		       struct err *err) MUST_CHECK;
/* Advisories so far, without those that were replaced. */
uint32_t db_builder_count(const struct db_builder *b);
/*
 * Writes PATH.new beside PATH, syncs it and renames it over PATH: who has the old one open keeps
 * it. Ends the builder's use but for db_builder_free.
 */
int db_builder_write(struct db_builder *b, const char *path, struct err *err) MUST_CHECK;
/* The same into an empty file that is open for reading and writing, without syncing it. */
int db_builder_write_to(struct db_builder *b, int fd, struct err *err) MUST_CHECK;

#endif
