/*
 * sql.h - what the two SQL back ends share: the statements in a dialect that both speak, and the
 * store's operations made of them. Private to src/store.
 */
#ifndef STORE_SQL_H
#define STORE_SQL_H

#include "store/backend.h"

enum sql_statement {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_GET,
	SQL_PUT_ANY,
	SQL_PUT_ABSENT,
	SQL_PUT_VERSION,
	SQL_REMOVE_ANY,
	SQL_REMOVE_VERSION,
	SQL_INDEX_CLEAR,
	SQL_INDEX_PUT,
	SQL_LIST,
	SQL_FIND,
	SQL_COUNT,
	SQL_COUNT_GET,
	SQL_COUNT_CLEAR,
	SQL_SWEEP_RECORDS,
	SQL_SWEEP_COUNTERS,
	SQL_STATEMENT_COUNT,
};

/* With parameters $1, $2 ...; a driver gives its own text for SQL_BEGIN. */
extern const char *const sql_texts[SQL_STATEMENT_COUNT];
/* The version of the tables that this program makes. */
#define SQL_SCHEMA_VERSION 1

struct sql_value {
	bool is_int;
	int64_t number;
	struct span bytes;
};

static inline struct sql_value sql_int(int64_t number)
{
	return (struct sql_value){.is_int = true, .number = number};
}

static inline struct sql_value sql_bytes(struct span bytes)
{
	return (struct sql_value){.bytes = bytes};
}

#define SQL_COLUMNS_MAX 4
struct sql_row {
	struct sql_value columns[SQL_COLUMNS_MAX];
};

struct sql_result {
	struct arena *arena; /* NULL: rows are not wanted */
	struct sql_row *rows;
	size_t count;
	size_t room;
	int64_t changed; /* rows that the statement has changed */
};

/*
 * Where a row is to be put, or NULL when out of memory. For drivers.
 */
struct sql_row *sql_add_row(struct sql_result *result) MUST_CHECK;

enum sql_outcome {
	SQL_OK,
	SQL_RETRY, /* another transaction was in the way: roll back and start over */
	SQL_FAILED,
};

struct sql_connection {
	struct store_connection base; /* first */
	enum sql_outcome (*run)(struct sql_connection *connection, enum sql_statement statement,
				const struct sql_value *values, size_t count,
				struct sql_result *result, struct err *err);
};

/* For the tables of back ends: `connection` is a struct sql_connection. */
enum store_result sql_get(struct store_connection *connection, struct span kind,
			  struct span key, int64_t now_ms, struct arena *arena,
			  struct store_record *record, struct err *err);
enum store_result sql_commit(struct store_connection *connection,
			     const struct store_change *changes, const uint64_t *versions,
			     size_t count, int64_t now_ms, struct err *err);
enum store_result sql_range(struct store_connection *connection,
			    const struct store_range *range, int64_t now_ms,
			    struct arena *arena, struct store_page *page, struct err *err);
enum store_result sql_count(struct store_connection *connection, struct span key, int64_t by,
			    int64_t ttl_ms, enum store_count_life life, int64_t now_ms,
			    struct store_counter *counter, struct err *err);
enum store_result sql_count_clear(struct store_connection *connection, struct span key,
				  struct err *err);
enum store_result sql_sweep(struct store_connection *connection, size_t limit, int64_t now_ms,
			    size_t *removed, struct err *err);

#endif
