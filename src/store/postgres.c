/*
 * postgres.c - PostgreSQL by libpq. Everything is sent without blocking and waited for with a
 * deadline, so that a server that hangs costs a thread no more than that.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <libpq-fe.h>
#include <poll.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/sql.h"

/* Of pg_type. */
#define TYPE_BYTEA 17
#define TYPE_INT8 20
#define VALUES_MAX 8
/* Any number of ours: replicas that start together make the tables one after the other. */
#define LOCK_TEXT "SELECT pg_advisory_xact_lock(7310868735422983781)"

struct postgres {
	struct sql_connection sql; /* first */
	PGconn *connection;
	int64_t timeout_ms;
	bool prepared[SQL_STATEMENT_COUNT];
};

static const char *const schema[] = {
	"CREATE TABLE IF NOT EXISTS sallyport_schema(version int NOT NULL)",
	"CREATE TABLE IF NOT EXISTS sallyport_record(kind bytea NOT NULL, id bytea NOT NULL, "
	"value bytea NOT NULL, version int8 NOT NULL, expires int8 NOT NULL, "
	"PRIMARY KEY (kind, id))",
	"CREATE INDEX IF NOT EXISTS sallyport_record_expires ON sallyport_record(expires) "
	"WHERE expires<>0",
	"CREATE TABLE IF NOT EXISTS sallyport_index(kind bytea NOT NULL, name bytea NOT NULL, "
	"value bytea NOT NULL, id bytea NOT NULL, PRIMARY KEY (kind, name, value, id), "
	"FOREIGN KEY (kind, id) REFERENCES sallyport_record(kind, id) ON DELETE CASCADE)",
	"CREATE INDEX IF NOT EXISTS sallyport_index_record ON sallyport_index(kind, id)",
	"CREATE TABLE IF NOT EXISTS sallyport_counter(id bytea PRIMARY KEY, "
	"value int8 NOT NULL, expires int8 NOT NULL)",
	"CREATE INDEX IF NOT EXISTS sallyport_counter_expires ON sallyport_counter(expires)",
};

/* libpq's messages may have several lines; they hold no values of ours. */
static void set_message(struct err *err, const char *message)
{
	struct span rest = span_cstr(message);
	struct span first = span_cut(&rest, '\n');

	(void)err_set(err, ERR_UNAVAILABLE, "store: PostgreSQL: %.*s", SPAN_ARG(first));
}

static enum sql_outcome lost(struct postgres *p, struct err *err)
{
	p->sql.base.broken = true;
	set_message(err, PQerrorMessage(p->connection));
	return SQL_FAILED;
}

static enum sql_outcome too_slow(struct postgres *p, struct err *err)
{
	p->sql.base.broken = true;
	(void)err_set(err, ERR_UNAVAILABLE, "store: PostgreSQL does not answer");
	return SQL_FAILED;
}

/* False at the deadline. */
static bool wait_for(const struct postgres *p, short events, int64_t deadline_ms)
{
	struct pollfd fd = {.fd = PQsocket(p->connection), .events = events};
	int64_t left_ms = deadline_ms - clock_ms();

	return left_ms > 0 && poll(&fd, 1, (int)left_ms) >= 0 && clock_ms() < deadline_ms;
}

/* Until the whole result is there. False: *outcome and *err say why. */
static bool await(struct postgres *p, enum sql_outcome *outcome, struct err *err)
{
	int64_t deadline_ms = clock_ms() + p->timeout_ms;
	int left;

	while ((left = PQflush(p->connection)) > 0 || PQisBusy(p->connection)) {
		if (!wait_for(p, left > 0 ? POLLIN | POLLOUT : POLLIN, deadline_ms)) {
			*outcome = too_slow(p, err);
			return false;
		}
		if (!PQconsumeInput(p->connection))
			break;
	}
	if (PQstatus(p->connection) == CONNECTION_OK && left >= 0)
		return true;
	*outcome = lost(p, err);
	return false;
}

/* A serialization failure or a deadlock (40001, 40P01): the transaction may be tried again. */
static bool is_in_the_way(const PGresult *result)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	return state && span_starts_with(span_cstr(state), SPAN("40"));
}

static enum sql_outcome outcome_of(struct postgres *p, const PGresult *result, struct err *err)
{
	ExecStatusType status = PQresultStatus(result);

	if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
		return SQL_OK;
	set_message(err, PQresultErrorMessage(result));
	if (is_in_the_way(result))
		return SQL_RETRY;
	if (PQstatus(p->connection) != CONNECTION_OK)
		p->sql.base.broken = true;
	return SQL_FAILED;
}

static int64_t read_int8(const char *bytes)
{
	uint64_t raw;

	memcpy(&raw, bytes, sizeof(raw));
	return (int64_t)be64toh(raw);
}

static int read_rows(const PGresult *from, struct sql_result *result)
{
	int columns = PQnfields(from);

	for (int row = 0; row < PQntuples(from); row++) {
		struct sql_row *to = sql_add_row(result);

		if (!to)
			return -1;
		for (int i = 0; i < columns && i < SQL_COLUMNS_MAX; i++) {
			struct sql_value *v = &to->columns[i];

			v->is_int = PQftype(from, i) == TYPE_INT8;
			if (v->is_int) {
				v->number = read_int8(PQgetvalue(from, row, i));
				continue;
			}
			v->bytes = arena_dup(result->arena,
					     span_of(PQgetvalue(from, row, i),
						     (size_t)PQgetlength(from, row, i)));
			if (!v->bytes.ptr)
				return -1;
		}
	}
	return 0;
}

/* All results of what was sent; the first error counts. */
static enum sql_outcome take_results(struct postgres *p, struct sql_result *to, struct err *err)
{
	enum sql_outcome outcome = SQL_OK, failed;
	PGresult *result;
	uint64_t changed;

	for (;;) {
		if (!await(p, &failed, err))
			return failed;
		result = PQgetResult(p->connection);
		if (!result)
			return outcome;
		if (outcome == SQL_OK)
			outcome = outcome_of(p, result, err);
		if (outcome == SQL_OK && to) {
			to->changed = span_to_u64(span_cstr(PQcmdTuples(result)), &changed)
					      ? (int64_t)changed
					      : 0;
			if (to->arena && read_rows(result, to) < 0) {
				(void)err_set(err, ERR_MEMORY, "store: no memory for rows");
				outcome = SQL_FAILED;
			}
		}
		PQclear(result);
	}
}

static enum sql_outcome simple(struct postgres *p, const char *text, struct err *err)
{
	if (!PQsendQuery(p->connection, text))
		return lost(p, err);
	return take_results(p, NULL, err);
}

static enum sql_outcome prepare(struct postgres *p, enum sql_statement statement,
				const char *name, const struct sql_value *values, size_t count,
				struct err *err)
{
	enum sql_outcome outcome;
	Oid types[VALUES_MAX];

	if (p->prepared[statement])
		return SQL_OK;
	for (size_t i = 0; i < count; i++)
		types[i] = values[i].is_int ? TYPE_INT8 : TYPE_BYTEA;
	if (!PQsendPrepare(p->connection, name, sql_texts[statement], (int)count, types))
		return lost(p, err);
	outcome = take_results(p, NULL, err);
	p->prepared[statement] = outcome == SQL_OK;
	return outcome;
}

static enum sql_outcome postgres_run(struct sql_connection *c, enum sql_statement statement,
				     const struct sql_value *values, size_t count,
				     struct sql_result *result, struct err *err)
{
	struct postgres *p = CONTAINER_OF(c, struct postgres, sql);
	const char *texts[VALUES_MAX];
	uint64_t numbers[VALUES_MAX];
	int lengths[VALUES_MAX], formats[VALUES_MAX];
	enum sql_outcome outcome;
	char name[16];

	snprintf(name, sizeof(name), "s%d", (int)statement);
	outcome = prepare(p, statement, name, values, count, err);
	if (outcome != SQL_OK)
		return outcome;
	for (size_t i = 0; i < count; i++) {
		formats[i] = 1;
		numbers[i] = htobe64((uint64_t)values[i].number);
		texts[i] = values[i].is_int	 ? (const char *)&numbers[i]
			   : values[i].bytes.len ? values[i].bytes.ptr
						 : "";
		lengths[i] = values[i].is_int ? 8 : (int)values[i].bytes.len;
	}
	if (!PQsendQueryPrepared(p->connection, name, (int)count, texts, lengths, formats, 1))
		return lost(p, err);
	return take_results(p, result, err);
}

static void postgres_close(struct store_connection *connection)
{
	struct postgres *p = CONTAINER_OF(connection, struct postgres, sql.base);

	PQfinish(p->connection);
	mem_free(p);
}

static int finish_connecting(struct postgres *p, struct err *err)
{
	int64_t deadline_ms = clock_ms() + p->timeout_ms;
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;

	while (next != PGRES_POLLING_OK) {
		if (next == PGRES_POLLING_FAILED) {
			(void)lost(p, err);
			return -1;
		}
		if (!wait_for(p, next == PGRES_POLLING_READING ? POLLIN : POLLOUT,
			      deadline_ms)) {
			(void)too_slow(p, err);
			return -1;
		}
		next = PQconnectPoll(p->connection);
	}
	PQsetnonblocking(p->connection, 1);
	return 0;
}

static int check_version(struct postgres *p, struct err *err)
{
	char text[160];

	/* Divides by zero, and so undoes all, when there is a newer version. */
	snprintf(text, sizeof(text),
		 "SELECT 1/(CASE WHEN max(version)>%d THEN 0 ELSE 1 END) FROM sallyport_schema",
		 SQL_SCHEMA_VERSION);
	if (simple(p, text, err) != SQL_OK)
		return p->sql.base.broken ? -1
					  : err_set(err, ERR_INVALID,
						    "store: its tables are of a newer program");
	snprintf(text, sizeof(text),
		 "INSERT INTO sallyport_schema SELECT %d WHERE NOT EXISTS "
		 "(SELECT 1 FROM sallyport_schema)",
		 SQL_SCHEMA_VERSION);
	return simple(p, text, err) == SQL_OK ? 0 : -1;
}

static int make_tables(struct postgres *p, struct err *err)
{
	struct err ignored;

	if (simple(p, "BEGIN", err) != SQL_OK || simple(p, LOCK_TEXT, err) != SQL_OK)
		return -1;
	for (size_t i = 0; i < COUNT_OF(schema); i++)
		if (simple(p, schema[i], err) != SQL_OK)
			return -1;
	if (check_version(p, err) == 0)
		return simple(p, "COMMIT", err) == SQL_OK ? 0 : -1;
	(void)simple(p, "ROLLBACK", &ignored);
	return -1;
}

/* "NOTICE: relation exists, skipping" and the like are of no interest. */
static void ignore_notice(void *context, const PGresult *result)
{
	(void)context;
	(void)result;
}

static struct store_connection *postgres_connect(const struct store_target *target, bool first,
						 struct err *err)
{
	struct postgres *p = mem_zalloc(1, sizeof(*p));

	if (!p) {
		(void)err_set(err, ERR_MEMORY, "store: out of memory");
		return NULL;
	}
	p->sql.base.backend = &store_postgres;
	p->sql.run = postgres_run;
	p->timeout_ms = target->timeout_ms;
	p->connection = PQconnectStart(target->url.ptr);
	if (!p->connection || PQstatus(p->connection) == CONNECTION_BAD) {
		(void)lost(p, err);
		goto fail;
	}
	PQsetNoticeReceiver(p->connection, ignore_notice, NULL);
	if (finish_connecting(p, err) < 0 || (first && make_tables(p, err) < 0))
		goto fail;
	return &p->sql.base;
fail:
	postgres_close(&p->sql.base);
	return NULL;
}

const struct store_backend store_postgres = {
	.connect = postgres_connect,
	.close = postgres_close,
	.get = sql_get,
	.commit = sql_commit,
	.range = sql_range,
	.count = sql_count,
	.count_clear = sql_count_clear,
	.sweep = sql_sweep,
};
