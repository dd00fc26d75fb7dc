/*
 * db_import.h - makes or extends an advisory database from files. They are read in a sandboxed child
 * (child.h), which writes the new database into a file that is open already; only when it is whole
 * does it replace the old one.
 */
#ifndef SUPPLY_DB_IMPORT_H
#define SUPPLY_DB_IMPORT_H

#include "supply/child.h"
#include "supply/db_input.h"

struct db_import {
	const char *path; /* of the database */
	bool fresh; /* start from nothing instead of what it holds */
	const char *const *files;
	size_t file_count; /* at most CHILD_PATHS_MAX */
	struct db_input_limits limits;
	struct child_limits child;
};

struct db_imported {
	struct db_input_counts counts; /* of the files */
	uint64_t total; /* advisories in the database */
};

/*
 * One at a time: ERR_UNAVAILABLE when another import of the database runs. Else fails as
 * db_input_file, db_builder_write and child_run do, and the database is as it was.
 */
int db_import(const struct db_import *import, struct db_imported *result,
	      struct err *err) MUST_CHECK;

#endif
