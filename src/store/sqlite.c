/*
 * sqlite.c - SQLite in WAL mode with synchronous=FULL: what a commit has acknowledged is on the
 * disk. The file is made with mode 0600.
 */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "store/sql.h"

struct sqlite {
	struct sql_connection sql; /* first */
	sqlite3 *db;
	int64_t timeout_ms;
	int64_t busy_until_ms; /* of clock_ms: how long other processes are waited for */
	sqlite3_stmt *statements[SQL_STATEMENT_COUNT];
};

static const char *const schema[] = {
	"CREATE TABLE IF NOT EXISTS sallyport_schema(version INTEGER NOT NULL)",
	"CREATE TABLE IF NOT EXISTS sallyport_record(kind BLOB NOT NULL, id BLOB NOT NULL, "
	"value BLOB NOT NULL, version INTEGER NOT NULL, expires INTEGER NOT NULL, "
	"PRIMARY KEY (kind, id)) WITHOUT ROWID",
	"CREATE INDEX IF NOT EXISTS sallyport_record_expires ON sallyport_record(expires) "
	"WHERE expires<>0",
	"CREATE TABLE IF NOT EXISTS sallyport_index(kind BLOB NOT NULL, name BLOB NOT NULL, "
	"value BLOB NOT NULL, id BLOB NOT NULL, PRIMARY KEY (kind, name, value, id), "
	"FOREIGN KEY (kind, id) REFERENCES sallyport_record(kind, id) ON DELETE CASCADE) "
	"WITHOUT ROWID",
	"CREATE INDEX IF NOT EXISTS sallyport_index_record ON sallyport_index(kind, id)",
	"CREATE TABLE IF NOT EXISTS sallyport_counter(id BLOB PRIMARY KEY, "
	"value INTEGER NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID",
	"CREATE INDEX IF NOT EXISTS sallyport_counter_expires ON sallyport_counter(expires)",
};

static enum sql_outcome failed(struct sqlite *s, int code, struct err *err)
{
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		(void)err_set(err, ERR_UNAVAILABLE, "store: the database is locked");
		break;
	case SQLITE_NOMEM: (void)err_set(err, ERR_MEMORY, "store: out of memory"); break;
	default:
		s->sql.base.broken = true;
		(void)err_set(err, ERR_UNAVAILABLE, "store: SQLite: %s", sqlite3_errmsg(s->db));
		break;
	}
	return SQL_FAILED;
}

/*
 * Another process is writing. SQLite's own handler sleeps for up to 100 ms between two looks, and
 * may starve beside somebody who writes all the time; this one looks often, at odd moments.
 */
static int on_busy(void *context, int count)
{
	struct timespec pause = {.tv_nsec = 500000 + (long)rand_below(2000000)};
	struct sqlite *s = context;
	int64_t now = clock_ms();

	if (count == 0)
		s->busy_until_ms = now + s->timeout_ms;
	if (now >= s->busy_until_ms)
		return 0;
	(void)nanosleep(&pause, NULL);
	return 1;
}

static int exec(struct sqlite *s, const char *text, struct err *err)
{
	int code = sqlite3_exec(s->db, text, NULL, NULL, NULL);

	if (code == SQLITE_OK)
		return 0;
	(void)failed(s, code, err);
	return -1;
}

static sqlite3_stmt *statement_of(struct sqlite *s, enum sql_statement statement,
				  struct err *err)
{
	/* The lock is taken at once: a reader that becomes a writer could only fail. */
	const char *text = statement == SQL_BEGIN ? "BEGIN IMMEDIATE" : sql_texts[statement];
	int code;

	if (s->statements[statement])
		return s->statements[statement];
	code = sqlite3_prepare_v3(s->db, text, -1, SQLITE_PREPARE_PERSISTENT,
				  &s->statements[statement], NULL);
	if (code != SQLITE_OK)
		(void)failed(s, code, err);
	return s->statements[statement];
}

/* "$3" is a name to SQLite, not a place. */
static int bind(sqlite3_stmt *to, const struct sql_value *values, size_t count)
{
	int code = SQLITE_OK;
	char name[24];

	for (size_t i = 0; i < count && code == SQLITE_OK; i++) {
		const struct sql_value *v = &values[i];
		int place;

		snprintf(name, sizeof(name), "$%zu", i + 1);
		place = sqlite3_bind_parameter_index(to, name);
		if (v->is_int)
			code = sqlite3_bind_int64(to, place, v->number);
		else
			code = sqlite3_bind_blob64(to, place, v->bytes.len ? v->bytes.ptr : "",
						   v->bytes.len, SQLITE_STATIC);
	}
	return code;
}

static int read_row(sqlite3_stmt *from, struct sql_result *result)
{
	struct sql_row *row = sql_add_row(result);
	int columns = sqlite3_column_count(from);

	if (!row)
		return -1;
	for (int i = 0; i < columns && i < SQL_COLUMNS_MAX; i++) {
		struct sql_value *v = &row->columns[i];

		v->is_int = sqlite3_column_type(from, i) == SQLITE_INTEGER;
		if (v->is_int) {
			v->number = sqlite3_column_int64(from, i);
			continue;
		}
		v->bytes = arena_dup(result->arena,
				     span_of(sqlite3_column_blob(from, i),
					     (size_t)sqlite3_column_bytes(from, i)));
		if (!v->bytes.ptr)
			return -1;
	}
	return 0;
}

static enum sql_outcome sqlite_run(struct sql_connection *c, enum sql_statement statement,
				   const struct sql_value *values, size_t count,
				   struct sql_result *result, struct err *err)
{
	struct sqlite *s = CONTAINER_OF(c, struct sqlite, sql);
	sqlite3_stmt *run = statement_of(s, statement, err);
	enum sql_outcome outcome = SQL_OK;
	int code;

	if (!run)
		return SQL_FAILED;
	code = bind(run, values, count);
	while (code == SQLITE_OK || code == SQLITE_ROW) {
		code = sqlite3_step(run);
		if (code == SQLITE_ROW && result->arena && read_row(run, result) < 0)
			code = SQLITE_NOMEM;
	}
	if (code != SQLITE_DONE)
		outcome = failed(s, code, err);
	result->changed = sqlite3_changes64(s->db);
	sqlite3_reset(run);
	sqlite3_clear_bindings(run);
	return outcome;
}

static void sqlite_close(struct store_connection *connection)
{
	struct sqlite *s = CONTAINER_OF(connection, struct sqlite, sql.base);

	for (size_t i = 0; i < SQL_STATEMENT_COUNT; i++)
		sqlite3_finalize(s->statements[i]);
	sqlite3_close(s->db);
	mem_free(s);
}

static int check_version(struct sqlite *s, struct err *err)
{
	sqlite3_stmt *query = NULL;
	int64_t version = 0;
	char text[96];
	int code;

	code = sqlite3_prepare_v2(s->db, "SELECT max(version) FROM sallyport_schema", -1,
				  &query, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_step(query);
	if (code == SQLITE_ROW)
		version = sqlite3_column_int64(query, 0);
	sqlite3_finalize(query);
	if (code != SQLITE_ROW) {
		(void)failed(s, code, err);
		return -1;
	}
	if (version > SQL_SCHEMA_VERSION)
		return err_set(err, ERR_INVALID, "store: its tables are of a newer program");
	if (version == SQL_SCHEMA_VERSION)
		return 0;
	snprintf(text, sizeof(text), "INSERT INTO sallyport_schema VALUES(%d)",
		 SQL_SCHEMA_VERSION);
	return exec(s, text, err);
}

static int make_tables(struct sqlite *s, struct err *err)
{
	struct err ignored;

	if (exec(s, "BEGIN IMMEDIATE", err) < 0)
		return -1;
	for (size_t i = 0; i < COUNT_OF(schema); i++)
		if (exec(s, schema[i], err) < 0)
			goto undo;
	if (check_version(s, err) == 0)
		return exec(s, "COMMIT", err);
undo:
	(void)exec(s, "ROLLBACK", &ignored);
	return -1;
}

/*
 * Secrets are in it: nobody else may read it. SQLite gives its other files the same mode. A file
 * that is there is not opened here: closing it would take away the locks that SQLite holds on it
 * in this process (fcntl(2)), and another process could then remove the log under us.
 */
static int make_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);

	if (fd < 0 && errno == EEXIST)
		return 0;
	if (fd < 0)
		return err_set_errno(err, errno, "store: %s", path);
	close(fd);
	return 0;
}

static struct store_connection *sqlite_connect(const struct store_target *target, bool first,
					       struct err *err)
{
	const char *path = target->url.ptr + SPAN("sqlite:").len;
	struct sqlite *s;
	int code;

	if (make_file(path, err) < 0)
		return NULL;
	s = mem_zalloc(1, sizeof(*s));
	if (!s) {
		(void)err_set(err, ERR_MEMORY, "store: out of memory");
		return NULL;
	}
	s->sql.base.backend = &store_sqlite;
	s->sql.run = sqlite_run;
	code = sqlite3_open_v2(
		path, &s->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (code != SQLITE_OK) {
		(void)err_set(err, ERR_UNAVAILABLE, "store: %s: %s", path,
			      sqlite3_errstr(code));
		goto fail;
	}
	s->timeout_ms = target->timeout_ms;
	sqlite3_busy_handler(s->db, on_busy, s);
	sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (exec(s, "PRAGMA journal_mode=WAL", err) < 0 ||
	    exec(s, "PRAGMA synchronous=FULL", err) < 0 ||
	    exec(s, "PRAGMA foreign_keys=ON", err) < 0 ||
	    exec(s, "PRAGMA trusted_schema=OFF", err) < 0 || (first && make_tables(s, err) < 0))
		goto fail;
	return &s->sql.base;
fail:
	sqlite_close(&s->sql.base);
	return NULL;
}

const struct store_backend store_sqlite = {
	.one_writer = true,
	.connect = sqlite_connect,
	.close = sqlite_close,
	.get = sql_get,
	.commit = sql_commit,
	.range = sql_range,
	.count = sql_count,
	.count_clear = sql_count_clear,
	.sweep = sql_sweep,
};
