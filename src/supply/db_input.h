/*
 * db_input.h - what an advisory database is made of, read from files: OSV records as JSON, as JSON
 * lines or as an array; EPSS scores as CSV; the KEV catalogue as JSON. Each plain or compressed by
 * gzip, zstd, xz or bzip2, or as members of a zip or tar archive. What a file holds is told by its
 * content, not by its name.
 */
#ifndef SUPPLY_DB_INPUT_H
#define SUPPLY_DB_INPUT_H

#include "base/buf.h"
#include "supply/db_build.h"

struct db_input_limits {
	size_t record_bytes; /* of one JSON document or line */
	uint64_t total_bytes; /* of one file, unpacked */
};
#define DB_INPUT_LIMITS_DEFAULT                                                                \
	((struct db_input_limits){.record_bytes = (size_t)64 << 20,                            \
				  .total_bytes = (uint64_t)16 << 30})

struct db_input_counts {
	uint64_t advisories;
	uint64_t scores;
	uint64_t exploited;
};

/*
 * Reads a whole file into the builder and adds to the counts. -1 with *err, which names the
 * member and the record: ERR_IO, ERR_SYNTAX, ERR_INVALID (nothing that we know, a damaged
 * archive), ERR_LIMIT, ERR_MEMORY.
 */
int db_input_file(struct db_builder *b, const char *path, const struct db_input_limits *limits,
		  struct db_input_counts *counts, struct err *err) MUST_CHECK;

/* One stream of bytes, however it is cut into pieces. */
struct db_input {
	struct db_builder *builder;
	struct db_input_counts *counts;
	struct db_input_limits limits;
	struct arena arena; /* of one record */
	struct buf record;
	uint64_t records;
	unsigned depth;
	bool in_string;
	bool escaped;
	bool csv;
	bool started;
};

void db_input_init(struct db_input *in, struct db_builder *b,
		   const struct db_input_limits *limits, struct db_input_counts *counts);
void db_input_release(struct db_input *in);
int db_input_feed(struct db_input *in, struct span piece, struct err *err) MUST_CHECK;
int db_input_finish(struct db_input *in, struct err *err) MUST_CHECK;

#endif
