#include "store/sql.h"

#include "base/mem.h"

#define RETRIES_MAX 20

/* What has not expired; the place is that of the present time. */
#define LIVE(now) " AND (r.expires=0 OR r.expires>" now ")"
#define SELECT_RECORD "SELECT r.id,r.value,r.version,r.expires FROM "
#define INSERT_RECORD                                                                          \
	"INSERT INTO sallyport_record(kind,id,value,version,expires) VALUES($1,$2,$3,$4,$5) "  \
	"ON CONFLICT (kind,id) DO UPDATE SET value=excluded.value,version=excluded.version,"   \
	"expires=excluded.expires"

const char *const sql_texts[SQL_STATEMENT_COUNT] = {
	[SQL_BEGIN] = "BEGIN",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_GET] = SELECT_RECORD "sallyport_record r WHERE r.kind=$1 AND r.id=$2" LIVE("$3"),
	[SQL_PUT_ANY] = INSERT_RECORD,
	[SQL_PUT_ABSENT] = INSERT_RECORD " WHERE sallyport_record.expires<>0 AND "
					 "sallyport_record.expires<=$6",
	[SQL_PUT_VERSION] = "UPDATE sallyport_record AS r SET value=$3,version=$4,expires=$5 "
			    "WHERE r.kind=$1 AND r.id=$2 AND r.version=$6" LIVE("$7"),
	[SQL_REMOVE_ANY] = "DELETE FROM sallyport_record WHERE kind=$1 AND id=$2",
	[SQL_REMOVE_VERSION] = "DELETE FROM sallyport_record AS r WHERE r.kind=$1 AND r.id=$2 "
			       "AND r.version=$3" LIVE("$4"),
	[SQL_INDEX_CLEAR] = "DELETE FROM sallyport_index WHERE kind=$1 AND id=$2",
	[SQL_INDEX_PUT] = "INSERT INTO sallyport_index(kind,name,value,id) "
			  "VALUES($1,$2,$3,$4) ON CONFLICT DO NOTHING",
	[SQL_LIST] =
		SELECT_RECORD "sallyport_record r WHERE r.kind=$1 AND r.id>=$2 AND r.id<$3 "
			      "AND r.id>$4" LIVE("$5") " ORDER BY r.id LIMIT $6",
	[SQL_FIND] = SELECT_RECORD "sallyport_index i JOIN sallyport_record r ON r.kind=i.kind "
				   "AND r.id=i.id WHERE i.kind=$1 AND i.name=$2 AND i.value=$3 "
				   "AND i.id>$4" LIVE("$5") " ORDER BY i.id LIMIT $6",
	[SQL_COUNT] = "INSERT INTO sallyport_counter(id,value,expires) VALUES($1,$2,$3) "
		      "ON CONFLICT (id) DO UPDATE SET value=CASE WHEN "
		      "sallyport_counter.expires<=$4 THEN excluded.value ELSE "
		      "sallyport_counter.value+excluded.value END,expires=CASE WHEN "
		      "sallyport_counter.expires<=$4 OR $5=1 THEN excluded.expires ELSE "
		      "sallyport_counter.expires END RETURNING value,expires",
	[SQL_COUNT_GET] = "SELECT value,expires FROM sallyport_counter WHERE id=$1 AND "
			  "expires>$2",
	[SQL_COUNT_CLEAR] = "DELETE FROM sallyport_counter WHERE id=$1",
	[SQL_SWEEP_RECORDS] =
		"DELETE FROM sallyport_record WHERE (kind,id) IN (SELECT kind,id FROM "
		"sallyport_record WHERE expires<>0 AND expires<=$1 LIMIT $2) AND expires<>0 "
		"AND expires<=$1",
	[SQL_SWEEP_COUNTERS] = "DELETE FROM sallyport_counter WHERE id IN (SELECT id FROM "
			       "sallyport_counter WHERE expires<=$1 LIMIT $2) AND expires<=$1",
};

struct sql_row *sql_add_row(struct sql_result *result)
{
	if (result->count == result->room) {
		size_t room = result->room ? result->room * 2 : 4;
		struct sql_row *rows = arena_array(result->arena, struct sql_row, room);

		if (!rows)
			return NULL;
		if (result->count)
			memcpy(rows, result->rows, result->count * sizeof(*rows));
		result->rows = rows;
		result->room = room;
	}
	return &result->rows[result->count++];
}

static struct sql_connection *sql_of(struct store_connection *connection)
{
	return CONTAINER_OF(connection, struct sql_connection, base);
}

static enum sql_outcome run(struct sql_connection *c, enum sql_statement statement,
			    const struct sql_value *values, size_t count,
			    struct sql_result *result, struct err *err)
{
	struct sql_result unwanted = {.arena = NULL};

	return c->run(c, statement, values, count, result ? result : &unwanted, err);
}

static struct store_record record_of(const struct sql_row *row)
{
	return (struct store_record){.key = row->columns[0].bytes,
				     .value = row->columns[1].bytes,
				     .version = (uint64_t)row->columns[2].number,
				     .expires_unix_ms = row->columns[3].number};
}

/* A statement alone, which may meet a lock of another. */
static enum store_result run_alone(struct sql_connection *c, enum sql_statement statement,
				   const struct sql_value *values, size_t count,
				   struct sql_result *result, struct err *err)
{
	for (unsigned i = 0; i < RETRIES_MAX; i++) {
		if (result)
			result->count = 0;
		switch (run(c, statement, values, count, result, err)) {
		case SQL_OK: return STORE_OK;
		case SQL_RETRY: break;
		case SQL_FAILED: return STORE_FAILED;
		}
	}
	(void)err_set(err, ERR_UNAVAILABLE, "store: too many transactions in the way");
	return STORE_FAILED;
}

enum store_result sql_get(struct store_connection *connection, struct span kind,
			  struct span key, int64_t now_ms, struct arena *arena,
			  struct store_record *record, struct err *err)
{
	const struct sql_value values[] = {sql_bytes(kind), sql_bytes(key), sql_int(now_ms)};
	struct sql_result result = {.arena = arena};

	if (run_alone(sql_of(connection), SQL_GET, values, COUNT_OF(values), &result, err) !=
	    STORE_OK)
		return STORE_FAILED;
	if (!result.count)
		return STORE_ABSENT;
	*record = record_of(&result.rows[0]);
	return STORE_OK;
}

/* --- commit --- */

static enum sql_outcome remove_one(struct sql_connection *c, const struct store_change *change,
				   int64_t now_ms, struct sql_result *result, struct err *err)
{
	const struct sql_value values[] = {sql_bytes(change->kind), sql_bytes(change->key),
					   sql_int((int64_t)change->version), sql_int(now_ms)};
	bool any = change->expect == STORE_EXPECT_ANY;

	return run(c, any ? SQL_REMOVE_ANY : SQL_REMOVE_VERSION, values, any ? 2 : 4, result,
		   err);
}

static enum sql_outcome put_one(struct sql_connection *c, const struct store_change *change,
				uint64_t version, int64_t now_ms, struct sql_result *result,
				struct err *err)
{
	struct sql_value values[7] = {sql_bytes(change->kind), sql_bytes(change->key),
				      sql_bytes(change->value), sql_int((int64_t)version),
				      sql_int(change->expires_unix_ms)};

	switch (change->expect) {
	case STORE_EXPECT_ANY: return run(c, SQL_PUT_ANY, values, 5, result, err);
	case STORE_EXPECT_ABSENT:
		values[5] = sql_int(now_ms);
		return run(c, SQL_PUT_ABSENT, values, 6, result, err);
	case STORE_EXPECT_VERSION: break;
	}
	values[5] = sql_int((int64_t)change->version);
	values[6] = sql_int(now_ms);
	return run(c, SQL_PUT_VERSION, values, 7, result, err);
}

static enum sql_outcome put_indexes(struct sql_connection *c, const struct store_change *change,
				    struct err *err)
{
	struct sql_value values[4] = {sql_bytes(change->kind), sql_bytes(change->key)};
	enum sql_outcome outcome = run(c, SQL_INDEX_CLEAR, values, 2, NULL, err);

	values[3] = sql_bytes(change->key);
	for (size_t i = 0; i < change->index_count && outcome == SQL_OK; i++) {
		values[1] = sql_bytes(change->indexes[i].name);
		values[2] = sql_bytes(change->indexes[i].value);
		outcome = run(c, SQL_INDEX_PUT, values, 4, NULL, err);
	}
	return outcome;
}

static enum sql_outcome change_one(struct sql_connection *c, const struct store_change *change,
				   uint64_t version, int64_t now_ms, bool *conflict,
				   struct err *err)
{
	struct sql_result result = {.arena = NULL};
	enum sql_outcome outcome;

	if (change->remove)
		outcome = remove_one(c, change, now_ms, &result, err);
	else
		outcome = put_one(c, change, version, now_ms, &result, err);
	if (outcome != SQL_OK)
		return outcome;
	if (change->expect != STORE_EXPECT_ANY && result.changed == 0) {
		*conflict = true;
		return SQL_OK;
	}
	return change->remove ? SQL_OK : put_indexes(c, change, err);
}

static enum sql_outcome try_commit(struct sql_connection *c, const struct store_change *changes,
				   const uint64_t *versions, size_t count, int64_t now_ms,
				   bool *conflict, struct err *err)
{
	enum sql_outcome outcome = run(c, SQL_BEGIN, NULL, 0, NULL, err);
	struct err ignored;

	*conflict = false;
	if (outcome != SQL_OK)
		return outcome;
	for (size_t i = 0; i < count && outcome == SQL_OK && !*conflict; i++)
		outcome = change_one(c, &changes[i], versions[i], now_ms, conflict, err);
	if (outcome == SQL_OK && !*conflict)
		outcome = run(c, SQL_COMMIT, NULL, 0, NULL, err);
	if ((outcome != SQL_OK || *conflict) && !c->base.broken &&
	    run(c, SQL_ROLLBACK, NULL, 0, NULL, &ignored) != SQL_OK)
		c->base.broken = true;
	return outcome;
}

enum store_result sql_commit(struct store_connection *connection,
			     const struct store_change *changes, const uint64_t *versions,
			     size_t count, int64_t now_ms, struct err *err)
{
	struct sql_connection *c = sql_of(connection);
	bool conflict;

	for (unsigned i = 0; i < RETRIES_MAX; i++) {
		switch (try_commit(c, changes, versions, count, now_ms, &conflict, err)) {
		case SQL_OK: return conflict ? STORE_CONFLICT : STORE_OK;
		case SQL_RETRY: break;
		case SQL_FAILED: return STORE_FAILED;
		}
	}
	(void)err_set(err, ERR_UNAVAILABLE, "store: too many transactions in the way");
	return STORE_FAILED;
}

/* --- ranges --- */

enum store_result sql_range(struct store_connection *connection,
			    const struct store_range *range, int64_t now_ms,
			    struct arena *arena, struct store_page *page, struct err *err)
{
	char upper[STORE_KEY_BYTES_MAX + 1];
	struct sql_value values[6] = {sql_bytes(range->kind)};
	struct sql_result result = {.arena = arena};

	if (range->index) {
		values[1] = sql_bytes(range->index->name);
		values[2] = sql_bytes(range->index->value);
	} else {
		/* Keys hold no 0xff: the first text after all that start with the prefix. */
		if (range->prefix.len)
			memcpy(upper, range->prefix.ptr, range->prefix.len);
		upper[range->prefix.len] = (char)0xff;
		values[1] = sql_bytes(range->prefix);
		values[2] = sql_bytes(span_of(upper, range->prefix.len + 1));
	}
	values[3] = sql_bytes(range->after);
	values[4] = sql_int(now_ms);
	values[5] = sql_int((int64_t)range->limit);
	if (run_alone(sql_of(connection), range->index ? SQL_FIND : SQL_LIST, values, 6,
		      &result, err) != STORE_OK)
		return STORE_FAILED;
	page->count = 0;
	page->records = arena_array(arena, struct store_record, result.count + 1);
	if (!page->records) {
		(void)err_set(err, ERR_MEMORY, "store: no memory for a page");
		return STORE_FAILED;
	}
	for (size_t i = 0; i < result.count; i++)
		page->records[page->count++] = record_of(&result.rows[i]);
	return STORE_OK;
}

/* --- counters --- */

enum store_result sql_count(struct store_connection *connection, struct span key, int64_t by,
			    int64_t ttl_ms, enum store_count_life life, int64_t now_ms,
			    struct store_counter *counter, struct err *err)
{
	const struct sql_value add[] = {sql_bytes(key), sql_int(by), sql_int(now_ms + ttl_ms),
					sql_int(now_ms), sql_int(life == STORE_COUNT_SLIDING)};
	const struct sql_value read[] = {sql_bytes(key), sql_int(now_ms)};
	struct arena arena;
	struct sql_result result = {.arena = &arena};
	enum store_result done;

	arena_init(&arena, 4096, 1024);
	if (by)
		done = run_alone(sql_of(connection), SQL_COUNT, add, COUNT_OF(add), &result,
				 err);
	else
		done = run_alone(sql_of(connection), SQL_COUNT_GET, read, COUNT_OF(read),
				 &result, err);
	*counter = (struct store_counter){.value = 0};
	if (done == STORE_OK && result.count) {
		counter->value = result.rows[0].columns[0].number;
		counter->expires_unix_ms = result.rows[0].columns[1].number;
	}
	arena_release(&arena);
	return done;
}

enum store_result sql_count_clear(struct store_connection *connection, struct span key,
				  struct err *err)
{
	const struct sql_value values[] = {sql_bytes(key)};

	return run_alone(sql_of(connection), SQL_COUNT_CLEAR, values, 1, NULL, err);
}

enum store_result sql_sweep(struct store_connection *connection, size_t limit, int64_t now_ms,
			    size_t *removed, struct err *err)
{
	const struct sql_value values[] = {sql_int(now_ms), sql_int((int64_t)limit)};
	struct sql_connection *c = sql_of(connection);
	struct sql_result result = {.arena = NULL};

	if (run_alone(c, SQL_SWEEP_RECORDS, values, 2, &result, err) != STORE_OK)
		return STORE_FAILED;
	*removed = (size_t)result.changed;
	if (run_alone(c, SQL_SWEEP_COUNTERS, values, 2, &result, err) != STORE_OK)
		return STORE_FAILED;
	*removed += (size_t)result.changed;
	return STORE_OK;
}
