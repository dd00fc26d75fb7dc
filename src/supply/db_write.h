/* db_write.h - writes sections as one database file. */
#ifndef SUPPLY_DB_WRITE_H
#define SUPPLY_DB_WRITE_H

#include "supply/db_pool.h"

/*
 * Fills in the rest of the header and writes all to PATH.new, which is synced and then renamed
 * over PATH. On failure PATH is as it was.
 */
int db_write(const char *path, struct db_header *header,
	     const struct db_column *const sections[DB_SECTIONS], struct err *err) MUST_CHECK;

#endif
