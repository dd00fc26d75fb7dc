/* db_write.h - writes sections as one database file. */
#ifndef SUPPLY_DB_WRITE_H
#define SUPPLY_DB_WRITE_H

#include "supply/db_pool.h"

/* PATH.new, made and open: its descriptor, or -1. */
int db_write_begin(const char *path, struct err *err) MUST_CHECK;
/* Fills in the rest of the header, and writes all into the file. */
int db_write_fill(int fd, struct db_header *header,
		  const struct db_column *const sections[DB_SECTIONS],
		  struct err *err) MUST_CHECK;
/* Takes the descriptor; syncs PATH.new and renames it over PATH. On failure PATH is as it was. */
int db_write_commit(const char *path, int fd, struct err *err) MUST_CHECK;
/* Takes the descriptor, removes PATH.new. Always -1. */
int db_write_abort(const char *path, int fd);

#endif
