/*
 * backend.h - what a back end of the store does. A connection serves one call at a time. Private
 * to src/store. Arguments have been checked.
 */
#ifndef STORE_BACKEND_H
#define STORE_BACKEND_H

#include "store/store.h"

struct store_backend;

/* Each back end's connection starts with it. */
struct store_connection {
	const struct store_backend *backend;
	struct store_connection *next; /* in the pool */
	bool broken; /* set by the back end: to be closed, not used again */
	bool used; /* it has served a call before */
};

struct store_target {
	struct span url; /* followed by a NUL */
	int64_t timeout_ms;
};

struct store_range {
	struct span kind;
	const struct store_index *index; /* NULL: by key */
	struct span prefix;
	struct span after;
	size_t limit;
};

struct store_backend {
	/* Writers of a process go one after the other; else they are in each other's way. */
	bool one_writer;
	/* `first`: also makes the tables. */
	struct store_connection *(*connect)(const struct store_target *target, bool first,
					    struct err *err);
	void (*close)(struct store_connection *connection);
	enum store_result (*get)(struct store_connection *connection, struct span kind,
				 struct span key, int64_t now_ms, struct arena *arena,
				 struct store_record *record, struct err *err);
	/* versions[i] is the new version of change i. */
	enum store_result (*commit)(struct store_connection *connection,
				    const struct store_change *changes,
				    const uint64_t *versions, size_t count, int64_t now_ms,
				    struct err *err);
	/* At most range->limit records, all that there are up to it. */
	enum store_result (*range)(struct store_connection *connection,
				   const struct store_range *range, int64_t now_ms,
				   struct arena *arena, struct store_page *page,
				   struct err *err);
	/* `by` 0 reads. */
	enum store_result (*count)(struct store_connection *connection, struct span key,
				   int64_t by, int64_t ttl_ms, enum store_count_life life,
				   int64_t now_ms, struct store_counter *counter,
				   struct err *err);
	enum store_result (*count_clear)(struct store_connection *connection, struct span key,
					 struct err *err);
	enum store_result (*sweep)(struct store_connection *connection, size_t limit,
				   int64_t now_ms, size_t *removed, struct err *err);
};

extern const struct store_backend store_sqlite;
extern const struct store_backend store_postgres;
extern const struct store_backend store_redis;

#endif
