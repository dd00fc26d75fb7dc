#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/secret.h"
#include "store/backend.h"
#include "store/turn.h"

#define TIMEOUT_MS 5000
#define CONNECTIONS_MAX 8

struct store {
	const struct store_backend *backend;
	struct secret url;
	struct store_target target; /* its URL is the one above */
	int64_t timeout_ms;
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct store_connection *idle;
	unsigned open; /* idle and in use */
	unsigned open_max;
	struct turn turn; /* of writers, where there is only one at a time */
};

static const struct {
	struct span scheme;
	const struct store_backend *backend;
} backends[] = {
	{SPAN_INIT("sqlite:"), &store_sqlite},
	{SPAN_INIT("postgres://"), &store_postgres},
	{SPAN_INIT("postgresql://"), &store_postgres},
	{SPAN_INIT("redis://"), &store_redis},
};

static const struct store_backend *backend_of(struct span url)
{
	for (size_t i = 0; i < COUNT_OF(backends); i++)
		if (url.len > backends[i].scheme.len &&
		    span_starts_with(url, backends[i].scheme))
			return backends[i].backend;
	return NULL;
}

/* --- the pool --- */

static struct store_connection *connect_new(struct store *store, bool first, struct err *err)
{
	return store->backend->connect(&store->target, first, err);
}

/* One that has worked before is dead now: the others from that time will be, too. */
static void drop_idle(struct store *store)
{
	struct store_connection *idle;

	pthread_mutex_lock(&store->lock);
	idle = store->idle;
	store->idle = NULL;
	for (const struct store_connection *c = idle; c; c = c->next)
		store->open--;
	pthread_mutex_unlock(&store->lock);
	while (idle) {
		struct store_connection *connection = idle;

		idle = connection->next;
		store->backend->close(connection);
	}
}

static void put_back(struct store *store, struct store_connection *connection)
{
	bool broken = !connection || connection->broken;

	if (connection && broken) {
		if (connection->used)
			drop_idle(store);
		store->backend->close(connection);
	}
	pthread_mutex_lock(&store->lock);
	if (broken) {
		store->open--;
	} else {
		connection->used = true;
		connection->next = store->idle;
		store->idle = connection;
	}
	pthread_cond_signal(&store->freed);
	pthread_mutex_unlock(&store->lock);
}

/* False when all connections are in use for too long. *idle is NULL when one may be opened. */
static bool reserve(struct store *store, struct store_connection **idle)
{
	struct timespec until;
	bool reserved = true;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += store->timeout_ms / 1000 + 1;
	pthread_mutex_lock(&store->lock);
	while (!store->idle && store->open >= store->open_max && reserved)
		reserved = pthread_cond_timedwait(&store->freed, &store->lock, &until) !=
			   ETIMEDOUT;
	*idle = store->idle;
	if (store->idle)
		store->idle = store->idle->next;
	else if (reserved)
		store->open++;
	reserved = reserved || *idle;
	pthread_mutex_unlock(&store->lock);
	return reserved;
}

static struct store_connection *take(struct store *store, struct err *err)
{
	struct store_connection *connection;

	if (!reserve(store, &connection)) {
		(void)err_set(err, ERR_UNAVAILABLE, "store: all connections are in use");
		return NULL;
	}
	if (!connection)
		connection = connect_new(store, false, err);
	if (!connection)
		put_back(store, NULL);
	return connection;
}

/* For writing: who waits for its turn holds no connection meanwhile. */
static struct store_connection *take_to_write(struct store *store, struct err *err)
{
	struct store_connection *connection;

	if (!store->backend->one_writer)
		return take(store, err);
	if (!turn_take(&store->turn, store->timeout_ms)) {
		(void)err_set(err, ERR_UNAVAILABLE, "store: too many are writing");
		return NULL;
	}
	connection = take(store, err);
	if (!connection)
		turn_give(&store->turn);
	return connection;
}

static void put_back_written(struct store *store, struct store_connection *connection)
{
	put_back(store, connection);
	if (store->backend->one_writer)
		turn_give(&store->turn);
}

/* What was read can be read again when the connection turned out to be dead. */
static bool may_repeat(const struct store_connection *connection, bool *repeated)
{
	bool may = connection->broken && connection->used && !*repeated;

	*repeated = true;
	return may;
}

static int init_lock(struct store *store)
{
	pthread_condattr_t attributes;
	int result;

	if (pthread_condattr_init(&attributes) != 0)
		return -1;
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	result = pthread_cond_init(&store->freed, &attributes);
	pthread_condattr_destroy(&attributes);
	if (result != 0 || pthread_mutex_init(&store->lock, NULL) != 0)
		return -1;
	return turn_init(&store->turn);
}

struct store *store_open(const struct store_options *options, struct err *err)
{
	struct store *store = mem_zalloc(1, sizeof(*store));
	struct store_connection *connection;

	if (!store || secret_set(&store->url, options->url) < 0 || init_lock(store) < 0) {
		mem_free(store);
		(void)err_set(err, ERR_MEMORY, "no memory for the store");
		return NULL;
	}
	store->timeout_ms = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
	store->target = (struct store_target){secret_span(&store->url), store->timeout_ms};
	store->open_max = options->connections_max ? options->connections_max : CONNECTIONS_MAX;
	store->backend = backend_of(options->url);
	if (!store->backend) {
		(void)err_set(err, ERR_INVALID, "store: the URL names no kind of store");
		store_close(store);
		return NULL;
	}
	connection = connect_new(store, true, err);
	if (!connection) {
		store_close(store);
		return NULL;
	}
	store->open = 1;
	put_back(store, connection);
	return store;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	/* Without a back end there is no connection either. */
	while (store->backend && store->idle) {
		struct store_connection *connection = store->idle;

		store->idle = connection->next;
		store->backend->close(connection);
	}
	turn_destroy(&store->turn);
	pthread_cond_destroy(&store->freed);
	pthread_mutex_destroy(&store->lock);
	secret_release(&store->url);
	mem_free(store);
}

/* --- what may be asked --- */

static bool is_name(struct span s, size_t max)
{
	return s.len > 0 && s.len <= max && !memchr(s.ptr, 0, s.len) &&
	       !memchr(s.ptr, 0xff, s.len);
}

/* Kinds and names of indexes are ours: "user", "refresh-family". */
static bool is_word(struct span s, size_t max)
{
	for (size_t i = 0; i < s.len; i++)
		if (!((s.ptr[i] >= 'a' && s.ptr[i] <= 'z') || s.ptr[i] == '-'))
			return false;
	return s.len > 0 && s.len <= max;
}

static bool is_key(struct span key)
{
	return is_name(key, STORE_KEY_BYTES_MAX);
}

static enum store_result refuse(struct err *err, const char *what)
{
	(void)err_set(err, ERR_INVALID, "store: %s", what);
	return STORE_FAILED;
}

static bool is_change(const struct store_change *change)
{
	if (!is_word(change->kind, STORE_KIND_BYTES_MAX) || !is_key(change->key) ||
	    change->value.len > STORE_VALUE_BYTES_MAX ||
	    change->index_count > STORE_INDEXES_MAX)
		return false;
	assert(!change->remove || change->expect != STORE_EXPECT_ABSENT);
	for (size_t i = 0; i < change->index_count; i++)
		if (!is_word(change->indexes[i].name, STORE_KIND_BYTES_MAX) ||
		    !is_key(change->indexes[i].value))
			return false;
	return true;
}

/* --- calls --- */

enum store_result store_get(struct store *store, struct span kind, struct span key,
			    struct arena *arena, struct store_record *record, struct err *err)
{
	struct store_connection *connection;
	enum store_result result;
	bool repeated = false, again;

	/* What cannot be put is not there: keys often come from outside. */
	if (!is_word(kind, STORE_KIND_BYTES_MAX) || !is_key(key))
		return STORE_ABSENT;
	do {
		connection = take(store, err);
		if (!connection)
			return STORE_FAILED;
		result = store->backend->get(connection, kind, key, clock_unix_ms(), arena,
					     record, err);
		again = may_repeat(connection, &repeated);
		put_back(store, connection);
	} while (again);
	if (result == STORE_OK)
		record->key = key;
	return result;
}

enum store_result store_commit(struct store *store, const struct store_change *changes,
			       size_t count, struct err *err)
{
	struct store_connection *connection;
	uint64_t versions[STORE_CHANGES_MAX];
	enum store_result result;

	if (count == 0 || count > STORE_CHANGES_MAX)
		return refuse(err, "too many changes at once");
	for (size_t i = 0; i < count; i++) {
		if (!is_change(&changes[i]))
			return refuse(err, "a key or value that cannot be stored");
		versions[i] = (rand_u64() >> 1) | 1;
	}
	connection = take_to_write(store, err);
	if (!connection)
		return STORE_FAILED;
	result = store->backend->commit(connection, changes, versions, count, clock_unix_ms(),
					err);
	put_back_written(store, connection);
	return result;
}

static enum store_result read_range(struct store *store, struct store_range range,
				    struct arena *arena, struct store_page *page,
				    struct err *err)
{
	size_t limit = range.limit < STORE_PAGE_MAX ? range.limit : STORE_PAGE_MAX;
	struct store_connection *connection;
	enum store_result result;
	bool repeated = false, again;

	if (!is_word(range.kind, STORE_KIND_BYTES_MAX) || limit == 0 ||
	    (range.prefix.len && !is_key(range.prefix)) ||
	    (range.after.len && !is_key(range.after)))
		return refuse(err, "a range that there cannot be");
	range.limit = limit + 1;
	do {
		connection = take(store, err);
		if (!connection)
			return STORE_FAILED;
		result = store->backend->range(connection, &range, clock_unix_ms(), arena, page,
					       err);
		again = may_repeat(connection, &repeated);
		put_back(store, connection);
	} while (again);
	if (result != STORE_OK)
		return result;
	page->more = page->count > limit;
	if (page->more)
		page->count = limit;
	return STORE_OK;
}

enum store_result store_list(struct store *store, struct span kind, struct span prefix,
			     struct span after, size_t limit, struct arena *arena,
			     struct store_page *page, struct err *err)
{
	const struct store_range range = {
		.kind = kind, .prefix = prefix, .after = after, .limit = limit};

	return read_range(store, range, arena, page, err);
}

enum store_result store_find(struct store *store, struct span kind,
			     const struct store_index *index, struct span after, size_t limit,
			     struct arena *arena, struct store_page *page, struct err *err)
{
	const struct store_range range = {
		.kind = kind, .index = index, .after = after, .limit = limit};

	if (!is_word(index->name, STORE_KIND_BYTES_MAX) || !is_key(index->value)) {
		*page = (struct store_page){.count = 0};
		return STORE_OK;
	}
	return read_range(store, range, arena, page, err);
}

enum store_result store_count(struct store *store, struct span key, int64_t by, int64_t ttl_ms,
			      enum store_count_life life, struct store_counter *counter,
			      struct err *err)
{
	struct store_connection *connection;
	enum store_result result;

	if (!is_key(key) || (by && ttl_ms <= 0))
		return refuse(err, "a counter that there cannot be");
	connection = by ? take_to_write(store, err) : take(store, err);
	if (!connection)
		return STORE_FAILED;
	result = store->backend->count(connection, key, by, ttl_ms, life, clock_unix_ms(),
				       counter, err);
	if (by)
		put_back_written(store, connection);
	else
		put_back(store, connection);
	return result;
}

enum store_result store_count_get(struct store *store, struct span key,
				  struct store_counter *counter, struct err *err)
{
	return store_count(store, key, 0, 0, STORE_COUNT_FIXED, counter, err);
}

enum store_result store_count_clear(struct store *store, struct span key, struct err *err)
{
	struct store_connection *connection;
	enum store_result result;

	if (!is_key(key))
		return refuse(err, "a counter that there cannot be");
	connection = take_to_write(store, err);
	if (!connection)
		return STORE_FAILED;
	result = store->backend->count_clear(connection, key, err);
	put_back_written(store, connection);
	return result;
}

enum store_result store_sweep(struct store *store, size_t limit, size_t *removed,
			      struct err *err)
{
	struct store_connection *connection = take_to_write(store, err);
	enum store_result result;

	if (!connection)
		return STORE_FAILED;
	*removed = 0;
	result = store->backend->sweep(connection, limit, clock_unix_ms(), removed, err);
	put_back_written(store, connection);
	return result;
}
