/*
 * store.h - one storage interface for what must outlive a process: users, sessions, grants,
 * revocations, bans, keys. Back ends: SQLite (default), PostgreSQL, Redis (for what replicas
 * share). One contract test suite runs on all three.
 *
 * Records are values under (kind, key), with up to STORE_INDEXES_MAX pairs (name, value) by which
 * they can be found, and a time from which they are not there any more. Every write gives a record
 * a new version, which is never used again for that key. There are no interactive transactions: a
 * caller reads, decides, and commits a list of changes with what it expects to find; all of them
 * happen, or none. Counters are apart: they only count, and end by themselves.
 *
 * All calls block, for at most the store's timeout, and may be made by any
 * thread: from offload threads (io/offload.h), command lines and tests, never from a fiber. Each
 * takes a connection from a pool; one that was lost is opened anew by the next call. A call that
 * fails because of the connection says ERR_UNAVAILABLE; a commit that failed so may have happened.
 *
 * The process must ignore SIGPIPE: a lost connection is an error, not an end.
 *
 * What is durable: with SQLite (WAL, synchronous=FULL) and PostgreSQL (its own setting, by default
 * synchronous_commit=on) a commit that was acknowledged survives the end of process and machine.
 * Redis keeps what its configuration says, usually up to a second less.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/err.h"

struct store;

#define STORE_KIND_BYTES_MAX 64
#define STORE_KEY_BYTES_MAX 512 /* of keys, names and values of indexes */
#define STORE_VALUE_BYTES_MAX ((size_t)1024 * 1024)
#define STORE_INDEXES_MAX 8
#define STORE_CHANGES_MAX 64
#define STORE_PAGE_MAX 1000

struct store_options {
	/*
	 * "sqlite:PATH"; "postgres://..." as libpq reads it; "redis://[user:password@]host[:port][/db]",
	 * or "redis:///path/of/socket". Not kept in the clear beyond what the libraries keep.
	 */
	struct span url;
	int64_t timeout_ms; /* of each call, waiting for locks and the network included; 0: 5 s */
	unsigned connections_max; /* at once; further callers wait; 0: 8 */
};

/* Opens and, where they are missing, makes the tables. ERR_INVALID: the URL, or newer tables. */
struct store *store_open(const struct store_options *options, struct err *err) MUST_CHECK;
/* No call may be under way. NULL is allowed. */
void store_close(struct store *store);

enum store_result {
	STORE_OK,
	STORE_ABSENT, /* there is no such record */
	STORE_CONFLICT, /* an expectation did not hold: nothing was changed */
	STORE_FAILED, /* *err says why */
};

struct store_record {
	struct span key;
	struct span value;
	uint64_t version; /* never 0 */
	int64_t expires_unix_ms; /* 0: never */
};

struct store_index {
	struct span name;
	struct span value;
};

enum store_expect {
	STORE_EXPECT_ANY,
	STORE_EXPECT_ABSENT, /* not for a removal */
	STORE_EXPECT_VERSION, /* it is there, with this version */
};

struct store_change {
	struct span kind; /* lower-case letters and '-'; so are the names of indexes */
	struct span key; /* no NUL, no byte 0xff, not empty; so are the values of indexes */
	enum store_expect expect;
	uint64_t version; /* for STORE_EXPECT_VERSION */
	bool remove; /* else the rest is put */
	struct span value;
	int64_t expires_unix_ms; /* 0: never */
	const struct store_index *indexes; /* replace those that it had */
	size_t index_count;
};

/* STORE_OK, STORE_ABSENT or STORE_FAILED; what is found is in the arena. */
enum store_result store_get(struct store *store, struct span kind, struct span key,
			    struct arena *arena, struct store_record *record, struct err *err);
/*
 * All changes, or none: STORE_OK, STORE_CONFLICT or STORE_FAILED. No record may be named twice.
 * Removing what is not there with STORE_EXPECT_ANY is no error.
 */
enum store_result store_commit(struct store *store, const struct store_change *changes,
			       size_t count, struct err *err) MUST_CHECK;

struct store_page {
	struct store_record *records;
	size_t count;
	bool more; /* ask again, after the last key */
};
/* Records whose key starts with the prefix, in the order of their bytes, after a key (empty: from
   the start); at most `limit`. STORE_OK or STORE_FAILED. */
enum store_result store_list(struct store *store, struct span kind, struct span prefix,
			     struct span after, size_t limit, struct arena *arena,
			     struct store_page *page, struct err *err);
/* The same for those that have the index. */
enum store_result store_find(struct store *store, struct span kind,
			     const struct store_index *index, struct span after, size_t limit,
			     struct arena *arena, struct store_page *page, struct err *err);

enum store_count_life {
	STORE_COUNT_FIXED, /* ends ttl_ms after it was counted first */
	STORE_COUNT_SLIDING, /* ends ttl_ms after it was counted last */
};
struct store_counter {
	int64_t value; /* 0: not there */
	int64_t expires_unix_ms;
};
/* Adds, in one step for all replicas; *counter is what it is then. STORE_OK or STORE_FAILED. */
enum store_result store_count(struct store *store, struct span key, int64_t by, int64_t ttl_ms,
			      enum store_count_life life, struct store_counter *counter,
			      struct err *err);
enum store_result store_count_get(struct store *store, struct span key,
				  struct store_counter *counter, struct err *err);
enum store_result store_count_clear(struct store *store, struct span key, struct err *err);

/*
 * Takes what has expired off the disk: at most `limit` records and counters; how many in *removed.
 * Nothing else depends on it: the expired is not seen by any call.
 */
enum store_result store_sweep(struct store *store, size_t limit, size_t *removed,
			      struct err *err);

#endif
