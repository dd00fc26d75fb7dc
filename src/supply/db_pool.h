/* db_pool.h - growing columns of rows, an index from hashes to rows, and pooled texts. */
#ifndef SUPPLY_DB_POOL_H
#define SUPPLY_DB_POOL_H

#include "supply/db_format.h"

/* Rows of one size, in one piece of memory that moves when it grows. */
struct db_column {
	char *at;
	size_t row_bytes;
	size_t count;
	size_t capacity;
};

void db_column_init(struct db_column *c, size_t row_bytes);
void db_column_release(struct db_column *c);
/* Appends `count` rows; -1 when memory ran out or there would be more than 2^32 - 2. */
int db_column_append(struct db_column *c, const void *rows, size_t count) MUST_CHECK;

/* From hashes to numbers; several numbers may have one hash. */
struct db_index {
	struct db_index_slot *slots;
	size_t capacity; /* 0 or a power of two */
	size_t count;
};

void db_index_release(struct db_index *ix);
int db_index_add(struct db_index *ix, uint64_t hash, uint32_t value) MUST_CHECK;
/* *cursor starts at 0. The next value with this hash; false when there is no more. */
bool db_index_next(const struct db_index *ix, uint64_t hash, size_t *cursor, uint32_t *value);
/* Texts, each once. */
struct db_pool {
	struct db_column bytes;
	struct db_index index;
};

int db_pool_init(struct db_pool *p) MUST_CHECK;
void db_pool_release(struct db_pool *p);
/* The reference of a text; -1 when memory ran out or 4 GiB are full. */
int db_pool_put(struct db_pool *p, struct span text, db_text *ref) MUST_CHECK;
/* Until the next put. */
struct span db_pool_text(const struct db_pool *p, db_text ref);

#endif
